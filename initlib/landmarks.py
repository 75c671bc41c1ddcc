"""What has to be known of a function that nobody described: its kinks, its slopes at zero."""

import numpy as np

from initlib.activations import Activation
from initlib.quadrature import differentiate, expectation

_MOST = 16
_NARROW, _APART = 1e-4, 1e-2  # in standard deviations


def find_kinks(phi: Activation, q: float) -> tuple[float, ...]:
    """Find the points where an activation or its derivative jumps, as far as N(0, q) sees them.

    They are where the adaptive quadrature of the derivative gets on by bisection only. Those that
    an activation declares are taken as they are.

    Examples
    --------
    >>> from initlib.callables import as_activation
    >>> np.round(find_kinks(as_activation(lambda x: np.clip(x, -0.5, 1)), 1.0), 6)
    array([-0.5,  1. ])
    """
    if phi.derivative is not None or phi.kinks:
        return phi.kinks
    narrow = []

    def watch(x, z):
        width = x[:, -1] - x[:, 0]
        some = width < _NARROW * np.sqrt(q)
        narrow.append(np.stack([x[some].mean(axis=1), width[some]]))
        return differentiate(x, phi.value(x))[None]

    expectation(watch, q, tolerance=1e-11)
    middle, width = np.concatenate(narrow, axis=1)
    kinks: list[float] = []
    for at in middle[np.argsort(width, kind="stable")]:
        if all(abs(at - kink) > _APART * np.sqrt(q) for kink in kinks):
            kinks.append(float(at))
        if len(kinks) > _MOST:  # noise, or a staircase: the quadrature is on its own
            return ()
    return tuple(sorted(kinks))


def slopes_at_zero(phi: Activation) -> tuple[float, float]:
    """Differentiate an activation at zero, from below and from above: all that tiny signals see.

    Where no derivative is known, difference quotients are extrapolated to a step of zero, from the
    largest steps that no kink disturbs.

    Examples
    --------
    >>> from initlib.callables import as_activation
    >>> slopes_at_zero(as_activation(lambda x: np.maximum(x, 0.5 * x)))
    (0.5, 1.0)
    """
    if phi.derivative is not None:
        below, above = phi.derivative(np.array([-1e-200, 1e-200]))
        return float(below), float(above)
    return _extrapolated_slope(phi, -1), _extrapolated_slope(phi, 1)


def _extrapolated_slope(phi, side):
    estimates = []
    for first in 2.0 ** -np.arange(4, 34, 3):
        steps = side * first / 2 ** np.arange(6)
        column = (phi(steps) - phi(np.zeros(1))) / steps
        error = np.inf
        for order in range(1, 6):  # Neville: each order takes one power of the step away
            better = column[1:] + (column[1:] - column[:-1]) / (2**order - 1)
            error, column = abs(better[-1] - column[-1]), better
        estimates.append((error, column[0]))
    return float(min(estimates)[1])
