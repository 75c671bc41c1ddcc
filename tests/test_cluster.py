"""Runs on a cluster: a scheduler and two worker processes on loopback, and what may go wrong."""

import dataclasses
import re
import signal
import sys
import threading
import time
from urllib.error import HTTPError
from urllib.parse import urlsplit
from urllib.request import urlopen

import psutil
import pytest
from processes import Command, Dask
from test_runs import RESULTS, Told
from tiny_notebooks import Meeting, files_of, make_notebook, record_of

from initlib.lab.runs import batch
from initlib.lab.runs import cluster as module
from initlib.lab.runs.cluster import Cluster
from initlib.lab.runs.execute import execute
from initlib.lab.runs.inputs import read_inputs
from initlib.lab.runs.notebook import select_notebooks
from initlib.lab.runs.parameters import PlanError
from initlib.lab.runs.plan import plan
from initlib.lab.runs.remote import put_files
from initlib.lab.runs.settings import Settings, cores
from initlib.lab.runs.store import RunFolder, Store


@pytest.fixture(scope="module")
def dask(tmp_path_factory):
    with Dask(tmp_path_factory.mktemp("dask"), workers=2) as running:
        yield running


def run_all(root, address, told=None, inputs=None, retries=0, **settings):
    inputs = inputs or read_inputs()
    runs = plan(select_notebooks(root / "notebooks"), inputs)
    settings = Settings(root=root, workers=8, retries=retries, **settings)
    with Cluster(address, inputs, retries=retries) as cluster:
        return execute(runs, Store(root / "runs"), settings, told or Told(), cluster.attempt)


def test_results_come_back_and_each_failure_is_named(root, dask):
    make_notebook(root, "01-fine", RESULTS, "print('hello')")
    make_notebook(root, "02-raises", "1 / 0")
    make_notebook(root, "03-dies", "import os, signal; os.kill(os.getpid(), signal.SIGKILL)")
    make_notebook(root, "04-hangs", "import time; time.sleep(600)")
    outcomes = run_all(root, dask.address, cell_timeout=3)
    assert [outcome.state for outcome in outcomes] == ["ok", "failed", "dead", "failed"]
    errors = [outcome.record["error"] for outcome in outcomes[1:]]
    assert errors[0] == "ZeroDivisionError: division by zero"
    assert "SIGKILL" in errors[1]
    assert "time limit" in errors[2]
    files = ["figures", "figures/fig-a-b.csv", "lock", "log.txt", "notebook.ipynb"]
    assert files_of(root, "01-fine") == [*files, "results.json", "run.json"]
    assert "hello" in outcomes[0].folder.log.read_text()
    assert files_of(root, "02-raises") == ["lock", "log.txt", "notebook.partial.ipynb", "run.json"]
    for name in ("03-dies", "04-hangs"):
        (root / "notebooks" / f"{name}.ipynb").unlink()
    again = run_all(root, dask.address)
    assert [outcome.state for outcome in again] == ["skipped", "failed"]


def test_the_record_is_that_of_a_run_here(root, dask):
    make_notebook(root, "01-a", "import os\nprint(os.environ['OMP_NUM_THREADS'])")
    [outcome] = run_all(root, dask.address, provenance={"commit": "c0ffee"})
    record = record_of(root, "01-a")
    assert outcome.folder.log.read_text() == "1\n"
    assert record.items() >= outcome.run.describe().items()
    assert record["sources"] == read_inputs().sources
    assert record["commit"] == "c0ffee"
    # Another process has run it.
    assert record["pid"] in [process.pid for process in dask.processes[1:]]


def test_a_run_that_takes_too_long_is_ended_on_its_worker(root, dask):
    make_notebook(root, "01-a", "import time\ntime.sleep(600)")
    [outcome] = run_all(root, dask.address, run_timeout=3)
    assert outcome.state == "failed"
    assert outcome.record["error"] == "the run took longer than its time limit"
    workers = [psutil.Process(process.pid) for process in dask.processes[1:]]
    assert [kernel for worker in workers for kernel in worker.children()] == []


