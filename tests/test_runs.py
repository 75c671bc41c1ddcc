"""Runs: what may be asked for, keys, the store, and what becomes of kernels that go wrong."""

import dataclasses
import errno
import io
import json
import os
import tracemalloc
from functools import cached_property
from pathlib import Path

import papermill
import pytest
from rich.console import Console
from tiny_notebooks import files_of, make_notebook, make_root, record_of

from initlib.lab import checksums
from initlib.lab.runs import execute as execution
from initlib.lab.runs import notebook as notebooks
from initlib.lab.runs import report
from initlib.lab.runs import store as storage
from initlib.lab.runs.execute import Outcome, execute
from initlib.lab.runs.inputs import Inputs, sources_digest
from initlib.lab.runs.normalize import normalize
from initlib.lab.runs.notebook import read_notebook, select_notebooks
from initlib.lab.runs.parameters import (
    Parameter,
    PlanError,
    coerce,
    coerce_grid,
    read_parameters,
)
from initlib.lab.runs.plan import plan
from initlib.lab.runs.profiles import read_full_profile
from initlib.lab.runs.progress import show_progress
from initlib.lab.runs.publish import publish
from initlib.lab.runs.report import collect, write_report
from initlib.lab.runs.settings import Settings
from initlib.lab.runs.store import Store, identity

INPUTS = Inputs(
    sources="s" * 64,
    versions={"python": "3.11.7", "torch": "2.13.0", "numpy": "2.4.6", "initlib": "0.1.0"},
)
RESULTS = (
    "import json, os, pathlib\n"
    "run = pathlib.Path(os.environ['INITLIB_RUN_DIR'])\n"
    "(run / 'figures').mkdir()\n"
    "(run / 'figures' / 'fig-a-b.csv').write_text('x')\n"
    "names = ['OMP_NUM_THREADS', 'INITLIB_RUN_KEY', 'INITLIB_ROOT']\n"
    "results = {name: os.environ[name] for name in names}\n"
    "results |= json.loads((run / 'run.json').read_text()) | {'lr': lr}\n"
    "(run / 'results.json').write_text(json.dumps(results))"
)


class Told:
    """Keeps what a batch tells."""

    def __init__(self):
        self.cells, self.ended = [], []

    def started(self, run):
        pass

    def cell(self, run, done, total):
        self.cells.append((run.notebook.name, done, total))

    def finished(self, outcome):
        self.ended.append((outcome.run.label, outcome.state))


@pytest.fixture
def root(tmp_path):
    return make_root(tmp_path / "clone")


def plan_all(root, **kwargs):
    return plan(select_notebooks(root / "notebooks"), INPUTS, **kwargs)


def run_all(root, runs=None, told=None, **settings):
    runs = plan_all(root) if runs is None else runs
    settings = Settings(root=root, **{"workers": 2, **settings})
    return execute(runs, Store(root / "runs"), settings, told or Told())


# What may be asked for


GOOD_CELL = """\
# The quick profile.
seed: int = 0  # of the draws
depth: int = -3
lr: float = 1e-3  # step size (1/s, > 0)
name: str = "a, b"  # label
fast: bool = True  # é, after two bytes
widths: list[int] = [16, 64]  # units
scales: list[float] = [0.5, 1.0]  # of He
schemes: list[str] = ["he", "xavier"]  # names
"""


def test_parameters_are_read_with_type_default_and_help():
    parameters = read_parameters(GOOD_CELL)
    assert parameters["lr"] == Parameter("lr", "float", 1e-3, "step size (1/s, > 0)")
    assert parameters["depth"] == Parameter("depth", "int", -3, "")
    assert parameters["fast"].help == "é, after two bytes"
    assert [p.default for p in parameters.values()][-2:] == [[0.5, 1.0], ["he", "xavier"]]


def test_papermill_reads_the_same_parameters(root):
    path = make_notebook(root, "01-a", parameters=GOOD_CELL)
    theirs = papermill.inspect_notebook(str(path), {})
    ours = read_notebook(path).parameters
    assert {name: (p.kind, p.help) for name, p in ours.items()} == {
        name: (p["inferred_type_name"], p["help"]) for name, p in theirs.items()
    }


