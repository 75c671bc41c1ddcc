"""The figures on sparse weights, drawn from toy data: what is shown where."""

import numpy as np
import pandas as pd
import pytest
import torch

from initlib.lab.sparse_figures import plot_orientation, plot_units, strangers
from initlib.lab.sparse_training import NAMES, plot_steps, plot_training

pytestmark = pytest.mark.usefixtures("house_style")


def texts(ax):
    return [text.get_text() for text in ax.texts]


def spread(value, **columns):
    value = np.asarray(value, dtype=float)
    about = {"value": value, "low": 0.9 * value, "high": 1.1 * value, "theory": value}
    return pd.DataFrame(columns | about)


def test_units_show_sizes_tails_and_cosines():
    at = np.linspace(0, 3, 10)
    sizes = [
        pd.DataFrame({"units": name, "k": k, "size": at, "density": 1.0, "theory": 1.0})
        for name, k in (("sparse", 15), ("dense", 256))
    ]
    tails = [
        spread([a / 4, a / 16], law=law, k=[4, 16])
        for law, a in (("normal", 6), ("uniform", 2.4), ("signs", 0))
    ]
    cosines = spread([1, 1, 1], k=[1, 16, 256], apart=[1.0, 0.3, 0.0])
    left, middle, right = plot_units(pd.concat(sizes), pd.concat(tails), cosines).axes
    assert texts(left) == ["sparse,\n15 weights", "dense,\n256 weights"]
    assert texts(middle) == ["normal inputs", "uniform", "±1"]
    assert len(texts(right)) == 2
    assert [label.get_text() for label in right.get_xticklabels()] == ["1", "16", "256"]


def test_two_sets_rarely_have_nothing_in_common():
    assert strangers(1, 4) == 0.75
    assert strangers(3, 4) == 0


def test_orientation_shows_a_spike_and_a_law_each_way():
    law = {"count": [14, 15, 16], "share": [0.3, 0.4, 0.3], "theory": [0.3, 0.4, 0.3]}
    spike = {"count": [15], "share": [1.0], "theory": [1.0]}
    ways = {("rows", "incoming"): spike, ("rows", "outgoing"): law}
    ways |= {("columns", "incoming"): law, ("columns", "outgoing"): spike}
    counts = [pd.DataFrame(part).assign(fixed=f, way=w) for (f, w), part in ways.items()]
    shares = spread([0.8, 0.6], n_in=784, n_out=[10, 20])
    incoming, outgoing, unread = plot_orientation(pd.concat(counts), shares, 15).axes
    assert any("torch" in text for text in texts(incoming))
    assert any("each row" in text for text in texts(outgoing))
    assert texts(unread) == ["784 inputs"]


def test_steps_show_three_images_and_the_shares():
    unit = {name: torch.eye(4) for name in ("start", "one", "end")}
    steps = np.arange(5)
    shares = [
        spread(0.1 + 0.2 * steps, step=steps, inputs=name)
        for name in ("standardized", "zero to one")
    ]
    *images, all_units, _ = plot_steps(unit, pd.concat(shares), [0.7, 0.4, 0.8]).axes
    assert [ax.get_xlabel() for ax in images] == list(unit)
    assert texts(all_units) == ["standardized", "pixels from 0 to 1"]


def test_training_names_every_arm():
    layers = np.arange(1, 9)
    errors = [spread(0.5**layers, layer=layers, arm=arm) for arm in ("sparse", "dense", "xavier")]
    step = np.arange(1, 41)
    curve = pd.DataFrame({"seed": 0, "step": step, "loss": 2.3 - 0.05 * step})
    curves = {
        activation: pd.concat(curve.assign(arm=arm) for arm in names)
        for activation, names in NAMES.items()
    }
    gradients, *training = plot_training(pd.concat(errors), curves, np.log(10)).axes
    assert texts(gradients) == ["sparse", "dense", "LeCun"]
    for ax, names in zip(training, NAMES.values(), strict=True):
        assert {words for words, *_ in names.values()} <= set(texts(ax))
