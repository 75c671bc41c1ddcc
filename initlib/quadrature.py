"""Gaussian expectations by adaptive quadrature, to a stated accuracy and with an error estimate."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.polynomial import legendre
from numpy.typing import ArrayLike

_N = 24


def _lobatto(n: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Make the n-point Gauss-Lobatto rule: nodes, weights, and two maps of samples at the nodes.

    One gives the coefficients of the Legendre series, the other the derivative at the nodes.
    """
    last = np.eye(n)[-1]
    nodes = np.hstack([-1, legendre.legroots(legendre.legder(last)), 1])
    at_nodes = legendre.legval(nodes, last)
    weights = 2 / (n * (n - 1) * at_nodes**2)
    norms = np.append(np.arange(n - 1) + 0.5, (n - 1) / 2)
    series = legendre.legvander(nodes, n - 1) * weights[:, None] * norms
    gaps = nodes - nodes[:, None] + np.eye(n)
    derivative = at_nodes / (at_nodes[:, None] * gaps)
    np.fill_diagonal(derivative, 0)
    np.fill_diagonal(derivative, -derivative.sum(axis=0))  # constants have derivative zero
    return nodes, weights, series, derivative


# The end points are among the nodes: a jump beyond the outermost node would go unseen.
_NODES, _WEIGHTS, _SERIES, _DERIVATIVE = _lobatto(_N)
_TAIL = _SERIES[:, -4:]

# |z| > 12 has probability 4e-33. The shift keeps zero, and every bisection point, off round
# numbers: a jump that fell exactly on a panel's end would go unseen, too.
_EDGES = np.linspace(-12, 12, 9) + 0.1 / np.pi
# A wide Gaussian could step over what a function does at x around one.
_UNIT_SCALE = np.array([-900, -30, -1, 1, 30, 900]) + 0.1 / np.pi
_WIDE = 10
_LEVELS = 48  # bisections of a panel 3 wide, down to 1e-14
_MOST_PANELS = 4096  # at one level, for each Gaussian
_AT_ONCE = 512  # Gaussians integrated together; bounds the memory to some 20 MB
_EPS, _TINY = np.finfo(float).eps, np.finfo(float).tiny
_NARROWEST = 64 * _EPS  # relative to x: the nodes need room to be distinct
ROUNDING = 1e-15


class Expectation(NamedTuple):
    """Expected values, and their estimated errors relative to `E|f|`."""

    value: np.ndarray
    error: np.ndarray


def expectation(
    f: Callable[[np.ndarray, np.ndarray], np.ndarray],
    q: ArrayLike = 1.0,
    mean: ArrayLike = 0.0,
    breaks: ArrayLike = (),
    tolerance: float = 1e-10,
) -> Expectation:
    r"""Integrate functions against Gaussians.

    .. math:: E f(x, z), \qquad x = \mu + \sqrt{q}\, z, \quad z \sim N(0, 1)

    The line is cut into panels at `breaks`, each integrated by a 24-point Gauss-Lobatto rule.
    Panels whose Legendre series has not decayed are bisected until the last terms add up to less
    than `tolerance`, so that kinks and jumps that were not announced are found. Nothing is raised
    when they never do: the error says so.

    Parameters
    ----------
    f : callable
        Takes `x` and `z`, each of shape (panels, 24), and returns k integrands as an array of
        shape (k, panels, 24).
    q, mean : float or array
        Variances (positive) and means of `x`, broadcast to one shape S.
    breaks : sequence of float
        Values of `x` where `f` is not smooth.
    tolerance : float
        The accuracy to stop at, relative to `E|f|`.

    Returns
    -------
    Expectation
        `value` and `error`, each of shape (k, *S).

    Raises
    ------
    ValueError
        If `q` is not positive and finite, or `f` is not finite somewhere on the line.

    Examples
    --------
    >>> expectation(lambda x, z: np.stack([np.maximum(x, 0) ** 2]), q=[1.0, 4.0], breaks=[0]).value
    array([[0.5, 2. ]])
    """
    q, mean = np.broadcast_arrays(np.asarray(q, float), np.asarray(mean, float))
    if q.size == 0 or not np.all((q > 0) & np.isfinite(q) & np.isfinite(mean)):
        raise ValueError(f"q must be positive and q and mean finite, got q={q}, mean={mean}")
    std, centre, breaks = np.sqrt(q).ravel(), mean.ravel(), np.asarray(breaks, float)
    pieces = [
        _integrate(f, std[i : i + _AT_ONCE], centre[i : i + _AT_ONCE], breaks, tolerance)
        for i in range(0, len(std), _AT_ONCE)
    ]
    value, error = (np.concatenate(p, axis=-1) for p in zip(*pieces, strict=True))
    return Expectation(value.reshape(-1, *q.shape), error.reshape(-1, *q.shape))


