"""How a published figure is cited: a block to paste into a report."""

from __future__ import annotations

import difflib
import html
import json
import re
import unicodedata
from pathlib import Path
from typing import Any, Literal, get_args

from initlib.lab.paths import FIGURES

Format = Literal["latex", "bibtex", "markdown", "html"]

FIGURE_ID = re.compile(r"fig(-[a-z0-9]+){2,}")

# What pdflatex can't take as it is. Letters of the Latin scripts it can.
LATEX = {
    **{character: "\\" + character for character in "#%&_{}"},
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': "''",
    "–": "--",
    "—": "---",
    "‘": "`",
    "’": "'",
    "“": "``",
    "”": "''",
    "…": r"\ldots{}",
    "\N{NO-BREAK SPACE}": "~",
    "°": r"\textdegree{}",
    **{
        character: rf"\ensuremath{{{command}}}"
        for character, command in {
            **{"−": "-", "×": r"\times", "·": r"\cdot", "±": r"\pm", "√": r"\surd", "∞": r"\infty"},
            **{"≈": r"\approx", "≤": r"\leq", "≥": r"\geq", "≠": r"\neq", "∝": r"\propto"},
            **{"→": r"\to", "∈": r"\in", "²": "^2", "³": "^3", "½": r"\frac12", "ℓ": r"\ell"},
            **{"α": r"\alpha", "β": r"\beta", "γ": r"\gamma", "δ": r"\delta", "ε": r"\epsilon"},
            **{"η": r"\eta", "θ": r"\theta", "λ": r"\lambda", "μ": r"\mu", "ξ": r"\xi"},
            **{"π": r"\pi", "ρ": r"\rho", "σ": r"\sigma", "τ": r"\tau", "φ": r"\varphi"},
            **{"χ": r"\chi", "ψ": r"\psi", "ω": r"\omega", "Δ": r"\Delta", "Σ": r"\Sigma"},
        }.items()
    },
}


def check_id(id: str) -> str:
    """Return a figure id, ``fig-<subject>-<contrast>``, or say what is wrong with it.

    Parameters
    ----------
    id : str
        Lower-case words and digits, with hyphens between: it names files, anchors and labels.

    Raises
    ------
    ValueError
        When it has another form, and so might leave its folder.

    Examples
    --------
    >>> check_id("fig-he-depth")
    'fig-he-depth'
    """
    if not isinstance(id, str) or not FIGURE_ID.fullmatch(id):
        raise ValueError(
            f"{id!r} is no figure id; it must be fig-<subject>-<contrast> in lower case, "
            "such as 'fig-he-depth'"
        )
    return id


def latex(text: str) -> str:
    r"""Write plain text, with formulas between dollar signs, as LaTeX.

    Parameters
    ----------
    text : str
        Text in which ``$...$`` is a formula and stays as it is.

    Returns
    -------
    str
        Everything else escaped.

    Raises
    ------
    ValueError
        For a character that LaTeX has no glyph for, or a dollar sign without its partner.

    Examples
    --------
    >>> print(latex("50 % of units at $x_1$, σ ≈ 1"))
    50 \% of units at $x_1$, \ensuremath{\sigma} \ensuremath{\approx} 1
    >>> print(latex('Some "shrink".'))
    Some ``shrink''.
    """
    # The straight quotation mark is not in LaTeX's default encoding.
    parts = re.sub(r'"([^"]*)"', r"“\1”", text).split("$")
    if len(parts) % 2 == 0:
        raise ValueError(f"a dollar sign without its partner in {text!r}")
    for i in range(0, len(parts), 2):
        parts[i] = "".join(_escape(character) for character in parts[i])
    return "$".join(parts)


def _escape(character: str) -> str:
    if character in LATEX:
        return LATEX[character]
    is_latin = unicodedata.category(character).startswith("L") and ord(character) < 0x180
    if is_latin or (character.isascii() and (character.isprintable() or character == "\n")):
        return character
    name = unicodedata.name(character, "unnamed")
    raise ValueError(
        f"LaTeX has no glyph for {character!r} ({name}); "
        "write it as a formula between dollar signs, or add it to initlib.lab.citing.LATEX"
    )


def published(folder: str | Path = FIGURES) -> list[dict[str, Any]]:
    """Return the sidecars of a folder's figures, by notebook and id.

    Parameters
    ----------
    folder : str or Path
        Where the figures are.

    Raises
    ------
    ValueError
        When a sidecar is that of another figure than its name says.
    """
    paths = Path(folder).glob("fig-*.json")
    sidecars = {path: json.loads(path.read_text(encoding="utf-8")) for path in paths}
    for path, sidecar in sidecars.items():
        if check_id(sidecar["id"]) != path.stem:
            raise ValueError(f"{path} is the record of {sidecar['id']}")
    return sorted(sidecars.values(), key=lambda record: (record["notebook"] or "", record["id"]))


