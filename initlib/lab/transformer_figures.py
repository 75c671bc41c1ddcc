"""The figures on transformers: the residual stream at its start, and training on text."""

from collections.abc import Mapping

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import StrMethodFormatter

from initlib.lab.contest import Contest, loss_curves
from initlib.lab.estimates import estimate
from initlib.lab.figures import (
    INLINE,
    PAGE,
    direct_label,
    heading,
    points_with_interval,
    reference_line,
    scheme_style,
)
from initlib.lab.looks import THEORY
from initlib.lab.transformer_runs import mlp_theory

__all__ = ["plot_streams", "plot_text"]

NAMES = {
    "normal": "0.02",
    "gpt2": "GPT-2",
    "xavier": "Xavier",
    "he": "He",
    "xavier scaled": r"Xavier, $1/\sqrt{2N}$",
    "he scaled": r"He, $1/\sqrt{2N}$",
}
GPT2 = {"color": "#CC79A7", "marker": "D", "linestyle": "-"}


def look(start: str) -> dict[str, str]:
    """Return the colour, marker and line of a start; scaled ones are dashed, with open markers."""
    if start == "gpt2":
        return GPT2
    plain = scheme_style(start.removesuffix(" scaled"))
    return plain | {"linestyle": "--" if start.endswith("scaled") else "-"}


def _face(start: str) -> str:
    return "white" if start.endswith("scaled") else look(start)["color"]


def plot_streams(table: pd.DataFrame, widths: Mapping[str, np.ndarray]) -> Figure:
    """Draw the stream and its gradient along the branches, and what a branch adds by width.

    Parameters
    ----------
    table
        From `initlib.lab.transformer_runs.streams`; the deepest models are drawn.
    widths
        From `initlib.lab.transformer_runs.mlp_branches`.

    Returns
    -------
    Figure
        Two columns wide, three panels.
    """
    fig, axes = plt.subplots(1, 3, figsize=(PAGE, 2.5), dpi=INLINE, layout="constrained")
    deepest = table[table.blocks == table.blocks.max()]
    for ax, column, letter, title in (
        (axes[0], "signal", "a", "residual stream"),
        (axes[1], "gradient", "b", "its gradient"),
    ):
        for start, own in deepest.groupby("start", sort=False):
            _draw_stream(ax, own, column, start)
        heading(ax, letter, title)
        ax.set(yscale="log", xlabel="branches passed")
        last = deepest.branch.max()
        ax.set(xlim=(-0.03 * last, 1.03 * last), xticks=np.linspace(0, last, 5).astype(int))
    axes[0].set(ylabel="second moment", ylim=(0.6, None))
    axes[1].set_ylabel("second moment / that at the end")
    _draw_widths(axes[2], widths)
    heading(axes[2], "c", "one MLP branch, by width")
    return fig