def differentiate(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Differentiate a function sampled at the nodes of panels, by its Legendre series.

    As accurate as the quadrature wherever the series has converged; `x` and `y` have shape
    (panels, 24), as inside :func:`expectation`.
    """
    # The derivative of a constant is zero; without it the rounding errors of large values are gone.
    return ((y - y[:, :1]) @ _DERIVATIVE) * (2 / (x[:, -1:] - x[:, :1]))


def _integrate(f, std, mean, breaks, tolerance):
    """Integrate over every Gaussian of 1-d `std` and `mean`, level by level of bisection."""
    n = len(std)
    left, right, owner = _first_panels(std, mean, breaks)
    for level in range(_LEVELS + 1):
        half = (right - left) / 2
        z = left[:, None] + half[:, None] * (1 + _NODES)
        x = mean[owner, None] + std[owner, None] * z
        # At a break, each panel must see the function of its own side.
        inward = 4 * _EPS * (np.abs(x[:, [0, -1]]) + np.abs(mean[owner, None])) + _TINY
        x[:, [0, -1]] += inward * [1, -1]
        y = _finite(f, x, z) * (np.exp(-z * z / 2) / np.sqrt(2 * np.pi))
        tail = np.abs(y @ _TAIL).max(axis=-1) * 2 * half
        if level == 0:
            # What lies beyond the outermost panels is about as large as f at their ends.
            first, last = (left == _EDGES[0]), (right == _EDGES[-1])
            beyond = np.abs(y[..., 0]) * first + np.abs(y[..., -1]) * last
            total = _by_owner(np.stack([0 * beyond, 0 * beyond, beyond]), owner, n)
        parts = np.stack([y @ _WEIGHTS * half, np.abs(y) @ _WEIGHTS * half, tail])
        _, scale, error = total + _by_owner(parts, owner, n)
        todo = np.any(tail > tolerance / 100 * scale[:, owner], axis=0)
        todo &= np.any(error > tolerance * scale, axis=0)[owner]
        todo &= x[:, -1] - x[:, 0] > _NARROWEST * np.abs(x).max(axis=1)
        if level == _LEVELS or np.count_nonzero(todo) > _MOST_PANELS * n:
            todo[:] = False
        total = total + _by_owner(parts[..., ~todo], owner[~todo], n)
        if not todo.any():
            break
        left, right, owner = left[todo], right[todo], owner[todo]
        middle = (left + right) / 2
        left, right = np.concatenate([left, middle]), np.concatenate([middle, right])
        owner = np.tile(owner, 2)
    value, scale, error = total
    return value, np.maximum(error / np.where(scale > 0, scale, 1), ROUNDING)


def _first_panels(std, mean, breaks):
    """Cut the z axis of each Gaussian at `breaks`; return the panels' ends and whose they are."""
    n = len(std)
    unit = np.where(std[:, None] > _WIDE, _UNIT_SCALE, np.inf)
    at = (np.hstack([np.tile(breaks, (n, 1)), unit]) - mean[:, None]) / std[:, None]
    at = np.clip(at, _EDGES[0], _EDGES[-1])
    edges = np.sort(np.hstack([np.tile(_EDGES, (n, 1)), at]), axis=1)
    left, right = edges[:, :-1].ravel(), edges[:, 1:].ravel()
    owner = np.repeat(np.arange(n), edges.shape[1] - 1)
    some = right > left
    return left[some], right[some], owner[some]


def _by_owner(parts, owner, n):
    """Add up the parts of the panels of each Gaussian."""
    total = np.zeros((*parts.shape[:-1], n))
    np.add.at(total, (..., owner), parts)
    return total


def _finite(f, x, z):
    with np.errstate(all="ignore"):
        y = f(x, z)
    finite = np.isfinite(y).sum(axis=0)
    if finite.min() < len(y):
        where = x[finite == finite.min()]
        raise ValueError(
            f"the integrand is not finite at x = {where[np.argmin(np.abs(where))]:.4g}; a Gaussian "
            "covers the whole line, so the function must be defined (and not overflow) there"
        )
    return y
