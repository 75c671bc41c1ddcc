"""The figures on mean-field theory: maps and courses of signals, depth scales and gains."""

from collections.abc import Mapping

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from initlib.lab.figures import (
    INLINE,
    PAGE,
    direct_label,
    heading,
    points_with_interval,
    reference_line,
)
from initlib.lab.looks import THEORY

__all__ = ["COLORS", "plot_maps", "plot_scales"]

COLORS = {
    "tanh": "#0072B2",
    "erf": "#56B4E9",
    "relu": "#D55E00",
    "gelu": "#009E73",
    "silu": "#CC79A7",
    "selu": "#E69F00",
    "sigmoid": "#000000",
}
_PHASES = {"ordered": "#0072B2", "critical": "#000000", "chaotic": "#D55E00"}


def plot_maps(
    layers: pd.DataFrame, lines: pd.DataFrame, courses: pd.DataFrame, ends: Mapping[str, float]
) -> Figure:
    """Draw what one layer does to a variance and to a correlation, and what many layers do.

    Parameters
    ----------
    layers
        Measured: columns of ("q" or "c"), activation, x, value, low and high.
    lines
        In theory: columns of, activation, x and value.
    courses
        Columns name (of a phase), layer, value, low, high and theory: the correlation in a tanh
        network.
    ends
        By phase: c_star.

    Returns
    -------
    Figure
        Two columns wide: three panels.
    """
    fig, axes = plt.subplots(1, 3, figsize=(PAGE, 2.5), dpi=INLINE)
    for ax, of in zip(axes, "qc", strict=False):
        _draw_map(ax, layers[layers.of == of], lines[lines.of == of])
    axes[0].set(xscale="log", yscale="log", xlabel="variance $q$", ylabel="after one layer, $f(q)$")
    axes[1].set(xlabel="correlation $c$", ylabel="after one layer")
    _draw_courses(axes[2], courses, ends)
    titles = "Variance", "Correlation", "Correlation in depth (tanh)"
    for letter, ax, words in zip("abc", axes, titles, strict=True):
        heading(ax, letter, words)
    return fig


def _draw_map(ax: Axes, layers: pd.DataFrame, lines: pd.DataFrame) -> None:
    x = np.array([lines.x.min(), lines.x.max()])
    ax.plot(x, x, ":", color=THEORY, linewidth=0.8)
    for activation, line in lines.groupby("activation", sort=False):
        color = COLORS[activation]
        ax.plot(line.x, line.value, color=color, linewidth=1)
        own = layers[layers.activation == activation]
        points_with_interval(ax, own.x, own.value, own.low, own.high, color=color, markersize=3)
    _stack_labels(ax, lines)


def _stack_labels(ax: Axes, lines: pd.DataFrame) -> None:
    """Name the curves in a corner: where they end they are too close."""
    for place, activation in enumerate(reversed(lines.activation.unique())):
        ax.text(
            0.97, 0.05 + 0.085 * place, activation, transform=ax.transAxes, ha="right",
            fontsize=7, color=COLORS[activation],
        )  # fmt: skip


