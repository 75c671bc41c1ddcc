"""A saved figure is the same bytes again, complete or absent, and says where it came from."""

import hashlib
import json
import os
import re
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
import save_twice
from matplotlib.lines import Line2D
from PIL import Image
from save_twice import twice

from initlib.lab import figures, looks

mpl.use("agg")

ID = "fig-toy-decay"
TEXTS = {"caption": "Second moment $q$ by layer; n = 5.", "alt": "It halves at each layer."}
DATA = pd.DataFrame({"layer": [1, 2, 3], "q": [1.0, 0.5, 0.25]})
SUFFIXES = ["csv", "json", "pdf", "png", "svg"]


@pytest.fixture(autouse=True)
def _style():
    with mpl.rc_context():
        figures.style()
        yield
        plt.close("all")


@pytest.fixture
def run(tmp_path, monkeypatch):
    """A run's folder, with the record that the runner writes before the kernel starts."""
    record = {
        "notebook": "05-toy",
        "key": "3f2a",
        "profile": "full",
        "parameters": {"seed": 7, "width": 128},
        "commit": "0123456789abcdef",
        "dirty": False,
        "data": {"t10k": "ab"},
        "started": "2031-05-04T10:00:00",
    }
    (tmp_path / "run.json").write_text(json.dumps(record))
    monkeypatch.setenv("INITLIB_RUN_DIR", str(tmp_path))
    return tmp_path


def draw():
    fig, axes = plt.subplots(1, 2, figsize=(looks.PAGE, 2.4))
    for ax in axes:
        ax.semilogy(DATA.layer, DATA.q, label="He", **figures.scheme_style("he"))
        ax.set(xlabel="layer", ylabel=r"$q$")
        ax.legend()
    return fig


def save(folder, fig=None, **changes):
    arguments = {"id": ID, "data": DATA, "folder": folder, **TEXTS} | changes
    figures.save_figure(fig or draw(), arguments.pop("id"), **arguments)
    return {path.suffix[1:]: path.read_bytes() for path in folder.glob(f"{ID}.*")}


def test_same_bytes_when_drawn_again_saved_again_or_shown_before(tmp_path):
    first = save(tmp_path)
    assert sorted(first) == SUFFIXES
    shown = draw()
    for _ in range(3):
        shown.canvas.draw()
    assert save(tmp_path, shown) == first
    assert save(tmp_path, shown) == first
    with mpl.rc_context({"svg.hashsalt": "other", "savefig.dpi": 50}):
        assert save(tmp_path, draw()) == first


def test_the_formats_share_one_layout(tmp_path):
    fig = draw()
    save(tmp_path, fig)
    before = [ax.get_position().bounds for ax in fig.axes]
    fig.set_dpi(37)
    fig.canvas.draw()
    assert [ax.get_position().bounds for ax in fig.axes] == before


def test_images_are_the_same_at_another_commit_and_key(run):
    before = save(run / "figures")
    record = json.loads((run / "run.json").read_text())
    (run / "run.json").write_text(json.dumps(record | {"commit": "ffff", "key": "beef"}))
    after = save(run / "figures")
    changed = {suffix for suffix in SUFFIXES if before[suffix] != after[suffix]}
    assert changed == {"json"}


@pytest.mark.parametrize(
    "changes", [{"data": DATA * 2}, {"id": "fig-toy-other"}], ids=["data", "id"]
)
def test_fingerprint_tells_figures_apart(tmp_path, changes):
    save(tmp_path)
    save(tmp_path / "other", **changes)
    prints = [json.loads(p.read_text())["fingerprint"] for p in tmp_path.rglob("*.json")]
    assert len(set(prints)) == 2


def test_sidecar_holds_the_origin_and_the_checksums(run):
    saved = save(run / "figures")
    sidecar = json.loads(saved["json"])
    expected = {
        **{"id": ID, "notebook": "05-toy", "key": "3f2a", "profile": "full", "seed": 7},
        **{"parameters": {"seed": 7, "width": 128}, "commit": "0123456789abcdef"},
        **{"data": {"t10k": "ab"}, "date": "2031-05-04", "width_in": 6.8, **TEXTS},
    }
    assert {name: sidecar[name] for name in expected} == expected
    assert {"python", "torch", "numpy", "initlib"} <= set(sidecar["versions"])
    for suffix in ("csv", "pdf", "png", "svg"):
        digest = hashlib.sha256(saved[suffix]).hexdigest()
        assert sidecar["files"][f"{ID}.{suffix}"] == digest


def test_images_carry_id_notebook_and_fingerprint(run):
    saved = save(run / "figures")
    fingerprint = json.loads(saved["json"])["fingerprint"]
    with Image.open(run / "figures" / f"{ID}.png") as image:
        png = image.text
        assert image.info["dpi"] == pytest.approx((300, 300), abs=0.1)
        assert image.width == pytest.approx(6.8 * 300, abs=1)
    assert (png["Title"], png["Source"]) == (ID, "initlib 05-toy")
    assert png["Identifier"] == fingerprint == figures.fingerprint_of(png["Keywords"])
    assert json.loads(png["Keywords"])["parameters"] == {"seed": 7, "width": 128}
    for raw in (saved["svg"], saved["pdf"]):
        assert ID.encode() in raw
        assert b"05-toy" in raw
        assert fingerprint.encode() in raw
        assert b"0123456789abcdef" not in raw
    assert b"/Type3" not in saved["pdf"]


