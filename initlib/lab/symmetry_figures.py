"""The figures on symmetry: how it breaks, what the units look like, and where zeros are right."""

import math
from collections.abc import Mapping

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter
from numpy.typing import ArrayLike

from initlib.lab.estimates import Estimate
from initlib.lab.figures import (
    COLUMN,
    PAGE,
    direct_label,
    heading,
    scheme_style,
)

TWINS = scheme_style("constant")["color"]
WAITS = {
    "constant": scheme_style("lsuv"),
    "zeros, 2 layers": scheme_style("he"),
    "zeros, 3 layers": scheme_style("xavier"),
}


def plot_breaking(curves: pd.DataFrame, waits: pd.DataFrame, broken: float) -> Figure:
    """Draw how units that start almost equal part, and how long it takes by the noise.

    Parameters
    ----------
    curves
        Columns noise (relative to the weights; 0 for exact twins), step, loss, spread, and one_unit
        (the loss of the network with one unit a layer, where noise is 0).
    waits
        Columns start (a key of `WAITS`), noise, wait (steps; NaN where not measured) and theory.
    broken
        Spread at which the units count as parted.

    Returns
    -------
    Figure
        Two columns wide: three panels, a to c.
    """
    fig, (loss, spread, wait) = plt.subplots(1, 3, figsize=(PAGE, 2.5))
    noises = sorted(curves.noise[curves.noise > 0].unique())
    shades = plt.get_cmap("plasma")(np.linspace(0.05, 0.75, len(noises)))
    for noise, color in zip(noises, shades, strict=True):
        part = curves[curves.noise == noise]
        loss.plot(part.step, part.loss, color=color, linewidth=1)
        spread.plot(part.step, part.spread, color=color, linewidth=1)
        spot = part.step.iloc[0], part.spread.iloc[0]
        words = f"$10^{{{math.log10(noise):.0f}}}$"
        direct_label(spread, words, spot, offset=(-2, 0), color=color)
    _draw_twins(loss, curves[curves.noise == 0])
    end = curves.step.max()
    spread.plot([0, end], [broken, broken], color="#444444", linewidth=0.8, linestyle=":", zorder=0)
    spread.set(yscale="log", ylim=(noises[0] / 3, 30), ylabel="relative to the weights")
    spread.set_xlim(-0.25 * end, 1.05 * end)
    spread.set_xticks([tick for tick in loss.get_xticks() if 0 <= tick <= 1.05 * end])
    spread.yaxis.set_major_locator(LogLocator(numticks=8))
    spread.yaxis.set_minor_formatter(NullFormatter())
    _draw_waits(wait, waits)
    titles = "Training loss (nats)", "Spread, by noise", "Wait, by noise"
    for letter, ax, text in zip("abc", fig.axes, titles, strict=True):
        heading(ax, letter, text)
    for ax in (loss, spread):
        ax.set_xlabel("step")
    return fig


