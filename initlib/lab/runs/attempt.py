"""One attempt at a run: its record, and what becomes of it."""

from __future__ import annotations

import contextlib
import os
import platform
import time
from collections.abc import Callable
from datetime import UTC, datetime

from initlib.lab.runs.environment import kernel_environment
from initlib.lab.runs.failure import RunFailure
from initlib.lab.runs.kernel import KernelGroup, run_notebook
from initlib.lab.runs.plan import Run
from initlib.lab.runs.settings import Settings
from initlib.lab.runs.store import Record, RunFolder, is_out_of_room


def attempt(
    run: Run,
    folder: RunFolder,
    settings: Settings,
    kernels: KernelGroup,
    on_cell: Callable[[int, int], None],
) -> Record:
    """Execute a run in its folder, whose lock the caller holds.

    Whatever goes wrong ends in the record, and with it in the report, never in an exception.

    Parameters
    ----------
    run : Run
        What to execute.
    folder : RunFolder
        Where; what an earlier attempt left there is cleared.
    settings : Settings
        How.
    kernels : KernelGroup
        By which the batch can end it.
    on_cell : callable
        Called as a code cell starts, with the number of those done and of all.

    Returns
    -------
    dict
        The record, in one of the states ok, failed and dead.
    """
    clock = time.monotonic()
    process = {"pid": os.getpid(), "host": platform.node(), "threads": settings.threads}
    started = {**run.describe(), **settings.provenance, **process, "started": now()}

    def ended(state: str, cell: int | None = None, error: str | None = None) -> Record:
        end = {"finished": now(), "seconds": round(time.monotonic() - clock, 2)}
        return {**started, "state": state, **end, "cell": cell, "error": error}

    try:
        scratch = folder.begin({**started, "state": "running"})
        run_notebook(
            run.notebook.text,
            folder.partial,
            parameters=run.injected,
            env=kernel_environment(run, scratch, settings),
            log=folder.log,
            kernels=kernels,
            cell_timeout=settings.cell_timeout,
            run_timeout=settings.run_timeout,
            on_cell=on_cell,
        )
        record = ended("ok")
        folder.succeed(scratch, record)
        return record
    except RunFailure as failure:
        record = ended(failure.state, failure.cell, failure.error)
        no_room = failure.no_room
    except Exception as error:
        record = ended("failed", error=f"{type(error).__name__}: {error}")
        no_room = is_out_of_room(error)
    # On a full disk the record keeps saying running, which reads as dead once we are gone.
    with contextlib.suppress(OSError):
        folder.fail(record, make_room=no_room)
    return record


def now() -> str:
    """Return the time, as it goes on record."""
    return datetime.now(UTC).isoformat(timespec="seconds")
