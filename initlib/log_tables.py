r"""Functions of a variance, made fast: sampled at few points, read at many.

The mean of anything under N(0, q) is a convolution over the logarithms, and so an analytic function
of :math:`\log q` wherever the imaginary part is below :math:`\pi/2`, even for an activation with
jumps. That bounds the error of a Chebyshev series, before a single value is known.
"""

from collections.abc import Callable

import numpy as np
from numpy.polynomial import chebyshev

_DIGITS = 26  # in powers of e
_SPACING = 0.01  # of log q: the cubic error is 3e-11 of the fourth derivative


def node_count(low: float, high: float) -> int:
    """Return how many Chebyshev points between two variances give 11 digits."""
    half_width = max(np.log(high / low) / 2, 1e-3)
    return int(_DIGITS / np.arcsinh(np.pi / 2 / half_width)) + 4


def chebyshev_series(values: np.ndarray) -> np.ndarray:
    """Return the coefficients of the polynomials through values at `chebpts1`, along axis 0."""
    n = len(values)
    waves = np.cos(np.arange(n)[:, None] * np.arccos(chebyshev.chebpts1(n)))
    waves[0] /= 2
    return 2 / n * np.tensordot(waves, values, axes=1)


class LogTable:
    """Smooth functions of log q between two variances, tabulated.

    Parameters
    ----------
    functions : callable
        Maps variances of shape (n,) to values of shape (n, k).
    low, high : float
    """

    def __init__(self, functions: Callable[[np.ndarray], np.ndarray], low: float, high: float):
        self.low, self.high = low, high
        half_width = np.log(high / low) / 2
        x = chebyshev.chebpts1(node_count(low, high))
        series = chebyshev_series(functions(low * np.exp(half_width * (1 + x))))
        steps = int(2 * half_width / _SPACING) + 1
        self._step = 2 * half_width / steps
        grid = np.linspace(-1, 1, steps + 1)
        self._derivatives = [
            chebyshev.chebval(grid, chebyshev.chebder(series, order)) * (2 / steps) ** order
            for order in range(3)
        ]

    def __call__(self, q: np.ndarray, which: int) -> tuple[np.ndarray, np.ndarray]:
        """Return one of the functions and its derivative by log q; beyond the ends, those there."""
        value, slope, curvature = (order[which] for order in self._derivatives)
        place = np.clip(np.log(q / self.low) / self._step, 0, len(value) - 1)
        at = np.minimum(place.astype(int), len(value) - 2)
        t = place - at
        return _cubic(value, slope, at, t), _cubic(slope, curvature, at, t) / self._step


def _cubic(values, slopes, at, t):
    """Interpolate between the points `at` and `at + 1`, t on the way from 0 to 1."""
    start, end, first, last = values[at], values[at + 1], slopes[at], slopes[at + 1]
    rise = end - start
    return start + t * (first + t * (3 * rise - 2 * first - last + t * (first + last - 2 * rise)))
