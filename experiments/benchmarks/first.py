"""First calls, each in a fresh process: seconds of CPU and wall against a limit and against scikit-learn's.

`python -m experiments.benchmarks.first [TEXT…] [--rounds 5] [--out DIR]`; TEXT: rows whose name contains it. Ours and
the peer's run in turn, and a row has the medians. It leaves first.json, first.md and first.png. A row holds where its
CPU time is within the limit: another process beside makes the wall time longer.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, NamedTuple

import matplotlib as mpl
import matplotlib.pyplot as plt
from matplotlib.figure import Figure

from experiments.benchmarks.first_worker import FITS, SOLVERS
from experiments.lab.style import DATA, FIT, STYLE, TRUTH

ROOT = Path(__file__).parents[2]
FIT_LIMITS = {"softmax": 0.8, "lasso": 1.0}
HEAD = (
    "| | at most | CPU | wall | scikit-learn, CPU | wall | ratio of CPU | holds |",
    "|---|---|---|---|---|---|---|---|",
)


class Row(NamedTuple):
    """A case of ours and of the peer; measured is the first call, the process, first - later, or programs."""

    name: str
    case: str
    measured: str
    limit: float | None = None  # seconds or programs; None: not slower than the peer
    peer: str | None = None


ROWS = (
    *(Row(f"first fit, {kind}", f"fit {kind}", "first", FIT_LIMITS.get(kind, 0.6), f"sklearn {kind}") for kind in FITS),
    *(Row(f"whole process, {kind}", f"fit {kind}", "process", None, f"sklearn {kind}") for kind in (*FITS, "network")),
    *(Row(f"{name}, Rosenbrock", f"solver {name}", "first", 0.8) for name in SOLVERS),
    *(Row(name, name, "first", 3.0) for name in ("separable", "rank deficient", "zero-weight class")),
    *(Row(f"{way} of {kind}", f"{way} {kind}", "first", 3.0) for kind in FITS for way in ("jit", "vmap")),
    Row("verify.derivatives, 20 parameters", "derivatives", "first", 1.5),
    Row("first epoch minus a later one, 784-128-10", "epoch", "first - later", 1.5),
    *(Row(f"100 different m, {kind}", f"growing {kind}", "programs", 8) for kind in FITS),
)


def run(case: str) -> dict[str, Any]:
    """Run the case once; raises RuntimeError with the end of its output where it fails."""
    command = [sys.executable, "-m", "experiments.benchmarks.first_worker", case]
    before, started = os.times(), time.perf_counter()
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    wall, after = time.perf_counter() - started, os.times()
    if done.returncode:
        raise RuntimeError(f"{case}: {done.stderr.strip().rpartition(chr(10))[2]}")
    cpu = after.children_user + after.children_system - before.children_user - before.children_system
    return parsed(done.stdout) | {"process": [cpu, wall]}


def parsed(output: str) -> dict[str, Any]:
    """The last line of a worker's output; earlier ones are warnings of libraries.

    >>> parsed('a warning\\n{"first": [1.0, 2.0], "later": null, "programs": 3}\\n')["first"]
    [1.0, 2.0]
    """
    return json.loads(output.strip().rpartition("\n")[2])


def figures(row: Row, found: list[dict[str, Any]]) -> tuple[float, float]:
    """The medians of CPU and wall seconds; of programs the number, twice."""
    if row.measured == "programs":
        count = statistics.median(each["programs"] for each in found)
        return count, count
    if row.measured == "first - later":
        pairs = [[a - b for a, b in zip(each["first"], each["later"], strict=True)] for each in found]
    else:
        pairs = [each[row.measured] for each in found]
    cpu, wall = (statistics.median(values) for values in zip(*pairs, strict=True))
    return cpu, wall


def record(row: Row, runs: dict[str, list[dict[str, Any]]], errors: dict[str, str]) -> dict[str, Any]:
    """A row's figures, and whether it holds: None where something that it needs is missing."""
    ours = figures(row, runs[row.case]) if runs.get(row.case) else None
    theirs = figures(row, runs[row.peer]) if row.peer and runs.get(row.peer) else None
    ratio = theirs[0] / ours[0] if ours and theirs else None
    holds = None if ours is None else ours[0] <= row.limit if row.limit else ratio and ratio >= 1
    named = {"name": row.name, "measured": row.measured, "limit": row.limit, "ours": ours, "peer": theirs}
    return named | {"ratio": ratio, "holds": holds, "error": errors.get(row.case)}


