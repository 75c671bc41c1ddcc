"""What an activation does to the variance of a signal, fast for many scales."""

import numpy as np

from initlib.activations import Activation
from initlib.log_tables import LogTable
from initlib.responses import product, respond
from initlib.settling import SMALLEST, settle_variance

_NOISE = 1e-10  # of the table
_STEEPEST = 100.0  # d log V / d log q: a bound, for where V is less than rounding


class Lengths:
    """E phi^2 and E phi'^2 as functions of the variance, by closed form or from a table.

    Parameters
    ----------
    phi : Activation
    w, b : ndarray
        The scales sigma_w and sigma_b to come: the table covers all between their extremes.
    q0 : float
        The variance to start from.
    """

    def __init__(self, phi: Activation, w: np.ndarray, b: np.ndarray, q0: float):
        self._phi, self._q0, self._table = phi, q0, None
        if phi.closed_form is not None:
            return
        # No orbit climbs beyond a variance that falls even at the largest scales.
        ladder = max(q0, 1) * 10.0 ** np.arange(1, 13)
        signals = respond(phi, np.append(ladder, 0.0)).v
        falls = w.max() ** 2 * signals[:-1] + b.max() ** 2 < ladder
        high = ladder[falls.argmax()] if falls.any() else ladder[-1]
        least = w.min() ** 2 * signals.min() + b.min() ** 2
        low = max(min(q0, least), SMALLEST) / 2
        # Scaled to vary little: V is about this at q to zero, and grows by this power beyond one.
        ends = respond(phi, np.array([low, high]))
        self._floor = ends.v[0]
        self._power = max(0.0, ends.slope[1] * high / max(ends.v[1], low) - 1)

        def scaled(q):
            r = respond(phi, q)
            d = np.where(np.isfinite(r.d), r.d, 0)
            return np.stack([r.v / (q + self._floor), d], axis=1) / (1 + q[:, None]) ** self._power

        self._table = LogTable(scaled, low, high)
        self._jumps = np.isinf(ends.d[0])

    def settle(self, w: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Compute q_star, chi_q and chi_1, at pairs of scales, arrays of shape (n,)."""
        noise = {} if self._table is None else {"noise": _NOISE}
        q_star = settle_variance(self._length_map, w, b, np.full(w.shape, self._q0), **noise)
        slope, d = self._rates(q_star)
        return q_star, w**2 * slope, product(w**2, d)

    def _length_map(self, q):
        """E phi^2 and its slope in logarithms."""
        if self._table is None:
            r = respond(self._phi, q)
            return r.v, r.slope * q / np.maximum(r.v, np.finfo(float).tiny)
        inside = np.clip(q, self._table.low, self._table.high)
        share, change = self._table(inside, 0)
        share = np.maximum(share, np.finfo(float).tiny)
        v = share * (inside + self._floor) * (1 + inside) ** self._power
        log_slope = inside / (inside + self._floor) + self._power * inside / (1 + inside)
        log_slope = np.clip(log_slope + change / share, -0.5, _STEEPEST)
        return v * (q / inside) ** log_slope, log_slope

    def _rates(self, q):
        """dV / dq and E phi'^2 at fixed points, zero and infinity included."""
        between = (q > 0) & np.isfinite(q)
        slope, d = np.empty(q.shape), np.empty(q.shape)
        for some, limit in ((q == 0, 0.0), (q == np.inf, np.inf)):
            r = respond(self._phi, np.array([limit]))
            slope[some], d[some] = r.slope, r.d
        q = q[between]
        if self._table is None:
            r = respond(self._phi, q)
            slope[between], d[between] = r.slope, r.d
        else:
            v, log_slope = self._length_map(q)
            slope[between] = v * log_slope / q
            scaled = self._table(q, 1)[0] * (1 + q) ** self._power
            d[between] = np.inf if self._jumps else scaled
        return slope, d
