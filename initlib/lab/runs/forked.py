"""Forked kernels: a server that has imported what notebooks import, and the processes it forks.

There is one server for each environment and working directory, since libraries read both when they
are imported (``OMP_NUM_THREADS``, ``MPLBACKEND``, ``INITLIB_ROOT``); only the variables of
`PER_KERNEL` may differ among its kernels. What the kernels of one server do share: the seed of
Python's string hashes, and the code of initlib as it was when the server started.

`multiprocessing` has a fork server, too, but one for all environments, whose children import the
main program of the runner again and skip what is registered with `atexit`.
"""

from __future__ import annotations

import atexit
import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping

from initlib.lab.runs import forkserver

SUPPORTED = sys.platform == "linux"
PRELOADED = ("torch", "pandas", "matplotlib.pyplot", "initlib.lab.*")
PER_KERNEL = ("INITLIB_RUN_DIR", "INITLIB_RUN_KEY", "JPY_PARENT_PID", "JPY_SESSION_NAME")
PER_KERNEL += ("PYTEST_CURRENT_TEST",)
START_SECONDS = 120
POLL_SECONDS = 0.05
CLOSE_SECONDS = 5


def pays(kernels: int) -> bool:
    """Whether a server imports less than that many kernels do, where it can fork at all."""
    return SUPPORTED and kernels > 1


class ForkError(Exception):
    """A kernel that can't be forked, and why."""


class ForkedProcess:
    """A forked kernel, with the part of `subprocess.Popen` that provisioners and the runner use."""

    stdin = stdout = stderr = None

    def __init__(self, pid: int, end: socket.socket):
        self.pid = pid
        self.returncode: int | None = None
        self._end = end
        self._end.setblocking(False)
        self._lock = threading.Lock()

    def poll(self) -> int | None:
        """Return the exit status, minus the signal that killed it, or None while it lives."""
        with self._lock, contextlib.suppress(BlockingIOError):
            if self.returncode is None:
                kind, _, status = self._end.recv(32).partition(b" ")
                if kind != b"status":  # the server is gone
                    self.kill()
                self.returncode = int(status or -signal.SIGKILL)
                self._end.close()
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Wait for its end and return the exit status; raises subprocess.TimeoutExpired."""
        clock = time.monotonic()
        while (status := self.poll()) is None:
            if timeout is not None and time.monotonic() - clock > timeout:
                raise subprocess.TimeoutExpired("kernel", timeout)
            time.sleep(POLL_SECONDS)
        return status

    def send_signal(self, number: int) -> None:
        """Send a signal to it and to what it has started."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, number)

    def kill(self) -> None:
        """Send SIGKILL."""
        self.send_signal(signal.SIGKILL)

    def terminate(self) -> None:
        """Send SIGTERM."""
        self.send_signal(signal.SIGTERM)


class ForkServer:
    """A process to fork kernels from; it starts to import at once, and is waited for when needed.

    Parameters
    ----------
    env : mapping
        Its environment.
    cwd : str
        Its working directory.
    """

    def __init__(self, env: Mapping[str, str], cwd: str):
        self._lock = threading.Lock()
        self._is_ready = False
        self._failure = ""
        self._kernels: list[ForkedProcess] = []
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115, for it lives as long as the server
        self._channel, theirs = socket.socketpair()
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, forkserver.__file__, str(theirs.fileno()), *PRELOADED],
                env={name: value for name, value in env.items() if name not in PER_KERNEL},
                cwd=cwd,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=self._errors,
                pass_fds=[theirs.fileno()],
                start_new_session=True,  # so Ctrl-C does not reach it
            )

    def fork(
        self, argv: list[str], env: Mapping[str, str], cwd: str, streams: tuple[int, int]
    ) -> ForkedProcess:
        """Start a kernel, once all is imported.

        Parameters
        ----------
        argv : list of str
            Its ``sys.argv``.
        env, cwd
            Its environment and working directory.
        streams : (int, int)
            File descriptors of its stdout and stderr.

        Raises
        ------
        ForkError
            If the server could not start, or can't fork.
        """
        request = json.dumps({"argv": argv, "env": dict(env), "cwd": cwd}).encode() + b"\n"
        with self._lock:
            self._wait_until_ready()
            ours, theirs = socket.socketpair()
            try:
                with theirs:
                    socket.send_fds(self._channel, [b"k"], [theirs.fileno(), *streams])
                ours.sendall(request)
                with ours.makefile("rb", buffering=0) as lines:
                    kind, _, pid = lines.readline().partition(b" ")
            except OSError:
                kind = pid = b""
            if kind != b"pid":
                ours.close()
                raise ForkError("their server can't fork any more")
            self._kernels = [one for one in self._kernels if one.poll() is None]
            self._kernels.append(ForkedProcess(int(pid), ours))
            return self._kernels[-1]

    def _wait_until_ready(self) -> None:
        if self._is_ready:
            return
        if not self._failure:
            self._channel.settimeout(START_SECONDS)
            try:
                self._is_ready = self._channel.recv(len(forkserver.READY)) == forkserver.READY
                self._failure = "" if self._is_ready else self._last_words()
            except TimeoutError:
                self._failure = f"their server is not ready after {START_SECONDS} s"
            self._channel.settimeout(None)
        if self._failure:
            raise ForkError(self._failure)

    def _last_words(self) -> str:
        self._process.wait()
        self._errors.seek(0)
        lines = self._errors.read().decode(errors="replace").split("\n")
        why = next((line for line in reversed(lines) if line), "no reason given")
        return f"their server did not start: {why}"

    def is_lost(self) -> bool:
        """Whether it has ended although it had started well."""
        return self._is_ready and self._process.poll() is not None

    def is_idle(self) -> bool:
        """Whether all of its kernels have ended."""
        with self._lock:
            return all(kernel.poll() is not None for kernel in self._kernels)

    def close(self) -> None:
        """End it, with the kernels that are left."""
        self._channel.close()
        try:
            self._process.wait(CLOSE_SECONDS)
        except subprocess.TimeoutExpired:  # while it imports it does not listen
            self._process.kill()
            self._process.wait()
        self._errors.close()
        for kernel in self._kernels:
            kernel.poll()


_servers: dict[tuple[str, frozenset], ForkServer] = {}
_servers_lock = threading.Lock()


def fork_server(env: Mapping[str, str], cwd: str) -> ForkServer:
    """Return the server for kernels with this environment and working directory.

    It is started if there is none, or if it got lost; one that could not start isn't tried again.
    Raises ForkError where the system has no room for a further process.
    """
    shared = frozenset((name, value) for name, value in env.items() if name not in PER_KERNEL)
    with _servers_lock:
        server = _servers.get((cwd, shared))
        if server is not None and server.is_lost():
            server.close()
            server = None
        if server is None:
            try:
                server = _servers[cwd, shared] = ForkServer(env, cwd)
            except OSError as error:
                raise ForkError(f"their server did not start: {error}") from None
        return server


@contextlib.contextmanager
def serving(env: Mapping[str, str], cwd: str) -> Iterator[None]:
    """Have a server import while the caller does something else, and end it when all is done."""
    with contextlib.suppress(ForkError):  # the first kernel will tell
        if SUPPORTED:
            fork_server(env, cwd)
    try:
        yield
    finally:
        close_servers(idle_only=True)


def close_servers(*, idle_only: bool = False) -> None:
    """End all servers of this process, or those that have no kernel."""
    with _servers_lock:
        for key, server in tuple(_servers.items()):
            if not idle_only or server.is_idle():
                server.close()
                del _servers[key]


atexit.register(close_servers)
