"""Runs on a cluster: a scheduler and two worker processes on loopback, and what may go wrong."""

import dataclasses
import os
import re
import signal
import subprocess
import sys
import threading
import time

import psutil
import pytest
from test_runs import RESULTS, Told
from tiny_notebooks import Meeting, files_of, make_notebook, make_root, record_of

from initlib.lab.runs import batch
from initlib.lab.runs import cluster as module
from initlib.lab.runs.cluster import Cluster
from initlib.lab.runs.execute import execute
from initlib.lab.runs.inputs import read_inputs
from initlib.lab.runs.notebook import select_notebooks
from initlib.lab.runs.parameters import PlanError
from initlib.lab.runs.plan import plan
from initlib.lab.runs.remote import put_files
from initlib.lab.runs.settings import Settings
from initlib.lab.runs.store import RunFolder, Store


class Dask:
    """A scheduler and workers, each a process of its own."""

    def __init__(self, folder, workers):
        self.processes, self._folder = [], folder
        options = ["--host", "127.0.0.1", "--no-dashboard"]
        self._start("scheduler", *options, "--port", "0", "--scheduler-file", folder / "scheduler")
        deadline = time.monotonic() + 60
        while not (folder / "scheduler").exists() and time.monotonic() < deadline:
            time.sleep(0.05)
        self.address = re.search(r"tcp://[\d.:]+", (folder / "scheduler").read_text())[0]
        for _ in range(workers):
            self._start("worker", self.address, *options, "--nthreads", "1", "--no-nanny")

    def _start(self, what, *options):
        # A root of its own, as a machine has that shares no disk.
        root = make_root(self._folder / f"root-{len(self.processes)}")
        command = [sys.executable, "-m", f"distributed.cli.dask_{what}", *map(str, options)]
        env = os.environ | {"INITLIB_ROOT": str(root)}
        with (self._folder / f"log-{len(self.processes)}").open("w") as log:
            started = subprocess.Popen(command, stdout=log, stderr=log, env=env, cwd=root)
        self.processes.append(started)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for process in self.processes:
            process.kill()
            process.wait()


@pytest.fixture(scope="module")
def dask(tmp_path_factory):
    with Dask(tmp_path_factory.mktemp("dask"), workers=2) as running:
        yield running


@pytest.fixture
def root(tmp_path):
    return make_root(tmp_path / "clone")


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
    outcomes = run_all(root, dask.address, cell_timeout=5)
    assert [outcome.state for outcome in outcomes] == ["ok", "failed", "dead", "failed"]
    errors = [outcome.record["error"] for outcome in outcomes[1:]]
    assert errors[0] == "ZeroDivisionError: division by zero"
    assert "SIGKILL" in errors[1]
    assert "time limit" in errors[2]
    files = ["figures", "figures/fig-a-b.csv", "lock", "log.txt", "notebook.ipynb"]
    assert files_of(root, "01-fine") == [*files, "results.json", "run.json"]
    assert "hello" in outcomes[0].folder.log.read_text()
    assert files_of(root, "02-raises") == ["lock", "log.txt", "notebook.partial.ipynb", "run.json"]
    again = run_all(root, dask.address, cell_timeout=5)
    assert [outcome.state for outcome in again][:2] == ["skipped", "failed"]


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
            own.processes[0].send_signal(signal.SIGKILL)

        told.started = lambda run: threading.Thread(target=kill_the_scheduler, args=(run,)).start()
        outcomes = run_all(root, own.address, told)
    assert [outcome.state for outcome in outcomes] == ["skipped", "dead"]
    assert outcomes[1].record["error"] == "the scheduler of the cluster is gone"
    assert files_of(root, "02-meets") == ["lock", "run.json"]


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


def test_a_yaml_file_names_any_cluster_that_dask_knows(root, tmp_path):
    make_notebook(root, "01-a", "x = 1")
    file = tmp_path / "cluster.yaml"
    options = "{n_workers: 0, host: 127.0.0.1, dashboard_address: '127.0.0.1:0', silence_logs: 50}"
    file.write_text(f"class: distributed.LocalCluster\noptions: {options}\njobs: 1\n")
    [outcome] = run_all(root, str(file))
    assert outcome.state == "ok"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "No such file"),
        ("class: [", "ParserError"),
        ("options: {}", "KeyError: 'class'"),
        ("class: distributed.NoCluster", "NoCluster"),
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
