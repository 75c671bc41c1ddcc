"""Interleaved timing: each round runs all candidates, there and back, so drift hits all alike."""

import statistics
import time
from collections.abc import Callable, Sequence
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
    """Seconds of each round, by candidate; the first candidate is ours."""

    seconds: dict[str, list[float]]

    def ratio(self, slow: str, fast: str) -> Spread:
        """Return how many times faster one candidate is than another, round by round."""
        pairs = zip(self.seconds[slow], self.seconds[fast], strict=True)
        return spread([theirs / ours for theirs, ours in pairs])


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
    budget: float = 8.0,
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
    start, repeats = time.perf_counter(), {}
    for name, call in candidates.items():
        call()
        repeats[name] = max(1, round(SHORTEST / max(seconds(call), 1e-7)))
    found: dict[str, list[float]] = {name: [] for name in candidates}
    for turn in range(rounds):
        if turn >= FEWEST and time.perf_counter() - start > budget:
            break
        for name in list(candidates)[:: 1 if turn % 2 == 0 else -1]:
            found[name].append(
                seconds(candidates[name], repeats[name]) * (scale or {}).get(name, 1)
            )
    return Timing(found)


def seconds(call: Call, repeats: int = 1) -> float:
    """Time a call, in the mean over some."""
    start = time.perf_counter()
    for _ in range(repeats):
        call()
    return (time.perf_counter() - start) / repeats
