r"""The residual stream of a wide pre-norm transformer: its variance, and that of its gradient.

With random weights, what a branch makes of the stream is Gaussian, given the products of positions
G_ij = x_i . x_j / n. The network shrinks to a recursion of these T x T matrices, and of those of
its gradients, Gamma, backward. An MLP adds

    v_mlp(C_ij) = 4 n s_down^2 E gelu(a) gelu(b),   a, b ~ N(0, n s_up^2) of correlation C_ij,

with C the correlations in G, since LayerNorm makes every position a vector of squared length n.
Attention adds n s_v^2 n s_out^2 A C A^T, where its weights A = softmax(Q K^T / sqrt(d)) are those
of Gaussian queries and keys; the mean over these is taken by simulation, in T dimensions.
"""

from typing import NamedTuple

import numpy as np

from initlib import activation
from initlib.responses import respond, respond_to_pair
from initlib.sampling import Key, normal, stream_key

__all__ = ["BlockScale", "StreamTheory", "stream_theory"]

GELU = activation("gelu")
ANGLES = np.linspace(0, np.pi, 129)


class BlockScale(NamedTuple):
    """Variances of the weights of a block, for a stream of width n.

    `attention` is that of queries, keys and values, `out` that of their output; `up` and `down` are
    those of the two layers of the MLP, of 4 n hidden units.
    """

    attention: float
    out: float
    up: float
    down: float


class StreamTheory(NamedTuple):
    """Second moments before the first branch and after each, (2 N + 1,).

    `signal` is that of the stream; `gradient` is relative to the end of the stream.
    """

    signal: np.ndarray
    gradient: np.ndarray


def stream_theory(
    start: np.ndarray,
    scale: BlockScale,
    *,
    width: int,
    heads: int,
    blocks: int,
    draws: int = 64,
    key: Key | int = 0,
) -> StreamTheory:
    """Follow the stream through N blocks, and the gradient of a random functional back.

    Parameters
    ----------
    start : ndarray, shape (texts, T, T)
        Products E x_i . x_j / n of the embeddings of each text.
    scale : BlockScale
        Variances of the weights.
    width, heads, blocks : int
        n, attention heads, and N.
    draws : int
        Attention heads that are simulated in each layer for each text.
    key : bytes or int
        Of the simulation.

    References
    ----------
    Hron, Bahri, Sohl-Dickstein and Novak 2020, the recursion for attention of many heads.
    """
    start = np.asarray(start, dtype=np.float64)
    if start.ndim != 3 or start.shape[1] != start.shape[2] or width % heads or draws < 1:
        raise ValueError(
            f"start must be (texts, T, T), heads divide the width and draws be positive, got "
            f"{start.shape}, {heads} of {width} and {draws}"
        )
    side, root = width // heads, stream_key(key, "stream")
    gram, tape, signal = start, [], [_mean(start)]
    for block in range(blocks):
        size, now = _parts(gram)
        drawn = _Attention(now, scale, width, side, draws, stream_key(root, block))
        gram = gram + width * scale.out * drawn.mixed()
        signal.append(_mean(gram))
        tape.append((drawn, size, *_parts(gram)))
        gram = gram + _mlp(tape[-1][-1], scale, width)[0]
        signal.append(_mean(gram))
    gamma = np.broadcast_to(np.eye(start.shape[1]), start.shape)
    gradient = [_mean(gamma)]
    kept = 1 - 2 / width  # LayerNorm lets no gradient through along u, nor along the mean
    for drawn, size, mlp_size, now in reversed(tape):
        gamma = gamma + kept * gamma * _mlp(now, scale, width)[1] / mlp_size
        gradient.append(_mean(gamma))
        gamma = gamma + kept * heads * scale.attention * drawn.back(gamma) / size
        gradient.append(_mean(gamma))
    return StreamTheory(np.array(signal), np.array(gradient[::-1]))


def _mean(gram: np.ndarray) -> float:
    return float(np.diagonal(gram, axis1=1, axis2=2).mean())


def _parts(gram: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Split products into sizes sqrt(G_ii G_jj) and correlations."""
    root = np.sqrt(np.diagonal(gram, axis1=1, axis2=2))
    size = root[:, :, None] * root[:, None, :]
    return size, np.clip(gram / size, -1, 1)


def _mlp(now: np.ndarray, scale: BlockScale, width: int) -> tuple[np.ndarray, np.ndarray]:
    """Return what the MLP adds to the products, and to those of gradients before LayerNorm."""
    q = np.array([width * scale.up])
    chord, slope, _ = respond_to_pair(GELU, np.broadcast_to(q, ANGLES.shape), ANGLES)
    pair = respond(GELU, q).v - q * chord * (1 - np.cos(ANGLES))
    theta = np.arccos(now)
    forward = 4 * width * scale.down * np.interp(theta, ANGLES, pair)
    return forward, 4 * width * scale.down * width * scale.up * np.interp(theta, ANGLES, slope)


class _Attention:
    """Simulated heads: queries, keys and values (draws, texts, T, d), and the weights A."""

    def __init__(self, now, scale, width, side, draws, key):
        self.root = _square_root(now)
        self.scale, self.width, self.key = scale, width, key
        self.shape = draws, len(now), now.shape[1], side
        std = np.sqrt(width * scale.attention)
        self.q, self.k, self.v = (std * self._gaussian(name, self.root) for name in "qkv")
        logits = self.q @ self.k.swapaxes(-1, -2) / np.sqrt(side)
        logits[..., ~np.tri(self.shape[2], dtype=bool)] = -np.inf
        logits -= logits.max(axis=-1, keepdims=True)
        self.weights = np.exp(logits)
        self.weights /= self.weights.sum(axis=-1, keepdims=True)
        self.now = now

    def _gaussian(self, name: str, root: np.ndarray) -> np.ndarray:
        values = normal(stream_key(self.key, name), 0, int(np.prod(self.shape)), np.float64)
        return root @ values.reshape(self.shape)

    def mixed(self) -> np.ndarray:
        """Return the products of the values that heads have gathered, a unit each."""
        mixed = self.weights @ self.now @ self.weights.swapaxes(-1, -2)
        return self.width * self.scale.attention * mixed.mean(axis=0)

    def back(self, gamma: np.ndarray) -> np.ndarray:
        """Return the products of gradients at q, k and v of one head, summed."""
        y = np.sqrt(self.width * self.scale.out) * self._gaussian("y", _square_root(gamma))
        at_weights = y @ self.v.swapaxes(-1, -2)
        centred = at_weights - (self.weights * at_weights).sum(axis=-1, keepdims=True)
        at_logits = self.weights * centred / np.sqrt(self.shape[-1])
        turned = at_logits.swapaxes(-1, -2), self.weights.swapaxes(-1, -2)
        parts = at_logits @ self.k, turned[0] @ self.q, turned[1] @ y
        return sum((part @ part.swapaxes(-1, -2)).mean(axis=0) for part in parts)


def _square_root(gram: np.ndarray) -> np.ndarray:
    values, vectors = np.linalg.eigh(gram)
    return vectors * np.sqrt(values.clip(0))[..., None, :]
