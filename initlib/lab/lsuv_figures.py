"""The figures on layer-sequential unit variance: passes, blindness, and the centred rule."""

from collections.abc import Mapping

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter, NullLocator

from initlib.lab.figures import (
    PAGE,
    direct_label,
    points_with_interval,
)
from initlib.lab.lsuv_theory import Numbers

THEORY = "#444444"
ACTIVATIONS = {
    "sigmoid": {"color": "#CC79A7", "marker": "v"},
    "softplus": {"color": "#009E73", "marker": "D"},
    "tanh": {"color": "#666666", "marker": "s"},
    "relu": {"color": "#0072B2", "marker": "o"},
}
NAMES = {"relu": "ReLU", "gelu": "GELU", "selu": "SELU", "elu": "ELU", "silu": "SiLU"}
# Which curves of gradients are named: where, from 0 at the first layer to 1, and the offset.
NAMED = {
    ("relu", "centred"): (0.15, (8, 5)),
    ("softplus", "published"): (0.25, (-4, 9)),
    ("sigmoid", "published"): (0.3, (7, -5)),
}
RULES = {
    "published": {"color": "#D55E00", "marker": "s", "markerfacecolor": "white"},
    "centred": {"color": "#0072B2", "marker": "o"},
    "customary": {"color": "#999999", "marker": "^"},
}


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
    _heading(ax, "a", "Forward passes")
    looks = {"loop": RULES["published"], "once": RULES["centred"]}
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
    _heading(ax, "c", "Another batch")
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
    ax.set_xticks(_whole(unseen.layer.max()))
    return fig


def _draw_loops(ax: Axes, loops: pd.DataFrame) -> None:
    _heading(ax, "b", "The loop, with biases")
    shades = plt.get_cmap("cividis")(np.linspace(0.75, 0, loops.bias.nunique()))
    for shade, (bias, part) in zip(shades, loops.groupby("bias"), strict=True):
        ax.plot(part["look"], part.theory, color=shade, linewidth=1)
        ax.plot(part["look"], part.error, "o", color=shade, markersize=3)
        shown = part[part.error > 3e-8].iloc[-1]
        words = f"Var $b$ = {bias:g}"
        direct_label(ax, words, (shown["look"], shown.error), offset=(6, 2), color=shade)
    ax.set(yscale="log", xlabel="iteration", ylabel="|std − 1|", ylim=(1e-8, 8))
    ax.set_xlim(-0.5, 1.6 * loops["look"].max())
    ax.set_xticks(_whole(loops["look"].max()))


def plot_blind(spread: pd.DataFrame, error: pd.DataFrame, numbers: Mapping[str, Numbers]) -> Figure:
    """Draw how samples come together, what gradients do, and the numbers behind both.

    Parameters
    ----------
    spread
        Columns activation, layer, value, low, high and theory, under the published rule: the
        standard deviation of a unit between samples.
    error
        The same columns and rule: squared norms of df/dz.
    numbers
        Of activations, from the top down.

    Returns
    -------
    Figure
        Two columns wide: three panels.
    """
    fig, axes = plt.subplots(1, 3, figsize=(PAGE, 2.6), width_ratios=[1, 1, 1])
    _heading(axes[0], "a", "Between samples")
    for phi, part in spread.groupby("activation"):
        _curve(axes[0], part, ACTIVATIONS[phi])
        end = part.iloc[-1]
        direct_label(
            axes[0], NAMES.get(phi, phi), (end.layer, end.theory), color=ACTIVATIONS[phi]["color"]
        )
    axes[0].set(yscale="log", xlabel="layer $l$", ylabel="std between samples")
    axes[0].set_ylim(top=3)
    _heading(axes[1], "b", "Gradients (open: published)")
    for (phi, rule), part in error.groupby(["activation", "rule"]):
        look = ACTIVATIONS[phi] | ({"markerfacecolor": "white"} if rule == "published" else {})
        _curve(axes[1], part, look, linestyle="-" if rule == "centred" else "--")
        if (phi, rule) in NAMED:
            words = NAMES.get(phi, phi)
            at, offset = NAMED[phi, rule]
            place = part.iloc[round(at * (len(part) - 1))]
            direct_label(
                axes[1], words, (place.layer, place.theory), offset=offset, color=look["color"]
            )
    axes[1].set(yscale="log", xlabel="layer $l$", ylabel=r"$\Vert\partial f/\partial z_l\Vert^2$")
    for ax, table in zip(axes, (spread, error), strict=False):
        ax.set_xticks(_whole(table.layer.max()))
    axes[0].set_xlim(right=1.35 * spread.layer.max())
    _draw_numbers(axes[2], numbers)
    return fig


def _curve(ax: Axes, part: pd.DataFrame, look: dict, linestyle: str = "-") -> None:
    ax.plot(part.layer, part.theory, color=look["color"], linewidth=1, linestyle=linestyle)
    points_with_interval(ax, part.layer, part.value, part.low, part.high, markersize=3, **look)


