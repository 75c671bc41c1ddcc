"""The two starts of Glorot and Bengio: measured against theory, and theory against arithmetic."""

import numpy as np
import pytest
import torch

from initlib.lab import starts
from initlib.lab.estimates import estimate
from initlib.lab.rules import within
from initlib.lab.starts import STARTS

SIZES = [64, *[128] * 5, 10]


@pytest.fixture(scope="module")
def images():
    return 0.2 * torch.randn(40, 3, 64, generator=torch.Generator().manual_seed(0))


def test_the_starts_have_the_variances_of_the_paper():
    ratios = starts.variance_ratios(key=0, draws=20)
    assert within(4).passes(ratios.value, 1.0, ratios.se, ratios.n).all()


def test_small_signals_lose_the_root_of_three_under_the_standard_start(images):
    theory = starts.start_theory(STARTS["standard"], SIZES, images / 1000)
    assert starts.forward_factor(theory) == pytest.approx(3**-0.5, rel=1e-6)
    assert starts.backward_factor(theory) == pytest.approx(3**-0.5, rel=1e-6)


def test_theory_averages_images_and_not_their_squares(images):
    loud = torch.cat([images, 20 * images], dim=1)
    theory = starts.start_theory(STARTS["xavier"], SIZES, loud)
    halves = [starts.start_theory(STARTS["xavier"], SIZES, x) for x in (images, 20 * images)]
    np.testing.assert_allclose(theory.second, sum(half.second for half in halves) / 2)


@pytest.mark.parametrize("start", STARTS)
def test_measured_networks_follow_theory(images, start):
    law = STARTS[start]
    theory = starts.start_theory(law, SIZES, images)
    signals = starts.start_signals(law, SIZES, images, key=1)
    for factor in (starts.forward_factor, starts.backward_factor):
        found = estimate(factor(signals))
        assert found.value == pytest.approx(factor(theory), abs=5 * found.se)
    for even in starts.evenness(signals, law, SIZES).values():
        assert even.value == pytest.approx(0, abs=5 * even.se)
    table = starts.start_table(signals, theory, SIZES)
    assert set(table.quantity) == {"signal", "gradient", "weight"}
    assert (table.groupby("quantity").layer.max() == 5).all()


def test_weights_multiplied_by_the_root_saturate(images):
    one = images[:, 0]
    theory = starts.literal_theory([64, 128], one)
    found = starts.literal_signal([64, 128], one, key=0)
    assert theory > 0.95
    assert found.value == pytest.approx(theory, abs=5 * found.se)
