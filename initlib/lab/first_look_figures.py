"""The figures of a first look: signals at the start, and training from there."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from initlib.lab.estimates import estimate
from initlib.lab.figures import (
    COLUMN,
    PAGE,
    direct_label,
    draw_seeds,
    heading,
    scheme_style,
    training_axis,
)
from initlib.lab.first_look import QUANTITIES, after_activation

__all__ = ["plot_signals", "plot_training"]


def plot_signals(seen: pd.DataFrame) -> Figure:
    """Draw signals, gradients and correlations, layer by layer, for each scheme.

    Parameters
    ----------
    seen : DataFrame
        From `look`: points are means over draws (geometric for moments) with 95 % intervals, lines
        what theory makes of each layer given the one before it.
    """
    fig, axes = plt.subplots(1, 3, figsize=(PAGE, 2.2), layout="constrained")
    for scheme, table in after_activation(seen):
        color, marker = (_look_of(scheme)[name] for name in ("color", "marker"))
        for ax, name in zip(axes, QUANTITIES, strict=True):
            log = name != "correlation"
            points = _by_layer(table, name, log)
            ends = points.value - points.low, points.high - points.value
            ax.errorbar(points.index, points.value, ends, color=color, marker=marker, ls="none")
            predicted = f"predicted_{name.removesuffix('_second_moment')}"
            theory = _by_layer(table, predicted, log)
            ax.plot(theory.index, theory.value, color=color, zorder=0)
        axes[0].plot([], [], color=color, marker=marker, label=scheme.removesuffix("_normal"))
    for ax, (name, title), panel in zip(axes, QUANTITIES.items(), "abc", strict=True):
        ax.set_yscale("log" if name != "correlation" else "linear")
        heading(ax, panel, title)
        ax.xaxis.set_major_locator(MaxNLocator(integer=True))
        ax.set_xlabel("layer $l$")
    axes[0].set_ylabel(r"$\mathrm{E}\,h_l^2$")
    axes[1].set_ylabel(r"$\mathrm{E}\,(\partial f/\partial h_l)^2$")
    axes[2].set(ylabel="correlation", ylim=(None, 1))
    fig.legend(loc="outside right center", frameon=False)
    return fig


def plot_training(curves: pd.DataFrame, chance: float) -> Figure:
    """Draw the training loss under each scheme.

    Parameters
    ----------
    curves : DataFrame
        Columns scheme, seed, step and loss.
    chance : float
        Loss (nats) of a network that knows nothing.
    """
    fig, ax = plt.subplots(figsize=(COLUMN, 2.2), layout="constrained")
    training_axis(ax, chance, log=False, top=1.3)
    for scheme, part in curves.groupby("scheme", sort=False):
        color = _look_of(scheme)["color"]
        median = draw_seeds(ax, part, color=color)
        end = median.index[-1], median.iloc[-1]
        direct_label(ax, scheme.removesuffix("_normal"), end, color=color)
    ax.set_ylabel("training loss (nats)")
    return fig


def _look_of(scheme: str) -> dict[str, str]:
    return scheme_style("standard" if scheme == "default" else scheme)


def _by_layer(table: pd.DataFrame, name: str, log: bool) -> pd.DataFrame:
    wide = table.pivot(index="layer", columns="draw", values=name).astype(float)
    wide = wide[(wide > 0).all(axis=1)] if log else wide.dropna()
    if wide.empty:
        return pd.DataFrame(columns=["value", "low", "high"])
    values = np.log(wide) if log else wide
    found = [estimate(row) for row in values.to_numpy()]
    out = pd.DataFrame(
        [(one.value, one.low, one.high) for one in found],
        index=wide.index,
        columns=["value", "low", "high"],
    )
    return np.exp(out) if log else out
