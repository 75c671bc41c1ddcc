"""Training many networks at once, against a loop that trains one after the other."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import torch
from torch import nn

import initlib as init
from benchmarks.floors import products
from benchmarks.rows import Race
from initlib.lab.data import Dataset
from initlib.lab.stack import mlp
from initlib.lab.train import Arm, batch_order, train

SUBJECT = "training"
INPUTS, CLASSES, IMAGES, BATCH = 64, 10, 2000, 128
LR, MOMENTUM = 0.01, 0.9


def benchmarks(quick: bool) -> Iterator[Race]:
    """Yield the races: 16 seeds of 10 layers, and 5 depths by 4 seeds."""
    for width, steps, target in ((64, 100, 6.0), (128, 40, 3.0), (256, 16, 2.0))[
        : 1 if quick else 3
    ]:
        yield _race(f"16 seeds of 10 layers of {width}", [10], range(16), width, steps, target)
    if not quick:
        yield _race(
            "depths 10 to 50 by 4 seeds, width 64", range(10, 51, 10), range(4), 64, 20, 4.5
        )


def _race(
    what: str, depths: Sequence[int], seeds: Sequence[int], width: int, steps: int, target: float
) -> Race:
    data = _data()
    arms = [Arm("xavier_normal", LR, seed) for seed in seeds]

    def at_once(depth: int) -> None:
        train(
            data,
            arms,
            hidden=[width] * (depth - 1),
            steps=steps,
            activation="tanh",
            batch_size=BATCH,
            momentum=MOMENTUM,
            threads=2 if len(depths) == 1 else 1,
        )

    def ours() -> None:
        torch.set_num_threads(1)  # a chunk of networks on each core
        with ThreadPoolExecutor(2) as pool:
            list(pool.map(at_once, sorted(depths, reverse=True)))

    def loop(threads: int) -> Callable[[], None]:
        def one_by_one() -> None:
            torch.set_num_threads(threads)
            for depth in depths:
                for seed in seeds:
                    _train_one(data, depth, width, steps, seed)

        return one_by_one

    def two_threads(product: Callable[[], object]) -> Callable[[], None]:
        def run() -> None:
            torch.set_num_threads(2)
            product()

        return run

    sizes = sum(INPUTS * width + (depth - 2) * width * width + width * CLASSES for depth in depths)
    floors, scale = products(6 * sizes * BATCH * len(seeds) * steps)
    return Race(
        SUBJECT,
        what,
        2,
        {"initlib": ours, "a plain loop": loop(2), "a plain loop on one core": loop(1)},
        {"a plain loop": (target, None)},
        {name: two_threads(call) for name, call in floors.items()},
        scale,
    )


def _data() -> Dataset:
    x = init.normal_(torch.empty(IMAGES + 500, INPUTS), generator=0)
    y = (x @ init.normal_(torch.empty(INPUTS, CLASSES), generator=1)).argmax(1)
    return Dataset(
        "synthetic", x[:IMAGES], y[:IMAGES], x[IMAGES:], y[IMAGES:], CLASSES, 0.0, 1.0, {}
    )


def _train_one(data: Dataset, depth: int, width: int, steps: int, seed: int) -> float:
    """Train a network as anybody would, and return its accuracy."""
    model = mlp([INPUTS, *[width] * (depth - 1), CLASSES], "tanh")
    for layer in model[::2]:
        nn.init.xavier_normal_(layer.weight)
        nn.init.zeros_(layer.bias)
    optimizer = torch.optim.SGD(model.parameters(), lr=LR, momentum=MOMENTUM)
    for batch in batch_order(seed, IMAGES, BATCH, steps):
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(model(data.x_train[batch]), data.y_train[batch])
        loss.backward()
        optimizer.step()
        loss.item()
    with torch.no_grad():
        return (model(data.x_test).argmax(1) == data.y_test).float().mean().item()
