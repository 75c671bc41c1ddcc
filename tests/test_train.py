"""A replica is the network that would be trained alone; a diverging one takes no other along."""

from dataclasses import astuple, replace
from functools import partial
from itertools import count
from typing import get_args

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

import initlib
from initlib.lab.conv_stack import ConvStack
from initlib.lab.data import Dataset, load
from initlib.lab.stack import MODULES, Activation, Stack, mlp
from initlib.lab.train import Arm, Trained, batch_order, train
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
SETTINGS = {"hidden": HIDDEN, "steps": 30, "batch_size": 16, "gradients_every": 1}
IMAGES = toy(pixels=48)
IMAGES = replace(
    IMAGES, x_train=IMAGES.x_train.view(-1, 2, 4, 6), x_test=IMAGES.x_test.view(-1, 2, 4, 6)
)
CONV = {"channels": [4, 3, 5], "steps": 30, "batch_size": 16, "gradients_every": 1}


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
        every = -(-len(losses) // len(trained.gradients))
        np.testing.assert_allclose(trained.gradients[:, i], norms[::every], rtol=1e-3, atol=1e-5)
        # One of the 50 test images may lie on the border between two classes.
        assert trained.accuracy[i] == pytest.approx(accuracy, abs=0.021)


@pytest.mark.parametrize("activation", get_args(Activation))
@pytest.mark.parametrize(("momentum", "weight_decay"), [(0.9, 5e-4), (0.0, 0.0)])
def test_each_replica_is_the_network_trained_alone(activation, momentum, weight_decay):
    options = {"momentum": momentum, "weight_decay": weight_decay}
    together = train(TOY, ARMS[::2] + ARMS[1:2], **SETTINGS, activation=activation, **options)
    sgd = partial(torch.optim.SGD, **options)
    assert_trained_alone(together, TOY, lambda: mlp([12, *HIDDEN, 3], activation), sgd)


@pytest.mark.parametrize(("activation", "patch"), [("relu", 1), ("gelu", 2), ("lecun_tanh", 2)])
def test_each_convolutional_replica_is_the_network_trained_alone(activation, patch):
    together = train(IMAGES, ARMS[::2], **CONV, patch=patch, activation=activation)
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


@pytest.mark.parametrize(
    ("data", "settings", "make_model"),
    [
        (TOY, SETTINGS, partial(mlp, [12, *HIDDEN, 3])),
        (IMAGES, CONV | {"patch": 2}, partial(plain_cnn, "relu", CONV["channels"], 2)),
    ],
    ids=["linear", "convolutional"],
)
def test_adam_is_that_of_torch(data, settings, make_model):
    """Also after an arm was dropped, and the moments of the others go on."""
    arms = [Arm("he_normal", 1e3), Arm("he_normal", 0.01), Arm("xavier_normal", 0.001, 1)]
    together = train(data, arms, **settings, optimizer="adam")
    assert together.diverged[0] < 10
    rest = Trained(tuple(arms[1:]), *(part[..., 1:] for part in astuple(together)[1:]))
    assert_trained_alone(rest, data, make_model, torch.optim.Adam)


NETWORKS = pytest.mark.parametrize(
    ("data", "settings"),
    [(TOY, SETTINGS), (IMAGES, CONV | {"patch": 2})],
    ids=["linear", "convolutional"],
)


@NETWORKS
def test_company_and_threads_change_nothing(data, settings):
    together = train(data, ARMS, **settings, threads=1)
    np.testing.assert_array_equal(train(data, ARMS, **settings, threads=2).losses, together.losses)
    backwards = train(data, ARMS[::-1], **settings)
    np.testing.assert_allclose(backwards.losses[:, ::-1], together.losses, rtol=1e-5, atol=1e-6)


@NETWORKS
@pytest.mark.parametrize("lr", [1e3, 1e30])
def test_a_diverging_arm_is_stopped_alone(lr, data, settings):
    wild = Arm("he_normal", lr, seed=5)
    calm = [arm for arm in ARMS if arm.lr == 0.01]
    mixed = train(data, [*calm[:2], wild, *calm[2:]], **settings)
    undisturbed = train(data, calm, **settings)
    step = mixed.diverged[2]
    assert 1 < step <= 10
    assert np.isfinite(mixed.losses[: int(step) - 1, 2]).all()
    assert np.isnan(mixed.losses[int(step) - 1 :, 2]).all()
    assert np.isnan(mixed.accuracy[2])
    np.testing.assert_array_equal(np.isnan(mixed.gradients), np.isnan(mixed.losses))
    for name in ("losses", "gradients"):
        others = np.delete(getattr(mixed, name), 2, axis=1)
        np.testing.assert_allclose(others, getattr(undisturbed, name), rtol=1e-4, atol=1e-5)
    assert np.isinf(np.delete(mixed.diverged, 2)).all()


def test_no_time_is_spent_on_an_arm_that_diverged(monkeypatch):
    replicas = []
    step = Stack.step
    monkeypatch.setattr(
        Stack, "step", lambda self, x, *rest: replicas.append(len(x)) or step(self, x, *rest)
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


@NETWORKS
def test_gradients_are_recorded_every_few_steps(data, settings):
    """And that changes nothing else."""
    wild = [*ARMS, Arm("he_normal", 1e3)]
    every, some = (train(data, wild, **settings | {"gradients_every": k}) for k in (1, 7))
    assert some.gradients.shape == (5, len(wild))
    np.testing.assert_array_equal(some.gradients, every.gradients[::7])
    np.testing.assert_array_equal(some.losses, every.losses)


def test_seconds_are_shared_by_the_arms_of_a_program(monkeypatch):
    """By a clock of which each program takes 24 seconds: one has 8 arms, the other 4."""
    clock = count(0, 24)
    monkeypatch.setattr("initlib.lab.train.perf_counter", lambda: next(clock))
    seconds = train(TOY, ARMS, **SETTINGS, threads=1).seconds
    assert seconds.tolist() == [3.0] * 8 + [6.0] * 4


ONE = [Arm("he_normal", 0.1)]
DEEP = {"hidden": None, "channels": [4, 4], "patch": 2}


@pytest.mark.parametrize(
    ("arms", "changes", "message"),
    [
        ([], {}, "no arms"),
        ([Arm("he_normal", -1.0)], {}, "lr must be"),
        ([Arm("he_normal", float("nan"))], {}, "lr must be"),
        ([Arm("he_normal", "0.1")], {}, "lr must be a number"),
        ([Arm("he_norml", 0.1)], {}, "he_normal"),
        (ONE, {"activation": "gleu"}, "'gleu' is unknown; did you mean gelu"),
        (ONE, {"optimizer": "sdg"}, "'sdg' is unknown; did you mean sgd"),
        (ONE, {"optimizer": "adam", "weight_decay": 0.1}, "without weight decay"),
        (ONE, {"hidden": [16, 0]}, r"hidden\[1\] must be at least 1"),
        (ONE, {"hidden": []}, "hidden is empty: a network of depth 0"),
        (ONE, {"hidden": 16}, "hidden must be a list"),
        (ONE, {"hidden": [1.5]}, r"hidden\[0\] must be a whole number"),
        (ONE, {"hidden": None}, "give either hidden"),
        (ONE, {"channels": [4]}, "give either hidden"),
        (ONE, {"steps": 0}, "steps must be at least 1"),
        (ONE, {"steps": 2.5}, "steps must be a whole number"),
        (ONE, {"gradients_every": 0}, "gradients_every must be at least 1"),
        (ONE, {"batch_size": 201}, "more than 200 images"),
        (ONE, {"momentum": 1.0}, "momentum must"),
        (ONE, {"weight_decay": float("nan")}, "weight_decay not be negative"),
        (ONE, DEEP, r"images \(height, width\).*toy are \(12,\)"),
        (ONE, DEEP | {"channels": []}, "channels is empty: a network of depth 0"),
        (ONE, DEEP | {"channels": [4, -1]}, r"channels\[1\] must be at least 1"),
    ],
)
def test_bad_arguments_are_refused_before_training(never_trained, arms, changes, message):
    with pytest.raises(ValueError, match=message):
        train(TOY, arms, **SETTINGS | changes)


@pytest.fixture
def never_trained(monkeypatch):
    """Neither kind of network may take a step."""
    for kind in (Stack, ConvStack):
        monkeypatch.setattr(kind, "step", lambda *_: pytest.fail("it was trained"))


def with_pixel(x, value):
    x = x.clone()
    x.view(-1)[7] = value
    return x


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"x_train": with_pixel(TOY.x_train, torch.nan)}, "x_train has NaN or infinite pixels"),
        ({"x_test": with_pixel(TOY.x_test, -torch.inf)}, "x_test has NaN or infinite pixels"),
        ({"y_train": TOY.y_train[:-1]}, "200 x_train, but 199 y_train"),
        ({"y_train": TOY.y_train + 1}, r"labels must lie in 0\.\.2, y_train has 1\.\.3"),
        ({"y_test": TOY.y_test - 1}, r"labels must lie in 0\.\.2, y_test has -1\.\.1"),
        ({"y_train": TOY.y_train.float()}, "y_train must hold integers"),
        ({"y_train": TOY.y_train * 2 % 4, "classes": 3}, "no image of class 1"),
        ({"x_test": TOY.x_test[:, :5]}, r"x_train are \(12,\), those of x_test \(5,\)"),
    ],
)
def test_bad_data_is_refused_before_training(never_trained, changes, message):
    with pytest.raises(ValueError, match=message):
        train(replace(TOY, **changes), ONE, **SETTINGS)


def test_patches_must_fit_the_images(never_trained):
    with pytest.raises(ValueError, match="patch=3 doesn't divide images of 4 x 6"):
        train(IMAGES, ONE, **CONV, patch=3)
    with pytest.raises(ValueError, match="patch must be at least 1"):
        train(IMAGES, ONE, **CONV, patch=0)


def test_gray_images_have_one_channel():
    gray = replace(IMAGES, x_train=IMAGES.x_train[:, 0], x_test=IMAGES.x_test[:, 0])
    one = replace(IMAGES, x_train=IMAGES.x_train[:, :1], x_test=IMAGES.x_test[:, :1])
    losses = [train(data, ONE, **CONV, patch=2).losses for data in (gray, one)]
    np.testing.assert_array_equal(*losses)


@pytest.mark.parametrize(("data", "settings"), [(TOY, SETTINGS), (IMAGES, CONV | {"patch": 2})])
def test_arms_of_which_all_diverge_have_no_accuracy(data, settings):
    trained = train(data, [Arm("he_normal", 1e9, seed) for seed in range(2)], **settings)
    assert np.isfinite(trained.diverged).all()
    assert np.isnan(trained.accuracy).all()
