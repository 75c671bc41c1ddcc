"""Twins: equal arithmetic, bit-equal units, one unit in their place, and the saddle at zero."""

from functools import partial

import numpy as np
import pytest
import torch
from torch.nn import functional

import initlib as init
from initlib.lab import saddle, symmetry_runs
from initlib.lab.data import Dataset
from initlib.lab.following import first_passage, follow
from initlib.lab.symmetry import (
    by_matmul,
    distinct_units,
    in_equal_order,
    networks,
    one_unit,
    spread,
)
from initlib.lab.train import batch_order
from initlib.sampling import normal, stream_key

SIZES = [12, 8, 6, 3]
CONSTANT = partial(init.constant_, val=0.1)


def clouds(n=60, pixels=12, classes=3):
    """Three Gaussian clouds, one a class."""
    noise = normal(stream_key(0, "clouds"), 0, n * pixels).reshape(n, pixels)
    x, y = torch.from_numpy(noise), torch.arange(n) % classes
    x[torch.arange(n), y] += 2
    return Dataset("clouds", x, y, x[:20], y[:20], classes, 0.0, 1.0, {})


DATA = clouds()


def random_pair(replicas=2, batch=5, n_in=7, n_out=4):
    key = stream_key(0, "pair")
    h = normal(key, 0, replicas * batch * n_in, np.float64).reshape(replicas, batch, n_in)
    w = normal(key, 500, 500 + replicas * n_out * n_in, np.float64).reshape(replicas, n_out, n_in)
    return torch.from_numpy(h), torch.from_numpy(w)


def test_equal_order_is_the_product_and_has_its_gradient():
    h, w = random_pair()
    torch.testing.assert_close(in_equal_order(h, w), by_matmul(h, w), rtol=1e-13, atol=1e-13)
    pair = h.requires_grad_(), w.requires_grad_()
    assert torch.autograd.gradcheck(in_equal_order, pair)


@pytest.mark.parametrize("n_out", [3, 8, 13])
def test_equal_units_are_computed_alike_to_the_last_bit(n_out):
    h, w = random_pair(batch=13, n_in=13)
    same = w[:, :1].expand(2, n_out, 13).clone().requires_grad_()
    z = in_equal_order(h.requires_grad_(), same)
    assert (z == z[..., :1]).all()
    (z**2).sum().backward()
    assert (same.grad == same.grad[:, :1]).all()


def test_follow_is_torch_training():
    start = networks(SIZES, "tanh", ["he_normal"], seed=3)
    seen = follow(start, DATA, 0.05, 20, seeds=[4], batch_size=10)
    weights = [t[0].clone().requires_grad_() for t in (*start.weights, *start.biases)]
    descent = torch.optim.SGD(weights, lr=0.05, momentum=0.9)
    losses = []
    for batch in batch_order(4, 60, 10, 20):
        h = DATA.x_train[batch].double()
        for layer in range(3):
            z = h @ weights[layer].T + weights[3 + layer]
            h = torch.tanh(z) if layer < 2 else z
        loss = functional.cross_entropy(h, DATA.y_train[batch])
        descent.zero_grad()
        loss.backward()
        descent.step()
        losses.append(loss.item())
    np.testing.assert_allclose(seen.losses[:, 0], losses, rtol=1e-12)
    torch.testing.assert_close(seen.network.weights[1][0], weights[1].detach())


def test_networks_side_by_side_do_not_see_each_other():
    start = networks(SIZES, "relu", ["he_normal", CONSTANT, "zeros"])
    options = {"seeds": [1, 2, 3], "batch_size": 10, "dropout": 0.3}
    together = follow(start, DATA, 0.05, 10, **options)
    second = start.map(lambda tensor: tensor[1:2])
    alone = follow(second, DATA, 0.05, 10, **options | {"seeds": [2]})
    np.testing.assert_allclose(together.losses[:, 1], alone.losses[:, 0], rtol=1e-12)
    assert together.spread[-1, 1] > 0.01  # dropout tells units apart
    assert together.spread[-1, 2] == 0  # but not where all is zero


@pytest.mark.parametrize("optimizer", ["sgd", "momentum", "adam"])
@pytest.mark.parametrize("activation", ["tanh", "relu", "sigmoid"])
def test_twins_stay_equal_to_the_last_bit(activation, optimizer):
    start = networks(SIZES, activation, [CONSTANT])
    options = {"optimizer": optimizer, "product": in_equal_order, "batch_size": 10}
    seen = follow(start, DATA, 0.03, 30, **options)
    assert seen.spread.max() == 0
    assert distinct_units(seen.network).tolist() == [[1, 1]]
    assert not torch.equal(seen.network.weights[0], start.weights[0])