def _draw_stream(ax: Axes, own: pd.DataFrame, column: str, start: str) -> None:
    style, grouped = look(start), own.groupby("branch")
    line = grouped[f"{column}_theory"].first()
    ax.plot(line.index, line, color=style["color"], linestyle=style["linestyle"], linewidth=1)
    shown = line.index[:: max(1, len(line) // 8)]
    logs = np.log(own.pivot(index="seed", columns="branch", values=column)[shown])
    each = estimate(logs)
    points_with_interval(
        ax, shown, *np.exp([each.value, each.low, each.high]), color=style["color"],
        marker=style["marker"], markersize=3.5, markerfacecolor=_face(start),
    )  # fmt: skip
    if column == "signal":
        below, at = start == "normal", line.index[len(line) * 5 // 8]
        direct_label(
            ax, NAMES[start], (at, line[at]), offset=(0, -5 if below else 5), ha="center",
            va="top" if below else "bottom", color=style["color"],
        )  # fmt: skip


def _draw_widths(ax: Axes, widths: Mapping[str, np.ndarray]) -> None:
    n = np.geomspace(32, 16384, 60)
    for start in ("normal", "xavier", "he"):
        style = look(start)
        line = mlp_theory(n, start)
        ax.plot(n, line, color=style["color"], linestyle=style["linestyle"], linewidth=1)
        if start != "normal":
            direct_label(
                ax, NAMES[start], (n[0], line[0]), offset=(0, 4), color=style["color"], va="bottom"
            )
    direct_label(ax, "0.02", (n[12], mlp_theory(n[12])[0]), offset=(5, -2), color="black")
    x = [int(name) for name in widths]
    each = estimate(np.log(np.stack(list(widths.values()), axis=1)))
    points_with_interval(
        ax, x, *np.exp([each.value, each.low, each.high]), color=look("normal")["color"],
        markersize=3.5,
    )  # fmt: skip
    for width, name in ((768, "GPT-2\n768"), (12288, "GPT-3\n12288")):
        ax.axvline(width, color=THEORY, linewidth=0.6, linestyle=":", zorder=0)
        ax.annotate(
            name, (width, 0.02), xycoords=ax.get_xaxis_transform(), xytext=(-3, 0),
            textcoords="offset points", fontsize=6.5, color=THEORY, ha="right", va="bottom",
        )  # fmt: skip
    ax.set(xscale="log", yscale="log", xlabel="width $n$", ylabel="second moment added")


def plot_text(held: Contest, grid: pd.DataFrame, ladder: Mapping[str, float]) -> Figure:
    """Draw losses on text: along training, at its end, and of deep models by learning rate.

    Parameters
    ----------
    held
        From `initlib.lab.transformer_runs.text_contest`.
    grid
        Rows of `initlib.lab.transformer_runs.train_on_text`: deep models.
    ladder
        Of the text, from `Lexicon.ladder`.

    Returns
    -------
    Figure
        Two columns wide, three panels.
    """
    fig, axes = plt.subplots(
        1, 3, figsize=(PAGE, 2.6), dpi=INLINE, layout="constrained", width_ratios=[1.25, 1, 1]
    )
    _draw_curves(axes[0], held, ladder)
    heading(axes[0], "a", "4 blocks, own rates")
    gap = ladder["pairs"] - ladder["words"]
    for place, (start, own) in enumerate(held.results.groupby("scheme", sort=False)):
        style, each = look(start), estimate(own.loss)
        spread = place + np.linspace(-0.22, 0.22, len(own))
        axes[1].plot(spread, own.loss, style["marker"], color=style["color"], markersize=2.5,
                     alpha=0.45, markeredgewidth=0)  # fmt: skip
        points_with_interval(
            axes[1], [place], [each.value], [each.low], [each.high], color=style["color"],
            marker="_", markersize=14, elinewidth=1.4, markeredgewidth=1.6,
        )  # fmt: skip
    starts = list(held.losses)
    axes[1].set_xticks(range(len(starts)), [NAMES[s] for s in starts], fontsize=7)
    reference_line(axes[1], gap, "knows pairs")
    reference_line(axes[1], 0, "knows all", linestyle="-")
    axes[1].set(ylim=(-0.03 * gap, 1.25 * gap), ylabel="excess loss at the end (nats)")
    heading(axes[1], "b", "the same, at the end")
    _draw_grid(axes[2], grid)
    return fig


def _draw_curves(ax: Axes, held: Contest, ladder: Mapping[str, float]) -> None:
    curves = loss_curves(held)
    for start, own in curves.groupby("scheme", sort=False):
        style = look(start)
        median = own.groupby("step").loss.median() + ladder["words"]
        ax.plot(median.index, median, color=style["color"], linestyle=style["linestyle"],
                linewidth=1.2)  # fmt: skip
    words = {"nothing": "nothing known", "letters": "letters", "pairs": "pairs", "words": "all"}
    for name, text in words.items():
        reference_line(ax, ladder[name], text, linestyle="-" if name == "words" else ":")
    ax.set(xscale="log", xlabel="update", ylabel="cross-entropy (nats a character)")
    ax.set(ylim=(0.9 * ladder["words"], 1.08 * ladder["nothing"]))
    ax.xaxis.set_major_formatter(StrMethodFormatter("{x:g}"))


def _draw_grid(ax: Axes, grid: pd.DataFrame) -> None:
    rates, ends = np.sort(grid.lr.unique()), {}
    for start, own in grid.groupby("scheme", sort=False):
        style = look(start)
        each = estimate(own.pivot(index="seed", columns="lr", values="loss")[rates])
        ax.plot(rates, each.value, color=style["color"], linestyle=style["linestyle"], linewidth=1)
        points_with_interval(
            ax, rates, each.value, each.low, each.high, color=style["color"], markersize=3.5,
            marker=style["marker"], markerfacecolor=_face(start),
        )  # fmt: skip
        ends[start] = float(each.value[-1])
    gap, last = 0.08 * max(ends.values()), np.inf
    for start in sorted(ends, key=ends.get, reverse=True):  # labels from the top, none on another
        last = min(ends[start], last - gap)
        direct_label(ax, NAMES[start], (rates[-1], last), color=look(start)["color"])
    ax.set(
        xscale="log", xlabel="learning rate (one for all)", ylabel="excess loss at the end (nats)"
    )
    ax.set_xlim(rates[0] / 1.15, rates[-1] * (rates[-1] / rates[0]) ** 0.9)
    ax.set_xticks(rates, [f"{rate:g}" for rate in rates])
    ax.minorticks_off()
    ax.set_ylim(bottom=0)
    heading(ax, "c", "12 blocks")
