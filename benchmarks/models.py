"""Filling every parameter of a model, under the name that it has there."""

from collections.abc import Callable, Iterator

import torch
from torch import Tensor, nn

import initlib as init
from benchmarks.floors import arithmetic, writing
from benchmarks.rows import Race

SUBJECT = "models"
TORCH = torch.nn.init
KEY = init.stream_key(0)


def benchmarks(quick: bool) -> Iterator[Race]:
    """Yield the races over whole models."""
    yield _layers()
    resnet = _tensors(resnet50())
    yield _normal("ResNet-50, He", resnet, init.kaiming_normal_, TORCH.kaiming_normal_, (8.0, None))
    if quick:
        return
    gpt = _tensors(gpt2_small())
    yield _normal("GPT-2 small, normal", gpt, _gpt_normal_, lambda w: TORCH.normal_(w, std=0.02),
                  (9.0, 12.0))  # fmt: skip
    yield Race(
        SUBJECT,
        "GPT-2 small, truncated at 2 std",
        2,
        {
            "initlib": lambda: _loop(gpt, _gpt_truncated_),
            "torch": lambda: _torch_loop(
                gpt, lambda w: TORCH.trunc_normal_(w, std=0.02, a=-0.04, b=0.04)
            ),
        },
        {"torch": (50.0, 90.0)},
        _floors(gpt, "truncated"),
    )


def _gpt_normal_(w: Tensor, generator: bytes) -> Tensor:
    return init.normal_(w, 0.0, 0.02, generator)


def _gpt_truncated_(w: Tensor, generator: bytes) -> Tensor:
    return init.trunc_normal_(w, 0.0, 0.02, -2, 2, generator, bounds="std")


def _normal(
    what: str, tensors: dict[str, Tensor], ours: Callable, theirs: Callable, target: tuple
) -> Race:
    candidates = {
        "initlib": lambda: _loop(tensors, ours),
        "torch": lambda: _torch_loop(tensors, theirs),
    }
    return Race(SUBJECT, what, 2, candidates, {"torch": target}, _floors(tensors, "normal"))


def _layers() -> Race:
    model = nn.Sequential(*(nn.Linear(64, 64, bias=False) for _ in range(200)))
    tensors = {name: p.detach() for name, p in model.named_parameters()}
    return Race(
        SUBJECT,
        "200 layers of 64 x 64, He",
        2,
        {
            "initlib": lambda: _loop(tensors, init.kaiming_normal_),
            "torch": lambda: _torch_loop(tensors, TORCH.kaiming_normal_),
        },
        {"torch": (4.5, None)},
        writing(*tensors.values()) | arithmetic("normal", 200 * 64 * 64, 1),
        note="Python between the fills: the limit has none",
    )


def _loop(tensors: dict[str, Tensor], fill: Callable) -> None:
    """Fill matrices, each from the stream of its name; biases and norms are one write."""
    for name, w in tensors.items():
        if w.ndim > 1:
            fill(w, generator=init.stream_key(KEY, name))
        else:
            w.zero_()


def _torch_loop(tensors: dict[str, Tensor], fill: Callable) -> None:
    for w in tensors.values():
        if w.ndim > 1:
            fill(w)
        else:
            w.zero_()


def _floors(tensors: dict[str, Tensor], law: str) -> dict:
    count = sum(w.numel() for w in tensors.values())
    return writing(*tensors.values(), threads=2) | arithmetic(law, count, 2)


def _tensors(shapes: dict[str, tuple[int, ...]]) -> dict[str, Tensor]:
    return {name: torch.zeros(shape) for name, shape in shapes.items()}


def gpt2_small() -> dict[str, tuple[int, ...]]:
    """Return the shapes of GPT-2 small, 124.4 million values."""
    shapes: dict[str, tuple[int, ...]] = {"wte": (50257, 768), "wpe": (1024, 768)}
    for i in range(12):
        block = {
            "attn.c_attn": (2304, 768),
            "attn.c_proj": (768, 768),
            "mlp.c_fc": (3072, 768),
            "mlp.c_proj": (768, 3072),
        }
        for name, shape in block.items():
            shapes |= {f"h.{i}.{name}.weight": shape, f"h.{i}.{name}.bias": shape[:1]}
        for name in ("ln_1.weight", "ln_1.bias", "ln_2.weight", "ln_2.bias"):
            shapes[f"h.{i}.{name}"] = (768,)
    return shapes | {"ln_f.weight": (768,), "ln_f.bias": (768,)}


def resnet50() -> dict[str, tuple[int, ...]]:
    """Return the shapes of ResNet-50, 25.6 million values."""
    shapes: dict[str, tuple[int, ...]] = {"conv1": (64, 3, 7, 7), "bn1": (64,)}
    channels = 64
    for stage, (blocks, width) in enumerate(((3, 64), (4, 128), (6, 256), (3, 512))):
        for block in range(blocks):
            name = f"layer{stage + 1}.{block}"
            shapes |= {
                f"{name}.conv1": (width, channels, 1, 1),
                f"{name}.conv2": (width, width, 3, 3),
                f"{name}.conv3": (4 * width, width, 1, 1),
                f"{name}.bn1": (width,),
                f"{name}.bn2": (width,),
                f"{name}.bn3": (4 * width,),
            }
            if block == 0:
                shapes[f"{name}.downsample"] = (4 * width, channels, 1, 1)
            channels = 4 * width
    return shapes | {"fc.weight": (1000, 2048), "fc.bias": (1000,)}
