"""What a data set consists of, by name: known before anything of it, or torch, is loaded."""

from __future__ import annotations

import difflib
import hashlib
from pathlib import Path

from initlib.lab import mnist

NAMES = ("mnist", "mnist-60k")


def checksums(name: str | Path = "mnist") -> dict[str, str]:
    """Return what a run on this data depends on, without loading it.

    Parameters
    ----------
    name : str or Path
        As for `initlib.lab.data.load`.

    Returns
    -------
    dict
        File name to sha256, as in the `sha256` of what `load` returns.

    Examples
    --------
    >>> checksums("mnist")["t10k-labels-idx1-ubyte.gz"][:8]
    'ff7bcfd4'
    """
    if is_path(name):
        path = Path(name).expanduser()
        return {path.name: hashlib.sha256(path.read_bytes()).hexdigest()}
    return mnist.checksums(mnist.SHIPPED if name == "mnist" else mnist.ALL)


def is_path(name: str | Path) -> bool:
    """Whether a data set is named by the path of an archive; raises ValueError for other names."""
    if isinstance(name, Path) or str(name).endswith(".npz"):
        return True
    if name in NAMES:
        return False
    near = difflib.get_close_matches(str(name), NAMES) or NAMES
    raise ValueError(
        f"data set {name!r} is unknown; did you mean {' or '.join(near)}? Data of your own is "
        "given by its path, and must end in .npz; numpy.savez(path, x_train=..., y_train=..., "
        "x_test=..., y_test=...) makes one"
    )
