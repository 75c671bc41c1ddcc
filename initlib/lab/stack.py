"""Networks of one shape as stacked tensors: a layer of all of them is one batched product.

The weights of R networks are (R, n_out, n_in). The backward pass is written out: it is short, and a
quarter faster than autograd. No replica sees another, so each is the network that would be trained
alone.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Literal

import torch
from torch import Tensor, nn

from initlib.lab.optimizers import Optimizer

Activation = Literal[
    "relu", "tanh", "sigmoid", "softplus", "linear", "lecun_tanh", "selu", "elu", "gelu", "silu",
    "mish",
]  # fmt: skip

HEIGHT, STEEPNESS = 1.7159, 2 / 3  # LeCun et al. 1998, section 4.4
SELU_SCALE, SELU_ALPHA = 1.0507009873554805, 1.6732632423543772  # Klambauer et al. 2017

# Each activation, which may work in place, and its part of the chain rule in terms of its output h;
# of its input z for those of _OF_INPUT, whose output doesn't tell the slope.
_OF_INPUT = ("gelu", "silu", "mish")
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
    "elu": (nn.functional.elu_, lambda delta, h: delta.mul_(1 + h.clamp_max(0))),
    "gelu": (nn.functional.gelu, torch.ops.aten.gelu_backward),
    "silu": (nn.functional.silu, torch.ops.aten.silu_backward),
    "mish": (nn.functional.mish, torch.ops.aten.mish_backward),
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
    "elu": nn.ELU,
    "gelu": nn.GELU,
    "silu": nn.SiLU,
    "mish": nn.Mish,
}


def mlp(sizes: Sequence[int], activation: Activation = "relu") -> nn.Sequential:
    """Return the network that a replica is: linear layers with an activation between them.

    Parameters
    ----------
    sizes : sequence of int
        Inputs, hidden widths, outputs.
    activation : str
        One of `Activation`, after each layer but the last.
    """
    layers: list[nn.Module] = []
    for n_in, n_out in pairwise(sizes):
        layers += [nn.utils.skip_init(nn.Linear, n_in, n_out), MODULES[activation]()]
    return nn.Sequential(*layers[:-1])


class DataScheme(ABC):
    """A scheme that looks at data: it fills a whole network at once."""

    @abstractmethod
    def fill_(self, model: nn.Sequential, images: Tensor, seed: int) -> None:
        """Fill a network in place, given the images that it will be trained on, as it takes them.

        They are (n, pixels) for `mlp`, and (n, channels, height, width) for `cnn`.
        """


class Stack:
    """R networks of one shape and their optimizer, as one program.

    Parameters
    ----------
    models : sequence of Sequential
        From `mlp`, with their weights; they are copied.
    optimizer : callable
        Makes the optimizer of a list of parameters: ``partial(Sgd, lr=[0.1, 0.2])``.
    activation
        That of the models, as in `mlp`.
    """

    def __init__(
        self,
        models: Sequence[nn.Sequential],
        optimizer: Callable[[list[Tensor]], Optimizer],
        activation: Activation,
    ):
        parameters = []
        for same in zip(*(model[::2] for model in models), strict=True):
            parameters.append(torch.stack([layer.weight.data for layer in same]))
            parameters.append(torch.stack([layer.bias.data[None] for layer in same]))
        self.optimizer = optimizer(parameters)
        self.activate_, self.backward_ = _ACTIVATIONS[activation]
        self.keeps_input = activation in _OF_INPUT

    @property
    def weights(self) -> list[Tensor]:
        """Weights of each layer, (R, n_out, n_in)."""
        return self.optimizer.parameters[::2]

    @property
    def biases(self) -> list[Tensor]:
        """Biases of each layer, (R, 1, n_out)."""
        return self.optimizer.parameters[1::2]

    def forward(self, x: Tensor) -> tuple[list[Tensor], list[Tensor], Tensor]:
        """Return what goes into each layer, (R, batch, n_in), what its slopes follow from, logits.

        Slopes of the activation follow from its output, or from its input where they must.
        """
        signals, sources = [x], [x]
        *hidden, last = zip(self.weights, self.biases, strict=True)
        for weight, bias in hidden:
            z = torch.baddbmm(bias, signals[-1], weight.mT)
            signals.append(self.activate_(z))
            sources.append(z if self.keeps_input else signals[-1])
        return signals, sources, torch.baddbmm(last[1], signals[-1], last[0].mT)

    def step(self, x: Tensor, y: Tensor, measured: bool = False) -> tuple[Tensor, Tensor | None]:
        """Update on mini-batches x (R, batch, pixels), y (R, batch).

        Returns the losses before the update and, if they are to be measured, the norms of the
        gradients, (R,) each.
        """
        signals, sources, logits = self.forward(x)
        log_p = logits.log_softmax(dim=-1)
        label = y[..., None]
        loss = -log_p.gather(-1, label).mean(dim=(1, 2))
        delta = log_p.exp_()  # dloss / dlogits = (p - one_hot(y)) / batch
        delta.scatter_add_(-1, label, torch.full_like(delta[..., :1], -1.0))
        delta /= y.shape[1]
        squares: list[Tensor] = []
        for i in reversed(range(len(signals))):
            below = self.backward_(delta @ self.weights[i], sources[i]) if i else None
            bias_gradient = delta.sum(dim=1, keepdim=True)
            if measured:
                squares += [square_norm(delta.mT @ signals[i]), square_norm(bias_gradient)]
            self.optimizer.update_by_product(2 * i, delta.mT, signals[i])
            self.optimizer.update(2 * i + 1, bias_gradient)
            delta = below
        return loss, torch.stack(squares).sum(dim=0).sqrt() if measured else None

    def logits(self, x: Tensor) -> Tensor:
        """Return the logits (R, n, classes) of images x (R, n, pixels)."""
        return self.forward(x)[-1]


def square_norm(gradient: Tensor) -> Tensor:
    """Return the square norm of each replica's part of a tensor (R, ...): float64, (R,)."""
    return torch.linalg.vector_norm(gradient.flatten(1), dim=1).double().square()
