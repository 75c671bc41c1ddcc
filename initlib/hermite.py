r"""Hermite series of an activation: what its correlations are made of.

With :math:`\phi(\sqrt q z) = \sum_k a_k h_k(z)` in the orthonormal Hermite polynomials, Mehler's
formula gives, for pre-activations of variance q and correlation c,

.. math:: E \phi(x) \phi(y) = \sum_k a_k^2 c^k, \qquad
    q E \phi'(x) \phi'(y) = \sum_k k a_k^2 c^{k-1}.
"""

from functools import lru_cache

import numpy as np

from initlib.activations import Activation

TERMS = 2048
# Polynomials of this order have waves of length 2 pi / sqrt(TERMS) = 0.14.
_SPACING, _REACH = 1 / 24, 12.0
_AT_ONCE = 256


@lru_cache(maxsize=1)
def _half_line() -> tuple[np.ndarray, np.ndarray]:
    """Make the points z > 0 of a midpoint rule, and the polynomials there times its weights."""
    z = (np.arange(round(_REACH / _SPACING)) + 0.5) * _SPACING
    root = np.sqrt(np.exp(-z * z / 2) / np.sqrt(2 * np.pi) * _SPACING)
    waves = np.empty((TERMS, len(z)))
    waves[0], waves[1] = root, z * root  # times the root of the weight: nothing overflows
    roots = np.sqrt(np.arange(TERMS + 1.0))
    for k in range(1, TERMS - 1):
        waves[k + 1] = (z * waves[k] - roots[k] * waves[k - 1]) / roots[k + 1]
    return z, waves * root


def slope_spectrum(phi: Activation, q: np.ndarray) -> np.ndarray:
    r"""Compute the shares :math:`k a_k^2 / q` that the orders k = 1, 2, ... have in E phi'^2.

    Exponentially accurate for smooth activations. For others, and for a signal so large that the
    function looks like one with a kink, the sum falls short of :math:`E \phi'^2`: compare it.

    Parameters
    ----------
    phi : Activation
    q : ndarray, shape (n,)

    Returns
    -------
    ndarray, shape (n, TERMS - 1)
    """
    z, waves = _half_line()
    shares = np.empty((len(q), TERMS - 1))
    orders = np.arange(1, TERMS)
    for i in range(0, len(q), _AT_ONCE):
        some = q[i : i + _AT_ONCE, None]
        with np.errstate(all="ignore"):
            right, left = phi.value(np.sqrt(some) * z), phi.value(-np.sqrt(some) * z)
        odd, even = (right - left) @ waves[1::2].T, (right + left) @ waves[2::2].T
        shares[i : i + _AT_ONCE, 0::2], shares[i : i + _AT_ONCE, 1::2] = odd**2, even**2
        shares[i : i + _AT_ONCE] *= orders / some
    return shares


def mehler(shares: np.ndarray, theta: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    r"""Sum the series at correlations c = cos(theta), one for each row of shares.

    Parameters
    ----------
    shares : ndarray, shape (n, K)
        Of the orders 1 to K, as of `slope_spectrum`.
    theta : ndarray, shape (n,)

    Returns
    -------
    chord, slope : ndarray, shape (n,)
        :math:`E(\phi(x) - \phi(y))^2 / E(x - y)^2` and :math:`E \phi'(x) \phi'(y)`.
    """
    orders = np.arange(1, shares.shape[1] + 1)
    powers = np.vander(np.cos(theta), len(orders), increasing=True)
    slope = np.einsum("nk,nk->n", shares, powers)
    # (1 - c^k) / (1 - c) as the sum that it is: nothing cancels.
    chord = np.einsum("nk,nk->n", shares, powers.cumsum(axis=1) / orders)
    return chord, slope
