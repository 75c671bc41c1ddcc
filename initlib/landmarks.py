"""What small signals see of an activation: its slopes at zero."""

import numpy as np

from initlib.activations import Activation


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
