"""A notebook as a page: its cells by nbconvert, its links bent to the pages of the site."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import nbformat
from bs4 import BeautifulSoup
from jinja2 import pass_context
from nbconvert import HTMLExporter

from initlib.lab.reports.markup import formula, markdown_html

SAVED = re.compile(r"[\"'](fig-[a-z0-9-]+)[\"']")
LEAD = re.compile(r"\*\*(Question|Answer)\.?\*\*\s*(.*?)(?=\n\n|\Z)", re.DOTALL)
PARTS = {"figures/README.md": "gallery.html", "figures/claims.md": "claims.html"}


class _Exporter(HTMLExporter):
    """Cells alone, without the page that nbconvert would put around them."""

    def __init__(self) -> None:
        super().__init__(template_name="basic")

    @pass_context
    def markdown2html(self, context: Any, source: str) -> str:
        return markdown_html(source)


def notebook_html(text: str, figures: Mapping[str, Mapping[str, Any]]) -> str:
    """Write the cells of an executed notebook as HTML.

    Parameters
    ----------
    text : str
        The notebook, as JSON.
    figures : mapping
        Figure id to sidecar; the picture that a cell shows has the alt text of what it saves.

    Returns
    -------
    str
        HTML for the body of a page.
    """
    node = nbformat.reads(text, as_version=4)
    for cell in node.cells:
        for output in cell.get("outputs", []):
            data = output.get("data", {})
            if "text/latex" in data:
                output.data = {"text/html": _output_html(data["text/latex"])}
            elif "image/png" in data:
                output.metadata["image/png"] = {"alt": _alt(cell.source, figures)}
    body, _ = _Exporter().from_notebook_node(node)
    return body


def _output_html(latex: str) -> str:
    """Formulas of an output; SymPy writes one, a tuple of them is one too."""
    body = latex.strip().strip("$").replace(r"\displaystyle", "").strip()
    return f'<div class="equation">{formula(body)}</div>'


def _alt(source: str, figures: Mapping[str, Mapping[str, Any]]) -> str:
    known = [figures[id]["alt"] for id in SAVED.findall(source) if id in figures]
    return known[0] if known else "Figure of this cell, described in the text beside it"


def summary(text: str) -> dict[str, str]:
    """Read title, question and answer from a notebook's first cell, as HTML."""
    first = "".join(nbformat.reads(text, as_version=4).cells[0].source)
    title = first.splitlines()[0].removeprefix("# ")
    found = {name.lower(): markdown_html(said) for name, said in LEAD.findall(first)}
    return {"title": title, "question": "", "answer": "", **found}


def bend_links(body: str, folder: Path, figures: Mapping[str, Any], *, root: Path) -> str:
    """Turn the links of a file of the repository into those of its page.

    A notebook's link leads to its page, a figure's to the copy in the site; what is not on the site
    keeps its text and loses its link. A figure that is named leads to the gallery. Wide tables get
    a frame to be scrolled in.

    Parameters
    ----------
    body : str
        HTML.
    folder : Path
        Where the links start from.
    figures : mapping
        Figure id to sidecar, of those on the site.
    root : Path
        Of the repository.

    Returns
    -------
    str
        HTML.
    """
    soup = BeautifulSoup(body, "html.parser")
    for link in soup.find_all("a", href=True):
        target = _on_site(link["href"], folder, root)
        if target is None:
            link.unwrap()
        else:
            link["href"] = target
    for code in soup.find_all("code"):
        if code.string in figures and code.find_parent(["a", "pre"]) is None:
            code.wrap(soup.new_tag("a", href=f"gallery.html#{code.string}"))
    for table in soup.find_all("table"):
        table.wrap(soup.new_tag("div", attrs={"class": "scroll", "tabindex": "0"}))
    return str(soup)


def _on_site(href: str, folder: Path, root: Path) -> str | None:
    parts = urlsplit(href)
    if parts.scheme in ("http", "https") or not parts.path:
        return href
    path = posixpath.normpath((folder.relative_to(root) / parts.path).as_posix())
    anchor = f"#{parts.fragment}" if parts.fragment else ""
    if path in PARTS:
        return PARTS[path] + anchor
    if path.startswith("notebooks/") and path.endswith(".ipynb") and (root / path).is_file():
        return f"{Path(path).stem}.html{anchor}"
    return path if path.startswith("figures/fig-") and (root / path).is_file() else None
