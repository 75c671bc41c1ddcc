"""Processes of their own for tests: commands of initlib, and a Dask cluster on loopback.

What takes seconds to import is imported once, by a server that forks each process. It knows no root
of a repository: each process has its own.
"""

import multiprocessing
import os
import re
import signal
import tempfile
import time
from pathlib import Path

from tiny_notebooks import make_root

FORKS = multiprocessing.get_context("forkserver")
FORKS.set_forkserver_preload(
    [
        *("distributed.cli.dask_scheduler", "distributed.cli.dask_worker"),
        *("initlib", "pandas", "papermill", "rich.progress"),
    ]
)


class Command:
    """A running command of initlib, with its output in a file."""

    def __init__(self, *arguments, **env):
        handle, name = tempfile.mkstemp(prefix="initlib-output-")
        os.close(handle)
        self._output = Path(name)
        env = {"INITLIB_ROOT": os.environ["INITLIB_ROOT"], **env}
        self._process = FORKS.Process(target=_run, args=(arguments, env, self._output), daemon=True)
        self._process.start()

    @property
    def returncode(self):
        """As of `subprocess.Popen`."""
        return self._process.exitcode

    def send_signal(self, number):
        """Send a signal to the process alone."""
        os.kill(self._process.pid, number)

    def wait(self, seconds=60):
        """Wait for the end, and give what was printed."""
        self._process.join(seconds)
        if self._process.is_alive():
            self._process.kill()
            self._process.join()
            raise TimeoutError(self._output.read_text())
        text = self._output.read_text()
        self._output.unlink()
        return text


def _run(arguments, env, output):
    _enter(env, output)
    # As in a new interpreter; a shell that puts the tests into the background makes all deaf to it.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    from initlib.lab.cli import main

    main(arguments)


class Dask:
    """A scheduler, ``processes[0]``, and the workers after it."""

    def __init__(self, folder, workers, **env):
        self.processes, self._folder, self._env = [], folder, env
        options = ["--host", "127.0.0.1", "--no-dashboard"]
        file = folder / "scheduler"
        self._start("scheduler", *options, "--port", "0", "--scheduler-file", file)
        self.address = self._wait_for_address(file)
        for _ in range(workers):
            self._start("worker", self.address, *options, "--nthreads", "1", "--no-nanny")

    def _start(self, what, *options):
        number = len(self.processes)
        # A root of its own, as a machine has that shares no disk.
        root = make_root(self._folder / f"root-{number}")
        env = {**self._env, "INITLIB_ROOT": str(root)}
        arguments = (what, [*map(str, options)], env, self._folder / f"log-{number}")
        process = FORKS.Process(target=_serve, args=arguments, daemon=True)
        process.start()
        self.processes.append(process)

    def _wait_for_address(self, file):
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            text = file.read_text() if file.exists() else ""
            if found := re.search(r'"(tcp://[\d.]+:\d+)"', text):
                return found[1]
            time.sleep(0.05)
        raise TimeoutError((self._folder / "log-0").read_text())

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for process in self.processes:
            process.kill()
            process.join()


def _serve(what, options, env, log):
    _enter(env, log)
    if what == "scheduler":
        from distributed.cli.dask_scheduler import main
    else:
        from distributed.cli.dask_worker import main
    main(options)


def _enter(env, output):
    os.environ.update(env)
    os.chdir(env["INITLIB_ROOT"])
    with output.open("w") as file:
        for stream in (1, 2):
            os.dup2(file.fileno(), stream)
