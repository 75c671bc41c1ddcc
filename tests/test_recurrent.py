"""A recurrent network of the stack is the one that torch would train alone."""

import numpy as np
import pytest
import torch
from torch import nn

from initlib.lab.recurrent import Recurrent
from initlib.sampling import normal, stream_key, uniform

HIDDEN, INPUTS, LENGTH, BATCH, NETWORKS = 5, 2, 7, 6, 3


def drawn(name, *shape):
    values = normal(stream_key(0, name), 0, int(np.prod(shape)), np.float64)
    return torch.from_numpy(values).reshape(shape)


def stack(cell, lr=0.01, clip=1.0):
    gates = 4 if cell == "lstm" else 1
    matrices = drawn("matrices", NETWORKS, gates * HIDDEN, HIDDEN + INPUTS + 1) / 2
    return Recurrent(cell, matrices, drawn("readouts", NETWORKS, HIDDEN + 1), [lr] * NETWORKS, clip)


def batch(step):
    x = uniform(stream_key(1, step), 0, LENGTH * NETWORKS * BATCH * INPUTS, np.float64)
    return torch.from_numpy(x).reshape(LENGTH, NETWORKS, BATCH, INPUTS), drawn(
        f"y{step}", NETWORKS, BATCH
    )


class Alone(nn.Module):
    """One network of the stack, made of torch's own layers.

    Torch has two bias vectors, which it adds: all of ours is in the first.
    """

    def __init__(self, net, number):
        super().__init__()
        matrix, readout = (part[number].clone() for part in net._split(net.parameters))
        options = {"dtype": torch.float64}
        if net.cell == "lstm":
            self.layer = nn.LSTM(INPUTS, HIDDEN, **options)
            i, f, o, g = matrix.chunk(4)
            matrix = torch.cat([i, f, g, o])
        else:
            self.layer = nn.RNN(INPUTS, HIDDEN, nonlinearity=net.cell, **options)
        self.readout = nn.Linear(HIDDEN, 1, **options)
        with torch.no_grad():
            self.layer.weight_hh_l0.copy_(matrix[:, :HIDDEN])
            self.layer.weight_ih_l0.copy_(matrix[:, HIDDEN:-1])
            self.layer.bias_ih_l0.copy_(matrix[:, -1])
            self.layer.bias_hh_l0.zero_().requires_grad_(False)
            self.readout.weight.copy_(readout[None, :-1])
            self.readout.bias.copy_(readout[-1:])

    def forward(self, x):
        return self.readout(self.layer(x)[0][-1]).squeeze(-1)


@pytest.mark.parametrize("cell", ["relu", "tanh", "lstm"])
@pytest.mark.parametrize("clip", [0.1, 1e9])
def test_training_is_that_of_each_network_alone(cell, clip):
    net = stack(cell, clip=clip)
    alone = [Alone(net, number) for number in range(NETWORKS)]
    trained = [[p for p in one.parameters() if p.requires_grad] for one in alone]
    adams = [torch.optim.Adam(parameters, lr=0.01) for parameters in trained]
    for step in range(20):
        x, y = batch(step)
        losses = net.step(x, y)
        for number, (one, parameters, adam) in enumerate(zip(alone, trained, adams, strict=True)):
            loss = (one(x[:, number]) - y[number]).square().mean()
            torch.testing.assert_close(losses[number], loss.detach(), rtol=1e-6, atol=0)
            adam.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(parameters, clip)
            adam.step()


def test_rates_are_of_each_network_alone():
    together, net = stack("relu"), stack("relu")
    together.lr = torch.tensor([[0.0], [0.01], [0.1]], dtype=torch.float64)
    before = net.parameters.clone()
    together.step(*batch(0))
    net.step(*batch(0))
    assert (together.parameters[0] == before[0]).all()
    assert (together.parameters[1] == net.parameters[1]).all()
    torch.testing.assert_close(
        together.parameters[2] - before[2], 10 * (net.parameters[2] - before[2])
    )


@pytest.mark.parametrize("cell", ["relu", "tanh", "lstm"])
def test_those_that_are_kept_go_on_as_before(cell):
    fewer, all_of_them = stack(cell), stack(cell)
    which = torch.tensor([True, False, True])
    for step in range(4):
        x, y = batch(step)
        losses = all_of_them.step(x, y)
        if step < 2:
            fewer.step(x, y)
        else:
            torch.testing.assert_close(fewer.step(x[:, which], y[which]), losses[which])
        if step == 1:
            fewer.keep(which)
