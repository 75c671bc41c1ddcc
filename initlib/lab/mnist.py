"""The four MNIST files: found or fetched, and checked against the manifest before use."""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import tempfile
import zlib
from pathlib import Path

import numpy as np

from initlib.lab.archive import Arrays
from initlib.lab.paths import DATA

TEST_IMAGES, TEST_LABELS = "t10k-images-idx3-ubyte.gz", "t10k-labels-idx1-ubyte.gz"
TRAIN_IMAGES, TRAIN_LABELS = "train-images-idx3-ubyte.gz", "train-labels-idx1-ubyte.gz"
SHIPPED = (TEST_IMAGES, TEST_LABELS)
ALL = (TRAIN_IMAGES, TRAIN_LABELS, *SHIPPED)

EVERY = 5  # one in five of the shipped images is for testing


def shipped() -> tuple[Arrays, dict[str, str]]:
    """Return the t10k images as 8000 for training and 2000 for testing.

    The two halves of the file differ in difficulty: every fifth image, by position, draws on both.
    """
    images, labels = _images(TEST_IMAGES), _labels(TEST_LABELS)
    is_test = np.arange(len(images)) % EVERY == EVERY - 1
    arrays = (images[~is_test], labels[~is_test], images[is_test], labels[is_test])
    return arrays, checksums(SHIPPED)


def full() -> tuple[Arrays, dict[str, str]]:
    """Return the original 60,000 training and 10,000 test images."""
    images = [_images(name) for name in (TRAIN_IMAGES, TEST_IMAGES)]
    labels = [_labels(name) for name in (TRAIN_LABELS, TEST_LABELS)]
    return (images[0], labels[0], images[1], labels[1]), checksums(ALL)


def checksums(names: tuple[str, ...]) -> dict[str, str]:
    """Return the sha256 that the decompressed content of each file must have."""
    manifest = _manifest()
    return {name: manifest[name]["sha256"] for name in names}


def find(name: str) -> Path:
    """Return a file from ``$INITLIB_DATA`` or data/, fetching it where it is in neither.

    Parameters
    ----------
    name : str
        One of the four files.

    Returns
    -------
    Path
        Where it is. Its content isn't checked yet, unless it was fetched.

    Raises
    ------
    FileNotFoundError
        When no mirror could be reached, or none gave the right content.
    """
    own = os.environ.get("INITLIB_DATA")
    folders = [Path(own).expanduser(), DATA] if own else [DATA]
    for folder in folders:
        if (folder / name).is_file():
            return folder / name
    return _fetch(name, folders[0])


def _fetch(name: str, folder: Path) -> Path:
    import pooch  # only needed here, once

    tried = []
    folder.mkdir(parents=True, exist_ok=True)
    pooch.get_logger().setLevel("WARNING")
    with tempfile.TemporaryDirectory(prefix=".partial-", dir=folder) as scratch:
        path = Path(scratch) / name
        for url in _manifest()[name]["urls"]:
            try:
                # The mirrors differ in how they compressed; what counts is the content.
                pooch.retrieve(url, None, fname=name, path=scratch)
                _content(path)
            except (OSError, ValueError) as error:
                tried.append(f"{url}: {error}")
                path.unlink(missing_ok=True)  # pooch would take it for what the next one sent
                continue
            os.replace(path, folder / name)
            return folder / name
    raise FileNotFoundError(
        f"{name} is not in {folder}, and could not be fetched:\n  "
        + "\n  ".join(tried)
        + "\nPut it in data/ or in the folder that INITLIB_DATA names; the data set 'mnist' is "
        "shipped and needs no network."
    )


def _content(path: Path) -> bytes:
    """Decompress a file and check every byte."""
    try:
        raw = gzip.decompress(path.read_bytes())
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise ValueError(f"{path} is no gzip file, or is damaged ({error}); delete it") from None
    expected = _manifest()[path.name]["sha256"]
    found = hashlib.sha256(raw).hexdigest()
    if found != expected:
        raise ValueError(
            f"{path} is not what the manifest lists: its content has sha256 {found}, "
            f"expected {expected}; delete it"
        )
    return raw


def _images(name: str) -> np.ndarray:
    raw = _content(find(name))
    n, height, width = np.frombuffer(raw, ">i4", count=3, offset=4)
    return np.frombuffer(raw, np.uint8, offset=16).reshape(n, height, width)


def _labels(name: str) -> np.ndarray:
    return np.frombuffer(_content(find(name)), np.uint8, offset=8)


def _manifest() -> dict:
    return json.loads((DATA / "manifest.json").read_text(encoding="utf-8"))
