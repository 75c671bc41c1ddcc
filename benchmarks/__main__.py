"""Time initlib against its peers, as ratios: python -m benchmarks [--quick] [--only SUBJECT ...].

Writes results.json and speed.png beside this file, unless it is quick."""

import argparse
import os
import platform
import time
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import torch
from rich.console import Console

from benchmarks import (
    fills,
    matrices,
    memory,
    models,
    notebooks,
    peers,
    quality,
    signals,
    theory,
    training,
)
from benchmarks.report import line, table, write
from initlib import compiled

FOLDER = Path(__file__).parent
SUBJECTS = (fills, models, matrices, signals, training, theory, notebooks, quality, memory)


def main() -> None:
    """Run the benchmarks one by one and show each row as it is measured."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="small cases, and nothing written")
    parser.add_argument("--rounds", type=int, default=11, help="interleaved rounds (default 11)")
    names = [module.SUBJECT for module in SUBJECTS]
    parser.add_argument("--only", nargs="+", choices=names, help="some subjects")
    parser.add_argument("--minutes", type=float, default=60, help="start nothing after that long")
    arguments = parser.parse_args()
    console, start = Console(width=200), time.perf_counter()
    rows = []
    for module in SUBJECTS:
        if arguments.only and module.SUBJECT not in arguments.only:
            continue
        for benchmark in module.benchmarks(arguments.quick):
            if time.perf_counter() - start > 60 * arguments.minutes:
                console.print(f"{module.SUBJECT}: the rest is left out, time is over")
                break
            torch.set_num_threads(getattr(benchmark, "threads", 2))
            for row in benchmark.rows(arguments.rounds):
                rows.append(row)
                console.print(line(row), highlight=False, markup=False)
    took = time.perf_counter() - start
    console.print(table(rows))
    for name, reason in peers.missing.items():
        console.print(f"{name} is not there, and so are its rows: {reason}", markup=False)
    targets = [row.met for row in rows if row.met is not None]
    console.print(f"{sum(targets)} of {len(targets)} targets met; {took / 60:.1f} minutes")
    if rows and not arguments.quick:
        write(FOLDER, {"machine": _machine(), "compiled": compiled.available}, rows)


def _machine() -> dict[str, object]:
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    names = [line.split(":")[1].strip() for line in lines if line.startswith("model name")]
    machine = {
        "processor": names[0] if names else platform.processor(),
        "cores": os.cpu_count(),
        "python": platform.python_version(),
    }
    for name in ("numpy", *peers.NAMES):
        try:
            machine[name] = version(name)
        except PackageNotFoundError:
            machine[name] = None
    return machine


if __name__ == "__main__":
    main()
