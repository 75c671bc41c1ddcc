"""The figures on variance scaling and on fixed points, drawn from toy data: what is shown where."""

import numpy as np
import pandas as pd
import pytest

import initlib as init
from initlib.lab.fixed_point_figures import GAINS, plot_lecun, plot_selu
from initlib.lab.scaling import map_lines, map_points
from initlib.lab.scaling_figures import LOOKS, MODES, plot_map, plot_modes

pytestmark = pytest.mark.usefixtures("house_style")


def texts(ax):
    return [text.get_text() for text in ax.texts]


def toy_layers(depth=8, **labels):
    layer = np.arange(1, depth + 1)
    theory = 0.5**layer
    columns = {"layer": layer, "value": theory, "low": 0.9 * theory, "high": 1.1 * theory}
    return pd.DataFrame(columns | {"theory": theory} | labels)


def toy_curves(**labels):
    steps = np.arange(1, 51)
    seeds = [pd.DataFrame({"seed": s, "step": steps, "loss": 2.3 - 0.03 * steps}) for s in (0, 1)]
    return pd.concat(seeds).assign(**labels)


def test_the_map_has_a_curve_a_point_and_a_name_for_every_scheme():
    schemes = dict.fromkeys(LOOKS, (init.lecun_normal_, 1, "fan_in"))
    shapes = [(4, 16), (8, 8), (16, 4)]
    fig = plot_map(map_points(schemes, shapes, key=0, draws=16), map_lines(schemes, shapes))
    area, forward, backward = fig.axes
    points = [line for line in area.lines if line.get_marker() not in ("None", "o")]
    assert sum(len(line.get_xdata()) == 3 for line in points) >= len(LOOKS) - 3
    assert {"linear,\nSELU", "ReLU"} <= set(texts(area))
    assert any("Glorot" in text for text in texts(area))
    for strip in (forward, backward):
        # Orthogonal weights are left out: some of their gains don't fluctuate.
        assert sum(bar.get_height() for bar in strip.patches) == 3 * (len(LOOKS) - 1)


def test_modes_show_theory_points_and_training():
    signals = pd.concat(
        toy_layers(mode=mode, quantity=name) for mode in MODES for name in ("second", "weight")
    )
    curves = pd.concat(toy_curves(mode=mode) for mode in ("fan_avg", "fan_geo"))
    before, gradient, training = plot_modes(signals, curves, 1.0, np.log(10)).axes
    assert before.get_yscale() == gradient.get_yscale() == "log"
    assert set(texts(gradient)) == {words for _, words in MODES.values()}
    assert sum(len(line.get_xdata()) > 8 for line in training.lines) == 2 * (2 + 1)
    assert "loss 1" in texts(training)


def test_lecun_shows_the_fixed_point_and_leaves_out_what_vanished():
    settling = pd.concat(toy_layers(start=start) for start in (0.1, 4.0))
    tiny = toy_layers(activation="sigmoid")
    tiny["theory"] = 1e-3**tiny.layer
    errors = pd.concat([toy_layers(activation="lecun_tanh"), tiny])
    curves = toy_curves(activation="sigmoid")
    settled, gradient, training = plot_lecun(settling, errors, curves, 0.382, np.log(10)).axes
    assert "fixed point 0.382" in texts(settled)
    assert gradient.get_ylim()[0] == 1e-10
    shown = [line for line in gradient.lines if line.get_color() == "#CC79A7"]
    assert max(len(line.get_xdata()) for line in shown) == 3
    assert training.get_xscale() == "log"


def test_selu_shows_paths_and_where_they_stop():
    start = {"layer": [0, 1, 2], "mean": [0.5, 0.1, 0.0], "variance": [2.0, 1.5, 1.0]}
    portrait = pd.DataFrame(start | {"gain": 1.0, "start": 0})
    layers = pd.concat(
        toy_layers(gain=gain, quantity=name) for gain in GAINS for name in ("second", "error")
    )
    moments = pd.DataFrame({"mean": [0.0, 0.1], "variance": [0.5, 2.0]})
    plane, signal, gradient = plot_selu(portrait, moments, {1.0: (0.0, 1.0)}, layers).axes
    assert texts(plane) == ["gain 1"]
    assert len(texts(signal)) == 3
    assert signal.get_yscale() == gradient.get_yscale() == "log"
