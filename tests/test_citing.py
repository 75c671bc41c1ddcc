"""A citation is a block that a report can take as it is."""

import json
import re
import xml.etree.ElementTree as ET

import pytest

from initlib.lab import citing

CAPTION = "Loss of 22 & 30 layers_deep: 50 % of $2^{L/2}$, σ² ≈ 1 [n = 8] <He>. Second sentence."
SIDECAR = {
    "id": "fig-he-depth",
    "caption": CAPTION,
    "alt": "He trains; [Xavier] stalls.",
    "width_in": 3.4,
    "notebook": "05-he",
    "key": "3f2a",
    "commit": "0123456789abcdef",
    "date": "2031-05-04",
    "versions": {"initlib": "0.1.0"},
}


@pytest.fixture
def folder(tmp_path):
    for sidecar in (SIDECAR, SIDECAR | {"id": "fig-glorot-gradients", "notebook": "04-glorot"}):
        (tmp_path / f"{sidecar['id']}.json").write_text(json.dumps(sidecar), encoding="utf-8")
    return tmp_path


def test_latex_block_is_balanced_and_escaped(folder):
    block = citing.cite("fig-he-depth", "latex", folder=folder)
    assert block.startswith("\\begin{figure}[tb]\n")
    assert block.endswith("\\end{figure}\n")
    assert f"{folder.as_posix()}/fig-he-depth.pdf" in block
    assert r"\label{fig-he-depth}" in block
    (caption,) = re.findall(r"\\caption\{(.*)\}\n", block)
    assert r"22 \& 30 layers\_deep: 50 \% of $2^{L/2}$" in caption
    assert block.isascii()
    bare = re.sub(r"\\[{}%&_#$]", "", block)
    assert bare.count("{") == bare.count("}")


def test_a_wide_figure_spans_two_columns(folder):
    wide = json.dumps(SIDECAR | {"width_in": 6.8})
    (folder / "fig-he-depth.json").write_text(wide, encoding="utf-8")
    assert r"\begin{figure*}" in citing.cite("fig-he-depth", folder=folder)


def test_bibtex_entry_names_the_run_that_made_it(folder):
    entry = citing.cite("fig-he-depth", "bibtex", folder=folder)
    fields = dict(re.findall(r"^  (\w+) = \{(.*)\},$", entry, re.MULTILINE))
    assert entry.startswith("@misc{fig-he-depth,\n")
    assert fields["year"] == "2031"
    assert fields["howpublished"] == "initlib 0.1.0"
    assert fields["note"].endswith("notebook 05-he, run 3f2a, commit 0123456789ab")
    assert "Second sentence" not in fields["title"]
    assert entry.count("{") == entry.count("}")


@pytest.mark.parametrize(
    ("caption", "title"),
    [
        ("Loss of networks of width 128. (a) First.", "Loss of networks of width 128"),
        ("He et al. 2015 at rate 0.5, n = 8. Second.", "He et al. 2015 at rate 0.5, n = 8"),
        ("All of it.", "All of it"),
    ],
)
def test_the_title_of_an_entry_is_the_first_sentence(folder, caption, title):
    other = json.dumps(SIDECAR | {"caption": caption})
    (folder / "fig-he-depth.json").write_text(other, encoding="utf-8")
    assert f"title = {{{{{title}}}}}," in citing.cite("fig-he-depth", "bibtex", folder=folder)


@pytest.mark.parametrize(
    ("id", "message"), [("fig-he-../../x", "is no figure id"), ("fig-he-other", "is the record of")]
)
def test_a_record_under_the_name_of_another_is_refused(folder, id, message):
    other = json.dumps(SIDECAR | {"id": id})
    (folder / "fig-he-depth.json").write_text(other, encoding="utf-8")
    with pytest.raises(ValueError, match=message):
        citing.published(folder)


def test_markdown_shows_the_figure_with_its_alt_text(folder):
    image, caption = citing.cite("fig-he-depth", "markdown", folder=folder).split("\n\n")
    assert image.startswith(r"![He trains; \[Xavier\] stalls.](<")
    assert "&lt;He&gt;" in caption


def test_html_is_well_formed_and_escaped(folder):
    figure = ET.fromstring(citing.cite("fig-he-depth", "html", folder=folder))
    assert figure.find("img").attrib["alt"] == SIDECAR["alt"]
    caption = figure.find("figcaption")
    assert caption.text == CAPTION.partition("$")[0]
    [formula] = caption
    assert formula.tag.endswith("}math")
    assert formula.tail == CAPTION.rpartition("$")[2]


@pytest.mark.parametrize(
    ("id", "format", "message"),
    [
        ("fig-he-dept", "latex", "did you mean fig-he-depth"),
        ("fig-he-depth", "word", "choose one of latex, bibtex"),
        ("../../etc/passwd", "latex", "fig-<subject>-<contrast>"),
    ],
)
def test_what_cannot_be_cited_is_refused(folder, id, format, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        citing.cite(id, format, folder=folder)


def test_without_figures_the_error_says_how_to_make_them(tmp_path):
    with pytest.raises(ValueError, match="make reproduce"):
        citing.cite("fig-he-depth", folder=tmp_path)


@pytest.mark.parametrize("character", sorted(citing.LATEX))
def test_every_special_character_becomes_plain_ascii(character):
    assert citing.latex(f"a{character}b").isascii()
