"""The ledger shows every claim of every published run."""

import re

import pytest

from initlib.lab.claims import Claims
from initlib.lab.ledger import show, write_ledger
from initlib.lab.paths import write_atomic
from initlib.lab.rules import exact, within


@pytest.fixture
def folder(tmp_path):
    for notebook in ("05-he", "01-variance"):
        claims = Claims(notebook, folder=tmp_path / notebook)
        claims.check(
            "q", "|q| < 2 and q is 1", measured=1.0321, se=0.0123, n=8, rule=within(), predicted=1
        )
        ratios = {"22 layers": 1.0, "30 layers": 2.0}
        claims.check("ratio", "It is 1.", measured=ratios, rule=exact(), predicted=1, source="He")
        claims.record("plateau", 743.2, se=31.4, unit="steps")
        write_atomic(tmp_path / f"results/{notebook}.json", claims.path.read_bytes())
    return tmp_path


def test_ledger_counts_and_shows_every_claim(folder):
    text = write_ledger(folder).read_text(encoding="utf-8")
    assert "4 claims: 2 holds, 2 holds in part." in text
    headings = re.findall(r"^## \[([\w-]+)\]\((.*)\)$", text, re.MULTILINE)
    assert [name for name, _ in headings] == ["01-variance", "05-he"]
    assert all(link.endswith(f"notebooks/{name}.ipynb") for name, link in headings)
    assert text.count("1.032 ± 0.012 (n = 8)") == 2
    assert text.count("**holds in part** (1 of 2)") == 2
    assert text.count("22 layers: 1; 30 layers: 2") == 2
    assert text.count("| `plateau` | 743 ± 31 steps |") == 2


def test_every_row_has_the_columns_of_its_header(folder):
    columns = None
    for line in write_ledger(folder).read_text(encoding="utf-8").splitlines():
        if not line.startswith("|"):
            columns = None
            continue
        bars = len(re.findall(r"(?<!\\)\|", line))
        assert bars == (columns := columns or bars)


def test_without_runs_the_ledger_says_so(tmp_path):
    assert "0 claims: none yet." in write_ledger(tmp_path).read_text()


@pytest.mark.parametrize("content", ["{", "[]", '{"notebook": "05-he"}'])
def test_a_broken_results_file_is_named(tmp_path, content):
    write_atomic(tmp_path / "results/05-he.json", content)
    with pytest.raises(ValueError, match=r"05-he\.json is no results file"):
        write_ledger(tmp_path)


@pytest.mark.parametrize(
    ("value", "se", "text"),
    [
        (1.0, None, "1"),
        (1448.15468787, None, "1448.15"),
        (1.03211, 0.0123, "1.032 ± 0.012"),
        (-743.2, 31.4, "-743 ± 31"),
        (2.5e-9, 1e-10, "2.5e-09 ± 1e-10"),
        (None, None, "not finite"),
        ([1.0, 2.0], 0.1, "1.00 ± 0.10; 2.00 ± 0.10"),
        ([1.0, None, 3.0, 2.0, 5.0], 0.1, "5 values from 1 to 5"),
        ([None] * 5, None, "5 values, none finite"),
        ({"a": 1.0, "b": 2.0}, {"a": 0.1, "b": 0.2}, "a: 1.00 ± 0.10; b: 2.00 ± 0.20"),
    ],
)
def test_numbers_have_the_digits_that_their_errors_support(value, se, text):
    assert show(value, se) == text
