"""Convolutional networks of one shape as one: replicas are groups of a grouped convolution.

R networks with C channels are one network with R C channels in R groups, so no replica sees
another. Channels lie last in memory: on small images this is nearly twice as fast as one network
after the other, and many times as fast as products of unfolded images. The backward pass is
autograd's, which costs no more here than one written by hand.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import cast

import torch
from torch import Tensor, nn

from initlib.lab.optimizers import Optimizer
from initlib.lab.stack import MODULES, Activation, square_norm


def cnn(
    image: Sequence[int],
    channels: Sequence[int],
    classes: int,
    activation: Activation = "relu",
    patch: int = 4,
) -> nn.Sequential:
    """Return the network that a replica is: convolutions, and a linear layer onto the classes.

    The first convolution reads the image in patches that don't overlap, so that depth is cheap; the
    others have kernels of 3 x 3 and keep the size, with zeros around the image. Their output goes
    to the linear layer as it is, without pooling.

    Parameters
    ----------
    image : sequence of int
        Shape of an image: (channels, height, width).
    channels : sequence of int
        Output channels of each convolution: [8] * 30 has 30 of them.
    classes : int
        Outputs.
    activation : str
        One of `Activation`, after each convolution.
    patch : int
        Kernel size and stride of the first convolution; it must divide height and width. With 1 it
        is like the others.

    Examples
    --------
    >>> model = cnn((1, 28, 28), [8, 16], classes=10)
    >>> [tuple(parameter.shape) for parameter in model.parameters()]
    [(8, 1, 4, 4), (8,), (16, 8, 3, 3), (16,), (10, 784), (10,)]
    """
    n_in, height, width = image
    layers: list[nn.Module] = []
    for n_out in channels:
        shape = {"kernel_size": 3, "padding": 1}
        if not layers and patch > 1:
            shape = {"kernel_size": patch, "stride": patch}
        layers += [nn.utils.skip_init(nn.Conv2d, n_in, n_out, **shape), MODULES[activation]()]
        n_in = n_out
    features = n_in * (height // patch) * (width // patch)
    return nn.Sequential(*layers, nn.Flatten(), nn.utils.skip_init(nn.Linear, features, classes))


class ConvStack:
    """R networks of one shape and their optimizer, as one program.

    Parameters
    ----------
    models : sequence of Sequential
        From `cnn`, with their weights; they are copied.
    optimizer : callable
        Makes the optimizer of a list of parameters: ``partial(Sgd, lr=[0.1, 0.2])``.
    """

    def __init__(
        self, models: Sequence[nn.Sequential], optimizer: Callable[[list[Tensor]], Optimizer]
    ):
        self.layers = list(models[0])
        same = zip(*(model.parameters() for model in models), strict=True)
        self.optimizer = optimizer([torch.stack([p.data for p in group]) for group in same])

    def forward(self, x: Tensor, parameters: Sequence[Tensor]) -> Tensor:
        """Return the logits (R, batch, classes) of images x (R, batch, channels, height, width)."""
        replicas = len(x)
        rest = iter(parameters)
        h = x.transpose(0, 1).flatten(1, 2).contiguous(memory_format=torch.channels_last)
        for layer in self.layers:
            if isinstance(layer, nn.Conv2d):
                weight, bias = next(rest).flatten(0, 1), next(rest).flatten()
                stride, padding = cast(list, layer.stride), cast(list, layer.padding)
                h = torch.conv2d(h, weight, bias, stride, padding, groups=replicas)
            elif isinstance(layer, nn.Linear):
                weight, bias = next(rest), next(rest)[:, None]
                h = torch.baddbmm(bias, h, weight.mT)
            elif isinstance(layer, nn.Flatten):
                h = h.unflatten(1, (replicas, -1)).transpose(0, 1).flatten(2)
            else:
                h = layer(h)
        return h

    def step(self, x: Tensor, y: Tensor, measured: bool = False) -> tuple[Tensor, Tensor | None]:
        """Update on mini-batches x (R, batch, channels, height, width), y (R, batch).

        Returns the losses before the update and, if they are to be measured, the norms of the
        gradients, (R,) each.
        """
        leaves = [parameter.detach().requires_grad_() for parameter in self.optimizer.parameters]
        log_p = self.forward(x, leaves).log_softmax(dim=-1)
        losses = -log_p.gather(-1, y[..., None]).mean(dim=(1, 2))
        gradients = torch.autograd.grad(losses.sum(), leaves)
        for i, gradient in enumerate(gradients):
            self.optimizer.update(i, gradient)
        if not measured:
            return losses.detach(), None
        squares = torch.stack([square_norm(gradient) for gradient in gradients])
        return losses.detach(), squares.sum(dim=0).sqrt()

    @torch.no_grad()
    def logits(self, x: Tensor) -> Tensor:
        """Return the logits (R, n, classes) of images x (R, n, channels, height, width)."""
        return self.forward(x, self.optimizer.parameters)
