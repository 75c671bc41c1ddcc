"""The gallery: every published figure, with all that a report needs to cite it."""

from __future__ import annotations

import html
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

from initlib.lab.citing import Format, block, published
from initlib.lab.paths import FIGURES, NOTEBOOKS, write_atomic

COLUMNS = 3
HEAD = """\
# Figures

Written by `initlib claims` from the runs that made the figures. Beside each figure lie its data
(csv) and its record (json: run, parameters, seed, commit, checksums). The blocks below load a
figure from `figures/`, as a report does that lies beside this folder or a copy of it;
`initlib cite ID --format latex|bibtex|markdown|html` prints them with the full path.
`initlib trace FILE` says where a figure comes from, also a copy of one under another name.
"""


def write_gallery(folder: str | Path = FIGURES) -> Path:
    """Write the gallery of a folder's figures to its README.md.

    Parameters
    ----------
    folder : str or Path
        Where the figures are.

    Returns
    -------
    Path
        The gallery.
    """
    folder = Path(folder)
    sidecars = published(folder)
    notebooks = os.path.relpath(NOTEBOOKS, folder)
    lines = [HEAD, *_thumbnails(sidecars)]
    for sidecar in sidecars:
        lines += [f"## {sidecar['id']}", "", *_entry(sidecar, notebooks)]
    return write_atomic(folder / "README.md", "\n".join(lines).rstrip() + "\n")


def _thumbnails(sidecars: list[dict[str, Any]]) -> Iterator[str]:
    if not sidecars:
        return
    yield "<table>"
    for i in range(0, len(sidecars), COLUMNS):
        yield "<tr>"
        for sidecar in sidecars[i : i + COLUMNS]:
            id, alt = sidecar["id"], html.escape(sidecar["alt"])
            picture = f'<img src="{id}.svg" alt="{alt}" width="260" />'
            yield f'<td><a href="#{id}">{picture}<br>{id}</a></td>'
        yield "</tr>"
    yield "</table>\n"


def _entry(sidecar: dict[str, Any], notebooks: str) -> Iterator[str]:
    id = sidecar["id"]
    yield block(sidecar, "markdown", "")
    yield f"**In words.** {html.escape(sidecar['alt'], quote=False)}\n"
    yield f"**Made by** {_origin(sidecar, notebooks)}\n"
    links = [f"[{suffix}]({id}.{suffix})" for suffix in ("pdf", "svg", "png")]
    yield f"**Files** {' · '.join(links)} · [data]({id}.csv) · [record]({id}.json)\n"
    yield "<details><summary>Cite</summary>\n"
    for format in get_args(Format):
        # Four marks, since a caption might hold three.
        yield f"````{format}\n{block(sidecar, format, 'figures/')}````\n"
    yield "</details>\n"


def _origin(sidecar: dict[str, Any], notebooks: str) -> str:
    name = sidecar["notebook"]
    if not name:
        return "hand, outside of a run."
    where = [f"[{name}]({notebooks}/{name}.ipynb)"]
    known = {"cell": "cell {}", "profile": "{} profile", "key": "run `{}`"}
    where += [text.format(sidecar[part]) for part, text in known.items() if sidecar[part]]
    if sidecar["commit"]:
        where.append(f"commit `{sidecar['commit'][:12]}`")
    values = [f"`{k}={json.dumps(v)}`" for k, v in sidecar["parameters"].items()]
    return f"{', '.join(where)}, with {', '.join(values) or 'no parameters'}."
