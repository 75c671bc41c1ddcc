"""The figures on what unit variance does not see, and on centred units."""

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
    heading,
    points_with_interval,
    scheme_style,
)
from initlib.lab.lsuv_theory import Numbers

THEORY = "#444444"
ACTIVATIONS = {
    "sigmoid": {"color": "#E69F00", "marker": "v"},
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
LSUV = {k: v for k, v in scheme_style("lsuv").items() if k != "linestyle"}
RULES = {
    "published": LSUV | {"markerfacecolor": "white"},
    "centred": {"color": "#7A1F56", "marker": "D"},
}
CUSTOMARY = {"relu": "he", "softplus": "he", "tanh": "xavier", "sigmoid": "xavier"}


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
    heading(axes[0], "a", "Between samples")
    for phi, part in spread.groupby("activation"):
        _curve(axes[0], part, ACTIVATIONS[phi])
        end = part.iloc[-1]
        direct_label(
            axes[0], NAMES.get(phi, phi), (end.layer, end.theory), color=ACTIVATIONS[phi]["color"]
        )
    axes[0].set(yscale="log", xlabel="layer $l$", ylabel="std between samples")
    axes[0].set_ylim(top=3)
    heading(axes[1], "b", "Gradients (open: published)")
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
        ax.set_xticks(whole_ticks(table.layer.max()))
    axes[0].set_xlim(right=1.35 * spread.layer.max())
    _draw_numbers(axes[2], numbers)
    return fig


def _curve(ax: Axes, part: pd.DataFrame, look: dict, linestyle: str = "-") -> None:
    ax.plot(part.layer, part.theory, color=look["color"], linewidth=1, linestyle=linestyle)
    points_with_interval(ax, part.layer, part.value, part.low, part.high, markersize=3, **look)


def _draw_numbers(ax: Axes, numbers: Mapping[str, Numbers]) -> None:
    heading(ax, "c", r"Factor $\chi$ of a layer")
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
        heading(ax, letter, f"{NAMES.get(phi, phi)}, keeps {kept[phi]:.0%}")
        for number, (rule, (look, _)) in enumerate(_rules(phi).items()):
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
    for ax, phi in zip(axes[0], kept, strict=True):
        if phi in ("tanh", "relu"):  # Glorot's name is given in one panel, He's in the other
            _name_rules(ax, phi, results)
    return fig


def _rules(phi: str) -> dict[str, tuple[dict, str]]:
    """The look of each rule, and its name with its marker."""
    customary = scheme_style(CUSTOMARY[phi]) | {"linestyle": "-"}
    name, marker = {"he": ("He", "\u25cf"), "xavier": ("Glorot", "\u25a0")}[CUSTOMARY[phi]]
    published, centred = (RULES[rule] for rule in ("published", "centred"))
    return {
        "published": (published, "published \u25bd"),
        "centred": (centred, "centred \u25c6"),
        "customary": (customary, f"{name} {marker}"),
    }


def _name_rules(ax: Axes, phi: str, results: pd.DataFrame) -> None:
    """Explain the marks in the free corner of a panel."""
    place = {"xycoords": "axes fraction", "textcoords": "offset points", "ha": "right"}
    shown = [entry for rule, entry in _rules(phi).items() if rule in set(results.rule)]
    for row, (look, words) in enumerate(shown):
        at, offset = (0.98, 0.03), (0, 9 * row)
        ax.annotate(words, at, offset, fontsize=7, color=look["color"], **place)


def _draw_waits(ax: Axes, part: pd.DataFrame, look: dict, shift: float) -> None:
    """Every seed a small mark, the median a large one, joined over depths."""
    waits = np.minimum(part.steps, part.budget)
    x = part.depth * np.exp(shift)
    ax.plot(x, waits, ".", color=look["color"], markersize=2.5, alpha=0.5)
    middle = waits.groupby(part.depth).median()
    ax.plot(middle.index * np.exp(shift), middle, **look, linewidth=1)


def whole_ticks(last: int) -> list[int]:
    """Return ticks for layers or steps, the first one among them."""
    step = 5 if last > 8 else 2
    return [1, *range(step, int(last) + 1, step)]