def _draw_twins(ax: Axes, twins: pd.DataFrame) -> None:
    ax.plot(twins.step, twins.loss, color=TWINS, linewidth=2.5, zorder=1)
    dots = twins.iloc[:: max(len(twins) // 12, 1)]
    ax.plot(dots.step, dots.one_unit, "o", color="black", markersize=2.5, markerfacecolor="white")
    ax.annotate(
        "twins (line) are\none unit a layer (dots)",
        (1, 0.9),
        xycoords="axes fraction",
        ha="right",
        va="top",
        fontsize=7,
        color="#444444",
    )


def _draw_waits(ax: Axes, waits: pd.DataFrame) -> None:
    ax.set(xscale="log", xlabel="noise", ylabel="steps")
    ax.set_ylim(0, 1.1 * waits.wait.max())
    ax.set_xticks(10.0 ** np.arange(-12, 0, 3))
    for start, part in waits.groupby("start", sort=False):
        look = WAITS[start]
        part = part.sort_values("noise")
        ax.plot(part.noise, part.theory, color=look["color"], linewidth=1)
        ax.plot(part.noise, part.wait, look["marker"], color=look["color"])
        measured = part.dropna()
        spot, offset, side = {
            "constant": (measured.iloc[0], (4, 6), "left"),
            "zeros, 2 layers": (measured.iloc[len(measured) // 2], (-2, -9), "right"),
            "zeros, 3 layers": (measured.iloc[0], (-4, 2), "right"),
        }[start]
        words = start.replace(", ", ",\n")
        direct_label(
            ax, words, (spot.noise, spot.wait), offset=offset, ha=side, color=look["color"]
        )


def plot_units(weights: Mapping[str, ArrayLike]) -> Figure:
    """Draw the incoming weights of units as images: a row a network, each on its own scale.

    Parameters
    ----------
    weights
        Name of the network to weights, shape (units, height, width).

    Returns
    -------
    Figure
        One column wide.
    """
    units = len(next(iter(weights.values())))
    fig, axes = plt.subplots(
        len(weights),
        units,
        figsize=(COLUMN, 0.46 * len(weights)),
        subplot_kw={"xticks": [], "yticks": []},
    )
    for (name, images), row in zip(weights.items(), axes, strict=True):
        images = np.asarray(images)
        reach = np.abs(images).max() or 1.0
        for image, ax in zip(images, row, strict=True):
            ax.imshow(image, cmap="RdBu_r", vmin=-reach, vmax=reach)
            ax.spines[:].set(visible=True, linewidth=0.3)
        row[0].set_ylabel(name, rotation=0, ha="right", va="center", fontsize=7)
    return fig


def plot_where(differences: Mapping[str, Estimate], margin: float) -> Figure:
    """Draw differences in accuracy to the reference, and which of them don't count.

    Parameters
    ----------
    differences
        Name of the network to its paired difference, as a share. The axis is cut between the
        smallest of them and the others.
    margin
        The largest difference that doesn't count, in percentage points.

    Returns
    -------
    Figure
        One column wide: what lies far below on the left, the others on the right.
    """
    height = 0.25 * len(differences) + 0.55
    fig, axes = plt.subplots(
        1, 2, figsize=(COLUMN, height), sharey=True, gridspec_kw={"width_ratios": [1, 2.6]}
    )
    percent = {
        name: [100 * getattr(one, part) for part in ("value", "low", "high")]
        for name, one in differences.items()
    }
    middle = 5 * round(min(value for value, *_ in percent.values()) / 5)
    axes[0].set(xlim=(middle - 5, middle + 5), xticks=[middle])
    axes[1].set(xlim=(-1.7 * margin, 1.7 * margin))
    axes[1].axvspan(-margin, margin, color="#e8e8e8", linewidth=0, zorder=0)
    axes[1].axvline(0, color="#444444", linewidth=0.8, linestyle=":", zorder=0)
    for y, (value, low, high) in enumerate(percent.values()):
        error = [[value - low], [high - value]]
        axes[0 if value < -1.7 * margin else 1].errorbar(
            value, y, xerr=error, fmt="o", color="black", markersize=4
        )
    axes[0].set_yticks(range(len(percent)), list(percent))
    axes[0].set_ylim(len(percent) - 0.5, -0.5)
    _cut(*axes)
    fig.supxlabel("accuracy minus that of He (points)", fontsize=8)
    return fig


def _cut(left: Axes, right: Axes) -> None:
    """Mark that the axis goes on elsewhere."""
    right.spines["left"].set_visible(False)
    right.tick_params(axis="y", length=0, labelleft=False)
    slash = {"marker": [(-0.5, -1), (0.5, 1)], "markersize": 6, "color": "black", "clip_on": False}
    left.plot(1, 0, transform=left.transAxes, **slash)
    right.plot(0, 0, transform=right.transAxes, **slash)
