"""Trace a figure file back: which run made it, of what, and would it come out the same today."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from initlib.lab.reports.embedded import Mark, read_mark
from initlib.lab.reports.origin import Origin, find_origin, published_now
from initlib.lab.reports.today import changes_since
from initlib.lab.runs.inputs import Inputs, file_digest

WORDS = {
    "bytes": "byte for byte",
    "fingerprint": "with the same data and parameters; the file itself was altered or drawn anew",
    "mark": "by what the file says of itself; its record is not in this repository",
}


@dataclass(frozen=True)
class Trace:
    """What is known of a figure file.

    Parameters
    ----------
    id : str
        The figure.
    match : {"bytes", "fingerprint", "mark"}
        Whether the file is the one on record to the last byte, or a figure of the same parameters
        and data, or has no record here at all.
    origin : dict
        The sidecar of the figure; without a record, what the file carries.
    place : str
        Where the record was found.
    is_published : bool
        Whether that is the figure which is published today.
    changes : list of str or None
        What has changed since then of all that its run depends on; None without a record.
    """

    id: str
    match: Literal["bytes", "fingerprint", "mark"]
    origin: dict[str, Any]
    place: str
    is_published: bool
    changes: list[str] | None


def trace(file: str | Path, inputs: Inputs) -> Trace:
    """Trace a figure file to the run that made it.

    Parameters
    ----------
    file : str or Path
        An svg, pdf, png or csv file of a figure, or a copy under whatever name.
    inputs : Inputs
        Sources and versions as they are now.

    Returns
    -------
    Trace
        What is known.

    Raises
    ------
    ValueError
        When the file carries no mark of initlib and nothing on record has its checksum.
    OSError
        When it can't be read.
    """
    path = Path(file)
    mark, digest = read_mark(path), file_digest(path)
    found = find_origin(digest, mark.fingerprint if mark else None)
    if found:
        return _from_record(found, digest, inputs)
    if mark:
        return _from_mark(mark)
    raise ValueError(
        f"{path} carries no mark of initlib, and no figure on record has its checksum {digest[:12]}"
        "...; a csv must be as it was saved, a picture must have kept its metadata"
    )


def _from_record(found: Origin, digest: str, inputs: Inputs) -> Trace:
    sidecar = found.sidecar
    match = "bytes" if digest in sidecar["files"].values() else "fingerprint"
    now = published_now(sidecar["id"])
    is_published = now is not None and now["files"] == sidecar["files"]
    changes = changes_since(sidecar, inputs)
    return Trace(sidecar["id"], match, sidecar, found.place, is_published, changes)


def _from_mark(mark: Mark) -> Trace:
    parameters = mark.content.get("parameters", {})
    origin = {"notebook": mark.notebook, "parameters": parameters, "seed": parameters.get("seed")}
    origin |= {"data": mark.content.get("data", {}), "fingerprint": mark.fingerprint}
    return Trace(mark.id, "mark", origin, "", False, None)


def describe(trace: Trace) -> str:
    """Write a trace for a reader, one fact a line."""
    lines = [f"{trace.id}, {WORDS[trace.match]}"]
    lines += [f"  {name:11}{text}" for name, text in _facts(trace) if text]
    return "\n".join([*lines, *_verdict(trace)]) + "\n"


def _facts(trace: Trace) -> Iterator[tuple[str, str]]:
    origin = trace.origin
    known = {name: str(origin[name]) for name in ("notebook", "key", "commit") if origin.get(name)}
    cell = f", cell {origin['cell']}" if origin.get("cell") else ""
    details = ", ".join(filter(None, (origin.get("profile"), origin.get("date"))))
    yield "notebook", known.get("notebook", "none: made outside of a run") + cell
    yield "run", f"{known['key']} ({details})" if "key" in known else ""
    yield "commit", known.get("commit", "") + (" with changes" if origin.get("dirty") else "")
    yield "seed", "" if origin.get("seed") is None else str(origin["seed"])
    yield "parameters", " ".join(f"{k}={_plain(v)}" for k, v in origin["parameters"].items())
    for name, digest in origin["data"].items():
        yield "data", f"{name} sha256 {digest}"
    if csv := origin.get("files", {}).get(f"{trace.id}.csv"):
        yield "plotted", f"{trace.id}.csv sha256 {csv}"
    yield "versions", ", ".join(f"{k} {v}" for k, v in origin.get("versions", {}).items())
    yield "record", trace.place


def _verdict(trace: Trace) -> list[str]:
    if trace.changes is None:
        return ["today: not known, without the record of its run"]
    newer = [] if trace.is_published else ["(the figure published today is another one)"]
    if not trace.changes:
        return ["today: the same run would make it; nothing it depends on has changed", *newer]
    changed = [f"  {change}" for change in trace.changes]
    return ["today: another run would make it; since then, this has changed:", *changed, *newer]


def _plain(value: Any) -> str:
    is_plain = isinstance(value, str) and value.isprintable()
    return value if is_plain else json.dumps(value, separators=(",", ":"))
