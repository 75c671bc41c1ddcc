"""The figures on biases and generalization of the five statements."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, NullFormatter, StrMethodFormatter

from initlib.lab.data import Dataset
from initlib.lab.figures import INLINE, PAGE, direct_label, heading, reference_line
from initlib.lab.five_figures import DEEP, draw_points, gain_axis, means
from initlib.lab.five_hidden_bias import predicted_active
from initlib.lab.looks import THEORY

__all__ = ["plot_biases", "plot_generalization"]

ARMS = {
    "zero": ("#666666", "h", "zero"),
    "prior": ("#009E73", "D", "log prior"),
    "wrong": ("#D55E00", "s", "wrong sign"),
}


def plot_biases(
    raced: pd.DataFrame,
    entropy: float,
    learned: pd.DataFrame,
    active: pd.DataFrame,
    data: Dataset,
) -> Figure:
    """Draw what biases of the output and of hidden layers do.

    Parameters
    ----------
    raced
        From `initlib.lab.five_output_bias.output_race`.
    entropy
        Of its classes (nats).
    learned, active
        From the functions of these names in `initlib.lab.five_hidden_bias`.
    data
        That `active` was measured on, for its theory.

    Returns
    -------
    Figure
        Two columns wide, three panels.
    """
    fig, (ax, middle, right) = plt.subplots(
        1, 3, figsize=(PAGE, 2.5), dpi=INLINE, layout="constrained"
    )
    final = raced[~raced.trial]
    final = final.assign(early=final.early / entropy, steps=np.minimum(final.steps, final.budget))
    both = [means(final, ["arm"], what, log=True) for what in ("early", "steps")]
    race = pd.concat(both, keys=["early", "steps"], names=["what"]).reset_index(0)
    hidden = means(learned, ["bias"], "accuracy")
    measured = means(active.melt(var_name="bias"), ["bias"], "value")
    wide = race.pivot(index="arm", columns="what")
    for arm, (color, marker, name) in ARMS.items():
        x, y = wide["value"].loc[arm, ["early", "steps"]]
        reach = [
            [[wide["value"].loc[arm, what] - wide["low"].loc[arm, what]],
             [wide["high"].loc[arm, what] - wide["value"].loc[arm, what]]]
            for what in ("early", "steps")
        ]  # fmt: skip
        ax.errorbar(
            x, y, xerr=reach[0], yerr=reach[1], color=color, marker=marker, elinewidth=0.8,
            linestyle="none",
        )  # fmt: skip
        side = {"offset": (-5, 8), "ha": "right"} if arm == "wrong" else {"offset": (6, 6)}
        direct_label(ax, name, (x, y), color=color, **side)
    ax.axvline(1, color=THEORY, linewidth=0.8, linestyle=":", zorder=0)
    ax.set(xscale="log", ylim=(0, 1.35 * race[race.what == "steps"].high.max()))
    ax.xaxis.set_major_locator(FixedLocator([1, 2, 5, 10]))
    ax.xaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    ax.xaxis.set_minor_formatter(NullFormatter())
    ax.set(xlabel="early loss over entropy $H$", ylabel="steps until the loss is $H/3$")
    heading(ax, "a", "Output bias")
    draw_points(middle, hidden.bias, hidden, **DEEP)
    middle.set(ylim=(0, 100), xlabel="hidden biases at the start", ylabel="test accuracy (%)")
    heading(middle, "b", "Hidden biases")
    line = np.linspace(active.columns.min(), active.columns.max(), 81).tolist()
    right.plot(line, predicted_active(data, line), color=THEORY, linewidth=0.9)
    draw_points(right, measured.bias, measured, line=False, **DEEP)
    right.set(ylim=(-2, 100), xlabel="hidden biases at the start", ylabel="active units (%)")
    reference_line(right, 50)
    heading(right, "c", "Last hidden layer")
    return fig


def plot_generalization(fitted: pd.DataFrame, lsuv: pd.DataFrame) -> Figure:
    """Draw accuracy on unseen data at equal fit, by scale and for starts that saw data.

    Parameters
    ----------
    fitted, lsuv
        From `initlib.lab.five_generalization.accuracies`, of scales and of the two LSUV starts.

    Returns
    -------
    Figure
        Two columns wide.
    """
    fig, (ax, right) = plt.subplots(1, 2, figsize=(PAGE, 2.6), dpi=INLINE, layout="constrained")
    scales = means(fitted.melt(var_name="scale"), ["scale"], "value")
    draw_points(ax, scales.scale, scales, **DEEP)
    gain_axis(ax, np.sort(scales.scale.unique()))
    ax.axvline(1, color=THEORY, linewidth=0.8, linestyle=":", zorder=0)
    ax.set(ylabel="test accuracy (%)")
    heading(ax, "a", "All training images right, loss 0.01")
    ends = np.array([lsuv.min(axis=None) - 0.5, lsuv.max(axis=None) + 0.5])
    right.plot(ends, ends, color=THEORY, linewidth=0.8, zorder=0)
    right.plot(lsuv.other, lsuv.own, linestyle="none", color="#CC79A7", marker="v")
    right.set(xlabel="LSUV on other images (%)", ylabel="LSUV on the training images (%)")
    right.set(xlim=ends, ylim=ends, aspect="equal")
    heading(right, "b", "Test accuracy, each seed")
    return fig
