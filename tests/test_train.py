"""A replica is the network that would be trained alone; a diverging one takes no other along."""

from dataclasses import replace
from functools import partial
from typing import get_args

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

import initlib
from initlib.lab.data import Dataset, load
from initlib.lab.stack import MODULES, Activation, Stack, mlp
from initlib.lab.train import Arm, batch_order, train
from initlib.sampling import normal, stream_key


def toy(n_train=200, n_test=50, pixels=12, classes=3):
    """Three Gaussian clouds, one a class."""
    n = n_train + n_test
    noise = normal(stream_key(0, "toy"), 0, n * pixels).reshape(n, pixels)
    x = torch.from_numpy(noise)
    y = torch.arange(n) % classes
    x[torch.arange(n), y] += 2
    parts = x[:n_train], y[:n_train], x[n_train:], y[n_train:]
    return Dataset("toy", *parts, classes, 0.0, 1.0, {})


TOY = toy()
HIDDEN = [16, 8, 16]
SETTINGS = {"hidden": HIDDEN, "steps": 30, "batch_size": 16}
IMAGES = toy(pixels=48)
IMAGES = replace(
    IMAGES, x_train=IMAGES.x_train.view(-1, 2, 4, 6), x_test=IMAGES.x_test.view(-1, 2, 4, 6)
)
CONV = {"channels": [4, 3, 5], "steps": 30, "batch_size": 16}


ARMS = [
    Arm(scheme, lr, seed)
    for scheme in ("he_normal", "xavier_uniform", "orthogonal")
    for lr in (0.01, 0.03)
    for seed in (0, 1)
]


def train_alone(arm, data, model, make_optimizer, steps=30):
    """The same network by torch's own autograd and optimizer."""
    initlib.initialize(model, arm.scheme, seed=arm.seed)
    optimizer = make_optimizer(model.parameters(), lr=arm.lr)
    losses, norms = [], []
    for batch in batch_order(arm.order, len(data.x_train), 16, steps):
        loss = functional.cross_entropy(model(data.x_train[batch]), data.y_train[batch])
        optimizer.zero_grad()
        loss.backward()
        norms.append(torch.cat([p.grad.flatten() for p in model.parameters()]).norm().item())
        optimizer.step()
        losses.append(loss.item())
    right = model(data.x_test).argmax(dim=1) == data.y_test
    return losses, norms, right.double().mean().item()


def assert_trained_alone(trained, data, make_model, make_optimizer):
    for i, arm in enumerate(trained.arms):
        losses, norms, accuracy = train_alone(arm, data, make_model(), make_optimizer)
        np.testing.assert_allclose(trained.losses[:, i], losses, rtol=2e-4, atol=2e-5)
        np.testing.assert_allclose(trained.gradients[:, i], norms, rtol=1e-3, atol=1e-5)
        # One of the 50 test images may lie on the border between two classes.
        assert trained.accuracy[i] == pytest.approx(accuracy, abs=0.021)


@pytest.mark.parametrize("activation", get_args(Activation))
@pytest.mark.parametrize(("momentum", "weight_decay"), [(0.9, 5e-4), (0.0, 0.0)])
def test_each_replica_is_the_network_trained_alone(activation, momentum, weight_decay):
    options = {"momentum": momentum, "weight_decay": weight_decay}
    together = train(TOY, ARMS, **SETTINGS, activation=activation, **options)
    sgd = partial(torch.optim.SGD, **options)
    assert_trained_alone(together, TOY, lambda: mlp([12, *HIDDEN, 3], activation), sgd)


@pytest.mark.parametrize("activation", get_args(Activation))
@pytest.mark.parametrize("patch", [1, 2])
def test_each_convolutional_replica_is_the_network_trained_alone(activation, patch):
    together = train(IMAGES, ARMS, **CONV, patch=patch, activation=activation)
    sgd = partial(torch.optim.SGD, momentum=0.9)
    assert_trained_alone(
        together, IMAGES, lambda: plain_cnn(activation, CONV["channels"], patch), sgd
    )