@pytest.mark.parametrize(
    "line",
    [
        "a = 1",
        "a: int",
        "a: int = 1.0",
        "a: int = True",
        "a: float = 1",
        "a: float = 1e999",
        "a: bool = 0",
        "a: list[int] = [1, 2.0]",
        "a: list[int] = (1, 2)",
        "a: list[int] = [\n    1,\n]",
        "a: int | None = None",
        "a: tuple[int, ...] = (1,)",
        "a: Literal['x'] = 'x'",
        "a: int = 2 * 3",
        "a: int = len('x')",
        "a.b: int = 1",
        "import os",
        "a: int = 1\na: int = 2",
        "a: int = ",
    ],
)
def test_other_parameters_cells_are_refused(line):
    with pytest.raises(PlanError, match="parameters cell"):
        read_parameters(line)


@pytest.mark.parametrize(
    ("kind", "value", "meant"),
    [
        ("int", "3", 3),
        ("int", "-3", -3),
        ("float", "1e-3", 1e-3),
        ("float", 2, 2.0),
        ("bool", "true", True),
        ("bool", "False", False),
        ("str", "1e-3", "1e-3"),
        ("str", "", ""),
        ("list[int]", "16,64", [16, 64]),
        ("list[int]", "[16, 64]", [16, 64]),
        ("list[float]", [1, 2.5], [1.0, 2.5]),
        ("list[str]", "he,xavier", ["he", "xavier"]),
    ],
)
def test_values_get_the_type_of_the_parameter(kind, value, meant):
    coerced = coerce(Parameter("a", kind, None), value)
    assert coerced == meant
    assert type(coerced) is type(meant)
    if isinstance(meant, list):
        assert [type(item) for item in coerced] == [type(item) for item in meant]


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("int", "3.5"),
        ("int", "1e3"),
        ("int", 3.0),
        ("int", True),
        ("int", None),
        ("float", "nan"),
        ("float", "x"),
        ("float", True),
        ("float", 10**400),
        ("bool", "yes"),
        ("bool", 1),
        ("str", 3),
        ("list[int]", "16,x"),
        ("list[int]", "[16"),
        ("list[int]", 16),
        ("list[int]", {"a": 1}),
    ],
)
def test_values_of_another_type_are_refused(kind, value):
    with pytest.raises(PlanError, match=r"'depth' is of type .*, such as 22; got"):
        coerce(Parameter("depth", kind, 22), value)


def test_grids_of_numbers_and_of_lists():
    assert coerce_grid(Parameter("a", "float", 0.1), "1e-3,1") == [1e-3, 1.0]
    assert coerce_grid(Parameter("a", "list[int]", [1]), "[1],[2,3]") == [[1], [2, 3]]
    with pytest.raises(PlanError, match="one of lists"):
        coerce_grid(Parameter("a", "list[int]", [1]), "1,2")


# Which runs that means


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ([], ["01-variance", "05-he", "05-lecun"]),
        (["all"], ["01-variance", "05-he", "05-lecun"]),
        (["05-he.ipynb", "notebooks/05-he.ipynb"], ["05-he"]),
        (["05-le", "01"], ["01-variance", "05-lecun"]),
    ],
)
def test_notebooks_are_found_by_name(root, asked, found):
    for name in ("05-he", "01-variance", "05-lecun", "Untitled"):
        make_notebook(root, name)
    assert [n.name for n in select_notebooks(root / "notebooks", asked)] == found


@pytest.mark.parametrize(
    ("asked", "hint"),
    [
        ("05-hee", "did you mean 05-he"),
        ("05", "fits 05-he, 05-lecun"),
        ("Untitled", "no notebook"),
        ("", "no notebook"),
        ("../secret", "no notebook"),
        ("runs/05-he/0123456789abcdef/notebook.ipynb", "only those in"),
        ("runs/quick/05-he.ipynb", "only those in"),
        ("/tmp/05-he.ipynb", "only those in"),
        ("notebooks/../runs/05-he.ipynb", "only those in"),
    ],
)
def test_unknown_notebooks_are_refused_with_a_hint(root, asked, hint):
    for name in ("05-he", "05-lecun", "Untitled"):
        make_notebook(root, name)
    with pytest.raises(PlanError, match=hint):
        select_notebooks(root / "notebooks", [asked])


