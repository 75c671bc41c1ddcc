"""What is timed: each case is a tensor that exists already, and who fills it."""

import math
from collections.abc import Callable, Iterator
from typing import NamedTuple

import jax
import torch

import initlib as init

FILLS = [(256, 256), (1024, 1024), (4096, 4096), (16384, 4096)]
ORTHOGONAL = [(256, 256), (1024, 1024), (2048, 2048), (4096, 4096), (4096, 1024)]
SMALL = 2**24


class Case(NamedTuple):
    """A row of the table: candidates by name, ours first."""

    name: str
    shape: tuple[int, ...]
    threads: int
    candidates: dict[str, Callable[[], object]]


def cases(quick: bool) -> Iterator[Case]:
    """Yield the cases, each with its tensor in memory that has been written to before."""
    for threads in (1, 2):
        for shape in FILLS:
            if math.prod(shape) <= SMALL or not quick:
                yield from _fills(shape, threads)
        for shape in ORTHOGONAL:
            if max(shape) <= 1024 or not quick:
                yield _orthogonal(shape, threads)
    if not quick:
        yield _sparse((4096, 4096), 1)


def _jax(initializer: Callable, shape: tuple[int, ...]) -> Callable[[], object]:
    key = jax.random.key(0)
    compiled = jax.jit(lambda key: initializer(key, shape, "float32"))
    return lambda: compiled(key).block_until_ready()


def _fills(shape: tuple[int, ...], threads: int) -> Iterator[Case]:
    w = torch.zeros(shape)
    peers, jaxes = torch.nn.init, jax.nn.initializers
    laws = {
        "normal": (
            lambda: init.normal_(w, generator=0),
            lambda: peers.normal_(w),
            jaxes.normal(1.0),
        ),
        "uniform": (
            lambda: init.uniform_(w, generator=0),
            lambda: peers.uniform_(w),
            jaxes.uniform(1.0),
        ),
        "truncated at 2 std": (
            lambda: init.trunc_normal_(w, generator=0),
            lambda: peers.trunc_normal_(w),
            jaxes.truncated_normal(1.0),
        ),
        "He normal": (
            lambda: init.kaiming_normal_(w, generator=0),
            lambda: peers.kaiming_normal_(w),
            jaxes.variance_scaling(2.0, "fan_in", "normal"),
        ),
    }
    for name, (ours, torchs, jaxs) in laws.items():
        # One core each: jax has no such switch after it has started, so it sits out.
        others = {"torch": torchs} | ({"jax": _jax(jaxs, shape)} if threads > 1 else {})
        yield Case(name, shape, threads, {"initlib": ours} | others)


def _orthogonal(shape: tuple[int, ...], threads: int) -> Case:
    w = torch.zeros(shape)
    candidates = {
        "initlib": lambda: init.orthogonal_(w, generator=0),
        "torch": lambda: torch.nn.init.orthogonal_(w),
    }
    if threads > 1 and max(shape) <= 2048:
        candidates["jax"] = _jax(jax.nn.initializers.orthogonal(), shape)
    return Case("orthogonal", shape, threads, candidates)


def _sparse(shape: tuple[int, ...], threads: int) -> Case:
    w = torch.zeros(shape)
    candidates = {
        "initlib": lambda: init.sparse_(w, nonzeros=15, generator=0),
        "torch": lambda: torch.nn.init.sparse_(w, sparsity=1 - 15 / shape[0]),
    }
    return Case("sparse, 15 of a unit", shape, threads, candidates)
