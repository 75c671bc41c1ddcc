"""What notebook 18 measures: streams at the start, packed projections, and training on text."""

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from initlib import initialize, normal_
from initlib.lab.contest import Contest
from initlib.lab.plateaus import choose_rates, steps_to
from initlib.lab.stream_theory import BlockScale, stream_theory
from initlib.lab.text_source import Lexicon
from initlib.lab.train import default_threads
from initlib.lab.transformer import Transformer, TransformerStack
from initlib.sampling import Key, normal, stream_key
from initlib.schemes import VARIANCE_SCALING
from initlib.variance import Law

__all__ = ["STARTS", "block_scale", "packed_shares", "start_rules", "streams", "text_contest", "train_on_text"]

CUSTOM = 0.02  # the standard deviation of Radford et al. 2018 and 2019, whatever the width
EMBEDDING = 0.5**0.5  # characters and positions make up a stream of second moment 1
WINDOW, CHUNK = 10, 8

# The law of the matrices of a block, or their standard deviation, and whether those that write
# into the stream are divided by sqrt(2 N).
STARTS: dict[str, tuple[Law | float, bool]] = {
    "normal": (CUSTOM, False),
    "gpt2": (CUSTOM, True),
    "xavier": (VARIANCE_SCALING["xavier_normal"], False),
    "he": (VARIANCE_SCALING["he_normal"], False),
    "xavier scaled": (VARIANCE_SCALING["xavier_normal"], True),
    "he scaled": (VARIANCE_SCALING["he_normal"], True),
}
WRITERS = ("*.out_proj.weight", "*.down.weight")


def start_rules(start: str, blocks: int) -> dict:
    """Return rules for `initialize`.

    Embeddings are N(0, 1/2) and the readout N(0, 0.02^2) whatever the start, so that starts differ
    in their blocks alone.

    Parameters
    ----------
    start : str
        One of `STARTS`.
    blocks : int
        N.
    """
    law, scaled = _start(start)
    factor = (2 * blocks) ** -0.5 if scaled else 1.0
    fill, writer = (
        law.scaled(f) if isinstance(law, Law) else partial(normal_, std=f * law)
        for f in (1.0, factor)
    )
    embedding = partial(normal_, std=EMBEDDING)
    outer = {"token.weight": embedding, "position.weight": embedding}
    outer["head.weight"] = partial(normal_, std=CUSTOM)
    return outer | dict.fromkeys(WRITERS, writer) | {"*": fill}


def block_scale(start: str, width: int, blocks: int) -> BlockScale:
    """Return the variances that a start gives to the weights of a block, for the theory."""
    law, scaled = _start(start)
    factor = 1 / (2 * blocks) if scaled else 1.0

    def variance(fan_in: int, fan_out: int) -> float:
        return law.std((fan_in, fan_out)) ** 2 if isinstance(law, Law) else law**2

    square = variance(width, width)
    up, down = variance(width, 4 * width), variance(4 * width, width)
    return BlockScale(square, factor * square, up, factor * down)


def _start(start: str) -> tuple[Law | float, bool]:
    if start not in STARTS:
        raise ValueError(f"no start {start!r}; there are {', '.join(STARTS)}")
    return STARTS[start]


def build(
    lexicon: Lexicon, start: str, seeds: Sequence[int], length: int, **shape: int
) -> list[Transformer]:
    """Return a model for each seed, of width, heads and blocks as given."""
    models = []
    for seed in seeds:
        models.append(Transformer(len(lexicon.alphabet), length, **shape))
        rules = start_rules(start, shape["blocks"])
        initialize(models[-1], rules, seed=stream_key(seed, "weights"))
    return models


def streams(
    lexicon: Lexicon,
    starts: Sequence[str],
    depths: Sequence[int],
    *,
    length: int,
    width: int,
    heads: int,
    networks: int,
    texts: int = 4,
    key: int = 0,
) -> pd.DataFrame:
    """Measure the residual stream and its gradient, and put theory beside it.

    Parameters
    ----------
    lexicon, starts, depths
        The text, and the starts and numbers of blocks N that are compared.
    length, width, heads
        T, n and attention heads.
    networks, texts
        Networks of each start and depth; windows of text that all of them read.
    key
        Seed of everything random here.

    Returns
    -------
    DataFrame
        Columns start, blocks, branch (0 .. 2 N, after that branch), seed, and the second moments
        signal and gradient (of a random linear functional of the end of the stream, relative to
        there), with those of theory, signal_theory and gradient_theory.
    """
    text = lexicon.sample(stream_key(key, "streams"), texts, length)[0][:, :-1]
    same = (text[:, :, None] == text[:, None, :]).numpy()
    start_gram = EMBEDDING**2 * (same + np.eye(length))
    numbers = [1000 * key + i for i in range(networks)]
    shape, tables = {"width": width, "heads": heads}, []
    for start in starts:
        for blocks in depths:
            models = build(lexicon, start, numbers, length, blocks=blocks, **shape)
            signal, gradient = _follow(models, text, key)
            scale = block_scale(start, width, blocks)
            theory = stream_theory(start_gram, scale, blocks=blocks, key=key, **shape)
            columns = {"signal": signal.ravel(), "gradient": gradient.ravel()}
            columns |= {"branch": np.repeat(range(2 * blocks + 1), networks)}
            columns |= {"seed": np.tile(numbers, 2 * blocks + 1), "start": start, "blocks": blocks}
            for name, line in theory._asdict().items():
                columns[f"{name}_theory"] = np.repeat(line, networks)
            tables.append(pd.DataFrame(columns))
    return pd.concat(tables, ignore_index=True)


def _follow(models: Sequence[Transformer], text: Tensor, key: int) -> tuple[np.ndarray, np.ndarray]:
    """Return second moments of the stream and its gradient, (2 N + 1, networks)."""
    seen: list[Tensor] = []
    TransformerStack(models, [1.0] * len(models)).forward(
        text.expand(len(models), -1, -1), seen.append
    )
    draws = normal(stream_key(key, "functional"), 0, seen[-1].numel())
    functional = torch.from_numpy(draws).view_as(seen[-1])
    gradients = torch.autograd.grad((functional * seen[-1]).sum(), seen)
    signal, gradient = (
        torch.stack([part.detach().square().mean(dim=(1, 2)) for part in parts]).double().numpy()
        for parts in (seen, gradients)
    )
    return signal, gradient / gradient[-1]


def packed_shares(width: int, draws: int, key: int = 0) -> dict[str, np.ndarray]:
    """Return n Var w of the packed q, k and v projection under Xavier, one value a draw.

    "torch" is `torch.nn.MultiheadAttention` as it starts by itself, "initlib" after `initialize`.
    Both draw uniform values.
    """
    torch_key = int.from_bytes(stream_key(key, "torch")[:7], "little")
    shares: dict[str, list[float]] = {"torch": [], "initlib": []}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(torch_key)
        for i in range(draws):
            layer = nn.MultiheadAttention(width, 1)
            shares["torch"].append(width * layer.in_proj_weight.square().mean().item())
            initialize(layer, "xavier_uniform", seed=stream_key(key, i))
            shares["initlib"].append(width * layer.in_proj_weight.square().mean().item())
    return {name: np.array(own) for name, own in shares.items()}


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
    for start, _, _ in arms:
        _start(start)
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
