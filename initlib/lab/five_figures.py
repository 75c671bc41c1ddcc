"""The figures on speed, gradients and stability of the five statements."""

from collections.abc import Mapping

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, MaxNLocator, NullFormatter, StrMethodFormatter

from initlib.lab.estimates import estimate
from initlib.lab.figures import (
    COLUMN,
    INLINE,
    PAGE,
    direct_label,
    heading,
    points_with_interval,
)
from initlib.lab.five_gradients import Course, Setting, slope_table
from initlib.lab.looks import THEORY

__all__ = [
    "draw_points",
    "gain_axis",
    "means",
    "plot_convergence",
    "plot_gradients",
    "plot_stability",
]

DEEP = {"color": "#0072B2", "marker": "o"}
SHALLOW = {"color": "#E69F00", "marker": "^"}


def means(table: pd.DataFrame, by: list[str], value: str, *, log: bool = False) -> pd.DataFrame:
    """Mean and 95 % interval over seeds for each group; with `log` the geometric mean."""
    rows = []
    for names, part in table.groupby(by, sort=True):
        values = part[value].to_numpy(dtype=np.float64)
        numbers = np.array(estimate(np.log(values) if log else values)[:5])[[0, 3, 4]]
        rows.append((*names, *(np.exp(numbers) if log else numbers)))
    return pd.DataFrame(rows, columns=[*by, "value", "low", "high"])


def draw_points(ax: Axes, x, table: pd.DataFrame, line: bool = True, **look: str) -> None:
    if line:
        ax.plot(x, table.value, color=look["color"], linewidth=0.8, alpha=0.5)
    points_with_interval(ax, x, table.value, table.low, table.high, **look)


def gain_axis(ax: Axes, gains: np.ndarray, name: str = "weights over He's") -> None:
    ax.set_xscale("log", base=2)
    ax.xaxis.set_major_locator(FixedLocator(list(gains)))
    ax.xaxis.set_major_formatter(StrMethodFormatter("{x:.3g}"))
    ax.xaxis.set_minor_formatter(NullFormatter())
    ax.minorticks_off()
    ax.set_xlabel(name)


def _plain_log(ax: Axes, ticks: list[float], name: str) -> None:
    ax.set_yscale("log")
    ax.yaxis.set_major_locator(FixedLocator(ticks))
    ax.yaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    ax.yaxis.set_minor_formatter(NullFormatter())
    ax.yaxis.set_minor_locator(FixedLocator([]))
    ax.set_ylabel(name)


def plot_convergence(raced: pd.DataFrame) -> Figure:
    """Draw steps to a loss against the scale of the weights.

    Parameters
    ----------
    raced
        From `initlib.lab.five_speed.races`.

    Returns
    -------
    Figure
        One column wide.
    """
    final = raced[~raced.trial]
    final = final.assign(steps=np.minimum(final.steps, final.budget))
    steps = means(final, ["depth", "gain"], "steps", log=True)
    fig, ax = plt.subplots(figsize=(COLUMN, 2.6), dpi=INLINE, layout="constrained")
    depths = sorted(steps.depth.unique())
    for depth, look in zip(depths, (SHALLOW, DEEP), strict=True):
        own = steps[steps.depth == depth]
        draw_points(ax, own.gain, own, **look)
        last = own.iloc[-1]
        direct_label(ax, f"{depth} layers", (last.gain, last.value), color=look["color"])
    ax.axvline(1, color=THEORY, linewidth=0.8, linestyle=":", zorder=0)
    gain_axis(ax, np.sort(steps.gain.unique()), "weights over He's (theory: lowest at 1)")
    _plain_log(ax, [10, 20, 50, 100, 200, 500], "steps until the loss is reached")
    low, high = ax.get_xlim()
    ax.set_xlim(low, high * 1.22)
    return fig