def test_spread_and_units_of_random_and_of_half_constant_networks():
    network = networks([300, 200, 100, 50], "relu", ["he_normal", CONSTANT])
    random, constant = spread(network)
    assert (random > 1.2).all()
    assert (constant == 0).all()
    assert distinct_units(network).tolist() == [[200, 100], [1, 1]]


@pytest.mark.parametrize("activation", ["tanh", "relu"])
@pytest.mark.parametrize("hidden", [[8, 6], [5], [4, 7, 3]])
def test_one_unit_goes_on_as_its_twins(activation, hidden):
    start = networks([12, *hidden, 3], activation, [partial(init.constant_, val=0.3)])
    narrow, factors = one_unit(start)
    assert [weight.shape[1] for weight in narrow.weights] == [*[1] * len(hidden), 3]
    wide = follow(start, DATA, 0.05, 40, batch_size=10)
    one = follow(narrow, DATA, 0.05, 40, batch_size=10, factors=factors)
    assert np.ptp(wide.losses) > 0.05
    np.testing.assert_allclose(wide.losses, one.losses, rtol=1e-9)


def test_first_passage_interpolates_and_counts_from_one():
    curves = np.array([[0.0, 5.0, 0.0], [1.0, 5.0, 0.0], [3.0, 5.0, 0.0]])
    np.testing.assert_array_equal(first_passage(curves, 2.0), [2.5, 1.0, np.inf])


def test_priors_are_those_of_the_classes():
    uneven = saddle.some_images(clouds(90), 40, seed=1)
    counts = np.bincount(uneven.y_train, minlength=3)
    frequencies = counts / counts.sum()
    np.testing.assert_allclose(saddle.log_priors(uneven).softmax(0), frequencies)
    assert saddle.log_priors(uneven).sum() == pytest.approx(0, abs=1e-12)
    assert saddle.entropy(uneven) == pytest.approx(-(frequencies * np.log(frequencies)).sum())
    learned = saddle.learn_priors(uneven, [4, 4])
    np.testing.assert_allclose(learned.network.biases[-1][0, 0], saddle.log_priors(uneven))
    with pytest.raises(ValueError, match="each class needs an image"):
        saddle.entropy(saddle.some_images(clouds(90), 2))


def test_two_layers_leave_the_saddle_at_the_rate_of_the_data():
    # One step from a tiny start along the leading singular vectors is exactly the growth.
    start = saddle.near_zero(DATA, [1], [1.0])
    onehot = functional.one_hot(DATA.y_train, 3).double()
    cross = (onehot - onehot.mean(0)).T @ DATA.x_train.double() / len(onehot)
    left, _, right = torch.linalg.svd(cross)
    start.weights[0].copy_(1e-6 * right[:1])
    start.weights[1].copy_(1e-6 * left[:, :1])
    moved = follow(start, DATA, 0.1, 1, optimizer="sgd", batch_size=60).network
    growth = np.exp(saddle.growth(DATA, 0.1))
    for layer in (0, 1):
        ratio = moved.weights[layer].norm() / start.weights[layer].norm()
        assert ratio.item() == pytest.approx(growth, rel=1e-9)


def test_waits_grow_by_the_logarithm_in_two_layers_and_double_in_three():
    two = saddle.waits(DATA, [8], [1e-6, 1e-8, 1e-10], 0.1, 300)
    np.testing.assert_allclose(np.diff(two) * saddle.growth(DATA, 0.1), np.log(100), rtol=0.02)
    three = saddle.waits(DATA, [8, 8], [1 / 32, 1 / 64, 1 / 128], 0.3, 700)
    first, second = np.diff(three)
    assert second / first == pytest.approx(2, rel=0.05)


def test_runs_count_units_and_find_who_looks():
    counts = symmetry_runs.count_units(DATA, 4, steps=3)
    assert counts.loc["rcc"].tolist() == [4, 1]
    assert counts.loc["crc"].tolist() == [4, 4]
    assert counts.loc["ccc"].tolist() == [1, 1]
    looks = symmetry_runs.which_look(DATA, 8, steps=20)
    assert looks.tanh.tolist() == [1, 1, 1, 0, 1, 0, 0, 0]
    assert looks.relu.tolist() == [1, 1, 0, 0, 0, 0, 0, 0]
    assert symmetry_runs.train_zeros(DATA, 4, steps=3) == [0, 0, 0, 0]


def test_twins_are_watched_in_six_ways():
    table = symmetry_runs.watch_twins(DATA, 4, steps=3)
    assert (table.spread == 0).all()
    assert (table.units == 1).all()
    assert (table["rank"] < 1e-12).all()
    assert (table.apart.dropna() < 1e-12).all()
    assert table.apart.notna().tolist() == [True, False] * 3
