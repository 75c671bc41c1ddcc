"""How the variance of gradients changes from layer to layer, against mean-field theory."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
import torch

from initlib.lab.estimates import estimate
from initlib.meanfield import MeanField
from initlib.sampling import Key, normal, stream_key

__all__ = [
    "SETTINGS",
    "Course",
    "Setting",
    "course_table",
    "gradient_slopes",
    "phases",
    "slope_table",
]


class Setting(NamedTuple):
    """An activation and the scales of weights and biases: N(0, s_w^2 / fan_in), N(0, s_b^2)."""

    activation: str
    sigma_w: float
    sigma_b: float

    @property
    def name(self) -> str:
        """What it is called in tables."""
        return f"{self.activation} {self.sigma_w:.2f}"

    @property
    def log_chi(self) -> float:
        """What theory says that a layer adds to the log of the gradient's variance."""
        return float(np.log(MeanField(self.activation, self.sigma_w, self.sigma_b).chi_1))


class Course(NamedTuple):
    """How gradients went back.

    Attributes
    ----------
    slopes
        Shape (groups,): of the log of the variance, per layer towards the input.
    variance
        Shape (groups, depth): E (dL / dz)^2 of each layer, the last one first, over that of the
        last.
    """

    slopes: np.ndarray
    variance: np.ndarray


INPUTS = 8  # of each network, and as many functionals
_SIGMA_B = 0.05**0.5  # that of Schoenholz et al. 2017
SETTINGS = (
    *(Setting("tanh", s, _SIGMA_B) for s in (0.8, 1.0, 1.3270, 1.7, 2.5)),
    *(Setting("relu", s, 0.0) for s in (1.0, 1.2, 2**0.5, 1.7)),
)


def gradient_slopes(
    setting: Setting, *, width: int, depth: int, groups: int, networks: int, key: Key | int
) -> Course:
    """Measure how fast the variance of gradients grows on its way back through a random network.

    Signals start at the fixed point of theory, so that all layers are alike. Each network gets
    eight inputs, and for each the gradient of a random linear functional is followed back.

    Parameters
    ----------
    setting
        Of the network.
    width, depth
        Units of a layer, layers.
    groups, networks
        Groups of independent networks; the variance is a mean over the networks of a group, its
        logarithm is taken of that mean.
    key
        Seed.

    Returns
    -------
    Course
        Of each group.
    """
    activation, sigma_w, sigma_b = setting
    n = groups * networks
    shape = (n, INPUTS, width)

    def draw(std: float, size: tuple[int, ...], *name: str | int) -> torch.Tensor:
        values = normal(stream_key(key, setting.name, *name), 0, int(np.prod(size)), np.float32)
        return torch.from_numpy(values).view(size).mul_(std)

    h = draw(1.0, shape, "input")
    h *= _input_rms(setting) / h.square().mean(dim=-1, keepdim=True).sqrt()
    weights, slopes_at = [], []
    for layer in range(depth):
        w = draw(sigma_w / width**0.5, (n, width, width), "weights", layer)
        z = h @ w.mT + draw(sigma_b, (n, 1, width), "biases", layer)
        h = z.tanh() if activation == "tanh" else z.relu()
        weights.append(w)
        slopes_at.append(1 - h * h if activation == "tanh" else (z > 0).float())
    delta, seconds = draw(1.0, shape, "functional"), []
    for w, slope in zip(weights[::-1], slopes_at[::-1], strict=True):
        delta = delta * slope
        seconds.append(delta.double().square().mean(dim=(1, 2)))
        delta = delta @ w
    variance = torch.stack(seconds, dim=1).view(groups, networks, depth).mean(dim=1).numpy()
    slopes = np.polyfit(np.arange(depth), np.log(variance).T, 1)[0]
    return Course(slopes, variance / variance[:, :1])


def _input_rms(setting: Setting) -> float:
    """Root mean square of an input whose first layer has the fixed point's second moment."""
    if setting.activation == "relu":
        return 1.0  # a ReLU network is the same at any size
    q = float(MeanField(*setting).q_star)
    return float(np.sqrt(max(q - setting.sigma_b**2, 0.0))) / setting.sigma_w


def slope_table(courses: Mapping[Setting, Course]) -> pd.DataFrame:
    """Return measured and predicted slopes: setting, activation, log_chi, value, low and high."""
    rows = []
    for setting, course in courses.items():
        value, _, _, low, high, _ = estimate(course.slopes)
        rows.append((setting.name, setting.activation, setting.log_chi, value, low, high))
    return pd.DataFrame(rows, columns=["setting", "activation", "log_chi", "value", "low", "high"])


def course_table(courses: Mapping[Setting, Course]) -> pd.DataFrame:
    """Return every measured variance: group, layer (0 is the last), variance, setting, log_chi."""
    tables = []
    for setting, course in courses.items():
        groups, depth = course.variance.shape
        table = pd.DataFrame({"group": np.repeat(np.arange(groups), depth)})
        table = table.assign(layer=np.tile(np.arange(depth), groups))
        table = table.assign(variance=course.variance.ravel())
        tables.append(table.assign(setting=setting.name, log_chi=setting.log_chi))
    return pd.concat(tables, ignore_index=True)


def phases(settings: Sequence[Setting]) -> dict[str, list[Setting]]:
    """Sort settings by what gradients do in theory: vanish, keep their size, explode."""
    kinds: dict[str, list[Setting]] = {"vanish": [], "stay": [], "explode": []}
    for setting in settings:
        log_chi = setting.log_chi
        kind = "stay" if abs(log_chi) < 1e-3 else "vanish" if log_chi < 0 else "explode"
        kinds[kind].append(setting)
    return kinds
