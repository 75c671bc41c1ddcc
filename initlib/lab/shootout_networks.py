"""The networks of the shootout, and the images that they see."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import product
from typing import NamedTuple, get_args

from torch.nn.functional import adaptive_avg_pool2d

from initlib.checks import did_you_mean
from initlib.lab.data import Dataset
from initlib.lab.stack import Activation

__all__ = ["Network", "budgets", "networks", "shrink"]

KINDS = ("mlp", "cnn")


class Network(NamedTuple):
    """A network: its kind ("mlp" or "cnn"), its activation, its hidden layers or convolutions."""

    kind: str
    activation: Activation
    depth: int

    def __str__(self) -> str:
        return f"{self.kind.upper()}, {self.activation}, {self.depth}"


def networks(
    kinds: Sequence[str], activations: Sequence[str], depths: Sequence[int]
) -> list[Network]:
    """Return every combination.

    Raises
    ------
    ValueError
        For a kind, activation or depth that can't be trained.

    Examples
    --------
    >>> [str(network) for network in networks(["mlp"], ["relu", "tanh"], [3])]
    ['MLP, relu, 3', 'MLP, tanh, 3']
    """
    for kind in kinds:
        if kind not in KINDS:
            near = did_you_mean(kind, KINDS)
            raise ValueError(f"no kind of network {kind!r}{near}; use {' or '.join(KINDS)}")
    for phi in activations:
        if phi not in get_args(Activation):
            known = ", ".join(get_args(Activation))
            near = did_you_mean(phi, get_args(Activation))
            raise ValueError(f"activation {phi!r} can't be trained here{near}; use one of {known}")
    for depth in depths:
        if depth < 1:
            raise ValueError(f"a network has at least 1 hidden layer, got depth {depth}")
    found = [Network(*which) for which in product(kinds, activations, depths)]
    if not found or len(set(found)) < len(found):
        raise ValueError(f"each network takes part once, and there must be one; got {found}")
    return found


def budgets(
    fields: Sequence[Network], depths: Sequence[int], steps: Mapping[str, Sequence[int]]
) -> list[int]:
    """Return the budget of each network.

    Parameters
    ----------
    fields
        From `networks`.
    depths
        Those of the networks.
    steps
        For each kind of network a budget for each of the depths.

    Examples
    --------
    >>> budgets(networks(["mlp"], ["relu", "tanh"], [3, 9]), [3, 9], {"mlp": [40, 80]})
    [40, 80, 40, 80]
    """
    for kind, numbers in steps.items():
        if len(numbers) != len(depths):
            raise ValueError(
                f"{kind} networks of depths {list(depths)} need as many budgets of steps, "
                f"got {list(numbers)}"
            )
    at = {depth: i for i, depth in enumerate(depths)}
    return [steps[network.kind][at[network.depth]] for network in fields]


def shrink(data: Dataset, side: int, tested: int) -> Dataset:
    """Average images down to squares of side x side pixels, and standardize them again.

    Parameters
    ----------
    data
        Images of rows and columns are (n, rows, columns) or (n, channels, rows, columns), of any
        size. Vectors, (n, inputs), stay as they are.
    side
        Pixels.
    tested
        Test images that are kept: the first ones.

    Examples
    --------
    >>> from initlib.lab.data import load
    >>> small = shrink(load("mnist"), 12, 500)
    >>> small.x_train.shape, f"{small.x_train.square().mean():.3f}", len(small.x_test)
    (torch.Size([8000, 12, 12]), '1.000', 500)
    """
    if side < 1 or tested < 1:
        raise ValueError(f"side and tested must be at least 1, got {side} and {tested}")
    parts = data.x_train, data.x_test[:tested]
    if data.x_train.ndim in (3, 4):
        parts = tuple(adaptive_avg_pool2d(images, side) for images in parts)
    shift, scale = parts[0].mean(), parts[0].std(correction=0)
    x_train, x_test = ((images - shift) / scale for images in parts)
    return replace(data, x_train=x_train, x_test=x_test, y_test=data.y_test[:tested])
