"""The figures on symmetry, drawn from toy data: what is shown where."""

import numpy as np
import pytest

from initlib.lab.estimates import Estimate
from initlib.lab.following import Followed
from initlib.lab.symmetry_figures import WAITS, plot_breaking, plot_units, plot_where
from initlib.lab.symmetry_runs import breaking_curves, waits_table

pytestmark = pytest.mark.usefixtures("house_style")


def toy_curves(noises):
    step = np.arange(200.0)
    spreads = np.minimum(np.multiply.outer(np.exp(0.1 * step), noises), 1)
    noisy = Followed(2.3 - spreads, spreads, None)
    twins = Followed(np.full((200, 1), 2.3), np.zeros((200, 1)), None)
    return breaking_curves(noisy, noises, twins, twins)


def test_breaking_has_a_curve_for_each_noise_and_twins_beside_one_unit():
    noises = [1e-2, 1e-6]
    waits = waits_table({start: (noises, [5, 50], lambda e: -5 * np.log(e)) for start in WAITS})
    fig = plot_breaking(toy_curves(noises), waits, broken=0.01)
    fig.draw_without_rendering()
    loss, spread, wait = fig.axes
    assert len(loss.lines) == 4
    assert loss.lines[2].get_ydata() == pytest.approx(np.full(40, 2.3))
    words = [text.get_text() for text in spread.texts if text.get_text()]
    assert words == ["$10^{-6}$", "$10^{-2}$"]
    assert [len(line.get_xdata()) for line in wait.lines] == [62, 62] * 3
    assert np.isfinite(wait.lines[1].get_ydata()).sum() == 2


def test_units_are_images_on_a_scale_for_each_row():
    images = np.arange(18.0).reshape(2, 3, 3)
    fig = plot_units({"zeros": np.zeros((2, 3, 3)), "others": images})
    fig.draw_without_rendering()
    limits = [ax.images[0].get_clim() for ax in fig.axes]
    assert limits == [(-1, 1), (-1, 1), (-17, 17), (-17, 17)]


def test_what_lies_far_below_is_drawn_left_of_the_cut():
    near, far = Estimate(0.01, 0.002, 9, 0.005, 0.015), Estimate(-0.6, 0.01, 9, -0.62, -0.58)
    fig = plot_where({"near": near, "far": far}, margin=1.5)
    fig.draw_without_rendering()
    cut, close = fig.axes
    (below,), (beside,) = cut.containers, close.containers
    assert below.lines[0].get_xydata().tolist() == [[-60, 1]]
    assert beside.lines[0].get_xydata().tolist() == [[1, 0]]
    assert cut.get_xlim() == (-65, -55)
    assert close.get_xlim() == pytest.approx((-2.55, 2.55))
    assert [label.get_text() for label in cut.get_yticklabels()] == ["near", "far"]
