"""The figures on Xavier's rule: two starts, and what training makes of them."""

import math
from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import (
    LogLocator,
    MaxNLocator,
    NullFormatter,
    NullLocator,
    StrMethodFormatter,
)

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

FIRST_STEP = 5  # before it, losses aren't yet averaged over enough steps to be smooth
XAVIER, STANDARD = scheme_style("xavier"), {"color": "#000000", "marker": "v", "linestyle": "-"}
STANDARDIZED = XAVIER | {"marker": "D", "markerfacecolor": "white"}
LOOKS = {
    "standard": STANDARD,
    "xavier": XAVIER,
    "xavier, standardized": STANDARDIZED,
}
# By start and scale of the pixels: words, and where the factor stands in the panel of signals.
WORDS = {
    "standard": ("standard", (-5, -7), "right"),
    "xavier": ("Xavier, pixels\nin [0, 1]", (0, -8), "center"),
    "xavier, standardized": ("Xavier, pixels\nstandardized", (0, 8), "center"),
}
# By arm: the look, words, and where they stand: the loss at which the median passes them (0: at the
# end), the offset in points, and the alignment.
ARMS = {
    "xavier": (XAVIER, "Xavier", 1.5, (6, 3), "left"),
    "standard": (STANDARD, "standard", 0, (0, 7), "right"),
    "logistic": (XAVIER, "Xavier", 0, (0, 9), "right"),
    "scaled": ({"color": "#56B4E9"}, "4 × Xavier", 2.0, (6, 3), "left"),
    "twin": ({"color": "#0072B2"}, "4 × Xavier,\ncentred", 1.5, (-8, -4), "right"),
}


def plot_starts(table: pd.DataFrame) -> Figure:
    """Draw signals, gradients and weight gradients under both starts, layer by layer.

    Parameters
    ----------
    table
        Columns start (a key of `LOOKS`), quantity ("signal", "gradient", "weight"), layer, value,
        low, high and theory.

    Returns
    -------
    Figure
        Two columns wide, three panels.
    """
    fig, axes = plt.subplots(1, 3, figsize=(PAGE, 2.4))
    headings = {
        "signal": ("Activations", "rms of $h_l$"),
        "gradient": ("Gradients, going back", r"norm of $\partial f/\partial z_l$"),
        "weight": ("Weight gradients", r"rms of the entries of $\partial f/\partial W_l$"),
    }
    for letter, ax, (quantity, words) in zip("abc", axes, headings.items(), strict=True):
        for start, part in table[table.quantity == quantity].groupby("start", sort=False):
            look = LOOKS[start]
            dashed = "--" if look is STANDARDIZED else "-"
            ax.plot(part.layer, part.theory, dashed, color=look["color"], linewidth=1)
            points_with_interval(ax, part.layer, part.value, part.low, part.high, **look)
        ax.set(yscale="log", xlabel="hidden layer $l$", ylabel=words[1], xlim=(0.6, 5.4))
        ax.xaxis.set_major_locator(MaxNLocator(integer=True))
        plain_decades(ax)
        heading(ax, letter, words[0])
    _label_starts(axes, table.set_index(["quantity", "start", "layer"]).theory)
    return fig


def _label_starts(axes: Sequence[Axes], at: pd.Series) -> None:
    """Say what a layer does, and whose line it is."""
    for ax, quantity, ends in zip(axes, ("signal", "gradient"), ((1, 5), (5, 1)), strict=False):
        for start, (_, offset, across) in WORDS.items():
            factor = (at[quantity, start, ends[1]] / at[quantity, start, ends[0]]) ** 0.25
            text = r"$\div\sqrt{3}$ a layer" if start == "standard" else f"× {factor:.2f}"
            if quantity == "gradient":
                offset, across = ((0, 8), "center") if start == "xavier" else ((5, -7), "left")
            color = LOOKS[start]["color"]
            direct_label(
                ax, text, (3, at[quantity, start, 3]), offset=offset, color=color, ha=across
            )
    offsets = {"standard": 8, "xavier": -12, "xavier, standardized": 13}
    for start, (words, *_) in WORDS.items():
        spot, color = (3, at["weight", start, 3]), LOOKS[start]["color"]
        direct_label(axes[2], words, spot, offset=(0, offsets[start]), color=color, ha="center")
    low, high = axes[2].get_ylim()
    axes[2].set_ylim(low / 1.3, 1.8 * high)


def plain_decades(ax: Axes) -> None:
    """Label a logarithmic axis of y with plain numbers, at 1, 2, 5 where there is room."""
    ax.yaxis.set_major_locator(LogLocator(10, (1, 2, 5) if _decades(ax) < 2 else (1,)))
    ax.yaxis.set_major_formatter(StrMethodFormatter("{x:.10g}"))
    ax.yaxis.set_minor_formatter(NullFormatter())


def _decades(ax: Axes) -> float:
    low, high = ax.get_ylim()
    return math.log10(high / low)


def plot_training(
    errors: pd.DataFrame, curves: Mapping[str, pd.DataFrame], level: float, chance: float
) -> Figure:
    """Draw test errors by budget, and training of deep tanh networks and of logistic ones.

    Parameters
    ----------
    errors
        Columns scheme ("standard", "xavier"), budget (steps), value, low and high, in percent.
    curves
        By the heading of the panel, two of them: columns scheme (a key of `ARMS`), seed, step and
        loss.
    level, chance
        Losses (nats) at which training counts as begun, and of a network that knows nothing.

    Returns
    -------
    Figure
        Two columns wide, three panels.
    """
    fig, axes = plt.subplots(1, 3, figsize=(PAGE, 2.4))
    for scheme, part in errors.groupby("scheme"):
        look, words, *_ = ARMS[scheme]
        axes[0].plot(part.budget, part.value, color=look["color"], linewidth=0.8)
        points_with_interval(axes[0], part.budget, part.value, part.low, part.high, **look)
        spot = part.budget.iloc[0], part.value.iloc[0]
        offset = (8, 3) if scheme == "standard" else (-3, -12)
        direct_label(axes[0], words, spot, offset=offset, color=look["color"], ha="left")
    axes[0].set(xscale="log", yscale="log", xlabel="steps of training", ylabel="test error (%)")
    axes[0].set_xticks(errors.budget.unique(), [f"{n}" for n in errors.budget.unique()])
    axes[0].xaxis.set_minor_locator(NullLocator())
    plain_decades(axes[0])
    heading(axes[0], "a", "tanh, 6 layers")
    for letter, ax, (words, table) in zip("bc", axes[1:], curves.items(), strict=True):
        _draw_losses(ax, table, level, chance)
        heading(ax, letter, words)
    axes[1].set_ylabel("training loss (nats)")
    return fig


def _draw_losses(ax: Axes, curves: pd.DataFrame, level: float, chance: float) -> None:
    training_axis(ax, chance, top=1.3)
    reference_line(ax, level, f"loss {level:g}")
    for scheme, part in curves[curves.step >= FIRST_STEP].groupby("scheme"):
        look, words, height, offset, across = ARMS[scheme]
        median = draw_seeds(ax, part, color=look["color"])
        below = median.index[median < height]
        spot = (below[0], height) if len(below) else (median.index[-1], median.iloc[-1])
        direct_label(ax, words, spot, offset=offset, color=look["color"], ha=across)
