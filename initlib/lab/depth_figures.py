"""The figures on depth: signals and gradients at the start, and training that begins or waits."""

import math

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import (
    FixedLocator,
    LogLocator,
    MaxNLocator,
    NullFormatter,
    NullLocator,
    ScalarFormatter,
)

from initlib.lab.figures import (
    COLUMN,
    PAGE,
    direct_label,
    draw_seeds,
    heading,
    points_with_interval,
    reference_line,
    scheme_style,
    training_axis,
)

FIRST_STEP = 10  # before it, training is too short to show anything on a logarithmic axis
READINGS = ("#0072B2", "#D55E00", "#CC79A7", "#000000")


def plot_depth(
    signals: pd.DataFrame, curves: pd.DataFrame, level: float, classes: int = 10
) -> Figure:
    """Draw what depth does to signals and gradients at the start, above how training goes.

    Parameters
    ----------
    signals
        From `signal_table`, of schemes "he" and "xavier".
    curves
        Columns depth (two values), scheme, lr, seed, step and loss, from `curve_table`.
    level
        Loss at which training counts as begun.
    classes
        Classes of the data; a network that gives all the same probability has loss ln(classes).

    Returns
    -------
    Figure
        Two columns wide: four panels, a to d.
    """
    fig, (start, training) = plt.subplots(2, 2, figsize=(PAGE, 4.6), sharex="row", sharey="row")
    depth = int(signals.layer.max())
    _draw_activations(start[0], signals[signals.direction == "forward"])
    heading(start[0], "a", f"Signal at the start, {depth} layers")
    _draw_gradients(start[1], signals[signals.direction == "gradient"])
    heading(start[1], "b", f"Gradient at the start, {depth} layers")
    for letter, ax, (depth, part) in zip("cd", training, curves.groupby("depth"), strict=True):
        _draw_curves(ax, part[part.step >= FIRST_STEP], level, classes)
        heading(ax, letter, f"Training on MNIST, {depth} layers")
    end = curves.step.max()
    direct_label(training[0], f"chance: ln {classes}", (end, math.log(classes)), offset=(-1, 7))
    training[0].set_ylabel("training loss (nats)")
    training[0].set_xlim(FIRST_STEP, 1.1 * end)
    return fig


def _draw_activations(ax: Axes, signals: pd.DataFrame) -> None:
    _draw_moments(ax, signals)
    depth = int(signals.layer.max()) + 1
    ax.set_ylabel(r"$\mathrm{E}\,h_l^2\ /\ \mathrm{E}\,x^2$")
    direct_label(
        ax, "He: kept in every layer", (0.4, 1), offset=(0, 9), color=scheme_style("he")["color"]
    )
    direct_label(
        ax,
        "Xavier: halved\nin every layer, $2^{-l}$",
        (0.55 * depth, 2 ** (-0.55 * depth)),
        offset=(8, 14),
        color=scheme_style("xavier")["color"],
    )


def _draw_gradients(ax: Axes, signals: pd.DataFrame) -> None:
    _draw_moments(ax, signals)
    depth = int(signals.layer.max())
    ax.set_ylabel(r"$n_l\ \mathrm{E}\,(\partial f/\partial W_l)^2\ /\ \mathrm{E}\,x^2$")
    ax.yaxis.set_tick_params(labelleft=True)
    arrow = {"arrowstyle": "<->", "linewidth": 0.8, "shrinkA": 12, "shrinkB": 8}
    ax.annotate("", (0.2 * depth, 1), (0.2 * depth, 2.0 ** (1 - depth)), arrowprops=arrow)
    direct_label(
        ax,
        f"$2^{{{depth - 1}}}$ apart in every layer:\n"
        f"gradients {2 ** ((depth - 1) / 2):,.0f} times smaller",
        (0.2 * depth, 2 ** (-depth / 2)),
        offset=(6, 0),
    )


def _draw_moments(ax: Axes, signals: pd.DataFrame) -> None:
    for scheme, part in signals.groupby("scheme"):
        look = scheme_style(scheme)
        ax.plot(part.layer, part.theory, color=look["color"], linewidth=1)
        points_with_interval(ax, part.layer, part["mean"], part.low, part.high, **look)
    ax.set_yscale("log", base=2)
    ax.set_ylim(top=2.0**5)
    ax.yaxis.set_major_locator(FixedLocator(2.0 ** np.arange(0, -60, -10)))
    ax.xaxis.set_major_locator(MaxNLocator(6, integer=True, steps=(1, 2, 5)))
    ax.set_xlabel("layer $l$")


