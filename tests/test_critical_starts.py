"""Critical starts: scales by fixed point, the networks that they make, and their race."""

import numpy as np
import pandas as pd
import pytest
import torch

import initlib as init
from initlib.lab.critical_starts import (
    critical_start,
    law_of,
    race_starts,
    rank_with_variance,
    start_rules,
    theory_of,
)
from initlib.lab.data import load
from initlib.lab.stack import mlp


@pytest.mark.parametrize(("activation", "q"), [("tanh", 0.1), ("tanh", 2.0), ("relu", 3.0)])
def test_critical_starts_keep_the_variance_and_the_gradient(activation, q):
    start = critical_start(activation, "gaussian", q)
    phi = init.moments(activation, q)
    assert start.sigma_w**2 * phi.second_moment + start.sigma_b**2 == pytest.approx(q)
    assert start.sigma_w**2 * phi.squared_derivative == pytest.approx(1)
    assert start.sigma_w**2 * start.second + start.sigma_b**2 == pytest.approx(q)


def test_activations_without_a_critical_point():
    with pytest.raises(ValueError, match="negative variances"):
        critical_start("sigmoid", "orthogonal", 1.0)


@pytest.mark.parametrize("weights", ["gaussian", "orthogonal"])
def test_rules_make_pre_activations_of_variance_q(weights):
    # 64 networks, z = 4.5.
    start = critical_start("tanh", weights, 0.5)
    x = 3 * torch.randn(1, 40, generator=torch.Generator().manual_seed(1))
    x *= (9.0 / x.square().mean()).sqrt()
    squares = []
    for seed in range(64):
        model = mlp([40, 60, 60, 10], "tanh")
        init.initialize(model, start_rules(start, 9.0), seed=seed)
        hidden = model[0](x)
        squares.append([z.square().mean().item() for z in (hidden, model[2](hidden.tanh()))])
        gram = model[2].weight @ model[2].weight.T / start.sigma_w**2
        assert torch.allclose(gram, torch.eye(60), atol=1e-5) == (weights == "orthogonal")
    mean, error = np.mean(squares, axis=0), np.std(squares, axis=0, ddof=1) / 8
    assert (np.abs(mean - 0.5) < 4.5 * error).all()
    assert (error < 0.02).all()


def test_theory_is_that_of_the_module():
    start = critical_start("tanh", "orthogonal", 0.3)
    expected = init.jacobian_moments("tanh", 5, 0.3, weights="orthogonal").variance
    assert theory_of(start, 5) == pytest.approx(expected)
    assert law_of(start, 5).s[-1] == init.jacobian_law("tanh", 5, 0.3, weights="orthogonal").s[-1]


def test_race():
    starts = {"a": critical_start("tanh", "orthogonal", 0.1)}
    starts |= {"b": critical_start("relu", "gaussian", 2.0)}
    options = {"rates": [0.01, 0.03], "replicas": 2, "steps": 12, "seed": 3, "level": 2.0}
    raced = race_starts(load("mnist"), starts, 12, 4, trials=1, batch_size=16, **options)
    assert raced.groupby("start").size().to_dict() == {"a": 2, "b": 2}
    assert raced.variance.unique().tolist() == [theory_of(start, 3) for start in starts.values()]
    assert (raced.log_steps <= np.log(12)).all()
    assert raced.lr.isin([0.01, 0.03]).all()


def test_rank_with_variance():
    rows = [(v, seed, np.log(1 + v) + 0.01 * seed) for v in (0.1, 1.0, 5.0) for seed in range(4)]
    raced = pd.DataFrame(rows, columns=["variance", "seed", "log_steps"])
    assert rank_with_variance(raced).value == pytest.approx(1)
