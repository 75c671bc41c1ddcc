"""Speed of training against the scale of the start, each at its own best learning rate."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from initlib.apply import initialize
from initlib.fills import normal_ as init_normal
from initlib.lab.data import Dataset
from initlib.lab.five_runs import follow
from initlib.lab.plateaus import choose_rates
from initlib.lab.stack import Stack, mlp
from initlib.lab.train import batch_order
from initlib.sampling import stream_key
from initlib.variance import Law

__all__ = [
    "best_rate",
    "log_slower",
    "log_steps",
    "minimum",
    "races",
    "scaled_he",
    "start",
    "temperature_error",
]

SEEN = 200  # held-out images that say how far training is
EVERY = 4  # steps
LEVEL = 1.0  # loss (nats) that is to be reached
BATCH = 32  # images in a mini-batch
# Learning rates at gain 1, and the power of the gain by which they move: where the best ones were
# on other seeds.
RATES = {"shallow": ((0.04, 0.01, 0.0025), 0.0), "deep": ((0.03, 0.01, 0.003), -3.0)}


def scaled_he(gain: float) -> Law:
    """Return He's law with all weights times `gain`."""
    return Law(2 * gain**2, "fan_in", "normal")


def start(sizes: Sequence[int], gain: float, seed: int) -> nn.Sequential:
    """Return a ReLU network of `scaled_he`; those of one seed differ in the factor alone."""
    model = mlp(sizes)
    initialize(model, scaled_he(gain), seed=seed)
    return model


def races(
    data: Dataset,
    depths: Sequence[int],
    gains: Sequence[float],
    *,
    width: int,
    steps: int,
    replicas: int,
    trials: int,
    seed: int,
) -> pd.DataFrame:
    """Train He networks of several scales until their loss on held-out images is below 1 nat.

    Each scale chooses the rate of its grid whose slowest trial is first, with trials that aren't
    used again. Networks of one seed share their random numbers and their mini-batches of 32 images.

    Parameters
    ----------
    data
        Images as rows of pixels.
    depths
        Weight layers of a shallow and of a deep network; the shallow one has three of the scales:
        the first, 1 and the last.
    gains
        Factors on He's standard deviation.
    width, steps
        Units of a hidden layer, the budget.
    replicas, trials
        Seeds of each scale at its chosen rate; seeds that try each rate.
    seed
        Of all.

    Returns
    -------
    DataFrame
        A row for each network: depth, gain, lr, seed, steps (infinite where the budget ended
        first), budget, loss, trial and chosen.
    """
    options = {"width": width, "steps": steps}
    numbers = [1000 * seed + i for i in range(replicas)]
    trial_numbers = [1000 * seed + 500 + i for i in range(trials)]
    tables = []
    for depth, kind in zip(depths, RATES, strict=True):
        rates, shift = RATES[kind]
        own = gains if kind == "deep" else (gains[0], 1.0, gains[-1])
        grid = [(gain, float(lr * gain**shift)) for gain in own for lr in rates]
        # choose_rates knows an arm by its depth and its scheme, and ours by its scale
        tried = _run(data, grid, trial_numbers, depth=depth, **options)
        tried = choose_rates(tried.assign(scheme=tried.gain)).drop(columns="scheme")
        best = tried[tried.chosen].drop_duplicates("gain")
        cells = list(zip(best.gain, best.lr, strict=True))
        final = _run(data, cells, numbers, depth=depth, **options)
        tables += [tried.assign(trial=True), final.assign(trial=False, chosen=True)]
    return pd.concat(tables, ignore_index=True)


