"""What a figure file says about itself, whatever its name: the reverse of `save_figure`."""

from __future__ import annotations

import json
import re
import xml.etree.ElementTree as ET
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image, UnidentifiedImageError

from initlib.lab.citing import FIGURE_ID
from initlib.lab.figures import fingerprint_of

SOURCE = re.compile(r"initlib ([\w.-]+)")
FINGERPRINT = re.compile(r"[0-9a-f]{32}")
# Literal strings with their escapes, as matplotlib writes them.
PDF_STRING = rb"/%s \(((?:[^\\()]|\\.)*)\)"
DUBLIN_CORE = "{http://purl.org/dc/elements/1.1/}"
RDF_ITEM = "{http://www.w3.org/1999/02/22-rdf-syntax-ns#}li"


@dataclass(frozen=True)
class Mark:
    """What `save_figure` has left in a file: who made it, and of which parameters and data.

    `content` is empty where the fingerprint is not that of the content: it was edited, or lost.
    """

    id: str
    notebook: str
    fingerprint: str
    content: dict[str, Any]


def read_mark(path: Path) -> Mark | None:
    """Read what a figure carries, from its bytes; its name doesn't count.

    Parameters
    ----------
    path : Path
        An svg, pdf or png file, or any other.

    Returns
    -------
    Mark or None
        None when it carries no mark of initlib: a csv, a figure of somebody else, or one whose
        metadata a program has dropped.

    Raises
    ------
    OSError
        When the file can't be read.
    """
    raw = path.read_bytes()
    if raw.startswith(b"%PDF"):
        entries = _read_pdf(raw)
    elif raw.startswith(b"\x89PNG"):
        entries = _read_png(path)
    elif raw.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"<"):
        entries = _read_svg(raw)
    else:
        entries = {}
    source = SOURCE.fullmatch(entries.get("Source", ""))
    id, fingerprint = entries.get("Title", ""), entries.get("Identifier", "")
    if not (source and FIGURE_ID.fullmatch(id) and FINGERPRINT.fullmatch(fingerprint)):
        return None
    return Mark(id, source[1], fingerprint, _content(entries.get("Keywords", ""), fingerprint))


def _content(text: str, fingerprint: str) -> dict[str, Any]:
    if fingerprint_of(text) != fingerprint:
        return {}
    try:
        content = json.loads(text)
        is_whole = all(isinstance(content[name], dict) for name in ("parameters", "data"))
    except (ValueError, LookupError, TypeError):
        return {}
    return content if is_whole else {}


def _read_png(path: Path) -> dict[str, str]:
    try:
        with Image.open(path) as image:
            return dict(image.text)
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError, AttributeError):
        return {}


def _read_svg(raw: bytes) -> dict[str, str]:
    try:
        root = ET.fromstring(raw)
    except ET.ParseError:
        return {}
    names = ("Title", "Source", "Identifier")
    entries = {name: root.findtext(f".//{DUBLIN_CORE}{name.lower()}", "") for name in names}
    keywords = root.findtext(f".//{DUBLIN_CORE}subject//{RDF_ITEM}", "")
    return entries | {"Keywords": keywords}


def _read_pdf(raw: bytes) -> dict[str, str]:
    entries = {}
    for name in ("Title", "Keywords"):
        if found := re.search(PDF_STRING % name.encode(), raw, re.DOTALL):
            entries[name] = re.sub(rb"\\(.)", rb"\1", found[1]).decode("latin-1")
    by, notebook, fingerprint, content = (entries.get("Keywords", "").split(" ", 3) + [""] * 4)[:4]
    return entries | {
        "Source": f"{by} {notebook}",
        "Identifier": fingerprint,
        "Keywords": content,
    }
