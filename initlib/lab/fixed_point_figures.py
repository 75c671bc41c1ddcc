"""The figures on fixed points: LeCun's scaled tanh, and the self-normalizing SELU."""

from collections.abc import Mapping

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

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

LEAST_ERROR = (
    1e-10  # what is smaller is left out: the logistic function loses 50 orders in 40 layers
)
FIRST_STEP = 3  # before it, losses aren't averaged over enough steps to be smooth
ACTIVATIONS = {
    "lecun_tanh": ("1.7159 tanh(2z/3)", {"color": "#E69F00", "marker": "^"}),
    "tanh": ("tanh", {"color": "#666666", "marker": "s"}),
    "sigmoid": ("logistic", {"color": "#CC79A7", "marker": "v"}),
}
PATH = {"marker": ".", "markersize": 3, "linewidth": 0.5, "linestyle": "-"}
GAINS = {
    1.0: ("gain 1", scheme_style("lecun")),
    0.75: ("torch's 3/4", {"color": "#CC79A7", "marker": "v"}),
    2**0.5: (r"He's $\sqrt{2}$", scheme_style("he")),
}


def plot_lecun(
    settling: pd.DataFrame,
    errors: pd.DataFrame,
    curves: pd.DataFrame,
    fixed_point: float,
    chance: float,
) -> Figure:
    """Draw LeCun's rule at work: where signals settle, what gradients lose, and who trains.

    Parameters
    ----------
    settling
        Columns start (E x^2), layer, value, low, high and theory, of the scaled tanh.
    errors
        Columns activation (a key of `ACTIVATIONS`), layer, value, low, high and theory.
    curves
        Columns activation, seed, step and loss.
    fixed_point
        Of the second moment.
    chance
        Loss (nats) of a network that knows nothing.

    Returns
    -------
    Figure
        Two columns wide.
    """
    fig, axes = plt.subplots(1, 3, figsize=(PAGE, 2.35))
    _draw_settling(axes[0], settling, fixed_point)
    _draw_errors(axes[1], errors)
    _draw_losses(axes[2], curves, chance)
    words = "Pre-activations, scaled tanh", "Gradient", "Training on MNIST"
    for letter, ax, text in zip("abc", axes, words, strict=True):
        heading(ax, letter, text)
    return fig


def _draw_settling(ax: Axes, settling: pd.DataFrame, fixed_point: float) -> None:
    _, look = ACTIVATIONS["lecun_tanh"]
    for level in (1, fixed_point):
        reference_line(ax, level)
    for _, part in settling.groupby("start"):
        _draw_layers(ax, part, look)
    ax.set_yscale("log")
    ax.set_ylabel(r"$\mathrm{E}\,z_l^2$")
    last = settling.layer.max()
    direct_label(ax, "unit variance", (last, 1), offset=(-1, 6))
    direct_label(ax, f"fixed point {fixed_point:.3f}", (last, fixed_point), offset=(-1, -13))


def _draw_errors(ax: Axes, errors: pd.DataFrame) -> None:
    places = {"lecun_tanh": (0.5, (0, 9)), "tanh": (0.5, (0, -9)), "sigmoid": (0.88, (-5, 0))}
    for activation, part in errors.groupby("activation", sort=False):
        words, look = ACTIVATIONS[activation]
        shown = part[part.theory > LEAST_ERROR]
        _draw_layers(ax, shown, look)
        share, offset = places[activation]
        at = part.iloc[int(share * len(part))]
        direct_label(ax, words, (at.layer, at.theory), offset=offset, color=look["color"])
    ax.set_yscale("log")
    ax.set_ylim(LEAST_ERROR, 100)
    ax.set_xlim(right=errors.layer.max() + 1)
    ax.set_ylabel(r"$\Vert\partial f/\partial z_l\Vert^2$")


def _draw_layers(ax: Axes, part: pd.DataFrame, look: dict) -> None:
    ax.plot(part.layer, part.theory, color=look["color"], linewidth=1)
    points_with_interval(
        ax, part.layer, part.value, part.low, part.high, **look | {"markersize": 2.5}
    )
    ax.xaxis.set_major_locator(MaxNLocator(5, integer=True))
    ax.set_xlabel("layer $l$")


def _draw_losses(ax: Axes, curves: pd.DataFrame, chance: float) -> None:
    training_axis(ax, chance)
    for activation, part in curves[curves.step >= FIRST_STEP].groupby("activation"):
        draw_seeds(ax, part, color=ACTIVATIONS[activation][1]["color"])
    ax.set_ylabel("training loss (nats)")


def plot_selu(
    portrait: pd.DataFrame,
    moments: pd.DataFrame,
    stops: Mapping[float, tuple[float, float]],
    layers: pd.DataFrame,
) -> Figure:
    """Draw how SELU normalizes: the plane of mean and variance, second moments and gradients.

    Parameters
    ----------
    portrait
        Columns gain, start (a number), layer, mean and variance; layer 0 is the input.
    moments
        Columns mean and variance, of SELU under N(0, q), over a range of q.
    stops
        Mean and variance of the fixed point of each gain that has one.
    layers
        Columns gain (a key of `GAINS`), quantity ("second", "error"), layer, value, low, high and
        theory.

    Returns
    -------
    Figure
        Two columns wide.
    """
    fig, axes = plt.subplots(1, 3, figsize=(PAGE, 2.35))
    _draw_portrait(axes[0], portrait, moments, stops)
    labels = r"$\mathrm{E}\,h_l^2$", r"$\Vert\partial f/\partial z_l\Vert^2$"
    for ax, quantity, label in zip(axes[1:], ("second", "error"), labels, strict=True):
        for gain, part in layers[layers.quantity == quantity].groupby("gain"):
            words, look = GAINS[gain]
            _draw_layers(ax, part, look)
            at = part.iloc[int(0.7 * len(part))]
            if quantity == "second":
                spot = {"offset": (0, 10 if gain <= 1 else 14), "ha": "center"}
                direct_label(ax, words, (at.layer, at.theory), color=look["color"], **spot)
        ax.set_yscale("log")
        ax.set_ylabel(label)
    words = "Mean and variance", "Signal", "Gradient"
    for letter, ax, text in zip("abc", axes, words, strict=True):
        heading(ax, letter, text)
    return fig


def _draw_portrait(ax: Axes, portrait: pd.DataFrame, moments: pd.DataFrame, stops) -> None:
    ax.plot(moments["mean"], moments.variance, color="0.6", linewidth=0.8)
    for (gain, _), part in portrait.groupby(["gain", "start"]):
        look = GAINS[gain][1]
        ax.plot(part["mean"], part.variance, **look | PATH)
        ax.plot(*part[["mean", "variance"]].iloc[0], "o", color="black", fillstyle="none")
    for gain, (mean, variance) in stops.items():
        words, look = GAINS[gain]
        ax.plot(mean, variance, "o", color=look["color"], markersize=9, fillstyle="none")
        direct_label(ax, words, (mean, variance), offset=(-8, 5), color=look["color"])
    ax.set(yscale="log", xlim=(-1.2, 1.8), ylim=(0.015, 20))
    ax.set_xlabel("mean of $h_l$")
    ax.set_ylabel("variance of $h_l$")
