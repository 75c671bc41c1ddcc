"""The table of techniques and the corrections of textbooks, made from claims."""

import json

import pytest

from initlib.lab import rules
from initlib.lab.claims import Claims
from initlib.lab.coverage import ASPECTS, TECHNIQUES, check_covers
from initlib.lab.ledger import write_ledger


def publish(folder, **about):
    claims = Claims("05-he", folder=folder / "run")
    claims.state("he-forward", "He keeps E[z^2].", rules.within(z=4), predicted=1.0, **about)
    claims.measure("he-forward", 1.0, se=0.1)
    (folder / "results").mkdir()
    claims.path.rename(folder / "results" / "05-he.json")
    return write_ledger(folder).read_text()


def test_there_are_twelve_techniques():
    assert len(TECHNIQUES) == 12


@pytest.mark.parametrize("entry", ["he/forwards", "kaiming/forward", "he", ""])
def test_an_unknown_entry_is_refused_with_a_near_one(entry):
    with pytest.raises(ValueError, match="did you mean"):
        check_covers([entry])


def test_a_claim_fills_the_cell_it_covers_and_no_other(tmp_path):
    ledger = publish(tmp_path, covers=["he/forward"])
    row = next(line for line in ledger.splitlines() if line.startswith("| he |")).split(" | ")
    assert "[`he_normal_`](" in row[1]
    assert row[3] == "[he-forward](#he-forward)"
    other = next(line for line in ledger.splitlines() if line.startswith("| xavier |")).split(" | ")
    assert other[3 : 3 + 3] == ["-", "-", "-"]
    assert len(ASPECTS) == 4


def test_a_correction_is_listed_with_what_is_true(tmp_path):
    ledger = publish(tmp_path, corrects="He scales by | sqrt(2n)", covers=["he/textbook"])
    assert r"| He scales by \| sqrt(2n) | He keeps E[z^2]. | [holds](#he-forward) |" in ledger


def test_without_corrections_there_is_no_such_table(tmp_path):
    assert "textbooks say" not in publish(tmp_path)


def test_figures_of_the_notebook_are_linked(tmp_path):
    (tmp_path / "fig-he-depth.json").write_text(json.dumps({"notebook": "05-he"}))
    assert "[fig-he-depth](fig-he-depth.svg)" in publish(tmp_path)
