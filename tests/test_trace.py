"""A figure is traced to its run from a copy under any name, and compared with what is here now."""

import json
import shutil
import subprocess
from dataclasses import replace

import matplotlib as mpl
import matplotlib.pyplot as plt
import pytest
from click.testing import CliRunner
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from tiny_notebooks import make_notebook

from initlib.lab import figures, paths
from initlib.lab.cli import main
from initlib.lab.reports.embedded import read_mark
from initlib.lab.reports.origin import find_origin
from initlib.lab.reports.trace import describe, trace
from initlib.lab.runs.inputs import Inputs, file_digest
from initlib.lab.runs.notebook import read_notebook
from initlib.lab.runs.plan import plan
from initlib.lab.runs.settings import git

ID = "fig-toy-decay"
INPUTS = Inputs("a" * 64, {"python": "3.11.7", "numpy": "2.0.0", "torch": "2.4.0"})
FORMATS = ["svg", "pdf", "png", "csv"]


@pytest.fixture
def notebook(root):
    return make_notebook(root, "05-toy", "draw()")


@pytest.fixture
def make(root, notebook, tmp_path, monkeypatch):
    """Make the figure in a run of its own, or publish it, without a kernel."""

    def make(folder=None, slope=1, profile="quick", commit=None, **overrides):
        [run] = plan([read_notebook(notebook)], INPUTS, overrides=overrides)
        record = {**run.describe(), "profile": profile, "commit": commit, "dirty": False}
        scratch = paths.RUNS / "05-toy" / run.key
        scratch.mkdir(parents=True, exist_ok=True)
        (scratch / "run.json").write_text(json.dumps({**record, "started": "2031-05-04T10:00"}))
        monkeypatch.setenv("INITLIB_RUN_DIR", str(scratch))
        with mpl.rc_context():
            figures.style()
            fig, ax = plt.subplots()
            ax.plot([0, slope])
            texts = {"caption": "A line.", "alt": "It (rises) \\ falls."}
            figures.save_figure(fig, ID, data={"y": [0, slope]}, folder=folder, **texts)
            plt.close(fig)
        sidecar = json.loads(((folder or scratch / "figures") / f"{ID}.json").read_text())
        # Versions of this machine are none of the figure's that these inputs speak of.
        sidecar["versions"] |= INPUTS.versions
        ((folder or scratch / "figures") / f"{ID}.json").write_text(json.dumps(sidecar))
        return sidecar

    return make


def copy(folder, suffix, to):
    return shutil.copy(folder / f"{ID}.{suffix}", to)


@pytest.mark.parametrize("suffix", FORMATS)
def test_a_copy_under_another_name_is_traced_to_its_run(make, tmp_path, suffix):
    sidecar = make(paths.FIGURES, lr=0.5, profile="custom")
    found = trace(copy(paths.FIGURES, suffix, tmp_path / "holiday.tmp"), INPUTS)
    assert (found.id, found.match, found.is_published, found.changes) == (ID, "bytes", True, [])
    assert found.origin == sidecar
    text = describe(found)
    for fact in (sidecar["key"], "lr=0.5", "2031-05-04", sidecar["files"][f"{ID}.csv"]):
        assert fact in text
    assert "nothing it depends on has changed" in text


@pytest.mark.parametrize("suffix", ["svg", "pdf", "png"])
def test_an_image_alone_tells_its_notebook_seed_and_parameters(make, tmp_path, suffix):
    make(paths.FIGURES, seed=7)
    file = copy(paths.FIGURES, suffix, tmp_path / "x")
    shutil.rmtree(paths.FIGURES)
    found = trace(file, INPUTS)
    assert (found.id, found.match, found.changes) == (ID, "mark", None)
    assert found.origin["parameters"] == {"seed": 7, "lr": 0.1}
    assert "not known" in describe(found)


def test_what_an_image_says_is_dropped_when_it_was_edited(make, tmp_path):
    make(paths.FIGURES, seed=7)
    svg = (paths.FIGURES / f"{ID}.svg").read_text()
    edited = tmp_path / "edited.svg"
    edited.write_text(
        svg.replace("&quot;seed&quot;: 7", '"seed": 8').replace('"seed": 7', '"seed": 8')
    )
    assert edited.read_text() != svg
    assert read_mark(edited).content == {}


