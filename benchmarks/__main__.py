"""Time initlib against torch and jax: python -m benchmarks [--quick]. Writes results.json."""

import argparse
import json
import os
import platform
from importlib.metadata import version
from pathlib import Path

import torch
from rich.console import Console
from rich.table import Table

from benchmarks.cases import cases
from benchmarks.timing import interleave
from initlib import compiled

RESULTS = Path(__file__).with_name("results.json")


def main() -> None:
    """Run the cases one by one and show each as it is measured."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="leave the largest tensors out")
    parser.add_argument("--rounds", type=int, default=5, help="interleaved rounds (default 5)")
    arguments = parser.parse_args()
    console = Console()
    rows = []
    for case in cases(arguments.quick):
        torch.set_num_threads(case.threads)
        timing = interleave(case.candidates, arguments.rounds)
        for peer in [name for name in case.candidates if name != "initlib"]:
            median, low, high = timing.ratio(peer)
            ours = min(timing.seconds["initlib"])
            rows.append(
                {"case": case.name, "shape": case.shape, "threads": case.threads, "peer": peer}
                | {"ratio": median, "quartiles": [low, high], "seconds": ours}
            )
            shape = " x ".join(map(str, case.shape))
            console.print(
                f"{case.name:22} {shape:14} {case.threads} threads  {median:6.1f}x {peer:5} "
                f"[{low:.1f}, {high:.1f}]"
            )
    machine = {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "python": platform.python_version(),
    }
    machine |= {name: version(name) for name in ("torch", "numpy", "jax")}
    record = {"machine": machine, "compiled": compiled.available, "rows": rows}
    RESULTS.write_text(json.dumps(record, indent=1) + "\n")
    console.print(_table(rows))


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    names = (
        [line for line in info.read_text().splitlines() if "model name" in line]
        if info.exists()
        else []
    )
    return names[0].split(":")[1].strip() if names else platform.processor()


def _table(rows: list[dict]) -> Table:
    table = Table("what", "shape", "threads", "peer", "times faster", "quartiles", box=None)
    for row in rows:
        low, high = row["quartiles"]
        shape = " x ".join(map(str, row["shape"]))
        cells = (row["case"], shape, str(row["threads"]), row["peer"])
        table.add_row(*cells, f"{row['ratio']:.1f}", f"{low:.1f} - {high:.1f}")
    return table


if __name__ == "__main__":
    main()
