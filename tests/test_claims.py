"""A claim is stated before it is measured, and its verdict is on disk at once."""

import json

import numpy as np
import pytest

from initlib.lab import claims as module
from initlib.lab.claims import Claims
from initlib.lab.estimates import estimate, paired
from initlib.lab.rules import exact, greater, significant, within


@pytest.fixture
def claims(tmp_path):
    return Claims("05-toy", folder=tmp_path)


def results(claims):
    return json.loads(claims.path.read_text(encoding="utf-8"))


def test_a_decided_claim_is_written_at_once(claims):
    claims.state("he-forward", "q keeps its size", within(4), predicted=1.0, source="He 2015, 10")
    assert not claims.path.exists()
    assert claims.measure("he-forward", np.float32(1.5), se=0.25, n=8) == "holds"
    assert results(claims) == {
        "notebook": "05-toy",
        "claims": [
            {
                "id": "he-forward",
                "sentence": "q keeps its size",
                "source": "He 2015, 10",
                "covers": [],
                "corrects": "",
                "predicted": 1.0,
                "measured": 1.5,
                "se": 0.25,
                "n": 8,
                "cells": None,
                "verdict": "holds",
                "rule": within(4).words,
            }
        ],
        "numbers": {},
    }


@pytest.mark.parametrize(
    ("measured", "part", "verdict", "cells"),
    [
        (1.0, 0.5, "holds", None),
        (2.0, 0.5, "fails", None),
        (np.nan, 0.5, "fails", None),
        ([1.0, 1.0], 0.5, "holds", [True, True]),
        ([1.0, 2.0], 0.5, "holds in part", [True, False]),
        ([1.0, 2.0], 0.6, "fails", [True, False]),
        ({"22 layers": 1.0, "30 layers": np.inf}, 0.5, "holds in part", [True, False]),
    ],
)
def test_verdicts(claims, measured, part, verdict, cells):
    claims.state("ratio", "The ratio is 1.", exact(), predicted=1.0, part=part)
    assert claims.measure("ratio", measured) == verdict
    (claim,) = results(claims)["claims"]
    assert (claim["verdict"], claim["cells"]) == (verdict, cells)


def test_an_estimate_brings_its_error_and_p(claims):
    samples = np.arange(1.0, 9.0)
    claims.state("mean", "The mean is positive.", greater(0))
    assert claims.measure("mean", estimate(samples)) == "holds"
    claims.state("pairs", "The arms differ.", significant(0.01))
    assert claims.measure("pairs", paired(samples, np.zeros(8))) == "holds"
    assert [claim["n"] for claim in results(claims)["claims"]] == [8, 8]


def test_cells_may_bring_a_p_each(claims):
    sure, unsure = np.arange(1.0, 9.0), np.array([1.0, -1.1, 1.2, -1.3, 1.4, -1.5, 1.6, -1.7])
    cells = {"sure": paired(sure, np.zeros(8)), "unsure": paired(unsure, np.zeros(8))}
    claims.state("each", "The arms differ in each.", significant(0.01))
    assert claims.measure("each", cells) == "holds in part"
    assert results(claims)["claims"][0]["cells"] == [True, False]
    claims.state("without", "The arms differ in each.", significant(0.01))
    with pytest.raises(ValueError, match="needs p="):
        claims.measure("without", cells | {"no p": estimate(sure)})


def test_cells_may_be_estimates_of_one_n(claims):
    samples = np.array([0.9, 1.0, 1.1] * 10)
    cells = {"low": estimate(samples), "high": estimate(samples + 8)}
    claims.state("cells", "Both are one", within(4), predicted=dict.fromkeys(cells, 1.0))
    assert claims.measure("cells", cells) == "holds in part"
    cells["high"] = estimate([1.0, 1.1])
    claims.state("uneven", "Both are one", within(4), predicted=dict.fromkeys(cells, 1.0))
    with pytest.raises(ValueError, match=r"different n, \[2, 30\]"):
        claims.measure("uneven", cells)


def test_what_is_not_finite_is_null_in_the_file(claims):
    claims.check("loss", "The loss is 1.", measured=[1.0, np.nan], rule=exact(), predicted=1.0)
    claims.record("diverged-at", np.inf, unit="steps")
    assert results(claims)["claims"][0]["measured"] == [1.0, None]
    assert results(claims)["numbers"] == {
        "diverged-at": {"value": None, "se": None, "unit": "steps"}
    }


def test_the_table_for_comparison_holds_nothing_that_depends_on_the_machine(claims):
    claims.state("open", "Not yet.", exact(), predicted=1.0)
    claims.check("done", "It is 1.", measured=1.0 + 1e-12, rule=exact(), predicted=1.0)
    table = claims.table()
    assert table.to_dict("index") == {
        "open": {"claim": "Not yet.", "verdict": "not measured"},
        "done": {"claim": "It is 1.", "verdict": "holds"},
    }
    full = claims.table(full=True).loc["done"]
    assert (full.measured, full.rule) == (1.0 + 1e-12, exact().words)


def test_a_claim_left_open_is_an_error_at_the_end(claims):
    claims.state("open", "Not yet.", exact(), predicted=1.0)
    with pytest.raises(ValueError, match="not measured: open"):
        claims.finish()
    claims.measure("open", 1.0)
    claims.finish()


def test_the_same_cell_may_run_again_but_an_id_is_used_once(claims):
    for _ in range(2):
        claims.state("ratio", "It is 1.", exact(), predicted=1.0)
        claims.measure("ratio", 1.0)
    assert len(results(claims)["claims"]) == 1
    for changed in ({"predicted": 2.0}, {"predicted": 1.0, "part": 0.9}):
        with pytest.raises(ValueError, match="stated before, differently"):
            claims.state("ratio", "It is 1.", exact(), **changed)
    with pytest.raises(ValueError, match="stated before, differently"):
        claims.state("ratio", "It is 1.", exact(rtol=0.5), predicted=1.0)
    with pytest.raises(ValueError, match="measured before"):
        claims.measure("ratio", 1.0)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda c: c.measure("other", 1.0), ValueError, "not stated"),
        (lambda c: c.measure("open", 1.0), ValueError, "'open'.*needs se="),
        (lambda c: c.state("Bad id", "x", exact(), predicted=1), ValueError, "lower-case"),
        (lambda c: c.state("a", "x", exact()), ValueError, "needs predicted="),
        (lambda c: c.state("a", "x", "within 4", predicted=1), TypeError, "initlib.lab.rules"),
        (lambda c: c.state("a", "x", exact(), predicted=1, part=0), ValueError, "part="),
        (lambda c: c.record("a b", 1.0), ValueError, "lower-case"),
    ],
)
def test_bad_calls_are_refused_and_nothing_is_written(claims, call, error, message):
    claims.state("open", "Not yet.", within(), predicted=1.0)
    with pytest.raises(error, match=message):
        call(claims)
    assert not claims.path.exists()


def test_results_go_to_the_run_or_to_a_folder_of_the_notebook(tmp_path, monkeypatch):
    monkeypatch.setenv("INITLIB_RUN_DIR", str(tmp_path))
    assert Claims("05-toy").path == tmp_path / "results.json"
    monkeypatch.delenv("INITLIB_RUN_DIR")
    assert Claims("05-toy").path == module.RUNS / "interactive" / "05-toy" / "results.json"