def measure(rows: list[Row], rounds: int) -> list[dict[str, Any]]:
    """Every case of the rows once in each round; the counts, which do not vary, in the first alone."""
    cases = list(dict.fromkeys(case for row in rows for case in (row.case, row.peer) if case))
    counted = {row.case for row in rows if row.measured == "programs"}
    runs: dict[str, list[dict[str, Any]]] = {case: [] for case in cases}
    errors: dict[str, str] = {}
    for i in range(rounds):
        for case in cases:
            if case in errors or (i and case in counted):
                continue
            try:
                runs[case].append(run(case))
            except RuntimeError as error:  # scikit-learn is not installed, or the case fails: a row without figures
                errors[case] = str(error)
    return [record(row, runs, errors) for row in rows]


def table(found: list[dict[str, Any]]) -> str:
    """The rows in Markdown."""
    return "\n".join((*HEAD, *map(_line, found)))


def _line(row: dict[str, Any]) -> str:
    if row["ours"] is None:
        return f"| {row['name']} | failed: {row['error']} | | | | | | no |"
    is_count = row["measured"] == "programs"
    limit = "" if row["limit"] is None else f"{row['limit']:g} programs" if is_count else f"{row['limit']:g} s"
    ours = [f"{row['ours'][0]:g} programs", ""] if is_count else [f"{value:.2f}" for value in row["ours"]]
    theirs = [f"{value:.2f}" for value in row["peer"]] if row["peer"] else ["", ""]
    ratio = f"{row['ratio']:.2f}" if row["ratio"] else ""
    holds = "" if row["holds"] is None else "yes" if row["holds"] else "no"
    return f"| {' | '.join([row['name'], limit, *ours, *theirs, ratio, holds])} |"


def chart(found: list[dict[str, Any]]) -> Figure:
    """CPU seconds of every row that has them: ours, scikit-learn's and the limit."""
    shown = [row for row in found if row["ours"] and row["measured"] != "programs"]
    figure, axes = plt.subplots(figsize=(9, 0.9 + 0.24 * len(shown)))
    for place, row in enumerate(shown):
        axes.plot(row["ours"][0], place, "o", color=FIT, label="jax_course")
        if row["peer"]:
            axes.plot(row["peer"][0], place, "o", color=DATA, markerfacecolor="white", label="scikit-learn")
        if row["limit"]:
            axes.plot(row["limit"], place, "|", color=TRUTH, markersize=11, markeredgewidth=2, label="limit")
    axes.set(xscale="log", xlabel="seconds of CPU", ylim=(len(shown) - 0.5, -0.5))
    axes.set_yticks(range(len(shown)), [row["name"] for row in shown])
    handles = dict(zip(*reversed(axes.get_legend_handles_labels()), strict=True))
    axes.legend(handles.values(), handles.keys(), loc="lower center", bbox_to_anchor=(0.5, 1), ncols=3)
    return figure


def save(found: list[dict[str, Any]], rounds: int, out: Path) -> None:
    """Numbers, table and chart."""
    out.mkdir(parents=True, exist_ok=True)
    (out / "first.json").write_text(json.dumps({"rounds": rounds, "rows": found}, indent=2) + "\n")
    (out / "first.md").write_text(table(found) + "\n")
    with mpl.rc_context(STYLE):
        figure = chart(found)
        figure.savefig(out / "first.png")
        plt.close(figure)


def main(arguments: list[str] | None = None) -> int:
    """Measure, print the table and leave the files."""
    parser = argparse.ArgumentParser(prog="python -m experiments.benchmarks.first", description="First calls.")
    parser.add_argument("names", nargs="*", metavar="TEXT", help="in the names of the rows; default: all rows")
    parser.add_argument("--rounds", type=int, default=5, help="default: 5")
    parser.add_argument("--out", type=Path, default=Path("results"), metavar="DIR", help="default: results/")
    options = parser.parse_args(arguments)
    rows = [row for row in ROWS if not options.names or any(text in row.name for text in options.names)]
    if not rows:
        raise SystemExit(f"no row has {', '.join(options.names)} in its name")
    found = measure(rows, options.rounds)
    print(table(found))
    save(found, options.rounds, options.out)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
