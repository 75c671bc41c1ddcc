"""Singular values of large Gaussian matrices, and of their products: laws in the limit."""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from initlib.checks import check_count, check_number

_LOWEST = 1e-100


class SpectralLaw(NamedTuple):
    """A law of singular values as a curve.

    Attributes
    ----------
    s : ndarray, shape (points,)
        Ascending singular values.
    density : ndarray, shape (points,)
        Of s.
    probability : ndarray, shape (points,)
        Of smaller singular values, including any that are zero.
    """

    s: np.ndarray
    density: np.ndarray
    probability: np.ndarray


def marchenko_pastur(x: ArrayLike, ratio: float = 1.0) -> np.ndarray:
    r"""Return the density of the eigenvalues of :math:`W W^T` for one large Gaussian matrix.

    .. math::
        \frac{\sqrt{(b - x)(x - a)}}{2 \pi r x}, \qquad a, b = (1 \mp \sqrt r)^2

    Parameters
    ----------
    x : float or array
        Eigenvalues, that is squared singular values.
    ratio : float
        r > 0, the number of rows over that of columns; the weights have variance one over the
        number of columns. Above one, all but 1 / r of the eigenvalues are zero, and not in the
        density.

    Returns
    -------
    ndarray
        Of the shape of `x`; zero outside of [a, b].

    Raises
    ------
    ValueError
        If `ratio` is not positive and finite.

    Examples
    --------
    >>> marchenko_pastur([0.5, 1.0, 5.0]).round(4)
    array([0.4211, 0.2757, 0.    ])

    References
    ----------
    Marchenko and Pastur 1967.
    """
    ratio = check_number("ratio", ratio, low=0)
    if ratio == 0:
        raise ValueError("ratio must be positive, got 0")
    x = np.asarray(x, dtype=float)
    low, high = (1 - ratio**0.5) ** 2, (1 + ratio**0.5) ** 2
    inside = np.where(x > 0, np.clip((high - x) * (x - low), 0, None), 0)
    return np.sqrt(inside) / (2 * np.pi * ratio * np.where(x > 0, x, 1))


def product_moment(k: int, depth: int) -> float:
    r"""Return :math:`E s^{2k}` over the singular values s of a product of square Gaussian matrices.

    The Fuss-Catalan number :math:`\binom{(L+1) k}{k} / (L k + 1)`, for L matrices of variance one
    over their size, which is large.

    Parameters
    ----------
    k : int
        At least 1.
    depth : int
        L, at least 1.

    Returns
    -------
    float

    Raises
    ------
    ValueError
        If `k` or `depth` is not a whole number from 1 on.

    Examples
    --------
    >>> [product_moment(k, depth=1) for k in (1, 2, 3, 4)]
    [1.0, 2.0, 5.0, 14.0]
    >>> product_moment(2, depth=10)
    11.0

    References
    ----------
    Haagerup and Möller 2013.
    """
    k, depth = check_count("k", k), check_count("depth", depth)
    return math.comb((depth + 1) * k, k) / (depth * k + 1)


def product_norm(depth: int) -> float:
    r"""Return the largest singular value of a product of L large square Gaussian matrices.

    .. math:: \sqrt{(L + 1)^{L + 1} / L^L}

    It grows like :math:`\sqrt{e L}`, though the mean of the squares stays 1.

    Parameters
    ----------
    depth : int
        L, at least 1.

    Returns
    -------
    float

    Raises
    ------
    ValueError
        If `depth` is not a whole number from 1 on.

    Examples
    --------
    >>> product_norm(1), round(product_norm(2), 4)
    (2.0, 2.5981)

    References
    ----------
    Haagerup and Möller 2013.
    """
    depth = check_count("depth", depth)
    return math.sqrt((depth + 1) * (1 + 1 / depth) ** depth)


def product_law(depth: int, points: int = 2000) -> SpectralLaw:
    r"""Return the law of the singular values s of a product of L large square Gaussian matrices.

    With :math:`0 < u < \pi` and :math:`\varphi = (\pi - u) / (L + 1)`, the Fuss-Catalan law has the
    parametric form

    .. math::
        s^2 = \frac{\sin^{L+1} u}{\sin \varphi \, \sin^L (u + \varphi)}, \qquad
        s \, p(s) = \frac{2}{\pi} \frac{\sin u \, \sin \varphi}{\sin (u + \varphi)}.

    For one matrix it is the law of Marchenko and Pastur, that is the quarter circle
    :math:`\sqrt{4 - s^2} / \pi` for s itself.

    Parameters
    ----------
    depth : int
        L, at least 1; the matrices have variance one over their size.
    points : int
        Values of s, at least 2; those below 1e-100 are left out.

    Returns
    -------
    SpectralLaw

    Raises
    ------
    ValueError
        If `depth` or `points` is not a whole number from 1 (2) on.

    Examples
    --------
    >>> s, density, probability = product_law(1)
    >>> bool(np.allclose(density, np.sqrt(4 - s**2) / np.pi))
    True

    References
    ----------
    Haagerup and Möller 2013; Forrester and Liu 2014.
    """
    depth, points = check_count("depth", depth), check_count("points", points, low=2)
    u = math.pi * np.linspace(0, 1, points + 2)[1:-1] ** 2
    phi = (math.pi - u) / (depth + 1)
    a, b, c = np.sin(phi), np.sin(u + phi), np.sin(u)
    log_s = ((depth + 1) * np.log(c) - np.log(a) - depth * np.log(b)) / 2
    kept = log_s > np.log(_LOWEST)
    return law_of_logs(np.exp(log_s[kept]), (2 / math.pi * a * c / b)[kept])


def law_of_logs(s: np.ndarray, density: np.ndarray) -> SpectralLaw:
    """Make a law of ascending s and the density of ln s, which ends at the last s."""
    pieces = (density[1:] + density[:-1]) / 2 * np.diff(np.log(s))
    above = np.cumsum(np.concatenate([[0.0], pieces[::-1]]))[::-1]
    return SpectralLaw(s, density / s, np.maximum(1 - above, 0))
