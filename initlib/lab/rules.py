"""Rules that decide a claim: each says in words what it demands and how often it errs.

A rule of agreement (`within`) starts from the claim being true, and errs when it rejects it. A rule
of evidence (`equivalent`, `greater`, `less`, `significant`) starts from the claim being false, and
errs when it lets it pass. Either way the rate is fixed before anything is measured.

A claim may have several cells, such as one per depth. `within` widens its bound so that its rate is
that of all cells together (Šidák 1967). A rule of evidence demands each cell by itself: all of them
pass, where one of them is false, at no more than its rate.

Standard errors come from n replicates and are themselves uncertain: with n given, quantiles are
those of Student's t with n - 1 degrees of freedom.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import ndtr, ndtri, stdtrit

Values = ArrayLike | Mapping[str, float]


class Cells(NamedTuple):
    """What a rule looks at: arrays of one shape, one element a cell; NaN where nothing was given.

    Without `n` the standard error counts as known.
    """

    measured: np.ndarray
    predicted: np.ndarray
    se: np.ndarray
    n: np.ndarray
    p: np.ndarray


@dataclass(frozen=True)
class Rule:
    """A decision for each cell, made before the measurement.

    Parameters
    ----------
    words : str
        What it demands, and its error rate.
    decide : callable
        Cells to an array of bool.
    needs : tuple of str
        Which of predicted, se and p must be given.
    """

    words: str
    decide: Callable[[Cells], np.ndarray] = field(repr=False, compare=False)
    needs: tuple[str, ...] = ()

    def passes(
        self,
        measured: Values,
        predicted: Values | None = None,
        se: Values | None = None,
        n: int | None = None,
        p: Values | None = None,
    ) -> np.ndarray:
        """Decide each cell; one that isn't finite doesn't pass.

        Parameters
        ----------
        measured : float, array_like or mapping of str to float
            One value a cell; a mapping names the cells.
        predicted, se, n, p : of the same shape, or one for all cells, optional
            Prediction, standard error, replicates behind it, p-value.

        Returns
        -------
        ndarray of bool
            Of the shape of `measured`.

        Raises
        ------
        ValueError
            When something that the rule needs is missing or makes no sense.

        Examples
        --------
        >>> within(4).passes([1.01, 1.5], predicted=1.0, se=0.01)
        array([ True, False])
        """
        cells = self._cells(measured, {"predicted": predicted, "se": se, "n": n, "p": p})
        with np.errstate(invalid="ignore"):
            return self.decide(cells) & np.isfinite(cells.measured)

    def _cells(self, measured: Values, given: dict[str, Values | None]) -> Cells:
        for name in self.needs:
            if given[name] is None:
                raise ValueError(f"the rule '{self.words}' needs {name}=")
        names = [list(v) for v in (measured, *given.values()) if isinstance(v, Mapping)]
        if any(sorted(other) != sorted(names[0]) for other in names):
            raise ValueError(f"the cells have different names: {names}")
        arrays = [_array(v, names[0] if names else []) for v in (measured, *given.values())]
        if arrays[0].size == 0:
            raise ValueError("nothing was measured")
        try:
            cells = Cells(*(np.broadcast_to(array, arrays[0].shape) for array in arrays))
        except ValueError:
            shapes = dict(zip(Cells._fields, (array.shape for array in arrays), strict=True))
            raise ValueError(f"shapes don't match: {shapes}") from None
        if given["predicted"] is not None and not np.isfinite(cells.predicted).all():
            raise ValueError(f"predicted= must be finite, got {given['predicted']}")
        if (cells.n < 2).any():
            raise ValueError(f"a standard error needs n >= 2, got {given['n']}")
        usable = (cells.se > 0) & np.isfinite(cells.se)
        if "se" in self.needs and (np.isfinite(cells.measured) & ~usable).any():
            raise ValueError(
                f"se= must be positive and finite, got {given['se']}; if nothing is random, "
                "use rules.exact"
            )
        return cells


def _array(value: Values | None, names: list[str]) -> np.ndarray:
    if value is None:
        return np.array(np.nan)
    if isinstance(value, Mapping):
        value = [value[name] for name in names]
    return np.asarray(value, dtype=np.float64)


def within(z: float = 4.0) -> Rule:
    """Demand that the measurement lie within `z` standard errors of the prediction.

    Parameters
    ----------
    z : float
        Bound for one cell and a known standard error. With replicates or more cells the bound
        grows, so that the error rate stays P(|N(0, 1)| > z).

    Examples
    --------
    >>> within(4).words
    'within 4 standard errors of the prediction; a true claim is rejected at a rate of 6.3e-05'
    """
    _check_positive(z=z)
    alpha = 2 * ndtr(-z)

    def decide(cells: Cells) -> np.ndarray:
        per_cell = -np.expm1(np.log1p(-alpha) / cells.measured.size)
        bound = _upper_quantile(per_cell / 2, cells.n) * cells.se
        return np.abs(cells.measured - cells.predicted) <= bound

    return Rule(
        f"within {z:g} standard errors of the prediction; "
        f"a true claim is rejected at a rate of {alpha:.1e}",
        decide,
        ("predicted", "se"),
    )


def equivalent(margin: float, alpha: float = 0.05) -> Rule:
    """Demand that the measurement be equal to the prediction up to `margin`, beyond doubt.

    Two one-sided tests: the 1 - 2 alpha interval lies inside the margin.

    Parameters
    ----------
    margin : float
        The largest difference that doesn't matter, in the units of the measurement.
    alpha : float
        Rate at which a difference as large as the margin passes.

    References
    ----------
    Schuirmann 1987.
    """
    _check_positive(margin=margin)
    _check_rate(alpha)

    def decide(cells: Cells) -> np.ndarray:
        reach = _upper_quantile(alpha, cells.n) * cells.se
        return np.abs(cells.measured - cells.predicted) + reach <= margin

    return Rule(
        f"{100 * (1 - 2 * alpha):g}% interval within {margin:g} of the prediction; "
        f"a larger difference passes at a rate of at most {alpha:g}",
        decide,
        ("predicted", "se"),
    )


def greater(than: float = 0.0, alpha: float = 0.05) -> Rule:
    """Demand that the measurement exceed a level, beyond doubt.

    Parameters
    ----------
    than : float
        The level.
    alpha : float
        Rate at which a value that is no greater passes.
    """
    _check_rate(alpha)

    def decide(cells: Cells) -> np.ndarray:
        return cells.measured - _upper_quantile(alpha, cells.n) * cells.se > than

    words = f"greater than {than:g} at level {alpha:g}; a value that is not passes at this rate"
    return Rule(words, decide, ("se",))


def less(than: float = 0.0, alpha: float = 0.05) -> Rule:
    """Demand that the measurement stay below a level, beyond doubt; see `greater`."""
    _check_rate(alpha)

    def decide(cells: Cells) -> np.ndarray:
        return cells.measured + _upper_quantile(alpha, cells.n) * cells.se < than

    words = f"less than {than:g} at level {alpha:g}; a value that is not passes at this rate"
    return Rule(words, decide, ("se",))


def significant(alpha: float = 0.05) -> Rule:
    """Demand a p-value, such as that of `initlib.lab.estimates.paired`, of at most `alpha`."""
    _check_rate(alpha)
    return Rule(
        f"p <= {alpha:g}; a difference that isn't there passes at this rate",
        lambda cells: cells.p <= alpha,
        ("p",),
    )


def exact(rtol: float = 1e-9, atol: float = 0.0) -> Rule:
    """Demand an identity: nothing in it is random, so only round-off may differ.

    Parameters
    ----------
    rtol, atol : float
        |measured - predicted| <= atol + rtol |predicted|.
    """
    if rtol < 0 or atol < 0 or rtol + atol == 0:
        raise ValueError(f"one of rtol and atol must be positive, got {rtol} and {atol}")

    def decide(cells: Cells) -> np.ndarray:
        return np.abs(cells.measured - cells.predicted) <= atol + rtol * np.abs(cells.predicted)

    tolerances = {"relative": rtol, "absolute": atol}
    bound = " plus ".join(f"{value:g} {kind}" for kind, value in tolerances.items() if value)
    return Rule(f"equal up to {bound}; deterministic", decide, ("predicted",))


def _upper_quantile(alpha: float, n: np.ndarray) -> np.ndarray:
    known = np.isnan(n)
    return np.where(known, -ndtri(alpha), -stdtrit(np.where(known, 2, n) - 1, alpha))


def _check_positive(**numbers: float) -> None:
    for name, number in numbers.items():
        if not (number > 0 and np.isfinite(number)):
            raise ValueError(f"{name} must be positive and finite, got {number}")


def _check_rate(alpha: float) -> None:
    if not 0 < alpha < 0.5:
        raise ValueError(f"alpha must lie between 0 and 0.5, got {alpha}")
