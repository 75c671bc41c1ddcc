"""Theory of deep linear networks, against its own equations and against training."""

import numpy as np
import pytest
import torch

import initlib as init
from initlib.lab.linear_nets import draw_factors
from initlib.lab.linear_theory import (
    _limit_velocity,
    course_table,
    limit_curve,
    mode_strength,
    mode_table,
)
from initlib.sampling import fill_normal_, stream_key


def normal(*shape):
    return fill_normal_(torch.empty(shape, dtype=torch.float64), stream_key(0, "t"), 0, 1)


@pytest.mark.parametrize(("s", "u0"), [(2.0, 0.01), (0.5, 0.3)])
def test_mode_strength_solves_its_equation(s, u0):
    t = np.linspace(0, 4 / s, 4001)
    u = mode_strength(t, s, u0)
    assert u[0] == pytest.approx(u0)
    np.testing.assert_allclose(np.gradient(u, t)[1:-1], (2 * u * (s - u))[1:-1], atol=1e-4)
    assert mode_strength(np.array(100.0), s, u0) == pytest.approx(s)


def test_training_leaves_the_modes_by_an_error_of_first_order():
    table = mode_table([3.0, 1.0], 0.01, [0.02, 0.01], 2.0)
    errors = (table.u - table.theory).abs().groupby(table.lr).max()
    assert errors[0.02] < 0.1
    assert errors[0.02] / errors[0.01] == pytest.approx(2, rel=0.05)
    assert table[table.t == 0].u.to_numpy() == pytest.approx(0.01)


def test_velocity_at_an_orthogonal_product_is_the_plain_gradient():
    product, last = draw_factors(init.orthogonal_, 5, 2, 3, [0, 1])
    target = normal(3, 5)
    expected = -last.mT @ (last @ product - target)
    torch.testing.assert_close(_limit_velocity(product, last, target), expected)


def test_velocity_is_the_integral():
    product, last, target = normal(1, 4, 4), normal(1, 2, 4), normal(2, 4)
    left, p, right = torch.linalg.svd(product[0])
    pull = last[0].T @ (last[0] @ product[0] - target)
    points = (torch.arange(2000, dtype=torch.float64) + 0.5) / 2000
    mean = (p[:, None, None] ** (2 * points) * p[None, :, None] ** (2 - 2 * points)).mean(dim=-1)
    expected = -left @ (mean * (left.T @ pull @ right.T)) @ right
    torch.testing.assert_close(
        _limit_velocity(product, last, target)[0], expected, rtol=1e-4, atol=1e-4
    )


def test_deep_orthogonal_networks_approach_the_limit_and_others_have_none():
    fills = {"orthogonal": init.orthogonal_, "gaussian": init.lecun_normal_}
    depths = {"orthogonal": [0, 4, 0, 16, 0, 64], "gaussian": [0, 4]}
    options = {"h": 0.01, "time": 2.0}
    table = course_table(fills, depths, 0.3 * normal(3, 6), [0, 1], **options)
    off = (table.loss - table.limit).abs()
    assert off[table.scheme == "gaussian"].isna().all()
    worst = off[table.scheme == "orthogonal"].groupby(table.depth).max()
    assert (worst.diff().dropna() < 0).all()
    assert worst[64] < 0.01
    assert (table[table.tau == 0].loss == 1).all()


def test_limit_does_not_depend_on_the_size_of_its_steps():
    factors = draw_factors(init.orthogonal_, 5, 3, 2, [0])
    coarse, fine = (
        limit_curve(factors, 0.3 * normal(2, 5), np.linspace(0, 2, k)) for k in (21, 41)
    )
    np.testing.assert_allclose(coarse, fine[::2], atol=1e-6)
