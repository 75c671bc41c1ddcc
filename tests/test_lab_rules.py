"""A rule errs as often as it says, in either direction."""

import re

import numpy as np
import pytest

from initlib.lab import rules
from initlib.sampling import normal, stream_key

TRIALS = 20_000


def replicate(word, n, mean=0.0, cells=1):
    """Means and standard errors of `n` normal replicates with unit variance, TRIALS times."""
    values = normal(stream_key(0, word), 0, TRIALS * cells * n, np.float64)
    values = values.reshape(TRIALS, cells, n) + mean
    return values.mean(-1), values.std(-1, ddof=1) / np.sqrt(n)


def rate(rule, means, errors, n, predicted=0.0):
    passed = [rule.passes(m, predicted, se, n).all() for m, se in zip(means, errors, strict=True)]
    return np.mean(passed)


def binomial_bound(p):
    """Five standard errors of a rate of TRIALS: alpha = 6e-7 for a correct rule."""
    return 5 * np.sqrt(p * (1 - p) / TRIALS)


@pytest.mark.parametrize(("n", "cells"), [(5, 1), (8, 1), (8, 6)])
def test_within_rejects_a_true_claim_at_its_rate(n, cells):
    rule = rules.within(z=2)  # rate 0.0455 for all cells together
    means, errors = replicate(f"within {n} {cells}", n, cells=cells)
    assert abs(rate(rule, means, errors, n) - (1 - 0.0455)) < binomial_bound(0.0455)


@pytest.mark.parametrize(
    ("rule", "truth"),
    [
        (rules.greater(than=0.3, alpha=0.05), 0.3),
        (rules.less(than=0.3, alpha=0.05), 0.3),
        (rules.equivalent(margin=2.0, alpha=0.05), 2.0),
        (rules.equivalent(margin=2.0, alpha=0.05), -2.0),
    ],
    ids=["greater", "less", "equivalent above", "equivalent below"],
)
def test_evidence_passes_a_false_claim_at_its_rate(rule, truth):
    means, errors = replicate(f"evidence {rule.words} {truth}", 8, mean=truth)
    assert abs(rate(rule, means, errors, 8) - 0.05) < binomial_bound(0.05)


@pytest.mark.parametrize(
    ("rule", "arguments", "passes"),
    [
        (rules.within(4), {"measured": 1.03, "predicted": 1, "se": 0.01}, True),
        (rules.within(4), {"measured": 1.05, "predicted": 1, "se": 0.01}, False),
        (rules.within(4), {"measured": 1.05, "predicted": 1, "se": 0.01, "n": 8}, True),
        (rules.equivalent(0.1), {"measured": 1.05, "predicted": 1, "se": 0.01}, True),
        (rules.equivalent(0.1), {"measured": 1.05, "predicted": 1, "se": 0.05}, False),
        (rules.greater(0.5), {"measured": 0.6, "se": 0.01}, True),
        (rules.less(0.5), {"measured": 0.6, "se": 0.01}, False),
        (rules.significant(0.01), {"measured": 2.0, "p": 0.01}, True),
        (rules.significant(0.01), {"measured": 2.0, "p": 0.02}, False),
        (rules.exact(1e-9), {"measured": 1 + 1e-10, "predicted": 1.0}, True),
        (rules.exact(1e-9), {"measured": 1 + 1e-8, "predicted": 1.0}, False),
        (rules.exact(0, atol=1e-9), {"measured": 1e-10, "predicted": 0.0}, True),
        (rules.exact(1e-9), {"measured": np.nan, "predicted": 1.0}, False),
        (rules.greater(0.5), {"measured": np.inf, "se": 1.0}, False),
        (rules.within(4), {"measured": np.nan, "predicted": 1.0, "se": np.nan}, False),
    ],
)
def test_decisions(rule, arguments, passes):
    assert rule.passes(**arguments) == passes


def test_named_cells_are_matched_by_name():
    measured, predicted = {"a": 1.0, "b": 2.0}, {"b": 2.0, "a": 1.0}
    assert rules.exact().passes(measured, predicted).tolist() == [True, True]
    assert rules.exact().passes(measured, 1.0).tolist() == [True, False]


@pytest.mark.parametrize(
    ("rule", "arguments", "message"),
    [
        (rules.within(4), {"measured": 1.0, "predicted": 1.0}, "needs se="),
        (rules.within(4), {"measured": 1.0, "se": 1.0}, "needs predicted="),
        (rules.significant(), {"measured": 1.0}, "needs p="),
        (rules.within(4), {"measured": 1.0, "predicted": 1.0, "se": 0.0}, "use rules.exact"),
        (rules.within(4), {"measured": 1.0, "predicted": 1.0, "se": np.nan}, "positive and finite"),
        (rules.within(4), {"measured": 1.0, "predicted": np.nan, "se": 1.0}, "predicted="),
        (rules.within(4), {"measured": 1.0, "predicted": 1.0, "se": 1.0, "n": 1}, "n >= 2"),
        (rules.exact(), {"measured": [], "predicted": 1.0}, "nothing was measured"),
        (rules.exact(), {"measured": 1.0, "predicted": [1.0, 2.0]}, "shapes don't match"),
        (rules.exact(), {"measured": {"a": 1.0}, "predicted": {"b": 1.0}}, "different names"),
    ],
)
def test_what_a_rule_cannot_decide_is_an_error(rule, arguments, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        rule.passes(**arguments)


@pytest.mark.parametrize(
    "make",
    [
        lambda: rules.within(0),
        lambda: rules.equivalent(-1),
        lambda: rules.equivalent(1, alpha=0.7),
        lambda: rules.greater(0, alpha=0),
        lambda: rules.significant(1.0),
        lambda: rules.exact(0),
    ],
)
def test_a_rule_without_sense_cannot_be_made(make):
    with pytest.raises(ValueError, match="must"):
        make()


def test_a_rule_says_its_error_rate():
    for rule in (rules.within(), rules.equivalent(1), rules.greater(), rules.significant()):
        assert re.search(r"at (a|this) rate", rule.words)
