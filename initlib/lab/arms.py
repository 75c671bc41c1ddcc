"""What is trained, and what its training was like."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from initlib.lab.stack import DataScheme


@dataclass(frozen=True)
class Arm:
    """One network to train.

    Parameters
    ----------
    scheme : str or anything else that `initlib.initialize` takes, or DataScheme
        How its weights start; its biases start at zero, unless a scheme that looks at data says
        otherwise.
    lr : float
        Learning rate.
    seed : int
        Of the weights.
    batch_seed : int, optional
        Of the order of mini-batches; default: the same number. Arms of one batch seed see the same
        mini-batches, so that they can be compared in pairs.
    """

    scheme: str | Callable | DataScheme
    lr: float
    seed: int = 0
    batch_seed: int | None = None

    @property
    def order(self) -> int:
        """The seed of the order of mini-batches."""
        return self.seed if self.batch_seed is None else self.batch_seed


@dataclass(frozen=True)
class Trained:
    """What training was like, one entry an arm.

    Attributes
    ----------
    arms : tuple of Arm
        In the order they were given.
    losses : ndarray, shape (steps, arms)
        Cross-entropy (nats) of each mini-batch before its update; NaN once an arm has diverged.
    gradients : ndarray, shape (records, arms)
        Norm of the gradient of that loss, over all weights and biases, at steps 1, 1 + k, 1 + 2 k
        and so on, where k is the gradients_every of `train`; NaN likewise.
    accuracy : ndarray, shape (arms,)
        On the test images, after the last step; NaN for an arm that diverged.
    diverged : ndarray, shape (arms,)
        Step (from 1) whose loss was no longer finite or above the limit, else infinity.
    seconds : ndarray, shape (arms,)
        Wall-clock time: that of the arms trained in one program, shared equally among them.
    """

    arms: tuple[Arm, ...]
    losses: np.ndarray
    gradients: np.ndarray
    accuracy: np.ndarray
    diverged: np.ndarray
    seconds: np.ndarray

    def table(self) -> pd.DataFrame:
        """Return a row for each arm: scheme, lr, seed, accuracy and diverged."""
        names = [getattr(arm.scheme, "__name__", str(arm.scheme)) for arm in self.arms]
        columns = {"lr": [arm.lr for arm in self.arms], "seed": [arm.seed for arm in self.arms]}
        outcome = {"accuracy": self.accuracy, "diverged": self.diverged}
        return pd.DataFrame({"scheme": names, **columns, **outcome})
