"""The site: whole links, words for every picture, typeset formulas, and nothing from elsewhere."""

import copy
import json
import re
from urllib.parse import unquote, urlsplit

import pytest
from browser import Browser, needs_browser
from bs4 import BeautifulSoup
from click.testing import CliRunner
from fontTools.ttLib import TTFont
from tiny_notebooks import make_notebook

from initlib.lab import paths
from initlib.lab.citing import published
from initlib.lab.cli import main
from initlib.lab.paths import write_atomic
from initlib.lab.reports.markup import caption_html, formula, markdown_html
from initlib.lab.reports.mathfont import ITALIC
from initlib.lab.reports.site import write_site
from initlib.lab.runs.notebook import find_notebooks

# What a reader would see: are all formulas laid out in the font of the site, all pictures there,
# and does the page fit the width of the screen?
LOOK = """(async () => {
  await document.fonts.ready;
  const boxes = [...document.querySelectorAll("math")].map(m => m.getBoundingClientRect());
  const images = [...document.images];
  for (const image of images) image.loading = "eager";
  await Promise.all(images.map(image => image.decode().catch(() => null)));
  return {
    formulas: boxes.length, flat: boxes.filter(box => box.height < 2 || box.width < 2).length,
    roots: [...document.querySelectorAll("msqrt")].filter(root => {
      const inside = [...root.children].map(c => c.getBoundingClientRect().width);
      return root.getBoundingClientRect().width < inside.reduce((a, b) => a + b, 0) + 4;
    }).length,
    is_set: !boxes.length || [...document.fonts].every(font => font.status == "loaded"),
    broken: images.filter(image => !image.naturalWidth).map(image => image.src),
    silent: images.filter(image => image.alt.length < 30).map(image => image.src),
    wide: document.documentElement.scrollWidth - document.documentElement.clientWidth,
  };
})()"""


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    folder = tmp_path_factory.mktemp("site")
    write_site(folder)
    return folder


@pytest.fixture(scope="module")
def pages(site):
    return {
        path.name: BeautifulSoup(path.read_text(encoding="utf-8"), "html.parser")
        for path in site.glob("*.html")
    }


def test_every_notebook_has_a_page_and_a_card_with_question_and_answer(pages):
    names = {f"{name}.html" for name in find_notebooks(paths.NOTEBOOKS)}
    assert set(pages) == names | {"index.html", "gallery.html", "claims.html"}
    cards = pages["index.html"].find_all("article")
    assert {card.h3.a["href"] for card in cards} == names
    for card in cards:
        assert len(card.find(class_="question").get_text().strip()) > 30
        assert len(card.find_all("p")[-1].get_text()) > 60


def test_no_link_is_broken_and_nothing_is_loaded_from_elsewhere(site, pages):
    ids = {name: {tag["id"] for tag in page.find_all(id=True)} for name, page in pages.items()}
    for name, page in pages.items():
        assert not page.find_all("script")
        for tag in page.find_all(["a", "img", "link"]):
            url = urlsplit(tag.get("href") or tag.get("src") or "")
            if url.scheme == "data" or (tag.name == "a" and url.scheme == "https"):
                continue
            assert not url.scheme, f"{name} would load {tag}"
            target = unquote(url.path) or name
            assert (site / target).is_file(), f"{name} leads to {target}"
            if url.fragment and target in ids:
                assert unquote(url.fragment) in ids[target], f"{name} leads to {url.geturl()}"


def test_every_picture_has_words_and_a_figure_those_of_its_record(pages):
    known = {sidecar["alt"] for sidecar in published()}
    for page in pages.values():
        for image in page.find_all("img"):
            assert len(image.get("alt", "")) > 30
            assert "No description" not in image["alt"]
            if image["src"].startswith("figures/"):
                assert image["alt"] in known


def test_formulas_are_typeset_and_none_is_left_as_source(pages):
    count = 0
    for name, page in pages.items():
        count += len(page.find_all("math"))
        page = copy.copy(page)
        for tag in page.find_all(["pre", "code", "script", "style"]):
            tag.extract()
        text = page.get_text()
        assert not re.search(r"\$[^$\n]*[\\_^][^$\n]*\$|\\[a-zA-Z]{2,}", text), name
    assert count > 100


def test_the_gallery_has_all_that_a_report_needs(site, pages):
    for sidecar in published():
        section = pages["gallery.html"].find(id=sidecar["id"])
        assert section.find("a", href=f"figures/{sidecar['id']}.csv")
        assert len(section.find_all("pre")) == 4
        if sidecar["key"]:
            assert sidecar["key"] in section.get_text()
        for suffix in ("svg", "pdf", "png", "csv", "json"):
            file = f"{sidecar['id']}.{suffix}"
            assert (site / "figures" / file).read_bytes() == (paths.FIGURES / file).read_bytes()


def test_the_font_for_formulas_has_every_character_but_one(site, pages):
    used = {c for page in pages.values() for m in page.find_all("math") for c in m.get_text()}
    shown = used | {"√"} | {ITALIC[c] for c in used & set(ITALIC)}
    font = TTFont(site / "math.woff")
    assert {c for c in shown if not c.isspace() and ord(c) not in font.getBestCmap()} <= {"⏟"}
    assert font["name"].getDebugName(1) == "initlib Math"
    assert "Bitstream" in (site / "math-font-licence.txt").read_text()


