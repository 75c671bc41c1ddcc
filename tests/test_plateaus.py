"""Smoothed losses, and the steps they take to fall below a level."""

import numpy as np
import pandas as pd
import pytest

from initlib.lab.plateaus import choose_rates, curve_table, log_ratio, outcomes, smooth, steps_to
from initlib.lab.train import Arm, Trained

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


def test_outcomes_are_those_of_each_arm():
    falling = np.repeat([2.3, 1.9, 0.9], 10)
    losses = np.stack([falling, np.full(30, 2.3), np.where(np.arange(30) < 5, 2.0, np.nan)], axis=1)
    arms = (Arm("he_normal", 0.1), Arm("lecun_normal", 0.1), Arm("he_normal", 9.0))
    diverged = np.array([np.inf, np.inf, 6.0])
    table = outcomes(
        Trained(arms, losses, losses, np.array([0.9, 0.1, np.nan]), diverged, diverged), 1.0, 2.0
    )
    assert table.steps.tolist() == [30, np.inf, np.inf]  # nine of ten losses at 0.9 average 1.0
    assert table.left.tolist() == [18, np.inf, np.inf]  # eight of ten losses at 1.9 average 1.98
    assert table.budget.tolist() == [30] * 3
    np.testing.assert_allclose(table.loss, [0.9, 2.3, np.nan])


def trial(scheme, lr, steps, loss=0.5, depth=8):
    return {"depth": depth, "scheme": scheme, "lr": lr, "steps": steps, "loss": loss}


@pytest.mark.parametrize(
    ("rows", "best"),
    [
        ([("he", 0.1, 80), ("he", 0.2, 50), ("he", 0.3, 90)], 0.2),
        ([("he", 0.1, 80), ("he", 0.1, 80), ("he", 0.2, 10), ("he", 0.2, np.inf)], 0.1),
        ([("he", 0.1, np.inf, 2.0), ("he", 0.2, np.inf, 1.5), ("he", 0.3, np.inf, np.nan)], 0.2),
    ],
    ids=["fastest", "slowest trial", "loss decides"],
)
def test_the_rate_whose_slowest_trial_begins_first(rows, best):
    trials = choose_rates(pd.DataFrame([trial(*row) for row in rows]).assign(budget=100))
    assert set(trials.lr[trials.chosen]) == {best}


def test_each_depth_and_scheme_has_a_rate_of_its_own():
    rows = [
        trial(scheme, lr, 10 + abs(lr - best), depth=depth)
        for depth, scheme, best in [(4, "he", 1), (4, "xavier", 3), (8, "he", 2), (8, "xavier", 1)]
        for lr in (1, 2, 3)
    ]
    trials = choose_rates(pd.DataFrame(rows).assign(budget=100))
    assert trials.lr[trials.chosen].tolist() == [1, 3, 2, 1]


def test_log_ratio_pairs_seeds_and_counts_the_budget():
    rows = [
        ("xavier", 2, 4, np.inf, 50.0, 80),
        ("xavier", 1, 4, 40.0, 20.0, 80),
        ("he", 1, 4, 10.0, 5.0, 20),
        ("he", 2, 4, 8.0, 5.0, 20),
        ("he", 1, 8, 1.0, 1.0, 20),
        ("xavier", 1, 8, 9.0, 9.0, 80),
    ]
    columns = ["scheme", "seed", "depth", "steps", "left", "budget"]
    results = pd.DataFrame(rows, columns=columns)
    np.testing.assert_allclose(np.exp(log_ratio(results, 4)), [4, 10])
    np.testing.assert_allclose(np.exp(log_ratio(results, 8)), [9])
