"""The rules of a notebook: one skeleton, short cells, executed from top to bottom, normalized."""

import json
import re
from statistics import median

import papermill
import pytest

from initlib.lab.paths import FIGURES, NOTEBOOKS
from initlib.lab.runs.normalize import normalize
from initlib.lab.runs.notebook import NAME, find_notebooks, read_notebook
from initlib.lab.runs.parameters import coerce

PATHS = find_notebooks(NOTEBOOKS)
SECTIONS = [
    "Theory",
    "Experiment",
    "Figure",
    "Checks",
    "What we learned, and its limits",
    "References",
]
OTHER_VALUES = (
    "*Other values: change them above and choose Run All, or from a terminal in the repository "
    "`initlib run {0} -p seed=1`, or `papermill notebooks/{0}.ipynb out.ipynb -p seed 1`.*\n\n"
)
FIGURE = re.compile(r"`(fig-[a-z0-9-]+)`")


@pytest.fixture(params=PATHS)
def path(request):
    return PATHS[request.param]


@pytest.fixture
def cells(path):
    return json.loads(path.read_text())["cells"]


def code(cells):
    return [cell for cell in cells if cell["cell_type"] == "code"]


def lines(cell):
    return [line for line in cell["source"] if line.strip()]


def tags(cell):
    return cell["metadata"].get("tags", [])


def test_every_notebook_has_a_number_and_a_topic():
    assert len(PATHS) >= 2
    assert all(NAME.fullmatch(path.stem) for path in NOTEBOOKS.glob("*.ipynb"))


def test_title_question_answer_and_figures_come_first(path, cells):
    first = "".join(cells[0]["source"])
    assert first.startswith(f"# {path.stem[:2]} ")
    assert all(f"**{word}" in first for word in ("Question", "Answer", "Figures"))
    assert FIGURE.search(first)


def test_sections_follow_the_skeleton(cells):
    text = "\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "markdown")
    headings = re.findall(r"^## (.*)$", text, re.MULTILINE)
    positions = [
        next((i for i, heading in enumerate(headings) if heading.startswith(section)), None)
        for section in SECTIONS
    ]
    assert None not in positions, f"{SECTIONS} are expected, got {headings}"
    assert positions == sorted(positions)


def test_cells_are_few_and_short(path, cells):
    sizes = [len(lines(cell)) for cell in code(cells)]
    assert len(cells) <= 40
    assert max(sizes) <= 25
    assert median(sizes) <= 8
    assert sum(sizes) <= 250
    assert path.stat().st_size <= 300_000


def test_executed_once_from_top_to_bottom_without_an_error(cells):
    counts = [cell["execution_count"] for cell in code(cells)]
    assert counts == list(range(1, len(counts) + 1))
    outputs = [output for cell in code(cells) for output in cell["outputs"]]
    assert not [output for output in outputs if output["output_type"] == "error"]
    assert not [output for output in outputs if output.get("name") == "stderr"]


def test_committed_as_the_normalizer_writes_it(path):
    text = path.read_text()
    assert normalize(text) == text


def test_inline_figures_are_png_with_the_means_to_find_the_file(cells):
    kinds = {
        kind
        for cell in code(cells)
        for output in cell["outputs"]
        for kind in output.get("data", {})
    }
    assert "image/png" in kinds
    assert kinds <= {"image/png", "text/plain", "text/html", "text/markdown", "text/latex"}


def test_parameters_are_read_the_same_by_papermill(path, cells):
    ours = read_notebook(path).parameters
    theirs = papermill.inspect_notebook(str(path))
    assert list(ours) == list(theirs)
    assert [ours[name].kind for name in ours] == [
        theirs[name]["inferred_type_name"] for name in ours
    ]
    assert all(parameter.help for parameter in ours.values())
    assert ours["seed"].kind == "int"
    assert sum("parameters" in tags(cell) for cell in cells) == 1


def test_the_cell_below_the_parameters_says_how_to_run_with_other_values(path, cells):
    [at] = [i for i, cell in enumerate(cells) if "parameters" in tags(cell)]
    below = cells[at + 1]
    assert below["cell_type"] == "markdown"
    assert ("".join(below["source"]) + "\n\n").startswith(OTHER_VALUES.format(path.stem))


def test_the_full_profile_names_parameters_that_exist():
    profiles = json.loads((NOTEBOOKS / "full.json").read_text())
    assert set(profiles) <= set(PATHS)
    for name, values in profiles.items():
        parameters = read_notebook(PATHS[name]).parameters
        for parameter, value in values.items():
            assert coerce(parameters[parameter], value) == value


def test_no_shell_magic_download_or_path(cells):
    source = "\n".join("".join(cell["source"]) for cell in code(cells))
    assert not re.search(r"^\s*[!%]", source, re.MULTILINE)
    assert not re.search(r"https?://|\.\./|open\(|Path\(|os\.environ", source)


def test_figures_it_promises_are_published_whole(path, cells):
    promised = set(FIGURE.findall("".join(cells[0]["source"])))
    for figure in promised:
        files = {file.suffix for file in FIGURES.glob(f"{figure}.*")}
        assert files == {".svg", ".pdf", ".png", ".json", ".csv"}, figure
        sidecar = json.loads((FIGURES / f"{figure}.json").read_text())
        assert sidecar["notebook"] == path.stem
        assert len(sidecar["alt"]) > 60
        assert len(sidecar["caption"]) > 100
    made = {
        file.stem
        for file in FIGURES.glob("fig-*.json")
        if json.loads(file.read_text())["notebook"] == path.stem
    }
    assert made == promised


def test_claim_ids_are_unique_in_the_whole_ledger():
    ids = [
        claim["id"]
        for path in (FIGURES / "results").glob("*.json")
        for claim in json.loads(path.read_text())["claims"]
    ]
    assert len(ids) == len(set(ids))
