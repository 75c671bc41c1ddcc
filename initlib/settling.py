r"""Where the variance of a signal, and the angle of two, settle layer after layer.

A layer maps the variance q of its pre-activations to :math:`f(q) = \sigma_w^2 V(q) + \sigma_b^2`,
:math:`V(q) = E \phi(\sqrt q z)^2`. Whatever the activation, :math:`d \log V / d \log q \ge -1/2`,
because :math:`E \phi^2 (z^2 - 1) \ge -E \phi^2`. So there are no cycles: each orbit ends in a fixed
point, at zero or at infinity.

At a fixed point, it maps their correlation c to :math:`(\sigma_w^2 C(c) + \sigma_b^2) / q`. As C is
a power series in c with coefficients that are squares, it is convex for c > 0: c = 1 is a fixed
point, and the only stable one, or there is just one more, which is stable.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike

from initlib.roots import bracketed_roots

LengthMap = Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]
"""Returns `V` and `d log V / d log q` of an array of variances."""

SMALLEST, LARGEST = 1e-12, 1e24
"""Variances beyond these count as zero and as infinite."""

CRITICAL = 1e-9
"""A chi this near to one counts as one."""

AT_REST = 1e-13
"""A change of log q by a layer that may be rounding."""

_BOUNDS = np.log(SMALLEST), np.log(LARGEST)
_EPS = np.finfo(float).eps
_STRIDE = 0.5  # in log q
_FLAT = 1e3


def settle_variance(
    length_map: LengthMap,
    sigma_w: np.ndarray,
    sigma_b: np.ndarray,
    q0: np.ndarray,
    noise: float = 4 * _EPS,
) -> np.ndarray:
    """Follow the variance from `q0` through infinitely many layers.

    Strides in the direction of the orbit, no longer than a Newton step where the orbit slows down,
    until the direction turns; the root in between is where the orbit ends, as long as V grows with
    q. A start that is a fixed point up to rounding stays where it is, even if it is unstable.

    Parameters
    ----------
    length_map : callable
    sigma_w, sigma_b, q0 : ndarray, shape (n,)
    noise : float
        Relative error of V: a smaller change of q, one that hardly depends on q, counts as slow
        motion in the direction that the orbit has had.

    Returns
    -------
    ndarray, shape (n,)
        A fixed point, 0 or inf.
    """
    scales = np.stack([sigma_w**2, sigma_b**2])
    q_star = np.array(q0, dtype=float)
    at, u = np.arange(len(q_star)), np.log(q_star)
    change, bend = _change(length_map, u, *scales)
    direction = np.where(np.abs(change) > AT_REST, np.sign(change), 0)
    last, brackets = (u, change), []
    while at.size:
        speed, brake = direction * change, -direction * bend
        with np.errstate(divide="ignore", invalid="ignore"):
            newton = np.where(brake > 0, speed / brake, np.inf)
        # Where the change vanishes with all its derivatives, the orbit creeps on for ever.
        creeping = (np.abs(speed) <= noise) & (np.abs(brake) <= _FLAT * noise) & (direction != 0)
        leaving = creeping | np.where(direction > 0, u > _BOUNDS[1], u < _BOUNDS[0])
        leaving &= direction != 0
        turning = (speed < 0) & ~leaving
        resting = (speed == 0) | (np.abs(newton) <= 2 * _EPS * np.maximum(1, np.abs(u)))
        resting &= ~leaving & ~turning
        q_star[at[leaving]] = np.where(direction[leaving] > 0, np.inf, 0)
        q_star[at[resting]] = np.exp(u[resting])
        brackets.append([v[turning] for v in (at, *last, u, change)])
        going = ~(leaving | turning | resting)
        last = u[going], change[going]
        stride = np.maximum(speed, np.minimum(newton, _STRIDE))[going]
        at, direction = at[going], direction[going]
        u = np.clip(last[0] + direction * stride, _BOUNDS[0] - 1, _BOUNDS[1] + 1)
        if at.size:
            change, bend = _change(length_map, u, *scales[:, at])
    at, *ends = map(np.concatenate, zip(*brackets, strict=True))
    if at.size:
        roots = bracketed_roots(
            lambda *x: _change(length_map, *x)[0], ends[:2], ends[2:], *scales[:, at]
        )
        q_star[at] = np.exp(roots)
    return q_star


def _change(length_map, u, variance, bias):
    """The change of u = log q by a layer, and its derivative by u."""
    q = np.exp(u)
    v, slope = length_map(q)
    signal = variance * v
    with np.errstate(divide="ignore"):
        change = np.log((signal + bias) / q)
    share = np.divide(signal, signal + bias, out=np.zeros_like(q), where=signal > 0)
    return change, share * slope - 1


def settle_angle(
    chord: Callable[[np.ndarray, np.ndarray], np.ndarray], strength: np.ndarray, slope: np.ndarray
) -> np.ndarray:
    """Follow the angle between two signals, of any correlation in (0, 1), where they part.

    Its cosine c is a fixed point other than 1 where ``1 - c`` is kept: ``strength * chord = 1``.

    Parameters
    ----------
    chord : callable
        Maps angles, and the indices of the points that they are for, to
        `E (phi(x) - phi(y))^2 / E (x - y)^2`.
    strength : ndarray, shape (n,)
        sigma_w^2 q / f(q) at each point.
    slope : ndarray, shape (n,)
        That of the correlation map at c = 1, above one.

    Returns
    -------
    ndarray, shape (n,)
        Angles in (0, pi/2].
    """

    def excess(theta, strength, at):
        return strength * chord(theta, at) - 1

    theta, at = np.full(len(slope), np.pi / 2), np.arange(len(slope))
    end = excess(theta, strength, at)
    inside = end < -AT_REST  # else, without biases and E phi, they end at right angles
    at, end = at[inside], end[inside]
    if at.size:
        ends = (0 * end, slope[at] - 1), (theta[at], end)
        theta[at] = bracketed_roots(excess, *ends, strength[at], at)
    return theta


def depth_scale(slope: ArrayLike) -> np.ndarray:
    """Return the layers over which a deviation falls by a factor e, if a layer multiplies it so."""
    rate = np.abs(np.asarray(slope, dtype=float))
    with np.errstate(divide="ignore"):
        return np.where(rate < 1, -1 / np.log(np.minimum(rate, 1)), np.inf)


def name_phase(q_star: np.ndarray, chi_1: np.ndarray) -> np.ndarray:
    """Return "ordered", "critical", "chaotic" or "divergent"."""
    side = np.where(chi_1 < 1, "ordered", "chaotic")
    near = np.where(np.abs(chi_1 - 1) <= CRITICAL, "critical", side)
    return np.where(np.isinf(q_star), "divergent", near)
