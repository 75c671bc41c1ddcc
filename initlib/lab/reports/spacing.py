"""MathML with the spaces and the heights of bars that TeX gives, which browsers take on request."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Mapping

NAMESPACE = "http://www.w3.org/1998/Math/MathML"
THIN = "0.1667em"
# In TeX a slash and a derivative are letters: no space goes with them.
TIGHT = frozenset("/∂")
# They grow with what is beside them only where the author wrote \left and \right.
BARS = frozenset("|‖∥")
OPENING = frozenset("([{⟨|‖∥")
SCRIPTS = frozenset({"msub", "msup", "msubsup", "munder", "mover", "munderover"})

Parents = Mapping[ET.Element, ET.Element]

ET.register_namespace("", NAMESPACE)


def space_as_tex(mathml: str) -> str:
    """Set the spaces of operators, and keep bars as high as letters, as TeX would.

    Parameters
    ----------
    mathml : str
        A formula; what has attributes for its height already, keeps it.

    Returns
    -------
    str
        The same formula: no space beside a slash or in an index, a thin one around the name of a
        function.

    Examples
    --------
    >>> space_as_tex("<math><mi>log</mi><mi>x</mi></math>")
    '<math><mo lspace="0" rspace="0.1667em">log</mo><mi>x</mi></math>'
    """
    root = ET.fromstring(mathml)
    parents = {child: parent for parent in root.iter() for child in parent}
    for element in list(root.iter()):
        kind, text = _kind(element), element.text or ""
        if kind in ("mi", "mo") and len(text) > 1 and text.isalpha():
            element.tag = element.tag.removesuffix(kind) + "mo"
            element.attrib |= _around_a_name(element, parents)
        elif kind == "mo" and (text in TIGHT or _is_in_script(element, parents)):
            element.attrib |= {"lspace": "0", "rspace": "0"}
        elif (kind, text) == ("mi", "~"):  # what the converter makes of \sim
            element.tag, element.text = element.tag.removesuffix(kind) + "mo", "∼"
        if kind == "mo" and text in BARS:
            # Given a size by \big and the like, it has to grow to it.
            element.attrib.setdefault("stretchy", str("minsize" in element.attrib).lower())
            element.attrib |= {"lspace": "0", "rspace": "0"}
    return ET.tostring(root, encoding="unicode")


def _kind(element: ET.Element) -> str:
    return element.tag.rpartition("}")[2]


def _is_in_script(element: ET.Element, parents: Parents) -> bool:
    while (parent := parents.get(element)) is not None:
        if _kind(parent) in SCRIPTS and element is not parent[0]:
            return True
        element = parent
    return False


def _around_a_name(element: ET.Element, parents: Parents) -> dict[str, str]:
    # The name may carry an index, and it is that whole which has neighbours.
    while _kind(parents[element]) in SCRIPTS and element is parents[element][0]:
        element = parents[element]
    row = list(parents[element])
    at = row.index(element)
    before, after = row[at - 1] if at else None, row[at + 1] if at + 1 < len(row) else None
    is_first = before is None or _kind(before) in ("mo", "mspace")
    is_called = after is None or _kind(after) == "mspace" or (after.text or "") in OPENING
    return {"lspace": "0" if is_first else THIN, "rspace": "0" if is_called else THIN}
