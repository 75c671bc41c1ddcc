"""What gains do in random networks, and the figures on them; 4.5 standard errors each."""

import numpy as np
import pytest

from initlib.gains import gain_report, gain_table
from initlib.lab.estimates import estimate
from initlib.lab.gain_figures import plot_depth, plot_gains
from initlib.lab.gain_runs import (
    TORCH,
    biased_scales,
    deep_courses,
    departure,
    departure_table,
    depth_limit,
    noise,
    one_layer,
    spread,
)
from initlib.meanfield import MeanField

pytestmark = pytest.mark.usefixtures("house_style")


@pytest.mark.parametrize("target", ["second_moment", "gradient"])
def test_one_layer_keeps_what_its_gain_is_for(target):
    kept = one_layer(target, width=32, networks=300, key=5)
    assert list(kept.index) == [n for n in TORCH if target != "gradient" or n != "hardshrink"]
    assert (np.abs(kept.value - 1) < 4.5 * kept.se).all()


def test_deviations_grow_by_the_slope():
    gelu = gain_report("gelu")
    course = deep_courses(
        {"gelu": (gelu.second_moment, 0.0)}, width=200, depth=2, networks=400, key=6
    )["gelu"]
    measured = estimate(200 * (course.second[:, 2] - 1) ** 2)
    assert abs(measured.value - spread(gelu, 2)) < 4.5 * measured.se


def test_limits_of_depth():
    assert depth_limit(gain_report("tanh"), 10) == np.inf
    gelu = gain_report("gelu")
    layers = depth_limit(gelu, 1024)
    squares = gelu.slope ** (2 * np.arange(round(layers)))
    assert noise(gelu) * squares.sum() / 1024 == pytest.approx(1, rel=0.1)
    own = gain_report(np.tanh)
    assert noise(own, np.tanh) == pytest.approx(noise(gain_report("tanh")))


def test_biases_stabilize():
    silu = gain_report("silu")
    net = MeanField("silu", *biased_scales(silu, 0.3))
    assert net.q_star == pytest.approx(1, abs=1e-9)
    assert net.chi_q == pytest.approx(0.7 * silu.slope)
    assert net.stable


def test_departures_of_lost_signals_are_bounded():
    np.testing.assert_allclose(departure(np.array([0.0, np.inf, np.nan])), np.log(1e6))


def test_figures():
    reports = gain_table(["tanh", "relu", "gelu", "hardshrink"])
    gains, slopes = plot_gains(reports).axes
    names = [label.get_text() for label in gains.get_yticklabels()]
    assert names == ["tanh", "relu", "hardshrink", "gelu"]
    assert [text.get_text() for text in slopes.texts] == ["stable", "unstable"]
    courses = deep_courses(
        {r.activation: (r.second_moment, 0.0) for r in reports}, width=8, depth=4, networks=5
    )
    table = departure_table(courses, reports)
    lines = dict.fromkeys(("one", "two", "three"), courses["gelu"].second)
    *single, law = plot_depth(lines, table, 2).axes
    assert [len(ax.lines) for ax in single] == [6, 6, 6]
    assert law.get_xlabel() == "stability slope"
