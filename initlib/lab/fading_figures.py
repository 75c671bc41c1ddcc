"""The figure on how tanh fades under Xavier's rule: inputs, widths, gradients."""

import math

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator

from initlib.lab.figures import (
    PAGE,
    direct_label,
    heading,
    points_with_interval,
    reference_line,
)
from initlib.lab.looks import THEORY
from initlib.lab.xavier_figures import XAVIER, plain_decades


def plot_fading(table: pd.DataFrame) -> Figure:
    """Draw how tanh fades under Xavier's rule, what width changes, and what gradients do.

    Parameters
    ----------
    table
        From `initlib.lab.tanh_depth.deep_tables`.

    Returns
    -------
    Figure
        Two columns wide, three panels.
    """
    fig, axes = plt.subplots(1, 3, figsize=(PAGE, 2.5))
    draws = {"input": _draw_inputs, "width": _draw_widths, "gradient": _draw_gradients}
    headings = "From any input to $1/(2l)$", "How wide is wide?", "Gradients"
    depth = int(table.layer.max())
    for letter, ax, (panel, draw), words in zip("abc", axes, draws.items(), headings, strict=True):
        draw(ax, table[table.panel == panel], depth)
        heading(ax, letter, words)
        ticks = [layer for layer in (1, 2, 4, 8, 16, 32, 64, 128) if layer <= depth]
        ax.set_xscale("log")
        ax.set_xticks(ticks, [f"{tick}" for tick in ticks])
        ax.xaxis.set_minor_locator(NullLocator())
        ax.set_xlabel("layer $l$")
    return fig


def _draw_inputs(ax: Axes, table: pd.DataFrame, depth: int) -> None:
    layers = np.geomspace(1, depth, 60)
    ax.plot(layers, 1 / (2 * layers), ":", color=THEORY, linewidth=1)
    direct_label(ax, "$1/(2l)$", (2.7, 0.1), offset=(0, 0), color=THEORY, ha="center")
    looks = zip(table.groupby("start"), ("#E69F00", "#D55E00", "#8C2D04"), "os^", strict=True)
    for (start, part), color, marker in looks:
        ax.plot(part.layer, part.theory, color=color, linewidth=1)
        _draw_points(ax, part, color=color, marker=marker)
        spot = part.layer.iloc[0], part.theory.iloc[0]
        words = rf"$\mathrm{{E}}\,x^2 = {start:g}$" if start == 0.1 else f"{start:g}"
        offset, across = ((-4, -10), "left") if start == 0.1 else ((-6, 0), "right")
        direct_label(ax, words, spot, offset=offset, color=color, ha=across)
    ax.set(yscale="log", ylabel=r"$\mathrm{E}\,h_l^2$", xlim=(0.5, 1.2 * depth))
    plain_decades(ax)


def _draw_widths(ax: Axes, table: pd.DataFrame, depth: int) -> None:
    exact = table[table.width == table.width.max()]
    ax.plot(exact.layer, exact.theory, "--", color=THEORY, linewidth=1)
    reference_line(ax, 1)
    colors = "#56B4E9", "#0072B2", "#00395A"
    lowest = -math.inf
    for (n, part), color, marker in zip(table.groupby("width"), colors, "o^D", strict=False):
        line = part[part.layer <= n]
        ax.plot(line.layer, line.corrected, color=color, linewidth=1)
        _draw_points(ax, part, color=color, marker=marker)
        lowest = max(part.value.iloc[-1], lowest + 0.08)  # names must not overlap
        words = f"{n} units" if n == table.width.min() else f"{n}"
        direct_label(ax, words, (depth, lowest), offset=(7, 0), color=color)
    bottom = math.floor(10 * table.low.min()) / 10
    ax.set(ylim=(bottom, 1.2), xlim=(0.85, 2.6 * depth), ylabel=r"$2l\ \mathrm{E}\,h_l^2$")


def _draw_gradients(ax: Axes, table: pd.DataFrame, depth: int) -> None:
    looks = {
        "error": (XAVIER, r"$\Vert\partial f/\partial z_l\Vert^2 \approx l/L$", (-8, 2)),
        "weight": (
            {"color": "#0072B2", "marker": "o"},
            r"$\frac{1}{n}\Vert\partial f/\partial W_l\Vert^2 \approx 1/(2L)$",
            (0, -10),
        ),
    }
    layers = np.geomspace(1, depth, 60)
    for limit in (layers / depth, np.full(60, 1 / (2 * depth))):
        ax.plot(layers, limit, ":", color=THEORY, linewidth=1)
    for quantity, part in table.groupby("quantity"):
        look, words, offset = looks[quantity]
        ax.plot(part.layer, part.theory, color=look["color"], linewidth=1)
        _draw_points(ax, part, **look)
        spot = (depth / 2, 0.6) if quantity == "error" else (depth**0.5, 1 / (2 * depth))
        across = "right" if quantity == "error" else "center"
        direct_label(ax, words, spot, offset=offset, color=look["color"], ha=across)
    ax.set(yscale="log", ylim=(0.35 / (2 * depth), 1.6), ylabel="squared norm")
    plain_decades(ax)


def _draw_points(ax: Axes, part: pd.DataFrame, **look: str) -> None:
    """Every layer at the bottom, fewer above: evenly in the logarithm."""
    depth = part.layer.max()
    spaced = {round(layer) for layer in np.geomspace(1, depth, 11)}
    thin = part[part.layer.isin(spaced)]
    points_with_interval(ax, thin.layer, thin.value, thin.low, thin.high, **look)
