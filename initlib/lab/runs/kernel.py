"""One notebook in one kernel: papermill, with an environment and a log for each run.

Only what has something to execute imports this file: papermill takes a while.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TextIO

import nbformat
import papermill
from jupyter_client import AsyncKernelManager
from jupyter_client.kernelspec import KernelSpec
from jupyter_core.utils import ensure_event_loop
from nbclient.exceptions import DeadKernelError
from papermill.clientwrap import PapermillNotebookClient
from papermill.engines import NBClientEngine, papermill_engines

from initlib.lab.runs import provisioner
from initlib.lab.runs.failure import RunFailure, cause_of_death, explain

INJECTED = "injected-parameters"
# A socket's path has to fit in 107 bytes, and the default folder for temporary files may be deep.
LONGEST_TEMPDIR = 60


class KernelGroup:
    """The kernels in use, so that another thread can end all of them at once.

    Parameters
    ----------
    forked : bool
        Fork them from a server that has imported what they will; what they compute is the same.
    """

    def __init__(self, forked: bool = False) -> None:
        self.forked = forked
        self.stopping = threading.Event()
        self._clients: set[PapermillNotebookClient] = set()

    def add(self, client: PapermillNotebookClient) -> None:
        """Answer for one more kernel."""
        self._clients.add(client)

    def discard(self, client: PapermillNotebookClient) -> None:
        """Forget a kernel that has ended."""
        self._clients.discard(client)

    def stop(self) -> None:
        """Kill every kernel and what it has started; none starts another cell."""
        self.stopping.set()
        for client in tuple(self._clients):
            process = getattr(client.km and client.km.provisioner, "process", None)
            if process is not None and process.poll() is None:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)


class _Kernel(AsyncKernelManager):
    """A kernel of this very interpreter, whatever kernels are installed and named."""

    forked = False

    @property
    def kernel_spec(self) -> KernelSpec:
        argv = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
        spec = KernelSpec(argv=argv, language="python", display_name="initlib (Python 3)")
        if self.forked:
            spec.metadata = {"kernel_provisioner": {"provisioner_name": provisioner.NAME}}
        return spec


class _Engine(NBClientEngine):
    """Papermill's own engine, but for how the kernel is started and ended."""

    @classmethod
    def execute_managed_notebook(
        cls,
        nb_man: Any,
        kernel_name: str,
        *,
        env: Mapping[str, str],
        log: TextIO,
        kernels: KernelGroup,
        time_left: Callable[[], float | None],
        on_cell_start: Callable[..., None],
        **_: Any,
    ) -> None:
        # Papermill keeps a copy of the whole notebook there when it is not given a path.
        nb_man.nb.metadata.papermill.pop("input_path", None)
        logger = logging.Logger("initlib.kernel", logging.WARNING)
        logger.addHandler(logging.StreamHandler(log))
        client = PapermillNotebookClient(
            nb_man,
            kernel_name=kernel_name,
            log=logger,
            stdout_file=log,
            stderr_file=log,
            timeout_func=lambda cell: time_left(),
            # In seconds; a kernel that is slow to answer on a loaded machine has not failed.
            iopub_timeout=60,
            startup_timeout=120,
            shutdown_kernel="immediate",
            on_cell_start=on_cell_start,
        )
        # Sockets in a folder of the kernel's own: no port to race for, closed to other users.
        short = tempfile.gettempdir() if len(tempfile.gettempdir()) < LONGEST_TEMPDIR else "/tmp"
        with tempfile.TemporaryDirectory(prefix="initlib-", dir=short) as sockets:
            kernel = _Kernel(transport="ipc", connection_file=os.path.join(sockets, "k.json"))
            kernel.forked = kernels.forked
            client.km = kernel
            kernels.add(client)
            try:
                client.execute(env=dict(env), stdout=log, stderr=log)
            except DeadKernelError:
                process = getattr(kernel.provisioner, "process", None)
                status = process and process.poll()
                raise DeadKernelError(cause_of_death(status)) from None
            finally:
                kernels.discard(client)


papermill_engines.register("initlib", _Engine)
provisioner.register()


def run_notebook(
    text: str,
    output: Path,
    *,
    parameters: Mapping[str, Any],
    env: Mapping[str, str],
    log: Path,
    kernels: KernelGroup,
    cell_timeout: float | None = None,
    run_timeout: float | None = None,
    on_cell: Callable[[int, int], None] = lambda done, total: None,
) -> None:
    """Execute a notebook from top to bottom, writing it out after each cell.

    Parameters
    ----------
    text : str
        The notebook, as JSON.
    output : Path
        Where the executed copy is written.
    parameters : mapping
        Set in a cell of their own after the parameters cell; none, no such cell.
    env : mapping
        The environment of the kernel.
    log : Path
        Receives what the kernel prints, and the traceback at the end.
    kernels : KernelGroup
        By which another thread can end the run.
    cell_timeout : float, optional
        Seconds that one cell may take.
    run_timeout : float, optional
        Seconds that all of it may take.
    on_cell : callable
        Called as each code cell starts, with the number of those done and of all.

    Raises
    ------
    RunFailure
        When a cell raises or is never reached, a time limit is passed, or the kernel dies.
    """
    node = nbformat.reads(text, as_version=4)
    total = sum(_is_code(cell) for cell in node.cells)
    started, position, shift = 0, None, 0
    clock = time.monotonic()

    def time_left() -> float | None:
        if run_timeout is None:
            return cell_timeout
        # Not 0, by which nbclient means no limit.
        left = max(run_timeout - (time.monotonic() - clock), 0.001)
        return left if cell_timeout is None else min(left, cell_timeout)

    def at_cell(cell: Any, cell_index: int) -> None:
        nonlocal started, position, shift
        if kernels.stopping.is_set():
            raise DeadKernelError
        if INJECTED in cell.metadata.get("tags", []):
            shift = 1
        elif _is_code(cell):
            on_cell(started, total)
            started, position = started + 1, cell_index + 1 - shift

    with log.open("a", buffering=1, encoding="utf-8", errors="replace") as stream:
        try:
            papermill.execute_notebook(
                node,
                # Papermill formats the path with the parameters.
                str(output).replace("{", "{{").replace("}", "}}"),
                dict(parameters),
                engine_name="initlib",
                kernel_name="python3",
                language="python",
                progress_bar=False,
                autosave_cell_every=0,
                env=env,
                log=stream,
                kernels=kernels,
                time_left=time_left,
                on_cell_start=at_cell,
            )
            if started < total:
                why = f"stopped after {started} of {total} code cells"
                raise RunFailure("failed", position, why)
        except Exception as error:
            late = run_timeout is not None and time.monotonic() - clock >= run_timeout
            failure = explain(
                error,
                position,
                interrupted=kernels.stopping.is_set(),
                limited="run" if late else "cell",
            )
            with contextlib.suppress(OSError):
                stream.write(f"\n{failure.detail or failure.error}\n")
            raise failure from None
        finally:
            _close_loop()


def _is_code(cell: Any) -> bool:
    return cell.cell_type == "code" and bool(cell.source.strip())


def _close_loop() -> None:
    """Close this thread's event loop, with what nbclient leaves waiting in it after an error."""
    loop = ensure_event_loop()
    waiting = asyncio.all_tasks(loop)
    for task in waiting:
        task.cancel()
    loop.run_until_complete(asyncio.gather(*waiting, return_exceptions=True))
    loop.close()
