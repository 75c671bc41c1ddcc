"""What a batch shows while it lasts: live bars in a terminal, plain lines anywhere else."""

from __future__ import annotations

import threading
from contextlib import AbstractContextManager

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from initlib.lab.runs.execute import Outcome
from initlib.lab.runs.plan import Run
from initlib.lab.runs.store import Record

STYLES = {"ok": "green", "failed": "red", "dead": "red"}


def show_progress(console: Console, total: int) -> LiveProgress | PlainProgress:
    """Return the display that suits a console; use it in a ``with`` block."""
    return LiveProgress(console, total) if console.is_terminal else PlainProgress(console, total)


def sentence(outcome: Outcome) -> str:
    """Say in a line how a run ended."""
    ending = f"{outcome.run.label}: {outcome.state} after {outcome.record.get('seconds', 0):.1f} s"
    return ending if outcome.state == "ok" else f"{ending}, {reason(outcome.record)}"


def reason(record: Record) -> str:
    """Say where and why a run failed: the cell, and the last line of the traceback."""
    lines = [line.strip() for line in (record.get("error") or "").splitlines() if line.strip()]
    where = [f"cell {record['cell']}"] if record.get("cell") else []
    return ": ".join(where + lines[-1:])


class PlainProgress(AbstractContextManager):
    """A line when a run starts and one when it ends."""

    def __init__(self, console: Console, total: int):
        self._console = console
        self._total = total
        self._ended = 0
        self._lock = threading.Lock()

    def started(self, run: Run) -> None:
        self._print(f"{run.label}: started")

    def cell(self, run: Run, done: int, total: int) -> None:
        pass

    def finished(self, outcome: Outcome) -> None:
        with self._lock:
            self._ended += 1
            if outcome.state != "skipped":
                self._print(f"[{self._ended}/{self._total}] {sentence(outcome)}")

    def _print(self, text: str) -> None:
        self._console.print(text, markup=False, highlight=False, soft_wrap=True)

    def __exit__(self, *_: object) -> None:
        pass


class LiveProgress(AbstractContextManager):
    """A bar for each notebook that is running and one for all of them."""

    def __init__(self, console: Console, total: int):
        self._bars = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            TextColumn("{task.completed:.0f}/{task.total:.0f} {task.fields[unit]}"),
            TimeElapsedColumn(),
            console=console,
            transient=True,
        )
        self._all = self._bars.add_task("[bold]all", total=total, unit="runs")
        self._tasks: dict[tuple[str, str], TaskID] = {}

    def __enter__(self) -> LiveProgress:
        self._bars.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bars.stop()

    def started(self, run: Run) -> None:
        """Add a bar; the number of cells is told with the first of them."""
        self._tasks[run.id] = self._bars.add_task(escape(run.label), total=1, unit="cells")

    def cell(self, run: Run, done: int, total: int) -> None:
        """Move a bar on."""
        self._bars.update(self._tasks[run.id], completed=done, total=total)

    def finished(self, outcome: Outcome) -> None:
        """Replace a bar by a line that stays."""
        task = self._tasks.pop(outcome.run.id, None)
        if task is not None:
            self._bars.remove_task(task)
        if outcome.state != "skipped":
            text = escape(sentence(outcome))
            self._bars.console.print(text, style=STYLES[outcome.state], highlight=False)
        self._bars.advance(self._all)
