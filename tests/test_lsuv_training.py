"""Schemes that look at data, in training; and paired comparisons of their results."""

import numpy as np
import pandas as pd
import pytest
import torch

from initlib.adaptive import lsuv_
from initlib.lab.data import Dataset
from initlib.lab.lsuv_training import Lsuv, log_wait, races, shares
from initlib.lab.stack import mlp
from initlib.lab.train import Arm, train
from initlib.sampling import permutation, stream_key

X = torch.randn(120, 10, generator=torch.Generator().manual_seed(0))
Y = X[:, :3].argmax(dim=1)
DATA = Dataset("toy", X[:100], Y[:100], X[100:], Y[100:], 3, 0.0, 1.0, {})


@pytest.mark.parametrize("centred", [False, True])
def test_a_replica_starts_as_lsuv_leaves_it(centred):
    scheme = Lsuv(centred, images=40)
    arms = [Arm(scheme, lr, seed) for lr in (0.0, 0.1) for seed in (3, 4)]
    trained = train(DATA, arms, hidden=[8, 8], steps=3, activation="softplus", batch_size=10)
    for place, seed in enumerate((3, 4)):
        model = mlp([10, 8, 8, 3], "softplus")
        rows = torch.from_numpy(permutation(stream_key(seed, "lsuv batch"), 100))[:40]
        lsuv_(model, DATA.x_train[rows], seed=seed, centred=centred)
        right = (model(DATA.x_test).argmax(dim=1) == DATA.y_test).double().mean().item()
        assert trained.accuracy[place] == pytest.approx(right)
        assert trained.losses[0, place] == pytest.approx(trained.losses[0, place + 2], rel=1e-6)
        assert trained.losses[2, place] != trained.losses[2, place + 2]


def test_races_name_activation_rule_and_depth():
    options = {"width": 8, "steps": 12, "rates": [0.01, 0.1], "replicas": 2, "trials": 1}
    rules = ["published", "customary"]
    tried, results = races(DATA, ["tanh"], rules, [1, 2], batch_size=10, **options)
    assert len(results) == 2 * 2 * 2
    assert len(tried) == 2 * 2 * 2
    assert set(results.rule) == set(rules)
    assert set(results.depth) == {1, 2}
    assert set(results.activation) == {"tanh"}


def table():
    rows = []
    for depth in (1, 9):
        for seed in range(3):
            steps = {"published": 10.0 * (seed + 1), "centred": 20.0 * (seed + 1)}
            for rule, step in steps.items():
                left = np.inf if rule == "centred" else 5.0
                rows.append(("relu", rule, depth, seed, step * depth, left, 400.0, 0.1 * seed))
    names = ["activation", "rule", "depth", "seed", "steps", "left", "budget", "accuracy"]
    results = pd.DataFrame(rows, columns=names)
    results.loc[results.steps > 400, "steps"] = np.inf
    return results


def test_pairs_are_those_of_the_deepest_networks():
    wait = log_wait(table(), ("relu", "centred"), ("relu", "published"))
    expected = [np.log(2), np.log(2), np.log(400 / 270)]  # the last one is cut by the budget
    assert wait.value == pytest.approx(np.mean(expected))
    assert wait.n == 3


def test_shares_are_those_of_the_deepest_networks():
    found = shares(table())
    assert found.loc["relu, published"].tolist() == [1.0, 0.0]
    assert found.loc["relu, centred"].tolist() == [pytest.approx(2 / 3), 1.0]
