"""Signals, correlations and gradients in random networks of finite width, beside theory.

The network is ``z_l = W_l phi(z_(l-1)) + b_l``, l = 1 .. L, of one width n. Its weights are
Gaussian of variance sigma_w^2 / n, its biases of variance sigma_b^2. It starts from two
pre-activations z_0 and z'_0, Gaussian of variance q and correlation c in each unit, which is what a
first layer makes of two inputs.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from initlib.activations import activation as named
from initlib.lab.estimates import Estimate, estimate
from initlib.meanfield import MeanField
from initlib.moments import moments
from initlib.sampling import Key, fill_normal_, stream_key

__all__ = [
    "Course",
    "at_two_widths",
    "extrapolate",
    "follow",
    "growth",
    "in_theory",
    "scatter",
]

_AT_ONCE = 2**24  # weights of a layer, in all networks that run together


class Course(NamedTuple):
    """What becomes of signals and gradients, layer by layer.

    Attributes
    ----------
    second
        Mean of z_l^2 over units, shape (networks, L + 1) if measured, (L + 1,) in theory.
    product
        Mean of z_l z'_l over units.
    correlation
        That relative to the root mean squares of z_l and z'_l.
    error
        Squared norm of the gradient at z_l, relative to that at z_L.
    """

    second: np.ndarray
    product: np.ndarray
    correlation: np.ndarray
    error: np.ndarray


def follow(
    activation: str,
    sigma_w: float,
    sigma_b: float,
    *,
    width: int,
    depth: int,
    networks: int,
    q: float = 1.0,
    c: float = 0.5,
    key: Key | int = 0,
) -> Course:
    """Run random networks forward, and a random gradient backward.

    Parameters
    ----------
    activation
        A function of `torch`, `torch.special` or `torch.nn.functional`.
    sigma_w, sigma_b
        Scales of weights and biases.
    width, depth, networks
        n, L and how many independent networks.
    q, c
        Variance and correlation of the first pre-activations.
    key
        Seed; each layer of each group of networks has a stream of its own.

    Examples
    --------
    >>> course = follow("relu", 2**0.5, 0.0, width=50, depth=3, networks=400)
    >>> course.second.shape, course.second.mean(axis=0).round(1)
    ((400, 4), array([1., 1., 1., 1.]))
    """
    phi, key = _function(activation), stream_key(key, activation, repr(sigma_w), width)
    group = max(1, _AT_ONCE // width**2 // max(1, depth // 4))
    parts = [
        _one_group(
            phi, sigma_w, sigma_b, (min(group, networks - at), width, depth), (q, c),
            stream_key(key, at),
        )
        for at in range(0, networks, group)
    ]  # fmt: skip
    return Course(*map(np.concatenate, zip(*parts, strict=True)))


def _one_group(phi, sigma_w, sigma_b, size, start, key):
    group, width, depth = size
    q, c = start

    def normal(std, shape, *what):
        return fill_normal_(torch.empty(group, *shape), stream_key(key, *what), 0, std)

    z = normal(q**0.5, (width, 2), "start")
    z[..., 1] = c * z[..., 0] + (1 - c * c) ** 0.5 * z[..., 1]
    signals = [z.requires_grad_()]
    for layer in range(depth):
        weights = normal(sigma_w / width**0.5, (width, width), "weights", layer)
        z = weights @ phi(z)
        if sigma_b > 0:
            z = z + normal(sigma_b, (width, 1), "biases", layer)
        signals.append(z)
    error = normal(1.0, (width,), "error")
    errors = torch.autograd.grad(signals[-1][..., 0], signals, error)
    square = torch.stack([own[..., 0].double().square().sum(dim=1) for own in errors], dim=1)
    both = torch.stack([z.detach().double() for z in signals], dim=1)
    seconds, product = both.square().mean(dim=2), both.prod(dim=3).mean(dim=2)
    correlation = product / seconds.prod(dim=2).sqrt()
    parts = seconds[..., 0], product, correlation, square / square[:, -1:]
    return tuple(part.numpy() for part in parts)


def _function(activation: str) -> Callable[[Tensor], Tensor]:
    for home in (torch, torch.special, nn.functional):
        if hasattr(home, activation):
            return getattr(home, activation)
    raise ValueError(f"torch has no function {activation!r}")


def in_theory(net: MeanField, depth: int, q: float = 1.0, c: float = 0.5) -> Course:
    """Iterate the exact maps: the course in networks of infinite width.

    Examples
    --------
    >>> in_theory(MeanField("relu", 2**0.5), depth=2, c=0.0).product.round(4)
    array([0.    , 0.3183, 0.4937])
    """
    variances, correlations, chi = [q], [c], []
    for _ in range(depth):
        chi.append(net.chi(variances[-1]))
        correlations.append(net.c_map(correlations[-1], variances[-1]))
        variances.append(net.q_map(variances[-1]))
    error = np.append(np.cumprod(chi[::-1])[::-1], 1.0)
    second, correlation = np.array(variances), np.array(correlations)
    return Course(second, second * correlation, correlation, error)


def at_two_widths(activation: str, net: MeanField, width: int, **options) -> tuple[Course, Course]:
    """Run networks of n and of 2n units with the scales of `net`; options are those of `follow`."""
    scales = float(net.sigma_w), float(net.sigma_b)
    narrow, broad = (follow(activation, *scales, width=n, **options) for n in (width, 2 * width))
    return narrow, broad


def growth(course: Course) -> np.ndarray:
    """Return the growth of the logarithm of squared gradients by a layer, going back."""
    return np.log(course.error[..., 0]) / (course.error.shape[-1] - 1)


def extrapolate(narrow: np.ndarray, wide: np.ndarray) -> Estimate:
    """Estimate a mean at infinite width from samples at widths n and 2n.

    What is of first order in 1/n cancels in twice the second less the first.

    Parameters
    ----------
    narrow, wide
        Independent replicates along the first axis, at n and at 2n.

    Examples
    --------
    >>> extrapolate(np.array([1.19, 1.21]), np.array([1.09, 1.11])).value.round(6)
    np.float64(1.0)
    """
    first, second = estimate(narrow), estimate(wide)
    value = 2 * second.value - first.value
    se = np.sqrt(4 * second.se**2 + first.se**2)
    reach = (second.high - second.value) / second.se  # Student's t of the larger part
    return Estimate(value, se, min(first.n, second.n), value - reach * se, value + reach * se)


def scatter(net: MeanField) -> float:
    r"""Predict how mean squares scatter between networks: n Var(mean z^2), deep in the network.

    Given the layer below, the n units are independent N(0, s). In the next layer
    ``s' = sigma_w^2 mean phi(sqrt(s) u)^2 + sigma_b^2``, u ~ N(0, 1), is s mapped by f, and noise
    of variance v / n, v = sigma_w^4 Var phi^2. Around the fixed point of f that settles at
    Var s = v / (n (1 - f'^2)), to which the mean square of n units adds 2 q^2 / n.

    Parameters
    ----------
    net
        With a stable, positive `q_star`.

    Examples
    --------
    >>> round(scatter(MeanField("linear", 0.0, 1.0)), 6)
    2.0
    """
    phi = named(net.activation.name)
    squares = moments(lambda x: phi(x) ** 2, net.q_star)
    noise = net.sigma_w**4 * squares.variance
    return float(noise / (1 - net.chi_q**2) + 2 * net.q_star**2)
