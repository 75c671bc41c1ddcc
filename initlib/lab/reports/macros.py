r"""Numbers for a LaTeX report: one macro for each measured value of the published runs.

The name of a macro is ``\claim`` or ``\number``, the words of the id, and those of the cell if
there are several: each word with a capital, digits spelled, so that ``he-deep-wait`` becomes
``\claimHeDeepWait`` and the cell "22 layers" of ``he-gradient-exact`` becomes
``\claimHeGradientExactTwoTwoLayers``. Cells of a list are counted from one. ``Error`` after the
name gives the standard error, where there is one; ``Verdict`` after that of a claim, its verdict.
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import initlib
from initlib.lab.ledger import read_published
from initlib.lab.paths import FIGURES
from initlib.lab.results import cells

DIGITS = ["Zero", "One", "Two", "Three", "Four", "Five", "Six", "Seven", "Eight", "Nine"]
# Fixed notation beyond these is hard to read: 0.000001, 1000000.
MOST_DECIMALS, LARGEST = 6, 1e6


def export_tex(folder: str | Path = FIGURES) -> str:
    r"""Write the measured value of every claim, and every recorded number, as a ``\newcommand``.

    Parameters
    ----------
    folder : str or Path
        Holds ``results/<notebook>.json``, one for each notebook.

    Returns
    -------
    str
        LaTeX for the preamble. The macros work in text and in formulas and need no package.

    Raises
    ------
    ValueError
        When two names become the same macro, or a results file can't be read.
    """
    lines = [
        f"% Written by 'initlib export-tex', initlib {initlib.__version__}.",
        "% \\claimX is what was measured, \\claimXError its standard error, \\claimXVerdict the",
        "% verdict; \\numberX and \\numberXError are the recorded numbers.",
    ]
    taken: dict[str, str] = {}
    for run in read_published(folder):
        for title, macros in _groups(run):
            lines += ["", *("% " + " ".join(line.split()) for line in title.splitlines())]
            for origin, name, text in macros:
                if name in taken:
                    raise ValueError(
                        f"{origin} and {taken[name]} both become \\{name}; give one another name"
                    )
                taken[name] = origin
                lines.append(rf"\newcommand{{\{name}}}{{{text}}}")
    return "\n".join(lines) + "\n"


def _groups(run: dict[str, Any]) -> Iterator[tuple[str, list[tuple[str, str, str]]]]:
    for claim in run["claims"]:
        id = f"{run['notebook']}: {claim['id']}"
        macros = list(_macros("claim", id, claim["id"], claim["measured"], claim["se"]))
        verdict = (f"the verdict of {id}", macro_name("claim", claim["id"]) + "Verdict")
        # A number beside its rule: what is a ratio, and what the logarithm of one, shows there.
        sentence, rule = (" ".join(claim[part].split()) for part in ("sentence", "rule"))
        title = f"{id}. {sentence}\nHow it was decided: {rule}."
        yield title, [*macros, (*verdict, claim["verdict"])]
    for name, number in run["numbers"].items():
        id = f"{run['notebook']}: {name}"
        macros = list(_macros("number", id, name, number["value"], number["se"]))
        yield f"{id} ({number['unit']})" if number["unit"] else id, macros


def _macros(kind: str, id: str, name: str, value: Any, se: Any) -> Iterator[tuple[str, str, str]]:
    for cell, number, error in cells(value, se):
        origin = f"{id}, cell {cell!r}" if cell else id
        macro = macro_name(kind, f"{name} {cell}")
        yield origin, macro, in_math(number, error)
        if error:
            yield f"the error of {origin}", f"{macro}Error", in_math(error, error)


def macro_name(kind: str, text: str) -> str:
    r"""Make a name of letters alone.

    Parameters
    ----------
    kind : str
        What it begins with.
    text : str
        Words and numbers; what is neither only separates them, but for the point and the minus
        sign of a number and the comma between two.

    Returns
    -------
    str
        The name, without the backslash.

    Examples
    --------
    >>> macro_name("claim", "he-gradient-exact 22 layers"), macro_name("claim", "tanh σ = -0.5")
    ('claimHeGradientExactTwoTwoLayers', 'claimTanhSigmaMinusZeroPointFive')
    """
    plain = unicodedata.normalize("NFKD", text).replace("−", "-")
    text = "".join(character for character in plain if not unicodedata.combining(character))
    text = re.sub(r"(?<=\d)\.(?=\d)", " Point ", text)
    text = re.sub(r"(?<=\d), (?=\d)", " And ", text)
    text = re.sub(r"(?<!\w)-(?=\d)", " Minus ", text)
    words = re.findall(r"\d|[^\W\d_]+", text)
    return kind + "".join(DIGITS[int(w)] if w.isdecimal() else _letters(w) for w in words)


def _letters(word: str) -> str:
    spelled = [c if c.isascii() else unicodedata.name(c).split()[-1].title() for c in word]
    word = re.sub("[^A-Za-z]", "", "".join(spelled))
    return word[:1].upper() + word[1:]


def in_math(value: float | None, se: float | None = None) -> str:
    r"""Write a number for LaTeX, with as many digits as its standard error supports.

    Parameters
    ----------
    value : float or None
        The number; None stands for one that wasn't finite.
    se : float or None
        Its standard error, of which two digits count; without, six digits of the number do.

    Returns
    -------
    str
        For text and for formulas.

    Examples
    --------
    >>> print(in_math(1.00321, 0.00412), in_math(2.51e-9, 1.3e-10))
    \ensuremath{1.0032} \ensuremath{2.51\times10^{-9}}
    """
    if value is None:
        return "not finite"
    if not se or not value:
        mantissa, _, exponent = f"{value:.6g}".partition("e")
    else:
        last = 1 - math.floor(math.log10(se))
        if last <= MOST_DECIMALS and abs(value) < LARGEST:
            mantissa, exponent = f"{value:.{max(0, last)}f}", ""
        else:
            # At least the leading digit, when the error is larger than the value.
            order = math.floor(math.log10(abs(value)))
            mantissa, _, exponent = f"{value:.{max(0, order + last)}e}".partition("e")
    power = rf"\times10^{{{int(exponent)}}}" if exponent else ""
    return rf"\ensuremath{{{mantissa}{power}}}"
