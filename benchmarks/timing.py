"""Interleaved timing: each round runs all candidates, there and back, so drift hits all alike."""

import statistics
import time
from collections.abc import Callable
from typing import NamedTuple


class Timing(NamedTuple):
    """Seconds of each round, by candidate; the first candidate is ours."""

    seconds: dict[str, list[float]]

    def ratio(self, peer: str) -> tuple[float, float, float]:
        """Return how many times ours is faster than a peer: median over rounds, and quartiles."""
        ours, *_ = self.seconds.values()
        ratios = [theirs / mine for theirs, mine in zip(self.seconds[peer], ours, strict=True)]
        low, _, high = statistics.quantiles(ratios, n=4, method="inclusive")
        return statistics.median(ratios), low, high


def interleave(candidates: dict[str, Callable[[], object]], rounds: int = 5) -> Timing:
    """Time candidates A B C, then C B A, and so on, after one round that is not counted.

    A candidate that takes below 20 ms is repeated within its turn until it takes about as long.
    """
    repeats = {}
    for name, call in candidates.items():
        call()
        repeats[name] = max(1, round(0.02 / max(_seconds(call, 1), 1e-7)))
    seconds: dict[str, list[float]] = {name: [] for name in candidates}
    for turn in range(rounds):
        for name in list(candidates)[:: 1 if turn % 2 == 0 else -1]:
            seconds[name].append(_seconds(candidates[name], repeats[name]))
    return Timing(seconds)


def _seconds(call: Callable[[], object], repeats: int) -> float:
    start = time.perf_counter()
    for _ in range(repeats):
        call()
    return (time.perf_counter() - start) / repeats
