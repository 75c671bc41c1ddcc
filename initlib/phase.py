"""Order and chaos over a grid of weight and bias scales, fast."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.polynomial import chebyshev
from numpy.typing import ArrayLike

from initlib.activations import Activation, Function
from initlib.callables import as_activation
from initlib.checks import check_not_negative, check_number
from initlib.correlation import Correlation
from initlib.lengths import Lengths
from initlib.log_tables import chebyshev_series, node_count
from initlib.meanfield import MeanField
from initlib.settling import (
    CRITICAL,
    depth_scale,
    name_phase,
    settle_angle,
)

Progress = Callable[[int, int], object]

_ANGLES, _MOST_VARIANCES = 36, 48  # of the table of chords: ten digits


class PhaseDiagram(NamedTuple):
    """Mean-field theory on a grid, one row for each `sigma_b`, one column for each `sigma_w`."""

    sigma_w: np.ndarray
    sigma_b: np.ndarray
    q_star: np.ndarray
    chi_q: np.ndarray
    chi_1: np.ndarray
    phase: np.ndarray
    c_star: np.ndarray | None
    chi_c: np.ndarray | None

    @property
    def xi_q(self) -> np.ndarray:
        """Layers over which a deviation of the variance falls by a factor e."""
        return depth_scale(self.chi_q)

    @property
    def xi_c(self) -> np.ndarray | None:
        """Layers over which a deviation of the correlation falls by a factor e."""
        return None if self.chi_c is None else depth_scale(self.chi_c)


def phase_diagram(
    activation: str | Activation | Function,
    sigma_w: ArrayLike,
    sigma_b: ArrayLike,
    *,
    q0: float = 1.0,
    correlations: bool = True,
    progress: Progress | None = None,
) -> PhaseDiagram:
    r"""Compute the mean-field theory of an activation on a grid of scales.

    What `MeanField` gives point by point, from interpolation tables: 200 x 200 points of a smooth
    activation take about a tenth of a second. It is accurate to 1e-9 (1e-7 with kinks) in
    `q_star` relative to max(1, q), `chi_1`, `chi_q`, `c_star` and `chi_c`.

    Correlations of an activation with kinks (but not those of ReLU) take some 1700 integrals in two
    dimensions, about ten seconds: leave them out, or watch their `progress`.

    Parameters
    ----------
    activation : str, Activation or callable
        A name (see `activation`), or an elementwise function of NumPy arrays or torch tensors.
    sigma_w, sigma_b : array, shape (n,) and (m,)
        The scales of weights and biases, as in `MeanField`.
    q0 : float
        The variance to start from.
    correlations : bool
        Whether to compute `c_star` and `chi_c`; otherwise they are None.
    progress : callable, optional
        Called now and then as ``progress(done, total)`` if it takes long.

    Returns
    -------
    PhaseDiagram
        Arrays of shape (m, n), as `matplotlib.pyplot.contourf(sigma_w, sigma_b, ...)` takes them:
        `q_star`, `chi_q`, `chi_1`, `phase`, `c_star`, `chi_c`, and the depth scales `xi_q` and
        `xi_c`. Near criticality these are large: draw 1 / xi.

    Raises
    ------
    ValueError
        As in `MeanField`.

    Examples
    --------
    >>> diagram = phase_diagram("tanh", sigma_w=np.linspace(0.5, 4, 8), sigma_b=[0.0, 0.5, 1.0])
    >>> diagram.phase[0, :3]
    array(['ordered', 'critical', 'chaotic'], dtype='<U9')
    >>> diagram.xi_c[1].round(2)
    array([ 0.57,  1.84, 29.89,  6.45,  4.68,  4.07,  3.73,  3.5 ])

    References
    ----------
    Poole et al. 2016, figure 1; Schoenholz et al. 2017.
    """
    phi = as_activation(activation)
    sigma_w = np.atleast_1d(check_not_negative("sigma_w", sigma_w))
    sigma_b = np.atleast_1d(check_not_negative("sigma_b", sigma_b))
    if sigma_w.ndim > 1 or sigma_b.ndim > 1:
        raise ValueError(
            "sigma_w and sigma_b are the two axes of the grid: arrays of one dimension"
        )
    q0 = check_number("q0", q0, low=1e-12, high=1e24)
    w, b = (axis.ravel() for axis in np.meshgrid(sigma_w, sigma_b))
    q_star, chi_q, chi_1 = Lengths(phi, w, b, q0).settle(w, b)
    fields = [q_star, chi_q, chi_1, name_phase(q_star, chi_1)]
    if correlations:
        fields += _meeting(phi, w, b, q_star, chi_1, q0, progress)
    shape = len(sigma_b), len(sigma_w)
    grids = [field.reshape(shape) for field in fields]
    return PhaseDiagram(sigma_w, sigma_b, *grids, *([None] * (6 - len(grids))))


def _meeting(phi, w, b, q, chi_1, q0, progress):
    """c_star and chi_c."""
    c, chi_c = np.ones(q.shape), chi_1.copy()
    divergent = np.isinf(q)
    if divergent.any():  # the limit is the same for all
        first = divergent.argmax()
        net = MeanField(phi, w[first], b[first], q0=q0)
        c[divergent], chi_c[divergent] = net.c_star, net.chi_c
    parting = np.flatnonzero(~divergent & (chi_1 > 1 + CRITICAL))
    if parting.size:
        chords = _Chords(phi, q[parting], progress)
        strength = w[parting] ** 2
        theta = settle_angle(chords.chord, strength, chi_1[parting])
        c[parting] = np.where(theta < np.pi / 2, np.cos(theta), 0)
        chi_c[parting] = strength * chords.slope(theta)
    return c, chi_c


class _Chords:
    """The chord (see `correlation`) at many variances, from a table in log q and in the angle.

    Angles are stretched where large signals see a function change, at theta of 1 / sqrt(q).
    """

    def __init__(self, phi, q, progress):
        self._root = np.sqrt(q)
        low, high = q.min(), max(q.max(), q.min() * 1.001)
        n, half_width = min(node_count(low, high), _MOST_VARIANCES), np.log(high / low) / 2
        nodes = low * np.exp(half_width * (1 + chebyshev.chebpts1(n)))
        places = (1 + chebyshev.chebpts1(_ANGLES)) / 2
        reach = np.arcsinh(np.sqrt(nodes) * np.pi / 2)
        theta = np.sinh(np.outer(reach, places)) / np.sqrt(nodes)[:, None]
        pairs = Correlation(phi, nodes)
        which = np.repeat(np.arange(n), _ANGLES)
        chords = pairs(theta.ravel(), which, progress)[0].reshape(theta.shape)
        # A jump makes the chord infinite, like the inverse of the angle.
        self._jumps = np.isinf(pairs.moments.squared_derivative[0])
        series = chebyshev_series(chebyshev_series(chords * self._weight(theta)).T)
        place = np.clip(np.log(q / low) / half_width - 1, -1, 1)
        self._series = series @ chebyshev.chebvander(place, n - 1).T
        self._reach = np.arcsinh(self._root * np.pi / 2)

    def _weight(self, theta):
        return np.sin(theta / 2) if self._jumps else np.ones_like(theta)

    def chord(self, theta, at):
        """The chord at ``q[at]``."""
        place = 2 * np.arcsinh(self._root[at] * theta) / self._reach[at] - 1
        return _clenshaw(place, self._series[:, at]) / self._weight(theta)

    def slope(self, theta):
        """E phi'(x) phi'(y) at every q: the chord and tan(theta / 2) times its derivative."""
        place = 2 * np.arcsinh(self._root * theta) / self._reach - 1
        stretch = 2 * self._root / self._reach / np.hypot(1, self._root * theta)
        bend = _clenshaw(place, chebyshev.chebder(self._series)) * stretch / self._weight(theta)
        own = self.chord(theta, slice(None)) * (0.5 if self._jumps else 1)
        return own + np.tan(theta / 2) * bend


def _clenshaw(x, series):
    """Sum a Chebyshev series, a column of its own for every x."""
    later, latest = np.zeros_like(x), np.zeros_like(x)
    for coefficient in series[:0:-1]:
        latest, later = coefficient + 2 * x * latest - later, latest
    return series[0] + x * latest - later
