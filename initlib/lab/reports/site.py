"""The site: notebooks, gallery and ledger as pages that need no network and no script."""

from __future__ import annotations

import html
import json
import re
import shutil
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any, get_args

from jinja2 import Environment, PackageLoader
from markupsafe import Markup
from pygments.formatters import HtmlFormatter

import initlib
from initlib.lab import paths
from initlib.lab.citing import Format, block, published
from initlib.lab.ledger import ledger, read_published
from initlib.lab.reports.markup import caption_html, markdown_html
from initlib.lab.reports.mathfont import LICENCE, math_font
from initlib.lab.reports.pages import bend_links, notebook_html, summary
from initlib.lab.runs.notebook import find_notebooks

MARK = ".initlib-site"
SUFFIXES = ("svg", "pdf", "png", "csv", "json")
HERO = "fig-he-depth"
PLURAL = {"holds": "hold", "holds in part": "hold in part", "fails": "fail"}


def write_site(folder: str | Path) -> Path:
    """Write the site of the repository.

    Parameters
    ----------
    folder : str or Path
        Becomes the site; an earlier one there is replaced.

    Returns
    -------
    Path
        Its index.

    Raises
    ------
    ValueError
        When the folder holds something else than a site, or a results file can't be read.
    """
    folder = Path(folder)
    if folder.exists() and not (folder / MARK).exists() and any(folder.iterdir()):
        raise ValueError(f"{folder} holds files that are no site of initlib; choose another folder")
    figures = {sidecar["id"]: sidecar for sidecar in published(paths.FIGURES)}
    texts = {
        name: path.read_text(encoding="utf-8")
        for name, path in find_notebooks(paths.NOTEBOOKS).items()
    }
    pages = _pages(texts, figures)
    with paths.staged(folder) as scratch:
        for name, page in pages.items():
            (scratch / name).write_text(page, encoding="utf-8")
        (scratch / "math.woff").write_bytes(math_font(_in_formulas(pages.values())))
        shutil.copyfile(LICENCE, scratch / "math-font-licence.txt")
        (scratch / "style.css").write_text(_style(), encoding="utf-8")
        (scratch / MARK).write_text("")
    with paths.staged(folder / "figures") as scratch:
        for id in figures:
            for suffix in SUFFIXES:
                shutil.copyfile(paths.FIGURES / f"{id}.{suffix}", scratch / f"{id}.{suffix}")
    return folder / "index.html"


def _pages(texts: dict[str, str], figures: dict[str, dict[str, Any]]) -> dict[str, str]:
    runs = read_published(paths.FIGURES)
    claims = [claim for run in runs for claim in run["claims"]]
    verdicts = Counter(PLURAL[claim["verdict"]] for claim in claims)
    corrections = sum(bool(claim.get("corrects")) for claim in claims)
    cards = [_card(name, text, figures) for name, text in texts.items()]
    shared = {"notebooks": cards, "verdicts": verdicts, "version": initlib.__version__}
    pages = {
        "index.html": _render(
            "index",
            **shared,
            hero=_figure(figures.get(HERO)),
            figures=figures,
            corrections=corrections,
        ),
        "gallery.html": _render("gallery", **shared, figures=[*map(_figure, figures.values())]),
        "claims.html": _render("page", **shared, title="Claims", wide=True, body=_ledger(figures)),
    }
    for i, (card, text) in enumerate(zip(cards, texts.values(), strict=True)):
        body = bend_links(notebook_html(text, figures), paths.NOTEBOOKS, figures, root=paths.ROOT)
        near = {"before": cards[i - 1] if i else None, "after": (cards[i + 1 :] or [None])[0]}
        pages[card["page"]] = _render("page", **shared, **near, title=card["title"], body=body)
    return pages


def _render(template: str, **values: Any) -> str:
    """Everything is escaped but what this package has written as HTML itself."""
    loader = PackageLoader("initlib.lab.reports")
    environment = Environment(loader=loader, autoescape=True, trim_blocks=True, lstrip_blocks=True)
    trusted = {k: Markup(v) for k, v in values.items() if k == "body"}
    return environment.get_template(f"{template}.html").render({**values, **trusted})


def _card(name: str, text: str, figures: dict[str, dict[str, Any]]) -> dict[str, Any]:
    about = summary(text)
    said = {part: Markup(about[part]) for part in ("question", "answer")}
    own = [figure for figure in figures.values() if figure["notebook"] == name]
    return {
        "name": name,
        "page": f"{name}.html",
        "title": about["title"],
        **said,
        "figure": next(iter(own), None),
    }


def _figure(sidecar: dict[str, Any] | None) -> dict[str, Any] | None:
    if sidecar is None:
        return None
    parameters = {name: json.dumps(value) for name, value in sidecar["parameters"].items()}
    blocks = {format: block(sidecar, format, "figures/") for format in get_args(Format)}
    caption = Markup(caption_html(sidecar["caption"]))
    return {**sidecar, "caption": caption, "parameters": parameters, "blocks": blocks}


def _ledger(figures: dict[str, dict[str, Any]]) -> str:
    return bend_links(markdown_html(ledger(paths.FIGURES)), paths.FIGURES, figures, root=paths.ROOT)


def _in_formulas(pages: Iterable[str]) -> set[str]:
    """All characters that have to be in the font for formulas."""
    formulas = [found for page in pages for found in re.findall("(?s)<math.*?</math>", page)]
    return set(html.unescape(re.sub("<[^>]*>", "", "".join(formulas))))


def _style() -> str:
    own = (Path(__file__).parent / "templates" / "style.css").read_text(encoding="utf-8")
    return own + HtmlFormatter().get_style_defs(".highlight") + "\n"
