"""The time that is left is told in a terminal, or where it is asked for, and nowhere else."""

import io
import re

import pytest
from rich.console import Console

from initlib.lab import training_progress
from initlib.lab.training_progress import count_steps


def shown_while(monkeypatch, shown, terminal, jumps=(3, 1)):
    """What a counter of 4 steps writes, each taking as many seconds."""
    seconds = [0.0]
    monkeypatch.setattr(training_progress, "monotonic", lambda: seconds[0])
    text = io.StringIO()
    console = Console(file=text, force_terminal=terminal, width=80)
    with count_steps(4, "training 2 networks", shown, console) as counter:
        for steps in jumps:
            seconds[0] += 10 * steps
            counter.advance(steps)
    return text.getvalue()


@pytest.mark.parametrize(("shown", "terminal"), [(None, False), (False, False), (False, True)])
def test_nothing_is_shown_outside_a_terminal_or_when_told_so(monkeypatch, shown, terminal):
    assert shown_while(monkeypatch, shown, terminal) == ""


def test_lines_tell_the_time_left(monkeypatch):
    assert shown_while(monkeypatch, True, False).splitlines() == [
        "training 2 networks: 75% done, about 10 s left",
        "training 2 networks: 100% done, about 0 s left",
    ]


def test_lines_are_rare(monkeypatch):
    monkeypatch.setattr(training_progress, "LINE_EVERY", 25.0)
    assert len(shown_while(monkeypatch, True, False, jumps=[1] * 4).splitlines()) == 1


@pytest.mark.parametrize("shown", [None, True])
def test_a_terminal_gets_a_bar(monkeypatch, shown):
    text = shown_while(monkeypatch, shown, True, jumps=[3])
    assert re.search("training 2 networks .*75%.*time left", text)
