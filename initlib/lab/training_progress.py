"""How far training is and how long it will last: a bar in a terminal, plain lines anywhere else."""

from __future__ import annotations

import threading
from contextlib import AbstractContextManager, nullcontext
from time import monotonic
from typing import Protocol

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

LINE_EVERY = 10.0  # seconds


class Counter(Protocol):
    """Something that counts steps."""

    def advance(self, steps: int) -> None:
        """Count steps that are done; any thread may call it."""


def count_steps(
    total: int, what: str, shown: bool | None = None, console: Console | None = None
) -> AbstractContextManager[Counter]:
    """Return a counter of steps that shows its progress on the standard error stream.

    Parameters
    ----------
    total : int
        Steps there are.
    what : str
        What is being done, for the reader.
    shown : bool, optional
        None: in a terminal only, so that nothing appears in a notebook or a log. True: elsewhere
        too, as a line every ten seconds.
    console : Console, optional
        Default: the standard error stream.
    """
    console = console or Console(stderr=True)
    if shown is False or (shown is None and not console.is_terminal):
        return nullcontext(_Silent())
    if console.is_terminal:
        return _Bar(console, total, what)
    return nullcontext(_Lines(console, total, what))


class _Silent:
    def advance(self, steps: int) -> None:
        pass


class _Bar(AbstractContextManager):
    def __init__(self, console: Console, total: int, what: str):
        columns = (
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            TaskProgressColumn(),
            TextColumn("time left"),
            TimeRemainingColumn(),
        )
        self._bar = Progress(*columns, console=console, transient=True)
        self._task = self._bar.add_task(what, total=total)

    def __enter__(self) -> _Bar:
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def advance(self, steps: int) -> None:
        self._bar.advance(self._task, steps)


class _Lines:
    def __init__(self, console: Console, total: int, what: str):
        self._console, self._total, self._what = console, total, what
        self._done = 0
        self._began = self._said = monotonic()
        self._lock = threading.Lock()

    def advance(self, steps: int) -> None:
        with self._lock:
            self._done += steps
            now = monotonic()
            if now - self._said >= LINE_EVERY and self._done:
                self._said = now
                left = (now - self._began) * (self._total / self._done - 1)
                share = self._done / self._total
                text = f"{self._what}: {share:.0%} done, about {left:.0f} s left"
                self._console.print(text, markup=False, highlight=False, soft_wrap=True)
