"""The figures on random weights: the scale, the law, and the defaults of torch."""

from collections.abc import Mapping

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, NullLocator

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
RAMP = ("#0072B2", "#009E73", "#000000", "#E69F00", "#D55E00")  # from small to large
LAWS = {"normal": {"marker": "o"}, "uniform": {"marker": "s", "markerfacecolor": "white"}}
STARTS = {
    "he": ("He", scheme_style("he")),
    "default": ("torch's default", {"color": "#CC79A7", "marker": "v", "linestyle": "-"}),
    "no bias": (
        "its weights,\nzero biases",
        {"color": "#444444", "marker": "s", "linestyle": "--"},
    ),
}


def plot_scale(
    signals: pd.DataFrame,
    gains: pd.DataFrame,
    steps: pd.DataFrame,
    level: float,
    marked: Mapping[str, tuple[float, float]],
) -> Figure:
    """Draw what a fixed standard deviation does: to signals by depth, by width, and in training.

    Parameters
    ----------
    signals
        From `relu_table`; name is written at the end of each curve.
    gains
        From `gain_table`, forward.
    steps
        Columns factor (std over He's), seed, steps (infinite: not within the budget) and budget.
    level
        Loss (nats) at which training counts as begun.
    marked
        Names of networks and the range of their widths, drawn thick at the smallest deviation.

    Returns
    -------
    Figure
        Two columns wide.
    """
    fig, axes = plt.subplots(1, 3, figsize=(PAGE, 2.4))
    _draw_signals(axes[0], signals)
    _draw_gains(axes[1], gains)
    _mark(axes[1], gains["std"].min(), marked)
    _draw_steps(axes[2], steps)
    axes[2].set_ylabel(f"steps to loss {level:g}")
    words = "Signal by depth", "Gain of a layer by width", "Training on MNIST"
    for letter, ax, text in zip("abc", axes, words, strict=True):
        heading(ax, letter, text)
    return fig


def _draw_signals(ax: Axes, signals: pd.DataFrame) -> None:
    for color, (name, part) in zip(RAMP, signals.groupby("name", sort=False), strict=False):
        ax.plot(part.layer, part.theory, color=color, linewidth=1)
        points_with_interval(
            ax, part.layer, part.value, part.low, part.high, color=color, markersize=2.5
        )
        end = part.layer.iloc[-1], part.theory.iloc[-1]
        direct_label(ax, name, end, color=color)
    ax.set(yscale="log", xlabel="layer $l$", ylabel=r"$\mathrm{E}\,h_l^2$")
    ax.set_xlim(right=1.45 * signals.layer.max())  # room for the names
    step = 2 if signals.layer.max() <= 12 else 4
    ax.set_xticks(np.arange(step, signals.layer.max() + 1, step))


def _draw_gains(ax: Axes, gains: pd.DataFrame) -> None:
    reference_line(ax, 1)
    # As far as the width at which the smallest standard deviation has gain one.
    widths = np.array([gains.n_in.min(), max(gains.n_in.max(), 3 / gains["std"].min() ** 2)])
    for color, (std, part) in zip(RAMP[::2], gains.groupby("std"), strict=False):
        ax.plot(widths, widths * std**2 / 2, color=color, linewidth=1)
        for law, one in part.groupby("law"):
            aside = {"normal": 0.87, "uniform": 1.15}[law]
            gain = one.gain, one.low, one.high
            points_with_interval(ax, aside * one.n_in, *gain, color=color, **LAWS[law])
        end = widths[1], widths[1] * std**2 / 2
        direct_label(ax, rf"$\sigma$ = {std:g}", end, color=color)
    ax.set(xscale="log", yscale="log", xlabel="width $n$", ylabel="forward gain, ReLU")
    ax.set_xlim(right=40 * widths[1])  # room for the names
    ax.set_xticks([100, 10_000])
    ax.xaxis.set_minor_locator(NullLocator())


def _mark(ax: Axes, std: float, marked: Mapping[str, tuple[float, float]]) -> None:
    for name, ends in marked.items():
        widths = np.array(ends)
        gains = widths * std**2 / 2
        ax.plot(widths, gains, color=RAMP[0], linewidth=4, alpha=0.35, solid_capstyle="butt")
        direct_label(ax, name, (widths[1], gains[1]), offset=(2, -8), color=RAMP[0])


def _draw_steps(ax: Axes, steps: pd.DataFrame) -> None:
    reached = np.minimum(steps.steps, steps.budget)
    middle = reached.groupby(steps.factor).median()
    ax.axvline(1, ymax=0.85, color="0.6", linestyle=":", linewidth=0.8)
    ax.plot(middle.index, middle, color="0.6", linewidth=0.8)
    late = np.isinf(steps.steps)
    ax.plot(steps.factor[~late], reached[~late], ".", color="black", markersize=4)
    ax.plot(steps.factor[late], reached[late], "^", color="black", markerfacecolor="white")
    if late.any():
        last = steps[late].factor.idxmax()
        spot = steps.factor[last], reached[last]
        direct_label(ax, "not within\nthe budget", spot, offset=(-7, -1))
    ax.set(xscale="log", yscale="log", xlabel="standard deviation over He's")
    factors = sorted(steps.factor.unique())
    ax.set_xticks(factors, [f"{factor:.2g}" for factor in factors])
    ax.xaxis.set_minor_locator(NullLocator())
    ticks = [n for n in (20, 50, 100, 200, 500) if 0.8 * middle.min() < n < 1.3 * middle.max()]
    ax.set_yticks(ticks, ticks)
    ax.yaxis.set_minor_locator(NullLocator())


