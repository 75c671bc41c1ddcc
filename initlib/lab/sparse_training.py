"""The figures on sparse weights in training: what becomes of the zeros, and of the network."""

from collections.abc import Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap, LogNorm
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter
from torch import Tensor

from initlib.lab.figures import (
    PAGE,
    direct_label,
    draw_seeds,
    heading,
    points_with_interval,
    reference_line,
    scheme_style,
    training_axis,
)

FIRST_STEP = 5  # before it, losses aren't averaged over enough steps to be smooth
THEORY = "#444444"
BLUE = "#0072B2"
ARMS = {
    "sparse": scheme_style("sparse") | {"linestyle": "-"},
    "dense": {"color": "#000000", "marker": "o", "markerfacecolor": "white", "linestyle": "--"},
    "xavier": scheme_style("xavier"),
    "unscaled": {"color": "#CC79A7", "marker": "v", "linestyle": "-"},
}
INPUTS = {
    "standardized": ("o", "standardized", (2, -10)),
    "zero to one": ("s", "pixels from 0 to 1", (8, -10)),
}
# What is written at a curve: words, the loss at which they stand, and their offset in points.
NAMES = {
    "logistic": {
        "sparse": ("sparse", 1.4, (8, 4)),
        "dense": ("dense", 1.2, (-8, -4)),
        "xavier": ("Xavier", 0, (-12, 8)),
    },
    "tanh": {
        "sparse": ("sparse / 4", 1.1, (8, 6)),
        "dense": ("dense", 1.5, (8, 6)),
        "xavier": ("Xavier", 1.2, (-6, -4)),
        "unscaled": ("sparse", 1.9, (6, 4)),
    },
}
# And at a line of gradients: words, where along the layers, and their offset.
LAYERS = {
    "sparse": ("sparse", 0.5, (-8, 9)),
    "dense": ("dense", 0.3, (4, -10)),
    "xavier": ("LeCun", 0.5, (8, -5)),
}


def plot_steps(unit: dict[str, Tensor], shares: pd.DataFrame, levels: Sequence[float]) -> Figure:
    """Draw one unit's weights before training, after a step and later, and how many aren't zero.

    Parameters
    ----------
    unit
        Weights of a unit onto an image, (rows, columns), at three times, by their names.
    shares
        Columns inputs (a key of `INPUTS`), step, value, low and high.
    levels
        Shares that theory predicts: after one step, for each kind of inputs; and in the long run.

    Returns
    -------
    Figure
        Two columns wide.
    """
    widths = {"width_ratios": [1, 1, 1, 1.7]}
    fig, axes = plt.subplots(1, 4, figsize=(PAGE, 1.9), gridspec_kw=widths)
    colors = ListedColormap(plt.get_cmap("Blues")(np.linspace(0.25, 1, 256)))
    for ax, (name, part) in zip(axes, unit.items(), strict=False):
        size = part.abs().numpy()
        shown = np.where(size > 0, size, np.nan)
        image = ax.imshow(shown, cmap=colors, norm=LogNorm(1e-6, 1), interpolation="nearest")
        ax.set_xticks([])
        ax.set_yticks([])
        ax.spines[["top", "right"]].set_visible(True)
        ax.set_xlabel(name)
    fig.colorbar(image, ax=axes[:3], label="size of a weight", shrink=0.75, extend="both")
    heading(axes[0], "a", "The weights of one unit onto the pixels")
    ax = axes[3]
    for inputs, part in shares.groupby("inputs", sort=False):
        marker, words, offset = INPUTS[inputs]
        spread = part.value, part.low, part.high
        points_with_interval(ax, part.step, *spread, color=BLUE, markersize=3, marker=marker)
        at = part.iloc[2]
        direct_label(ax, words, (at.step, at.value), offset=offset, color=BLUE)
    *first, ever = levels
    ax.hlines(first, 0.6, 1.6, color=THEORY, linewidth=1, zorder=0)
    reference_line(ax, ever)
    ax.set_xscale("symlog", linthresh=1)
    ax.set_xticks([0, 1, 10, 100], [0, 1, 10, 100])
    ax.set(xlim=(-0.2, 1.1 * shares.step.max()), ylim=(0, 1.04), xlabel="step")
    ax.set_ylabel("weights that aren't zero")
    ax.yaxis.set_major_formatter(PercentFormatter(1))
    heading(ax, "b", "All units")
    return fig


def plot_training(errors: pd.DataFrame, curves: dict[str, pd.DataFrame], chance: float) -> Figure:
    """Draw gradients by layer at the start, and training with two activations.

    Parameters
    ----------
    errors
        Columns arm (a key of `ARMS`), layer, value, low, high and theory.
    curves
        For "logistic" and "tanh" the curves, with columns arm, seed, step and loss.
    chance
        Loss (nats) of a network that knows nothing.

    Returns
    -------
    Figure
        Two columns wide.
    """
    fig, axes = plt.subplots(1, 3, figsize=(PAGE, 2.4))
    for arm, part in errors.groupby("arm", sort=False):
        look = ARMS[arm]
        axes[0].plot(part.layer, part.theory, color=THEORY, linewidth=0.8)
        aside = {"sparse": -0.08, "dense": 0.08}.get(arm, 0)
        gradient = part.value, part.low, part.high
        points_with_interval(axes[0], part.layer + aside, *gradient, **look)
        words, where, offset = LAYERS[arm]
        spot = part.iloc[int(where * len(part))]
        at, options = (spot.layer, spot.theory), {"offset": offset, "color": look["color"]}
        direct_label(axes[0], words, at, **options)
    axes[0].set(yscale="log", xlabel="layer $l$", ylabel=r"$\Vert\partial f/\partial z_l\Vert^2$")
    axes[0].xaxis.set_major_locator(MaxNLocator(6, integer=True))
    for ax, (activation, table) in zip(axes[1:], curves.items(), strict=True):
        training_axis(ax, chance)
        for arm, part in table[table.step >= FIRST_STEP].groupby("arm", sort=False):
            _draw_losses(ax, part, ARMS[arm], *NAMES[activation][arm])
    axes[1].set_ylabel("training loss (nats)")
    words = "Gradients, logistic", "Training, logistic", "Training, tanh"
    for letter, ax, text in zip("abc", axes, words, strict=True):
        heading(ax, letter, text)
    return fig


def _draw_losses(
    ax: Axes, part: pd.DataFrame, look: dict, words: str, level: float, offset
) -> None:
    median = draw_seeds(ax, part, color=look["color"], linestyle=look["linestyle"])
    at = median.index[median <= level].min() if (median <= level).any() else median.index[-1]
    direct_label(ax, words, (at, median[at]), offset=offset, color=look["color"])
