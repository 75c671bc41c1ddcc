"""Claims: what a notebook says, decided by a rule that was fixed before the measurement."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd

from initlib.lab.coverage import check_covers
from initlib.lab.estimates import Estimate
from initlib.lab.paths import RUNS, run_dir, write_atomic
from initlib.lab.rules import Rule, Values

Verdict = Literal["holds", "holds in part", "fails"]

CLAIM_ID = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")


@dataclass
class Claim:
    """A sentence, the rule that decides it and, later, what was measured."""

    id: str
    sentence: str
    rule: Rule
    predicted: Values | None
    source: str
    part: float
    covers: tuple[str, ...] = ()
    corrects: str = ""
    measured: Values | None = None
    se: Values | None = None
    n: int | None = None
    cells: list[bool] | None = None
    verdict: Verdict | None = None

    def statement(self) -> tuple:
        """What was said before the measurement."""
        predicted = json.dumps(_plain(self.predicted))
        about = (self.source, self.part, self.covers, self.corrects)
        return self.sentence, self.rule, predicted, *about

    def as_record(self) -> dict[str, Any]:
        """The claim as results.json holds it."""
        names = ("id", "sentence", "source", "covers", "corrects")
        names += ("predicted", "measured", "se", "n", "cells", "verdict")
        record = {name: _plain(getattr(self, name)) for name in names}
        return record | {"rule": self.rule.words}


class Claims:
    """The claims of one notebook, written to ``results.json`` as they are decided.

    A claim is stated first, with the rule that will decide it, and measured later. Its verdict is
    "holds" when every cell passes the rule, "holds in part" when at least the stated part of
    several cells does, and "fails" otherwise. A cell that isn't finite doesn't pass.

    Parameters
    ----------
    notebook : str
        Name of the notebook, such as "05-he".
    folder : str or Path, optional
        Where results.json goes. Default: the folder of this run; outside of a run,
        ``runs/interactive/<notebook>``.

    Examples
    --------
    >>> from initlib.lab.rules import within
    >>> claims = Claims("05-he", folder=getfixture("tmp_path"))
    >>> claims.state("he-forward", "E[z^2] keeps its size", within(z=4), predicted=1.0)
    >>> claims.measure("he-forward", 1.02, se=0.01)
    'holds'
    """

    def __init__(self, notebook: str, folder: str | Path | None = None):
        if folder is None:
            folder = run_dir()
            if folder.is_relative_to(RUNS / "interactive"):
                folder = folder / notebook
        self.notebook = notebook
        self.path = Path(folder) / "results.json"
        self._claims: dict[str, Claim] = {}
        self._numbers: dict[str, dict[str, Any]] = {}

    def state(
        self,
        id: str,
        sentence: str,
        rule: Rule,
        *,
        predicted: Values | None = None,
        source: str = "",
        part: float = 0.5,
        covers: Sequence[str] = (),
        corrects: str = "",
    ) -> None:
        """State a claim, before it is measured.

        Parameters
        ----------
        id : str
            Lower-case words with hyphens, unique in the notebook.
        sentence : str
            The claim.
        rule : Rule
            What decides it, from `initlib.lab.rules`.
        predicted : float, array_like or mapping of str to float, optional
            What theory or a publication says; one value, or one for each cell.
        source : str
            Where that is found: author, year, equation.
        part : float
            With several cells: the share that must pass for "holds in part".
        covers : sequence of str
            What the claim shows of which technique, for the table of coverage: "he/forward".
        corrects : str
            A statement of textbooks, in our own words, that the claim sets right.

        Raises
        ------
        ValueError
            When the id was used for another claim, or something that the rule needs is missing, or
            `covers` names no technique.
        """
        if not CLAIM_ID.fullmatch(id):
            raise ValueError(f"claim id {id!r} must be lower-case words with hyphens: 'he-forward'")
        if not isinstance(rule, Rule):
            raise TypeError(f"rule= of {id!r} must come from initlib.lab.rules, got {rule!r}")
        if not 0 < part <= 1:
            raise ValueError(f"part= of {id!r} must lie in (0, 1], got {part}")
        if "predicted" in rule.needs and predicted is None:
            raise ValueError(f"claim {id!r}: the rule '{rule.words}' needs predicted=")
        covers = check_covers(covers)
        claim = Claim(id, sentence, rule, predicted, source, part, covers, corrects)
        # The same statement again is a cell that is run again.
        known = self._claims.get(id)
        if known and known.statement() != claim.statement():
            raise ValueError(f"claim {id!r} was stated before, differently: {known.sentence!r}")
        self._claims[id] = claim

    def measure(
        self,
        id: str,
        measured: Values | Estimate | Mapping[str, Estimate],
        se: Values | None = None,
        n: int | None = None,
    ) -> Verdict:
        """Decide a claim, and write all results.

        Parameters
        ----------
        id : str
            A claim that was stated.
        measured : float, array_like, Estimate, or mapping of str to float or Estimate
            One value, or one for each cell. An estimate brings its own se, n and, if it has one,
            p; those of several cells come from the same number of replicates.
        se : float, array_like or mapping, optional
            Its standard error.
        n : int, optional
            Replicates behind the standard error; without it, the error counts as known.

        Returns
        -------
        {"holds", "holds in part", "fails"}
            The verdict.

        Raises
        ------
        ValueError
            When the claim wasn't stated or was measured before, when something that the rule needs
            is missing, or when the shapes differ.
        """
        if id not in self._claims:
            stated = ", ".join(self._claims) or "none"
            raise ValueError(f"claim {id!r} is not stated; stated are: {stated}")
        claim = self._claims[id]
        if claim.verdict is not None:
            raise ValueError(f"claim {id!r} was measured before; run the cell that states it again")
        p = None
        if isinstance(measured, Estimate):
            measured, se, n, p = measured.value, measured.se, measured.n, measured.p
        elif _are_estimates(measured):
            counts = {estimate.n for estimate in measured.values()}
            if len(counts) > 1:
                raise ValueError(f"claim {id!r}: cells have different n, {sorted(counts)}")
            n = counts.pop()
            p = {name: estimate.p for name, estimate in measured.items()}
            p = None if None in p.values() else p
            se = {name: estimate.se for name, estimate in measured.items()}
            measured = {name: estimate.value for name, estimate in measured.items()}
        try:
            passes = claim.rule.passes(measured, claim.predicted, se, n, p)
        except ValueError as error:
            raise ValueError(f"claim {id!r}: {error}") from None
        claim.measured, claim.se, claim.n = measured, se, n
        claim.cells = passes.tolist() if passes.size > 1 else None
        claim.verdict = _verdict(passes, claim.part)
        self._write()
        return claim.verdict

    def check(
        self,
        id: str,
        sentence: str,
        *,
        measured: Values | Estimate,
        rule: Rule,
        predicted: Values | None = None,
        se: Values | None = None,
        n: int | None = None,
        **about: Any,
    ) -> Verdict:
        """State and measure at once; for identities, whose rule leaves nothing to choose."""
        self.state(id, sentence, rule, predicted=predicted, **about)
        return self.measure(id, measured, se, n)

    def record(self, name: str, value: float, se: float | None = None, unit: str = "") -> None:
        """Keep a number that a report may quote.

        Parameters
        ----------
        name : str
            Lower-case words with hyphens.
        value, se : float
            The number and its standard error.
        unit : str
            Its unit, such as "steps".
        """
        if not CLAIM_ID.fullmatch(name):
            raise ValueError(f"number {name!r} must be lower-case words with hyphens")
        self._numbers[name] = {"value": _plain(value), "se": _plain(se), "unit": unit}
        self._write()

    def table(self, full: bool = False) -> pd.DataFrame:
        """Return the claims with their verdicts.

        Parameters
        ----------
        full : bool
            Also what was predicted and measured, the rule and the source. Without, nothing in the
            table depends on the machine.
        """
        # Sentences are there to be read, not to be cut at 50 characters.
        pd.set_option("display.max_colwidth", None)
        rows = [claim.as_record() | {"claim": claim.sentence} for claim in self._claims.values()]
        columns = ["claim", "verdict"]
        if full:
            columns += ["predicted", "measured", "se", "n", "rule", "source"]
        table = pd.DataFrame(rows, columns=["id", *columns]).set_index("id")
        return table.fillna({"verdict": "not measured"})

    def finish(self) -> None:
        """Raise if a claim was stated and never measured: the last cell of the checks."""
        open_ = [claim.id for claim in self._claims.values() if claim.verdict is None]
        if open_:
            raise ValueError(f"stated but not measured: {', '.join(open_)}")

    def _write(self) -> None:
        decided = [claim.as_record() for claim in self._claims.values() if claim.verdict]
        results = {"notebook": self.notebook, "claims": decided, "numbers": self._numbers}
        text = json.dumps(results, indent=1, ensure_ascii=False, allow_nan=False)
        write_atomic(self.path, text + "\n")


def _are_estimates(measured: Any) -> bool:
    cells = measured.values() if isinstance(measured, Mapping) else ()
    return len(cells) > 0 and all(isinstance(cell, Estimate) for cell in cells)


def _verdict(passes: np.ndarray, part: float) -> Verdict:
    if passes.all():
        return "holds"
    return "holds in part" if passes.size > 1 and passes.mean() >= part else "fails"


def _plain(value: Any) -> Any:
    """Python's own types, with None for what JSON has no word for."""
    if hasattr(value, "tolist"):
        value = value.tolist()
    if isinstance(value, Mapping):
        return {name: _plain(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
