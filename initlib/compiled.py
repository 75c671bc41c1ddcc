"""The compiled streams, where initlib was installed with a C compiler at hand.

They give the same bits as `initlib.streams`, several times faster. Without them, or with the
environment variable ``INITLIB_KERNEL=off``, the array operations of `initlib.streams` do the work.
"""

import ctypes
import os
import warnings
from pathlib import Path

import numpy as np

from initlib.streams import GROUP, Key, in_order, normal_groups, uniform_groups
from initlib.truncated import central_groups, central_scale

LAWS = ("uniform", "normal", "truncated")


def fill(law: str, key: Key, start: int, out: np.ndarray, parameters: tuple[float, ...]) -> None:
    """Write elements ``start`` to ``start + out.size`` of a stream to `out`, contiguous float32."""
    floats = np.array(parameters, np.float32)
    function = getattr(_library, f"initlib_{law}")
    function(key, start, out.size, floats.ctypes.data, out.ctypes.data)


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
        fill(law, key, 2**33 * GROUP, out, parameters)
        if not np.array_equal(out, in_order(expected)):
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
