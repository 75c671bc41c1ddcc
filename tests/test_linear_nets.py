"""Deep linear networks: gradients against autograd, one layer in closed form, races and tables."""

import numpy as np
import pandas as pd
import pytest
import torch

import initlib as init
from initlib.lab.data import Dataset
from initlib.lab.linear_nets import (
    descend,
    draw_factors,
    log_steps_table,
    race,
    race_table,
    rate_slopes,
    step,
    whitened_target,
)
from initlib.sampling import fill_normal_, stream_key


def normal(*shape, key=0):
    return fill_normal_(torch.empty(shape, dtype=torch.float64), stream_key(key, "t"), 0, 1)


@pytest.mark.parametrize("depth", [1, 2, 3, 5])
def test_a_step_is_that_of_autograd(depth):
    factors = draw_factors(init.lecun_normal_, 4, depth, 3, [0, 1])
    target, lr = normal(2, 3, 4), torch.tensor([0.1, 0.03], dtype=torch.float64).reshape(2, 1, 1)
    leaves = [factor.clone().requires_grad_() for factor in factors]
    product = leaves[0]
    for leaf in leaves[1:]:
        product = leaf @ product
    ((product - target).square().sum() / 2).backward()
    before = step(factors, target, lr)
    torch.testing.assert_close(before, product.detach())
    for factor, leaf in zip(factors, leaves, strict=True):
        torch.testing.assert_close(factor, (leaf - lr * leaf.grad).detach())


def test_networks_do_not_see_each_other():
    both, second = (draw_factors(init.orthogonal_, 5, 3, 2, seeds) for seeds in ([3, 4], [4]))
    for together, alone in zip(both, second, strict=True):
        torch.testing.assert_close(together[1], alone[0], rtol=0, atol=0)
    target = normal(2, 5)
    np.testing.assert_allclose(
        descend(both, target, 0.1, 20)[:, 1], descend(second, target, 0.1, 20)[:, 0], rtol=1e-12
    )


def test_one_layer_in_closed_form():
    # P - T shrinks by 1 - lr in each step, its square by (1 - lr)^2.
    factors = draw_factors(init.lecun_normal_, 4, 1, 3, [0])
    kept = factors[0].clone()
    losses = descend(factors, normal(3, 4), 0.1, 10)[:, 0]
    np.testing.assert_allclose(losses / losses[0], 0.9 ** (2 * np.arange(11)), rtol=1e-12)
    torch.testing.assert_close(factors[0], kept, rtol=0, atol=0)


def test_a_race_is_won_by_the_fastest_rate_that_is_stable():
    factors, target = draw_factors(init.lecun_normal_, 4, 1, 3, [0]), normal(3, 4)
    steps, rate = race(factors, target, [0.1, 0.5, 2.5], level=0.01, budget=100)
    assert rate == 0.5
    assert steps == pytest.approx(np.log(0.01) / np.log(0.25))


def test_a_race_ends_with_its_budget_or_when_all_diverge():
    factors, target = draw_factors(init.lecun_normal_, 4, 1, 3, [0]), normal(3, 4)
    for rates, budget in (([0.1], 5), ([2.5, 3.0], 1000)):
        steps, rate = race(factors, target, rates, level=0.01, budget=budget)
        assert np.isinf(steps)
        assert np.isnan(rate)


def test_tables():
    fills = {"orthogonal": init.orthogonal_, "gaussian": init.lecun_normal_}
    depths = {"orthogonal": [1, 2], "gaussian": [1]}
    options = {"seeds": [0, 1], "level": 0.01, "budget": 3}
    raced = race_table(fills, depths, normal(3, 4), [0.2, 0.9], **options)
    assert len(raced) == 6
    logs = log_steps_table(raced)
    assert logs.shape == (2, 3)
    assert (logs <= np.log(3) + 1e-12).all().all()
    one = raced[(raced.depth == 1) & (raced.scheme == "orthogonal")]
    assert (one.multiple == 0.9).all()


def test_slope_of_the_best_rate():
    rows = [("a", depth, seed, 1.0, 10) for depth in (2, 8, 16) for seed in (0, 1)]
    raced = pd.DataFrame(rows, columns=["scheme", "depth", "seed", "multiple", "budget"])
    raced.loc[raced.depth == 2, "multiple"] = 7.0
    np.testing.assert_allclose(rate_slopes(raced, "a", 8), [-1.0, -1.0])


def test_whitened_target():
    x = normal(300, 2, 3).float() * torch.arange(1, 7).reshape(2, 3)
    y = torch.arange(300) % 3
    data = Dataset("toy", x, y, x, y, 3, 0.0, 1.0, {})
    target = whitened_target(data, 4, 1.5)
    assert target.shape == (3, 4)
    np.testing.assert_allclose(target.sum(dim=0), 0, atol=1e-12)
    np.testing.assert_allclose(torch.linalg.svdvals(target)[0], 1.5, rtol=1e-12)
