"""Gaussian expectations by adaptive quadrature, to a stated accuracy and with an error estimate."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.polynomial import legendre
from numpy.typing import ArrayLike

NODES, WEIGHTS = legendre.leggauss(24)
_ORDER = len(NODES)

# Samples at NODES @ _TO_SERIES = coefficients of their Legendre series, exact up to degree 23.
_TO_SERIES = (
    legendre.legvander(NODES, _ORDER - 1) * WEIGHTS[:, None] * (np.arange(_ORDER) + 0.5)
)  # fmt: skip
_TAIL = _TO_SERIES[:, -4:]
_DERIVATIVE = legendre.legval(NODES, legendre.legder(_TO_SERIES.T))

# |z| > 12 has probability 4e-33. The shift keeps zero, and every bisection point, off round
# numbers: a jump that fell exactly on a panel edge would go unseen.
_EDGES = np.linspace(-12, 12, 9) + 0.1 / np.pi
_LEVELS = 48  # bisections of a panel 3 wide, down to 1e-14
_MOST_PANELS = 4096  # at one level, for each Gaussian
_AT_ONCE = 512  # Gaussians integrated together; bounds the memory to some 20 MB
_NARROWEST = 64 * np.finfo(float).eps  # relative to x: 24 nodes need room to be distinct
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

    The line is cut into panels at `breaks`, each integrated by a 24-point Gauss-Legendre rule.
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
    if not np.all((q > 0) & np.isfinite(q) & np.isfinite(mean)):
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
    stretch = (NODES[-1] - NODES[0]) / (x[:, -1:] - x[:, :1])
    # The derivative of a constant is zero; without it the rounding errors of large values are gone.
    return ((y - y[:, :1]) @ _DERIVATIVE) * stretch


def _integrate(f, std, mean, breaks, tolerance):
    """Integrate over every Gaussian of 1-d `std` and `mean`, level by level of bisection."""
    n = len(std)
    at = np.clip((breaks - mean[:, None]) / std[:, None], _EDGES[0], _EDGES[-1])
    edges = np.sort(np.hstack([np.tile(_EDGES, (n, 1)), at]), axis=1)
    left, right = edges[:, :-1].ravel(), edges[:, 1:].ravel()
    owner = np.repeat(np.arange(n), edges.shape[1] - 1)
    todo = right > left
    total = None
    for level in range(_LEVELS + 1):
        left, right, owner = left[todo], right[todo], owner[todo]
        half = (right - left) / 2
        z = left[:, None] + half[:, None] * (1 + NODES)
        x = mean[owner, None] + std[owner, None] * z
        y = _finite(f, x, z) * (np.exp(-z * z / 2) / np.sqrt(2 * np.pi))
        tail = np.abs(y @ _TAIL).max(axis=-1) * 2 * half
        parts = np.stack([y @ WEIGHTS * half, np.abs(y) @ WEIGHTS * half, tail])
        if total is None:
            total = np.zeros((*parts.shape[:2], n))
            # What lies beyond the first and the last panel is about as large as f at their ends.
            ends = (left == _EDGES[0]) * np.abs(y[..., 0]) + (right == _EDGES[-1]) * np.abs(
                y[..., -1]
            )
            np.add.at(total[2], (slice(None), owner), ends)
        _, scale, error = _plus(total, owner, parts)
        todo = np.any(tail > tolerance / 100 * scale[:, owner], axis=0)
        todo &= np.any(error > tolerance * scale, axis=0)[owner]
        todo &= x[:, -1] - x[:, 0] > _NARROWEST * np.abs(x).max(axis=1)
        if level == _LEVELS or np.count_nonzero(todo) > _MOST_PANELS * n:
            todo[:] = False
        total = _plus(total, owner[~todo], parts[..., ~todo])
        if not todo.any():
            break
        middle = (left + right) / 2
        left, right = np.concatenate([left, middle]), np.concatenate([middle, right])
        owner, todo = np.tile(owner, 2), np.tile(todo, 2)
    value, scale, error = total
    return value, np.maximum(error / np.where(scale > 0, scale, 1), ROUNDING)


def _plus(total, owner, parts):
    """Add the parts of panels to the totals of the Gaussians that own them."""
    total = total.copy()
    np.add.at(total, (..., owner), parts)
    return total


def _finite(f, x, z):
    with np.errstate(all="ignore"):
        y = f(x, z)
    finite = np.isfinite(y).all(axis=0)
    if not finite.all():
        where = x[~finite]
        raise ValueError(
            f"the integrand is not finite at x = {where[np.argmin(np.abs(where))]:.4g}; a Gaussian "
            "covers the whole line, so the function must be defined (and not overflow) there"
        )
    return y
