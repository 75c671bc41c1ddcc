"""The schemes of the shootout, and what mean-field theory says of each before any training."""

import math
from collections.abc import Callable, Sequence
from functools import cache, partial
from typing import NamedTuple

import numpy as np
from torch import Tensor

from initlib import constant_, gain, identity_, lecun_normal_, normal_, sparse_
from initlib.checks import did_you_mean
from initlib.lab.lsuv_theory import lsuv_numbers
from initlib.lab.lsuv_training import Lsuv
from initlib.meanfield import MeanField
from initlib.orthogonal import orthogonal_
from initlib.sampling import Key
from initlib.schemes import VARIANCE_SCALING
from initlib.variance import Law

__all__ = [
    "CONTROLS",
    "SCHEMES",
    "Entry",
    "Wiring",
    "check_schemes",
    "chi_1",
    "choice",
    "leave_out",
    "lengths",
    "padding",
    "twins",
]

NONZEROS = 15  # incoming weights of a sparse unit, Martens 2010

Start = str | Law | Callable | Lsuv


class Wiring(NamedTuple):
    """What theory must know of the hidden layers of a network.

    Attributes
    ----------
    fan_in
        Inputs of a unit.
    kept
        What zero padding leaves of a sum of squares over these inputs, see `padding`; 1 without.
    """

    fan_in: int
    kept: float = 1.0


def padding(side: int) -> float:
    """Return what zero padding leaves of mean squares under 3 x 3 convolutions, layer by layer.

    A layer replaces the mean square at a position by the average over its 3 x 3 neighbours, with
    zeros outside. In each direction that is the matrix of side x side with 1/3 on three diagonals,
    whose largest eigenvalue (1 + 2 cos(pi / (side + 1))) / 3 decides in the long run.

    Examples
    --------
    >>> [round(padding(side), 3) for side in (1, 4, 7, 28)]
    [0.111, 0.762, 0.901, 0.992]
    """
    return ((1 + 2 * math.cos(math.pi / (side + 1))) / 3) ** 2


class Entry(NamedTuple):
    """A scheme that takes part.

    Attributes
    ----------
    label
        What it is called in figures and tables.
    start
        For an activation, what `initlib.lab.train.train` takes as the scheme of an arm.
    variance
        For an activation and a fan-in, fan-in times the variance of a hidden weight; None where
        hidden weights aren't independent draws of mean zero, up to orthogonality.
    """

    label: str
    start: Callable[[str], Start]
    variance: Callable[[str, int], float] | None = None


def sparse_units_(tensor: Tensor, generator: Key) -> None:
    """Give each unit, of a linear layer or a convolution, 15 incoming weights from N(0, 1)."""
    rows = tensor.flatten(1)
    sparse_(rows, nonzeros=min(NONZEROS, rows.shape[1]), generator=generator)


def identity_inside_(tensor: Tensor, generator: Key) -> None:
    """Fill square matrices with the identity, and the first and the last layer by LeCun's law."""
    if tensor.ndim == 2 and tensor.shape[0] == tensor.shape[1]:
        identity_(tensor)
    else:
        lecun_normal_(tensor, generator=generator)


def _named(label: str, name: str) -> Entry:
    scale = VARIANCE_SCALING[name].scale  # where layers have one width, all fans are one
    return Entry(label, lambda phi: name, lambda phi, n: scale)


def _exact(phi: str) -> Law:
    return Law(gain(phi) ** 2, "fan_in", "normal")


SCHEMES = {
    "zeros": Entry("zero", lambda phi: "zeros"),
    "constant": Entry("constant 0.01", lambda phi: partial(constant_, val=0.01)),
    "small": Entry("N(0, 0.01²)", lambda phi: partial(normal_, std=0.01), lambda phi, n: 1e-4 * n),
    "unit": Entry("N(0, 1)", lambda phi: partial(normal_, std=1.0), lambda phi, n: n),
    "torch": _named("torch's default", "standard_uniform"),
    "lecun": _named("LeCun", "lecun_normal"),
    "xavier": _named("Xavier", "xavier_normal"),
    "he": _named("He", "he_normal"),
    "exact": Entry("exact gain", _exact, lambda phi, n: _exact(phi).scale),
    "orthogonal": Entry("orthogonal", lambda phi: "orthogonal", lambda phi, n: 1.0),
    "orthogonal-gain": Entry(
        "orthogonal, gain",
        lambda phi: partial(orthogonal_, gain=gain(phi)),
        lambda phi, n: _exact(phi).scale,
    ),
    "lsuv": Entry("LSUV", lambda phi: Lsuv()),
    "lsuv-centred": Entry("LSUV, centred", lambda phi: Lsuv(centred=True)),
    "sparse": Entry("sparse", lambda phi: sparse_units_, lambda phi, n: NONZEROS),
    "identity": Entry("identity", lambda phi: identity_inside_),
}
CONTROLS = ("zeros", "constant")  # all units of a layer alike: nothing can come of them
LINEAR_ONLY = ("identity",)


