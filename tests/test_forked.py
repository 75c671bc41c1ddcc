"""Forked kernels: the same as ordinary ones in what they see, compute and end with; servers too."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import threading
import time
import tomllib
from pathlib import Path

import pytest
from jupyter_client import KernelManager
from jupyter_client.kernelspec import KernelSpec
from test_runs import plan_all, run_all
from tiny_notebooks import Meeting, make_notebook, make_root

from initlib.lab.paths import NOTEBOOKS, ROOT
from initlib.lab.runs import forked, forkserver, provisioner
from initlib.lab.runs.forked import ForkError
from initlib.lab.runs.normalize import normalize
from initlib.lab.runs.store import OWN

pytestmark = pytest.mark.skipif(not forked.SUPPORTED, reason="forking needs Linux")

# All that could make the same code compute or show something else, as JSON.
STATE = """\
import gc, json, os, resource, signal, sys, threading, warnings
env, threads = dict(os.environ), sorted(thread.name for thread in threading.enumerate())
import matplotlib, matplotlib.pyplot as plt, numpy as np, pandas as pd, torch
import initlib as init
for name in ('INITLIB_RUN_DIR', 'INITLIB_RUN_KEY'):
    env.pop(name)
signals = (signal.SIGINT, signal.SIGTERM, signal.SIGCHLD, signal.SIGPIPE)
state = dict(
    env=env, threads=threads, path=sys.path, argv=sys.argv[:2], cwd=os.getcwd(),
    flags=list(sys.flags), warn=sorted(map(str, warnings.filters)),
    group=[os.getpid() == os.getpgrp() == os.getsid(0)], mask=list(signal.pthread_sigmask(0, [])),
    signals=[str(signal.getsignal(s)) for s in signals], gc=[gc.isenabled(), gc.get_threshold()],
    limits=[resource.getrlimit(number) for number in range(16)], nice=os.nice(0),
    torch=[torch.get_num_threads(), torch.get_num_interop_threads(), str(torch.get_default_dtype()),
           torch.__config__.parallel_info()],
    style={k: str(v) for k, v in matplotlib.rcParams.items()}, backend=plt.get_backend(),
    shown=[pd.get_option(f'display.{o}') for o in ('max_columns', 'max_rows', 'width')],
    err=np.geterr(), hooks=[type(sys.displayhook).__name__, sys.stdout.encoding],
    main=[__name__, sys.modules['__main__'].__dict__ is globals()],
)
print(json.dumps(state))
"""
BITS = """\
torch.manual_seed(seed)
x = torch.randn(300, 300)
weight = init.orthogonal_(torch.empty(200, 200, dtype=torch.float64))
matrix = np.random.default_rng(seed).normal(size=(400, 400))
def bits(a): return np.asarray(a).tobytes().hex()
print(bits((x @ x).sum()), bits(torch.linalg.svdvals(x)), bits(weight.sum()))
print(bits(np.linalg.svd(matrix @ matrix)[1]), bits((matrix @ matrix).sum()))
pd.DataFrame(np.arange(60).reshape(2, 30))"""
PLOT = "fig, ax = plt.subplots()\nax.plot(torch.arange(9) ** 2)\nax.set_title('$x^2$');"


@pytest.fixture
def root(tmp_path):
    yield make_root(tmp_path / "clone")
    forked.close_servers()


@pytest.fixture
def few_imports(monkeypatch):
    monkeypatch.setattr(forked, "PRELOADED", ())


def outputs(outcome):
    """What the cells of a run have printed and shown."""
    assert outcome.state == "ok", outcome.record["error"]
    cells = json.loads(outcome.folder.notebook.read_text())["cells"]
    return [cell["outputs"] for cell in cells if cell["cell_type"] == "code"]


def printed(outcome):
    return [line for cell in outputs(outcome) for o in cell for line in o["text"]]


def servers():
    return list(forked._servers.values())


# The same as ordinary kernels


def test_a_notebook_sees_computes_and_shows_the_same(root, monkeypatch):
    monkeypatch.setenv("SOME_VARIABLE", "é \udcff")
    make_notebook(root, "01-a", STATE, BITS, PLOT)
    both = {}
    for kind in (
        False,
        True,
    ):  # two workers share the cores: products of several threads may differ
        [outcome] = run_all(root, workers=2, force=True, forked=kind)
        both[kind] = outputs(outcome)
    state, *computed = both[False][1:]
    forked_state, *forked_computed = both[True][1:]
    seen, forked_seen = (json.loads(out[0]["text"][0]) for out in (state, forked_state))
    # Libraries that only other notebooks import have set filters of their own.
    assert set(seen.pop("warn")) <= set(forked_seen["warn"])
    differing = {k: (v, forked_seen[k]) for k, v in seen.items() if v != forked_seen[k]}
    assert differing == {}
    threads = max(1, len(os.sched_getaffinity(0)) // 2)
    assert forked_seen["torch"][0] == int(forked_seen["env"]["OMP_NUM_THREADS"]) == threads
    assert forked_computed == computed
    kinds = [kind for o in computed for output in o for kind in output.get("data", {})]
    assert "image/png" in kinds


def test_a_notebook_of_the_laboratory_leaves_the_same_bytes(root):
    name = "01-variance-propagation"
    (root / "notebooks" / f"{name}.ipynb").write_text((NOTEBOOKS / f"{name}.ipynb").read_text())
    few = {"widths": [16, 32, 64], "draws": 16, "single_draws": 16}
    both = []
    for kind in (False, True):
        [outcome] = run_all(root, plan_all(root, overrides=few), force=True, forked=kind)
        left = [path for path in outcome.folder.path.rglob("*") if path.is_file()]
        files = {path.name: path.read_bytes() for path in left if path.name not in OWN}
        normalized = normalize(files.pop("notebook.ipynb").decode())
        both.append(files | {"notebook": normalized, "outputs": outputs(outcome)})
    assert both[0] == both[1]
    assert {Path(name).suffix for name in both[0]} >= {".json", ".pdf", ".svg", ".png", ".csv"}


def test_kernels_of_one_server_share_no_random_numbers_and_no_changes(root, monkeypatch):
    monkeypatch.setattr(forked, "PRELOADED", ("torch", "numpy.random"))
    draw = (
        "import json, os, random, sys, numpy, torch\n"
        "print([random.random(), numpy.random.rand(), torch.rand(1).item()])\n"
        "print(torch.get_num_threads(), torch.get_default_dtype(), hasattr(os, 'left'), len(a))\n"
        "os.left, os.environ['LEFT'] = 1, '1'\n"
        "torch.set_num_threads(5)\n"
        "torch.set_default_dtype(torch.float64)"
    )
    for name in ("01-a", "02-b"):
        make_notebook(root, name, "import os\na = os.environ.get('LEFT', '')", draw)
    one, other = (printed(o) for o in run_all(root, workers=1, forked=True))
    drawn = [json.loads(lines[0]) for lines in (one, other)]
    assert not set(drawn[0]) & set(drawn[1])
    threads = len(os.sched_getaffinity(0))
    assert one[1] == other[1] == f"{threads} torch.float32 False 0\n"


def test_a_batch_has_one_server_and_ends_it(root, few_imports, monkeypatch):
    started = []

    class Counted(forked.ForkServer):
        def __init__(self, *args):
            super().__init__(*args)
            started.append(self)

    monkeypatch.setattr(forked, "ForkServer", Counted)
    where = "import os\nprint(os.getppid(), os.environ['INITLIB_RUN_KEY'], os.environ['PWD'])"
    for name in ("01-a", "02-b", "03-c"):
        make_notebook(root, name, where)
    runs = plan_all(root)
    lines = [printed(outcome)[0].split() for outcome in run_all(root, runs, forked=True)]
    assert len({parent for parent, _, _ in lines}) == 1
    assert [key for _, key, _ in lines] == [run.key for run in runs]
    [server] = started
    assert server._process.returncode == 0
    assert servers() == []
    assert run_all(root, runs, forked=True)[0].state == "skipped"
    assert len(started) == 1


def test_other_environments_and_folders_get_a_server_of_their_own(tmp_path, few_imports):
    env = {**os.environ, "INITLIB_RUN_KEY": "a"}
    one = forked.fork_server(env, str(tmp_path))
    assert forked.fork_server({**env, "INITLIB_RUN_KEY": "b"}, str(tmp_path)) is one
    assert forked.fork_server({**env, "OMP_NUM_THREADS": "7"}, str(tmp_path)) is not one
    assert forked.fork_server(env, "/") is not one
    forked.close_servers()
    assert one._process.returncode is not None


# How kernels and servers end


def wait_for(happened, seconds=60):
    for _ in range(int(seconds / 0.02)):
        if happened():
            return
        time.sleep(0.02)
    pytest.fail("did not happen")


def is_there(pid):
    """Whether a process lives; one that only has to be reaped by its parent does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def start(code):
    """Fork a process that runs a piece of code in ipykernel's place."""
    server = forked.fork_server(os.environ, os.getcwd())
    with open(os.devnull, "wb") as null:
        argv = ["ipykernel_launcher.py", f"--IPKernelApp.exec_lines={code}"]
        return server.fork(argv, os.environ, os.getcwd(), (null.fileno(), null.fileno()))


