"""A disk that fills: here, under the store of a cluster's batch, and under a worker."""

import contextlib
import json
import resource
import subprocess

import pytest
from processes import Dask
from test_cli import WRITE, call
from test_cluster import run_all
from tiny_notebooks import files_of, make_notebook, record_of

BIG = "'x' * 6_000_000"
FAILED = ["lock", "log.txt", "run.json"]


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 4 MB, mounted where it is asked for."""
    mounted = []

    def mount(folder):
        folder.mkdir(parents=True, exist_ok=True)
        command = ["mount", "-t", "tmpfs", "-o", "size=4m,mode=1777", "tmpfs", str(folder)]
        for prefix in ([], ["sudo", "-n"]):
            try:
                subprocess.run([*prefix, *command], check=True, capture_output=True)
            except (OSError, subprocess.CalledProcessError) as error:
                why = getattr(error, "stderr", b"").decode().strip() or str(error)
            else:
                mounted.append([*prefix, "umount", "--lazy", str(folder)])
                return
        pytest.skip(f"a small disk can't be mounted here: {why}")

    yield mount
    for command in mounted:
        subprocess.run(command, check=True)


def fill(folder):
    """Take the last byte of a disk; gives the file to be removed."""
    path = folder / "filler"
    with path.open("wb", buffering=0) as file:
        for size in (1 << 16, 1):
            with contextlib.suppress(OSError):
                while True:
                    file.write(b"x" * size)
    return path


def rows(root):
    """What the report says."""
    report = json.loads((root / "runs" / "report.json").read_text())
    return {row["notebook"]: (row["state"], "No space left" in row["why"]) for row in report}


def test_runs_that_fill_the_disk_fail_alone_and_leave_nothing(root, small_disk):
    small_disk(root / "runs")
    make_notebook(root, "01-kernel", WRITE.format("results.json", "x").replace("'x'", BIG))
    make_notebook(root, "02-output", f"print({BIG})")
    make_notebook(root, "03-fine", "1 + 1")
    result = call("run", "--workers", "1")
    assert result.exit_code == 1
    full, fine = ("failed", True), ("ok", False)
    assert rows(root) == {"01-kernel": full, "02-output": full, "03-fine": fine}
    for name in ("01-kernel", "02-output"):
        assert set(files_of(root, name)) <= {*FAILED, "notebook.partial.ipynb"}
        assert f"{name}: failed" in result.output
    # The log of 4 MB that filled the disk has made room for the next run, all but its end.
    log = next((root / "runs" / "02-output").glob("*/log.txt")).read_text()
    assert len(log) <= 10_000
    assert "xxx" in log


def test_on_a_full_disk_each_run_is_named_and_what_was_done_stays(root, small_disk):
    small_disk(root / "runs")
    make_notebook(root, "01-done", WRITE.format("figures/fig-a-b.pdf", "a figure"))
    assert call("run").exit_code == 0
    done = dict.fromkeys(files_of(root, "01-done"), root / "runs" / "01-done")
    make_notebook(root, "02-a", "1")
    make_notebook(root, "03-b", "2")
    filler = fill(root / "runs")
    result = call("run")
    assert result.exit_code == 1
    assert "2 failed" in result.output
    for name in ("02-a", "03-b"):
        assert f"{name}: failed" in result.output
    assert "No space left on device" in result.output.splitlines()[-1]
    assert "Traceback" not in result.output
    assert files_of(root, "01-done") == list(done)
    assert record_of(root, "01-done")["state"] == "ok"
    assert "01-done" in call("status").output

    filler.unlink()
    again = call("run")
    assert again.exit_code == 0, again.output
    assert "1 done before, 2 ok" in again.output
    assert set(rows(root).values()) == {("ok", False)}


@pytest.fixture(scope="module")
def dask(tmp_path_factory):
    with Dask(tmp_path_factory.mktemp("dask"), workers=1) as running:
        yield running


def test_results_that_do_not_fit_on_the_disk_of_the_caller_fail_alone(root, dask, small_disk):
    small_disk(root / "runs")
    make_notebook(root, "01-big", WRITE.format("results.json", "x").replace("'x'", BIG))
    make_notebook(root, "02-fine", "1")
    outcomes = run_all(root, dask.address)
    assert [outcome.state for outcome in outcomes] == ["failed", "ok"]
    assert "No space left on device" in record_of(root, "01-big")["error"]
    assert files_of(root, "01-big") == FAILED


def test_results_that_can_not_be_written_fail_alone(root, dask):
    """As above, where no disk can be mounted: here no file may be larger than 1 MB."""
    make_notebook(root, "01-big", WRITE.format("results.json", "x").replace("'x'", BIG))
    make_notebook(root, "02-fine", "1")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, before[1]))
    try:
        outcomes = run_all(root, dask.address)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert [outcome.state for outcome in outcomes] == ["failed", "ok"]
    assert "File too large" in record_of(root, "01-big")["error"]
    assert not {"results.json", "notebook.ipynb"} & set(files_of(root, "01-big"))


def test_a_worker_on_a_full_disk_is_named_and_goes_on_when_there_is_room(
    root, tmp_path, small_disk
):
    disk = tmp_path / "disk"
    small_disk(disk)
    make_notebook(root, "01-big", WRITE.format("results.json", "x").replace("'x'", BIG))
    make_notebook(root, "02-fine", "1")
    with Dask(tmp_path, workers=1, TMPDIR=str(disk)) as own:
        outcomes = run_all(root, own.address)
        assert [outcome.state for outcome in outcomes] == ["failed", "ok"]
        assert "No space left on device" in record_of(root, "01-big")["error"]
        make_notebook(root, "03-late", "1")
        filler = fill(disk)
        outcomes = run_all(root, own.address)
        assert [outcome.state for outcome in outcomes] == ["failed", "skipped", "failed"]
        why = record_of(root, "03-late")["error"]
        assert why.startswith("on the worker ")
        assert "No space left on device" in why
        filler.unlink()
        (root / "notebooks" / "01-big.ipynb").unlink()
        assert [outcome.state for outcome in run_all(root, own.address)] == ["skipped", "ok"]