def _draw_numbers(ax: Axes, numbers: Mapping[str, Numbers]) -> None:
    _heading(ax, "c", r"Factor $\chi$ of a layer")
    for row, number in enumerate(numbers.values()):
        ax.plot([number.chi, number.chi_centred], [-row, -row], color="0.75", linewidth=0.8)
        ax.plot(number.chi, -row, **RULES["published"], linestyle="none", markersize=4.5)
        ax.plot(number.chi_centred, -row, **RULES["centred"], linestyle="none", markersize=3)
    first = next(iter(numbers.values()))
    for rule, x, offset in (
        ("published", first.chi, (-2, 9)),
        ("centred", first.chi_centred, (-2, 9)),
    ):
        direct_label(ax, rule, (x, 0), offset=offset, color=RULES[rule]["color"], ha="center")
    ax.plot([1, 1], [0.5 - len(numbers), 0.4], color=THEORY, linewidth=0.8, linestyle=":", zorder=0)
    ax.set(xscale="log", xlim=(0.1, 2), ylim=(0.5 - len(numbers), 1.1))
    ax.set_xticks([0.1, 0.2, 0.5, 1, 2], ["0.1", "0.2", "0.5", "1", "2"])
    ax.xaxis.set_minor_formatter(NullFormatter())
    ax.set_yticks(-np.arange(len(numbers)), [NAMES.get(phi, phi) for phi in numbers])
    ax.tick_params(axis="y", length=0)
    ax.spines["left"].set_visible(False)
    ax.set_xlabel(r"$\chi$")


def plot_centred(results: pd.DataFrame, kept: Mapping[str, float]) -> Figure:
    """Draw how long training waits under each rule, activation by activation.

    Parameters
    ----------
    results
        Columns activation, rule, depth, seed, steps and budget.
    kept
        For each activation, in the order of the panels, the share of a correlation that a centred
        layer keeps.

    Returns
    -------
    Figure
        Two columns wide: a panel for each activation, one y axis.
    """
    fig, axes = plt.subplots(1, len(kept), figsize=(PAGE, 2.3), sharey=True, squeeze=False)
    budget, depths = results.budget.max(), sorted(results.depth.unique())
    for letter, ax, phi in zip("abcd", axes[0], kept, strict=False):
        _heading(ax, letter, f"{NAMES.get(phi, phi)}, keeps {kept[phi]:.0%}")
        for number, (rule, look) in enumerate(RULES.items()):
            part = results[(results.activation == phi) & (results.rule == rule)]
            if len(part):
                _draw_waits(ax, part, look, (number - 1) * 0.06)
        ax.axhline(budget, color=THEORY, linewidth=0.8, linestyle=":", zorder=0)
        ax.set(xscale="log", yscale="log", xlabel="hidden layers")
        ax.set_xlim(0.75 * depths[0], 1.35 * depths[-1])
        ax.set_xticks(depths, depths)
        ax.xaxis.set_minor_locator(NullLocator())
        ticks = [tick for tick in (10, 20, 50, 100, 200, 500) if tick <= budget]
        ax.set_yticks(ticks, ticks)
        ax.yaxis.set_minor_locator(NullLocator())
        ax.tick_params(axis="y", length=0 if ax is not axes[0, 0] else 3.5)
    axes[0, 0].set_ylabel("steps to loss 1")
    last = axes[0, -1]
    direct_label(last, "budget", (0.8 * depths[0], budget), offset=(0, -6), color=THEORY)
    _name_rules(axes[0, -1], results[results.activation == list(kept)[-1]])
    return fig


def _name_rules(ax: Axes, results: pd.DataFrame) -> None:
    """Explain the marks in the free corner of a panel."""
    for row, rule in enumerate(rule for rule in RULES if rule in set(results.rule)):
        place = {"xycoords": "axes fraction", "textcoords": "offset points"}
        words = {"customary": "He or Glorot \u25b2", "published": "published \u25a1"}.get(
            rule, "centred \u25cf"
        )
        ax.annotate(
            words,
            (0.98, 0.03),
            xytext=(0, 9 * row),
            ha="right",
            fontsize=7,
            **place,
            color=RULES[rule]["color"],
        )


def _draw_waits(ax: Axes, part: pd.DataFrame, look: dict, shift: float) -> None:
    """Every seed a small mark, the median a large one, joined over depths."""
    waits = np.minimum(part.steps, part.budget)
    x = part.depth * np.exp(shift)
    ax.plot(x, waits, ".", color=look["color"], markersize=2.5, alpha=0.5)
    middle = waits.groupby(part.depth).median()
    ax.plot(middle.index * np.exp(shift), middle, **look, linewidth=1)


def _whole(last: int) -> list[int]:
    step = 5 if last > 8 else 2
    return [1, *range(step, int(last) + 1, step)]


def _heading(ax: Axes, letter: str, words: str) -> None:
    ax.set_title(rf"$\bf{{{letter}}}$  {words}", loc="left")
