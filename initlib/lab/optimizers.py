"""SGD and Adam for stacked networks: each replica has a learning rate of its own.

A parameter of R networks is one tensor (R, ...).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

import torch
from torch import Tensor

BETAS, EPSILON = (0.9, 0.999), 1e-8  # Kingma and Ba 2015, algorithm 1


class Optimizer(ABC):
    """Parameters of R networks, and how a gradient moves them.

    Parameters
    ----------
    parameters : sequence of Tensor, shapes (R, ...)
        They are moved in place.
    lr : sequence of float, length R
        Learning rates.
    """

    def __init__(self, parameters: Sequence[Tensor], lr: Sequence[float]):
        self.parameters = list(parameters)
        self.lr = torch.tensor(lr)
        self.states: list[list[Tensor]] = []

    @abstractmethod
    def update(self, number: int, gradient: Tensor) -> None:
        """Move a parameter, given its gradient (R, ...)."""

    def update_by_product(self, number: int, left: Tensor, right: Tensor) -> None:
        """Move a parameter (R, n_out, n_in) whose gradient is ``left @ right``."""
        self.update(number, left @ right)

    def keep(self, which: Tensor) -> None:
        """Go on with some of the replicas: a mask, (R,)."""
        self.parameters = [parameter[which] for parameter in self.parameters]
        self.states = [[part[which] for part in state] for state in self.states]
        self.lr = self.lr[which]

    def _rates(self, number: int) -> Tensor:
        return self.lr.view(-1, *[1] * (self.parameters[number].ndim - 1))


class Sgd(Optimizer):
    """Stochastic gradient descent, as ``torch.optim.SGD``.

    Parameters
    ----------
    parameters, lr
        As in `Optimizer`.
    momentum, weight_decay : float
        The velocity is v <- momentum v + gradient + weight_decay parameter.
    """

    def __init__(
        self,
        parameters: Sequence[Tensor],
        lr: Sequence[float],
        momentum: float = 0.9,
        weight_decay: float = 0.0,
    ):
        super().__init__(parameters, lr)
        self.momentum, self.weight_decay = momentum, weight_decay
        self.states = [[torch.zeros_like(parameter)] for parameter in self.parameters]

    def update(self, number: int, gradient: Tensor) -> None:
        """Move a parameter."""
        self.states[number][0].mul_(self.momentum).add_(gradient)
        self._move(number)

    def update_by_product(self, number: int, left: Tensor, right: Tensor) -> None:
        """Move a parameter; the product goes straight into the velocity, which is faster."""
        self.states[number][0].baddbmm_(left, right, beta=self.momentum)
        self._move(number)

    def _move(self, number: int) -> None:
        parameter, (velocity,) = self.parameters[number], self.states[number]
        if self.weight_decay:
            velocity.add_(parameter, alpha=self.weight_decay)
        parameter.addcmul_(velocity, self._rates(number), value=-1)


class Adam(Optimizer):
    """Adam of Kingma and Ba 2015, as ``torch.optim.Adam`` with its default betas and epsilon.

    Parameters
    ----------
    parameters, lr
        As in `Optimizer`.
    """

    def __init__(self, parameters: Sequence[Tensor], lr: Sequence[float]):
        super().__init__(parameters, lr)
        self.states = [[torch.zeros_like(p), torch.zeros_like(p)] for p in self.parameters]
        self._updates = [0] * len(self.parameters)

    def update(self, number: int, gradient: Tensor) -> None:
        """Move a parameter."""
        self._updates[number] += 1
        first, second = self.states[number]
        first.lerp_(gradient, 1 - BETAS[0])
        second.mul_(BETAS[1]).addcmul_(gradient, gradient, value=1 - BETAS[1])
        bias_1, bias_2 = (1 - beta ** self._updates[number] for beta in BETAS)
        step = second.sqrt().div_(bias_2**0.5).add_(EPSILON).reciprocal_().mul_(first)
        self.parameters[number].addcmul_(step, self._rates(number), value=-1 / bias_1)