def test_a_run_whose_worker_is_killed_goes_to_another(root, dask, tmp_path):
    with Dask(tmp_path, workers=2) as own, Meeting(tmp_path) as meeting:
        make_notebook(root, "01-meets", meeting.code)
        told = Told()

        def kill_the_first(run):
            kernel, _ = meeting.wait()
            psutil.Process(kernel).parent().kill()
            _, connection = meeting.wait()
            connection.close()

        told.started = lambda run: threading.Thread(target=kill_the_first, args=(run,)).start()
        [outcome] = run_all(root, own.address, told, retries=2)
    assert outcome.state == "ok"
    assert record_of(root, "01-meets")["state"] == "ok"


def test_a_scheduler_that_goes_away_ends_the_batch_and_loses_nothing(root, tmp_path):
    with Dask(tmp_path, workers=2) as own, Meeting(tmp_path) as meeting:
        make_notebook(root, "01-fine", "x = 1")
        assert [outcome.state for outcome in run_all(root, own.address)] == ["ok"]
        make_notebook(root, "02-meets", meeting.code)
        told = Told()

        def kill_the_scheduler(run):
            meeting.wait()
            own.processes[0].kill()

        told.started = lambda run: threading.Thread(target=kill_the_scheduler, args=(run,)).start()
        outcomes = run_all(root, own.address, told)
    assert [outcome.state for outcome in outcomes] == ["skipped", "dead"]
    assert outcomes[1].record["error"] == "the scheduler of the cluster is gone"
    assert files_of(root, "02-meets") == ["lock", "run.json"]


def test_ctrl_c_ends_the_kernels_of_the_workers_and_the_next_batch_goes_on(root, dask):
    make_notebook(root, "01-fine", "x = 1")
    assert [outcome.state for outcome in run_all(root, dask.address)] == ["ok"]
    with Meeting(root) as meeting:
        # One more than there are workers: it waits at the scheduler.
        names = ("02-a", "03-b", "04-c")
        for name in names:
            make_notebook(root, name, meeting.code)
        runner = Command("run", "--cluster", dask.address)
        connections = [meeting.wait()[1] for _ in dask.processes[1:]]
        runner.send_signal(signal.SIGINT)
        output = runner.wait()
        assert runner.returncode == 130, output
        assert "1 done before, 3 dead" in output
        assert "Traceback" not in output
        for connection in connections:
            connection.settimeout(60)
            assert connection.recv(1) == b""
        for name in names:
            assert record_of(root, name)["error"] == "interrupted"
            assert files_of(root, name) == ["lock", "run.json"]
            assert f"{name}: dead" in output

        def let_go(run):
            threading.Thread(target=lambda: meeting.wait()[1].close()).start()

        told = Told()
        told.started = let_go
        outcomes = run_all(root, dask.address, told)
    assert [outcome.state for outcome in outcomes] == ["skipped", "ok", "ok", "ok"]


def test_of_two_batches_one_takes_over_what_the_other_leaves(root, dask):
    ledger = root / "ledger"
    with Meeting(root) as meeting:
        for name in ("01-a", "02-b"):
            note = f"with open({str(ledger)!r}, 'a') as file:\n    file.write('{name}\\n')"
            make_notebook(root, name, meeting.code, note)
        first = Command("run", "--cluster", dask.address)
        kernels = dict(meeting.wait() for _ in range(2))
        second = Command("run", "--cluster", dask.address)
        finish(root, kernels)
        first.send_signal(signal.SIGKILL)
        first.wait()
        # The kernel that the first has left behind ends, and the second starts another.
        [left] = kernels.values()
        left.settimeout(60)
        assert left.recv(1) == b""
        meeting.wait()[1].close()
        output = second.wait()
    assert second.returncode == 0, output
    assert "1 ok, 1 done before" in output or "1 done before, 1 ok" in output
    assert sorted(ledger.read_text().split()) == ["01-a", "02-b"]
    for name in ("01-a", "02-b"):
        assert record_of(root, name)["state"] == "ok"
        assert not [file for file in files_of(root, name) if "scratch" in file]


def finish(root, kernels):
    """Let one of the kernels go on, and wait until its run is done."""
    kernels.popitem()[1].close()
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        if "ok" in [record_of(root, name)["state"] for name in ("01-a", "02-b")]:
            return
        time.sleep(0.05)
    raise TimeoutError


