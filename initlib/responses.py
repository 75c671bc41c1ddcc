"""What an activation makes of Gaussian signals of any variance, zero and infinity included."""

from typing import NamedTuple

import numpy as np

from initlib.activations import Activation
from initlib.closed_forms import leaky_relu_pair
from initlib.correlation import Correlation, tolerance
from initlib.landmarks import slopes_at_zero
from initlib.moments import estimate
from initlib.settling import LARGEST

_ACCURACY = 1e-8  # of E phi^2 relative to 1, q or itself, whichever is largest


class Response(NamedTuple):
    """Moments of phi(x), x ~ N(0, q): `v` is E phi^2 and `d` is E phi'^2, each as an array.

    `slope` is dv / dq, and `error` is relative.
    """

    v: np.ndarray
    slope: np.ndarray
    d: np.ndarray
    error: np.ndarray


def respond(phi: Activation, q: np.ndarray) -> Response:
    """Compute the moments at variances from 0 to inf.

    Infinity stands for the limit, zero for that from above; there `slope` is that of an activation
    that vanishes at zero.

    Raises
    ------
    ValueError
        If the quadrature fails.
    """
    positive = q > 0
    finite = np.minimum(q, LARGEST)
    result = Response(*(np.zeros(q.shape) for _ in Response._fields))
    if positive.any():
        m = estimate(phi, finite[positive], tolerance=tolerance(phi))
        scale = np.maximum(1, np.maximum(finite[positive], m.second_moment))
        inaccurate = m.second_moment * m.error > _ACCURACY * scale
        if inaccurate.any():
            at = np.flatnonzero(inaccurate)[0]
            raise ValueError(
                f"could not integrate {phi.name} under N(0, {finite[positive][at]:.3g}): the error "
                f"is about {m.error[at]:.1g}. The function must be piecewise smooth, and computed "
                "in float64"
            )
        slope = m.slope * m.second_moment / finite[positive]
        for field, values in zip(
            result, (m.second_moment, slope, m.squared_derivative, m.error), strict=True
        ):
            field[positive] = values
    if not positive.all():
        below, above = slopes_at_zero(phi)
        result.v[~positive] = phi(np.zeros(1))[0] ** 2
        result.slope[~positive] = result.d[~positive] = (below**2 + above**2) / 2
        result.error[~positive] = 1e-12
    return result


def respond_to_pair(
    phi: Activation, q: np.ndarray, theta: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Compute the chord, the slope and their error (see `correlation`) at variances 0 to inf."""
    q, theta = np.broadcast_arrays(np.minimum(q, LARGEST), theta)
    result = np.zeros((3, *q.shape))
    positive = q > 0
    if positive.any():
        variances, which = np.unique(q[positive], return_inverse=True)
        result[:, positive] = Correlation(phi, variances)(theta[positive], which)
    if not positive.all():
        below, above = slopes_at_zero(phi)
        result[:2, ~positive] = leaky_relu_pair(0.0, theta[~positive], below, above)
    return tuple(result)


def product(scale: np.ndarray, moment: np.ndarray) -> np.ndarray:
    """Multiply, where zero times infinity is zero: without weights, jumps do not matter."""
    scale, moment = np.broadcast_arrays(scale, moment)
    return np.multiply(scale, moment, out=np.zeros(scale.shape), where=scale > 0)
