"""The phase diagram of tanh, against the integrals as they are written."""

import math
from collections.abc import Callable, Iterator

import numpy as np

import initlib as init
from benchmarks.peers import peer
from benchmarks.rows import Gauge, Race
from benchmarks.timing import seconds

SUBJECT = "theory"
SIGMA_W, SIGMA_B = np.linspace(0.5, 4, 200), np.linspace(0.0, 2, 200)
SAMPLED = 16  # points of the grid that the peer computes
ACCURACY = 1e-9  # of q*, as ours


def benchmarks(quick: bool) -> Iterator[Race | Gauge]:
    """Yield the race on a grid of 200 x 200, and the seconds it takes."""
    what = "phase diagram 200 x 200: q*, chi_1, xi_q"
    times = SIGMA_W.size * SIGMA_B.size / SAMPLED
    if peer("scipy"):
        points = np.random.default_rng(0).integers(200, size=(SAMPLED, 2))
        yield Race(
            SUBJECT,
            what,
            1,
            {
                "initlib": lambda: _diagram(False),
                "scipy's quad": lambda: _sample(points, math.inf),
                "scipy's quad on [-9, 9]": lambda: _sample(points, 9.0),
            },
            {"scipy's quad": (3000.0, None), "scipy's quad on [-9, 9]": (3000.0, None)},
            scale={"scipy's quad": times, "scipy's quad on [-9, 9]": times},
            note=f"quad at {SAMPLED} random points, times {times:.0f}",
        )
    yield _gauge(what, False, 0.1)
    yield _gauge(f"{what}, c*, xi_c", True, 0.5)


def _gauge(what: str, correlations: bool, at_most: float) -> Gauge:
    def measure(rounds: int) -> list[float]:
        return [seconds(lambda: _diagram(correlations)) for _ in range(2 * rounds)]

    return Gauge(SUBJECT, what, 1, "", "s", measure, at_most)


def _diagram(correlations: bool) -> None:
    init.phase_diagram("tanh", SIGMA_W, SIGMA_B, correlations=correlations).xi_q.sum()


def _sample(points: np.ndarray, reach: float) -> None:
    for i, j in points:
        by_quad(SIGMA_W[i], SIGMA_B[j], reach)


def by_quad(sigma_w: float, sigma_b: float, reach: float) -> tuple[float, float, float]:
    """Iterate the length map, as it is written, to its fixed point; return q*, chi_1 and xi_q.

    Integrals run over z in [-reach, reach]."""
    from scipy.integrate import quad

    def mean(function: Callable[[float], float]) -> float:
        def integrand(z: float) -> float:
            return math.exp(-z * z / 2) / math.sqrt(2 * math.pi) * function(z)

        return quad(integrand, -reach, reach)[0]

    def square(z: float) -> float:
        return math.tanh(math.sqrt(q) * z) ** 2

    q, before = 1.0, 0.0
    while abs(q - before) > ACCURACY * max(q, 1) and q > ACCURACY:
        before, q = q, sigma_w**2 * mean(square) + sigma_b**2
    chi_1 = sigma_w**2 * mean(lambda z: (1 - square(z)) ** 2)
    slope = sigma_w**2 * mean(lambda z: square(z) * (z * z - 1)) / (2 * q)
    return q, chi_1, -1 / math.log(abs(slope))