def plot_gradients(courses: Mapping[Setting, Course]) -> Figure:
    """Draw the variance of gradients by layer, and its slope against theory.

    Parameters
    ----------
    courses
        From `initlib.lab.five_gradients.gradient_slopes`.

    Returns
    -------
    Figure
        Two columns wide.
    """
    slopes = slope_table(courses)
    fig, (ax, right) = plt.subplots(1, 2, figsize=(PAGE, 2.7), dpi=INLINE, layout="constrained")
    looks = {"tanh": DEEP, "relu": SHALLOW | {"color": "#D55E00"}}
    for setting, (_, variance) in courses.items():
        look = looks[setting.activation]
        layers = np.arange(variance.shape[1])
        ax.plot(layers, np.exp(setting.log_chi * layers), color=THEORY, linewidth=0.7)
        mean = variance.mean(axis=0)
        ax.plot(layers[::3], mean[::3], linestyle="none", markersize=3, **look)
    ax.xaxis.set_major_locator(MaxNLocator(5, integer=True))
    ax.set(yscale="log", xlabel="layers back from the last", ylabel="variance of the gradient")
    heading(ax, "a", "Points: measured. Lines: theory")
    ends = np.array([slopes.log_chi.min(), slopes.log_chi.max()])
    right.plot(ends, ends, color=THEORY, linewidth=0.8, zorder=0)
    for activation, look in looks.items():
        own = slopes[slopes.activation == activation]
        draw_points(
            right,
            own.log_chi,
            own,
            line=False,
            label={"tanh": "tanh", "relu": "ReLU"}[activation],
            **look,
        )
    right.axhline(0, color=THEORY, linewidth=0.6, linestyle=":", zorder=0)
    right.axvline(0, color=THEORY, linewidth=0.6, linestyle=":", zorder=0)
    right.set(xlabel=r"theory: $\log \chi_1$", ylabel="measured slope of log variance per layer")
    right.annotate("vanish", (ends[0], 0), xytext=(0, 3), textcoords="offset points", fontsize=7)
    right.annotate(
        "explode", (ends[1], 0), xytext=(0, -9), textcoords="offset points", fontsize=7, ha="right"
    )
    right.legend(loc="upper left")
    heading(right, "b", "Below and above the critical scale")
    return fig


def plot_stability(twins: pd.DataFrame, bears: pd.DataFrame) -> Figure:
    """Draw churn at one accuracy, and the largest stable learning rates.

    Parameters
    ----------
    twins
        From `initlib.lab.five_stability.twins`.
    bears
        From `initlib.lab.five_stability.largest_rates`.

    Returns
    -------
    Figure
        Two columns wide.
    """
    fig, (ax, right) = plt.subplots(1, 2, figsize=(PAGE, 2.6), dpi=INLINE, layout="constrained")
    percent = twins.assign(churn=100 * twins.churn)
    pairs = means(percent, ["depth", "off", "who"], "churn")
    rates = means(bears, ["depth", "gain"], "log2_rate")
    depths = sorted(pairs.depth.unique())
    ticks, names = [], []
    for place, (depth, off) in enumerate((d, o) for d in depths for o in ("smaller", "larger")):
        own = pairs[(pairs.depth == depth) & (pairs.off == off)].set_index("who")
        for shift, who, look in (
            (-0.16, "He", {"color": "#0072B2", "marker": "o"}),
            (0.16, "off", {"color": "#D55E00", "marker": "s"}),
        ):
            draw_points(ax, [place + shift], own.loc[[who]], line=False, **look)
        ax.plot([place - 0.16, place + 0.16], own.value[["He", "off"]], color="#999999", lw=0.7)
        ticks.append(place)
        names.append(f"{off}\n{depth} layers")
    ax.set_xticks(ticks, names)
    ax.set(ylim=(0, 1.15 * pairs.high.max()), ylabel="twins disagree (% of images)")
    first = pairs[(pairs.depth == depths[0]) & (pairs.off == "larger")].set_index("who")
    direct_label(ax, "He", (0.84, first.value["He"]), color="#0072B2", offset=(-4, 0))
    direct_label(ax, "too large", (1.16, first.value["off"]), color="#D55E00", offset=(4, 6))
    small = pairs[(pairs.depth == depths[0]) & (pairs.off == "smaller")].set_index("who")
    direct_label(ax, "too small", (0.16, small.value["off"]), color="#D55E00", offset=(4, -11))
    heading(ax, "a", "Sensitivity to 5 % of the images")
    for depth, look in zip(depths, (SHALLOW, DEEP), strict=True):
        own = rates[rates.depth == depth]
        draw_points(right, own.gain, own, **look)
        last = own.iloc[-1]
        direct_label(right, f"{depth} layers", (last.gain, last.value), color=look["color"])
    gain_axis(right, np.sort(rates.gain.unique()))
    low, high = right.get_xlim()
    right.set_xlim(low, high * 1.15)
    whole = np.arange(np.floor(rates.low.min()), np.ceil(rates.high.max()) + 1)
    right.set_yticks(whole, [f"$2^{{{int(k)}}}$" for k in whole])
    right.set_ylabel("largest stable learning rate")
    heading(right, "b", "Learning rates they bear")
    return fig
