"""Models of many shapes, and the outputs of their layers."""

import pytest
import torch

import initlib as init
from initlib.adaptive import lsuv_
from initlib.lab.lsuv_models import Recurrent, dead_network, layer_stds, model_zoo, worst_stds
from initlib.lab.stack import mlp


def test_every_layer_of_every_model_is_found_and_scaled():
    zoo = model_zoo(3)
    reports = {name: lsuv_(*case) for name, case in zoo.items()}
    for name, (model, batch) in zoo.items():
        assert len(layer_stds(model, batch)) == len(reports[name].rows), name
    assert all(abs(std - 1) < 1e-6 for std in worst_stds(zoo, 1).values())


def test_gates_are_measured_one_by_one_and_hooks_are_taken_off():
    model, batch = Recurrent(6), torch.randn(5, 4, 6)
    stds = layer_stds(model, batch)
    assert list(stds) == ["memory[r]", "memory[z]", "memory[n]", "out"]
    expected = batch @ model.memory.weight_ih_l0[:6].T + model.memory.bias_ih_l0[:6]
    assert stds["memory[r]"] == pytest.approx(expected.std().item(), rel=1e-5)
    assert not any(layer._forward_hooks for layer in model.modules())


def test_the_std_is_that_of_the_output():
    model, batch = mlp([4, 5, 3]), torch.randn(20, 4)
    for parameter in model.parameters():
        init.normal_(parameter, generator=4)
    assert layer_stds(model, batch)["2"] == pytest.approx(model(batch).std().item(), rel=1e-5)


def test_a_dead_network_cannot_be_scaled():
    with pytest.raises(ValueError, match=r"2\.weight.*dead units"):
        lsuv_(dead_network(7), torch.randn(10, 7), start=None)
