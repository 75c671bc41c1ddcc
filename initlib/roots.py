"""Roots of many functions at once, each shut in between two points where its sign differs."""

from collections.abc import Callable

import numpy as np

_EPS = np.finfo(float).eps
_MOST = 200  # bisection alone would take 64 steps; interpolation is never much slower


def bracketed_roots(
    f: Callable[..., np.ndarray],
    low: tuple[np.ndarray, np.ndarray],
    high: tuple[np.ndarray, np.ndarray],
    *parameters: np.ndarray,
) -> np.ndarray:
    """Solve `f(x, *parameters) = 0` between two points, to the last digits of x.

    Bisection, with inverse quadratic interpolation wherever that is safe (Chandrupatla 1997).

    Parameters
    ----------
    f : callable
        Takes 1-d arrays: some of the points, and the parameters that go with them.
    low, high : pair of ndarray, shape (n,)
        Values of x, and those of `f` there: of different signs, or zero.
    *parameters : ndarray, shape (n,)

    Returns
    -------
    ndarray, shape (n,)

    Raises
    ------
    ValueError
        If the signs are the same at both ends.

    Examples
    --------
    >>> a = np.array([2.0, 4.0])
    >>> bracketed_roots(lambda x, a: x * x - a, (a - a, -a), (a, a * a - a), a)
    array([1.41421356, 2.        ])
    """
    (a, fa), (b, fb) = low, high
    if np.any(fa * fb > 0):
        raise ValueError("f has the same sign at both ends of an interval")
    root = np.where(np.abs(fa) < np.abs(fb), a, b)
    at, c, fc = np.arange(len(a)), a, fa
    step = np.full(len(a), 0.5)
    for _ in range(_MOST):
        best = np.where(np.abs(fa) < np.abs(fb), a, b)
        root[at] = best
        enough = (2 * _EPS * np.abs(best) + np.finfo(float).tiny) / np.maximum(
            np.abs(b - a), 1e-300
        )
        open_ = (enough < 0.5) & (np.minimum(np.abs(fa), np.abs(fb)) > 0)
        if not open_.any():
            break
        a, b, c, fa, fb, fc, at, step, enough = (
            v[open_] for v in (a, b, c, fa, fb, fc, at, step, enough)
        )
        parameters = tuple(p[open_] for p in parameters)
        x = a + np.clip(step, enough, 1 - enough) * (b - a)
        fx = f(x, *parameters)
        same = np.sign(fx) == np.sign(fa)
        c, fc = np.where(same, a, b), np.where(same, fa, fb)
        b, fb = np.where(same, b, a), np.where(same, fb, fa)
        a, fa = x, fx
        step = _interpolated(a, b, c, fa, fb, fc)
    return root


def _interpolated(a, b, c, fa, fb, fc):
    """The step from a towards b, as a part of b - a: c is the point that was left before."""
    with np.errstate(all="ignore"):
        x, y = (a - b) / (c - b), (fa - fb) / (fc - fb)
        step = fa / (fb - fa) * fc / (fb - fc) + (c - a) / (b - a) * fa / (fc - fa) * fb / (fc - fb)
        monotone = (y * y < x) & ((1 - y) ** 2 < 1 - x) & np.isfinite(step)
    return np.where(monotone, step, 0.5)
