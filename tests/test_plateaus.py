"""Smoothed losses, and the steps they take to fall below a level."""

import numpy as np
import pytest

from initlib.lab.plateaus import curve_table, smooth, steps_to

LOSSES = np.array([[3.0, 3.0, 3.0], [1.0, 3.0, 3.0], [1.0, 1.0, 3.0], [1.0, 1.0, 3.0]])


@pytest.mark.parametrize("window", [1, 2, 3, 4, 9])
def test_smoothing_averages_the_last_steps(window):
    expected = [LOSSES[max(0, t + 1 - window) : t + 1].mean(axis=0) for t in range(len(LOSSES))]
    np.testing.assert_allclose(smooth(LOSSES, window), expected)


def test_a_window_has_at_least_one_step():
    with pytest.raises(ValueError, match="window"):
        smooth(LOSSES, 0)


@pytest.mark.parametrize(
    ("window", "level", "steps"),
    [
        (1, 2.0, [2, 3, np.inf]),
        (2, 2.0, [3, 4, np.inf]),
        (1, 4.0, [1, 1, 1]),
        (1, 1.0, [np.inf, np.inf, np.inf]),
    ],
)
def test_first_step_below_the_level(window, level, steps):
    np.testing.assert_array_equal(steps_to(LOSSES, level, window), steps)


@pytest.mark.parametrize("bad", [np.nan, np.inf, 1e300])
def test_a_run_that_diverges_never_begins(bad):
    diverging = np.array([[2.0, 2.0], [bad, 1.5], [bad, 1.0], [bad, 0.5]])
    np.testing.assert_array_equal(steps_to(diverging, 0.8, 2), [np.inf, 4])


def test_a_spike_is_forgotten_after_a_window():
    spike = np.array([[1e30], [1.0], [0.5], [0.5]])
    np.testing.assert_array_equal(steps_to(spike, 0.7, 2), [4])


def test_curves_keep_first_and_last_step_of_each_seed():
    table = curve_table(np.tile(np.linspace(3, 1, 500)[:, None], 2), points=20, window=1)
    assert sorted(table.seed.unique()) == [0, 1]
    one = table[table.seed == 1]
    assert 10 < len(one) <= 20
    assert one.step.iloc[[0, -1]].tolist() == [1, 500]
    assert one.loss.iloc[[0, -1]].tolist() == [3, 1]
    assert (np.diff(one.step) > 0).all()
