"""A kernel provisioner that forks: kernels start in a moment, with what takes seconds to import.

A kernel that starts as a process of its own imports torch, pandas and matplotlib anew, 2 to 3 s
each time. `ForkedProvisioner` forks it from a server that has imported them (see `forked`), and
treats it like any other: the same environment, working directory, streams, signals and exit status.

It forks on Linux alone, since system libraries of others don't survive a fork, and only kernels of
ipykernel in this very interpreter. What it can't fork it starts as an ordinary process, and says
so. Jupyter finds it by its entry point: with ``JUPYTER_DEFAULT_PROVISIONER_NAME=initlib-forked``
any program that starts kernels forks them.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from importlib.metadata import EntryPoint
from typing import Any

import ipykernel_launcher
from jupyter_client.connect import KernelConnectionInfo
from jupyter_client.provisioning import KernelProvisionerFactory, LocalProvisioner

from initlib.lab.runs.forked import SUPPORTED, ForkedProcess, ForkError, fork_server

NAME = "initlib-forked"
LAUNCHER = "ipykernel_launcher"


class ForkedProvisioner(LocalProvisioner):
    """Forks a kernel where it can, and starts an ordinary process where it can't."""

    async def launch_kernel(self, cmd: list[str], **kwargs: Any) -> KernelConnectionInfo:
        """Start a kernel; the arguments are those of `LocalProvisioner`."""
        try:
            self.process = _fork(cmd, **kwargs)
        except ForkError as error:
            _say_once(f"initlib: ordinary kernels instead of forked ones: {error}")
            return await super().launch_kernel(cmd, **kwargs)
        self.pid = self.pgid = self.process.pid
        self.cwd = kwargs.get("cwd") or os.getcwd()
        return self.connection_info


def _fork(
    cmd: list[str],
    env: Mapping[str, str],
    cwd: str | None = None,
    stdin: Any = None,
    stdout: Any = None,
    stderr: Any = None,
    **others: Any,
) -> ForkedProcess:
    others.pop("kernel_id", None)
    if not SUPPORTED:
        raise ForkError("they need Linux")
    if stdin is not None or others:
        raise ForkError(f"they can't be started with {', '.join(others) or 'stdin'}")
    if cmd[0] != sys.executable or LAUNCHER not in cmd:
        raise ForkError(f"{' '.join(cmd)} is not ipykernel in {sys.executable}")
    arguments = cmd[cmd.index(LAUNCHER) + 1 :]
    cwd = os.path.abspath(cwd or os.getcwd())
    env = {**env, "JPY_PARENT_PID": str(os.getpid())}
    with open(os.devnull, "wb") as null:
        streams = tuple(
            null.fileno() if given == subprocess.DEVNULL else _descriptor(given, default)
            for given, default in ((stdout, 1), (stderr, 2))
        )
        argv = [ipykernel_launcher.__file__, *arguments]
        return fork_server(env, cwd).fork(argv, env, cwd, streams)


def _descriptor(stream: Any, default: int) -> int:
    number = default if stream is None else stream if isinstance(stream, int) else stream.fileno()
    if number < 0:
        raise ForkError("they can't be started with a pipe")
    return number


_said: set[str] = set()


def _say_once(line: str) -> None:
    if line not in _said:
        _said.add(line)
        print(line, file=sys.stderr, flush=True)


def register() -> None:
    """Let Jupyter find the provisioner even where initlib was installed before it had one."""
    entry = EntryPoint(NAME, f"{__name__}:ForkedProvisioner", KernelProvisionerFactory.GROUP_NAME)
    KernelProvisionerFactory.provisioners.setdefault(NAME, entry)
