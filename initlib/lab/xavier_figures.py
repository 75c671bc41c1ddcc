"""The figures on Xavier's rule: two starts, how tanh fades, and what training makes of it."""

import math
from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import (
    FuncFormatter,
    LogLocator,
    MaxNLocator,
    NullFormatter,
    NullLocator,
    ScalarFormatter,
)

from initlib.lab.figures import (
    PAGE,
    direct_label,
    points_with_interval,
    reference_line,
    scheme_style,
)
from initlib.lab.looks import THEORY

FIRST_STEP = 5  # before it, losses aren't yet averaged over enough steps to be smooth
XAVIER, STANDARD = scheme_style("xavier"), {"color": "#000000", "marker": "v", "linestyle": "-"}
STANDARDIZED = XAVIER | {"marker": "D", "markerfacecolor": "white"}
# By start and scale of the pixels: the look, and the words at the end of the line.
LOOKS = {
    "standard": STANDARD,
    "xavier": XAVIER,
    "xavier, standardized": STANDARDIZED,
}
ARMS = {
    "tanh": (XAVIER, "tanh, Xavier"),
    "xavier": (XAVIER, "Xavier"),
    "standard": (STANDARD, "standard"),
    "logistic": ({"color": "#D55E00"}, "logistic, Xavier"),
    "scaled": ({"color": "#56B4E9"}, "logistic, 4 × Xavier"),
    "twin": ({"color": "#0072B2"}, "the same, centred"),
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
        _plain_decades(ax)
        _heading(ax, letter, words[0])
    _label_starts(axes, table.set_index(["quantity", "start", "layer"]).theory)
    return fig


def _label_starts(axes: Sequence[Axes], at: pd.Series) -> None:
    words = {
        "standard": "standard",
        "xavier": "Xavier, pixels\nin [0, 1]",
        "xavier, standardized": "Xavier, pixels\nstandardized",
    }
    factor = r"$\div\sqrt{3}$ a layer"
    spots = {
        "standard": ((3, at["signal", "standard", 3]), (-6, -10), factor),
        "xavier": ((1.2, 0.9 * at["signal", "xavier", 1]), (0, -2), ""),
    }
    direct_label(axes[0], spots["standard"][2], *spots["standard"][:1], offset=(-4, -9))
    spot = (3, at["gradient", "standard", 3])
    direct_label(axes[1], factor, spot, offset=(5, -7))
    offsets = {"standard": (0, 8), "xavier": (0, -11), "xavier, standardized": (0, 13)}
    for start, text in words.items():
        spot, color = (3, at["weight", start, 3]), LOOKS[start]["color"]
        direct_label(axes[2], text, spot, offset=offsets[start], color=color, ha="center")
    low, high = axes[2].get_ylim()
    axes[2].set_ylim(low / 1.3, 1.8 * high)


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
        _heading(ax, letter, words)
        ticks = [layer for layer in (1, 2, 4, 8, 16, 32, 64, 128) if layer <= depth]
        ax.set_xscale("log")
        ax.set_xticks(ticks, [f"{tick}" for tick in ticks])
        ax.xaxis.set_minor_locator(NullLocator())
        ax.set_xlabel("layer $l$")
    return fig


def _draw_inputs(ax: Axes, table: pd.DataFrame, depth: int) -> None:
    layers = np.geomspace(1, depth, 60)
    ax.plot(layers, 1 / (2 * layers), ":", color=THEORY, linewidth=1)
    direct_label(ax, "$1/(2l)$", (depth, 1 / (2 * depth)), offset=(-14, 10), color=THEORY)
    looks = zip(table.groupby("start"), ("#E69F00", "#D55E00", "#8C2D04"), "os^", strict=True)
    for (start, part), color, marker in looks:
        ax.plot(part.layer, part.theory, color=color, linewidth=1)
        _draw_points(ax, part, color=color, marker=marker)
        first = part.iloc[0]
        text = rf"$\mathrm{{E}}\,x^2 = {start:g}$"
        offset = (6, 4) if start > 0.5 else (-2, -11)
        direct_label(ax, text, (first.layer, first.theory), offset=offset, color=color, ha="left")
    ax.set(yscale="log", ylabel=r"$\mathrm{E}\,h_l^2$")
    _plain_decades(ax)


def _draw_widths(ax: Axes, table: pd.DataFrame, depth: int) -> None:
    exact = table[table.width == table.width.max()]
    ax.plot(exact.layer, exact.theory, "--", color=THEORY, linewidth=1)
    reference_line(ax, 1)
    colors = "#56B4E9", "#0072B2", "#00395A"
    for (n, part), color, marker in zip(table.groupby("width"), colors, "o^D", strict=False):
        line = part[part.layer <= n]
        ax.plot(line.layer, line.corrected, color=color, linewidth=1)
        _draw_points(ax, part, color=color, marker=marker)
        last = part.iloc[-1]
        direct_label(ax, f"{n}", (last.layer, last.value), offset=(7, 0), color=color)
    direct_label(ax, "width", (depth, 1.13), offset=(0, 0), ha="center")
    ax.set(ylim=(0, 1.25), xlim=(0.85, 1.7 * depth), ylabel=r"$2l\ \mathrm{E}\,h_l^2$")


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
        spot = (depth / 2, 0.5) if quantity == "error" else (depth**0.5, 1 / (2 * depth))
        across = "right" if quantity == "error" else "center"
        direct_label(ax, words, spot, offset=offset, color=look["color"], ha=across)
    ax.set(yscale="log", ylim=(0.35 / (2 * depth), 1.6), ylabel="squared norm")
    _plain_decades(ax)


def _draw_points(ax: Axes, part: pd.DataFrame, **look: str) -> None:
    """Every layer at the bottom, fewer above: evenly in the logarithm."""
    depth = part.layer.max()
    spaced = {round(layer) for layer in np.geomspace(1, depth, 11)}
    thin = part[part.layer.isin(spaced)]
    points_with_interval(ax, thin.layer, thin.value, thin.low, thin.high, **look)


def _plain_decades(ax: Axes) -> None:
    ax.yaxis.set_major_locator(LogLocator(10, (1, 2, 5) if _decades(ax) < 2 else (1,)))
    ax.yaxis.set_major_formatter(FuncFormatter(lambda y, _: f"{y:.10g}"))
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
        look, words = ARMS[scheme]
        axes[0].plot(part.budget, part.value, color=look["color"], linewidth=0.8)
        points_with_interval(axes[0], part.budget, part.value, part.low, part.high, **look)
        spot = part.budget.iloc[0], part.value.iloc[0]
        offset = (8, 3) if scheme == "standard" else (-2, -12)
        direct_label(axes[0], words, spot, offset=offset, color=look["color"], ha="left")
    axes[0].set(xscale="log", yscale="log", xlabel="steps of training", ylabel="test error (%)")
    _heading(axes[0], "a", "tanh, 6 layers")
    for letter, ax, (heading, table) in zip("bc", axes[1:], curves.items(), strict=True):
        _draw_losses(ax, table, level, chance)
        _heading(ax, letter, heading)
    axes[1].set_ylabel("training loss (nats)")
    return fig


def _draw_losses(ax: Axes, curves: pd.DataFrame, level: float, chance: float) -> None:
    reference_line(ax, chance)
    reference_line(ax, level, f"loss {level:g}")
    for scheme, part in curves[curves.step >= FIRST_STEP].groupby("scheme"):
        color = ARMS[scheme][0]["color"]
        for _, one in part.groupby("seed"):
            ax.plot(one.step, one.loss, color=color, linewidth=0.4, alpha=0.4)
        median = part.groupby("step").loss.median()
        ax.plot(median.index, median, color=color, linewidth=1.8)
    ax.set(xscale="log", ylim=(0, 1.2 * chance), xlabel="step")
    ax.xaxis.set_major_formatter(ScalarFormatter())
    ax.xaxis.set_minor_formatter(NullFormatter())


def _heading(ax: Axes, letter: str, text: str) -> None:
    ax.set_title(f"$\\bf{{{letter}}}$   {text}", loc="left")
