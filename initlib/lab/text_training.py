"""Transformers trained on text, each start at a learning rate of its own or at all of a grid."""

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from initlib.lab.contest import Contest
from initlib.lab.plateaus import choose_rates, steps_to
from initlib.lab.text_source import Lexicon
from initlib.lab.train import default_threads
from initlib.lab.transformer import TransformerStack
from initlib.lab.transformer_starts import STARTS, build
from initlib.sampling import Key, stream_key

__all__ = ["text_contest", "train_on_text"]

WINDOW = 10  # updates over which the loss is averaged
CHUNK = 8


def train_on_text(
    lexicon: Lexicon,
    arms: Sequence[tuple[str, float, int]],
    *,
    length: int,
    width: int,
    heads: int,
    blocks: int,
    steps: int,
    batch_size: int = 8,
    level: float = 0.1,
    unseen: Key | int = 0,
    tested: int = 256,
    threads: int | None = None,
) -> tuple[pd.DataFrame, np.ndarray]:
    """Train a model for each arm: a start (see `STARTS`), a learning rate of Adam, and a seed.

    Arms of one seed read the same text, all of it new. *Excess loss* is the cross-entropy (nats a
    character) less that of a reader who knows the dictionary, on the same text: its expectation is
    the Kullback-Leibler divergence, which is 0 for a perfect model.

    Parameters
    ----------
    lexicon, arms
        The text and the arms.
    length, width, heads, blocks
        Shape of the models: T, n, heads, N.
    steps, batch_size
        Updates, and windows of text in each.
    level
        Excess loss, as a mean over `WINDOW` updates, whose first step is noted.
    unseen, tested
        Key and number of the windows that the final loss is measured on, the same for all.
    threads
        Chunks of models trained at a time; changes no value. Default: ``$OMP_NUM_THREADS``, or one
        a core.

    Returns
    -------
    results : DataFrame
        Columns scheme, lr, seed, loss (excess, at the end), steps (to `level`; infinite where not
        reached) and budget.
    curves : ndarray, shape (steps, arms)
        Excess loss of each update.
    """
    counts = {"arms": len(arms), "steps": steps, "batch_size": batch_size, "tested": tested}
    for name, count in counts.items():
        if count < 1:
            raise ValueError(f"{name} must be at least 1, got {count}")
    unknown = {start for start, _, _ in arms} - set(STARTS)
    if unknown:
        raise ValueError(f"no start {unknown}; there are {', '.join(STARTS)}")
    shape = {"length": length, "width": width, "heads": heads, "blocks": blocks}
    final = lexicon.sample(stream_key(unseen, "unseen"), tested, length)
    chunks = [arms[i : i + CHUNK] for i in range(0, len(arms), CHUNK)]
    run = partial(_train, lexicon, final, shape, steps, batch_size)
    with ThreadPoolExecutor(threads or default_threads()) as pool:
        parts = zip(*pool.map(run, chunks), strict=True)
        curves, ends = (np.concatenate(part, axis=-1) for part in parts)
    rows = pd.DataFrame(arms, columns=["scheme", "lr", "seed"])
    return rows.assign(loss=ends, steps=steps_to(curves, level, WINDOW), budget=steps), curves


def text_contest(
    lexicon: Lexicon,
    starts: Sequence[str],
    rates: Sequence[float],
    *,
    seed: int = 0,
    replicas: int = 8,
    trials: int = 4,
    **options,
) -> Contest:
    """Train models on text, each start at the learning rate of a grid that suits it best.

    The best rate is the one whose worst trial has the lowest excess loss at the end. Trials have
    seeds of their own.

    Parameters
    ----------
    lexicon, starts, rates
        The text, the starts, and learning rates of Adam.
    seed, replicas, trials
        Seed of everything random here, seeds of each start, and seeds that try each rate.
    **options
        Of `train_on_text`.

    Returns
    -------
    Contest
        `tried` and `results` as from `train_on_text`, `losses` the excess of each update.
    """
    numbers = [1000 * seed + i for i in range(replicas)]
    trial_numbers = [1000 * seed + 500 + i for i in range(trials)]
    run = partial(train_on_text, lexicon, unseen=seed, **options)
    tried, _ = run([(name, lr, i) for name in starts for lr in rates for i in trial_numbers])
    never = tried.assign(steps=np.inf, depth=0)  # so that the loss at the end decides
    tried["chosen"] = choose_rates(never).chosen
    best = tried[tried.chosen].groupby("scheme").lr.first()
    results, curves = run([(name, float(best[name]), i) for name in starts for i in numbers])
    losses = {name: curves[:, (results.scheme == name).to_numpy()] for name in starts}
    return Contest(tried, results, losses)


def _train(
    lexicon: Lexicon,
    unseen: tuple[Tensor, Tensor],
    shape: Mapping[str, int],
    steps: int,
    batch_size: int,
    arms: Sequence[tuple[str, float, int]],
) -> tuple[np.ndarray, np.ndarray]:
    """Return the excess losses of each update (steps, arms), and those at the end (arms,)."""
    read = {}
    for seed in {seed for _, _, seed in arms}:
        drawn = lexicon.sample(stream_key(seed, "batches"), steps * batch_size, shape["length"])
        read[seed] = [part.unflatten(0, (steps, batch_size)) for part in drawn]
    text, known = (torch.stack([read[seed][i] for _, _, seed in arms], dim=1) for i in (0, 1))
    models = [build(lexicon, start, [seed], **shape)[0] for start, _, seed in arms]
    stack = TransformerStack(models, [lr for _, lr, _ in arms])
    losses = torch.stack([stack.step(now) for now in text]) - known.mean(dim=(2, 3))
    with torch.no_grad():
        ends = stack.losses(unseen[0].expand(len(arms), -1, -1)) - unseen[1].mean()
    return losses.double().numpy(), ends.double().numpy()
