"""The adding problem: to remember two numbers of a long sequence, and to add them.

At each of T steps a network reads a number from U[0, 1) and a marker, 1 at two steps and 0 at all
others; one marker lies in the first half of the sequence, one in the second. After the last step it
is to say the sum of the two marked numbers. To say 1, whatever was read, has an expected squared
error of 1/6, the variance of that sum.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import count

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from initlib.fills import normal_
from initlib.lab.contest import Contest
from initlib.lab.plateaus import choose_rates, smooth, steps_to
from initlib.lab.recurrent import Cell, Recurrent
from initlib.lab.train import default_threads
from initlib.sampling import Key, stream_key, uniform
from initlib.schemes import lecun_normal_

__all__ = ["BASELINE", "Start", "adding_contest", "by_hand", "joined", "sequences"]

BASELINE = 1 / 6
WINDOW = 20  # updates over which the error is averaged
BLOCK = 50  # updates whose sequences are drawn together
Fill = Callable[..., Tensor]


@dataclass(frozen=True)
class Start:
    """How a recurrent network starts.

    Parameters
    ----------
    cell : {"relu", "tanh", "lstm"}
        What a unit is.
    recurrent : callable
        Fills W of shape (H, H), those of the gates of an LSTM one by one, as
        ``recurrent(W, generator=key)``.
    input_std : float
        Standard deviation of input weights; the square root of 1/2 keeps the size of two inputs.
    forget : float
        Bias of the forget gates of an LSTM; all other biases are zero.
    """

    cell: Cell
    recurrent: Fill
    input_std: float = 0.5**0.5
    forget: float = 1.0

    def weights(self, hidden: int, seed: Key | int) -> tuple[Tensor, Tensor]:
        """Return ``[W, U, b]`` and the readout ``[v, a]``; starts share their U and v."""
        gates = 4 if self.cell == "lstm" else 1
        matrix = torch.zeros(gates, hidden, hidden + 3)
        for gate, own in enumerate(matrix):
            key = stream_key(seed, gate)
            square = torch.empty(hidden, hidden)
            own[:, :hidden] = self.recurrent(square, generator=stream_key(key, "recurrent"))
            inputs = torch.empty(hidden, 2)
            own[:, hidden:-1] = normal_(inputs, 0, self.input_std, generator=stream_key(key, "in"))
        if gates == 4:
            matrix[1, :, -1] = self.forget
        readout = torch.zeros(hidden + 1)
        lecun_normal_(readout[None, :-1], generator=stream_key(seed, "readout"))
        return matrix.flatten(0, 1), readout


def sequences(key: Key | int, count: int, length: int) -> tuple[Tensor, Tensor]:
    """Draw sequences x (T, count, 2), of numbers and markers, and their sums y (count,)."""
    key, half = stream_key(key), length // 2
    numbers = uniform(stream_key(key, "numbers"), 0, length * count).reshape(length, count)
    where = uniform(stream_key(key, "markers"), 0, 2 * count).reshape(2, count)
    first = (where[0] * half).astype(int)
    second = half + (where[1] * (length - half)).astype(int)
    markers, every = np.zeros_like(numbers), np.arange(count)
    markers[first, every] = markers[second, every] = 1
    y = numbers[first, every] + numbers[second, every]
    return torch.from_numpy(np.stack([numbers, markers], axis=-1)), torch.from_numpy(y)


def by_hand(x: Tensor) -> Tensor:
    """Return what a ReLU network of two units, written by hand, says to sequences x (T, count, 2).

    One unit detects a marked number, ``relu(number + marker - 1)``, and keeps nothing; the other
    adds what the first says to what it holds.
    """
    recurrent = torch.tensor([[0.0, 0.0], [1.0, 1.0]], dtype=x.dtype)
    inputs, bias = torch.tensor([[1.0, 1.0], [0.0, 0.0]], dtype=x.dtype), torch.tensor([-1.0, 0.0])
    h = torch.zeros(x.shape[1], 2, dtype=x.dtype)
    for now in x:
        h = (h @ recurrent.T + now @ inputs.T + bias).relu()
    return h.sum(dim=1)


def adding_contest(
    starts: Mapping[str, Start],
    rates: Mapping[str, Sequence[float]],
    *,
    length: int,
    hidden: int,
    budget: int,
    seed: int = 0,
    replicas: int = 8,
    trials: int = 3,
    level: float = 0.01,
    batch_size: int = 32,
    threads: int | None = None,
) -> Contest:
    """Let recurrent networks learn to add, each start at the learning rate that suits it best.

    The best rate is the one whose slowest trial is there first (`choose_rates`); trials end there,
    and have seeds of their own. Seed i of all starts sees the same sequences, every one new: their
    mean squared error is that on unseen data.

    Parameters
    ----------
    starts, rates
        Of each name, how its networks start, and the learning rates of Adam that it chooses from.
    length, hidden
        Steps of time T and units H.
    budget
        Updates, at most.
    seed, replicas, trials
        Seed of everything random here, seeds of each start, and seeds that try each rate.
    level
        The problem counts as solved, and training ends, once the squared error is below it, as a
        mean over the last `WINDOW` updates.
    batch_size
        Sequences in an update.
    threads
        Starts trained at a time; changes no value. Default: ``$OMP_NUM_THREADS``, or one a core.

    Returns
    -------
    Contest
        `tried` and `results` have the columns scheme, lr, seed, steps (infinite: not solved within
        the budget), left (until the error was below half of `BASELINE`), budget and loss.
    """
    numbers = [1000 * seed + i for i in range(replicas)]
    trial_numbers = [1000 * seed + 500 + i for i in range(trials)]
    options = (length, hidden, budget, batch_size, level)

    def run(name: str) -> Contest:
        losses = _train(starts[name], rates[name], trial_numbers, *options, race=True)
        tried = _table(losses, name, rates[name], trial_numbers, budget, level).assign(depth=0)
        tried = choose_rates(tried).drop(columns="depth")
        best = [tried.lr[tried.chosen].iloc[0]]
        losses = _train(starts[name], best, numbers, *options)
        return Contest(tried, _table(losses, name, best, numbers, budget, level), {name: losses})

    with ThreadPoolExecutor(threads or default_threads()) as pool:
        return joined(*pool.map(run, starts))


def joined(*contests: Contest) -> Contest:
    """Return several contests as one."""
    tried, results, losses = zip(*contests, strict=True)
    tables = (pd.concat(part, ignore_index=True) for part in (tried, results))
    return Contest(*tables, {name: own for part in losses for name, own in part.items()})


def _train(
    start: Start,
    rates: Sequence[float],
    seeds: Sequence[int],
    length: int,
    hidden: int,
    budget: int,
    batch_size: int,
    level: float,
    race: bool = False,
) -> np.ndarray:
    """Return losses (budget, rates x seeds); NaN once a network, or in a race a rate, was done."""
    drawn = [start.weights(hidden, stream_key(seed, "weights")) for seed in seeds]
    matrices, readouts = (
        torch.cat([torch.stack(part)] * len(rates)) for part in zip(*drawn, strict=True)
    )
    nets = Recurrent(start.cell, matrices, readouts, np.repeat(rates, len(seeds)))
    losses = np.full((budget, len(readouts)), np.nan, dtype=np.float32)
    going = np.arange(len(readouts))
    streams = [_stream(seed, batch_size, length) for seed in seeds]
    for step in range(budget):
        x, y = (
            torch.stack(part, dim=axis)
            for part, axis in zip(zip(*map(next, streams), strict=True), (1, 0), strict=True)
        )
        own = torch.from_numpy(going % len(seeds))
        losses[step, going] = nets.step(x[:, own], y[own]).numpy()
        recent = losses[max(step + 1 - WINDOW, 0) : step + 1, going].mean(axis=0)
        on = ~(recent < level)
        if not on.all():
            going = going[on]
            nets.keep(torch.from_numpy(on))
            left = np.bincount(going // len(seeds), minlength=len(rates))
            if not len(going) or (race and not left.all()):
                break
    return losses


def _stream(seed: int, batch_size: int, length: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield a batch for each update, always the same for a seed."""
    for block in count():
        x, y = sequences(stream_key(seed, "sequences", block), BLOCK * batch_size, length)
        yield from zip(x.split(batch_size, dim=1), y.split(batch_size), strict=True)


def _table(losses, scheme, rates, seeds, budget, level) -> pd.DataFrame:
    smoothed = smooth(losses, WINDOW)
    ends = [column[np.isfinite(column)][-1:] for column in smoothed.T]
    columns = {
        "scheme": scheme,
        "lr": np.repeat(rates, len(seeds)),
        "seed": np.tile(seeds, len(rates)),
        "steps": steps_to(losses, level, WINDOW),
        "left": steps_to(losses, BASELINE / 2, WINDOW),
        "budget": budget,
        "loss": [end[0] if len(end) else np.nan for end in ends],
    }
    return pd.DataFrame(columns)
