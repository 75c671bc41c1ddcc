"""The phase diagram of tanh, against the integrals as they are written."""

import math
from collections.abc import Iterator

import numpy as np

import initlib as init
from benchmarks.peers import peer
from benchmarks.rows import Gauge, Race
from benchmarks.timing import seconds

SUBJECT = "theory"
SIGMA_W, SIGMA_B = np.linspace(0.5, 4, 200), np.linspace(0.0, 2, 200)
SAMPLED = 24  # points of the grid that the peer computes


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
                "scipy's quad": lambda: [_by_quad(SIGMA_W[i], SIGMA_B[j]) for i, j in points],
            },
            {"scipy's quad": (3000.0, None)},
            scale={"scipy's quad": times},
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


def _by_quad(sigma_w: float, sigma_b: float) -> tuple[float, float, float]:
    """Iterate the length map to its fixed point; return q*, chi_1 and xi_q."""
    from scipy.integrate import quad

    def mean(function) -> float:
        density = 1 / math.sqrt(2 * math.pi)
        return quad(lambda z: function(z) * density * math.exp(-z * z / 2), -9, 9)[0]

    q = 1.0
    for _ in range(200):
        root = math.sqrt(q)
        new = sigma_w**2 * mean(lambda z, root=root: math.tanh(root * z) ** 2) + sigma_b**2
        if abs(new - q) < 1e-8:
            break
        q = max(new, 1e-12)
    root = math.sqrt(q)
    chi_1 = sigma_w**2 * mean(lambda z: (1 - math.tanh(root * z) ** 2) ** 2)
    growth = mean(lambda z: math.tanh(root * z) ** 2 * (z * z - 1))
    slope = sigma_w**2 * growth / (2 * q)
    return q, chi_1, -1 / math.log(max(abs(slope), 1e-300))
