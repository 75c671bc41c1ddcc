"""Contests: everyone gets the best rate, and nobody's trials are used again."""

import numpy as np
import pytest

from initlib.lab.contest import contest, error_table, log_errors, log_steps, loss_curves
from initlib.lab.data import load
from initlib.lab.train import Arm, train

DATA = load("mnist")
OPTIONS = {"hidden": [16], "steps": 30, "batch_size": 16, "level": 1.5, "seed": 3}


def test_each_scheme_runs_at_the_rate_that_began_first():
    schemes = {"he": {"scheme": "he_normal"}, "logistic": {"scheme": "he_normal"}}
    schemes["logistic"] |= {"activation": "sigmoid", "rates": [0.3, 1.0], "steps": 40}
    held = contest(DATA, schemes, rates=[1e-4, 0.05], replicas=3, trials=2, **OPTIONS)
    assert held.tried.groupby(["scheme", "lr"]).size().tolist() == [2, 2, 2, 2]
    best = held.tried[held.tried.chosen].groupby("scheme").lr.first()
    assert best["he"] == 0.05
    assert (held.results.lr == held.results.scheme.map(best)).all()
    assert {name: losses.shape for name, losses in held.losses.items()} == {
        "he": (30, 3),
        "logistic": (40, 3),
    }
    assert not set(held.tried.seed) & set(held.results.seed)


def test_a_scheme_can_be_given_the_rate_of_another():
    schemes = {"he": {"scheme": "he_normal"}, "alike": {"scheme": "he_uniform", "rate_of": "he"}}
    held = contest(DATA, schemes, rates=[1e-4, 0.05], replicas=2, **OPTIONS)
    assert set(held.tried.scheme) == {"he"}
    assert (held.results.lr == 0.05).all()
    assert set(held.results.scheme) == {"he", "alike"}
    with pytest.raises(ValueError, match="rate_of is 'alike'; the earlier schemes are he"):
        contest(
            DATA,
            schemes | {"alike": {"scheme": "he_uniform", "rate_of": "alike"}},
            rates=[0.05],
            **OPTIONS,
        )


def test_replicas_are_the_networks_that_train_alone():
    held = contest(DATA, {"he": {"scheme": "he_normal"}}, rates=[0.05], replicas=2, **OPTIONS)
    arms = [Arm("he_normal", 0.05, seed) for seed in (3000, 3001)]
    alone = train(DATA, arms, hidden=[16], steps=30, batch_size=16)
    np.testing.assert_allclose(held.losses["he"], alone.losses, rtol=1e-4)


def test_steps_that_were_not_reached_count_as_the_budget():
    held = contest(
        DATA, {"he": {"scheme": "he_normal"}}, rates=[1e-6], replicas=2, trials=1, **OPTIONS
    )
    np.testing.assert_allclose(log_steps(held, "he"), np.log(30))


def test_what_is_missing_is_named():
    with pytest.raises(ValueError, match="needs rates"):
        contest(DATA, {"he": {"scheme": "he_normal"}}, **OPTIONS)


def test_at_level_zero_the_lowest_loss_at_the_end_chooses_the_rate():
    schemes = {"he": {"scheme": "he_normal"}}
    held = contest(DATA, schemes, rates=[1e-4, 0.05], replicas=2, **(OPTIONS | {"level": 0.0}))
    best = held.tried.groupby("lr").loss.max().idxmin()
    assert (held.results.lr == best).all()
    table = error_table({30: held})
    assert table.value[0] == pytest.approx(100 * np.mean(1 - held.results.accuracy))
    assert table.low[0] < table.value[0] < table.high[0]
    np.testing.assert_allclose(np.exp(log_errors(held, "he")), 1 - held.results.accuracy)
    curves = loss_curves(held)
    assert set(curves.columns) == {"scheme", "seed", "step", "loss"}
