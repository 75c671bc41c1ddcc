"""What looks at data: LSUV against the package of its authors, and the probe against hooks."""

import itertools
import math
from collections.abc import Callable, Iterator

import torch
from torch import Tensor, nn

import initlib as init
from benchmarks.peers import peer
from benchmarks.rows import Gauge, Race
from benchmarks.timing import interleave

SUBJECT = "signals"


def benchmarks(quick: bool) -> Iterator[Race | Gauge]:
    """Yield the races of LSUV and the gauges of the probe."""
    for depth, target in ((20, 18.0),) if quick else ((20, 18.0), (50, 50.0)):
        yield from _lsuv(f"MLP, {depth} layers of 256", mlp(depth, 256), (512, 256), target, 1.8)
        image = (64, 32, 16, 16) if depth == 20 else (32, 32, 16, 16)
        yield from _lsuv(f"CNN, {depth} layers of 32", cnn(depth, 32), image, target, 1.4)
    for depth, width, at_most in ((20, 128, 80), (50, 256, 50), (20, 512, 40))[: 1 if quick else 3]:
        yield from _probe(depth, width, at_most)


def mlp(depth: int, width: int) -> nn.Sequential:
    """Return linear layers with ReLU between them, orthonormal at first."""
    layers = itertools.chain(*((nn.Linear(width, width), nn.ReLU()) for _ in range(depth)))
    return _orthonormal(nn.Sequential(*layers))


def cnn(depth: int, channels: int) -> nn.Sequential:
    """Return 3 x 3 convolutions with ReLU between them, orthonormal at first."""
    layers = ((nn.Conv2d(channels, channels, 3, padding=1), nn.ReLU()) for _ in range(depth))
    return _orthonormal(nn.Sequential(*itertools.chain(*layers)))


def _orthonormal(model: nn.Module) -> nn.Module:
    init.initialize(model, "orthogonal")
    return model


def _lsuv(
    what: str, model: nn.Module, shape: tuple[int, ...], target: float, at_most: float
) -> Iterator[Race | Gauge]:
    x = init.normal_(torch.empty(shape), generator=0)
    start = {name: value.clone() for name, value in model.state_dict().items()}

    def again() -> None:
        model.load_state_dict(start)

    def ours() -> None:
        again()
        init.lsuv_(model, x, start=None)

    def forward() -> None:
        again()
        with torch.no_grad():
            model(x)

    package = peer("lsuv")
    if package is not None:

        def theirs() -> None:
            again()
            package.lsuv_with_singlebatch(model, x, std_tol=1e-5, do_orthonorm=False, verbose=False)

        candidates = {"initlib": ours, "lsuv": theirs}
        floors = {"a plain forward pass": forward}
        yield Race(SUBJECT, f"LSUV, {what}", 2, candidates, {"lsuv": (target, None)}, floors)

    def cost(rounds: int) -> list[float]:
        timing = interleave({"initlib": ours, "forward": forward}, 2 * rounds)
        mine, plain = timing.seconds.values()
        return [m / p for m, p in zip(mine, plain, strict=True)]

    yield Gauge(SUBJECT, f"LSUV, {what}", 2, "one plain forward pass", "forward passes", cost,
                at_most, limit=1.0, limit_is="a plain forward pass")  # fmt: skip


def _probe(depth: int, width: int, at_most: float) -> Iterator[Gauge]:
    batch = 512 if width == 512 else 128
    model = _orthonormal(mlp(depth, width))
    x = init.normal_(torch.empty(batch, width), generator=0)

    def plain() -> None:
        model.zero_grad(set_to_none=True)
        model(x).square().mean().backward()

    def probed() -> None:
        with init.Probe(model) as watch:
            plain()
        watch.signals()

    def hooked() -> None:
        with _hooks(model):
            plain()
        for p in model.parameters():
            _five(p.grad)

    def measure(call: Callable[[], None]) -> Callable[[int], list[float]]:
        def percent(rounds: int) -> list[float]:
            timing = interleave({"with": call, "plain": plain}, 2 * rounds)
            return [100 * (a / b - 1) for a, b in zip(*timing.seconds.values(), strict=True)]

        return percent

    what = f"{depth} layers of {width}, batch {batch}"
    peer_is = "one forward and backward pass"
    yield Gauge(SUBJECT, f"probe, {what}", 2, peer_is, "% more time", measure(probed), at_most)
    yield Gauge(
        SUBJECT, f"hooks with .item(), {what}", 2, peer_is, "% more time", measure(hooked),
        note="the usual way, for comparison",
    )  # fmt: skip


class _hooks:
    """Hooks on every layer that take five statistics of activations and gradients as numbers."""

    def __init__(self, model: nn.Module) -> None:
        self._layers = [layer for layer in model.modules() if not any(layer.children())]

    def __enter__(self) -> None:
        self._handles = [
            handle
            for layer in self._layers
            for handle in (
                layer.register_forward_hook(lambda _, __, output: _watch(output)),
                layer.register_full_backward_hook(lambda _, __, grads: _watch(grads[0])),
            )
        ]

    def __exit__(self, *_: object) -> None:
        for handle in self._handles:
            handle.remove()


def _watch(signal: Tensor) -> None:
    _five(signal.detach())


def _five(signal: Tensor) -> tuple[float, ...]:
    mean, std = signal.mean().item(), signal.std().item()
    zeros = (signal == 0).float().mean().item()
    largest, norm = signal.abs().max().item(), signal.norm().item()
    return mean, std, zeros, largest, norm / math.sqrt(signal.numel())