def _draw_courses(ax: Axes, courses: pd.DataFrame, ends: Mapping[str, float]) -> None:
    for phase, part in courses.groupby("name", sort=False):
        color = _PHASES[phase]
        ax.plot(part.layer, part.theory, color=color, linewidth=1)
        points_with_interval(
            ax, part.layer, part.value, part.low, part.high, color=color, markersize=3
        )
        ax.axhline(ends[phase], color=color, linewidth=0.6, linestyle=":")
        end = part.iloc[len(part) * 2 // 3]
        direct_label(
            ax,
            phase,
            (end.layer, end.theory),
            offset=(0, 9 if phase == "chaotic" else -9),
            ha="center",
            color=color,
        )
    ax.set(xlabel="layer", ylabel="correlation $c$", ylim=(0, 1.04))


def plot_scales(
    scales: pd.DataFrame,
    growths: pd.DataFrame,
    courses: pd.DataFrame,
    scatters: pd.DataFrame,
    critical: float,
) -> Figure:
    """Draw depth scales, where torch's gains lead, and how much networks differ.

    Parameters
    ----------
    scales
        In theory: columns sigma_w, xi_c, xi_q and xi_gradient (of tanh).
    growths
        Measured: columns sigma_w, value, low and high, layers per factor e of squared gradients.
    courses
        Columns of ("second" or "error"), name (an activation), layer, value, low, high and theory.
    scatters
        Columns activation, width, value, low, high and theory: relative standard deviation.
    critical
        sigma_w where order ends.

    Returns
    -------
    Figure
        Two columns wide: four panels.
    """
    fig, axes = plt.subplots(2, 2, figsize=(PAGE, 4.4), dpi=INLINE)
    _draw_scales(axes[0, 0], scales, growths, critical)
    _draw_gains(axes[0, 1], courses[courses.of == "second"], {"tanh": 5, "relu": -5}, end=-1)
    axes[0, 1].set(ylabel="second moment $q$")
    _draw_gains(axes[1, 0], courses[courses.of == "error"], {}, end=0)
    axes[1, 0].set(ylabel="squared gradient,\nover that at the end", ylim=(1e-5, 1e3))
    axes[1, 0].text(0.84, 0.12, "sigmoid", transform=axes[1, 0].transAxes, ha="right", fontsize=7)
    _draw_scatter(axes[1, 1], scatters)
    titles = "Depth scales (tanh)", "Signals", "Gradients", "Networks differ"
    for letter, ax, words in zip("abcd", axes.flat, titles, strict=True):
        heading(ax, letter, words)
    return fig


def _draw_scales(ax: Axes, scales: pd.DataFrame, growths: pd.DataFrame, critical: float) -> None:
    looks = {"xi_c": ("#D55E00", "-"), "xi_q": ("#009E73", "-"), "xi_gradient": ("#0072B2", "--")}
    words = {
        "xi_c": "correlation $\\xi_c$",
        "xi_q": "variance $\\xi_q$",
        "xi_gradient": "gradients",
    }
    for name, (color, dashes) in looks.items():
        ax.plot(scales.sigma_w, scales[name], dashes, color=color, linewidth=1)
    options = {"color": looks["xi_gradient"][0], "markersize": 3.5}
    points_with_interval(ax, growths.sigma_w, growths.value, growths.low, growths.high, **options)
    ax.axvline(critical, color=THEORY, linewidth=0.8, linestyle=":")
    ax.set(yscale="log", ylim=(0.3, 300), xlabel=r"weight scale $\sigma_w$", ylabel="layers")
    last = scales.iloc[-1]
    for name, text in words.items():
        direct_label(ax, text, (last.sigma_w, last[name]), color=looks[name][0])
    ax.set_xlim(scales.sigma_w.min(), scales.sigma_w.max() + 1.1)
    ax.set_xticks([0.5, 1, 1.5, 2, 2.5, 3])


def _draw_gains(ax: Axes, courses: pd.DataFrame, shifts: Mapping[str, int], end: int) -> None:
    for activation, part in courses.groupby("name", sort=False):
        color = COLORS[activation]
        ax.plot(part.layer, part.theory, color=color, linewidth=1)
        some = part.iloc[::3]
        points_with_interval(
            ax, some.layer, some.value, some.low, some.high, color=color, markersize=3
        )
        spot, offset = part.iloc[end], (4 if end else -4, shifts.get(activation, 0))
        direct_label(ax, activation, (spot.layer, spot.theory), offset=offset, color=color)
    reference_line(ax, 1)
    last = courses.layer.max()
    ax.set(
        yscale="log", xlabel="layer", xlim=(-1, 1.25 * last) if end else (-0.25 * last, last + 1)
    )
    ax.set_xticks(range(0, last + 1, 5))


def _draw_scatter(ax: Axes, scatters: pd.DataFrame) -> None:
    for activation, part in scatters.groupby("activation", sort=False):
        color = COLORS[activation]
        ax.plot(part.width, part.theory, color=color, linewidth=1)
        points_with_interval(ax, part.width, part.value, part.low, part.high, color=color)
        last = part.iloc[-1]
        direct_label(ax, activation, (last.width, last.theory), color=color)
    widths = sorted(scatters.width.unique())
    ax.set(xscale="log", yscale="log", xlabel="width $n$", ylabel="relative deviation of $q$")
    levels = [0.1, 0.15, 0.2, 0.3, 0.4]
    ax.set_yticks(levels, [f"{100 * level:.0f} %" for level in levels])
    ax.set_xticks(widths, [str(n) for n in widths])
    ax.minorticks_off()
    ax.set_xlim(widths[0] * 0.85, widths[-1] * 1.7)
