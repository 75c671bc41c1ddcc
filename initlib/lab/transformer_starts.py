"""How the blocks of a transformer start: the schemes that are used, as rules for `initialize`."""

from collections.abc import Sequence
from functools import partial

import numpy as np
import torch
from torch import nn

from initlib import initialize, normal_
from initlib.lab.stream_theory import BlockScale
from initlib.lab.text_source import Lexicon
from initlib.lab.transformer import Transformer
from initlib.sampling import stream_key
from initlib.schemes import VARIANCE_SCALING
from initlib.variance import Law

__all__ = ["CUSTOM", "EMBEDDING", "STARTS", "block_scale", "build", "packed_shares", "start_rules"]

CUSTOM = 0.02  # the standard deviation of Radford et al. 2018 and 2019, whatever the width
EMBEDDING = 0.5**0.5  # characters and positions make up a stream of second moment 1

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