@pytest.mark.parametrize("text", ["", "{}", '{"cells": 1}', '{"cells": [{"cell_type": "code"}]}'])
def test_a_broken_notebook_is_refused(root, text):
    path = root / "notebooks" / "01-a.ipynb"
    path.write_text(text)
    with pytest.raises(PlanError, match="not a notebook"):
        read_notebook(path)


def test_values_win_in_order_and_profiles_are_told_apart(root):
    make_notebook(root, "01-a")
    full = {"01-a": {"lr": 1}}

    def seen(**kwargs):
        return [(r.profile, *r.parameters.values(), r.label) for r in plan_all(root, **kwargs)]

    assert seen() == [("quick", 0, 0.1, "01-a")]
    assert seen(full=full) == [("quick", 0, 0.1, "01-a")]
    assert seen(full=full, profile="full") == [("full", 0, 1.0, "01-a")]
    assert seen(overrides={"lr": "0.1"}) == [("quick", 0, 0.1, "01-a")]
    assert seen(full=full, profile="full", overrides={"lr": "2"}) == [
        ("custom", 0, 2.0, "01-a lr=2.0")
    ]
    assert seen(grid={"seed": "1,2,1", "lr": "0.1,1"}) == [
        ("custom", 1, 0.1, "01-a seed=1"),
        ("custom", 1, 1.0, "01-a seed=1 lr=1.0"),
        ("custom", 2, 0.1, "01-a seed=2"),
        ("custom", 2, 1.0, "01-a seed=2 lr=1.0"),
    ]


@pytest.mark.parametrize(
    ("request_", "hint"),
    [
        ({"overrides": {"sed": "1"}}, "01-a has no parameter 'sed'; did you mean seed"),
        ({"grid": {"zzz": "1"}}, "known: seed, lr"),
        ({"grid": {"seed": "1,x"}}, "got 'x'"),
        ({"grid": {"seed": "1"}, "overrides": {"seed": 1}}, "a value and a grid"),
        ({"profile": "full", "full": {"01-a": {"lr": "x"}}}, "full.json: parameter 'lr'"),
    ],
)
def test_what_can_not_be_planned_is_refused_with_a_hint(root, request_, hint):
    make_notebook(root, "01-a")
    with pytest.raises(PlanError, match=hint):
        plan_all(root, **request_)


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ('{"01-b": {}}', "did you mean 01-a"),
        ('{"01-a": 1}', "object of parameters"),
        ("[]", "must hold an object"),
        ("{", "JSON"),
        ('{"01-a": {"lr": 1, "seed": 2, "lr": 3}}', "'lr' is given twice"),
    ],
)
def test_a_wrong_full_profile_is_refused(root, text, hint):
    make_notebook(root, "01-a")
    (root / "notebooks" / "full.json").write_text(text)
    with pytest.raises(PlanError, match=hint):
        read_full_profile(root / "notebooks")


# Keys


def key_of(root, *code, inputs=INPUTS, values=None, **kwargs):
    path = make_notebook(root, "01-a", *code, **kwargs)
    [run] = plan([read_notebook(path)], inputs, overrides=values)
    return run.key


def with_versions(**versions):
    return dataclasses.replace(INPUTS, versions={**INPUTS.versions, **versions})


def test_the_key_depends_on_what_is_computed_and_on_nothing_else(root):
    key = key_of(root, "x = 1")
    others = [
        key_of(root, "x = 2"),
        key_of(root, "x = 1", "y = 2"),
        key_of(root, "x = 1", values={"seed": 1}),
        key_of(root, "x = 1", parameters="seed: int = 0"),
        key_of(root, "x = 1", inputs=dataclasses.replace(INPUTS, sources="t")),
        key_of(root, "x = 1", inputs=with_versions(torch="2.14.0")),
        key_of(root, "x = 1", inputs=with_versions(numpy="2.5.0")),
        key_of(root, "x = 1", inputs=with_versions(python="3.12.0")),
    ]
    assert len({key, *others}) == 9
    assert key == key_of(root, "x = 1", text="# Another text")
    assert key == key_of(root, "x = 1", values={"lr": "0.10"})
    assert key == key_of(root, "x = 1", inputs=with_versions(python="3.11.9"))
    # A key outlives the process that made it.
    assert key == "a19c6e24e69015f5"