def check_schemes(names: Sequence[str], kind: str = "mlp") -> list[str]:
    """Return those of the schemes that a kind of network can start from.

    Raises
    ------
    ValueError
        For a name that isn't in `SCHEMES`, given twice, or if fewer than two are left.

    Examples
    --------
    >>> check_schemes(["he", "lsuv", "identity"], "cnn")
    ['he', 'lsuv']
    """
    _known(names)
    if len(set(names)) < len(names):
        raise ValueError(f"each scheme takes part once, got {', '.join(names)}")
    left = [name for name in names if kind == "mlp" or name not in LINEAR_ONLY]
    if len(left) < 2:
        raise ValueError(f"a contest of {kind} networks needs two schemes, got {', '.join(names)}")
    return left


def leave_out(names: Sequence[str]) -> list[str]:
    """Return all schemes but these; a ValueError for a name that isn't one."""
    _known(names)
    return [name for name in SCHEMES if name not in names]


def _known(names: Sequence[str]) -> None:
    for name in names:
        if name not in SCHEMES:
            known = ", ".join(SCHEMES)
            raise ValueError(f"no scheme {name!r}{did_you_mean(name, SCHEMES)}; known are {known}")


def twins(activation: str, names: Sequence[str]) -> dict[str, str]:
    """Name the schemes that are another one under this activation, number for number.

    Examples
    --------
    >>> twins("relu", ["he", "exact"]), twins("tanh", ["he", "exact"])
    ({'exact': 'he'}, {})
    """
    square = gain(activation) ** 2
    same = {}
    if np.isclose(square, 2):
        same["exact"] = "he"
    if np.isclose(square, 1):
        same |= {"exact": "lecun", "orthogonal-gain": "orthogonal"}
    return {name: twin for name, twin in same.items() if {name, twin} <= set(names)}


@cache
def chi_1(name: str, activation: str, wiring: Wiring) -> float:
    """Return what a hidden layer multiplies a squared gradient by, under a scheme.

    With independent weights that is chi_1 of `MeanField` at biases of zero, with orthogonal ones
    too, at the variance that padding leaves; under LSUV, which makes up for padding, it is the
    counterpart where the layer before has unit variance. It is nan for the identity and the
    controls, of which mean-field theory says nothing.

    Examples
    --------
    >>> [round(chi_1(name, "relu", Wiring(64)), 4) for name in ("he", "lecun", "lsuv", "unit")]
    [1.0, 0.5, 1.0, 32.0]
    """
    entry = SCHEMES[name]
    if entry.variance is not None:
        sigma_w = (wiring.kept * entry.variance(activation, wiring.fan_in)) ** 0.5
        return float(MeanField(activation, sigma_w, 0.0).chi_1)
    if name.startswith("lsuv"):
        numbers = lsuv_numbers(activation)
        return numbers.chi if name == "lsuv" else numbers.chi_centred
    return np.nan


def lengths(name: str, activation: str, wiring: Wiring, depth: int) -> float:
    """Return the depth of a network in units of xi = 1 / |ln chi_1|, nan without a chi_1.

    Examples
    --------
    >>> round(lengths("lecun", "relu", Wiring(64), 10), 2)
    6.93
    """
    return depth * abs(float(np.log(chi_1(name, activation, wiring))))


def choice(activation: str, wiring: Wiring, names: Sequence[str]) -> str:
    """Return the scheme that theory would choose: chi_1 nearest to one, the first of equals.

    Examples
    --------
    >>> [choice(phi, Wiring(64), list(SCHEMES)) for phi in ("relu", "tanh", "sigmoid")]
    ['he', 'lecun', 'lsuv-centred']
    """
    off = {name: lengths(name, activation, wiring, 1) for name in SCHEMES if name in names}
    known = {name: round(value, 6) for name, value in off.items() if np.isfinite(value)}
    if not known:
        raise ValueError(f"theory knows none of the schemes {', '.join(names)}")
    return min(known, key=known.__getitem__)
