"""Work that can't be avoided: what a program that did nothing else would take."""

import ctypes
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch

from benchmarks.timing import Call
from initlib import compiled
from initlib.streams import stream_key

SMALL = 1 << 21  # elements: below, waking a second thread takes as long as the work
_CACHED = 1 << 16  # values that stay in a core's second-level cache
_PRODUCT = 2048


def _shared(share: Call, threads: int) -> Call:
    """Return a call in which every thread does its share."""
    if threads == 1:
        return share

    def all_shares() -> None:
        with ThreadPoolExecutor(threads) as pool:
            list(pool.map(lambda _: share(), range(threads)))

    return all_shares


def writing(*tensors: torch.Tensor, threads: int = 1) -> dict[str, Call]:
    """Return the writing of all bytes of some tensors, by the fastest that the machine has."""
    pieces = []
    for tensor in tensors:
        size = tensor.numel() * tensor.element_size()
        cut = size // (threads if tensor.numel() >= SMALL else 1)
        pieces += [(tensor.data_ptr() + at, min(cut, size - at)) for at in range(0, size, cut)]

    def write() -> None:
        if len(pieces) > 1 and threads > 1:
            with ThreadPoolExecutor(threads) as pool:
                list(pool.map(lambda piece: ctypes.memset(piece[0], 0, piece[1]), pieces))
        else:
            for address, size in pieces:
                ctypes.memset(address, 0, size)

    return {"writing": write}


def arithmetic(law: str, count: int, threads: int) -> dict[str, Call]:
    """Return the drawing of `count` values into a buffer that never leaves the cache."""
    if not compiled.available:
        return {}
    threads = threads if count >= SMALL else 1
    parameters = (1.0, 0.0, 0.9545, 0.0) if law == "truncated" else (1.0, 0.0)
    key, share = stream_key(0), -(-count // threads)

    def draw() -> None:
        buffer = np.empty(min(_CACHED, share), np.float32)
        for start in range(0, share, _CACHED):
            compiled.fill(law, key, start, buffer[: share - start], parameters)

    return {"arithmetic": _shared(draw, threads)}


def products(flops: float) -> tuple[dict[str, Call], dict[str, float]]:
    """Return a matrix product in float32, and how much of it makes `flops`."""
    a, b = torch.randn(_PRODUCT, _PRODUCT), torch.randn(_PRODUCT, _PRODUCT)
    out = torch.empty(_PRODUCT, _PRODUCT)
    name = "products of matrices"
    return {name: lambda: torch.mm(a, b, out=out)}, {name: flops / (2 * _PRODUCT**3)}