@pytest.mark.parametrize(
    ("code", "status"),
    [
        ("import os; os._exit(3)", 3),
        ("import os; os.kill(os.getpid(), 9)", -9),
        ("import os; os.abort()", -6),
    ],
)
def test_the_exit_status_is_that_of_the_process(few_imports, code, status):
    process = start(code)
    assert process.wait(timeout=30) == process.poll() == process.returncode == status
    process.kill()  # of what is gone is nothing
    forked.close_servers()


def test_a_kernel_that_lives_can_be_waited_for_terminated_and_killed(few_imports):
    process = start("pass")
    assert process.poll() is None
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(timeout=0.1)
    assert not servers()[0].is_idle()
    forked.close_servers(idle_only=True)
    assert is_there(process.pid)
    process.terminate()
    assert process.wait(timeout=30) == -signal.SIGTERM
    assert servers()[0].is_idle()
    other = start("pass")
    forked.close_servers()
    wait_for(lambda: not is_there(other.pid))


@pytest.mark.parametrize("server_too", [False, True])
def test_all_ends_soon_after_the_runner_is_killed(tmp_path, server_too):
    # A kernel that holds the lock of the interpreter can't see that its parent is gone.
    busy = "" if server_too else "__import__('ctypes').PyDLL(None).pause()"
    there = tmp_path / "busy"
    first = f"--IPKernelApp.exec_lines=open({str(there)!r}, 'w'); {busy}"
    code = (
        "import os, time\n"
        "from initlib.lab.runs import forked\n"
        "forked.PRELOADED = ()\n"
        "server = forked.fork_server(os.environ, os.getcwd())\n"
        f"argv = ['ipykernel_launcher.py', {first!r}]\n"
        "null = os.open(os.devnull, os.O_WRONLY)\n"
        "kernel = server.fork(argv, os.environ, os.getcwd(), (null, null))\n"
        "print(kernel.pid, server._process.pid, flush=True)\n"
        "time.sleep(60)"
    )
    with (tmp_path / "out").open("w+") as out:
        runner = subprocess.Popen([sys.executable, "-c", code], stdout=out, stderr=out)
        try:
            wait_for(there.exists)
            wait_for(lambda: (tmp_path / "out").read_text().endswith("\n"))
            pids = (tmp_path / "out").read_text().split()
            time.sleep(0.5)
            assert all(is_there(pid) for pid in pids)
        finally:
            runner.kill()
            runner.wait()
    if server_too:
        os.kill(int(pids[1]), signal.SIGKILL)
    wait_for(lambda: not any(is_there(pid) for pid in pids), seconds=15)


