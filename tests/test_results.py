"""Every claim and number of every run, in one tidy table with the parameters beside it."""

import json

import pandas as pd
import pytest
from click.testing import CliRunner
from tiny_notebooks import make_notebook

from initlib.lab import paths
from initlib.lab.claims import Claims
from initlib.lab.cli import main
from initlib.lab.results import FOUND, RUN, cells, read_results, write_results
from initlib.lab.rules import exact, within
from initlib.lab.runs.inputs import read_inputs
from initlib.lab.runs.notebook import read_notebook
from initlib.lab.runs.plan import plan
from initlib.lab.runs.store import Store


def leave_run(root, name, state="ok", stale=False, **overrides):
    """Leave what a run leaves, without a kernel."""
    notebook = read_notebook(root / "notebooks" / f"{name}.ipynb")
    [run] = plan([notebook], read_inputs(), overrides=overrides)
    key = "0" * 16 if stale else run.key
    folder = Store(paths.RUNS).folder(name, key)
    record = {**run.describe(), "key": key, "state": state, "started": "2031-05-04"}
    folder.path.mkdir(parents=True)
    folder.write(record)
    folder.notebook.write_text("{}")
    claims = Claims(name, folder=folder.path)
    seed = run.parameters["seed"]
    claims.check("toy-mean", "It is 1", measured=1 + seed / 10, se=0.1, n=8, **RULE)
    shares = {"he": 1.0, "xavier": float("nan")}
    claims.check("toy-share", "All", measured=shares, rule=exact(), predicted=1)
    claims.record("toy-steps", 700 + seed, se=3.5, unit="steps")
    return run


RULE = {"rule": within(), "predicted": 1.0}


@pytest.fixture
def runs(root):
    make_notebook(root, "01-a", "1")
    depths = "seed: int = 0  # s\ndepths: list[int] = [2, 4]  # d\nn: str = 'few'  # n"
    make_notebook(root, "02-b", "1", parameters=depths)
    leave_run(root, "01-a")
    leave_run(root, "01-a", seed=1, lr=0.5)
    leave_run(root, "01-a", stale=True, seed=2)
    leave_run(root, "01-a", state="failed", seed=3)
    leave_run(root, "02-b")


def test_each_value_is_a_row_with_its_run_and_parameters(runs):
    table = read_results()
    assert len(table) == 4 * 4
    assert list(table.columns[: len(RUN + FOUND)]) == RUN + FOUND
    row = table[(table.seed == 1) & (table.id == "toy-mean")].iloc[0]
    expected = {"notebook": "01-a", "profile": "custom", "lr": 0.5, "value": 1.1, "se": 0.1}
    expected |= {"kind": "claim", "n": 8, "predicted": 1.0, "verdict": "holds", "cell": ""}
    assert {name: row[name] for name in expected} == expected
    number = table[(table.kind == "number") & (table.seed == 0)].iloc[0]
    assert (number.id, number.value, number.unit) == ("toy-steps", 700, "steps")
    share = table[(table.id == "toy-share") & (table.cell == "xavier")]
    assert share.value.isna().all()
    assert set(share.verdict) == {"holds in part"}


def test_a_sweep_is_one_line(runs):
    sweep = read_results(["01-a"]).query("current and id == 'toy-steps'").set_index("seed").value
    assert sweep.to_dict() == {0: 700, 1: 701}


def test_parameters_keep_their_type_and_their_name(runs):
    table = read_results()
    assert (table.seed.dtype, table.lr.dtype, table.current.dtype) == ("int64", "float64", "bool")
    assert (table.n.dtype, table.value.dtype) == ("Int64", "float64")
    second = table[table.notebook == "02-b"].iloc[0]
    assert (second.depths, second["parameter n"]) == ("[2, 4]", "few")
    assert pd.isna(second.lr)
    assert pd.isna(table[table.notebook == "01-a"].depths).all()


def test_outdated_runs_are_marked(runs):
    table = read_results()
    assert set(table[~table.current].seed) == {2}


def test_csv_is_read_back(runs, tmp_path):
    table = read_results()
    back = pd.read_csv(write_results(table, tmp_path / "new" / "sweep.csv"))
    assert list(back.columns) == list(table.columns)
    assert back.value.tolist() == pytest.approx(table.value.astype(float).tolist(), nan_ok=True)


def test_parquet_is_read_back_or_the_error_says_what_to_install(runs, tmp_path):
    table, path = read_results(), tmp_path / "sweep.parquet"
    try:
        import pyarrow  # noqa: F401
    except ImportError:
        with pytest.raises(ValueError, match="install pyarrow"):
            write_results(table, path)
        assert not path.exists()
    else:
        pd.testing.assert_frame_equal(pd.read_parquet(write_results(table, path)), table)


def test_the_command_prints_csv_or_writes_a_file(runs, tmp_path):
    def call(*arguments):
        return CliRunner().invoke(main, ["results", *arguments])

    printed = call("02").output.splitlines()
    assert printed[0].startswith("notebook,key,profile,current,kind,id,cell,value,se")
    assert len(printed) == 5
    assert call("-o", str(tmp_path / "all.csv")).exit_code == 0
    assert len(pd.read_csv(tmp_path / "all.csv")) == 16
    wrong = call("-o", str(tmp_path / "all.xlsx"))
    assert (wrong.exit_code, ".parquet" in wrong.output) == (1, True)
    assert call("03-c").exit_code == 2


def test_an_empty_store_gives_an_empty_table(root):
    make_notebook(root, "01-a", "1")
    assert list(read_results().columns) == RUN + FOUND
    assert read_results().empty


def test_a_broken_results_file_is_named(runs):
    path = next(paths.RUNS.glob("02-b/*/results.json"))
    path.write_text(json.dumps({"claims": [{}], "numbers": {}}))
    with pytest.raises(ValueError, match=r"results\.json is no results file"):
        read_results()


def test_cells_of_lists_are_counted_from_one():
    value, se = {"a": [1.0, 2.0], "b": [3.0]}, {"a": [0.1, 0.2], "b": 0.3}
    assert list(cells(value, se)) == [("a, 1", 1.0, 0.1), ("a, 2", 2.0, 0.2), ("b, 1", 3.0, 0.3)]