def test_a_worker_with_another_initlib_is_refused(root, dask):
    make_notebook(root, "01-a", "x = 1")
    other = dataclasses.replace(read_inputs(), sources="f" * 64)
    [outcome] = run_all(root, dask.address, inputs=other)
    assert outcome.state == "failed"
    assert re.search(
        r"sources of its initlib .* not those of this machine", outcome.record["error"]
    )
    versions = read_inputs().versions | {"numpy": "1.0"}
    [outcome] = run_all(root, dask.address, inputs=dataclasses.replace(other, versions=versions))
    assert re.search(r"it has numpy .*, this machine 1\.0", outcome.record["error"])


def test_files_stay_in_the_folder_of_their_run(tmp_path):
    for name in ("../x", "/x", "figures/../../x", ".hidden"):
        with pytest.raises(ValueError, match="sent a file with the name"):
            put_files({"results.json": b"", name: b""}, RunFolder(tmp_path), tmp_path / "scratch")
    assert not list(tmp_path.iterdir())


def test_what_comes_back_is_not_in_place_before_the_run_has_succeeded(tmp_path):
    folder, scratch = RunFolder(tmp_path), tmp_path / "scratch"
    names = ("log.txt", "notebook.ipynb", "results.json", "figures/fig-a-b.csv")
    put_files(dict.fromkeys(names, b"x"), folder, scratch)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        *("log.txt", "notebook.partial.ipynb", "scratch")
    ]
    assert (scratch / "figures" / "fig-a-b.csv").read_bytes() == b"x"


def test_a_yaml_file_names_any_cluster_that_dask_knows(root, tmp_path):
    make_notebook(root, "01-a", "import os\nprint(os.environ['OMP_NUM_THREADS'])")
    file = tmp_path / "cluster.yaml"
    options = "{n_workers: 0, processes: false, dashboard_address: '127.0.0.1:0', silence_logs: 50}"
    file.write_text(f"class: distributed.LocalCluster\noptions: {options}\njobs: 1\nthreads: 2\n")
    [outcome] = run_all(root, str(file))
    assert outcome.state == "ok"
    assert outcome.folder.log.read_text() == f"{min(2, cores())}\n"


def test_a_cluster_of_this_machine_listens_to_it_alone_and_its_pages_have_a_secret(root):
    make_notebook(root, "01-a", "import os\nprint(os.environ['OMP_NUM_THREADS'])")
    before = set(listening())
    with Cluster("local", read_inputs(), workers=1) as cluster:
        opened = set(listening()) - before
        assert {ip for ip, _ in opened} == {"127.0.0.1"}
        assert urlopen(cluster.link).status == 200
        secret = urlsplit(cluster.link).path.split("/")[1]
        assert len(secret) > 40
        for _, port in opened:
            with pytest.raises(HTTPError, match="404"):
                urlopen(f"http://127.0.0.1:{port}/info/main/workers.html")
        # No port of a scheduler or worker: whoever reaches one can run code.
        assert len(opened) == 2
    [outcome] = run_all(root, "local")
    assert outcome.state == "ok"
    assert outcome.folder.log.read_text() == "1\n"


def listening():
    """The addresses at which this process and its children listen."""
    for process in (psutil.Process(), *psutil.Process().children(recursive=True)):
        for connection in process.net_connections():
            if connection.status == "LISTEN":
                yield connection.laddr


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "No such file"),
        ("class: [", "ParserError"),
        ("options: {}", "KeyError: 'class'"),
        ("class: distributed.NoCluster", "NoCluster"),
        ("class: distributed.LocalCluster\nthreads: many", "ValueError"),
        ("class: no_such_module.Cluster", "no_such_module"),
    ],
)
def test_a_cluster_that_cannot_be_understood_is_refused(tmp_path, content, message):
    if content is not None:
        (tmp_path / "c.yaml").write_text(content)
    with pytest.raises(PlanError, match=message):
        Cluster(str(tmp_path / "c.yaml"), read_inputs())


def test_a_scheduler_that_is_not_there_is_said_at_once(monkeypatch):
    monkeypatch.setattr(module, "CONNECT_SECONDS", 1)
    with pytest.raises(PlanError, match=r"no cluster at 'tcp://127\.0\.0\.1:9'"):
        Cluster("tcp://127.0.0.1:9", read_inputs())


def test_without_dask_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "initlib.lab.runs.cluster", None)
    with pytest.raises(PlanError, match=r"pip install 'initlib\[lab,cluster\]'"):
        batch._place("local", read_inputs(), None, 0)
