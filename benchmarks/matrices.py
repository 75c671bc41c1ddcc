"""Orthogonal matrices, one and many; sparse ones; identities."""

from collections.abc import Iterator

import torch
from torch import nn

import initlib as init
from benchmarks.floors import products, writing
from benchmarks.peers import jax_call, peer
from benchmarks.rows import Race

SUBJECT = "matrices"
TORCH = torch.nn.init
SQUARES = [(1024, 1024), (2048, 2048), (4096, 4096)]
TALL = [(4096, 1024), (16384, 1024)]


def benchmarks(quick: bool) -> Iterator[Race]:
    """Yield the races."""
    for shape in SQUARES[: 1 if quick else 3]:
        yield _orthogonal(shape, (3.0, 4.0))
    for shape in TALL[: 1 if quick else 2]:
        yield _orthogonal(shape, (4.0, None))
    yield _many(64, 64)
    yield _sparse(1024 if quick else 4096)
    yield _dirac()


def _orthogonal(shape: tuple[int, int], target: tuple) -> Race:
    (n, m), w = shape, torch.zeros(shape)
    candidates = {
        "initlib": lambda: init.orthogonal_(w, generator=0),
        "torch": lambda: TORCH.orthogonal_(w),
    }
    if n <= 2048:
        candidates |= jax_call("orthogonal", shape)
    if n <= 1024 and peer("scipy"):
        from scipy.stats import ortho_group

        candidates["scipy"] = lambda: ortho_group.rvs(n)
    # Columns of Q from reflectors (LAPACK's orgqr); those need no factorization, see haar.py.
    floors, scale = products(2 * n * m * m - 2 * m**3 / 3)
    targets = {"torch": target, "jax": (5.0, None), "scipy": (9.0, None)}
    what = f"orthogonal, {n} x {m}"
    return Race(SUBJECT, what, 2, candidates, targets, floors, scale)


def _many(count: int, n: int) -> Race:
    model = nn.Sequential(*(nn.Linear(n, n, bias=False) for _ in range(count)))
    weights = [layer.weight for layer in model]

    def loop() -> None:
        for w in weights:
            TORCH.orthogonal_(w)

    floors, scale = products(count * 4 * n**3 / 3)
    return Race(
        SUBJECT,
        f"orthogonal, a model of {count} layers of {n} x {n}",
        2,
        {"initlib": lambda: init.initialize(model, "orthogonal"), "torch": loop},
        {"torch": (2.5, None)},
        floors,
        scale,
        note="initialize, with its audit",
    )


def _sparse(n: int) -> Race:
    w = torch.zeros(n, n)
    return Race(
        SUBJECT,
        f"sparse, 15 incoming of {n}",
        2,
        {
            "initlib": lambda: init.sparse_(w, nonzeros=15, generator=0),
            "torch": lambda: TORCH.sparse_(w, sparsity=1 - 15 / n),
        },
        {"torch": (30.0, None)},
        writing(w, threads=2),
    )


def _dirac() -> Race:
    w = torch.zeros(512, 512, 3, 3)
    return Race(
        SUBJECT,
        "dirac, 512 x 512 x 3 x 3",
        2,
        {"initlib": lambda: init.dirac_(w), "torch": lambda: TORCH.dirac_(w)},
        {"torch": (10.0, None)},
        writing(w, threads=2),
    )
