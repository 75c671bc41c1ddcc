"""Interleaved timing: each round runs all candidates, there and back, so drift hits all alike."""

import os
import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

Call = Callable[[], object]

SHORTEST = 0.02  # seconds: what takes less is repeated within its turn
FEWEST = 3  # rounds, whatever they take


class Spread(NamedTuple):
    """A median over rounds and its quartiles."""

    median: float
    low: float
    high: float


class Timing(NamedTuple):
    """Rounds, by candidate: seconds, of the clock and of all cores, and who else was there.

    Attributes
    ----------
    seconds, cpu : dict of str to list of float
        A number a round; the first candidate is ours.
    others : list of float
        Share of the machine that other processes took in each round.
    """

    seconds: dict[str, list[float]]
    cpu: dict[str, list[float]]
    others: list[float]

    def quiet(self) -> "Timing":
        """Return the rounds of the quieter half, three at least."""
        count = max(FEWEST, len(self.others) // 2)
        kept = sorted(sorted(range(len(self.others)), key=lambda i: self.others[i])[:count])
        seconds, cpu = (
            {name: [times[i] for i in kept] for name, times in found.items()}
            for found in (self.seconds, self.cpu)
        )
        return Timing(seconds, cpu, [self.others[i] for i in kept])

    def ratio(self, slow: str, fast: str) -> Spread:
        """Return how many times faster one candidate is than another, round by round."""
        return _ratio(self.seconds[slow], self.seconds[fast])

    def cpu_ratio(self, slow: str, fast: str) -> Spread:
        """Return the same for the time of all cores together, which a busy machine hardly bends."""
        return _ratio(self.cpu[slow], self.cpu[fast])


def _ratio(slow: list[float], fast: list[float]) -> Spread:
    pairs = zip(slow, fast, strict=True)
    return spread([theirs / max(ours, 1e-9) for theirs, ours in pairs])


def spread(values: Sequence[float]) -> Spread:
    """Return the median and the quartiles."""
    if len(values) == 1:
        return Spread(values[0], values[0], values[0])
    low, median, high = statistics.quantiles(values, n=4, method="inclusive")
    return Spread(median, low, high)


def interleave(
    candidates: dict[str, Call],
    rounds: int = 5,
    *,
    budget: float = 4.0,
    scale: dict[str, float] | None = None,
) -> Timing:
    """Time candidates A B C, then C B A, and so on, after one round that is not counted.

    Parameters
    ----------
    candidates : dict of str to callable
        What is timed.
    rounds : int
        How often; fewer, but not below three, once the budget is spent.
    budget : float
        Seconds.
    scale : dict of str to float, optional
        Of a candidate that does a part of the work only, such as a sample of the points of a grid:
        what its seconds are multiplied by.
    """
    start, repeats, scale = time.perf_counter(), {}, scale or {}
    for name, call in candidates.items():
        first = seconds(call)
        again = seconds(call) if first < 0.5 else first
        repeats[name] = max(1, round(SHORTEST / max(again, 1e-7)))
    taken: dict[str, list[float]] = {name: [] for name in candidates}
    cpu: dict[str, list[float]] = {name: [] for name in candidates}
    others: list[float] = []
    for turn in range(rounds):
        if turn >= FEWEST and time.perf_counter() - start > budget:
            break
        before = _ticks()
        for name in list(candidates)[:: 1 if turn % 2 == 0 else -1]:
            own = time.process_time()
            taken[name].append(seconds(candidates[name], repeats[name]) * scale.get(name, 1))
            own = time.process_time() - own
            cpu[name].append(own / repeats[name] * scale.get(name, 1))
        others.append(_share_of_others(before, _ticks()))
    return Timing(taken, cpu, others).quiet()


def _ticks() -> tuple[float, float, float]:
    """Seconds of all cores so far: that they had, were busy, and busy with this process."""
    own = time.process_time()
    try:
        fields = Path("/proc/stat").read_text().splitlines()[0].split()[1:9]
    except OSError:  # another system: nothing is known of others
        return 0.0, 0.0, own
    user, nice, system, idle, wait, *rest = (
        int(field) / os.sysconf("SC_CLK_TCK") for field in fields
    )
    busy = user + nice + system + sum(rest)
    return busy + idle + wait, busy, own


def _share_of_others(before: tuple, after: tuple) -> float:
    had, busy, own = (b - a for a, b in zip(before, after, strict=True))
    return min(max((busy - own) / had, 0.0), 1.0) if had > 0 else 0.0


def seconds(call: Call, repeats: int = 1) -> float:
    """Time a call, in the mean over some."""
    start = time.perf_counter()
    for _ in range(repeats):
        call()
    return (time.perf_counter() - start) / repeats