@needs_browser
def test_a_browser_shows_every_page_on_a_phone_and_a_desk_without_complaint(site, pages, tmp_path):
    with Browser(tmp_path / "profile") as browser:
        for name, page in pages.items():
            browser.resize(390, 844, phone=True)
            browser.goto((site / name).as_uri())
            for width in (390, 1280):
                browser.resize(width, 844, phone=width == 390)
                seen = browser.evaluate(LOOK)
                assert (name, seen.pop("formulas")) == (name, len(page.find_all("math")))
                whole = {
                    "flat": 0,
                    "roots": 0,
                    "is_set": True,
                    "broken": [],
                    "silent": [],
                    "wide": 0,
                }
                assert (name, seen) == (name, whole)
            assert (name, browser.complaints) == (name, [])


# Of what is written by hand


@pytest.mark.parametrize(
    ("latex", "mathml"),
    [
        (r"\mathrm{E} z", "<mtext>E</mtext><mi>z</mi>"),
        (r"\mathrm P", "<mtext>P</mtext>"),
        (r"n_\mathrm{out}", '<mi mathvariant="normal">u</mi>'),
    ],
)
def test_roman_letters_stand_upright(latex, mathml):
    assert mathml in formula(latex)


@pytest.mark.parametrize(
    ("latex", "mathml"),
    [
        ("a/b", '<mo lspace="0" rspace="0">/</mo>'),
        ("a-b", "<mi>a</mi><mo>−</mo><mi>b</mi>"),
        ("x_{a-b}", '<mi>a</mi><mo lspace="0" rspace="0">−</mo>'),
        (r"a\log x", '<mo lspace="0.1667em" rspace="0.1667em">log</mo>'),
        (r"=\max(x)", '<mo lspace="0" rspace="0">max</mo><mo stretchy="false">(</mo>'),
        (r"\max_i x", '<msub><mo lspace="0" rspace="0.1667em">max</mo><mi>i</mi></msub>'),
        (r"\lVert x \rVert", '<mo stretchy="false" lspace="0" rspace="0">‖</mo><mi>x</mi>'),
        (r"\left| x \right|", 'stretchy="true"'),
        (r"\Big|_{q=1}", 'stretchy="true"'),
        (r"z \sim N", "<mi>z</mi><mo>∼</mo><mi>N</mi>"),
    ],
)
def test_operators_stand_as_in_tex(latex, mathml):
    assert mathml in formula(latex)


def test_an_equation_has_its_number_beside_it():
    html = markdown_html("Then\n\n$$x = 1. \\tag{7}$$\n")
    assert '<span class="tag">(7)</span>' in html
    assert 'display="block"' in html
    assert "tag{" not in html


def test_captions_are_escaped_but_for_their_formulas():
    html = caption_html('<script>alert("x")</script> $a < b$')
    assert html.startswith('&lt;script&gt;alert("x")&lt;/script&gt; <math')
    assert html.count("<") == html.count(">")


def test_texts_of_a_figure_can_not_become_tags_of_the_site(root, tmp_path):
    make_notebook(root, "01-a", "1", text="# A <b> title\n\n**Question.** Why?")
    attack = '"><script>alert(1)</script>'
    sidecar = {"id": "fig-a-b", "caption": attack, "alt": attack, "width_in": 3.4}
    sidecar |= {"notebook": "01-a", "profile": attack, "parameters": {"seed": attack}}
    sidecar |= {"key": attack, "commit": attack, "date": "2031", "versions": {"initlib": "0"}}
    for suffix in ("svg", "pdf", "png", "csv"):
        write_atomic(root / f"figures/fig-a-b.{suffix}", "")
    write_atomic(root / "figures/fig-a-b.json", json.dumps(sidecar))
    write_site(tmp_path / "site")
    for path in (tmp_path / "site").glob("*.html"):
        assert "<script" not in path.read_text(encoding="utf-8")


def test_links_to_what_is_not_on_the_site_become_text(root, tmp_path):
    text = "# T\n\n[code](../initlib/apply.py) [out](../../../etc/passwd) [web](https://x.org/)"
    make_notebook(root, "01-a", "1", text=text)
    write_site(tmp_path / "site")
    page = BeautifulSoup((tmp_path / "site/01-a.html").read_text(), "html.parser")
    assert [
        a["href"] for a in page.main.find_all("a") if "anchor-link" not in a.get("class", [])
    ] == ["https://x.org/"]
    assert "code out web" in page.main.get_text()


def test_it_replaces_an_earlier_site_and_nothing_else(root, tmp_path):
    make_notebook(root, "01-a", "1")
    for _ in range(2):
        result = CliRunner().invoke(main, ["site", str(tmp_path / "site")])
        assert result.exit_code == 0, result.output
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "index.html").write_text("mine")
    result = CliRunner().invoke(main, ["site", str(tmp_path / "thesis")])
    assert (result.exit_code, "no site of initlib" in result.output) == (1, True)
    assert (tmp_path / "thesis" / "index.html").read_text() == "mine"
