"""How a figure is saved so that it can be cited and traced."""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import platform
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.figure import Figure

from initlib.lab.citing import check_id, cite, latex
from initlib.lab.looks import (
    COLUMN,
    INLINE,
    PAGE,
    STYLE,
    direct_label,
    draw_seeds,
    heading,
    points_with_interval,
    reference_line,
    scheme_style,
    style,
    training_axis,
)
from initlib.lab.paths import run_dir, staged

__all__ = [
    "COLUMN",
    "INLINE",
    "PAGE",
    "cite",
    "direct_label",
    "draw_seeds",
    "heading",
    "points_with_interval",
    "reference_line",
    "save_figure",
    "scheme_style",
    "style",
    "training_axis",
]


def save_figure(
    fig: Figure,
    id: str,
    *,
    caption: str,
    alt: str,
    data: pd.DataFrame | Mapping[str, Any],
    folder: str | Path | None = None,
) -> None:
    """Save a figure as svg, pdf and png, with its data (csv) and its origin (json).

    The images are the same bytes whenever the figure is the same. They carry the id, the notebook,
    parameters, seed and checksums of the data, and a fingerprint of all of these, by which a copy
    in a report is traced back (`initlib.lab.reports.trace`). Commit and run key are in the json
    alone, so that a new commit doesn't change an image.

    Parameters
    ----------
    fig : Figure
        Drawn under `style`. Its layout is settled first, and stays as it is.
    id : str
        ``fig-<subject>-<contrast>``, never renamed or used again.
    caption : str
        What a reader of a report needs to know, with n and units; formulas between dollar signs.
    alt : str
        The finding, for those who can't see the figure.
    data : DataFrame or mapping
        What is plotted, one row an observation. The index is not saved.
    folder : str or Path, optional
        Default: the figures folder of this run.

    Raises
    ------
    ValueError
        For an id of another form, a caption or alt text that is missing or can't be typeset, or no
        data. Nothing is written.
    """
    check_id(id)
    caption, alt = " ".join(caption.split()), " ".join(alt.split())
    for name, text in (("caption", caption), ("alt", alt)):
        if not text:
            raise ValueError(f"figure {id!r} needs a text for {name}=")
    latex(caption)
    table = pd.DataFrame(data)
    if table.empty:
        raise ValueError(f"figure {id!r} needs the plotted values in data=, which has none")

    origin = _origin()
    csv = table.to_csv(index=False, float_format="%.10g", lineterminator="\n").encode()
    content = _content(id, origin, csv)
    fingerprint = fingerprint_of(content)
    with staged(run_dir() / "figures" if folder is None else folder) as scratch:
        _draw(fig, scratch / id, _metadata(id, alt, origin["notebook"], content))
        (scratch / f"{id}.csv").write_bytes(csv)
        files = {
            path.name: hashlib.sha256(path.read_bytes()).hexdigest()
            for path in sorted(scratch.iterdir())
        }
        sidecar = {
            "id": id,
            "caption": caption,
            "alt": alt,
            "width_in": round(float(fig.get_figwidth()), 3),
            **origin,
            "fingerprint": fingerprint,
            "files": files,
        }
        text = json.dumps(sidecar, indent=1, ensure_ascii=False) + "\n"
        (scratch / f"{id}.json").write_text(text, encoding="utf-8")


def _draw(fig: Figure, stem: Path, metadata: dict[str, dict[str, str | None]]) -> None:
    # Constrained layout moves the axes a little at each draw until it settles, so that without
    # this the bytes would depend on how often the figure was shown before.
    before = None
    for _ in range(20):
        fig.draw_without_rendering()
        # Rounded, since a settled layout still jitters in its last bit.
        after = [[round(side, 9) for side in ax.get_position().bounds] for ax in fig.axes]
        if after == before:
            break
        before = after
    fig.set_layout_engine("none")
    with plt.style.context(STYLE):
        for suffix, entries in metadata.items():
            fig.savefig(stem.with_suffix(f".{suffix}"), metadata=entries)


def _metadata(id: str, alt: str, notebook: str | None, content: str) -> dict[str, dict]:
    """What each format takes; None drops an entry that would differ between machines."""
    source, fingerprint = f"initlib {notebook or 'interactive'}", fingerprint_of(content)
    described = {"Title": id, "Description": alt, "Source": source, "Keywords": content}
    return {
        "svg": described | {"Identifier": fingerprint, "Date": None, "Creator": None},
        "png": described | {"Identifier": fingerprint, "Software": None},
        "pdf": {
            "Title": id,
            "Subject": alt,
            "Keywords": f"{source} {fingerprint} {content}",
            **{"Creator": None, "Producer": None, "CreationDate": None},
        },
    }


def _content(id: str, origin: Mapping[str, Any], csv: bytes) -> str:
    """What makes a figure what it is, as JSON in ASCII, which every format can hold."""
    content = {"id": id, "csv": hashlib.sha256(csv).hexdigest()}
    content |= {name: origin[name] for name in ("notebook", "parameters", "data")}
    return json.dumps(content, sort_keys=True)


def fingerprint_of(content: str) -> str:
    """Hash what an image carries about itself, as it stands there.

    Parameters
    ----------
    content : str
        JSON with the id, notebook, parameters, and the checksums of the data and of the csv.

    Returns
    -------
    str
        The first 32 hexadecimal digits of the sha256.
    """
    return hashlib.sha256(content.encode()).hexdigest()[:32]


def _origin() -> dict[str, Any]:
    """What the record of this run says, and nothing where there is no run."""
    try:
        record = json.loads((run_dir() / "run.json").read_text(encoding="utf-8"))
    except FileNotFoundError:
        record = {}
    parameters = record.get("parameters") or {}
    packages = ("initlib", "numpy", "torch", "matplotlib")
    versions = {package: importlib.metadata.version(package) for package in packages}
    return {
        "notebook": record.get("notebook"),
        "cell": _cell(),
        "profile": record.get("profile"),
        "parameters": parameters,
        "seed": parameters.get("seed"),
        "data": record.get("data") or {},
        "key": record.get("key"),
        "code": record.get("code"),
        "sources": record.get("sources"),
        "commit": record.get("commit"),
        "dirty": record.get("dirty"),
        "date": (record.get("started") or "")[:10] or None,
        "versions": {"python": platform.python_version(), **versions},
    }


def _cell() -> int | None:
    """The execution count of the notebook cell that is running."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython else None
    return shell.execution_count if shell else None
