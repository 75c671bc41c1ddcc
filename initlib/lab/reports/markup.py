"""Markdown and captions as HTML, with formulas as MathML: nothing is left for a script to do."""

from __future__ import annotations

import html
import re

from latex2mathml.converter import convert
from nbconvert.filters.markdown_mistune import IPythonRenderer, MarkdownWithMath

from initlib.lab.reports.spacing import space_as_tex

# The converter forgets that a single letter is to be upright.
UPRIGHT = re.compile(r"\\mathrm\s*(?:\{(\w)\}|(\w))")
TAG = re.compile(r"\\tag\{([^}]*)\}")


def formula(latex: str, *, display: bool = False) -> str:
    r"""Write a formula as MathML, which browsers typeset by themselves.

    Parameters
    ----------
    latex : str
        The formula, without dollar signs. ``\tag{1}`` becomes a number at the right.
    display : bool
        Whether it stands on a line of its own.

    Returns
    -------
    str
        HTML.

    Examples
    --------
    >>> print(formula(r"\mathrm{E}").partition(">")[2])
    <mrow><mtext>E</mtext></mrow></math>
    """
    number = TAG.search(latex)
    plain = UPRIGHT.sub(lambda letter: rf"\text{{{letter[1] or letter[2]}}}", TAG.sub("", latex))
    mathml = space_as_tex(convert(plain.strip(), display="block" if display else "inline"))
    if not display:
        return mathml
    tag = f'<span class="tag">({html.escape(number[1])})</span>' if number else ""
    return f'<div class="equation">{mathml}{tag}</div>'


def caption_html(text: str) -> str:
    """Write plain text, with formulas between dollar signs, as HTML.

    Examples
    --------
    >>> caption_html("n < 5 & up")
    'n &lt; 5 &amp; up'
    """
    parts = text.split("$")
    return "".join(
        formula(part) if i % 2 else html.escape(part, quote=False) for i, part in enumerate(parts)
    )


class _Renderer(IPythonRenderer):
    def inline_math(self, body: str) -> str:
        return formula(body)

    def block_math(self, body: str) -> str:
        return formula(body, display=True)

    def latex_environment(self, name: str, body: str) -> str:
        return formula(rf"\begin{{{name}}}{body}\end{{{name}}}", display=True)


def markdown_html(source: str) -> str:
    """Write Markdown as HTML; tags in it stay tags."""
    return MarkdownWithMath(renderer=_Renderer(escape=False)).render(source)
