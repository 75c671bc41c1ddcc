"""Small models of many shapes, and how the output of every layer of them is spread."""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from initlib.adaptive import lsuv_
from initlib.apply import initialize
from initlib.fans import blocks
from initlib.lab.stack import mlp
from initlib.sampling import Key, normal, stream_key

__all__ = [
    "Case",
    "Masked",
    "Recurrent",
    "Shared",
    "dead_network",
    "layer_stds",
    "model_zoo",
    "worst_stds",
]


class Case(NamedTuple):
    """A model, and a batch for it."""

    model: nn.Module
    batch: Tensor


class Residual(nn.Module):
    """A convolutional network with skip connections; images (samples, 3, 12, 12) to 10 numbers."""

    def __init__(self, branches: int = 6, channels: int = 16):
        super().__init__()
        conv = partial(nn.Conv2d, kernel_size=3, padding=1)
        self.stem, self.head = conv(3, channels), nn.Linear(channels, 10)
        self.branches = nn.ModuleList(
            nn.Sequential(nn.ReLU(), conv(channels, channels), nn.ReLU(), conv(channels, channels))
            for _ in range(branches)
        )

    def forward(self, x: Tensor) -> Tensor:
        """Add each branch to what it was given."""
        x = self.stem(x)
        for branch in self.branches:
            x = x + branch(x)
        return self.head(x.mean((2, 3)))


class Attention(nn.Module):
    """Blocks of self-attention and two linear layers; sequences (samples, time, width)."""

    def __init__(self, depth: int = 3, width: int = 32):
        super().__init__()
        names = ("query", "key", "value", "out", "up", "down")
        self.depth = nn.ModuleList(
            nn.ModuleDict({name: nn.Linear(width, width) for name in names}) for _ in range(depth)
        )

    def forward(self, x: Tensor) -> Tensor:
        """One head of attention, then the two layers, each added to what it was given."""
        for part in self.depth:
            given = part["query"](x), part["key"](x), part["value"](x)
            x = x + part["out"](functional.scaled_dot_product_attention(*given))
            x = x + part["down"](functional.gelu(part["up"](x)))
        return x


class Recurrent(nn.Module):
    """A recurrent layer with gates, and a readout; sequences (time, samples, width)."""

    def __init__(self, width: int = 24):
        super().__init__()
        self.memory, self.out = nn.GRU(width, width), nn.Linear(width, 10)

    def forward(self, x: Tensor) -> Tensor:
        """Read out the last state."""
        return self.out(self.memory(x)[0][-1])


class Shared(nn.Module):
    """One layer that is called several times."""

    def __init__(self, width: int = 64, calls: int = 3):
        super().__init__()
        self.shared, self.calls = nn.Linear(width, width), calls

    def forward(self, x: Tensor) -> Tensor:
        """Call it again and again."""
        for _ in range(self.calls):
            x = self.shared(x).tanh()
        return x


class Masked(nn.Linear):
    """A subclass of a layer, of which nobody knows whether it is linear in its weight."""

    def forward(self, x: Tensor) -> Tensor:
        """Use the lower triangle of the weight."""
        return functional.linear(x, self.weight.tril(), self.bias)


def model_zoo(key: Key | int = 0) -> dict[str, Case]:
    """Return models of six kinds, each with a batch of normal numbers.

    Examples
    --------
    >>> list(model_zoo())
    ['MLP', 'residual CNN', 'attention', 'GRU', 'one layer, three calls', 'unknown subclass']
    """
    shapes: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...]]] = {
        "MLP": (lambda: mlp([64] * 21), (128, 64)),
        "residual CNN": (Residual, (16, 3, 12, 12)),
        "attention": (Attention, (16, 12, 32)),
        "GRU": (Recurrent, (10, 32, 24)),
        "one layer, three calls": (Shared, (64, 64)),
        "unknown subclass": (partial(Masked, 64, 64), (64, 64)),
    }
    cases = {}
    for name, (make, shape) in shapes.items():
        numbers = normal(stream_key(key, "zoo", name), 0, torch.Size(shape).numel())
        cases[name] = Case(make(), torch.from_numpy(numbers).view(shape))
    return cases


def layer_stds(model: nn.Module, batch: Tensor) -> dict[str, float]:
    """Run a model, and return the standard deviation of what each layer's weight gives.

    Linear and convolution layers by their output at their first call; recurrent layers by the
    product of the input with each gate's weight, plus its bias.

    Examples
    --------
    >>> list(layer_stds(mlp([1, 2, 1]), torch.ones(2, 1)))
    ['0', '2']
    """
    found: dict[str, float] = {}

    def see(name: str, layer: nn.Module, args: tuple[Tensor, ...], output: Tensor) -> None:
        if isinstance(layer, nn.RNNBase):
            labels = blocks(layer, "weight_ih_l0")
            product = functional.linear(args[0], layer.weight_ih_l0, layer.bias_ih_l0)
            for label, part in zip(labels, product.chunk(len(labels), dim=-1), strict=True):
                found.setdefault(f"{name}[{label}]", part.double().std().item())
        elif isinstance(layer, nn.Linear | nn.Conv2d):
            found.setdefault(name, output.double().std().item())

    handles = [
        layer.register_forward_hook(partial(see, name)) for name, layer in model.named_modules()
    ]
    with torch.no_grad():
        model(batch)
    for handle in handles:
        handle.remove()
    return found


@torch.no_grad()
def linear_outputs(model: nn.Sequential, x: Tensor) -> list[Tensor]:
    """Return what each linear layer of a sequence returns, in float64."""
    found = []
    for layer in model:
        x = layer(x)
        if isinstance(layer, nn.Linear):
            found.append(x.double())
    return found


def worst_stds(zoo: dict[str, Case], key: Key | int = 0) -> dict[str, float]:
    """Scale each model by `lsuv_`, run it again, and return the std that is farthest from one."""
    worst = {}
    for name, (model, batch) in zoo.items():
        lsuv_(model, batch, seed=stream_key(key, name))
        worst[name] = max(layer_stds(model, batch).values(), key=lambda std: abs(std - 1))
    return worst


def dead_network(inputs: int, width: int = 20) -> nn.Sequential:
    """Return a network whose ReLUs are all dead, so that its second layer has nothing to scale."""
    model = mlp([inputs, width, width])
    initialize(model, "orthogonal", 0)
    model[0].bias.data.fill_(-1000.0)
    return model
