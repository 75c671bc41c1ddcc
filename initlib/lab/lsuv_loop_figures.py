"""The figure on the loop of layer-sequential unit variance, one pass, and another batch."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter, NullLocator

from initlib.lab.figures import (
    PAGE,
    direct_label,
    heading,
    points_with_interval,
)
from initlib.lab.lsuv_figures import ACTIVATIONS, NAMES, RULES, whole_ticks


def plot_passes(counts: pd.DataFrame, loops: pd.DataFrame, unseen: pd.DataFrame) -> Figure:
    """Draw what one pass saves, what biases do to the loop, and what another batch shows.

    Parameters
    ----------
    counts
        Columns depth, loop and once: forward passes.
    loops
        Columns bias (variance), look (from 0), error (of the std) and theory.
    unseen
        Columns activation, layer, value, low, high and theory: rms of the log of the std.

    Returns
    -------
    Figure
        Two columns wide: three panels.
    """
    fig, axes = plt.subplots(1, 3, figsize=(PAGE, 2.3))
    ax = axes[0]
    heading(ax, "a", "Forward passes")
    looks = {"loop": RULES["published"], "once": {"color": "#444444", "marker": "o"}}
    lines = {"loop": 2 * counts.depth, "once": np.ones(len(counts))}
    words = {"loop": "published loop: $2L$", "once": "one pass"}
    for name, look in looks.items():
        ax.plot(counts.depth, lines[name], color=look["color"], linewidth=1)
        ax.plot(counts.depth, counts[name], **look, linestyle="none")
        at = counts.depth.iloc[0], np.asarray(lines[name])[0]
        offset = (0, 28 if name == "loop" else 10)
        direct_label(ax, words[name], at, offset=offset, color=look["color"])
    ticks = counts.depth.tolist()
    ax.set(xscale="log", yscale="log", xlabel="layers $L$", ylabel="passes", ylim=(0.6, 200))
    ax.set_xticks(ticks, ticks)
    ax.xaxis.set_minor_locator(NullLocator())
    ax.set_yticks([1, 10, 100], ["1", "10", "100"])
    _draw_loops(axes[1], loops)
    ax = axes[2]
    heading(ax, "c", "Another batch")
    for phi, part in unseen.groupby("activation"):
        look = ACTIVATIONS[phi]
        ax.plot(part.layer, part.theory, color=look["color"], linewidth=1)
        points_with_interval(ax, part.layer, part.value, part.low, part.high, **look)
        end = part.iloc[-1]
        direct_label(ax, NAMES.get(phi, phi), (end.layer, end.theory), color=look["color"])
    ax.set(yscale="log", xlabel="layer $l$", ylabel="rms of log std", ylim=(0.002, 0.08))
    ax.set_yticks([0.003, 0.01, 0.03], ["0.003", "0.01", "0.03"])
    ax.yaxis.set_minor_formatter(NullFormatter())
    ax.set_xlim(right=1.3 * unseen.layer.max())
    ax.set_xticks(whole_ticks(unseen.layer.max()))
    return fig


def _draw_loops(ax: Axes, loops: pd.DataFrame) -> None:
    heading(ax, "b", "The loop, with biases")
    shades = plt.get_cmap("cividis")(np.linspace(0.75, 0, loops.bias.nunique()))
    for shade, (bias, part) in zip(shades, loops.groupby("bias"), strict=True):
        ax.plot(part["look"], part.theory, color=shade, linewidth=1)
        ax.plot(part["look"], part.error, "o", color=shade, markersize=3)
        shown = part[part.error > 3e-8].iloc[-1]
        words = f"Var $b$ = {bias:g}"
        direct_label(ax, words, (shown["look"], shown.error), offset=(6, 2), color=shade)
    ax.set(yscale="log", xlabel="iteration", ylabel="|std − 1|", ylim=(1e-8, 8))
    ax.set_xlim(-0.5, 1.6 * loops["look"].max())
    ax.set_xticks(whole_ticks(loops["look"].max()))