def test_csv_is_the_plotted_data(tmp_path):
    save(tmp_path, data={"layer": [1, 2], "q": [1 / 3, 1e-30]})
    assert (tmp_path / f"{ID}.csv").read_text() == "layer,q\n1,0.3333333333\n2,1e-30\n"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"id": "fig-he"}, "fig-<subject>-<contrast>"),
        ({"id": "fig-he-../../x"}, "fig-<subject>-<contrast>"),
        ({"id": "fig-he-depth\n"}, "fig-<subject>-<contrast>"),
        ({"id": "FIG-he-depth"}, "fig-<subject>-<contrast>"),
        ({"caption": " "}, "caption="),
        ({"alt": ""}, "alt="),
        ({"caption": "cost in $"}, "dollar sign"),
        ({"caption": "see \N{CJK UNIFIED IDEOGRAPH-4E2D}"}, "no glyph"),
        ({"data": pd.DataFrame()}, "data="),
    ],
)
def test_bad_input_is_refused_and_nothing_is_written(tmp_path, changes, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        save(tmp_path / "new", **changes)
    assert not (tmp_path / "new").exists()


def test_a_failing_save_leaves_the_old_set(tmp_path, monkeypatch):
    before = save(tmp_path)

    def fail(*args, **kwargs):
        raise OSError("no space left on device")

    monkeypatch.setattr(pd.DataFrame, "to_csv", lambda *args, **kwargs: "new\n")
    monkeypatch.setattr(plt.Figure, "savefig", fail)
    with pytest.raises(OSError, match="no space"):
        save(tmp_path)
    assert {path.suffix[1:]: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_a_figure_goes_to_the_run_by_default(run):
    figures.save_figure(draw(), ID, data=DATA, **TEXTS)
    assert sorted(path.suffix[1:] for path in (run / "figures").iterdir()) == SUFFIXES


# ------------------------------------------------------------------------------------- looks


def test_every_scheme_looks_different_in_colour_and_in_greyscale():
    styles = list(looks.SCHEMES.values())
    assert len(styles) == 12
    assert len({style.marker for style in styles}) == 12
    assert len({(style.color, style.linestyle) for style in styles}) == 12


def test_colours_stay_apart_for_a_colour_blind_reader():
    """Deuteranopia by Machado et al. 2009 (severity 1); distance 0.1 in linear RGB is plain."""
    simulate = np.array([[0.367, 0.861, -0.228], [0.280, 0.673, 0.047], [-0.012, 0.043, 0.969]])
    colours = sorted({style.color for style in looks.SCHEMES.values()})
    srgb = np.array([mpl.colors.to_rgb(colour) for colour in colours])
    linear = np.where(srgb <= 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055) ** 2.4)
    seen = linear @ simulate.T
    distance = np.linalg.norm(seen[:, None] - seen, axis=-1) + np.eye(len(colours))
    assert distance.min() > 0.1


@pytest.mark.parametrize(
    ("name", "same"),
    [
        ("he_normal_", "he"),
        ("kaiming_uniform", "he"),
        ("glorot_normal", "xavier"),
        ("LeCun", "lecun"),
        ("delta_orthogonal_", "orthogonal"),
        ("normalized_uniform_", "normalized"),
        ("variance scaling", "variance_scaling"),
        ("eye_", "identity"),
        ("normal_", "random"),
    ],
)
def test_a_scheme_is_found_by_any_of_its_names(name, same):
    assert figures.scheme_style(name) == figures.scheme_style(same)


def test_an_unknown_scheme_names_the_near_ones():
    with pytest.raises(ValueError, match="did you mean xavier"):
        figures.scheme_style("xaver")


def test_points_have_their_intervals():
    _, ax = plt.subplots()
    figures.points_with_interval(ax, [1, 2], [1.0, 2.0], [0.5, 1.0], [1.5, 4.0], color="black")
    _, _, (bars,) = ax.containers[0]
    assert [[tuple(p) for p in s] for s in bars.get_segments()] == [
        [(1, 0.5), (1, 1.5)],
        [(2, 1.0), (2, 4.0)],
    ]


def test_labels_stand_at_their_curves():
    _, ax = plt.subplots()
    figures.direct_label(ax, "He", (3, 1.0), color="black")
    figures.reference_line(ax, 1.0, "theory")
    label, reference = ax.texts
    assert (label.get_text(), label.xy) == ("He", (3, 1.0))
    assert (reference.get_text(), reference.xy) == ("theory", (0, 1.0))


# ------------------------------------------------------------------------------- saved again


class Restless(Line2D):
    """An artist that looks different each time that it is drawn."""

    def draw(self, renderer):
        self.set_ydata(np.asarray(self.get_ydata()) * 0.9)
        super().draw(renderer)


@pytest.mark.parametrize(("artist", "differs"), [(Line2D, False), (Restless, True)])
def test_a_figure_that_is_not_the_same_when_saved_again_is_an_error(tmp_path, artist, differs):
    fig = draw()
    fig.axes[0].add_line(artist([1, 2, 3], [1.0, 0.5, 0.2]))
    fig.canvas.draw()
    said = pytest.raises(AssertionError, match=rf"{ID}\.pdf") if differs else nullcontext()
    with said:
        twice(figures.save_figure)(fig, ID, folder=tmp_path, data=DATA, **TEXTS)
    assert plt.get_fignums() == [fig.number]


def test_kernels_save_twice_under_the_plugin(tmp_path, monkeypatch):
    config = SimpleNamespace()
    monkeypatch.setenv("IPYTHONDIR", "kept")
    save_twice.pytest_configure(config)
    [startup] = Path(os.environ["IPYTHONDIR"]).glob("profile_default/startup/*.py")
    monkeypatch.setattr(figures, "save_figure", figures.save_figure)
    exec(startup.read_text())
    assert figures.save_figure.__qualname__.startswith("twice")
    save_twice.pytest_unconfigure(config)
    assert not startup.exists()
