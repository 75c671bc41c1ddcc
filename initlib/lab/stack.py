"""Networks of one shape as stacked tensors: a layer of all of them is one batched product.

The weights of R networks are (R, n_out, n_in). The backward pass is written out: it is short, and a
quarter faster than autograd. No replica sees another, so each is the network that would be trained
alone.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from itertools import pairwise
from typing import Literal

import torch
from torch import Tensor, nn

Activation = Literal["relu", "tanh", "sigmoid", "softplus", "linear", "lecun_tanh", "selu"]

HEIGHT, STEEPNESS = 1.7159, 2 / 3  # LeCun et al. 1998, section 4.4
SELU_SCALE, SELU_ALPHA = 1.0507009873554805, 1.6732632423543772  # Klambauer et al. 2017

# Each activation, which may work in place, and its part of the chain rule in terms of its output h.
_ACTIVATIONS = {
    "relu": (torch.relu_, lambda delta, h: delta.mul_(h.sign())),
    "tanh": (torch.tanh_, lambda delta, h: delta.mul_(1 - h * h)),
    "sigmoid": (torch.sigmoid_, lambda delta, h: delta.mul_(h - h * h)),
    "softplus": (nn.functional.softplus, lambda delta, h: delta.mul_(-torch.expm1(-h))),
    "linear": (lambda z: z, lambda delta, h: delta),
    "lecun_tanh": (
        lambda z: z.mul_(STEEPNESS).tanh_().mul_(HEIGHT),
        lambda delta, h: delta.mul_(STEEPNESS * (HEIGHT - h * h / HEIGHT)),
    ),
    "selu": (
        torch.selu_,
        lambda delta, h: delta.mul_(
            SELU_SCALE * torch.where(h > 0, 1, SELU_ALPHA) + h.clamp_max(0)
        ),
    ),
}


class LecunTanh(nn.Module):
    """1.7159 tanh(2 x / 3), of LeCun et al. 1998."""

    def forward(self, x: Tensor) -> Tensor:
        """Apply it to each element."""
        return HEIGHT * torch.tanh(STEEPNESS * x)


MODULES = {
    "relu": nn.ReLU,
    "tanh": nn.Tanh,
    "sigmoid": nn.Sigmoid,
    "softplus": nn.Softplus,
    "linear": nn.Identity,
    "lecun_tanh": LecunTanh,
    "selu": nn.SELU,
}


def mlp(sizes: Sequence[int], activation: Activation = "relu") -> nn.Sequential:
    """Return the network that a replica is: linear layers with an activation between them.

    Parameters
    ----------
    sizes : sequence of int
        Inputs, hidden widths, outputs.
    activation : {"relu", "tanh", "sigmoid", "softplus", "linear", "lecun_tanh", "selu"}
        After each layer but the last.
    """
    layers: list[nn.Module] = []
    for n_in, n_out in pairwise(sizes):
        layers += [nn.utils.skip_init(nn.Linear, n_in, n_out), MODULES[activation]()]
    return nn.Sequential(*layers[:-1])


class DataScheme(ABC):
    """A scheme that looks at data: it fills a whole network at once."""

    @abstractmethod
    def fill_(self, model: nn.Sequential, images: Tensor, seed: int) -> None:
        """Fill a network from `mlp` in place, given the images that it will be trained on."""


class Stack:
    """R networks of one shape and their SGD, as one program.

    Parameters
    ----------
    models : sequence of Sequential
        From `mlp`, with their weights; they are copied.
    lr : sequence of float
        Learning rate of each.
    activation
        That of the models, as in `mlp`.
    momentum, weight_decay : float
        As in ``torch.optim.SGD``.
    """

    def __init__(
        self,
        models: Sequence[nn.Sequential],
        lr: Sequence[float],
        activation: Activation,
        momentum: float,
        weight_decay: float,
    ):
        layers = list(zip(*(model[::2] for model in models), strict=True))
        self.weights = [torch.stack([layer.weight.data for layer in same]) for same in layers]
        self.biases = [torch.stack([layer.bias.data[None] for layer in same]) for same in layers]
        self.velocities = [
            (torch.zeros_like(weight), torch.zeros_like(bias))
            for weight, bias in zip(self.weights, self.biases, strict=True)
        ]
        self.activate_, self.backward_ = _ACTIVATIONS[activation]
        self.momentum, self.weight_decay = momentum, weight_decay
        self.lr = torch.tensor(lr)[:, None, None]

    def forward(self, x: Tensor) -> list[Tensor]:
        """Return what goes into each layer, (R, batch, n_in), and at the end the logits."""
        signals = [x]
        for weight, bias in zip(self.weights, self.biases, strict=True):
            z = torch.baddbmm(bias, signals[-1], weight.mT)
            signals.append(z if weight is self.weights[-1] else self.activate_(z))
        return signals

    def step(self, x: Tensor, y: Tensor) -> Tensor:
        """Update on mini-batches x (R, batch, pixels), y (R, batch); return the losses before."""
        *inputs, logits = self.forward(x)
        log_p = logits.log_softmax(dim=-1)
        label = y[..., None]
        loss = -log_p.gather(-1, label).mean(dim=(1, 2))
        delta = log_p.exp_()  # dloss / dlogits = (p - one_hot(y)) / batch
        delta.scatter_add_(-1, label, torch.full_like(delta[..., :1], -1.0))
        delta /= y.shape[1]
        for i in reversed(range(len(inputs))):
            below = self.backward_(delta @ self.weights[i], inputs[i]) if i else None
            velocity, bias_velocity = self.velocities[i]
            velocity.baddbmm_(delta.mT, inputs[i], beta=self.momentum)
            bias_velocity.mul_(self.momentum).add_(delta.sum(dim=1, keepdim=True))
            self._move(self.weights[i], velocity)
            self._move(self.biases[i], bias_velocity)
            delta = below
        return loss

    def _move(self, parameter: Tensor, velocity: Tensor) -> None:
        if self.weight_decay:
            velocity.add_(parameter, alpha=self.weight_decay)
        parameter.addcmul_(velocity, self.lr, value=-1)

    def keep(self, which: Tensor) -> None:
        """Go on with some of the replicas: a mask, (R,)."""
        self.weights = [weight[which] for weight in self.weights]
        self.biases = [bias[which] for bias in self.biases]
        self.velocities = [(v[which], bias_v[which]) for v, bias_v in self.velocities]
        self.lr = self.lr[which]

    def accuracy(self, x: Tensor, y: Tensor, rows: int = 500) -> Tensor:
        """Return the share of right answers of each replica."""
        right = torch.zeros(len(self.lr))
        for part, label in zip(x.split(rows), y.split(rows), strict=True):
            logits = self.forward(part.expand(len(right), *part.shape))[-1]
            right += (logits.argmax(dim=-1) == label).sum(dim=1)
        return right / len(y)
