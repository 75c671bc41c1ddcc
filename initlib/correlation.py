r"""How an activation maps the correlation of two signals.

For pre-activations x and y ~ N(0, q) with correlation :math:`c = \cos\theta`, everything follows
from two functions of the angle,

.. math::
    \rho(\theta) = \frac{E (\phi(x) - \phi(y))^2}{E (x - y)^2}
    \quad\text{and}\quad \sigma(\theta) = E \phi'(x) \phi'(y):

with :math:`C = E \phi(x) \phi(y)`, :math:`q \rho` is the chord of C(c) from c to 1, and
:math:`q \sigma` its slope at c. Unlike C itself, the chord tells how two signals that are nearly
the same part, without cancellation. Both are :math:`E \phi'^2` at :math:`\theta = 0`, and smooth
in the angle even where :math:`\phi` has kinks.
"""

from collections.abc import Callable

import numpy as np

from initlib.activations import Activation
from initlib.hermite import mehler, slope_spectrum
from initlib.moments import estimate
from initlib.quadrature import ROUNDING, differentiate, expectation

_MISSING = 1e-11  # the part of E phi'^2 that a Hermite series may lack
_OUTER, _INNER = 1e-10, 1e-13
_AT_ONCE = 256


def tolerance(phi: Activation) -> float:
    """Return what to ask of quadrature: a derivative that is numerical has errors of its own."""
    return 1e-9 if phi.derivative is None else 1e-11


class Correlation:
    """The chord and the slope of one activation at several variances.

    By closed form where there is one; else by Hermite series, where that converges; else by
    quadrature within quadrature.

    Parameters
    ----------
    phi : Activation
    q : ndarray, shape (n,)
        Positive and finite.
    """

    def __init__(self, phi: Activation, q: np.ndarray):
        self.phi, self.q = phi, q
        self.moments = estimate(phi, q, tolerance=tolerance(phi))
        if phi.closed_form_of_pair is not None:
            return
        self._shares = slope_spectrum(phi, q)
        total = self.moments.squared_derivative
        with np.errstate(invalid="ignore"):  # an infinite total: the activation jumps
            gap = np.abs(total - self._shares.sum(axis=1)) / np.maximum(total, 1e-300)
        self._missing = np.where(np.isfinite(total), gap, 1)
        self._has_series = self._missing < _MISSING
        used = self._shares[self._has_series].max(axis=0, initial=0) > 1e-20 * total.max()
        self._shares = self._shares[:, : 1 + np.flatnonzero(used).max(initial=0)]

    def __call__(
        self,
        theta: np.ndarray,
        which: np.ndarray,
        progress: Callable[[int, int], object] | None = None,
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Compute the chord, the slope and their error, for each angle at ``q[which]``.

        Parameters
        ----------
        theta : ndarray, shape (m,)
            Angles in [0, pi].
        which : ndarray of int, shape (m,)
        progress : callable, optional
            Called with the integrals in two dimensions that are done, and those to do.

        Returns
        -------
        chord, slope, error : ndarray, shape (m,)
            The error is estimated, and absolute.
        """
        if self.phi.closed_form_of_pair is not None:
            chord, slope = self.phi.closed_form_of_pair(self.q[which], theta)
            return chord, slope, ROUNDING * self.moments.squared_derivative[which]
        chord, slope, error = np.empty((3, len(theta)))
        by_series = np.flatnonzero(self._has_series[which])
        for i in range(0, len(by_series), _AT_ONCE):
            some = by_series[i : i + _AT_ONCE]
            chord[some], slope[some] = mehler(self._shares[which[some]], theta[some])
            missing = self._missing[which[some]] + ROUNDING
            error[some] = missing * self.moments.squared_derivative[which[some]]
        by_quadrature = np.flatnonzero(~self._has_series[which])
        for done, i in enumerate(by_quadrature):
            chord[i], slope[i], error[i] = self._integrate(theta[i], which[i])
            if progress is not None:
                progress(done + 1, len(by_quadrature))
        return chord, slope, error

    def chord(self, theta: np.ndarray, which: np.ndarray) -> np.ndarray:
        """Compute the chord alone."""
        return self(theta, which)[0]

    def _integrate(self, theta, which):
        m, q = self.moments, self.q[which]
        total, second = m.squared_derivative[which], m.second_moment[which]
        if theta == 0 or total == 0:
            return total, total, m.error[which] * total
        if theta == np.pi:
            return _opposite(self.phi, q, second)
        return _nested(self.phi, q, theta, second, total)


def _nested(phi, q, theta, second, total):
    """Integrate over what x and y share; given that, they are independent and alike.

    Or x and -y are, if the correlation is negative.
    """
    c = np.cos(theta)
    shared, own = q * abs(c), 2 * q * np.sin(min(theta, np.pi - theta) / 2) ** 2
    std = np.sqrt(own)
    # Where the function is flat, accuracy relative to this will do; a jump has no E phi'^2.
    scale = min(total, second / own)
    anchors = np.array([scale**0.5, scale, scale**0.5])[:, None]
    inner = max(_INNER, 4 * np.finfo(float).eps * (second / own / scale) ** 0.5)
    worst = 0.0

    def changes(x, z):
        """The change of phi in units of std, its square, and (by Stein's lemma) its slope."""
        mean = x[:, :1] - std * z[:, :1]
        with np.errstate(all="ignore"):
            # x - mean is exact; std z, which it stands for, is not where mean is large.
            change = np.nan_to_num((phi.value(x) - _value(phi, mean)) * (z / (x - mean)))
        return np.stack([change, change**2, change * z]) + anchors[:, None]

    def given(x):
        nonlocal worst
        value, error = expectation(changes, own, x.ravel(), phi.kinks, inner)
        worst = max(worst, error.max())
        mean, square, slope = (value - anchors).reshape(3, *x.shape)
        return _value(phi, x) + std * mean, square - mean**2, slope

    def alike(x, z):
        _, spread, slope = given(x)
        return np.stack([spread, slope**2 + scale])

    def opposed(x, z):
        (value, _, slope), (other, _, other_slope) = given(x), given(-x)
        return np.stack([second - value * other, slope * other_slope + scale])

    # A kink, seen through noise of this std, is a bend as wide.
    breaks = np.add.outer(phi.kinks, std * np.array([-10, -3, 0, 3, 10])).ravel()
    if c >= 0:
        integrands = alike
    else:
        integrands, breaks = opposed, np.concatenate([breaks, -breaks])
    (first, slope), error = expectation(
        integrands,
        max(shared, np.finfo(float).tiny),
        breaks=breaks,
        tolerance=max(_OUTER, 300 * inner),
    )
    chord = first if c >= 0 else first / (q * (1 - c))
    return chord, slope - scale, (error.max() + 4 * worst) * scale


def _opposite(phi, q, second):
    """Take y = -x."""

    def integrands(x, z):
        y, mirrored = phi.value(x), phi.value(-x)
        if phi.derivative is None:
            dy, other = differentiate(x, y), -differentiate(x, mirrored)
        else:
            dy, other = phi.derivative(x), phi.derivative(-x)
        return np.stack([y * mirrored, dy * other])

    breaks = (*phi.kinks, *(-kink for kink in phi.kinks))
    (product, slope), error = expectation(integrands, q, breaks=breaks)
    chord = (second - product) / (2 * q)
    return chord, slope, error.max() * max(chord, second / q)


def _value(phi, x):
    with np.errstate(all="ignore"):
        return np.nan_to_num(phi.value(x), posinf=0, neginf=0)
