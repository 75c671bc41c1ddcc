"""The gallery shows every figure, with its words, its origin and the blocks that cite it."""

import json
import re
import xml.etree.ElementTree as ET
from typing import get_args

import pytest

from initlib.lab import citing
from initlib.lab.figures import fingerprint_of
from initlib.lab.paths import FIGURES
from initlib.lab.reports.gallery import write_gallery

SIDECAR = {
    "id": "fig-he-depth",
    "caption": "Loss of 22 & 30 layers, $q_L$ <b>. Second sentence.",
    "alt": 'He trains; [Xavier] "stalls" <at> chance.',
    "width_in": 3.4,
    "notebook": "05-he",
    "cell": 3,
    "profile": "full",
    "parameters": {"seed": 0, "depths": [22, 30]},
    "key": "3f2a",
    "commit": "0123456789abcdef",
    "date": "2031-05-04",
    "versions": {"initlib": "0.1.0"},
}


@pytest.fixture
def gallery(tmp_path):
    for sidecar in (SIDECAR, SIDECAR | {"id": "fig-glorot-gradients", "notebook": "04-glorot"}):
        (tmp_path / f"{sidecar['id']}.json").write_text(json.dumps(sidecar), encoding="utf-8")
    return write_gallery(tmp_path).read_text(encoding="utf-8")


def test_figures_come_by_notebook_each_with_a_thumbnail(gallery):
    assert re.findall(r"^## (.*)$", gallery, re.M) == ["fig-glorot-gradients", "fig-he-depth"]
    table = ET.fromstring(re.search(r"<table>.*?</table>", gallery, re.S)[0].replace("<br>", ""))
    shown = [(a.get("href"), a.find("img").get("src")) for a in table.iter("a")]
    assert shown[1] == ("#fig-he-depth", "fig-he-depth.svg")
    assert {image.get("alt") for image in table.iter("img")} == {SIDECAR["alt"]}


def test_an_entry_has_words_origin_files_and_blocks(gallery):
    entry = gallery.split("## fig-he-depth\n")[1]
    for text in (
        r"![He trains; \[Xavier\]",
        '**In words.** He trains; [Xavier] "stalls" &lt;at&gt; chance.',
        "/notebooks/05-he.ipynb), cell 3, full profile, run `3f2a`, commit `0123456789ab`",
        "with `seed=0`, `depths=[22, 30]`.",
        "[data](fig-he-depth.csv)",
        "[record](fig-he-depth.json)",
    ):
        assert text in entry
    for format in get_args(citing.Format):
        assert f"````{format}\n{citing.block(SIDECAR, format, 'figures/')}````" in entry


def test_nothing_in_it_depends_on_the_machine(gallery, tmp_path):
    assert str(tmp_path) not in gallery


def test_a_figure_drawn_by_hand_says_so(tmp_path):
    loose = SIDECAR | dict.fromkeys(("notebook", "cell", "profile", "key", "commit", "date"))
    (tmp_path / "fig-he-depth.json").write_text(json.dumps(loose), encoding="utf-8")
    assert "by** hand, outside of a run" in write_gallery(tmp_path).read_text(encoding="utf-8")


def test_without_figures_it_is_a_page_all_the_same(tmp_path):
    assert write_gallery(tmp_path).read_text().startswith("# Figures")


@pytest.mark.parametrize("sidecar", citing.published(), ids=lambda sidecar: sidecar["id"])
def test_a_published_record_is_true_to_its_files(sidecar):
    """That files have the checksums on record is part of the tests of tracing."""
    content = {"id": sidecar["id"], "csv": sidecar["files"][f"{sidecar['id']}.csv"]}
    content |= {name: sidecar[name] for name in ("notebook", "parameters", "data")}
    assert sidecar["fingerprint"] == fingerprint_of(json.dumps(content, sort_keys=True))
    assert (FIGURES / f"{sidecar['id']}.svg").stat().st_size < 2_000_000


@pytest.mark.parametrize("sidecar", citing.published(), ids=lambda sidecar: sidecar["id"])
def test_a_published_figure_was_made_by_a_full_run_of_what_was_committed(sidecar):
    assert sidecar["dirty"] is False, "commit, then 'initlib run NOTEBOOK --profile full --force'"
    assert re.fullmatch("[0-9a-f]{40}", sidecar["commit"])
    assert sidecar["profile"] == "full"
