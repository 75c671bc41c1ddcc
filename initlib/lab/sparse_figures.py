"""The figures on layers of sparse weights: how units differ, and which weights are counted."""

import math

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator, PercentFormatter

from initlib.lab.figures import (
    PAGE,
    direct_label,
    heading,
    points_with_interval,
    reference_line,
    scheme_style,
)

THEORY = "#444444"
BLUE = "#0072B2"
WORDS = {
    "normal": ("normal inputs", (9, 4)),
    "uniform": ("uniform", (4, -27)),
    "signs": ("±1", (9, -6)),
}
COLORS = {"sparse": scheme_style("sparse")["color"], "dense": "#000000"}
LAWS = {
    "normal": {"marker": "o"},
    "uniform": {"marker": "s"},
    "signs": {"marker": "^", "markerfacecolor": "white"},
}


def plot_units(sizes: pd.DataFrame, tails: pd.DataFrame, cosines: pd.DataFrame) -> Figure:
    """Draw how units of few weights differ: in size, in their tails, and from each other.

    Parameters
    ----------
    sizes
        From `size_table`, of "sparse" and "dense".
    tails, cosines
        From `tail_table` and `cosine_table`.

    Returns
    -------
    Figure
        Two columns wide.
    """
    fig, (left, middle, right) = plt.subplots(1, 3, figsize=(PAGE, 2.35))
    spots = {"sparse": ((1.3, 0.6), (7, 10)), "dense": ((1.1, 3.2), (7, 0))}
    for name, part in sizes.groupby("units", sort=False):
        color = COLORS[name]
        left.fill_between(
            part["size"], part.density, step="mid", color=color, alpha=0.25, linewidth=0
        )
        left.plot(part["size"], part.theory, color=color, linewidth=1)
        spot, offset = spots[name]
        direct_label(left, f"{name},\n{part.k.iloc[0]} weights", spot, offset=offset, color=color)
    left.set(xlabel="size of a unit, over its mean", ylabel="density", xlim=(0, 3), ylim=(0, None))
    for law, part in tails.groupby("law", sort=False):
        k = np.geomspace(part.k.min(), part.k.max(), 50)
        middle.plot(k, part.theory.iloc[0] * k[0] / k, color=THEORY, linewidth=0.8)
        spread = part.value, part.low, part.high
        points_with_interval(middle, part.k, *spread, color=BLUE, **LAWS[law])
        words, offset = WORDS[law]
        end = part.k.iloc[0], part.theory.iloc[0]
        direct_label(middle, words, end, offset=offset, color=BLUE)
    middle.set(ylabel="excess kurtosis", ylim=(-0.22, 1.08 * tails.high.max()))
    _draw_cosines(right, cosines)
    for ax, counts in ((middle, tails.k), (right, cosines.k)):
        ticks = sorted(counts.unique())
        ax.set(xscale="log", xlabel="weights of a unit, $k$")
        ax.set_xticks(ticks, ticks)
        ax.xaxis.set_minor_locator(NullLocator())
    words = "Units differ in size", "Heavier tails, or not", "No less alike on average"
    for letter, ax, text in zip("abc", (left, middle, right), words, strict=True):
        heading(ax, letter, text)
    return fig


def _draw_cosines(ax: Axes, cosines: pd.DataFrame) -> None:
    reference_line(ax, 1, linestyle="-")
    spread = cosines.value, cosines.low, cosines.high
    points_with_interval(ax, cosines.k, *spread, color=BLUE)
    ax.plot(cosines.k, cosines.apart, "s", color="0.6")
    n = cosines.k.max()
    k = np.unique(np.geomspace(1, n, 60).round().astype(int))
    ax.plot(k, [strangers(m, n) for m in k], color="0.6", linewidth=0.8)
    middle = cosines.k.iloc[len(cosines) // 2]
    words = r"mean squared correlation, $\times\,n$"
    direct_label(ax, words, (1, 1.1), offset=(-3, 0), color=BLUE, ha="left")
    at = middle, strangers(middle, n)
    direct_label(ax, "pairs without\na common input", at, offset=(6, 8), color="0.45")
    ax.set_ylim(0, 1.2)


def strangers(k: int, n: int) -> float:
    """Return the probability that two sets of k of n inputs have nothing in common."""
    return math.comb(n - k, k) / math.comb(n, k)


def plot_orientation(counts: pd.DataFrame, shares: pd.DataFrame, k: int) -> Figure:
    """Draw which way around the weights are counted, and the inputs that no unit reads.

    Parameters
    ----------
    counts
        Columns way ("incoming", "outgoing"), fixed ("rows", "columns"), count, share (measured) and
        theory.
    shares
        Columns n_in, n_out, value, low, high and theory: inputs that no unit reads.
    k
        The number that is fixed.

    Returns
    -------
    Figure
        Two columns wide.
    """
    fig, axes = plt.subplots(1, 3, figsize=(PAGE, 2.35))
    names = {"rows": "15 in\neach row", "columns": "torch: 15 in\neach column"}
    looks = {"rows": COLORS["sparse"], "columns": "#D55E00"}
    for ax, way in zip(axes, ("incoming", "outgoing"), strict=False):
        for fixed, part in counts[counts.way == way].groupby("fixed", sort=False):
            color, alone = looks[fixed], part.share.max() == 1
            ax.bar(part["count"], part.share, width=0.8, color=color, alpha=0.35)
            label = names[fixed].replace("15", str(k))
            if alone:
                ax.bar([k], [1], width=0.8, color=color)
                direct_label(ax, label, (k + 0.5, 0.27), color=color, va="top")
            else:
                ax.plot(part["count"], part.theory, color=color, linewidth=1)
                direct_label(ax, label, (1.25 * k, 0.085), offset=(3, 8), color=color)
        ax.set(ylim=(0, 0.28), xlim=(0, 2.2 * k), ylabel="share")
    axes[0].set_xlabel("incoming weights of a unit")
    axes[1].set_xlabel("outgoing weights of an input")
    _draw_unread(axes[2], shares)
    words = "What a unit reads", "What an input feeds", "Inputs that nobody reads"
    for letter, ax, text in zip("abc", axes, words, strict=True):
        heading(ax, letter, text)
    return fig


def _draw_unread(ax: Axes, shares: pd.DataFrame) -> None:
    for n_in, part in shares.groupby("n_in"):
        ax.plot(part.n_out, part.theory, color=THEORY, linewidth=0.8)
        points_with_interval(ax, part.n_out, part.value, part.low, part.high, color=BLUE)
        end = part.iloc[0]
        words = f"{n_in} inputs"
        direct_label(ax, words, (end.n_out, end.theory), offset=(6, 6), color=BLUE)
    ax.set(xscale="log", xlabel="units of the layer", ylim=(0, 1), ylabel="share of inputs")
    ticks = sorted(shares.n_out[shares.n_in == shares.n_in.max()])
    ax.set_xticks(ticks, ticks)
    ax.xaxis.set_minor_locator(NullLocator())
    ax.yaxis.set_major_formatter(PercentFormatter(1))