def cite(id: str, format: Format = "latex", *, folder: str | Path = FIGURES) -> str:
    r"""Return a block that puts a published figure into a report.

    Parameters
    ----------
    id : str
        The figure.
    format : {"latex", "bibtex", "markdown", "html"}
        The language of the report. The figure is loaded by its full path, in LaTeX by graphicx:
        on another machine, copy the file and shorten the path.
    folder : str or Path
        Where the figures are.

    Returns
    -------
    str
        The block.

    Raises
    ------
    ValueError
        When there is no such figure, or no such format.
    """
    if format not in get_args(Format):
        raise ValueError(f"format {format!r} is unknown; choose one of {', '.join(_BLOCKS)}")
    path = Path(folder) / f"{check_id(id)}.json"
    if not path.is_file():
        known = sorted(file.stem for file in Path(folder).glob("fig-*.json"))
        near = difflib.get_close_matches(id, known) or known
        hint = f"did you mean {', '.join(near)}?" if near else "run 'make reproduce' to make some"
        raise ValueError(f"no figure {id!r} in {folder}; {hint}")
    sidecar = json.loads(path.read_text(encoding="utf-8"))
    return block(sidecar, format, Path(folder).resolve().as_posix() + "/")


def block(sidecar: dict[str, Any], format: Format, prefix: str) -> str:
    """Return the block for a figure whose files are at `prefix`, such as "figures/"."""
    return _BLOCKS[format](sidecar, prefix)


def _latex_block(sidecar: dict[str, Any], prefix: str) -> str:
    width = sidecar["width_in"]
    environment = "figure*" if width > 4 else "figure"
    # The size it was drawn at, unless the page is narrower.
    size = rf"\ifdim\linewidth<{width}in\linewidth\else{width}in\fi"
    # detokenize takes a path with an underscore or a tilde as it is.
    lines = [
        rf"\begin{{{environment}}}[tb]",
        r"  \centering",
        rf"  \includegraphics[width={size}]{{\detokenize{{{prefix}{sidecar['id']}.pdf}}}}",
        rf"  \caption{{{latex(sidecar['caption'])}}}",
        rf"  \label{{{sidecar['id']}}}",
        rf"\end{{{environment}}}",
    ]
    return "\n".join(lines) + "\n"


def _bibtex_block(sidecar: dict[str, Any], prefix: str) -> str:
    fields = {
        "author": "{The initlib authors}",
        "title": "{" + latex(_title(sidecar)) + "}",
        "year": (sidecar["date"] or "")[:4],
        "howpublished": "initlib " + sidecar["versions"]["initlib"],
        "note": latex(f"Figure {sidecar['id']}, {_provenance(sidecar)}"),
    }
    lines = [f"  {name} = {{{value}}},\n" for name, value in fields.items() if value]
    return f"@misc{{{sidecar['id']},\n{''.join(lines)}}}\n"


def _markdown_block(sidecar: dict[str, Any], prefix: str) -> str:
    alt = re.sub(r"([\[\]\\])", r"\\\1", " ".join(sidecar["alt"].split()))
    caption = " ".join(html.escape(sidecar["caption"], quote=False).split())
    return f"![{alt}](<{prefix}{sidecar['id']}.svg>)\n\n*{caption}*\n"


def _html_block(sidecar: dict[str, Any], prefix: str) -> str:
    from initlib.lab.reports.markup import caption_html  # slow, and saving a figure doesn't need it

    source, alt = html.escape(f"{prefix}{sidecar['id']}.svg"), html.escape(sidecar["alt"])
    return (
        f'<figure id="{sidecar["id"]}">\n'
        f'  <img src="{source}" alt="{alt}" />\n'
        f"  <figcaption>{caption_html(sidecar['caption'])}</figcaption>\n"
        "</figure>\n"
    )


_BLOCKS = {
    "latex": _latex_block,
    "bibtex": _bibtex_block,
    "markdown": _markdown_block,
    "html": _html_block,
}


def _title(sidecar: dict[str, Any]) -> str:
    """The first sentence of the caption."""
    return re.split(r"\.\s+(?=[A-Z(])", sidecar["caption"], maxsplit=1)[0].strip().rstrip(".")


def _provenance(sidecar: dict[str, Any]) -> str:
    known = {"notebook": sidecar["notebook"], "run": sidecar["key"]}
    known["commit"] = (sidecar["commit"] or "")[:12]
    return ", ".join(f"{name} {value}" for name, value in known.items() if value)
