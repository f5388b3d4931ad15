"""`python -m experiments.benchmarks [NAME…]`: ours against the libraries people have, one workload after another.

NAME: a number as in W4, or part of a title. Everybody has two threads, and float64 unless a race says otherwise. Ours
runs on the device that JAX has (`JAX_PLATFORMS`), the peers on the CPU. benchmarks.json and the charts go to DIR. The
exit code is 1 where ours fails or is not accurate. All of it takes about twenty minutes on two cores.
"""

import argparse
import json
import os
import sys
from pathlib import Path

from rich.console import Console
from threadpoolctl import threadpool_limits

from experiments.benchmarks import charts, limits, records, scaling, tables
from experiments.benchmarks.limits import Limits
from experiments.benchmarks.race import FULL, QUICK, Terms, hold
from experiments.benchmarks.records import Record
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


def races(names: list[str], only: str, terms: Terms, can: Limits, console: Console) -> list[Record]:
    """Every race of these workloads whose name contains the text, printed as it ends."""
    found: list[Record] = []
    for name in names:
        for race in WORKLOADS[name].races(terms is QUICK):
            if only in race.name:
                found.append(records.of_race(name, race, hold(race, terms), can))
                console.print(tables.of_race(found[-1]), "")
    console.print(tables.closing(records.summary(found)), highlight=False)
    return found


def scalings(names: list[str], *, quick: bool, console: Console) -> dict[str, Record]:
    """How the time grows in these workloads."""
    found = {}
    for name in names:
        title, scales = WORKLOADS[name].title, WORKLOADS[name].scaling
        if scales is not None:
            console.print(f"{title}: how the time grows")
            found[name] = {"title": title} | scaling.of(scales, quick=quick)
    return found


def main(arguments: list[str] | None = None) -> int:
    """Measure, print, and leave the numbers and the charts."""
    parser = argparse.ArgumentParser(prog="python -m experiments.benchmarks", description="Ours against the others.")
    parser.add_argument(
        "names", nargs="*", metavar="NAME", help=f"of a workload ({', '.join(WORKLOADS)}); default: all"
    )
    parser.add_argument("--quick", action="store_true", help="small sizes and few rounds: that it runs, not how fast")
    parser.add_argument("--only", default="", metavar="TEXT", help="races with this in their name")
    parser.add_argument("--scaling", action="store_true", help="instead of the races: time against rows and features")
    parser.add_argument("--json", type=Path, metavar="FILE", help="default: benchmarks.json, or scaling.json, in DIR")
    parser.add_argument("--out", type=Path, default=Path("results"), metavar="DIR", help="default: results/")
    options = parser.parse_args(arguments)
    names = chosen(options.names)
    options.out.mkdir(parents=True, exist_ok=True)
    console = Console(width=None if sys.stdout.isatty() else 160)
    with threadpool_limits(THREADS):
        machine, can = records.machine(THREADS), limits.measured(options.quick)
        console.print(tables.heading(machine, can), "")
        record: Record = {
            "quick": options.quick,
            "machine": machine,
            "limits": can._asdict(),
            "races": [],
            "scaling": {},
        }
        if options.scaling:
            record["scaling"] = scalings(names, quick=options.quick, console=console)
        else:
            record["races"] = races(names, options.only, QUICK if options.quick else FULL, can, console)
    record["summary"] = records.summary(record["races"])
    path = options.json or options.out / ("scaling.json" if options.scaling else "benchmarks.json")
    path.write_text(json.dumps(record, indent=2, ensure_ascii=False) + "\n")
    charts.save(record, options.out)
    return 1 if record["summary"]["ours_wrong"] else 0


def two_cores() -> None:
    """JAX takes as many threads as the process has cores: so the process has two, where that can be told."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:THREADS])


if __name__ == "__main__":
    two_cores()
    raise SystemExit(main())
