"""The process that kernels are forked from: it imports what notebooks import, once for all.

``python forkserver.py FD [MODULE ...]`` imports the modules (``package.*``: all in a package), says
so on the socket FD, and forks once for each byte that comes with file descriptors: a socket for the
kernel's request and its end, stdout and stderr. A child reads the request, a line of JSON with
``argv``, ``env`` and ``cwd``, says ``pid N`` and becomes the kernel; when it has ended, the parent
says ``status N``, as `subprocess.Popen.returncode` would. At the end of the socket FD, as after the
death of whoever holds the other one, the kernels left are killed.

The parent computes nothing, so thread pools start in the child: OpenMP has none before its first
parallel loop, and OpenBLAS takes its own down for a fork. Random generators are seeded anew.
"""

from __future__ import annotations

import builtins
import contextlib
import gc
import importlib
import json
import os
import pkgutil
import signal
import socket
import sys
from collections.abc import Iterable
from types import SimpleNamespace

READY = b"ready\n"
STREAMS = 3  # file descriptors of a request: socket, stdout, stderr
# As ipykernel does at a kernel's start; matplotlib looks for it when it is imported.
INLINE = "module://matplotlib_inline.backend_inline"


def main() -> None:
    """Serve; in a child, be a kernel until it is shut down."""
    channel = socket.socket(fileno=int(sys.argv[1]))
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if not sys.flags.safe_path:
        del sys.path[0]  # the folder of this file
    preload(sys.argv[2:])
    # What is there now is never garbage, and a child that looks for some would copy its memory.
    gc.collect()
    gc.freeze()
    with contextlib.suppress(BrokenPipeError):
        channel.sendall(READY)
        kernel = serve(channel)
        if kernel is not None:
            run_kernel(*kernel)


def preload(names: Iterable[str]) -> None:
    """Import ipykernel, and modules as if in a kernel; what can't be imported is left to notebooks.

    Parameters
    ----------
    names : iterable of str
        Of the modules.
    """
    from ipykernel import ipkernel, kernelapp, zmqshell  # noqa: F401

    kernelapp.IPKernelApp().init_path()
    if not os.environ.get("MPLBACKEND"):
        os.environ["MPLBACKEND"] = INLINE
    # Libraries look whether they are in a kernel: pandas chooses by it how many columns it shows.
    builtins.get_ipython = lambda: SimpleNamespace(kernel=None)
    # jsonschema would compile a grammar for web addresses, which no notebook is checked against.
    sys.modules.setdefault("rfc3987_syntax", None)
    for name in names:
        _import(name)
    if sys.modules["rfc3987_syntax"] is None:
        del sys.modules["rfc3987_syntax"]
    del builtins.get_ipython


def _import(name: str) -> None:
    with contextlib.suppress(Exception):
        module = importlib.import_module(name.removesuffix(".*"))
        if name.endswith(".*"):
            for found in pkgutil.iter_modules(module.__path__, f"{module.__name__}."):
                if not found.ispkg:
                    _import(found.name)


def serve(channel: socket.socket) -> tuple[socket.socket, list[int]] | None:
    """Fork a kernel for each request.

    Parameters
    ----------
    channel : socket
        Where requests come from.

    Returns
    -------
    (socket, list of int) or None
        In a child, its own socket and the file descriptors of stdout and stderr; in the parent,
        None when no request will come any more.
    """
    kernels: dict[int, socket.socket] = {}

    def report_ended(*_: object) -> None:
        while kernels:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if pid == 0:
                break
            with kernels.pop(pid) as end, contextlib.suppress(OSError):
                end.sendall(b"status %d\n" % os.waitstatus_to_exitcode(status))

    signal.signal(signal.SIGCHLD, report_ended)
    while True:
        _, descriptors, _, _ = socket.recv_fds(channel, 1, STREAMS)
        if not descriptors:
            break
        end, streams = socket.socket(fileno=descriptors[0]), descriptors[1:]
        # A child that ends at once must be known when its end is heard of.
        signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGCHLD])
        try:
            pid = os.fork()
        except OSError:  # no memory, or too many processes: the end of the socket says so
            end.close()
            pid = -1
        if pid == 0:
            for inherited in (channel, *kernels.values()):
                inherited.close()
        elif pid > 0:
            kernels[pid] = end
        signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGCHLD])
        if pid == 0:
            return end, streams
        for descriptor in streams:
            os.close(descriptor)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    for pid in kernels:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(pid, signal.SIGKILL)
    return None


def run_kernel(end: socket.socket, streams: list[int]) -> None:
    """Become a kernel: session, signals, streams, environment and folder first, then ipykernel.

    Parameters
    ----------
    end : socket
        Gives the request, and is told the process id.
    streams : list of int
        The file descriptors of stdout and stderr.
    """
    parent = os.getppid()
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    os.setsid()
    with end, end.makefile("r", encoding="utf-8") as lines:
        request = json.loads(lines.readline())
        # From here on the whole group can be killed by this number.
        end.sendall(b"pid %d\n" % os.getpid())
    for number, descriptor in enumerate(streams, start=1):
        os.dup2(descriptor, number)
        os.close(descriptor)
    os.chdir(request["cwd"])
    os.environ.clear()
    os.environ.update(request["env"])
    # As in a fresh process; Python itself seeds its own generator at a fork.
    if "numpy" in sys.modules:
        sys.modules["numpy"].random.seed()
    if "torch" in sys.modules:
        sys.modules["torch"].default_generator.seed()
    sys.argv = request["argv"]

    from ipykernel.kernelapp import IPKernelApp

    # So the kernel ends when the parent is gone; it would take the number from its environment
    # before the fork.
    arguments = [*sys.argv[1:], f"--IPKernelApp.parent_handle={parent}"]
    IPKernelApp.launch_instance(arguments)


if __name__ == "__main__":
    main()
