"""The figures of the shootout: ranks with a critical difference, and steps beside theory."""

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MultipleLocator, NullFormatter, ScalarFormatter

from initlib.lab.figures import PAGE, heading
from initlib.lab.looks import THEORY
from initlib.lab.shootout_ranks import Overall
from initlib.lab.shootout_schemes import SCHEMES

__all__ = ["LIMIT", "plot_ranks", "plot_theory"]

LIMIT = 6.0  # in units of xi: the rule of thumb of Schoenholz et al. 2017
NOTE = {"fontsize": 6.5, "color": THEORY, "va": "top"}
KINDS = {"mlp": ("#0072B2", "o"), "cnn": ("#D55E00", "s")}
GROUPS = {
    "independent weights": ("#0072B2", "o"),
    "orthogonal": ("#009E73", "D"),
    "scaled on data": ("#CC79A7", "v"),
}


def group_of(scheme: str) -> str:
    """Return which of the `GROUPS` a scheme belongs to."""
    if scheme.startswith("lsuv"):
        return "scaled on data"
    return "orthogonal" if scheme.startswith("orthogonal") else "independent weights"


def plot_ranks(all_: Overall, by_depth: Mapping[int, Mapping[str, Overall]]) -> Figure:
    """Draw mean ranks with their intervals: over all networks, and for each depth and kind.

    Parameters
    ----------
    all_
        Over all networks. Its critical difference is the band from the best rank on: schemes in it
        aren't told from the best.
    by_depth
        For each depth and kind of network.

    Returns
    -------
    Figure
        Two columns wide.
    """
    order = list(all_.table.index)
    rows = pd.Series(range(len(order)), order)
    ratios = {"width_ratios": [1.6] + [1] * len(by_depth)}
    fig, axes = plt.subplots(
        1,
        1 + len(by_depth),
        figsize=(PAGE, 0.9 + 0.17 * len(order)),
        sharey=True,
        gridspec_kw=ratios,
    )
    first = axes[0]
    best = all_.table.value.iloc[0]
    if np.isfinite(all_.difference):
        first.axvspan(best, best + all_.difference, color="0.9", zorder=0, linewidth=0)
        words = f"grey: not told\nfrom the best\n(critical dif-\nference {all_.difference:.1f})"
        place = (best + all_.difference, -0.3)
        first.annotate(words, place, xytext=(3, 0), textcoords="offset points", **NOTE)
    _points(first, all_.table, rows, color="black", marker="o")
    heading(first, "a", "All networks")
    several = len({kind for tables in by_depth.values() for kind in tables}) > 1
    for ax, letter, (depth, tables) in zip(axes[1:], "bcdefg", by_depth.items(), strict=False):
        aside = np.linspace(-0.16, 0.16, len(tables)) if len(tables) > 1 else [0.0]
        for shift, (kind, found) in zip(aside, tables.items(), strict=True):
            color, marker = KINDS[kind]
            _points(ax, found.table, rows + shift, color=color, marker=marker, label=kind.upper())
        heading(ax, letter, f"{depth} hidden layers")
    if several:
        axes[-1].legend(loc="upper right", handletextpad=0.2)
    first.set_yticks(rows, [SCHEMES[name].label for name in order])
    first.set_ylim(len(order) - 0.5, -0.5)
    for ax in axes:
        ax.grid(axis="y", color="0.92", linewidth=0.5)
        ax.tick_params(axis="y", length=0)
        ax.xaxis.set_major_locator(MultipleLocator(4))
        ax.set_xlim(0.5, len(order) + 0.5)
        ax.set_xlabel("mean rank (1 = first)")
    return fig


def _points(ax: Axes, table: pd.DataFrame, rows: pd.Series, **look) -> None:
    table = table.dropna(subset=["value"])
    reach = np.maximum([table.value - table.low, table.high - table.value], 0)
    ax.errorbar(table.value, rows[table.index], xerr=reach, ls="none", elinewidth=0.8, **look)


def plot_theory(table: pd.DataFrame, depths: Sequence[int]) -> Figure:
    """Draw steps until training began against the depth in units of xi.

    Parameters
    ----------
    table
        From `theory_table`.
    depths
        A panel each.

    Returns
    -------
    Figure
        Two columns wide. Arrows up are runs of which at least one in two didn't begin.
    """
    fig, axes = plt.subplots(1, len(depths), figsize=(PAGE, 2.6), sharey=True, squeeze=False)
    for ax, letter, depth in zip(axes[0], "abcdefg", depths, strict=False):
        own = table[table.depth == depth]
        budget = own.budget.max()
        ax.axvline(LIMIT, color=THEORY, linewidth=1)
        ax.axhline(budget, color=THEORY, linewidth=0.8, linestyle=":")
        for group, (color, marker) in GROUPS.items():
            mine = own[own.scheme.map(group_of) == group]
            begun = mine[mine.reached > 0.5]
            ax.plot(
                begun.lengths,
                begun.steps,
                color=color,
                marker=marker,
                linestyle="none",
                alpha=0.75,
                markeredgecolor="white",
                markeredgewidth=0.3,
                label=group,
            )
            lost = mine[mine.reached <= 0.5]
            # Spread over a strip above the budget, since they all would lie on one line.
            above = budget * 1.15 * 1.7 ** np.linspace(0, 1, max(len(lost), 2))[: len(lost)]
            ax.plot(
                lost.lengths,
                above,
                color=color,
                marker="^",
                linestyle="none",
                markerfacecolor="white",
                markersize=3,
            )
        ax.set_xscale("symlog", linthresh=1, linscale=0.5)
        ax.set_yscale("log")
        ax.set_xticks([0, 1, 6, 10, 100], ["0", "1", "6", "", "100"])
        ax.set(xlim=(-0.15, 400), xlabel=r"depth in units of $\xi$")
        ax.yaxis.set_major_formatter(ScalarFormatter())
        ax.yaxis.set_minor_formatter(NullFormatter())
        ax.yaxis.set_major_locator(plt.FixedLocator([5, 10, 20, 50, 100, 200, 500]))
        heading(ax, letter, f"{depth} hidden layers")
    axes[0][0].set_ylabel("steps until training began")
    handles = axes[0][0].get_legend_handles_labels()
    fig.legend(*handles, loc="outside lower center", ncols=3, handletextpad=0.2)
    return fig
