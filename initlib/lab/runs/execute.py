"""Run a batch: in parallel, skipping what is done, whatever happens to one of the runs."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import dataclass
from functools import partial
from types import ModuleType
from typing import TYPE_CHECKING, Literal, Protocol

from initlib.lab.runs import forked
from initlib.lab.runs.environment import shared_environment
from initlib.lab.runs.plan import Run
from initlib.lab.runs.settings import Settings
from initlib.lab.runs.store import Record, RunFolder, Store

if TYPE_CHECKING:
    from initlib.lab.runs.kernel import KernelGroup

POLL_SECONDS = 0.2


@dataclass(frozen=True)
class Outcome:
    """How a run of a batch ended.

    Skipped was done before; after Ctrl-C, queued was never started, and running is what another
    process was at.
    """

    run: Run
    folder: RunFolder
    state: Literal["ok", "skipped", "failed", "dead", "queued", "running"]
    record: Record


class Attempt(Protocol):
    """What makes one attempt at a run; whatever goes wrong ends in the record that it returns."""

    def __call__(
        self,
        run: Run,
        folder: RunFolder,
        settings: Settings,
        kernels: KernelGroup,
        on_cell: Callable[[int, int], None],
    ) -> Record:
        """Execute a run in its folder, whose lock the caller holds."""


class Progress(Protocol):
    """What is told while a batch lasts; called from several threads."""

    def started(self, run: Run) -> None:
        """A kernel is being started."""

    def cell(self, run: Run, done: int, total: int) -> None:
        """A code cell starts, after `done` of `total`."""

    def finished(self, outcome: Outcome) -> None:
        """A run has ended, or needn't start."""


def execute(
    runs: Iterable[Run],
    store: Store,
    settings: Settings,
    progress: Progress,
    attempt: Attempt | None = None,
) -> list[Outcome]:
    """Run all that isn't done, and say how each run ended.

    A run that another process is at is left to it, and looked at again in the end. Ctrl-C kills the
    kernels: the runs they were at are dead, the others stay queued.

    Parameters
    ----------
    runs : iterable of Run
        The plan.
    store : Store
        Where results go, and where finished ones are found.
    settings : Settings
        How many at a time, and so on.
    progress : Progress
        Told of each step.
    attempt : callable, optional
        Makes one attempt at a run; default: in a kernel here, `initlib.lab.runs.attempt.attempt`.
        It is called in as many threads as there are workers.

    Returns
    -------
    list of Outcome
        One for each run, in the order of the plan.
    """
    batch = _Batch(settings, progress, attempt)
    folders = [(run, store.folder(*run.id)) for run in runs]
    outcomes = [batch.skip_or_queue(run, folder) for run, folder in folders]
    if None in outcomes:
        with _fork_server(settings), ThreadPoolExecutor(settings.workers) as pool:
            kernels = _import_papermill().KernelGroup(settings.forked)
            try:
                for wait in (False, True):
                    todo = [i for i, outcome in enumerate(outcomes) if outcome is None]
                    futures = {pool.submit(batch.run, *folders[i], kernels, wait): i for i in todo}
                    for future in as_completed(futures):
                        i = futures[future]
                        outcomes[i] = batch.result(future, *folders[i])
            except KeyboardInterrupt:
                kernels.stop()
                pool.shutdown(cancel_futures=True)
    return [
        outcome or _from_record(run, folder)
        for outcome, (run, folder) in zip(outcomes, folders, strict=True)
    ]


@dataclass(frozen=True)
class _Batch:
    settings: Settings
    progress: Progress
    attempt: Attempt | None

    def skip_or_queue(self, run: Run, folder: RunFolder) -> Outcome | None:
        """Settle a run that is done already, else put it on record as queued."""
        if self._is_settled(folder):
            return self._end(Outcome(run, folder, "skipped", folder.read() or {}))
        # A disk without room for that is reported by the run itself.
        with suppress(OSError), folder.lock() as held:
            if held and not folder.is_done():
                folder.queue({**run.describe(), "state": "queued"})
        return None

    def run(self, run: Run, folder: RunFolder, kernels: KernelGroup, wait: bool) -> Outcome | None:
        """Run it under its lock; gives None while another process holds that."""
        while not kernels.stopping.is_set():
            with folder.lock() as held:
                if held and self._is_settled(folder):
                    return self._end(Outcome(run, folder, "skipped", folder.read() or {}))
                if held:
                    record = self._attempts(run, folder, kernels)
                    return self._end(Outcome(run, folder, record["state"], record))
            if not wait:
                break
            kernels.stopping.wait(POLL_SECONDS)
        return None

    def result(self, future: Future, run: Run, folder: RunFolder) -> Outcome | None:
        """Return what a call gave; one that could not be made is a failed run."""
        try:
            return future.result()
        except Exception as error:
            record = {**run.describe(), "error": f"{type(error).__name__}: {error}"}
            return self._end(Outcome(run, folder, "failed", record))

    def _is_settled(self, folder: RunFolder) -> bool:
        return folder.is_done() and not self.settings.force

    def _attempts(self, run: Run, folder: RunFolder, kernels: KernelGroup) -> Record:
        from initlib.lab.runs.attempt import attempt as attempt_here

        attempt = self.attempt or attempt_here
        self.progress.started(run)
        record: Record = {}
        for _ in range(self.settings.retries + 1):
            record = attempt(run, folder, self.settings, kernels, partial(self.progress.cell, run))
            if record["state"] != "dead" or kernels.stopping.is_set():
                break
        return record

    def _end(self, outcome: Outcome) -> Outcome:
        self.progress.finished(outcome)
        return outcome


def _fork_server(settings: Settings) -> AbstractContextManager[object]:
    """Let a server import what kernels need while this process imports what it needs itself."""
    if not settings.forked:
        return nullcontext()
    return forked.serving(shared_environment(settings), os.getcwd())


def _import_papermill() -> ModuleType:
    """Import what executes; a batch in which all is done has no need to wait for it."""
    # jsonschema would compile a grammar for web addresses, which no notebook is checked against.
    sys.modules.setdefault("rfc3987_syntax", None)
    from initlib.lab.runs import kernel

    return kernel


def _from_record(run: Run, folder: RunFolder) -> Outcome:
    """What became of a run that the batch did not wait for."""
    record = folder.read() or {}
    return Outcome(run, folder, record.get("state", "queued"), record)
