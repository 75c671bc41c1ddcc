"""The figures on Xavier's rule draw toy data."""

import math

import numpy as np
import pandas as pd
import pytest

from initlib.lab.fading_figures import plot_fading
from initlib.lab.xavier_figures import ARMS, LOOKS, plot_starts, plot_training

pytestmark = pytest.mark.usefixtures("house_style")


def table(**columns):
    rows = pd.DataFrame({"layer": np.arange(1, 6)} | columns)
    value = 0.5**rows.layer
    return rows.assign(value=value, low=0.9 * value, high=1.1 * value, theory=value)


def test_starts_are_drawn_and_named():
    names = [(q, s) for q in ("signal", "gradient", "weight") for s in LOOKS]
    fig = plot_starts(pd.concat(table(quantity=q, start=s) for q, s in names))
    fig.draw_without_rendering()
    words = [[text.get_text() for text in ax.texts] for ax in fig.axes]
    assert [len(texts) for texts in words] == [3, 3, 3]
    assert "× 0.50" in words[0]


def test_fading_has_three_panels():
    inputs = [table(panel="input", quantity="second", width=8, start=s) for s in (0.1, 1.0, 10.0)]
    widths = [
        table(panel="width", quantity="second", width=n, start=1.0).assign(corrected=0.5)
        for n in (4, 8)
    ]
    gradients = [
        table(panel="gradient", quantity=q, width=8, start=1.0) for q in ("error", "weight")
    ]
    fig = plot_fading(pd.concat([*inputs, *widths, *gradients]))
    fig.draw_without_rendering()
    assert [ax.get_xscale() for ax in fig.axes] == ["log"] * 3
    assert "4 units" in [text.get_text() for text in fig.axes[1].texts]


def test_training_names_every_arm():
    errors = pd.DataFrame({"scheme": ["xavier", "standard"] * 2, "budget": [30, 30, 100, 100]})
    errors = errors.assign(value=[20, 60, 12, 18], low=[18, 55, 11, 17], high=[22, 65, 13, 19])
    step = np.arange(1, 50)
    arms = [pd.DataFrame({"scheme": s, "seed": 0, "step": step, "loss": 20 / step}) for s in ARMS]
    curves = {"deep": pd.concat(arms[:2]), "logistic": pd.concat(arms[2:])}
    fig = plot_training(errors, curves, 1.0, math.log(10))
    fig.draw_without_rendering()
    named = [text.get_text() for ax in fig.axes[1:] for text in ax.texts]
    assert {words for _, words, *_ in ARMS.values()} <= set(named)
