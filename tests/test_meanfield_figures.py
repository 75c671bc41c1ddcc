"""The figures on mean-field theory, drawn from toy data: what is shown where."""

import numpy as np
import pandas as pd
import pytest

from initlib.critical import critical_line
from initlib.lab.meanfield_figures import plot_maps, plot_scales
from initlib.lab.phase_figures import plot_phases
from initlib.phase import phase_diagram

pytestmark = pytest.mark.usefixtures("house_style")


def texts(ax):
    return [text.get_text() for text in ax.texts]


def test_phases():
    names = ["tanh", "erf", "relu", "gelu", "leaky_relu", "linear"]
    sigma_w, sigma_b = np.linspace(0.5, 2.5, 9), np.linspace(0, 1, 5)
    diagrams = {n: phase_diagram(n, sigma_w, sigma_b, correlations=False) for n in names}
    lines = {n: (critical_line(n, sigma_b), sigma_b) for n in names}
    fig = plot_phases(diagrams, lines, {"tanh": {"here": 5 / 3}})
    tanh, _, relu, *_ = fig.axes
    assert texts(tanh) == ["ordered", "chaotic", "here"]
    assert texts(relu) == ["ordered", "signals diverge"]
    np.testing.assert_allclose(relu.lines[0].get_xdata(), 2**0.5)


def interval(value):
    return {"value": value, "low": value - 0.1, "high": value + 0.1, "theory": value}


def test_maps():
    x = np.linspace(0.1, 1, 4)
    points = pd.concat(
        pd.DataFrame({"of": of, "activation": n, "x": x, **interval(x)})
        for of in "qc"
        for n in ("tanh", "relu")
    )
    courses = pd.concat(
        pd.DataFrame({"name": p, "layer": np.arange(4), **interval(x)})
        for p in ("ordered", "critical", "chaotic")
    )
    ends = {"ordered": 1.0, "critical": 1.0, "chaotic": 0.2}
    variance, correlation, course = plot_maps(points, points, courses, ends).axes
    assert texts(variance) == texts(correlation) == ["relu", "tanh"]
    assert texts(course) == ["ordered", "critical", "chaotic"]


def test_scales():
    s = np.array([0.7, 1.0, 2.0])
    scales = pd.DataFrame({"sigma_w": s, "xi_c": s, "xi_q": s, "xi_gradient": s})
    growths = pd.DataFrame({"sigma_w": s, **interval(s)})
    courses = pd.concat(
        pd.DataFrame({"of": of, "name": n, "layer": np.arange(3), **interval(s)})
        for of in ("second", "error")
        for n in ("tanh", "relu")
    )
    scatters = pd.DataFrame({"activation": "tanh", "width": [32, 64, 128], **interval(s)})
    depth, signals, gradients, networks = plot_scales(scales, growths, courses, scatters, 1.3).axes
    assert len(texts(depth)) == 3
    assert texts(signals)[:2] == ["tanh", "relu"]
    assert gradients.get_xlabel() == "layer"
    assert [label.get_text() for label in networks.get_xticklabels()] == ["32", "64", "128"]
