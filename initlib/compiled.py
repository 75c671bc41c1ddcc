"""The compiled streams, where initlib was installed with a C compiler at hand.

They give the same bits as `initlib.streams`, several times faster. Without them, or with the
environment variable ``INITLIB_KERNEL=off``, the array operations of `initlib.streams` do the work.
"""

import ctypes
import math
import os
import warnings
from pathlib import Path

import numpy as np

from initlib.streams import GROUP, Key, in_order, normal_groups, uniform_groups
from initlib.truncated import central_groups, central_scale

LAWS = ("uniform", "normal", "truncated")
_FLOATS = {length: ctypes.c_float * length for length in (4, 6)}


def fill(
    law: str,
    key: Key,
    start: int,
    out: np.ndarray,
    parameters: tuple[float, ...],
    bounds: tuple[float, float] = (-math.inf, math.inf),
    *,
    past_caches: bool = False,
) -> None:
    """Write elements ``start`` to ``start + out.size`` of a stream to `out`, contiguous float32.

    Parameters
    ----------
    law, key, start, out
        One of `LAWS`, and what it fills.
    parameters : tuple of float
        Scale, shift, and what else the law has.
    bounds : tuple of float
        Values beyond them become the bound.
    past_caches : bool
        Write to memory without reading it first, which pays where `out` is a part of something that
        no cache holds. It changes no value.
    """
    floats = _FLOATS[len(parameters) + 2](*parameters[:2], *bounds, *parameters[2:])
    function = getattr(_library, f"initlib_{law}")
    function(key, start, out.size, floats, out.ctypes.data, past_caches)


def _load(folder: Path) -> ctypes.CDLL | None:
    if os.environ.get("INITLIB_KERNEL") == "off":
        return None
    files = sorted(folder.glob("_kernel*.so"))
    try:
        library = ctypes.CDLL(str(files[0])) if files else None
    except OSError as error:
        warnings.warn(f"initlib runs without its compiled streams: {error}", stacklevel=2)
        return None
    for law in LAWS if library else ():
        function = getattr(library, f"initlib_{law}")
        function.argtypes = [
            ctypes.c_char_p,
            ctypes.c_uint64,
            ctypes.c_uint64,
            *[ctypes.c_void_p] * 2,
            ctypes.c_int,
        ]
        function.restype = None
    return library


def _same_bits() -> bool:
    """Compare a group of each law with the reference: a stale or miscompiled file is not used."""
    key, groups, out = bytes(range(32)), np.array([2**33]), np.empty(GROUP, np.float32)
    cases = (
        ("uniform", (1, 0), uniform_groups(key, groups, np.float32)),
        ("normal", (1, 0), normal_groups(key, groups, np.float32)),
        ("truncated", (1, 0, *central_scale(-2, 1)), central_groups(key, groups, -2, 1)),
    )
    for law, parameters, expected in cases:
        for bounds in ((-math.inf, math.inf), (0.25, 0.5)):
            fill(law, key, 2**33 * GROUP, out, parameters, bounds)
            if not np.array_equal(out, in_order(expected).clip(*bounds)):
                return False
    return True


_library = _load(Path(__file__).parent)
available = _library is not None and _same_bits()
if _library is not None and not available:
    warnings.warn(
        "initlib's compiled streams differ from their definition and are not used: "
        "reinstall initlib to build them again",
        stacklevel=2,
    )