@pytest.mark.parametrize("retries", [0, 1])
def test_a_server_that_is_killed_takes_its_kernels_along_and_is_replaced(
    root, few_imports, retries
):
    with Meeting(root) as meeting:
        make_notebook(root, "01-a", meeting.code)
        ended = []
        thread = threading.Thread(
            target=lambda: ended.extend(run_all(root, forked=True, retries=retries))
        )
        thread.start()
        kernel, _ = meeting.wait()
        clock = time.monotonic()
        [lost] = servers()
        os.kill(lost._process.pid, signal.SIGKILL)
        wait_for(lambda: not is_there(kernel), seconds=15)
        if retries:
            kernel, connection = meeting.wait()
            assert os.getpgid(kernel) == kernel
            [server] = servers()
            assert f"PPid:\t{server._process.pid}\n" in Path(f"/proc/{kernel}/status").read_text()
            connection.close()
        thread.join(timeout=60)
    [outcome] = ended
    assert outcome.state == ("ok" if retries else "dead")
    assert retries or time.monotonic() - clock < 15


# What can't be forked


def test_where_no_server_can_start_kernels_are_ordinary_and_the_reason_is_said_once(
    root, tmp_path, monkeypatch, capfd
):
    broken = tmp_path / "broken.py"
    broken.write_text("raise RuntimeError('no room')")
    monkeypatch.setattr(forkserver, "__file__", str(broken))
    monkeypatch.setattr(provisioner, "_said", set())
    for name in ("01-a", "02-b"):
        make_notebook(root, name, "import os\nprint(os.getppid())")
    for outcome in run_all(root, forked=True):
        assert printed(outcome) == [f"{os.getpid()}\n"]
    said = capfd.readouterr().err
    assert said.count("ordinary kernels instead of forked ones") == 1
    assert "their server did not start: RuntimeError: no room" in said


