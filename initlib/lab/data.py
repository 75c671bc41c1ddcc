"""Images and labels: MNIST as shipped, the full MNIST, or any .npz of one's own."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal, get_args

import numpy as np
import torch
from torch import Tensor

from initlib.lab import mnist
from initlib.lab.archive import read_archive
from initlib.lab.checksums import is_path

Scaling = Literal["standardized", "unit", "raw"]


@dataclass(frozen=True)
class Dataset:
    """Images and labels, split in two.

    Attributes
    ----------
    name : str
        The name or path it was loaded by.
    x_train, x_test : Tensor, float32, shape (n, ...)
        Images; (n, 28, 28) for MNIST.
    y_train, y_test : Tensor, int64, shape (n,)
        Labels from 0 to classes - 1.
    classes : int
        Number of classes.
    shift, scale : float
        The images are (raw - shift) / scale, one shift and one scale for all pixels.
    sha256 : dict
        Checksum of each file, of its decompressed content where it is compressed.
    """

    name: str
    x_train: Tensor = field(repr=False)
    y_train: Tensor = field(repr=False)
    x_test: Tensor = field(repr=False)
    y_test: Tensor = field(repr=False)
    classes: int
    shift: float
    scale: float
    sha256: dict[str, str] = field(repr=False)

    @property
    def chance(self) -> float:
        """Accuracy of guessing at random."""
        return 1 / self.classes

    @property
    def majority(self) -> float:
        """Test accuracy of always guessing the commonest class of the training images."""
        commonest = torch.bincount(self.y_train).argmax()
        return (self.y_test == commonest).double().mean().item()

    def flat(self) -> Dataset:
        """Return the same data with each image as one row of pixels."""
        return replace(self, x_train=self.x_train.flatten(1), x_test=self.x_test.flatten(1))

    def with_channels(self) -> Dataset:
        """Return the same data with images (channels, height, width), as convolutions take them."""
        if self.x_train.ndim != 3:
            return self
        return replace(self, x_train=self.x_train[:, None], x_test=self.x_test[:, None])


def load(name: str | Path = "mnist", scaling: Scaling = "standardized") -> Dataset:
    """Load a data set, every byte of it checked.

    Parameters
    ----------
    name : str or Path
        "mnist": 8000 training and 2000 test images, shipped with the repository.
        "mnist-60k": all 60,000 and 10,000, from ``$INITLIB_DATA``, from data/, or fetched once.
        Otherwise the path of an .npz with x_train, y_train, x_test and y_test: images (n, ...) of
        any shape, and integer labels (n,) from 0.
    scaling : {"standardized", "unit", "raw"}
        "standardized" gives the training pixels mean 0 and second moment 1, "unit" the range 0 to
        1, "raw" leaves them. Shift and scale come from the training images, all pixels together.

    Returns
    -------
    Dataset
        In the fixed order of the files.

    Raises
    ------
    ValueError
        For an unknown name or scaling, a corrupt file, or an archive with something wrong in it.
    FileNotFoundError
        When there is no such file, and none could be fetched.

    Examples
    --------
    >>> data = load("mnist")
    >>> data.x_train.shape, data.classes, round(data.majority, 4)
    (torch.Size([8000, 28, 28]), 10, 0.1265)

    The digits of scikit-learn, which isn't needed otherwise, as an archive of one's own:

    >>> from sklearn.datasets import load_digits  # doctest: +SKIP
    >>> y, x = load_digits().target, load_digits().images  # doctest: +SKIP
    >>> arrays = {"x_train": x[360:], "y_train": y[360:], "x_test": x[:360], "y_test": y[:360]}
    ... # doctest: +SKIP
    >>> np.savez("digits.npz", **arrays)  # doctest: +SKIP
    """
    if scaling not in get_args(Scaling):
        raise ValueError(
            f"scaling {scaling!r} is unknown; use one of {', '.join(get_args(Scaling))}"
        )
    if is_path(name):
        arrays, sha256 = read_archive(Path(name).expanduser())
    else:
        arrays, sha256 = mnist.shipped() if name == "mnist" else mnist.full()
    x_train, y_train, x_test, y_test = arrays
    shift, scale = _moments(x_train, scaling, name)
    return Dataset(
        str(name),
        _images(x_train, shift, scale),
        torch.from_numpy(y_train.astype(np.int64)),
        _images(x_test, shift, scale),
        torch.from_numpy(y_test.astype(np.int64)),
        int(y_train.max()) + 1,
        shift,
        scale,
        sha256,
    )


def _moments(x_train: np.ndarray, scaling: Scaling, name: str | Path) -> tuple[float, float]:
    if scaling == "raw":
        return 0.0, 1.0
    if scaling == "unit":
        shift, scale = float(x_train.min()), float(x_train.max()) - float(x_train.min())
    else:
        shift, scale = float(x_train.mean(dtype=np.float64)), float(x_train.std(dtype=np.float64))
    if scale == 0:
        raise ValueError(f"{name}: all pixels of x_train are equal, so they have no scale")
    return shift, scale


def _images(x: np.ndarray, shift: float, scale: float) -> Tensor:
    images = torch.from_numpy(x.astype(np.float32))
    return images.sub_(shift).div_(scale)
