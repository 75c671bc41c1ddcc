"""The figures on one layer: which rule keeps which direction, and how far one draw may lie."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator

from initlib.lab.estimates import estimate
from initlib.lab.figures import (
    COLUMN,
    PAGE,
    direct_label,
    heading,
    points_with_interval,
    reference_line,
    scheme_style,
)
from initlib.lab.gain_law import gain_quantile

RULES = {
    "fan_out": r"$1/n_\mathrm{out}$",
    "glorot": r"Glorot $2/(n_\mathrm{in}+n_\mathrm{out})$",
    "lecun": r"LeCun $1/n_\mathrm{in}$",
    "he": r"He $2/n_\mathrm{in}$",
}
RULE_LOOKS = {
    "fan_out": scheme_style("variance_scaling"),
    "glorot": scheme_style("glorot"),
    "lecun": scheme_style("lecun"),
    # A ring around LeCun's point: the two predictions are the same.
    "he": scheme_style("he") | {"markerfacecolor": "none", "markersize": 6.5},
}
LOSSES = {
    "above": "$\\Sigma_i\\, y_i$, but one layer\nfurther up (ReLU)",
    "sum": r"$L = \Sigma_i\, y_i$ (ReLU)",
    "square": r"$L = \Sigma_i\, y_i^2/2$ (linear)",
}
LOSS_LOOKS = {
    "above": {"color": "#000000", "marker": "o"},
    "sum": {"color": "#CC79A7", "marker": "s"},
    "square": {"color": "#009E73", "marker": "D"},
}
SIDESTEP = 1.35  # factor on the axis of shapes between neighbours that would hide each other
TICKS = 5  # shapes that are named on their axis
SINGLE_GAINS = 1 / 32, 6  # all but some of a thousand draws of a narrow layer
OPAQUE = 300  # draws for each width up to which the dots are opaque


def plot_fans(measured: pd.DataFrame, theory: pd.DataFrame) -> Figure:
    """Draw the gains of a layer by its shape, for each rule, above their distance from theory.

    Parameters
    ----------
    measured
        Columns rule (a key of `RULES`), direction ("forward", "backward"), n_in, n_out, gain, low,
        high and predicted.
    theory
        Columns rule, direction, n_in, n_out and predicted, on a fine grid of shapes.

    Returns
    -------
    Figure
        Two columns wide: forward at the left, backward at the right.
    """
    fig, axes = plt.subplots(
        2, 2, figsize=(PAGE, 3.9), sharex=True, sharey="row", height_ratios=[3, 1]
    )
    headings = {"forward": "Signal, output over input", "backward": "Gradient, input over output"}
    for letter, direction, column in zip("ab", headings, axes.T, strict=True):
        part = measured[measured.direction == direction]
        lines = theory[theory.direction == direction]
        _draw_gains(*column, part, lines, "rule", RULE_LOOKS)
        heading(column[0], letter, headings[direction])
        _shape_axis(column[1], measured)
    _name_rules(*axes[0])
    axes[0, 0].set_ylabel("gain of mean square")
    axes[0, 0].set_yticks([1 / 256, 1 / 16, 1, 16, 256], ["1/256", "1/16", "1", "16", "256"])
    axes[1, 0].set_ylabel("off theory (%)")
    return fig


def _draw_gains(
    gains: Axes,
    residuals: Axes,
    measured: pd.DataFrame,
    theory: pd.DataFrame,
    by: str,
    looks: dict[str, dict],
) -> None:
    """Theory as lines and measurement as points; below, the distance between them."""
    reference_line(gains, 1, color="0.8", linestyle="-")
    reference_line(residuals, 0, color="0.6", linestyle="-")
    for place, (name, look) in enumerate(looks.items()):
        line, part = theory[theory[by] == name], measured[measured[by] == name]
        shape = part.n_out / part.n_in
        if name != "he":
            gains.plot(line.n_out / line.n_in, line.predicted, color=look["color"], linewidth=1.4)
        points_with_interval(gains, shape, part.gain, part.low, part.high, zorder=3, **look)
        percent = [100 * (part[end] / part.predicted - 1) for end in ("gain", "low", "high")]
        step = SIDESTEP ** (place - (len(looks) - 1) / 2)
        points_with_interval(residuals, step * shape, *percent, **look | {"markersize": 2.5})
    gains.set(xscale="log", yscale="log")
    gains.yaxis.set_minor_locator(NullLocator())


def _shape_axis(ax: Axes, measured: pd.DataFrame) -> None:
    shapes = measured[["n_in", "n_out"]].drop_duplicates()
    shown = shapes.iloc[np.unique(np.linspace(0, len(shapes) - 1, TICKS).round().astype(int))]
    labels = [f"{_fraction(o / i)}\n{i}→{o}" for i, o in shown.to_numpy()]
    ax.set_xticks(shown.n_out / shown.n_in, labels)
    ax.xaxis.set_minor_locator(NullLocator())
    ax.set_xlabel(r"$n_\mathrm{out}/n_\mathrm{in}$  and layer")


def _fraction(ratio: float) -> str:
    return f"{ratio:g}" if ratio >= 1 else f"1/{1 / ratio:g}"


def _name_rules(forward: Axes, backward: Axes) -> None:
    places = {
        "fan_out": (forward, (1 / 24, 24), (8, 4)),
        "glorot": (backward, (300, 1), (-1, -8)),
        "lecun": (backward, (10, 10), (-8, 5)),
        "he": (backward, (64, 64), (-8, 5)),
    }
    for rule, (ax, point, offset) in places.items():
        name = RULES[rule] + (", with ReLU" if rule == "he" else "")
        direct_label(ax, name, point, offset=offset, color=RULE_LOOKS[rule]["color"])


def plot_spread(draws: pd.DataFrame, coverage: float = 0.99) -> Figure:
    """Draw the forward gain of single draws by the number of units, on the band of their law.

    Parameters
    ----------
    draws
        Columns rule ("lecun", "he"), a (1: linear, 0: ReLU), n_out, gain and predicted (the mean
        gain), one row a draw.
    coverage
        Share of the draws that the band should hold.

    Returns
    -------
    Figure
        Two columns wide: one panel for each pair of a rule and a layer, in the order of `draws`.
    """
    panels = list(draws.groupby(["rule", "a"], sort=False))
    fig, axes = plt.subplots(1, len(panels), figsize=(PAGE, 2.5), sharex=True, sharey=True)
    for letter, ((rule, a), part), ax in zip("abc", panels, axes, strict=False):
        color = scheme_style(rule)["color"]
        reference_line(ax, 1)
        _draw_law(ax, part, a, coverage, color)
        _draw_draws(ax, part, color)
        layer = {1: "linear", 0: "ReLU"}[a]
        heading(ax, letter, f"{RULES[rule]}, {layer}")
        ax.set_xlabel(r"units in the layer, $n_\mathrm{out}$")
    widths = sorted(draws.n_out.unique())
    axes[0].set(xscale="log", yscale="log", ylim=SINGLE_GAINS, ylabel="forward gain of one draw")
    axes[0].set_xticks(widths[:: max(1, len(widths) // 4)], minor=False)
    axes[0].set_xticklabels([f"{width:g}" for width in axes[0].get_xticks()])
    axes[0].set_yticks([1 / 16, 1 / 4, 1, 4], ["1/16", "1/4", "1", "4"])
    for axis in (axes[0].xaxis, axes[0].yaxis):
        axis.set_minor_locator(NullLocator())
    return fig


def _draw_law(ax: Axes, part: pd.DataFrame, a: int, coverage: float, color: str) -> None:
    mean, tails = part.predicted.iloc[0], (1 - coverage) / 2
    widths = np.geomspace(0.7 * part.n_out.min(), 1.4 * part.n_out.max(), 60).astype(int)
    low, high = ([mean * gain_quantile(p, n, a) for n in widths] for p in (tails, 1 - tails))
    ax.fill_between(widths, low, high, color=color, alpha=0.18, linewidth=0)
    ax.plot(widths, np.full(len(widths), mean), color=color)
    variance = {1: 2, 0: 5}[a]
    words = f"mean {_fraction(mean)}\nrelative variance ${variance}/n_\\mathrm{{out}}$"
    direct_label(ax, words, (part.n_out.max(), 1 / 12), offset=(8, 0), ha="right")


def _draw_draws(ax: Axes, part: pd.DataFrame, color: str) -> None:
    gains = part.groupby("n_out").gain
    place = gains.cumcount() / gains.transform("size") - 0.5
    dots = {"color": color, "markersize": 1.2, "alpha": min(1, OPAQUE / gains.size().max()) ** 0.5}
    ax.plot(part.n_out * 1.7**place, part.gain, ".", rasterized=True, **dots)
    means = pd.DataFrame({n_out: estimate(values)[:5] for n_out, values in gains}).T
    points_with_interval(
        ax, means.index, means[0], means[3], means[4], color="black", markersize=2, zorder=3
    )


def plot_broken(measured: pd.DataFrame, theory: pd.DataFrame) -> Figure:
    """Draw the backward gain over its textbook value by the layer's shape, for each loss.

    Parameters
    ----------
    measured
        Columns loss (a key of `LOSSES`), n_in, n_out, gain, low, high and predicted, where the
        last four are divided by the textbook's gain.
    theory
        Columns loss, n_in, n_out and predicted, on a fine grid of shapes.

    Returns
    -------
    Figure
        One column wide.
    """
    fig, axes = plt.subplots(2, 1, figsize=(COLUMN, 3.4), sharex=True, height_ratios=[3, 1])
    _draw_gains(*axes, measured, theory, "loss", LOSS_LOOKS)
    places = {
        "above": ((12, 1), (0, 13)),
        "sum": ((20, 7.4), (6, -5)),
        "square": ((20, 21), (-6, 5)),
    }
    for loss, (point, offset) in places.items():
        direct_label(axes[0], LOSSES[loss], point, offset=offset, color=LOSS_LOOKS[loss]["color"])
    axes[0].set_yticks([1, 4, 16, 64, 256], ["1", "4", "16", "64", "256"])
    axes[0].set_ylabel("backward gain / textbook")
    axes[1].set_ylabel("off theory (%)")
    _shape_axis(axes[1], measured)
    return fig
