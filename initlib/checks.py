"""Checks of arguments whose errors say what was given, what was expected and what to try."""

import difflib
import math
from collections.abc import Iterable

import numpy as np
from numpy.typing import ArrayLike


def did_you_mean(name: object, known: Iterable[str]) -> str:
    """Return ``"; did you mean 'x'?"`` for the known names close to `name`, or an empty string.

    Examples
    --------
    >>> did_you_mean("he_norml", ["he_normal", "orthogonal"])
    "; did you mean 'he_normal'?"
    """
    near = difflib.get_close_matches(str(name).lower(), list(known), n=3)
    return f"; did you mean {' or '.join(map(repr, near))}?" if near else ""


def check_number(
    what: str,
    value: float,
    low: float = -math.inf,
    high: float = math.inf,
    *,
    finite: bool = True,
) -> float:
    """Return `value` as a float, or refuse what is not a number in [low, high].

    Raises
    ------
    TypeError
        If `value` is not a number.
    ValueError
        If it is NaN, out of range, or infinite where it must be `finite`.
    """
    try:
        usable = math.isfinite(value) if finite else not math.isnan(value)
    except (TypeError, ValueError, RuntimeError):  # a tensor of several elements: RuntimeError
        raise TypeError(f"{what} must be a number, got {value!r}") from None
    if not (usable and low <= value <= high):
        kind = "a finite number" if finite else "a number"
        above = f" >= {low:g}" if math.isfinite(low) else ""
        limits = f" in [{low:g}, {high:g}]" if math.isfinite(high) else above
        raise ValueError(f"{what} must be {kind}{limits}, got {value}")
    return float(value)


def check_count(what: str, value: int, low: int = 1) -> int:
    """Return `value` as an int, or refuse what is not a whole number from `low` on."""
    number = check_number(what, value, low=low)
    if number != int(number):
        raise ValueError(f"{what} must be a whole number, got {value}")
    return int(number)


def check_not_negative(what: str, value: ArrayLike) -> np.ndarray:
    """Return finite numbers that are not negative as an array, or refuse them."""
    try:
        array = np.asarray(value, dtype=float)
    except (TypeError, ValueError):
        raise TypeError(f"{what} must be a number or an array of numbers, got {value!r}") from None
    if not np.all((array >= 0) & np.isfinite(array)):
        raise ValueError(f"{what} must be finite and not negative, got {value}")
    return array
