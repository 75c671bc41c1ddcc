"""The whole law of the singular values of a deep network's Jacobian, in the limit of large width.

Networks are those of `initlib.jacobian`.
"""

import numpy as np
import torch

from initlib.activations import Activation, Function
from initlib.callables import as_activation
from initlib.checks import check_count, check_number
from initlib.jacobian import Weights, check_scale, check_weights, derivative_moment
from initlib.spectra import SpectralLaw, law_of_logs

_HALF = 6000  # cells on either side of zero, 1.5e-3 standard deviations wide
_MOST = 50  # Newton steps; two or three are enough where the density is not about to end


def jacobian_law(
    activation: str | Activation | Function,
    depth: int,
    q: float = 1.0,
    sigma_w: float | None = None,
    weights: Weights = "gaussian",
    *,
    lowest: float = 1e-4,
    points: int = 400,
) -> SpectralLaw:
    r"""Compute the law of the singular values s of the Jacobian of L layers.

    With :math:`m(\zeta) = E\,d / (\zeta - d)` over the law of :math:`d = \sigma_w^2
    \phi'(\sqrt q z)^2`, free probability gives

    .. math::
        s^2 = \zeta^L \left(\frac{m}{1 + m}\right)^{L-1} (1 + m)^{g L}, \qquad
        s \, p(s) = -\frac{2}{\pi} \operatorname{Im} m,

    where g is 1 for Gaussian and 0 for orthogonal weights: the law is read off along the curve of
    complex :math:`\zeta` on which :math:`s^2` is real, from its largest value on.

    Parameters
    ----------
    activation : str, Activation or callable
        A name (see `activation`), or an elementwise function.
    depth : int
        L, at least 1; at least 2 for orthogonal weights, whose single layer has the law of d.
    q : float
        Variance of the pre-activations, positive.
    sigma_w : float, optional
        Scale of the weights, positive. Default: the one that makes the mean of s^2 1.
    weights : {"gaussian", "orthogonal"}
    lowest : float
        The smallest s of the curve, over the largest.
    points : int
        Values of s, at least 2. Fewer are returned where the density ends before `lowest`.

    Returns
    -------
    SpectralLaw
        The probability at its first point includes all smaller s, and zeros.

    Raises
    ------
    ValueError
        If all singular values are equal (orthogonal weights without an activation), for an unknown
        law of the weights, or an argument out of range.

    Examples
    --------
    The largest singular value of 16 layers, and the share of those below 0.01:

    >>> for activation in ("relu", "tanh"):
    ...     for weights in ("gaussian", "orthogonal"):
    ...         law = jacobian_law(activation, 16, q=0.1, weights=weights)
    ...         near_zero = np.interp(0.01, law.s, law.probability)
    ...         print(f"{activation} {weights}: {law.s[-1]:.2f}, {near_zero:.2f}")
    relu gaussian: 9.33, 0.76
    relu orthogonal: 6.49, 0.68
    tanh gaussian: 6.83, 0.56
    tanh orthogonal: 1.78, 0.00

    References
    ----------
    Pennington, Schoenholz and Ganguli 2017 and 2018; the curve of zeta is derived here.
    """
    gaussian = check_weights(weights) == "gaussian"
    depth, points = check_count("depth", depth), check_count("points", points, low=2)
    if sigma_w is None:
        sigma_w = derivative_moment(activation, q) ** -0.5
    d, share = _squared_slopes(as_activation(activation), q, check_scale(sigma_w))
    if not gaussian and (depth == 1 or np.ptp(d) < 1e-9 * d.max()):
        raise ValueError(
            "orthogonal weights need a nonlinear activation and depth >= 2 for a law with a "
            "density: otherwise singular values are those of D, the derivatives"
        )

    def log_square(zeta):
        """Return log s^2, its derivative and m at a complex zeta."""
        inverse = 1 / (zeta - d)
        m, dm = share @ (d * inverse), -(share @ (d * inverse**2))
        power = depth if gaussian else 0
        value = depth * np.log(zeta) + (depth - 1) * np.log(m) + (power + 1 - depth) * np.log(1 + m)
        slope = depth / zeta + dm * ((depth - 1) / m + (power + 1 - depth) / (1 + m))
        return value, slope, m

    law = _follow(log_square, d.max(), lowest, points)
    mean, expected = np.trapezoid(law.density * law.s**2, law.s), (share @ d) ** depth
    if not abs(mean - expected) < 0.01 * expected:
        raise ValueError(
            f"could not follow the law for {activation!r}, depth={depth}, q={q:g}: the mean of s^2 "
            f"came out as {mean:.3g} instead of {expected:.3g}. Many singular values may be equal, "
            "or the largest derivatives too rare"
        )
    return law


def _follow(log_square, largest, lowest, points):
    """Follow the curve of zeta, in equal steps of the root of log(s_max^2 / s^2)."""
    edge = _edge(log_square, largest)
    top = log_square(edge)[0].real
    drops = (np.linspace(0, 1, points + 1)[1:] * np.sqrt(-2 * np.log(lowest))) ** 2
    # There log s^2 has a minimum along the real line, and the curve leaves it at a right angle.
    nudge = 1e-6 * edge
    zeta = edge + 1j * np.sqrt(2 * drops[0] * nudge / log_square(edge + nudge)[1].real)
    found = [(np.exp(top / 2), 0.0)]
    for drop, ahead in zip(drops, np.diff(drops, append=drops[-1]), strict=True):
        for _ in range(_MOST):
            value, slope, m = log_square(zeta)
            step = (value - top + drop) / slope
            zeta -= step
            if abs(step) < 1e-12 * abs(zeta):
                break
        if not (zeta.imag > 0 and m.imag < 0 and abs(step) < 1e-8 * abs(zeta)):
            break  # the density has ended
        found.append((np.exp((top - drop) / 2), -2 / np.pi * m.imag))
        zeta -= ahead / slope
    return law_of_logs(*np.array(found)[::-1].T)


def _edge(log_square, largest):
    """Return the real zeta beyond all d where log s^2 is least, by bisection."""
    low, high = -25.0, 25.0  # of log(zeta / largest - 1)
    for _ in range(60):
        middle = (low + high) / 2
        slope = log_square(complex(largest * (1 + np.exp(middle))))[1].real
        low, high = (middle, high) if slope < 0 else (low, middle)
    return complex(largest * (1 + np.exp(high)))


def _squared_slopes(phi, q, sigma_w):
    """Return values of sigma_w^2 phi'^2 and their probabilities, in narrow cells of z."""
    q = check_number("q", q)
    if q <= 0:
        raise ValueError(f"q must be positive, got {q}; for the limit at zero take a tiny one")
    ends = np.union1d(np.linspace(-9, 9, 2 * _HALF + 1), np.array(phi.kinks) / np.sqrt(q))
    x = np.sqrt(q) * (ends[1:] + ends[:-1]) / 2
    step = 1e-6 * np.sqrt(q)
    slope = (phi(x + step) - phi(x - step)) / (2 * step)
    dy = slope if phi.derivative is None else phi.derivative(x)
    d, where = np.unique(sigma_w**2 * dy**2, return_inverse=True)
    share = np.bincount(where, torch.special.ndtr(torch.from_numpy(ends)).diff().numpy())
    return d, share / share.sum()
