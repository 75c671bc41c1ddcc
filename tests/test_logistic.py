"""Logistic networks under Xavier's rule, and those that are tanh networks in disguise."""

import pytest
import torch

from initlib import initialize
from initlib.lab.logistic import logistic_start, spread_factor, twin_outputs
from initlib.lab.stack import mlp

SIZES = [12, 32, 32, 32, 5]


@pytest.mark.parametrize("sizes", [[12, 32, 32, 5], SIZES])
def test_the_twin_computes_what_the_tanh_network_computes(sizes):
    x = torch.randn(7, 12, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    tanh, logistic = twin_outputs(sizes, x, seed=3)
    torch.testing.assert_close(logistic, tanh, rtol=0, atol=1e-12)
    assert tanh.std() > 0.1


def test_its_weights_are_multiples_of_xavier():
    models = [mlp(SIZES, "sigmoid") for _ in range(3)]
    for model, scheme in zip(
        models, ("xavier_uniform", logistic_start(4), logistic_start(4, centred=False)), strict=True
    ):
        initialize(model, scheme, seed=1)
    for layer, factor in zip((0, 2, 4, 6), (2, 4, 4, 2), strict=True):
        xavier, centred, bare = (model[layer] for model in models)
        torch.testing.assert_close(centred.weight, factor * xavier.weight)
        assert torch.equal(centred.weight, bare.weight)
        assert not bare.bias.any()
        assert centred.bias.any() == (layer > 0)


def test_two_layers_have_no_room_for_it():
    with pytest.raises(ValueError, match="at least 3"):
        logistic_start(2)


def test_a_logistic_layer_passes_on_a_sixteenth_at_most():
    images = torch.randn(20, 4, 30, generator=torch.Generator().manual_seed(1))
    factor = spread_factor(images, key=0, width=128, depth=6)
    assert factor.value == pytest.approx(0.0557, rel=0.05)
