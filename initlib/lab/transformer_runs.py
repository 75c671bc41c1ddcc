"""What transformers are like at their start: the residual stream, and what a branch adds to it."""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from initlib.lab.stream_theory import GELU, stream_theory
from initlib.lab.text_source import Lexicon
from initlib.lab.transformer import Transformer, TransformerStack
from initlib.lab.transformer_starts import CUSTOM, EMBEDDING, block_scale, build
from initlib.responses import respond
from initlib.sampling import normal, stream_key

__all__ = ["added", "mlp_branches", "mlp_theory", "streams"]


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
        signal, power (of what that branch adds) and gradient (of a random linear functional of the
        end of the stream, relative to there), with those of theory, signal_theory and
        gradient_theory.
    """
    text = lexicon.sample(stream_key(key, "streams"), texts, length)[0][:, :-1]
    same = (text[:, :, None] == text[:, None, :]).numpy()
    start_gram = EMBEDDING**2 * (same + np.eye(length))
    numbers = [1000 * key + i for i in range(networks)]
    shape, tables = {"width": width, "heads": heads}, []
    for start in starts:
        for blocks in depths:
            models = build(lexicon, start, numbers, length, blocks=blocks, **shape)
            signal, power, gradient = _follow(models, text, key)
            scale = block_scale(start, width, blocks)
            theory = stream_theory(start_gram, scale, blocks=blocks, key=key, **shape)
            columns = {"signal": signal.ravel(), "power": power.ravel()}
            columns |= {"gradient": gradient.ravel()}
            columns |= {"branch": np.repeat(range(2 * blocks + 1), networks)}
            columns |= {"seed": np.tile(numbers, 2 * blocks + 1), "start": start, "blocks": blocks}
            for name, line in theory._asdict().items():
                columns[f"{name}_theory"] = np.repeat(line, networks)
            tables.append(pd.DataFrame(columns))
    return pd.concat(tables, ignore_index=True)


def _follow(models: Sequence[Transformer], text: Tensor, key: int) -> list[np.ndarray]:
    """Return second moments of the stream, its branches and its gradient, (2 N + 1, networks)."""
    seen: list[Tensor] = []
    TransformerStack(models, [1.0] * len(models)).forward(
        text.expand(len(models), -1, -1), seen.append
    )
    draws = normal(stream_key(key, "functional"), 0, seen[-1].numel())
    functional = torch.from_numpy(draws).view_as(seen[-1])
    gradients = torch.autograd.grad((functional * seen[-1]).sum(), seen)
    branches = [torch.zeros_like(seen[0])] + [after - now for now, after in pairwise(seen)]
    moments = [
        torch.stack([part.detach().square().mean(dim=(1, 2)) for part in parts]).double().numpy()
        for parts in (seen, branches, gradients)
    ]
    return [*moments[:2], moments[2] / moments[2][-1]]


def mlp_theory(width: np.ndarray | float, start: str = "normal") -> np.ndarray:
    """Return what an MLP branch adds to the second moment of the stream, exactly, by its width."""
    widths = np.atleast_1d(np.asarray(width, dtype=np.float64))
    scales = [block_scale(start, own, 1) for own in widths]
    added = [
        4 * n * s.down * respond(GELU, np.array([n * s.up])).v[0]
        for n, s in zip(widths, scales, strict=True)
    ]
    return np.array(added)


def mlp_branches(widths: Sequence[int], draws: int, key: int = 0) -> dict[str, np.ndarray]:
    """Measure it under N(0, 0.02^2): a value for each draw of both matrices and of four inputs."""
    measured = {}
    for n in widths:
        values = []
        for i in range(draws):
            own = stream_key(key, "mlp", n, i)
            up, down, x = (
                torch.from_numpy(normal(stream_key(own, name), 0, rows * n)).view(shape)
                for name, rows, shape in (
                    ("up", 4 * n, (4 * n, n)),
                    ("down", 4 * n, (n, 4 * n)),
                    ("x", 4, (4, n)),
                )
            )
            u = nn.functional.layer_norm(x, (n,), eps=0.0)
            hidden = nn.functional.gelu(CUSTOM * u @ up.T)
            values.append((CUSTOM * hidden @ down.T).double().square().mean().item())
        measured[str(n)] = np.array(values)
    return measured


def added(table: pd.DataFrame) -> pd.DataFrame:
    """Return what the branches of each network add, and the growth of its gradient.

    What is added is the sum of the second moments of branches: their products with the stream have
    mean zero, but would drown the branches of a small start.

    Parameters
    ----------
    table
        From `streams`.

    Returns
    -------
    DataFrame
        Indexed by start, blocks and seed. Columns signal and signal_theory, what is added; gradient
        and gradient_theory, at the start of the stream relative to its end.
    """
    index = ["start", "blocks", "seed"]
    first = table[table.branch == 0].set_index(index)
    last = table[table.branch == 2 * table.blocks].set_index(index)
    theory = last.signal_theory - first.signal_theory
    power = table.groupby(index).power.sum()
    grown = {"signal": power, "signal_theory": theory}
    return pd.DataFrame(grown).join(first[["gradient", "gradient_theory"]])