def _run(
    data: Dataset,
    cells: Sequence[tuple[float, float]],
    seeds: Sequence[int],
    *,
    depth: int,
    width: int,
    steps: int,
) -> pd.DataFrame:
    """Train every gain and rate of `cells` with every seed."""
    rows = [(gain, lr, i) for gain, lr in cells for i in seeds]
    sizes = [data.x_train.shape[1], *[width] * (depth - 1), data.classes]
    built = {(gain, i): start(sizes, gain, i) for gain, _, i in rows}
    orders = {i: batch_order(i, len(data.x_train), BATCH, steps) for i in seeds}
    followed = follow(
        [built[gain, i] for gain, _, i in rows],
        [lr for _, lr, _ in rows],
        data.x_train,
        data.y_train,
        torch.stack([orders[i] for _, _, i in rows], dim=1),
        lambda stack, _: losses_on(stack, data.x_test[:SEEN], data.y_test[:SEEN]),
        lambda loss, _: loss < LEVEL,
        every=EVERY,
    )
    table = pd.DataFrame(rows, columns=["gain", "lr", "seed"])
    return table.assign(depth=depth, steps=followed.steps, budget=steps, loss=followed.seen)


def losses_on(stack: Stack, images: Tensor, labels: Tensor) -> Tensor:
    """Return the mean loss of each network of a stack on the same images, shape (r,)."""
    logits = stack.logits(images.expand(len(stack.optimizer.lr), *images.shape))
    log_p = logits.log_softmax(dim=-1)
    return -log_p.gather(-1, labels.expand(len(log_p), -1)[..., None]).mean(dim=(1, 2))


def best_rate(raced: pd.DataFrame, depth: int, gain: float) -> float:
    """Return the learning rate that a scale has chosen."""
    final = raced[~raced.trial & (raced.depth == depth) & (raced.gain == gain)]
    return float(final.lr.iloc[0])


def log_steps(raced: pd.DataFrame, depth: int) -> pd.DataFrame:
    """Return logarithms of steps, a row for each seed and a column for each gain.

    What wasn't reached counts as the budget.
    """
    final = raced[~raced.trial & (raced.depth == depth)]
    logs = np.log(np.minimum(final.steps, final.budget))
    return final.assign(log_steps=logs).pivot(index="seed", columns="gain", values="log_steps")


def log_slower(raced: pd.DataFrame, depth: int) -> pd.DataFrame:
    """Return the logarithm of steps over those of gain 1, like `log_steps`."""
    logs = log_steps(raced, depth)
    return logs.sub(logs[1.0], axis=0)


def minimum(logs: pd.DataFrame) -> np.ndarray:
    """Return log2 of the gain at which each seed's parabola is lowest, shape (seeds,).

    Parameters
    ----------
    logs
        From `log_steps`, of at least three gains.
    """
    curvature, slope, _ = np.polyfit(np.log2(logs.columns), logs.T, 2)
    return -slope / (2 * curvature)


def temperature_error(gain: float, lr: float, *, depth: int, width: int, key: int) -> float:
    """Train without biases from gain times He, and from He at lr / gain^2 with hotter logits.

    The two are the same network in other units; see the notebook. Ten steps of gradient descent on
    random numbers, in float64.

    Parameters
    ----------
    gain, lr
        Of the first network.
    depth, width, key
        Weight layers, units of each, seed.

    Returns
    -------
    float
        The largest difference of their logits, over the largest logit.
    """
    shape = (2 * width, width)
    x = init_normal(torch.empty(shape, dtype=torch.float64), generator=stream_key(key, "x"))
    y = torch.arange(len(x)) % width
    weights = [start([width] * (depth + 1), 1.0, key)[2 * i].weight for i in range(depth)]
    logits = []
    for factor, heat, rate in ((gain, 1.0, lr), (1.0, gain**depth, lr / gain**2)):
        own = [(factor * w.detach().double()).requires_grad_() for w in weights]
        for _ in range(10):
            z = _forward(x, own)
            grads = torch.autograd.grad(nn.functional.cross_entropy(heat * z, y), own)
            own = [
                (w - rate * g).detach().requires_grad_() for w, g in zip(own, grads, strict=True)
            ]
        logits.append(heat * _forward(x, own).detach())
    first, second = logits
    return float((first - second).abs().max() / first.abs().max())


def _forward(x: Tensor, weights: list[Tensor]) -> Tensor:
    for w in weights[:-1]:
        x = (x @ w.mT).relu()
    return x @ weights[-1].mT
