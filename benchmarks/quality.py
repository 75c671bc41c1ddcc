"""Whether fast streams are good streams: statistics of a billion values, in standard errors."""

import math
from collections.abc import Iterator
from functools import partial

import numpy as np
import torch

import initlib as init
from benchmarks.rows import Gauge
from initlib.sampling import normal, uniform

SUBJECT = "quality"
MANY, FEW = 10**9, 10**7
WORST = 4.5  # standard errors: passed by chance by one of 7000 sets of 20 statistics
CHUNK = 1 << 20
LAGS = (1, 2, 3, 16, 256, 4096)
CELLS = 64  # of the histogram, to a standard deviation
MOMENTS = {"normal": (0, 1, 0, 3, 0, 15, 0, 105), "uniform": (0, 1, 0, 1.8, 0, 27 / 7, 0, 9)}


def benchmarks(quick: bool) -> Iterator[Gauge]:
    """Yield a gauge for each law: its worst statistic."""
    for law in MOMENTS:
        n = FEW if quick else MANY
        yield Gauge(
            SUBJECT,
            f"{law}: moments, tails, serial and cross-key correlation",
            2,
            f"{n:.0e} values",
            "standard errors",
            partial(_worst, law, n),
            WORST,
            note="the worst of all statistics",
        )


def _worst(law: str, n: int, rounds: int) -> list[float]:
    return [max(map(abs, statistics(law, n).values()))]


def statistics(law: str, n: int, seed: int = 0) -> dict[str, float]:
    """Return statistics of the first `n` values of a stream, each in its standard errors.

    The first four moments; the distance of Kolmogorov and Smirnov on a grid of cells, as the normal
    quantile of its p-value; the numbers of values beyond 3, 4 and 5 standard deviations;
    correlations of values some places apart, and with the stream of another key.

    Parameters
    ----------
    law : {"normal", "uniform"}
        The uniform law is standardized first.
    n : int
        Number of values.
    seed : int
        Of the stream.

    Returns
    -------
    dict of str to float
        By the name of the statistic.
    """
    keys = init.stream_key(seed, "layers.0.weight"), init.stream_key(seed, "layers.1.weight")
    powers, products = np.zeros(4), np.zeros(len(LAGS) + 1)
    counts = np.zeros(14 * CELLS)
    carried = torch.zeros(max(LAGS))
    for start in range(0, n, CHUNK):
        stop = min(n, start + CHUNK)
        x, other = (_standard(law, key, start, stop) for key in keys)
        square = x * x
        terms = (x, square, square * x, square * square)
        powers += [term.sum(dtype=torch.float64).item() for term in terms]
        joined = torch.cat([carried, x])
        lagged = [x.dot(joined[max(LAGS) - lag : len(joined) - lag]).item() for lag in LAGS]
        products += [*lagged, x.dot(other).item()]
        counts += torch.histc(x, len(counts), -7, 7).numpy()
        carried = joined[-max(LAGS) :]
    means, expected = powers / n, MOMENTS[law]
    found = {}
    for k in (1, 2, 3, 4):
        error = math.sqrt((expected[2 * k - 1] - expected[k - 1] ** 2) / n)
        found[f"moment {k}"] = (means[k - 1] - expected[k - 1]) / error
    names = [*(f"lag {lag}" for lag in LAGS), "another key"]
    found |= dict(zip(names, products / math.sqrt(n), strict=True))
    return found | _tails(law, counts, n) | {"distribution": _distribution(law, counts, n)}


def _standard(law: str, key: bytes, start: int, stop: int) -> torch.Tensor:
    if law == "normal":
        return torch.from_numpy(normal(key, start, stop))
    return torch.from_numpy(uniform(key, start, stop)).sub_(0.5).mul_(math.sqrt(12))


def _cumulative(law: str, x: float) -> float:
    if law == "normal":
        return math.erfc(-x / math.sqrt(2)) / 2
    return min(max(x / math.sqrt(12) + 0.5, 0.0), 1.0)


def _tails(law: str, counts: np.ndarray, n: int) -> dict[str, float]:
    """Numbers of values far out; of a uniform law there are none beyond sqrt(3)."""
    found, middle = {}, len(counts) // 2
    for reach in (3, 4, 5):
        beyond = counts[: middle - reach * CELLS].sum() + counts[middle + reach * CELLS :].sum()
        expected = 2 * n * _cumulative(law, -reach)
        found[f"beyond {reach} std"] = (beyond - expected) / math.sqrt(expected or 1e-6)
    return found


def _distribution(law: str, counts: np.ndarray, n: int) -> float:
    edges = np.linspace(-7, 7, len(counts) + 1)[1:]
    expected = np.array([_cumulative(law, edge) for edge in edges])
    distance = math.sqrt(n) * np.abs(np.cumsum(counts) / n - expected).max()
    terms = np.arange(1, 101)
    p = 2 * np.sum((-1.0) ** (terms - 1) * np.exp(-2 * (terms * distance) ** 2))
    p = float(np.clip(p, 1e-15, 1))
    return float(torch.special.ndtri(torch.tensor(1 - p / 2, dtype=torch.float64)))
