r"""Singular values of the Jacobian of a deep network, in the limit of large width.

The Jacobian of L layers is :math:`J = \prod_l D_l W_l`, with the derivatives :math:`\phi'` at the
pre-activations on the diagonal of D, and square W of variance :math:`\sigma_w^2 / n` or
:math:`\sigma_w` times a random orthogonal matrix. Pre-activations are N(0, q), in every layer; the
laws hold for L much smaller than the width n.
"""

from typing import Literal, NamedTuple, get_args

import numpy as np
from numpy.typing import ArrayLike

from initlib.activations import Activation, Function
from initlib.callables import as_activation
from initlib.checks import check_count, did_you_mean
from initlib.quadrature import differentiate, expectation

Weights = Literal["gaussian", "orthogonal"]


class SquaredSingularValues(NamedTuple):
    """Mean and variance of the squared singular values of a matrix."""

    mean: float | np.ndarray
    variance: float | np.ndarray


def derivative_moment(
    activation: str | Activation | Function, q: ArrayLike = 1.0, k: int = 1
) -> float | np.ndarray:
    r"""Compute :math:`\mu_k = E \phi'(\sqrt q z)^{2k}`, z ~ N(0, 1).

    Parameters
    ----------
    activation : str, Activation or callable
        A name (see `activation`), or an elementwise function.
    q : float or array
        Variances of the pre-activation, positive; for the limit at zero take a tiny one.
    k : int
        At least 1.

    Returns
    -------
    float or ndarray
        Of the shape of `q`; infinite where the activation jumps.

    Raises
    ------
    ValueError
        If q is not positive, or the derivative cannot be integrated to a relative accuracy of 1e-8.

    Examples
    --------
    >>> derivative_moment("relu", k=2)
    0.5
    >>> derivative_moment("tanh", [1e-9, 1.0]).round(4)
    array([1.    , 0.4644])

    References
    ----------
    Pennington, Schoenholz and Ganguli 2017.
    """
    phi, power = as_activation(activation), 2 * check_count("k", k)
    q = np.asarray(q, dtype=float)

    def integrand(x, z):
        dy = differentiate(x, phi.value(x)) if phi.derivative is None else phi.derivative(x)
        return (dy**power)[None]

    (moment,), (error,) = expectation(integrand, q, breaks=phi.kinks, tolerance=1e-11)
    # At a jump, the integrand is as high as the narrowest panels are narrow.
    jumps = (error > 1e-3) | bool(phi.jumps)
    if np.any(~jumps & (error > 1e-8)):
        raise ValueError(
            f"could not integrate the derivative of {phi.name} to a relative accuracy of 1e-8: the "
            f"error is about {error.max():.1g}"
        )
    moment = np.where(jumps, np.inf, moment)
    return moment.item() if moment.ndim == 0 else moment


def jacobian_moments(
    activation: str | Activation | Function,
    depth: int,
    q: ArrayLike = 1.0,
    sigma_w: ArrayLike | None = None,
    weights: Weights = "gaussian",
) -> SquaredSingularValues:
    r"""Compute mean and variance of the squared singular values of the Jacobian of L layers.

    .. math::
        \chi^L \quad\text{and}\quad \chi^{2L} L \left(\frac{\mu_2}{\mu_1^2} - 1 - s_1\right),
        \qquad \chi = \sigma_w^2 \mu_1,

    with :math:`\mu_k` from `derivative_moment`, and :math:`s_1 = -1` for Gaussian and 0 for
    orthogonal weights: with these, only the spread of :math:`\phi'^2` between units counts.

    Parameters
    ----------
    activation : str, Activation or callable
        A name (see `activation`), or an elementwise function.
    depth : int
        L, at least 1.
    q : float or array
        Variance of the pre-activations, positive.
    sigma_w : float or array, optional
        Scale of the weights, positive. Default: the one that makes the mean 1.
    weights : {"gaussian", "orthogonal"}

    Returns
    -------
    SquaredSingularValues
        Floats, or arrays of the shape that q and sigma_w have together.

    Raises
    ------
    ValueError
        For an unknown law of the weights, a depth below 1, or a q or sigma_w that is not positive.

    Examples
    --------
    Orthogonal weights bring isometry to tanh at small q, but not to ReLU:

    >>> for weights in ("gaussian", "orthogonal"):
    ...     for activation in ("relu", "tanh"):
    ...         _, variance = jacobian_moments(activation, 16, 1 / 64, weights=weights)
    ...         print(f"{weights}, {activation}: {variance:.3f}")
    gaussian, relu: 32.000
    gaussian, tanh: 16.027
    orthogonal, relu: 16.000
    orthogonal, tanh: 0.027

    References
    ----------
    Pennington, Schoenholz and Ganguli 2017.
    """
    s_1 = -1 if check_weights(weights) == "gaussian" else 0
    depth = check_count("depth", depth)
    mu_1, mu_2 = (derivative_moment(activation, q, k) for k in (1, 2))
    chi = check_scale(sigma_w) ** 2 * mu_1 if sigma_w is not None else np.ones_like(mu_1)
    mean = np.asarray(chi**depth)
    variance = np.asarray(mean**2 * depth * (mu_2 / mu_1**2 - 1 - s_1))
    return SquaredSingularValues(*(a.item() if a.ndim == 0 else a for a in (mean, variance)))


def check_weights(weights: str) -> str:
    """Return `weights`, or refuse what is not the name of a law."""
    if weights not in get_args(Weights):
        hint = did_you_mean(weights, get_args(Weights))
        raise ValueError(f"weights must be 'gaussian' or 'orthogonal', got {weights!r}{hint}")
    return weights


def check_scale(sigma_w: ArrayLike) -> np.ndarray:
    """Return `sigma_w` as an array, or refuse what is not positive."""
    sigma_w = np.asarray(sigma_w, dtype=float)
    if not np.all((sigma_w > 0) & np.isfinite(sigma_w)):
        raise ValueError(f"sigma_w must be positive and finite, got {sigma_w}")
    return sigma_w
