"""The figures on learning from orthogonal weights: what depth costs, modes and signs."""

from collections.abc import Mapping

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator

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

__all__ = ["heading", "plot_depths", "plot_modes"]

ORTHOGONAL = scheme_style("orthogonal")
GAUSSIAN = scheme_style("lecun")
LOOKS = {"orthogonal": ORTHOGONAL, "gaussian": GAUSSIAN}
OTHER_SIGN = "#D55E00"
RAW = "#666666"


def plot_depths(raced: pd.DataFrame, curves: pd.DataFrame, largest: float) -> Figure:
    """Draw how many steps depth costs, at which learning rate, and what it does to the course.

    Parameters
    ----------
    raced
        Columns scheme, depth, seed, steps (infinite: not within the budget), budget and multiple
        (the best learning rate times the depth; NaN where there is none).
    curves
        Columns scheme ("orthogonal", "gaussian"), depth, seed, tau, loss and limit (of infinitely
        many orthogonal layers).
    largest
        Largest singular value of the target.

    Returns
    -------
    Figure
        Two columns wide: three panels. Bars reach over all seeds.
    """
    fig, axes = plt.subplots(1, 3, figsize=(PAGE, 2.4), dpi=INLINE)
    depths = np.array(sorted(raced.depth.unique()))
    for scheme, part in raced.groupby("scheme"):
        look = LOOKS[scheme]
        _draw_seeds(axes[0], part.depth, np.minimum(part.steps, part.budget), look)
        late = part[np.isinf(part.steps)]
        axes[0].plot(late.depth, late.budget, "^", color=look["color"], markerfacecolor="white")
        learned = part.dropna()
        _draw_seeds(axes[1], learned.depth, learned.multiple, look)
    for ax in axes[:2]:
        ax.set(xscale="log", yscale="log", xlabel="weight layers $L$")
        _ticks(ax.xaxis, depths)
    axes[0].set_ylabel("steps to 1 % of the loss")
    axes[1].set(ylabel=r"best learning rate $\times\ L$", ylim=(0.08, 2.4))
    _ticks(axes[1].yaxis, (0.1, 0.2, 0.5, 1, 2))
    _name_depths(*axes[:2], raced, depths, largest)
    _draw_course(axes[2], curves)
    for letter, ax, words in zip("abc", axes, ("Steps", "Rate", "Course"), strict=True):
        heading(ax, letter, words)
    return fig


def _draw_seeds(ax: Axes, depth: pd.Series, values: pd.Series, look: dict[str, str]) -> None:
    groups = np.log(values).groupby(depth)
    middle = np.exp(groups.mean())
    ax.plot(middle.index, middle, color=look["color"], linewidth=0.8)
    ends = [np.exp(groups.quantile(q)) for q in (0, 1)]
    points_with_interval(ax, middle.index, middle, *ends, **look)


def _name_depths(
    steps: Axes, rates: Axes, raced: pd.DataFrame, depths: np.ndarray, largest: float
) -> None:
    fine = np.geomspace(depths[0], depths[-1], 50)
    first = raced.steps[(raced.scheme == "gaussian") & (raced.depth == depths[0])].median()
    steps.plot(fine, first * fine / depths[0], ":", color=THEORY, linewidth=0.8)
    place = fine[35], first * fine[35] / depths[0]
    direct_label(steps, r"$\propto L$", place, offset=(4, -5), color=THEORY)
    steps.set_ylim(bottom=1.5)
    names = {"ha": "center", "offset": (0, 0)}
    for ax, ours, theirs in ((steps, (8, 3), (6, 55)), (rates, (30, 0.62), (4, 0.33))):
        direct_label(ax, "orthogonal", ours, color=ORTHOGONAL["color"], **names)
        direct_label(ax, "Gaussian", theirs, color=GAUSSIAN["color"], **names)
    rates.plot(fine, 2 / largest ** (2 - 2 / fine), color=THEORY, linewidth=1)
    direct_label(rates, "largest that is stable", (fine[0], 1.7), offset=(0, 0), color=THEORY)


def _draw_course(ax: Axes, curves: pd.DataFrame) -> None:
    means = curves.groupby(["scheme", "depth", "tau"]).loss.mean()
    names = {}
    for scheme, look in LOOKS.items():
        own = means[scheme]
        depths = own.index.unique("depth")
        names[scheme] = ", ".join(f"{depth}" for depth in depths)
        for place, depth in enumerate(depths):
            course = own[depth]
            style = {"color": look["color"], "alpha": 0.3 + 0.7 * (place + 1) / len(depths)}
            if scheme == "gaussian":
                ax.plot(course, **style)
                end = course.index[-1], course.iloc[-1]
                direct_label(ax, f"$L$ = {depth}", end, color=look["color"])
            else:
                ax.plot(course.iloc[2 + 3 * place :: 11], look["marker"], **style)
    limit = curves[curves.scheme == "orthogonal"].groupby("tau").limit.mean()
    ax.plot(limit.index, limit, color=THEORY, linewidth=1)
    spot = {"xycoords": "axes fraction", "offset": (0, 0)}
    words = f"orthogonal,\n$L$ = {names['orthogonal']}"
    direct_label(ax, words, (0.04, 0.3), color=ORTHOGONAL["color"], **spot)
    direct_label(ax, "theory, $L \\to \\infty$", (0.04, 0.15), color=THEORY, **spot)
    direct_label(ax, "Gaussian", (0.62, 0.94), color=GAUSSIAN["color"], **spot)
    ax.set(yscale="log", xlabel=r"time $\tau = L\,\eta\,k$", ylabel="loss (start = 1)")


