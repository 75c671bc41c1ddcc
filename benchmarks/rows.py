"""What a benchmark is: a race between candidates, or a gauge that should stay below a bound."""

import math
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field

from benchmarks.timing import Call, interleave, spread


@dataclass(frozen=True)
class Row:
    """A line of the table.

    Parameters
    ----------
    subject, what : str
        The group of the row, and what was done.
    threads : int
    peer : str
        Who did the same, or what the measured number is relative to.
    unit : str
        "times": how often faster than the peer; else what the value is counted in.
    value, low, high : float
        Median over rounds and quartiles.
    target, stretch : float or None
        "times": at least; else at most.
    limit : float or None
        The value that a program with nothing but the unavoidable work would have.
    limit_is : str
        That work.
    fraction : float or None
        How much of the limit is reached, 1 for all of it.
    note : str
        Conditions, and what a miss is due to.
    cpu_ratio : float or None
        "times": the same for the time of all cores together.
    others : float or None
        Share of the machine that other processes took meanwhile.
    """

    subject: str
    what: str
    threads: int
    peer: str
    unit: str
    value: float
    low: float
    high: float
    target: float | None = None
    stretch: float | None = None
    limit: float | None = None
    limit_is: str = ""
    fraction: float | None = None
    note: str = ""
    cpu_ratio: float | None = None
    others: float | None = None

    @property
    def met(self) -> bool | None:
        """Whether the target is reached by the median."""
        if self.target is None:
            return None
        is_met = self.value >= self.target if self.unit == "times" else self.value <= self.target
        return bool(is_met)

    def record(self) -> dict:
        """Return what is written to results.json."""
        rounded = {
            key: float(f"{value:.4g}") if isinstance(value, float) else value
            for key, value in asdict(self).items()
        }
        return rounded | {"met": self.met}


@dataclass(frozen=True)
class Race:
    """Candidates that do the same work, ours first.

    Parameters
    ----------
    candidates : dict of str to callable
        "initlib", then the peers.
    targets : dict of str to (float, float or None)
        By peer: how many times faster, and the stretch.
    floors : dict of str to callable
        Work that no program can leave out; the slowest of them is the limit.
    scale : dict of str to float
        As in `interleave`.
    budget : float
        Seconds for all rounds.
    """

    subject: str
    what: str
    threads: int
    candidates: dict[str, Call]
    targets: dict[str, tuple[float, float | None]] = field(default_factory=dict)
    floors: dict[str, Call] = field(default_factory=dict)
    scale: dict[str, float] = field(default_factory=dict)
    budget: float = 4.0
    note: str = ""

    def rows(self, rounds: int) -> Iterator[Row]:
        """Run it; yield a row for each peer."""
        timing = interleave(
            self.candidates | self.floors, rounds, budget=self.budget, scale=self.scale
        )
        medians = {name: spread(found).median for name, found in timing.seconds.items()}
        floor = max(self.floors, key=lambda name: medians[name], default=None)
        for peer in list(self.candidates)[1:]:
            target, stretch = self.targets.get(peer, (None, None))
            yield Row(
                self.subject,
                self.what,
                self.threads,
                peer,
                "times",
                *timing.ratio(peer, "initlib"),
                target=target,
                stretch=stretch,
                limit=timing.ratio(peer, floor).median if floor else None,
                limit_is=floor or "",
                fraction=timing.ratio(floor, "initlib").median if floor else None,
                note=self.note,
                cpu_ratio=timing.cpu_ratio(peer, "initlib").median,
                others=spread(timing.others).median,
            )


@dataclass(frozen=True)
class Gauge:
    """A number that should stay below a bound.

    Parameters
    ----------
    measure : callable
        Given the number of rounds, returns a value for each.
    """

    subject: str
    what: str
    threads: int
    peer: str
    unit: str
    measure: Callable[[int], list[float]]
    at_most: float | None = None
    stretch: float | None = None
    limit: float | None = None
    limit_is: str = ""
    note: str = ""

    def rows(self, rounds: int) -> Iterator[Row]:
        """Run it; yield its row."""
        found = spread([float(value) for value in self.measure(rounds)])
        is_positive = self.limit and found.median > 0 and math.isfinite(found.median)
        yield Row(
            self.subject,
            self.what,
            self.threads,
            self.peer,
            self.unit,
            *found,
            target=self.at_most,
            stretch=self.stretch,
            limit=self.limit,
            limit_is=self.limit_is,
            fraction=self.limit / found.median if is_positive else None,
            note=self.note,
        )
