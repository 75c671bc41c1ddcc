"""The figures on depth: signals and gradients at the start, and training that begins or waits."""

import math

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, NullFormatter, ScalarFormatter

from initlib.lab.figures import (
    PAGE,
    direct_label,
    points_with_interval,
    reference_line,
    scheme_style,
)

LN10 = math.log(10)  # the loss of a network that gives ten digits the same probability


def plot_depth(signals: pd.DataFrame, curves: pd.DataFrame, level: float) -> Figure:
    """Draw what depth does to signals and gradients at the start, above how training goes.

    Parameters
    ----------
    signals
        From `signal_table`, of schemes "he" and "xavier".
    curves
        Columns depth (two values), scheme, seed, step and loss, from `curve_table`.
    level
        Loss at which training counts as begun.

    Returns
    -------
    Figure
        Two columns wide: four panels, a to d.
    """
    fig, (start, training) = plt.subplots(2, 2, figsize=(PAGE, 4.6), sharey="row")
    depth = int(signals.layer.max())
    _draw_activations(start[0], signals[signals.direction == "forward"])
    _heading(start[0], "a", f"Signal at the start, {depth} layers")
    _draw_gradients(start[1], signals[signals.direction == "gradient"])
    _heading(start[1], "b", f"Gradient at the start, {depth} layers")
    for letter, ax, (depth, part) in zip("cd", training, curves.groupby("depth"), strict=True):
        _draw_curves(ax, part, level)
        _heading(ax, letter, f"Training on MNIST, {depth} layers")

    training[0].set_ylabel("training loss (nats)")
    return fig


def _draw_activations(ax: Axes, signals: pd.DataFrame) -> None:
    _draw_moments(ax, signals)
    depth = len(signals.layer.unique())
    half = depth // 2
    ax.set_ylabel(r"$\mathrm{E}\,h_l^2\ /\ \mathrm{E}\,x^2$")
    direct_label(ax, "He: the same in every layer", (0, 4), color=scheme_style("he")["color"])
    direct_label(
        ax,
        "Xavier: half of it\nlost in every layer, $2^{-l}$",
        (half, 2.0**-half),
        offset=(12, 4),
        color=scheme_style("xavier")["color"],
    )


def _draw_gradients(ax: Axes, signals: pd.DataFrame) -> None:
    _draw_moments(ax, signals)
    depth = int(signals.layer.max())
    ax.set_ylabel(r"$n_l\ \mathrm{E}\,(\partial f/\partial W_l)^2\ /\ \mathrm{E}\,x^2$")
    ax.yaxis.set_tick_params(labelleft=True)
    middle = (depth + 1) / 2
    ax.annotate(
        "", (middle, 2.0**-2.5), (middle, 2.0 ** (2.5 - depth)), arrowprops={"arrowstyle": "<->"}
    )
    direct_label(
        ax,
        f"a factor $2^{{{depth - 1}}}$ in every layer:\n"
        f"gradients {2 ** ((depth - 1) / 2):,.0f} times smaller",
        (middle, 2.0 ** (-depth / 2)),
        offset=(6, 0),
    )


def _draw_moments(ax: Axes, signals: pd.DataFrame) -> None:
    for scheme, part in signals.groupby("scheme"):
        look = scheme_style(scheme)
        ax.plot(part.layer, part.theory, color=look["color"], linewidth=1)
        points_with_interval(ax, part.layer, part["mean"], part.low, part.high, **look)
    ax.set_yscale("log", base=2)
    ax.yaxis.set_major_locator(FixedLocator(2.0 ** np.arange(0, -50, -10)))
    ax.set_xlabel("layer $l$")


def _draw_curves(ax: Axes, curves: pd.DataFrame, level: float) -> None:
    curves = curves[curves.step >= 10]
    for scheme, part in curves.groupby("scheme"):
        color = scheme_style(scheme)["color"]
        for _, one in part.groupby("seed"):
            ax.plot(one.step, one.loss, color=color, linewidth=0.5, alpha=0.45)
        median = part.groupby("step").loss.median()
        ax.plot(median.index, median, color=color, linewidth=1.8)
    reference_line(ax, LN10, "chance: ln 10")
    reference_line(ax, level, "training has begun")
    ax.set_xscale("log")
    ax.xaxis.set_major_formatter(ScalarFormatter())
    ax.xaxis.set_minor_formatter(NullFormatter())
    ax.set_xlim(10, curves.step.max() * 1.05)
    ax.set_ylim(0, 2.75)
    ax.set_xlabel("step (batches of 64 images)")


def _heading(ax: Axes, letter: str, text: str) -> None:
    ax.set_title(f"$\\bf{{{letter}}}$   {text}", loc="left")
