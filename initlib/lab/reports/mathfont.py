"""A font for formulas, made of those that matplotlib ships, for readers whose devices have none.

DejaVu Serif has what typesetting a formula needs (bars, brackets and roots that grow, where a
script goes) and italic Latin letters. Italic Greek ones come from its italic, the rest from the
sans; all three share one em. Their licence permits this under another name.
"""

from __future__ import annotations

import io
import string
from collections.abc import Iterable
from pathlib import Path

import matplotlib
from fontTools.pens.recordingPen import DecomposingRecordingPen
from fontTools.pens.transformPen import TransformPen
from fontTools.pens.ttGlyphPen import TTGlyphPen
from fontTools.subset import Options, Subsetter
from fontTools.ttLib import TTFont
from fontTools.ttLib.tables import otTables

FAMILY = "initlib Math"
SHIPPED = Path(matplotlib.get_data_path()) / "fonts" / "ttf"
LICENCE = SHIPPED / "LICENSE_DEJAVU"
# Browsers set a variable in the italic letter of this block that belongs to it.
ITALIC = {
    **{chr(ord("A") + i): chr(0x1D434 + i) for i in range(26)},
    **{chr(ord("a") + i): chr(0x1D44E + i) for i in range(26)},
    **{chr(ord("Α") + i): chr(0x1D6E2 + i) for i in range(25)},
    **{chr(ord("α") + i): chr(0x1D6FC + i) for i in range(25)},
    **{"h": "ℎ", "ϵ": "𝜖", "ϑ": "𝜗", "ϰ": "𝜘", "ϕ": "𝜙", "ϱ": "𝜚", "ϖ": "𝜛"},
}
# Where scripts, limits and fractions go, in thousandths of an em: those of Knuth's fonts, raised as
# the small letters here are taller. DejaVu leaves them at zero. And the size of scripts in percent.
PLACES = {
    **{"ScriptPercentScaleDown": 70, "ScriptScriptPercentScaleDown": 55},
    **{"SubscriptShiftDown": 200, "SubscriptTopMax": 415},
    **{"SuperscriptShiftUp": 420, "SuperscriptShiftUpCramped": 340, "SuperscriptBottomMin": 130},
    **{"SuperscriptBaselineDropMax": 250, "SuperscriptBottomMaxWithSubscript": 415},
    **{"UpperLimitGapMin": 150, "UpperLimitBaselineRiseMin": 110},
    **{"LowerLimitGapMin": 150, "LowerLimitBaselineDropMin": 600, "DisplayOperatorMinHeight": 1300},
    **{"StackTopShiftUp": 440, "StackTopDisplayStyleShiftUp": 680},
    **{"StackBottomShiftDown": 345, "StackBottomDisplayStyleShiftDown": 690},
    **{"FractionNumeratorShiftUp": 440, "FractionNumeratorDisplayStyleShiftUp": 680},
    **{"FractionDenominatorShiftDown": 345, "FractionDenominatorDisplayStyleShiftDown": 690},
}
# The prime is drawn as high as a script goes, and small; as a script it is raised and shrunk again.
PRIME, GROWN, LOWERED = "′", 1.45, 0.6
# Drawn by the browser, though no formula has it as a character.
RADICAL = "√"
# Its taller forms, which DejaVu would put together from pieces that don't meet. Not wider: browsers
# keep the room of the widest.
TALLER = (1.2, 1.45, 1.8, 2.3, 3.0)


def math_font(characters: Iterable[str]) -> bytes:
    """Make the font.

    Parameters
    ----------
    characters : iterable of str
        All that formulas are written with. One that no font of matplotlib's has is left out.

    Returns
    -------
    bytes
        A file of format woff, the same whenever the characters are.
    """
    serif = TTFont(SHIPPED / "DejaVuSerif.ttf", recalcTimestamp=False)
    wanted = {RADICAL, *characters} - set(string.whitespace)
    pairs = {c: c for c in wanted} | {ITALIC[c]: c for c in wanted & set(ITALIC)}
    known = serif.getBestCmap()
    for target, letter in sorted(pairs.items()):
        if ord(target) not in known:
            _borrow(serif, target, letter)
    _redraw_prime(serif, known[ord(PRIME)])
    _heighten_radical(serif, known[ord(RADICAL)])
    _place(serif)
    _name(serif)
    del serif["FFTM"]  # what FontForge notes for itself
    subsetter = Subsetter(Options(layout_features=[], hinting=False, name_IDs=["*"]))
    subsetter.populate(unicodes=map(ord, pairs))
    subsetter.subset(serif)
    serif.flavor = "woff"
    file = io.BytesIO()
    serif.save(file)
    return file.getvalue()


def _borrow(font: TTFont, target: str, letter: str) -> None:
    other = TTFont(SHIPPED / f"DejaVu{'Sans' if target == letter else 'Serif-Italic'}.ttf")
    name = other.getBestCmap().get(ord(letter))
    if name is None:
        return
    glyphs, pen = other.getGlyphSet(), TTGlyphPen(None)
    outline = DecomposingRecordingPen(glyphs)
    glyphs[name].draw(outline)
    outline.replay(pen)
    new = f"u{ord(target):05X}"
    font["glyf"][new] = pen.glyph()
    font["hmtx"][new] = other["hmtx"][name]
    for table in font["cmap"].tables:
        if table.isUnicode() and (table.format == 12 or ord(target) < 0x10000):
            table.cmap[ord(target)] = new


def _redraw_prime(font: TTFont, name: str) -> None:
    _redraw(font, name, name, (GROWN, GROWN), -LOWERED * font["head"].unitsPerEm)


def _heighten_radical(font: TTFont, name: str) -> None:
    variants = font["MATH"].table.MathVariants
    construction = variants.VertGlyphConstruction[variants.VertGlyphCoverage.glyphs.index(name)]
    records = []
    for i, scale in enumerate((1.0, *TALLER)):
        record = otTables.MathGlyphVariantRecord()
        record.VariantGlyph = f"{name}.{i}" if i else name
        if i:
            _redraw(font, name, record.VariantGlyph, (1.0, scale))
        glyph = font["glyf"][record.VariantGlyph]
        record.AdvanceMeasurement = glyph.yMax - glyph.yMin
        records.append(record)
    construction.GlyphAssembly = None
    construction.MathGlyphVariantRecord = records
    construction.VariantCount = len(records)


def _redraw(font: TTFont, name: str, new: str, scale: tuple[float, float], rise: float = 0) -> None:
    glyphs, pen = font.getGlyphSet(), TTGlyphPen(None)
    outline = DecomposingRecordingPen(glyphs)
    glyphs[name].draw(outline)
    outline.replay(TransformPen(pen, (scale[0], 0, 0, scale[1], 0, rise)))
    glyph = pen.glyph()
    glyph.recalcBounds(font["glyf"])
    font["glyf"][new] = glyph
    font["hmtx"][new] = tuple(round(scale[0] * side) for side in font["hmtx"][name])


def _place(font: TTFont) -> None:
    constants, em = font["MATH"].table.MathConstants, font["head"].unitsPerEm
    for name, value in PLACES.items():
        old = getattr(constants, name)
        if isinstance(old, int):
            is_share = "Percent" in name
            setattr(constants, name, value if is_share else round(value * em / 1000))
        else:
            old.Value = round(value * em / 1000)


def _name(font: TTFont) -> None:
    for record in font["name"].names:
        if record.nameID in (1, 4, 16):
            record.string = FAMILY
        elif record.nameID == 6:
            record.string = FAMILY.replace(" ", "")