def _draw_curves(ax: Axes, curves: pd.DataFrame, level: float, classes: int) -> None:
    chance = math.log(classes)
    training_axis(ax, chance)
    reference_line(ax, level, f"loss {level:g}")
    for scheme, part in curves.groupby("scheme"):
        color = scheme_style(scheme)["color"]
        median = draw_seeds(ax, part, color=color)
        # Left of He's curve and above Xavier's plateau nothing else is drawn.
        first = part.step[part.loss < 1.5].min()
        leaves = median.index[median < chance - 0.1].min()
        spot, offset, across = {
            "he": ((first, 1.5), (-5, 0), "top"),
            "xavier": ((leaves, chance), (-1, 3), "bottom"),
        }[scheme]
        words = f"{scheme.capitalize()}, lr {part.lr.iloc[0]:g}"
        direct_label(ax, words, spot, offset=offset, va=across, color=color)


def plot_learning_rates(trials: pd.DataFrame, level: float) -> Figure:
    """Draw how long training takes to begin at each learning rate, for each depth.

    Parameters
    ----------
    trials
        Columns depth (two values), scheme, lr, seed, steps (infinite: not within the budget),
        budget and chosen (whether this is the rate that the scheme is given).
    level
        Loss at which training counts as begun.

    Returns
    -------
    Figure
        Two columns wide: one panel a depth. Open triangles are censored at their budget.
    """
    fig, axes = plt.subplots(1, 2, figsize=(PAGE, 2.4), sharex=True, sharey=True)
    axes[0].set(xscale="log", yscale="log", ylabel=f"steps to loss {level:g}")
    axes[0].margins(y=0.15)
    for letter, ax, (depth, part) in zip("ab", axes, trials.groupby("depth"), strict=True):
        for scheme, arm in part.groupby("scheme"):
            _draw_trials(ax, arm, scheme_style(scheme))
            slowest = _reached(arm[arm.lr == arm.lr.min()]).max()
            color = scheme_style(scheme)["color"]
            direct_label(
                ax, scheme.capitalize(), (arm.lr.min(), slowest), offset=(4, 6), color=color
            )
        heading(ax, letter, f"{depth} layers")
        ax.set_xlabel("learning rate")
    rates = sorted(trials.lr.unique())
    axes[0].set_xticks(rates, [f"{rate:g}" for rate in rates], minor=False)
    axes[0].xaxis.set_minor_locator(NullLocator())
    axes[0].yaxis.set_major_locator(LogLocator(10, (1, 2, 5)))
    axes[0].yaxis.set_major_formatter(ScalarFormatter())
    axes[0].yaxis.set_minor_formatter(NullFormatter())
    return fig


def _draw_trials(ax: Axes, trials: pd.DataFrame, look: dict[str, str]) -> None:
    color = look["color"]
    reached = _reached(trials)
    middle = reached.groupby(trials.lr).median()
    ax.plot(middle.index, middle, color=color, linewidth=0.8)
    censored = np.isinf(trials.steps)
    ax.plot(trials.lr[~censored], reached[~censored], look["marker"], color=color)
    ax.plot(trials.lr[censored], reached[censored], "^", color=color, markerfacecolor="white")
    best = trials.lr[trials.chosen].iloc[0]
    ax.plot(best, middle[best], "o", color=color, markersize=9, fillstyle="none")


def _reached(trials: pd.DataFrame) -> pd.Series:
    return np.minimum(trials.steps, trials.budget)


def plot_readings(readings: pd.DataFrame) -> Figure:
    """Draw the size of the signal under several readings of "scales by the root of twice n".

    Parameters
    ----------
    readings
        Columns reading (a formula of the standard deviation), layer, rms and theory.

    Returns
    -------
    Figure
        One column wide.
    """
    fig, ax = plt.subplots(figsize=(COLUMN, 2.6))
    ax.set_yscale("log")
    ax.set_ylim(1e-12, 1e12)
    for color, (reading, part) in zip(
        READINGS, readings.groupby("reading", sort=False), strict=False
    ):
        shown = part[part.theory < 1e12]
        ax.plot(shown.layer, shown.theory, color=color, linewidth=1)
        ax.plot(shown.layer, shown.rms, "o", color=color, markersize=2.5)
        spot = shown.layer.iloc[-1], shown.theory.iloc[-1]
        direct_label(ax, reading, spot, offset=(5, 0), color=color)
    ax.set_xlabel("layer $l$")
    ax.set_ylabel("rms of $h_l$ (input = 1)")
    return fig