def test_on_other_systems_kernels_are_ordinary(root, monkeypatch, capfd):
    monkeypatch.setattr(forked, "SUPPORTED", False)
    monkeypatch.setattr(provisioner, "SUPPORTED", False)
    monkeypatch.setattr(provisioner, "_said", set())
    make_notebook(root, "01-a", "import os\nprint(os.getppid())")
    [outcome] = run_all(root, forked=True)
    assert printed(outcome) == [f"{os.getpid()}\n"]
    assert "they need Linux" in capfd.readouterr().err


@pytest.mark.parametrize(
    ("command", "more", "why"),
    [
        (["R", "--args", "f"], {}, "is not ipykernel"),
        (["/usr/bin/python3", "-m", "ipykernel_launcher", "-f", "f"], {}, "is not ipykernel"),
        (None, {"stdout": subprocess.PIPE}, "a pipe"),
        (None, {"stdin": 0}, "stdin"),
        (None, {"preexec_fn": print}, "preexec_fn"),
        (None, {"independent": True}, "independent"),
    ],
)
def test_what_can_not_be_forked_is_refused_before_a_server_starts(command, more, why):
    command = command or [sys.executable, "-m", "ipykernel_launcher", "-f", "f"]
    with pytest.raises(ForkError, match=why):
        provisioner._fork(command, env=dict(os.environ), **more)
    assert servers() == []


# In the hands of others


def test_jupyter_finds_the_provisioner_by_its_name():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    points = project["entry-points"]["jupyter_client.kernel_provisioners"]
    module, _, name = points[provisioner.NAME].partition(":")
    assert getattr(sys.modules[module], name) is provisioner.ForkedProvisioner


def test_a_kernel_of_jupyter_is_started_interrupted_restarted_and_shut_down(tmp_path, monkeypatch):
    monkeypatch.setattr(forked, "PRELOADED", ("matplotlib.pyplot",))
    monkeypatch.delenv("MPLBACKEND", raising=False)

    class Manager(KernelManager):
        kernel_spec = KernelSpec(
            argv=[sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"],
            metadata={"kernel_provisioner": {"provisioner_name": provisioner.NAME}},
        )

    provisioner.register()
    manager = Manager(transport="ipc", connection_file=str(tmp_path / "k"))
    manager.start_kernel(cwd=str(tmp_path))
    client = manager.client()
    client.start_channels()
    try:
        client.wait_for_ready(timeout=60)
        answer = {"backend": "__import__('matplotlib').get_backend()"}
        shown = client.execute_interactive("", user_expressions=answer, timeout=30)
        assert "inline" in shown["content"]["user_expressions"]["backend"]["data"]["text/plain"]
        message = client.execute("import os, time; open('here', 'w'); time.sleep(60)")
        wait_for(lambda: (tmp_path / "here").exists())
        manager.interrupt_kernel()
        reply = client.get_shell_msg(timeout=30)
        assert reply["parent_header"]["msg_id"] == message
        assert reply["content"]["ename"] == "KeyboardInterrupt"
        first = manager.provisioner.pid
        manager.restart_kernel(now=True)
        client.wait_for_ready(timeout=60)
        assert manager.is_alive()
        assert manager.provisioner.pid != first
        assert asyncio.run(manager.provisioner.poll()) is None
    finally:
        client.stop_channels()
        manager.shutdown_kernel()
    assert manager.provisioner is None or not manager.provisioner.has_process
    forked.close_servers()
