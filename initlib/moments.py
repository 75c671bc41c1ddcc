"""What an activation does to the moments of a Gaussian signal."""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from initlib.activations import Activation, Function
from initlib.callables import as_activation
from initlib.checks import check_number
from initlib.quadrature import ROUNDING, differentiate, expectation


class Moments(NamedTuple):
    """Moments of phi(x) for x ~ N(mean, q); see `moments`."""

    mean: float | np.ndarray
    second_moment: float | np.ndarray
    variance: float | np.ndarray
    squared_derivative: float | np.ndarray
    slope: float | np.ndarray
    error: float | np.ndarray


def moments(
    activation: str | Activation | Function,
    q: ArrayLike = 1.0,
    mean: float = 0.0,
    *,
    tolerance: float = 1e-9,
) -> Moments:
    r"""Compute the moments of an activation under a Gaussian pre-activation.

    With :math:`x = \mu + \sqrt{q}\, z`, :math:`z \sim N(0, 1)`:

    ====================  ============================================================
    `mean`                :math:`E \phi(x)`
    `second_moment`       :math:`E \phi(x)^2`
    `variance`            :math:`E \phi(x)^2 - (E \phi(x))^2`, without the cancellation
    `squared_derivative`  :math:`E \phi'(x)^2`; infinite where :math:`\phi` jumps
    `slope`               :math:`d \log E \phi(x)^2 / d \log q`
    `error`               estimated error of the worst of them, relative to the
                          expectation of the magnitude of what was integrated
    ====================  ============================================================

    The slope is that of the map :math:`q \mapsto g^2 E \phi(\sqrt q z)^2` at its fixed point, where
    :math:`g` is the gain that keeps :math:`q`: below one, a layer pulls the second moment back
    towards :math:`q`; above one, it drives every deviation away, by this factor a layer.

    Closed forms are used where they exist, otherwise adaptive quadrature that finds the kinks and
    jumps of functions it does not know. The derivative is that of the function itself, not a
    surrogate that its backward pass may use.

    Parameters
    ----------
    activation : str, Activation or callable
        A name (see `activation`), or an elementwise function of NumPy arrays or torch tensors.
    q : float or array
        Variance of the pre-activation; its second moment too if `mean` is zero.
    mean : float
        Mean of the pre-activation.
    tolerance : float
        The largest `error` to accept, in [1e-12, 1].

    Returns
    -------
    Moments
        Floats for a scalar `q`, else arrays of its shape.

    Raises
    ------
    ValueError
        If the tolerance cannot be reached, `q` is not positive, or the function not finite.
    TypeError
        If the function is not elementwise.

    Examples
    --------
    >>> relu = moments("relu")
    >>> relu.second_moment, relu.squared_derivative, relu.slope
    (0.5, 0.5, 1.0)
    >>> moments(lambda x: np.tanh(3 * x), q=[0.1, 1.0]).second_moment.round(6)
    array([0.375209, 0.745167])

    References
    ----------
    Poole et al. 2016 (the length map and chi_1, which these moments make up).
    """
    phi = as_activation(activation)
    mean = check_number("mean", mean)
    tolerance = check_number("tolerance", tolerance, low=1e-12, high=1)
    q = np.asarray(q, dtype=np.float64)
    result = estimate(phi, q, mean, tolerance)
    if np.any(result.error > tolerance):
        worst = np.argmax(result.error)
        raise ValueError(
            f"could not integrate {phi.name} under N({mean:g}, {q.flat[worst]:g}) to a relative "
            f"accuracy of {tolerance:g}: the error is about {result.error.flat[worst]:.1g}. The "
            "function must be piecewise smooth and computed in float64; else pass a larger "
            "tolerance="
        )
    return Moments(*(a.item() if a.ndim == 0 else a for a in result))


def estimate(phi: Activation, q: np.ndarray, mean: float = 0.0, tolerance: float = 1e-9) -> Moments:
    """Compute `moments` as arrays, to the tolerance if that can be done: the error says so."""
    if phi.closed_form is not None and mean == 0 and np.all((q > 0) & np.isfinite(q)):
        first, second, derivative, slope = phi.closed_form(q)
        error = np.full(q.shape, ROUNDING)
        return Moments(first, second, second - first**2, derivative, slope, error)
    # Deviations from this value keep the variance accurate where it is far below the mean squared.
    with np.errstate(all="ignore"):
        centre = np.nan_to_num(phi(np.array([mean]))[0], posinf=0, neginf=0)

    def integrands(x, z):
        y = phi.value(x)
        dy = differentiate(x, y) if phi.derivative is None else phi.derivative(x)
        # By Stein's lemma, 2 q d E f(x) / dq = E f(x) (z^2 - 1): no derivative of f is needed.
        return np.stack([y - centre, (y - centre) ** 2, y * y, dy * dy, y * y * (z * z - 1) / 2])

    value, error = expectation(integrands, q, mean, phi.kinks, tolerance / 10)
    shift, spread, second, derivative, growth = value
    # E phi'^2 of a jump grows for as long as panels shrink, by 14 orders of magnitude.
    jumps = (error[3] > 1e-3) & (derivative * q > 1e6 * second) | bool(phi.jumps)
    derivative = np.where(jumps, np.inf, derivative)
    error = np.where(jumps, np.delete(error, 3, axis=0).max(axis=0), error.max(axis=0))
    slope = np.divide(growth, second, out=np.zeros_like(second), where=second > 0)
    return Moments(centre + shift, second, spread - shift**2, derivative, slope, error)