def plain_cnn(activation, channels, patch):
    """The network of `cnn`, layer by layer, for images of 2 x 4 x 6 and 3 classes."""
    first, n_in = (nn.Conv2d(2, channels[0], patch, patch), channels[0])
    if patch == 1:
        first = nn.Conv2d(2, channels[0], 3, padding=1)
    layers = [first, MODULES[activation]()]
    for n_out in channels[1:]:
        layers += [nn.Conv2d(n_in, n_out, 3, padding=1), MODULES[activation]()]
        n_in = n_out
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(n_in * 24 // patch**2, 3))


@pytest.mark.parametrize("layers", ["linear", "convolutional"])
def test_adam_is_that_of_torch(layers):
    """Rates of two sizes; the second arm sees the momenta go on after the first was dropped."""
    arms = [Arm("he_normal", 1e3), Arm("he_normal", 0.01), Arm("xavier_normal", 0.001, 1)]
    if layers == "linear":
        data, settings, make = TOY, SETTINGS, lambda: mlp([12, *HIDDEN, 3])
    else:
        data, settings = IMAGES, CONV | {"patch": 2}
        make = partial(plain_cnn, "relu", CONV["channels"], 2)
    together = train(data, arms, **settings, optimizer="adam")
    assert together.diverged[0] < 10
    alone = train(data, arms[1:], **settings, optimizer="adam")
    np.testing.assert_allclose(together.losses[:, 1:], alone.losses, rtol=1e-5, atol=1e-6)
    assert_trained_alone(alone, data, make, torch.optim.Adam)


def test_company_and_threads_change_nothing():
    together = train(TOY, ARMS, **SETTINGS, threads=1)
    np.testing.assert_array_equal(train(TOY, ARMS, **SETTINGS, threads=2).losses, together.losses)
    backwards = train(TOY, ARMS[::-1], **SETTINGS)
    np.testing.assert_allclose(backwards.losses[:, ::-1], together.losses, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("lr", [1e3, 1e30])
def test_a_diverging_arm_is_stopped_alone(lr):
    wild = Arm("he_normal", lr, seed=5)
    calm = [arm for arm in ARMS if arm.lr == 0.01]
    mixed = train(TOY, [*calm[:2], wild, *calm[2:]], **SETTINGS)
    undisturbed = train(TOY, calm, **SETTINGS)
    step = mixed.diverged[2]
    assert 1 < step <= 10
    assert np.isfinite(mixed.losses[: int(step) - 1, 2]).all()
    assert np.isnan(mixed.losses[int(step) - 1 :, 2]).all()
    assert np.isnan(mixed.accuracy[2])
    others = np.delete(mixed.losses, 2, axis=1)
    np.testing.assert_allclose(others, undisturbed.losses, rtol=1e-5, atol=1e-6)
    assert np.isinf(np.delete(mixed.diverged, 2)).all()


def test_no_time_is_spent_on_an_arm_that_diverged(monkeypatch):
    replicas = []
    step = Stack.step
    monkeypatch.setattr(
        Stack, "step", lambda self, x, y: replicas.append(len(x)) or step(self, x, y)
    )
    trained = train(TOY, [ARMS[0], Arm("he_normal", 1e30)], **SETTINGS)
    end = int(trained.diverged[1])
    assert replicas == [2] * end + [1] * (30 - end)
    replicas.clear()
    trained = train(TOY, [Arm("he_normal", 1e30)], **SETTINGS)
    assert replicas == [1] * int(trained.diverged[0])


def test_arms_of_one_seed_see_the_same_batches_and_draws():
    """Without learning, a loss depends on weights and batches alone."""
    same, other_batches, other_weights = (
        train(TOY, [Arm("he_normal", 0.0, 0), arm], **SETTINGS).losses
        for arm in (
            Arm("he_normal", 0.0, 0, batch_seed=0),
            Arm("he_normal", 0.0, 0, batch_seed=1),
            Arm("he_normal", 0.0, 1, batch_seed=0),
        )
    )
    np.testing.assert_allclose(same[:, 0], same[:, 1], rtol=1e-6)
    assert (other_batches[:, 0] != other_batches[:, 1]).all()
    assert (other_weights[:, 0] != other_weights[:, 1]).all()


def test_an_epoch_shows_every_image_once():
    order = batch_order(0, 20, 5, 8).reshape(2, 20).tolist()
    assert [sorted(epoch) for epoch in order] == [list(range(20))] * 2
    assert order[0] != order[1]
    assert batch_order(0, 23, 5, 8).shape == (8, 5)


def test_mnist_is_learned_and_the_table_says_how_well():
    arms = [Arm("he_normal", 0.05, seed) for seed in range(3)]
    table = train(load("mnist"), arms, hidden=[64], steps=150).table()
    assert table.columns.tolist() == ["scheme", "lr", "seed", "accuracy", "diverged"]
    assert (table.accuracy > 0.85).all()


@pytest.mark.parametrize(
    ("arms", "changes", "message"),
    [
        ([], {}, "no arms"),
        ([Arm("he_normal", -1.0)], {}, "lr must be"),
        ([Arm("he_normal", float("nan"))], {}, "lr must be"),
        ([Arm("he_norml", 0.1)], {}, "he_normal"),
        ([Arm("he_normal", 0.1)], {"activation": "gleu"}, "did you mean gelu"),
        ([Arm("he_normal", 0.1)], {"hidden": [16, 0]}, r"hidden\[1\] must be at least 1"),
        ([Arm("he_normal", 0.1)], {"steps": 0}, "steps must be at least 1"),
        ([Arm("he_normal", 0.1)], {"batch_size": 201}, "more than 200 images"),
        ([Arm("he_normal", 0.1)], {"momentum": 1.0}, "momentum must"),
    ],
)
def test_bad_arguments_are_refused_before_training(arms, changes, message):
    with pytest.raises(ValueError, match=message):
        train(TOY, arms, **SETTINGS | changes)
