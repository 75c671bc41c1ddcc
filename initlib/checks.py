"""Checks of arguments whose errors say what was given, what was expected and what to try."""

import difflib
import math
from collections.abc import Iterable


def did_you_mean(name: object, known: Iterable[str]) -> str:
    """Return ``"; did you mean 'x'?"`` for the known names close to `name`, or an empty string.

    Examples
    --------
    >>> did_you_mean("he_norml", ["he_normal", "orthogonal"])
    "; did you mean 'he_normal'?"
    """
    near = difflib.get_close_matches(str(name).lower(), list(known), n=3)
    return f"; did you mean {' or '.join(map(repr, near))}?" if near else ""


def check_number(what: str, value: float, low: float = -math.inf, high: float = math.inf) -> float:
    """Return `value` as a float, or refuse what is not a finite number in [low, high].

    Raises
    ------
    TypeError
        If `value` is not a number.
    ValueError
        If it is NaN, infinite or out of range.
    """
    try:
        finite = math.isfinite(value)
    except (TypeError, ValueError, RuntimeError):  # a tensor of several elements: ValueError
        raise TypeError(f"{what} must be a number, got {value!r}") from None
    if not (finite and low <= value <= high):
        bounds = {
            (False, False): "",
            (True, False): f" >= {low:g}",
            (False, True): f" <= {high:g}",
            (True, True): f" in [{low:g}, {high:g}]",
        }[math.isfinite(low), math.isfinite(high)]
        raise ValueError(f"{what} must be a finite number{bounds}, got {value}")
    return float(value)
