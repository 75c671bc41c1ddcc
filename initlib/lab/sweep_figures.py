"""The figure of a sweep over seed, width and depth; see `initlib.lab.sweep`."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from initlib.lab.figures import heading
from initlib.lab.gain_law import log_gain
from initlib.lab.looks import (
    PAGE,
    THEORY,
    direct_label,
    points_with_interval,
    reference_line,
    scheme_style,
)

# Where networks of several widths coincide, the smaller marker lies on the larger.
LOOKS = [("o", "white", 6), ("s", "#9ECAE1", 4.5), ("D", "#0072B2", 3), ("o", "black", 2)]
QUANTITIES = {
    "walk-mean": r"mean of $\log\,(q_L / q_0)$",
    "walk-spread": r"variance of $\log\,(q_L / q_0)$",
}


def plot_sweep(cells: pd.DataFrame, runs: pd.DataFrame) -> Figure:
    """Draw mean and variance of the log signal by depth over width, and the scores of all runs.

    Parameters
    ----------
    cells : DataFrame
        One row for each ``id`` ("walk-mean", "walk-spread"), ``width`` and ``depth``, with
        ``value`` and ``se``.
    runs : DataFrame
        One row for each measured value of each run, with ``id``, ``seed`` and ``z``, its distance
        from the prediction in standard errors.

    Returns
    -------
    Figure
        As wide as a page; up to four widths.
    """
    fig, axes = plt.subplots(1, 3, figsize=(PAGE, 2.3))
    widths = sorted(cells.width.unique())
    for ax, moment, (id, label) in zip(axes, (0, 1), QUANTITIES.items(), strict=False):
        _plot_collapse(ax, cells[cells.id == id], widths, moment)
        ax.set(ylabel=label, xlabel="depth / width, $L/n$")
    _plot_scores(axes[2], runs)
    for ax, letter, title in zip(axes, "abc", ("Mean", "Spread", "Seeds"), strict=True):
        heading(ax, letter, title)
    return fig


def _plot_collapse(ax: Axes, cells: pd.DataFrame, widths: list[int], moment: int) -> None:
    ratio = (cells.depth / cells.width).max() * 1.08
    limit = (-5 / 2, 5)[moment] * ratio
    ax.plot([0, ratio], [0, limit], color=THEORY, linewidth=0.8, linestyle=":", zorder=0)
    for width, (marker, face, size) in zip(widths, LOOKS, strict=False):
        own = cells[cells.width == width]
        # Theory is exact, and a straight line for each width.
        reach = 1.08 * own.depth.max() / width
        end = width * log_gain(int(width))[moment] * reach
        ax.plot([0, reach], [0, end], color=scheme_style("he")["color"], linewidth=0.8, zorder=1)
        half = 1.96 * own.se
        looks = {"marker": marker, "markerfacecolor": face, "color": "black", "markersize": size}
        x = own.depth / width
        points_with_interval(ax, x, own.value, own.value - half, own.value + half, **looks)
        ax.plot([], [], linestyle="none", label=f"width {width}", markeredgecolor="black", **looks)
    text = (r"$-\frac{5}{2}\,L/n$", r"$5\,L/n$")[moment]
    at = (0.72 * ratio, 0.72 * limit)
    direct_label(ax, text, at, offset=(6, (5, -6)[moment]), color=THEORY)
    ax.set_xlim(0, ratio)
    if moment:
        ax.legend(loc="upper left", handletextpad=0.2, borderaxespad=0.2)


def _plot_scores(ax: Axes, runs: pd.DataFrame) -> None:
    seeds = sorted(runs.seed.unique())
    for shift, (id, name), (marker, face, _) in zip(
        (-0.16, 0.16), (("walk-mean", "mean"), ("walk-spread", "spread")), LOOKS[::2], strict=False
    ):
        own = runs[runs.id == id]
        x = np.searchsorted(seeds, own.seed) + shift
        looks = {"marker": marker, "markerfacecolor": face, "markeredgecolor": "black"}
        ax.plot(x, own.z, linestyle="none", markersize=3.5, label=name, **looks)
    for bound in (-4, 4):
        reference_line(ax, bound)
    reference_line(ax, 0, linestyle="-")
    ax.annotate(
        "rejected beyond", (0.98, 4.15), xycoords=ax.get_yaxis_transform(), fontsize=7, ha="right"
    )
    ax.set(xlim=(-0.6, len(seeds) - 0.4), ylim=(-5.4, 5.4), xlabel="seed")
    ax.set_xticks(range(len(seeds)), [str(seed) for seed in seeds])
    ax.set_ylabel("standard errors from theory")
    ax.legend(loc="lower left", ncols=2, handletextpad=0.1, columnspacing=0.8, borderaxespad=0.2)
