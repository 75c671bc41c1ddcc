"""Statements in parts: a test for each, and Holm's correction over all parts of all statements."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from initlib.lab.estimates import Estimate, holm, paired

__all__ = ["adjusted", "exceeds", "matches", "summary", "worst"]


def exceeds(differences: ArrayLike, margin: float = 0.0) -> Estimate:
    """Test whether a paired difference is above a margin.

    Parameters
    ----------
    differences
        One for each pair of seeds, shape (n,), n >= 8.
    margin
        What it has to exceed.

    Returns
    -------
    Estimate
        The mean difference with its bootstrap interval, and p of Wilcoxon's signed-rank test of
        the differences less the margin, one-sided.

    Examples
    --------
    >>> exceeds([0.9, 1.1, 1.3, 0.8, 1.2, 1.0, 0.7, 1.4], margin=0.5).p
    0.00390625
    """
    differences = np.asarray(differences, dtype=np.float64)
    test = paired(differences, np.full_like(differences, margin), alternative="greater")
    return test._replace(value=test.value + margin, low=test.low + margin, high=test.high + margin)


def matches(differences: ArrayLike, margin: float) -> Estimate:
    """Test whether a paired difference is within a margin of zero: two tests, each one-sided.

    Returns
    -------
    Estimate
        As in `exceeds`; p is the larger one of the two.
    """
    differences = np.asarray(differences, dtype=np.float64)
    above, below = exceeds(differences, -margin), exceeds(-differences, -margin)
    return above._replace(p=max(above.p, below.p))


def worst(tests: Sequence[Estimate]) -> Estimate:
    """Return the test with the largest p: all of several hold if this one does.

    Their union needs no correction (Berger 1982).
    """
    return max(tests, key=lambda test: test.p)


def adjusted(
    statements: Mapping[str, Mapping[str, Estimate]],
) -> dict[str, dict[str, Estimate]]:
    """Replace the p of each part by Holm's over all parts of all statements."""
    places = [(statement, part) for statement, parts in statements.items() for part in parts]
    corrected = holm([statements[statement][part].p for statement, part in places])
    result: dict[str, dict[str, Estimate]] = {statement: {} for statement in statements}
    for (statement, part), p in zip(places, corrected, strict=True):
        result[statement][part] = statements[statement][part]._replace(p=float(p))
    return result


def summary(
    statements: Mapping[str, Mapping[str, Estimate]], ratios: Sequence[str]
) -> pd.DataFrame:
    """Return a row for each part: statement, part, effect, low, high, n, p and whether it holds.

    Parameters
    ----------
    statements
        From `adjusted`.
    ratios
        Words in the names of parts whose effect is the logarithm of a ratio; it is shown as ratio.
    """
    rows = []
    for statement, parts in statements.items():
        for part, test in parts.items():
            numbers = np.array([test.value, test.low, test.high])
            effect, low, high = np.exp(numbers) if any(word in part for word in ratios) else numbers
            holds = "holds" if test.p <= 0.05 else "fails"
            rows.append((statement, part, effect, low, high, test.n, test.p, holds))
    columns = ["statement", "part", "effect", "low", "high", "n", "adjusted p", "part holds"]
    return pd.DataFrame(rows, columns=columns)