def plot_modes(
    modes: pd.DataFrame,
    errors: pd.DataFrame,
    traces: pd.DataFrame,
    trap: pd.DataFrame,
    means: Mapping[str, float],
) -> Figure:
    """Draw how modes are learned, above what becomes of the sign of a determinant.

    Parameters
    ----------
    modes
        Columns s, t, u and theory, from `mode_table`.
    errors
        Columns lr and error.
    traces
        Columns kind, n and trace, from `trace_table`.
    trap
        Columns seed, same, step, loss and floor, from `sign_trap`.
    means
        Mean trace of each kind in theory.

    Returns
    -------
    Figure
        Two columns wide: four panels.
    """
    fig, axes = plt.subplots(2, 2, figsize=(PAGE, 4.0), dpi=INLINE)
    _draw_modes(axes[0, 0], modes)
    heading(axes[0, 0], "a", "Two layers learn mode by mode")
    _draw_order(axes[0, 1], errors)
    heading(axes[0, 1], "b", "Distance from theory")
    _draw_traces(axes[1, 0], traces, means)
    heading(axes[1, 0], "c", "Raw QR is not uniform")
    _draw_trap(axes[1, 1], trap)
    heading(axes[1, 1], "d", "The sign of the determinant decides")
    return fig


def _draw_modes(ax: Axes, modes: pd.DataFrame) -> None:
    for s, part in modes.groupby("s"):
        ax.plot(part.t, part.theory, color=THEORY, linewidth=1)
        shown = part.iloc[::2]
        ax.plot(shown.t, shown.u, ORTHOGONAL["marker"], color=ORTHOGONAL["color"], markersize=2.5)
        direct_label(ax, f"$s$ = {s:g}", (part.t.max(), part.theory.iloc[-1]))
    ax.set(xlabel="time $t$ (steps × learning rate)", ylabel="strength $u$ of the mode")


def _draw_order(ax: Axes, errors: pd.DataFrame) -> None:
    errors = errors.sort_values("lr")
    line = errors.error.iloc[0] * errors.lr / errors.lr.iloc[0]
    ax.plot(errors.lr, line, color=THEORY, linewidth=1)
    ax.plot(errors.lr, errors.error, ORTHOGONAL["marker"], color=ORTHOGONAL["color"])
    spot = errors.lr.iloc[-2], line.iloc[-2]
    direct_label(ax, r"$\propto \eta$", spot, offset=(-6, 6), color=THEORY)
    ax.set(xscale="log", yscale="log", xlabel=r"learning rate $\eta$")
    ax.set_ylabel(r"largest $|u - u_\mathrm{theory}|\ /\ s$")
    _ticks(ax.xaxis, errors.lr)
    _ticks(ax.yaxis, [tick for tick in (0.002, 0.005, 0.01, 0.02) if tick >= line.min() / 2])


def _draw_traces(ax: Axes, traces: pd.DataFrame, means: Mapping[str, float]) -> None:
    looks = {
        "raw QR": (RAW, "Q of a QR\nfactorization", -1),
        "initlib": (ORTHOGONAL["color"], "orthogonal_", 1),
    }
    for kind, (color, name, side) in looks.items():
        own = traces.trace[traces.kind == kind]
        ax.hist(own, np.arange(-6, 5, 0.25), density=True, color=color, alpha=0.35)
        ax.axvline(means[kind], color=color, linewidth=1, linestyle="--")
        direct_label(ax, name, (means[kind] + side, 0.42), offset=(4 * side, 0), color=color)
    x = np.linspace(-4, 4, 100)
    ax.plot(x, np.exp(-(x**2) / 2) / np.sqrt(2 * np.pi), color=ORTHOGONAL["color"])
    n = traces.n.iloc[0]
    ax.set(xlabel=f"trace of a {n} × {n} matrix", ylabel="density")


def _draw_trap(ax: Axes, trap: pd.DataFrame) -> None:
    for (same, _), part in trap.groupby(["same", "seed"]):
        color = ORTHOGONAL["color"] if same else OTHER_SIGN
        ax.plot(part.step, part.loss, color=color, linewidth=0.8, alpha=0.7)
    floor, end = trap.floor.iloc[0], trap.step.max()
    reference_line(ax, floor, linestyle="-")
    direct_label(
        ax, "det $P$, det $T$\nof other signs", (end, floor), offset=(-1, -14), color=OTHER_SIGN
    )
    same = {"offset": (0, 0), "color": ORTHOGONAL["color"]}
    direct_label(ax, "of the\nsame sign", (6, 1e-3), **same)
    ax.set(xscale="log", yscale="log", ylim=(1e-4, 3), xlabel="step")
    ax.set_ylabel("loss (at $P = 0$: 1)")


def _ticks(axis: Axis, values) -> None:
    axis.set_ticks(values, [f"{value:g}" for value in values])
    axis.set_minor_locator(NullLocator())