def test_the_content_of_the_data_counts(root):
    own = root / "own.npz"
    keys = set()
    for content in ("a", "b"):
        own.write_text(content)
        keys.add(key_of(root, parameters=f"dataset: str = {str(own)!r}"))
    for name in ("mnist", "mnist-60k"):
        keys.add(key_of(root, parameters='dataset: str = "mnist"', values={"dataset": name}))
    assert len(keys) == 4
    own.unlink()
    for name, hint in ((str(own), "own.npz"), ("mnis", "did you mean mnist")):
        with pytest.raises(PlanError, match=hint):
            key_of(root, parameters='dataset: str = "mnist"', values={"dataset": name})


def test_sources_count_except_for_the_runner_and_compiled_files(tmp_path):
    (tmp_path / "lab" / "runs").mkdir(parents=True)
    (tmp_path / "a.py").write_text("1")
    digest = sources_digest(tmp_path)
    for ignored in ("lab/runs/store.py", "lab/cli.py", "a.pyc", ".a.swp"):
        (tmp_path / ignored).write_text("2")
        assert sources_digest(tmp_path) == digest
    for counted in ("a.py", "lab/data.py", "lab/initlib.mplstyle"):
        (tmp_path / counted).write_text("2")
        assert sources_digest(tmp_path) != digest
        digest = sources_digest(tmp_path)


# The store


def new_run(tmp_path, **record):
    folder = Store(tmp_path).folder("01-a", "k1")
    with folder.lock():
        scratch = folder.begin({"state": "running", **record})
    folder.partial.write_text("{}")
    (scratch / "results.json").write_text("{}")
    return folder, scratch


def names(folder):
    return {path.name for path in folder.path.iterdir()}


@pytest.mark.parametrize("name", ["..", "a/b", "/etc", "", ".hidden", "a\0b"])
def test_a_run_can_not_leave_the_store(tmp_path, name):
    for notebook, key in ((name, "k1"), ("01-a", name)):
        with pytest.raises(ValueError, match="can't be the name"):
            Store(tmp_path).folder(notebook, key)


def test_a_record_of_a_running_process_is_dead_once_the_lock_is_free(tmp_path):
    folder, _ = new_run(tmp_path)
    with folder.lock() as held, folder.lock() as again:
        assert (held, again) == (True, False)
        assert folder.read()["state"] == "running"
    assert folder.read() == {"state": "dead", "error": "the process that ran it is gone"}


@pytest.mark.parametrize("text", ["", "{", "[]", "{}"])
def test_a_record_that_can_not_be_read_is_none(tmp_path, text):
    folder, _ = new_run(tmp_path)
    (folder.path / "run.json").write_text(text)
    assert folder.read() is None
    assert not folder.is_done()


def test_results_are_in_place_after_a_success_and_at_no_other_time(tmp_path):
    folder, scratch = new_run(tmp_path)
    assert "results.json" not in names(folder)
    folder.succeed(scratch, {"state": "ok"})
    assert names(folder) == {"lock", "run.json", "results.json", "notebook.ipynb"}
    assert folder.is_done()
    folder, scratch = new_run(tmp_path)
    assert not {"results.json", "notebook.ipynb"} & names(folder)
    folder.fail({"state": "failed"})
    assert names(folder) == {"lock", "run.json", "notebook.partial.ipynb"}


def test_a_kernel_that_outlives_its_runner_can_not_write_into_the_next_attempt(tmp_path):
    _, first = new_run(tmp_path)
    folder, second = new_run(tmp_path)
    assert first != second
    first.mkdir()
    (first / "results.json").write_text("stale")
    folder.succeed(second, {"state": "ok"})
    assert (folder.path / "results.json").read_text() == "{}"


def test_a_kernel_can_not_replace_the_record_or_the_notebook(tmp_path):
    folder, scratch = new_run(tmp_path)
    for name in ("run.json", "notebook.ipynb", "lock", "log.txt"):
        (scratch / name).write_text("forged")
    folder.succeed(scratch, {"state": "ok"})
    assert "forged" not in {path.read_text() for path in folder.path.iterdir()}


