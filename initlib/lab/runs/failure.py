"""How a notebook can end badly, and how that is said."""

from __future__ import annotations

import signal
from typing import Literal

from nbclient.exceptions import CellTimeoutError, DeadKernelError
from papermill.exceptions import PapermillExecutionError, strip_color

from initlib.lab.runs.store import INTERRUPTED, is_out_of_room


class RunFailure(Exception):
    """A notebook that did not end well: how, in which cell, and the last line of why.

    `no_room` says that it is because of a full disk.
    """

    def __init__(
        self,
        state: Literal["failed", "dead"],
        cell: int | None,
        error: str,
        detail: str = "",
        no_room: bool = False,
    ):
        super().__init__(error)
        self.state = state
        self.cell = cell
        self.error = error
        self.detail = detail
        self.no_room = no_room


def cause_of_death(status: int | None) -> str:
    """Say why a kernel is gone, by the exit status of its process; None where it isn't known."""
    if status is None:
        return "the kernel died"
    if status >= 0:
        return f"the kernel exited with status {status}"
    names = {number.value: number.name for number in signal.Signals}
    hint = " (out of memory?)" if -status == signal.SIGKILL else ""
    return f"the kernel was killed by {names.get(-status, f'signal {-status}')}{hint}"


def explain(
    error: Exception, cell: int | None, *, interrupted: bool, limited: Literal["cell", "run"]
) -> RunFailure:
    """Turn what an execution has raised into what goes on record.

    Parameters
    ----------
    error : Exception
        From papermill, nbclient or the disk.
    cell : int or None
        The last cell that was started, counted from 1.
    interrupted : bool
        Whether the batch was ended meanwhile.
    limited : {"cell", "run"}
        Whose time limit it is, if one was passed.

    Returns
    -------
    RunFailure
        To be raised.
    """
    if isinstance(error, RunFailure):
        return error
    if interrupted:
        return RunFailure("dead", cell, INTERRUPTED)
    if isinstance(error, PapermillExecutionError):
        detail = strip_color("\n".join(error.traceback))
        return RunFailure("failed", cell, f"{error.ename}: {error.evalue}", detail)
    if isinstance(error, CellTimeoutError):
        why = f"the {limited} took longer than its time limit"
        return RunFailure("failed", cell, why, str(error))
    if isinstance(error, DeadKernelError) or "Kernel died" in str(error):
        return RunFailure("dead", cell, str(error))
    why = f"{type(error).__name__}: {error}"
    return RunFailure("failed", cell, why, no_room=is_out_of_room(error))
