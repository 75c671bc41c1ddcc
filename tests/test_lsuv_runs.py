"""Signals of scaled networks beside their field."""

import numpy as np
import pytest
import torch

from initlib.adaptive import lsuv_
from initlib.lab.lsuv_runs import correlation_factors, factors, lsuv_signals, signal_tables
from initlib.lab.stack import mlp
from initlib.sampling import stream_key

IMAGES = torch.randn(400, 20, generator=torch.Generator().manual_seed(0))
CELLS = [("sigmoid", False), ("sigmoid", True), ("relu", False)]
FOUND = lsuv_signals(CELLS, IMAGES[:16], width=48, depth=5, draws=4, key=0)


def test_a_draw_is_the_network_that_lsuv_makes():
    model = mlp([20, *[48] * 5], "sigmoid").double()
    report = lsuv_(model, IMAGES[:16].double(), seed=stream_key(0, 0))
    across = np.array([row.across for row in report.rows])
    np.testing.assert_allclose(FOUND["sigmoid", False][0].spread[0], across**2, rtol=1e-4)


def test_networks_follow_the_field():
    over = factors(FOUND)
    assert set(over.spread) == set(over.second) == {"sigmoid", "relu"}
    assert set(over.error) == {"sigmoid, published", "sigmoid, centred", "relu, published"}
    for part in over:
        assert all(abs(e.value - 1) < 0.15 for e in part.values())
    assert FOUND["sigmoid", True][0].spread == pytest.approx(np.ones((4, 5)), rel=1e-6)


def test_tables_hold_every_layer():
    spreads, errors = signal_tables(FOUND)
    assert len(spreads) == 2 * 5
    assert len(errors) == 3 * 5
    assert set(spreads.rule) == {"published"}
    last = spreads[(spreads.activation == "sigmoid") & (spreads.layer == 5)]
    assert last.value.item() == pytest.approx(last.theory.item(), rel=0.2)
    assert last.value.item() < 0.05


def test_pairs_lose_what_they_have_in_common():
    over = correlation_factors(["relu", "sigmoid"], width=64, draws=3, key=2, pairs=64)
    assert all(abs(e.value - 1) < 0.05 for e in over.values())