def test_an_image_that_was_saved_again_is_known_by_its_fingerprint(make, tmp_path):
    sidecar = make(paths.FIGURES)
    with Image.open(paths.FIGURES / f"{ID}.png") as image:
        info = PngInfo()
        for name, text in image.text.items():
            info.add_text(name, text)
        image.resize((40, 30)).save(tmp_path / "small.png", pnginfo=info)
    found = trace(tmp_path / "small.png", INPUTS)
    assert (found.match, found.origin) == ("fingerprint", sidecar)


def test_a_run_with_other_parameters_is_found_in_the_store(make):
    make(paths.FIGURES)
    sidecar = make(slope=2, lr=0.5, profile="custom")
    file = paths.RUNS / "05-toy" / sidecar["key"] / "figures" / f"{ID}.csv"
    found = trace(file, INPUTS)
    assert (found.origin["parameters"]["lr"], found.is_published) == (0.5, False)
    assert found.place.endswith(f"{sidecar['key']}/figures/{ID}.json")
    assert "published today is another" in describe(found)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("code", "the code of notebooks/05-toy.ipynb"),
        ("text", None),
        ("parameters", "parameter lr: 0.1 then, 0.5 now"),
        ("sources", "the sources of initlib"),
        ("numpy", "version of numpy: 2.0.0 then, 2.1.0 now"),
        ("patch", None),
        ("gone", "there is no notebook 05-toy any more"),
    ],
)
def test_it_says_which_part_has_changed_since(make, root, notebook, change, said):
    make(paths.FIGURES, profile="full")
    inputs = INPUTS
    if change == "code":
        make_notebook(root, "05-toy", "draw_otherwise()")
    elif change == "text":
        make_notebook(root, "05-toy", "draw()", text="# Another title")
    elif change == "parameters":
        (root / "notebooks/full.json").write_text('{"05-toy": {"lr": 0.5}}')
    elif change == "sources":
        inputs = replace(INPUTS, sources="b" * 64)
    elif change == "gone":
        notebook.unlink()
    else:
        name, version = {"numpy": ("numpy", "2.1.0"), "patch": ("python", "3.11.9")}[change]
        inputs = replace(INPUTS, versions=INPUTS.versions | {name: version})
    assert trace(paths.FIGURES / f"{ID}.pdf", inputs).changes == ([said] if said else [])


def test_a_figure_of_an_earlier_commit_is_found_in_the_history(make, root, tmp_path):
    (root / "initlib").mkdir()
    (root / "initlib" / "gains.py").write_text("one = 1\n")

    def commit():
        git(root, "add", "-A")
        git(root, "-c", "user.name=a", "-c", "user.email=a@b", "commit", "-qm", "Change")
        return git(root, "rev-parse", "HEAD").strip()

    git(root, "init", "-q")
    first = commit()
    make(paths.FIGURES, commit=first)
    old = {suffix: copy(paths.FIGURES, suffix, tmp_path / f"old.{suffix}") for suffix in FORMATS}
    second = commit()
    make(paths.FIGURES, slope=2)
    (root / "initlib" / "gains.py").write_text("one = 2\n")
    commit()
    shutil.rmtree(paths.RUNS)
    for file in old.values():
        found = trace(file, replace(INPUTS, sources="b" * 64))
        assert (found.match, found.is_published) == ("bytes", False)
        assert second[:12] in found.place
        assert found.changes == ["the sources of initlib: initlib/gains.py"]


@pytest.mark.parametrize(
    "content",
    [b"", b"y\n0\n1\n", b"%PDF-1.4\n", b"\x89PNG\r\n\x1a\nbroken", b"<svg>", b"\xff\xfe\x00"],
)
def test_what_is_none_of_ours_is_refused(root, tmp_path, content):
    file = tmp_path / "x"
    file.write_bytes(content)
    with pytest.raises(ValueError, match="no mark of initlib"):
        trace(file, INPUTS)
    result = CliRunner().invoke(main, ["trace", str(file)])
    assert result.exit_code == 1
    assert "Traceback" not in result.output


def test_the_published_figures_are_traced_as_they_lie_here():
    for path in sorted(paths.FIGURES.glob("fig-*.*")):
        if path.suffix != ".json":
            mark = read_mark(path)
            assert (mark is None) == (path.suffix == ".csv")
            assert mark is None or mark.id == path.stem
            sidecar = json.loads(path.with_suffix(".json").read_text())
            assert find_origin(file_digest(path), None).sidecar == sidecar


def test_git_is_not_needed(make, tmp_path, monkeypatch):
    make(paths.FIGURES)

    def missing(*args, **kwargs):
        raise FileNotFoundError("git")

    monkeypatch.setattr(subprocess, "run", missing)
    assert trace(paths.FIGURES / f"{ID}.svg", INPUTS).changes == []
