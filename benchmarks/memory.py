"""Peak memory above what is there before, each call in a process of its own."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import torch

import initlib as init
from benchmarks.rows import Gauge

SUBJECT = "memory"
MIB = 2**20


def benchmarks(quick: bool) -> Iterator[Gauge]:
    """Yield a gauge for each call, where the system tells the peak."""
    if not Path("/proc/self/clear_refs").exists():
        return
    n = 2048 if quick else 4096
    for name in ("float32", "bfloat16", "float32, transposed", "float32, truncated to (2, 4)"):

        def fill(rounds: int, name: str = name) -> list[float]:
            return [_peak("fill", name, str(n)) / MIB]

        yield Gauge(SUBJECT, f"a fill, {n} x {n} {name}", 2, "", "MiB more", fill, 8.0)

    def orthogonal(rounds: int) -> list[float]:
        return [_peak("orthogonal", "", str(n)) / (4 * n * n)]

    yield Gauge(SUBJECT, f"orthogonal, {n} x {n}", 2, "the tensor", "tensors more", orthogonal, 2.0)

    weights = 20 * 257 * 256 * 4
    for kept, what in ((0, "LSUV"), (weights, "LSUV but for its copy of the weights")):

        def lsuv(rounds: int, kept: int = kept) -> list[float]:
            return [(_peak("lsuv", "", str(n)) - kept) / _peak("forward", "", str(n))]

        yield Gauge(
            SUBJECT,
            f"{what}, 20 layers of 256, batch {n}",
            2,
            "a plain forward pass",
            "times its memory",
            lsuv,
            1.1,
            note="the copy, for the case that it fails, is the size of the weights",
        )


def _peak(call: str, kind: str, size: str) -> int:
    command = [sys.executable, "-m", "benchmarks.memory", call, kind, size]
    # What is freed goes back to the system at once, so that the peak is what was in use.
    malloc = {"MALLOC_MMAP_THRESHOLD_": "65536", "MALLOC_TRIM_THRESHOLD_": "65536"}
    environment = {**os.environ, **malloc}
    result = subprocess.run(command, check=True, capture_output=True, text=True, env=environment)
    return json.loads(result.stdout)


def extra(call: Callable[[], object]) -> int:
    """Return by how many bytes a call raises the memory of this process at its peak."""
    Path("/proc/self/clear_refs").write_text("5")  # the peak is now what is in use
    before = _status("VmRSS")
    call()
    return _status("VmHWM") - before


def _status(name: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    [line] = [line for line in lines if line.startswith(name)]
    return int(line.split()[1]) * 1024


def _calls(kind: str, n: int) -> dict[str, Callable[[], object]]:
    """Return what can be measured at a size, with its tensors in memory."""
    w = torch.ones(n, n, dtype=getattr(torch, kind.split(",")[0] or "float32"))
    w = w.T if "transposed" in kind else w
    a, b = (2, 4) if "truncated" in kind else (-100, 100)
    model = torch.nn.Sequential()
    for _ in range(20):
        model.extend([torch.nn.Linear(256, 256), torch.nn.ReLU()])
    init.initialize(model, "orthogonal")
    x = torch.ones(n, 256)
    init.normal_(x, generator=0)

    def forward() -> None:
        with torch.no_grad():
            model(x)

    return {
        "fill": lambda: (
            init.trunc_normal_(w, a=a, b=b, generator=0) if a > 0 else init.normal_(w, generator=0)
        ),
        "orthogonal": lambda: init.orthogonal_(w, generator=0),
        "lsuv": lambda: init.lsuv_(model, x, start=None),
        "forward": forward,
    }


if __name__ == "__main__":
    torch.set_num_threads(2)
    call, kind, size = sys.argv[1:]
    _calls(kind, 64)[call]()  # load what is loaded once
    print(extra(_calls(kind, int(size))[call]))
