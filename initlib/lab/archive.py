"""An .npz archive of images and labels, read without trust."""

from __future__ import annotations

import hashlib
import io
import zipfile
from pathlib import Path

import numpy as np

NEEDED = ("x_train", "y_train", "x_test", "y_test")

Arrays = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]


def read_archive(path: Path) -> tuple[Arrays, dict[str, str]]:
    """Read and check x_train, y_train, x_test and y_test.

    Parameters
    ----------
    path : Path
        An .npz file; nothing pickled in it is loaded.

    Returns
    -------
    arrays : tuple of ndarray
        In the order above.
    sha256 : dict
        Checksum of the file, by its name.

    Raises
    ------
    FileNotFoundError
        When there is no such file.
    ValueError
        Naming the array and what is wrong with it.
    """
    if not path.is_file():
        raise FileNotFoundError(f"there is no data file {path}")
    raw = path.read_bytes()
    x_train, y_train, x_test, y_test = _load(path, raw)
    for part, x, y in (("train", x_train, y_train), ("test", x_test, y_test)):
        _check_images(path, f"x_{part}", x)
        _check_labels(path, f"y_{part}", y, len(x))
    if x_train.shape[1:] != x_test.shape[1:]:
        raise ValueError(
            f"{path}: images of x_train are {x_train.shape[1:]}, those of x_test {x_test.shape[1:]}"
        )
    y_train, y_test = y_train.astype(np.int64), y_test.astype(np.int64)
    counts = np.bincount(y_train)
    if (counts == 0).any():
        missing = np.flatnonzero(counts == 0).tolist()
        raise ValueError(f"{path}: y_train has no image of class {_some(missing)}")
    if len(counts) < 2:
        raise ValueError(f"{path}: y_train has one class only; nothing is to be learned")
    if y_test.max() >= len(counts):
        raise ValueError(
            f"{path}: y_test has class {y_test.max()}, y_train only classes below {len(counts)}"
        )
    return (x_train, y_train, x_test, y_test), {path.name: hashlib.sha256(raw).hexdigest()}


def _load(path: Path, raw: bytes) -> Arrays:
    try:
        archive = np.load(io.BytesIO(raw), allow_pickle=False)
    except (ValueError, EOFError, OSError, zipfile.BadZipFile):
        raise ValueError(f"{path} is no .npz archive, or is damaged") from None
    if not isinstance(archive, np.lib.npyio.NpzFile):
        raise ValueError(f"{path} holds one array; save {', '.join(NEEDED)} with numpy.savez")
    with archive:
        missing = [name for name in NEEDED if name not in archive]
        if missing:
            raise ValueError(
                f"{path} lacks {', '.join(missing)}; it has {', '.join(archive.files) or 'nothing'}"
            )
        return tuple(_array(path, archive, name) for name in NEEDED)


def _array(path: Path, archive: np.lib.npyio.NpzFile, name: str) -> np.ndarray:
    try:
        return archive[name]
    except ValueError as error:
        raise ValueError(
            f"{path}: {name} can't be read without pickle; save it as an array of numbers ({error})"
        ) from None
    except Exception as error:
        raise ValueError(f"{path}: {name} is damaged ({error})") from None


def _check_images(path: Path, name: str, x: np.ndarray) -> None:
    if x.dtype.kind not in "buif":
        raise ValueError(f"{path}: {name} must hold real numbers, got {x.dtype}")
    if x.ndim < 2 or x.size == 0:
        raise ValueError(f"{path}: {name} must have shape (n, ...) without a zero, got {x.shape}")
    bad = ~np.isfinite(x.reshape(len(x), -1)).all(axis=1)
    if bad.any():
        images = np.flatnonzero(bad).tolist()
        raise ValueError(f"{path}: {name} has NaN or infinite pixels in image {_some(images)}")
    if np.abs(x).max() > np.finfo(np.float32).max:
        raise ValueError(f"{path}: {name} has pixels too large for float32")


def _check_labels(path: Path, name: str, y: np.ndarray, n: int) -> None:
    if y.dtype.kind not in "ui":
        raise ValueError(f"{path}: {name} must hold integers, got {y.dtype}; use .astype(int)")
    if y.shape != (n,):
        raise ValueError(
            f"{path}: {name} must have shape ({n},), one label an image; got {y.shape}"
        )
    if y.min() < 0:
        raise ValueError(f"{path}: {name} must count classes from 0, got {y.min()}")
    if y.max() >= 1_000_000:
        raise ValueError(f"{path}: {name} must count classes from 0 without gaps, got {y.max()}")


def _some(numbers: list[int]) -> str:
    return ", ".join(map(str, numbers[:5])) + (", ..." if len(numbers) > 5 else "")