def plot_default(layers: pd.DataFrame, curves: pd.DataFrame, chance: float) -> Figure:
    """Draw the defaults of torch's linear layers: signals, what they say of the input, training.

    Parameters
    ----------
    layers
        Columns start ("default", "no bias"), quantity ("pre", "share"), layer, value, low, high and
        theory.
    curves
        Columns start (a key of `STARTS`), seed, step and loss.
    chance
        Loss (nats) of a network that knows nothing.

    Returns
    -------
    Figure
        Two columns wide.
    """
    fig, axes = plt.subplots(1, 3, figsize=(PAGE, 2.4))
    for ax, quantity in zip(axes, ("pre", "share"), strict=False):
        for start, part in layers[layers.quantity == quantity].groupby("start"):
            look = STARTS[start][1]
            ax.plot(part.layer, part.theory, color=look["color"], linewidth=1)
            points_with_interval(
                ax, part.layer, part.value, part.low, part.high, markersize=3, **look
            )
        ax.set(yscale="log", xlabel="layer $l$")
        ax.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    for start, spot in {"default": (0, 8), "no bias": (-4, -8)}.items():
        words, look = STARTS[start]
        part = layers[(layers.quantity == "pre") & (layers.start == start)]
        at = part.iloc[len(part) // 2]
        ha = "center" if spot[0] == 0 else "right"
        direct_label(axes[0], words, (at.layer, at.theory), offset=spot, color=look["color"], ha=ha)
    axes[0].set_ylabel(r"$\mathrm{E}\,z_l^2$")
    axes[1].set_ylabel("share that the input decides")
    _draw_losses(axes[2], curves, chance)
    words = "Pre-activations", "What they say of the input", "Training on MNIST"
    for letter, ax, text in zip("abc", axes, words, strict=True):
        heading(ax, letter, text)
    return fig


def _draw_losses(ax: Axes, curves: pd.DataFrame, chance: float) -> None:
    training_axis(ax, chance, log=False)
    for start, (words, look) in STARTS.items():
        part = curves[(curves.start == start) & (curves.step >= FIRST_STEP)]
        median = draw_seeds(ax, part, color=look["color"], linestyle=look["linestyle"])
        level = {"he": 0.33, "default": 0.75, "no bias": 0.45}[start] * chance
        at = median.index[median < level].min()
        direct_label(ax, words, (at, level), offset=(10, 7), color=look["color"])
    ax.set(xlim=(0, curves.step.max()), ylabel="training loss (nats)")


def plot_law(kurtosis: pd.DataFrame, differences: pd.DataFrame, margin: float) -> Figure:
    """Draw how little the law of the weights matters: to a sum of them, and in training.

    Parameters
    ----------
    kurtosis
        Columns law, n, value, low, high and theory.
    differences
        From `loss_differences`, with columns mean, low and high of each rate.
    margin
        The largest mean difference that doesn't matter.

    Returns
    -------
    Figure
        Two columns wide.
    """
    fig, (sums, training) = plt.subplots(
        1, 2, figsize=(PAGE, 2.4), gridspec_kw={"width_ratios": [1, 1.3]}
    )
    for law, part in kurtosis.groupby("law"):
        sums.plot(part.n, part.theory, color="0.6", linewidth=1)
        points_with_interval(
            sums, part.n, part.value, part.low, part.high, color="black", **LAWS[law]
        )
        last = part.iloc[0]
        direct_label(sums, law, (last.n, last.value), offset=(9, 8 if law == "normal" else 1))
    sums.set(xscale="log", xlabel="weights in the sum", ylabel="excess kurtosis of the sum")
    counts = sorted(kurtosis.n.unique())
    sums.set_xticks(counts, counts)
    sums.xaxis.set_minor_locator(NullLocator())
    _draw_differences(training, differences, margin)
    heading(sums, "a", "A unit forgets the law of its weights")
    heading(training, "b", "Uniform against normal, MNIST")
    return fig


def _draw_differences(ax: Axes, differences: pd.DataFrame, margin: float) -> None:
    ax.axhspan(np.exp(-margin), np.exp(margin), color="0.93", linewidth=0)
    reference_line(ax, 1, linestyle="-", color="0.6")
    for place, (_, part) in enumerate(differences.groupby("lr")):
        spread = np.linspace(-0.25, 0.1, len(part))
        ax.plot(place + spread, np.exp(part.difference), ".", color="#0072B2", markersize=3)
        mean = part[["mean", "low", "high"]].iloc[0]
        points_with_interval(
            ax, [place + 0.25], *(np.exp([value]) for value in mean), color="black", elinewidth=1.6
        )
    rates = sorted(differences.lr.unique())
    ax.set_xticks(range(len(rates)), [f"{rate:g}" for rate in rates])
    ax.set(yscale="log", xlabel="learning rate", ylabel="loss, uniform over normal")
    ax.set_xlim(-0.5, len(rates) - 0.5)
    ticks = (0.5, 0.67, 0.8, 1, 1.25, 1.5, 2)
    ax.set_yticks(ticks, [f"{tick:g}" for tick in ticks])
    ax.yaxis.set_minor_locator(NullLocator())
