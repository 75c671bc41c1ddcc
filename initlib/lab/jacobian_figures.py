"""The figures on Jacobians: whole spectra, where theory ends, and how fast networks learn."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter, ScalarFormatter

from initlib.lab.estimates import estimate
from initlib.lab.figures import (
    COLUMN,
    INLINE,
    PAGE,
    direct_label,
    heading,
    points_with_interval,
    reference_line,
)
from initlib.lab.looks import THEORY
from initlib.lab.orthogonal_figures import LOOKS

__all__ = ["plot_breakdown", "plot_jacobians", "plot_race"]

CASES = ("#0072B2", "#D55E00", "#E69F00", "#009E73", "#CC79A7")
MARKERS = ("o", "s", "^", "D", "v")


def plot_jacobians(densities: pd.DataFrame, laws: pd.DataFrame) -> Figure:
    """Draw the densities of ln s of Jacobians, measured and in theory.

    Parameters
    ----------
    densities, laws : DataFrame
        Columns start (four of them), weights, depth, s and density, of ln s: points and lines.

    Returns
    -------
    Figure
        Two columns wide: four panels.
    """
    fig, axes = plt.subplots(1, 4, figsize=(PAGE, 2.2), dpi=INLINE, sharex=True)
    for letter, ax, (start, law) in zip(
        "abcd", axes, laws.groupby("start", sort=False), strict=True
    ):
        color = LOOKS[law.weights.iloc[0]]["color"]
        depths = sorted(law.depth.unique())
        for place, depth in enumerate(depths):
            alpha = 0.35 + 0.65 * (place + 1) / len(depths)
            line = law[law.depth == depth]
            part = densities[(densities.start == start) & (densities.depth == depth)]
            ax.plot(part.s, part.density, ".", color=color, alpha=alpha, markersize=3)
            ax.plot(line.s, line.density, color=color, alpha=alpha, linewidth=1)
            top = line.density.to_numpy().argmax()
            spot = line.s.iloc[top], line.density.iloc[top]
            words = f"$L$ = {depth}" if place == 0 else f"{depth}"
            direct_label(ax, words, spot, offset=(-4, 2), color=color)
        ax.axvline(1, color=THEORY, linewidth=0.6, linestyle=":", zorder=0)
        ax.set(xscale="log", xlim=(2e-3, 20), ylim=(0, None), xlabel="singular value $s$")
        heading(ax, letter, start)
    axes[0].set_ylabel(r"density of $\ln s$")
    return fig


def plot_breakdown(spreads: pd.DataFrame) -> Figure:
    """Draw the spread of s^2 over its theory, against depth over width, and against theory over n.

    Parameters
    ----------
    spreads : DataFrame
        From `spread_table`.

    Returns
    -------
    Figure
        Two columns wide: two panels.
    """
    fig, axes = plt.subplots(1, 2, figsize=(PAGE, 2.7), dpi=INLINE, sharey=True)
    for place, (start, own) in enumerate(spreads.groupby("start", sort=False)):
        look = {"color": CASES[place], "marker": MARKERS[place]}
        for n, part in own.groupby("n"):
            rows = [
                (depth, one.theory.iloc[0], estimate(np.log(one.spread / one.theory)))
                for depth, one in part.groupby("depth")
            ]
            depth, theory, logs = zip(*rows, strict=True)
            value, low, high = (np.exp([one[i] for one in logs]) for i in (0, 3, 4))
            face = look["color"] if n == spreads.n.max() else "white"
            for ax, x in zip(axes, (np.array(depth) / n, np.array(theory) / n), strict=True):
                points_with_interval(ax, x, value, low, high, markerfacecolor=face, **look)
                ax.plot(x, value, color=look["color"], linewidth=0.5, alpha=0.6)
        axes[0].plot([], [], label=start, linestyle="none", **look)
    for ax in axes:
        reference_line(ax, 1)
        ax.set(xscale="log", yscale="log")
        ax.yaxis.set_major_locator(LogLocator(10, (1, 2, 5)))
        ax.yaxis.set_major_formatter(ScalarFormatter())
        ax.yaxis.set_minor_formatter(NullFormatter())
    axes[0].set(xlabel="layers over units, $L / n$", ylabel="spread of $s^2$ over theory")
    axes[1].set(xlabel="theory's variance of $s^2$ over units, $V / n$")
    axes[0].legend(loc="lower left", fontsize=7)
    heading(axes[0], "a", "By depth")
    heading(axes[1], "b", "By what theory itself predicts")
    return fig


def plot_race(raced: pd.DataFrame, level: float) -> Figure:
    """Draw the steps to a loss against the variance of s^2.

    Parameters
    ----------
    raced : DataFrame
        From `race_starts`.
    level : float
        Loss (nats) to be reached.

    Returns
    -------
    Figure
        One column wide.
    """
    fig, ax = plt.subplots(figsize=(COLUMN, 2.7), dpi=INLINE)
    for (activation, weights), own in raced.groupby(["activation", "weights"]):
        look, groups = LOOKS[weights], own.groupby("variance")
        rows = [(v, part.q.iloc[0], estimate(part.log_steps)) for v, part in groups]
        variance, q, logs = zip(*rows, strict=True)
        value, low, high = (np.exp([one[i] for one in logs]) for i in (0, 3, 4))
        face = "white" if activation == "relu" else look["color"]
        points_with_interval(ax, variance, value, low, high, markerfacecolor=face, **look)
        for x, y, one in zip(variance, value, q, strict=True):
            name = "ReLU" if activation == "relu" else f"$q$ = {_fraction(one)}"
            # To the left, but for the largest variance of Gaussian weights, with a neighbour there.
            right = weights == "gaussian" and x == max(variance)
            offset = (6, -3) if right else (-5, 5)
            direct_label(ax, name, (x, y), offset=offset, color=look["color"])
    ax.set(xscale="log", yscale="log", xlabel="variance of $s^2$ in theory, $V$")
    ax.set_xlim(0.003, 150)
    ax.set_ylabel(f"steps to loss {level:g}")
    ax.yaxis.set_major_locator(LogLocator(10, (1, 2, 5)))
    ax.yaxis.set_major_formatter(ScalarFormatter())
    ax.yaxis.set_minor_formatter(NullFormatter())
    words = {"orthogonal": "orthogonal weights", "gaussian": "Gaussian weights"}
    for place, (weights, text) in enumerate(words.items()):
        spot, color = (0.04, 0.94 - 0.08 * place), LOOKS[weights]["color"]
        ax.annotate(text, spot, xycoords="axes fraction", fontsize=7, color=color)
    return fig


def _fraction(q: float) -> str:
    return f"1/{1 / q:g}" if q < 1 else f"{q:g}"
