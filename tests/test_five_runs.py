"""Networks trained side by side: each stops by itself, and none of them sees another."""

import numpy as np
import pytest
import torch

from initlib.lab.data import load
from initlib.lab.five_runs import check_design, follow, half_size
from initlib.lab.five_speed import scaled_he, start
from initlib.lab.train import Arm, batch_order, train

SIZES = [784, 16, 10]


@pytest.fixture(scope="module")
def data():
    return load("mnist").flat()


def followed(data, steps=12, *, lr=(0.05, 0.05, 0.02), seeds=(1, 2, 1), enough=None, every=4):
    batches = torch.stack([batch_order(i, 8000, 16, steps) for i in seeds], dim=1)
    return follow(
        [start(SIZES, 1.0, i) for i in seeds],
        list(lr),
        data.x_train,
        data.y_train,
        batches,
        lambda stack, numbers: torch.stack([numbers.float(), stack.optimizer.lr.flatten()], dim=1),
        enough or (lambda seen, numbers: torch.zeros(len(numbers), dtype=torch.bool)),
        every=every,
    )


def test_it_trains_as_train_does(data):
    ours = followed(data)
    arms = [Arm(scaled_he(1.0), lr, i) for lr, i in ((0.05, 1), (0.05, 2), (0.02, 1))]
    theirs = train(data, arms, hidden=[16], steps=12, batch_size=16)
    np.testing.assert_allclose(ours.losses, theirs.losses, rtol=1e-5)
    assert np.isinf(ours.steps).all()


def test_each_stops_when_enough_is_seen_of_it(data):
    def enough(seen, numbers):
        assert seen[:, 0].tolist() == numbers.tolist()  # rows belong to these networks
        return numbers == 1

    ours = followed(data, enough=enough)
    assert ours.steps.tolist() == [np.inf, 0.0, np.inf]
    assert np.isnan(ours.losses[:, 1]).all()
    np.testing.assert_array_equal(ours.losses[:, [0, 2]], followed(data).losses[:, [0, 2]])
    assert ours.seen[:, 1].tolist() == pytest.approx([0.05, 0.05, 0.02])


def test_one_that_diverges_leaves_the_others_alone(data):
    ours = followed(data, lr=(0.05, 1e6, 0.02), every=5)
    assert np.isnan(ours.losses[-1, 1])
    np.testing.assert_array_equal(ours.losses[:, [0, 2]], followed(data).losses[:, [0, 2]])


def test_half_the_size_keeps_the_scale(data):
    small = half_size(load("mnist"))
    assert small.x_train.shape == (8000, 196)
    assert small.x_train.mean().item() == pytest.approx(0, abs=1e-4)
    assert small.x_train.square().mean().item() == pytest.approx(1, rel=1e-4)
    raw = load("mnist", "raw")
    means = raw.x_test[:, 10:12, 6:8].mean(dim=(1, 2))  # row 5, column 3
    assert np.corrcoef(small.x_test[:, 5 * 14 + 3], means)[0, 1] == pytest.approx(1)
    with pytest.raises(ValueError, match="even number"):
        half_size(data)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"depths": [0, 9]}, "depths"),
        ({"depths": [9, 2]}, "depths"),
        ({"depths": [2]}, "depths"),
        ({"gains": [0.5, 2.0]}, "gains"),
        ({"gains": [1.0, 2.0]}, "gains"),
        ({"scales": [1.0]}, "scales"),
        ({"replicas": 7}, "replicas"),
    ],
)
def test_a_design_that_cannot_answer_is_refused(change, words):
    design = {"depths": [2, 9], "gains": [0.5, 1.0, 2.0], "scales": [1.0, 2.0], "replicas": 8}
    check_design(**design)
    with pytest.raises(ValueError, match=words):
        check_design(**design | change)


def test_counts_must_agree(data):
    with pytest.raises(ValueError, match="3 networks, 2 rates"):
        followed(data, lr=(0.1, 0.1))
