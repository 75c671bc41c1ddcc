"""Each figure from toy data: what is drawn, and where."""

import numpy as np
import pandas as pd

from initlib.lab.lsuv_figures import plot_blind, plot_centred
from initlib.lab.lsuv_loop_figures import plot_passes
from initlib.lab.lsuv_theory import lsuv_numbers

LAYERS = np.arange(1, 11)


def curve(level, **names):
    columns = {"layer": LAYERS, "value": level, "low": 0.9 * level, "high": 1.1 * level}
    return pd.DataFrame({**columns, "theory": level, **names})


def test_passes_are_drawn_beside_twice_the_depth():
    counts = pd.DataFrame({"depth": [5, 40], "loop": [10, 80], "once": [1, 1]})
    loops = pd.DataFrame({"bias": [0.5] * 3, "look": range(3), "error": [0.1, 0.05, 0.02]})
    unseen = pd.concat([curve(0.03, activation="relu"), curve(0.01, activation="tanh")])
    fig = plot_passes(counts, loops.assign(theory=loops.error), unseen)
    lines = [line.get_ydata().tolist() for line in fig.axes[0].get_lines()]
    assert [10, 80] in lines
    assert "Var $b$ = 0.5" in [text.get_text() for text in fig.axes[1].texts]
    assert {text.get_text() for text in fig.axes[2].texts} == {"ReLU", "tanh"}


def test_blindness_is_drawn_with_theory_as_lines():
    spread = pd.concat([curve(0.1**LAYERS, activation="sigmoid"), curve(1.0, activation="tanh")])
    error = pd.concat(
        curve(1.0, activation="sigmoid", rule=rule) for rule in ("published", "centred")
    )
    names = ("sigmoid", "relu", "tanh")
    fig = plot_blind(spread, error, {name: lsuv_numbers(name) for name in names})
    assert {text.get_text() for text in fig.axes[0].texts} == {"sigmoid", "tanh"}
    labels = [label.get_text() for label in fig.axes[2].get_yticklabels()]
    assert labels == ["sigmoid", "ReLU", "tanh"]


def test_waits_have_a_panel_for_each_activation_in_order():
    rows = [
        (phi, rule, depth, seed, steps, 100)
        for phi in ("sigmoid", "relu")
        for rule, steps in (("published", np.inf), ("centred", 20.0))
        for depth in (3, 12)
        for seed in range(3)
    ]
    names = ["activation", "rule", "depth", "seed", "steps", "budget"]
    fig = plot_centred(pd.DataFrame(rows, columns=names), {"sigmoid": 0.98, "relu": 0.73})
    titles = [ax.get_title(loc="left") for ax in fig.axes]
    assert [title.split("   ")[-1] for title in titles] == ["sigmoid, keeps 98%", "ReLU, keeps 73%"]
    drawn = np.concatenate([line.get_ydata() for line in fig.axes[0].get_lines()])
    assert np.nanmax(drawn.astype(float)) == 100  # what was not reached lies on the budget
