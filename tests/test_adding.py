"""The adding problem, and who solves it when."""

import numpy as np
import pytest
import torch

import initlib as init
from initlib.lab.adding import BASELINE, Start, adding_contest, by_hand, joined, sequences
from initlib.lab.contest import log_steps
from initlib.lab.identity_runs import eye


@pytest.mark.parametrize("length", [2, 7, 50])
def test_sequences_have_a_marker_in_each_half(length):
    x, y = sequences(0, count=500, length=length)
    numbers, markers = x.unbind(dim=-1)
    half = length // 2
    assert x.shape == (length, 500, 2)
    assert (markers[:half].sum(dim=0) == 1).all()
    assert (markers[half:].sum(dim=0) == 1).all()
    torch.testing.assert_close((numbers * markers).sum(dim=0), y)
    assert (markers.mean(dim=1) > 0).all()
    assert (numbers >= 0).all()
    assert (numbers < 1).all()


def test_the_baseline_is_the_variance_of_the_sum():
    _, y = sequences(1, count=20_000, length=10)
    square = (y - 1).square()
    assert abs(square.mean() - BASELINE) < 5 * square.std() / 20_000**0.5


def test_two_units_by_hand_solve_it():
    x, y = sequences(2, count=100, length=60)
    assert (by_hand(x.double()) - y).abs().max() < 1e-6


def test_starts_share_all_but_the_recurrent_matrix():
    one, readout = Start("relu", eye).weights(6, seed=0)
    two, same = Start("relu", init.orthogonal_).weights(6, seed=0)
    assert (one[:, 6:] == two[:, 6:]).all()
    assert (readout == same).all()
    assert (one[:, :6] == torch.eye(6)).all()
    assert readout[-1] == 0


def test_an_lstm_remembers_by_its_bias():
    matrix, _ = Start("lstm", init.lecun_normal_, forget=2.0).weights(6, seed=0)
    bias = matrix[:, -1]
    assert matrix.shape == (24, 9)
    assert (bias[6:12] == 2).all()
    assert bias.sum() == 12
    gates = matrix[:, :6].reshape(4, -1)
    assert len(torch.unique(gates, dim=0)) == 4


OPTIONS = {"length": 6, "hidden": 12, "budget": 400, "replicas": 3, "trials": 2, "level": 0.08}
STARTS = {"identity": Start("relu", eye), "tanh": Start("tanh", init.lecun_normal_)}
RATES = {"identity": [0.0001, 0.02], "tanh": [0.02]}


def test_a_contest_chooses_the_rate_that_solves_it_first():
    held = adding_contest(STARTS, RATES, **OPTIONS)
    chosen = held.tried[held.tried.chosen].groupby("scheme").lr.first()
    assert chosen.identity == 0.02
    assert set(held.tried.seed) == {500, 501}
    assert held.results.groupby("scheme").seed.apply(list).tolist() == [[0, 1, 2]] * 2
    solved = held.results[held.results.scheme == "identity"]
    assert np.isfinite(solved.steps).all()
    assert (solved.left <= solved.steps).all()
    for (_, row), losses in zip(solved.iterrows(), held.losses["identity"].T, strict=True):
        steps = int(row.steps)
        assert losses[steps - 20 : steps].mean() < 0.08
        assert np.isnan(losses[steps:]).all()
    assert np.allclose(np.exp(log_steps(held, "identity")), solved.steps)


def test_what_isn_t_solved_is_censored():
    held = adding_contest({"tanh": STARTS["tanh"]}, {"tanh": [1e-6]}, **OPTIONS | {"budget": 30})
    assert np.isinf(held.results.steps).all()
    assert (held.results.budget == 30).all()
    assert np.isfinite(held.losses["tanh"]).all()


def test_neither_company_nor_threads_change_a_start():
    together = adding_contest(STARTS, RATES, threads=2, **OPTIONS)
    alone = [adding_contest({name: STARTS[name]}, RATES, threads=1, **OPTIONS) for name in STARTS]
    parts = joined(*alone)
    for name in STARTS:
        assert np.array_equal(together.losses[name], parts.losses[name], equal_nan=True)
    assert together.results.equals(parts.results)
