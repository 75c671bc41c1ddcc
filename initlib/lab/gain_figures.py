"""The figures on gains: the table of all activations, and what becomes of signals in depth."""

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from initlib.gains import GainReport
from initlib.lab.figures import (
    INLINE,
    PAGE,
    direct_label,
    heading,
    points_with_interval,
    reference_line,
)
from initlib.lab.looks import THEORY

__all__ = ["plot_depth", "plot_gains"]

_STABLE, _MARGINAL, _UNSTABLE = "#0072B2", "#000000", "#D55E00"
_TARGETS = {
    "second_moment": ("second moment", "o", "#0072B2"),
    "variance": ("variance", "s", "#E69F00"),
    "gradient": ("gradient", "^", "#009E73"),
}


def plot_gains(reports: Sequence[GainReport]) -> Figure:
    """Draw the gains of activations for three targets, torch's beside them, and their stability.

    Parameters
    ----------
    reports
        One for each activation.

    Returns
    -------
    Figure
        Two columns wide: two panels with a row for each activation, by stability slope.
    """
    ordered = sorted(reports, key=lambda report: report.slope)
    height = 0.6 + 0.165 * len(ordered)
    fig, axes = plt.subplots(1, 2, figsize=(PAGE, height), dpi=INLINE, sharey=True)
    rows = np.arange(len(ordered))
    for ax in axes:
        ax.hlines(rows, 0, 1, transform=ax.get_yaxis_transform(), color="#dddddd", linewidth=0.5)
    for target, (label, marker, color) in _TARGETS.items():
        values = np.array([getattr(report, target) for report in ordered])
        good = np.isfinite(values) & (values > 0)
        face = {"markerfacecolor": "none", "markersize": 6} if target == "variance" else {}
        axes[0].plot(values[good], rows[good], marker, color=color, label=label, **face)
    known = [(report.torch, row) for row, report in enumerate(ordered) if report.torch]
    axes[0].plot(*zip(*known, strict=True), "x", color="black", markersize=5, label="torch's")
    axes[0].set(xscale="log", xlabel="gain")
    axes[0].set_xticks([0.75, 1, 1.5, 2, 3, 4, 6], ["0.75", "1", "1.5", "2", "3", "4", "6"])
    axes[0].minorticks_off()
    axes[0].legend(loc="upper right")
    axes[0].set_yticks(rows, [report.activation for report in ordered])
    slopes = np.array([report.slope for report in ordered])
    for row, slope in enumerate(slopes):
        axes[1].plot(slope, row, "o", color=_color(slope))
    axes[1].axvline(1, color=THEORY, linewidth=0.8, linestyle=":")
    axes[1].set(xlabel="slope of the variance map at its fixed point", xlim=(0, 2))
    direct_label(axes[1], "stable", (1, 1), offset=(-6, 0), color=_STABLE)
    direct_label(axes[1], "unstable", (1, 1), offset=(6, 0), color=_UNSTABLE)
    heading(axes[0], "a", "Gains for three targets")
    heading(axes[1], "b", "A deviation of q, by a layer, times")
    return fig


def _color(slope: float) -> str:
    if abs(slope - 1) < 1e-3:
        return _MARGINAL
    return _UNSTABLE if slope > 1 else _STABLE


def plot_depth(networks: Mapping[str, np.ndarray], departures: pd.DataFrame, most: float) -> Figure:
    """Draw second moments by depth, network by network, and the departures of all activations.

    Parameters
    ----------
    networks
        Second moments, shape (networks, layers + 1), by what to call them; three of them.
    departures
        Indexed by activation: columns slope, value, low and high.
    most
        The departure at which signals count as lost, as a factor.

    Returns
    -------
    Figure
        Two columns wide: four panels.
    """
    fig, axes = plt.subplots(2, 2, figsize=(PAGE, 4.4), dpi=INLINE)
    for (name, second), ax, letter in zip(networks.items(), axes.flat[:3], "abc", strict=True):
        color = _UNSTABLE if letter == "b" else _STABLE
        ax.plot(np.clip(second, 1e-4, 1e4).T, color=color, linewidth=0.5, alpha=0.35)
        reference_line(ax, 1)
        ax.set(yscale="log", ylim=(1e-4, 1e4), xlabel="layer", ylabel="second moment $q$")
        heading(ax, letter, name)
    _draw_departures(axes[1, 1], departures, most)
    heading(axes[1, 1], "d", "All activations, at their exact gains")
    return fig


def _draw_departures(ax: Axes, departures: pd.DataFrame, most: float) -> None:
    for name, row in departures.iterrows():
        color = _color(row.slope)
        ends = ([row[of]] for of in ("value", "low", "high"))
        points_with_interval(ax, [row.slope], *ends, color=color)
        if name in _NAMED:
            where = {"offset": _NAMED[name], "ha": "left" if _NAMED[name][0] > 0 else "right"}
            direct_label(ax, name, (row.slope, row.value), color=color, **where)
    ax.axvline(1, color=THEORY, linewidth=0.8, linestyle=":")
    reference_line(ax, np.log(most), f"a factor of {most:g}")
    ax.set(yscale="log", xlabel="stability slope", ylabel=r"mean of $|\ln q|$", ylim=(0.05, 30))


_NAMED = {
    "tanh": (6, 8), "relu": (-6, 5), "elu": (-4, 6), "mish": (6, -3), "gelu": (6, -2),
    "sigmoid": (6, -3), "softshrink": (4, -9), "tanhshrink": (-4, 8), "selu": (-4, 6),
}  # fmt: skip
