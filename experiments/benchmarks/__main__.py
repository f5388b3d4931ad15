"""`python -m experiments.benchmarks [NAME…]`: ours against the libraries people have, one workload after another.

NAME: a number as in W4, or part of a title. Everybody has two threads and float64 unless a race says otherwise. Ours
runs on the device that JAX has (`JAX_PLATFORMS`), the peers on the CPU. Results go to DIR: benchmarks.json and the
charts. The exit code is 1 where ours fails or is not accurate.
"""

import argparse
import json
import os
import sys
from pathlib import Path

from rich.console import Console
from threadpoolctl import threadpool_limits

from experiments.benchmarks import limits, records, tables
from experiments.benchmarks.race import FULL, QUICK, hold
from experiments.benchmarks.workloads import WORKLOADS

THREADS = 2


def chosen(names: list[str]) -> list[str]:
    """The workloads' numbers; all where no name is given.

    >>> chosen(["w1", "logistic"])
    ['W1', 'W4']
    """
    found = [key for key in WORKLOADS if not names or any(_is_named(key, name) for name in names)]
    strangers = [name for name in names if not any(_is_named(key, name) for key in WORKLOADS)]
    if strangers:
        raise SystemExit(f"no workload is called {', '.join(strangers)}; there are {', '.join(WORKLOADS)}")
    return found


def _is_named(key: str, name: str) -> bool:
    return name.upper() == key if name.upper() in WORKLOADS else name.lower() in WORKLOADS[key].title.lower()


def run(names: list[str], *, quick: bool, console: Console) -> records.Record:
    """Every race of these workloads, printed as it ends."""
    machine = records.machine(THREADS)
    console.print(f"Ours on {machine['device']}, the peers on the CPU; {THREADS} threads each.")
    found: list[records.Record] = []
    can = limits.measured(quick)
    rates = ", ".join(f"{rate / 1e9:.0f} G/s in {dtype} products" for dtype, rate in can.products.items())
    console.print(f"Measured: {can.read / 1e9:.0f} GB/s read, {rates}.\n")
    for name in names:
        for race in WORKLOADS[name].races(quick):
            found.append(records.of_race(name, race, hold(race, QUICK if quick else FULL), can))
            console.print(tables.of_race(found[-1]), "")
    summary = records.summary(found)
    console.print(tables.closing(summary), highlight=False)
    return {"quick": quick, "machine": machine, "limits": can._asdict(), "races": found, "summary": summary}


def main(arguments: list[str] | None = None) -> int:
    """Measure, print, and leave the numbers and the charts."""
    parser = argparse.ArgumentParser(prog="python -m experiments.benchmarks", description="Ours against the others.")
    parser.add_argument(
        "names", nargs="*", metavar="NAME", help=f"of a workload ({', '.join(WORKLOADS)}); default: all"
    )
    parser.add_argument("--quick", action="store_true", help="small sizes and few rounds: that it runs, not how fast")
    parser.add_argument("--json", type=Path, metavar="FILE", help="default: benchmarks.json in DIR")
    parser.add_argument("--out", type=Path, default=Path("results"), metavar="DIR", help="default: results/")
    options = parser.parse_args(arguments)
    options.out.mkdir(parents=True, exist_ok=True)
    console = Console(width=None if sys.stdout.isatty() else 150)
    with threadpool_limits(THREADS):
        record = run(chosen(options.names), quick=options.quick, console=console)
    text = json.dumps(record, indent=2, ensure_ascii=False) + "\n"
    (options.json or options.out / "benchmarks.json").write_text(text)
    return 1 if record["summary"]["ours_wrong"] else 0


def two_cores() -> None:
    """JAX takes as many threads as the process has cores: so the process has two, where that can be told."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:THREADS])


if __name__ == "__main__":
    two_cores()
    raise SystemExit(main())