# Kernels


def test_one_batch_of_good_and_bad_runs_and_a_second_that_resumes(root, kernels, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "99")
    trap = root / "trap"
    trap.touch()
    make_notebook(root, "01-good", RESULTS, "print('said')")
    make_notebook(
        root, "02-raises", RESULTS, "def f():\n    raise ValueError('first\\nlast')", "f()"
    )
    die = f"import os\nif os.path.exists({str(trap)!r}):\n    os.kill(os.getpid(), 9)"
    make_notebook(root, "03-dies", RESULTS, die)
    make_notebook(root, "04-leaves", RESULTS, "import sys\nsys.exit()", "1")
    make_notebook(root, "05-hangs", RESULTS, "import time\ntime.sleep(60)")
    told = Told()
    runs = plan_all(root, overrides={"lr": "2"})
    forked = kernels == "forked"
    outcomes = run_all(root, runs, told, cell_timeout=1, forked=forked)

    ended = {o.run.notebook.name: (o.state, o.record["cell"], o.record["error"]) for o in outcomes}
    assert ended == {
        "01-good": ("ok", None, None),
        "02-raises": ("failed", 5, "ValueError: first\nlast"),
        "03-dies": ("dead", 4, "the kernel was killed by SIGKILL (out of memory?)"),
        "04-leaves": ("failed", 4, "stopped after 3 of 4 code cells"),
        "05-hangs": ("failed", 4, "the cell took longer than its time limit"),
    }
    assert [cell for cell in told.cells if cell[0] == "01-good"] == [
        ("01-good", done, 3) for done in range(3)
    ]
    assert {outcome.record["state"] for outcome in outcomes} == {"ok", "failed", "dead"}
    for name, (state, cell, _) in ended.items():
        record = record_of(root, name)
        assert (record["state"], record["cell"]) == (state, cell)
        whole = ["figures", "figures/fig-a-b.csv", "lock", "log.txt", "notebook.ipynb"]
        rest = ["lock", "log.txt", "notebook.partial.ipynb", "run.json"]
        assert files_of(root, name) == (
            [*whole, "results.json", "run.json"] if state == "ok" else rest
        )
    log = (outcomes[1].folder.log).read_text()
    assert "raise ValueError" in log
    assert log.endswith("last\n")
    assert outcomes[0].folder.log.read_text() == "said\n"

    results = json.loads((outcomes[0].folder.path / "results.json").read_text())
    assert results["lr"] == 2.0
    assert results["INITLIB_RUN_KEY"] == runs[0].key == results["key"]
    assert results["INITLIB_ROOT"] == str(root)
    assert results["OMP_NUM_THREADS"] == str(max(1, len(os.sched_getaffinity(0)) // 2))
    assert (results["notebook"], results["profile"]) == ("01-good", "custom")
    assert results["parameters"] == {"seed": 0, "lr": 2.0}

    trap.unlink()
    rest = [run for run in runs if run.notebook.name in ("01-good", "03-dies")]
    again = run_all(root, rest, forked=forked)
    assert [outcome.state for outcome in again] == ["skipped", "ok"]
    assert "results.json" in files_of(root, "03-dies")
    [forced] = run_all(root, runs[:1], force=True)
    assert forced.state == "ok"


def test_a_run_that_takes_too_long_is_ended_though_no_cell_does(root):
    make_notebook(root, "01-a", "import time", *["time.sleep(1.5)"] * 3)
    [outcome] = run_all(root, cell_timeout=60, run_timeout=4)
    assert outcome.state == "failed"
    assert outcome.record["error"] == "the run took longer than its time limit"


def test_a_dead_kernel_is_tried_again_when_asked_to(root, kernels):
    trap = root / "trap"
    trap.touch()
    die = f"import os\nif os.path.exists({str(trap)!r}):\n"
    die += f"    os.remove({str(trap)!r})\n    os._exit(3)"
    make_notebook(root, "01-a", die)
    [outcome] = run_all(root, retries=1, forked=kernels == "forked")
    assert outcome.state == "ok"
    assert "exited with status 3" not in outcome.folder.log.read_text()


def test_a_disk_that_fills_at_the_end_leaves_no_result(root, monkeypatch):
    make_notebook(root, "01-a", RESULTS)
    write = storage.write_atomic

    def write_until_ok(path, content):
        if '"state": "ok"' in content:
            raise OSError(errno.ENOSPC, "No space left on device")
        return write(path, content)

    monkeypatch.setattr(storage, "write_atomic", write_until_ok)
    [outcome] = run_all(root)
    assert outcome.state == "failed"
    assert "No space left" in outcome.record["error"]
    assert files_of(root, "01-a") == ["lock", "log.txt", "run.json"]


def test_a_batch_in_which_all_is_done_does_not_wait_for_papermill(root, monkeypatch):
    make_notebook(root, "01-a")
    run_all(root)
    monkeypatch.setattr(execution, "_import_papermill", None)
    assert [outcome.state for outcome in run_all(root)] == ["skipped"]


@pytest.mark.parametrize("terminal", [True, False])
def test_progress_is_live_in_a_terminal_and_plain_elsewhere(root, terminal):
    make_notebook(root, "01-a")
    [run] = plan_all(root, overrides={"seed": 1})
    shown = io.StringIO()
    console = Console(file=shown, force_terminal=terminal, width=80)
    folder = Store(root / "runs").folder(*run.id)
    record = {"seconds": 2.0, "cell": 4, "error": "E: [first]\nE: [last]"}
    with show_progress(console, 2) as progress:
        progress.finished(Outcome(run, folder, "skipped", {}))
        progress.started(run)
        progress.cell(run, 1, 3)
        progress.finished(Outcome(run, folder, "failed", record))
    lines = shown.getvalue()
    assert "01-a seed=1: failed after 2.0 s, cell 4: E: [last]" in lines
    assert ("\x1b[" in lines) == terminal
    assert ("0/2 runs" in lines) == terminal
    assert ("[2/2]" in lines) != terminal


# Many


class Count:
    """Calls a function, and counts how often."""

    def __init__(self, function):
        self.calls, self._function = 0, function

    def __call__(self, *args, **kwargs):
        self.calls += 1
        return self._function(*args, **kwargs)


def test_a_thousand_runs_need_their_notebook_and_data_once(root, monkeypatch):
    """By the work, not the time: what is large is read, written as JSON and hashed once."""
    own = root / "own.npz"
    own.write_text("data")
    parameters = f"seed: int = 0  # s\ndataset: str = {str(own)!r}  # d"
    make_notebook(root, "01-a", "x = 1", parameters=parameters)
    read = Count(notebooks.read_notebook)
    code = Count(notebooks.Notebook.canonical_code.func)
    sums = Count(checksums.checksums)
    for module in (notebooks, report):
        monkeypatch.setattr(module, "read_notebook", read)
    canonical = cached_property(lambda notebook: code(notebook))
    canonical.__set_name__(notebooks.Notebook, "canonical_code")
    monkeypatch.setattr(notebooks.Notebook, "canonical_code", canonical)
    monkeypatch.setattr(checksums, "checksums", sums)
    counts = (read, code, sums)

    runs = plan_all(root, grid={"seed": ",".join(map(str, range(1000)))})
    store = Store(root / "runs")
    flush = Count(os.fsync)
    monkeypatch.setattr(os, "fsync", flush)
    batch = execution._Batch(Settings(root=root), Told(), None)
    assert all(batch.skip_or_queue(run, store.folder(*run.id)) is None for run in runs)
    assert len(runs) == 1000
    assert [count.calls for count in counts] == [1, 1, 1]
    assert flush.calls == 0

    rows = collect(store, root / "notebooks", INPUTS)
    assert {row["state"] for row in rows} == {"queued"}
    assert all(row["current"] for row in rows)
    assert len(rows) == 1000
    assert [count.calls for count in counts] == [2, 2, 2]


def test_the_memory_of_a_plan_does_not_hold_a_notebook_for_each_run(root):
    make_notebook(root, "01-a", "x = " + "1 + " * 50_000 + "1")
    tracemalloc.start()
    try:
        runs = plan_all(root, grid={"seed": ",".join(map(str, range(1000)))})
        kept, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(runs) == 1000
    # Of 200 MB that a thousand copies would take: the text a few times, and 2 kB a run.
    assert kept < 5e6
    assert peak < 10e6


# What is made of the runs


def finished_run(root, name="01-a"):
    """A run that ended well, without a kernel."""
    [run] = plan([read_notebook(make_notebook(root, name))], INPUTS)
    folder = Store(root / "runs").folder(*run.id)
    with folder.lock():
        scratch = folder.begin({**run.describe(), "state": "running"})
        folder.partial.write_text("{}")
        (scratch / "figures").mkdir()
        (scratch / "figures" / "fig-a-b.svg").write_text("<svg/>")
        (scratch / "figures" / "README.md").write_text("not a figure")
        (scratch / "figures" / "link.csv").symlink_to("/etc/hosts")
        (scratch / "results.json").write_text("{}")
        folder.succeed(scratch, {**run.describe(), "state": "ok", "seconds": 1.0, "started": "2"})
    return run, folder


def test_publishing_copies_figures_and_results_that_changed(root):
    _, folder = finished_run(root)
    target = root / "figures"
    assert publish(folder, "01-a", target) == 2
    assert publish(folder, "01-a", target) == 0
    files = {path.relative_to(target).as_posix() for path in target.rglob("*") if path.is_file()}
    assert files == {"fig-a-b.svg", "results/01-a.json"}


def test_the_report_names_each_run_and_what_is_outdated(root):
    finished_run(root)
    _, folder = finished_run(root, "02-b")
    record = folder.read() | {"state": "failed", "cell": 3, "error": "E: a\nF: b|c <d>"}
    folder.write(record)
    make_notebook(root, "01-a", "changed = True")
    store = Store(root / "runs")
    rows = collect(store, root / "notebooks", INPUTS)
    assert [(row["notebook"], row["state"], row["current"]) for row in rows] == [
        ("01-a", "ok", False),
        ("02-b", "failed", True),
    ]
    text = write_report(store, rows).read_text()
    assert "1 ok, 1 failed" in text
    assert "ok (outdated)" in text
    key = record["key"]
    assert f"cell 3: F: b\\|c &lt;d> | [{key}](02-b/{key}/log.txt) |" in text
    assert json.loads((root / "runs" / "report.json").read_text()) == rows


def test_the_latest_run_with_the_same_parameters_decides_what_failed(root):
    run, folder = finished_run(root)
    store = Store(root / "runs")
    later = store.folder(run.notebook.name, "another-key")
    with later.lock():
        later.write({**folder.read(), "state": "failed", "started": "3"})
    assert store.last_states() == {identity("01-a", run.parameters): "failed"}


def test_normalizing_keeps_outputs_and_drops_what_changes_from_run_to_run(root):
    path = make_notebook(root, "01-a", "1 + 1")
    text = path.read_text()
    executed = json.loads(text)
    injected = {**executed["cells"][1], "metadata": {"tags": ["injected-parameters"]}}
    executed["cells"].insert(2, injected)
    output = {
        "output_type": "execute_result",
        "execution_count": 2,
        "data": {"text/plain": ["2"]},
        "metadata": {},
    }
    executed["cells"][3] |= {"execution_count": 2, "outputs": [output]}
    executed["cells"][3]["metadata"] = {"papermill": {"duration": 1.5}, "tags": ["a"]}
    executed["metadata"] = {"papermill": {}, "language_info": {"version": "3.11.7"}}

    normal = normalize(json.dumps(executed))
    content = json.loads(normal)
    assert normalize(normal) == normal
    assert [cell["id"] for cell in content["cells"]] == ["text", "code-0", "code-1"]
    assert content["cells"][2]["outputs"] == [output]
    assert content["cells"][2]["metadata"] == {"tags": ["a"]}
    assert set(content["metadata"]) == {"kernelspec", "language_info"}
    assert "papermill" not in normal

    taken = json.loads(normalize(text, json.dumps(executed)))
    assert taken["cells"][2]["outputs"] == [output]
    assert taken["cells"][2]["metadata"] == {}
    make_notebook(root, "01-a", "1 + 2")
    with pytest.raises(ValueError, match="other code"):
        normalize(Path(path).read_text(), json.dumps(executed))
