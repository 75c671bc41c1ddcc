"""Filling one tensor: normal, Xavier, He, uniform and truncated normal laws."""

from collections.abc import Iterator

import torch

import initlib as init
from benchmarks.floors import arithmetic, writing
from benchmarks.peers import jax_call, keras_call
from benchmarks.rows import Race

SUBJECT = "fills"
LARGE = [(4096, 4096), (16384, 4096)]
TORCH = torch.nn.init


def benchmarks(quick: bool) -> Iterator[Race]:
    """Yield the races, each with a tensor in memory that has been written to before."""
    for shape in LARGE[: 1 if quick else 2]:
        for threads in (2, 1):
            yield from _normals(shape, threads)
            yield _uniform(shape, threads)
    yield from _truncated((4096, 4096) if not quick else (1024, 1024))
    for shape in ((256, 256), (1024, 1024)):
        yield _small(shape)


def _normals(shape: tuple[int, int], threads: int) -> Iterator[Race]:
    w = torch.zeros(shape)
    target = (9.0, None) if threads > 1 else (4.5, None)
    floors = writing(w, threads=threads) | arithmetic("normal", w.numel(), threads)
    pairs = {
        "normal": (init.normal_, TORCH.normal_),
        "Xavier": (init.xavier_normal_, TORCH.xavier_normal_),
        "He": (init.kaiming_normal_, TORCH.kaiming_normal_),
    }
    for name, (ours, theirs) in pairs.items():
        candidates = {
            "initlib": lambda ours=ours: ours(w, generator=0),
            "torch": lambda theirs=theirs: theirs(w),
        }
        if name == "normal" and threads > 1 and shape == LARGE[0]:
            candidates |= jax_call("normal", shape, 1.0)
        yield Race(
            SUBJECT, f"{name}, {_size(shape)}", threads, candidates, {"torch": target}, floors
        )


def _uniform(shape: tuple[int, int], threads: int) -> Race:
    w = torch.zeros(shape)
    candidates = {
        "initlib": lambda: init.uniform_(w, generator=0),
        "torch": lambda: TORCH.uniform_(w),
    }
    targets = {"torch": (12.0, None)} if threads > 1 else {}
    floors = writing(w, threads=threads) | arithmetic("uniform", w.numel(), threads)
    return Race(SUBJECT, f"uniform, {_size(shape)}", threads, candidates, targets, floors)


def _truncated(shape: tuple[int, int]) -> Iterator[Race]:
    w = torch.zeros(shape)
    candidates = {
        "initlib": lambda: init.trunc_normal_(w, generator=0),
        "torch": lambda: TORCH.trunc_normal_(w),
        **keras_call("TruncatedNormal", shape, stddev=1.0),
        **jax_call("truncated_normal", shape, 1.0),
    }
    targets = {"torch": (55.0, 80.0), "keras": (55.0, 80.0)}
    floors = writing(w, threads=2) | arithmetic("truncated", w.numel(), 2)
    what = f"truncated at 2 std, {_size(shape)}"
    yield Race(SUBJECT, what, 2, candidates, targets, floors)

    tail = torch.zeros(1024, 1024)
    yield Race(
        SUBJECT,
        "truncated to (2, 4) std, 1024 x 1024",
        2,
        {
            "initlib": lambda: init.trunc_normal_(tail, a=2, b=4, generator=0),
            "torch": lambda: TORCH.trunc_normal_(tail, a=2, b=4),
        },
        {"torch": (20.0, None)},
        writing(tail, threads=2),
        note="one pass of torch at 4096 x 4096 takes 20 s",
    )


def _small(shape: tuple[int, int]) -> Race:
    w = torch.zeros(shape)
    return Race(
        SUBJECT,
        f"normal, {_size(shape)}",
        1,
        {"initlib": lambda: init.normal_(w, generator=0), "torch": lambda: TORCH.normal_(w)},
        floors=writing(w) | arithmetic("normal", w.numel(), 1),
    )


def _size(shape: tuple[int, ...]) -> str:
    return " x ".join(map(str, shape))
