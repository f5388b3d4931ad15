"""Slips planted in the lines of the course's derivations: is each found at its line, and named?

`python -m experiments.benchmarks.derivations [NAME…] [--seeds N…] [--out DIR]` plants every slip of
`jax_course.derivations.mutants` in every line of every derivation that can have it, at other values of the arguments
for each seed, and checks the right derivations at the same values. derivations.json goes to DIR.
"""

import argparse
import json
import time
from collections import Counter, defaultdict
from pathlib import Path
from typing import NamedTuple

import jax
from rich.console import Console
from rich.table import Table

from jax_course.derivations import DERIVATIONS, Derivation, find
from jax_course.derivations.mutants import Mutant, mutants, redrawn

FRESH = (3001, 3002, 3003)  # seeds of the table in docs/derivations.md; the diagnosis was made on others


class Outcome(NamedTuple):
    """found: the planted line is called wrong, and no other. named: by a kind that a fair reader may call it."""

    found: bool
    named: bool
    words: str  # what was said, where it was not found or not named


def outcome(mutant: Mutant) -> Outcome:
    """What the check of a derivation says of the slip in it."""
    report = mutant.derivation.check()
    wrong, first = [step.number for step in report.steps if step.verdict == "wrong"], report.first_wrong
    found = wrong == [mutant.number]
    kinds = [finding.kind for finding in first.findings] if first else []
    named = found and kinds[:1] != [] and kinds[0] in mutant.planted.kinds
    where = f"{mutant.derivation.name}, line {mutant.number}, {mutant.planted.name}"
    said = first.findings[0].sentence if first and first.findings else "nothing"
    words = "" if named else f"{where}: lines {wrong} wrong; {', '.join(kind.name for kind in kinds[:1])} {said}"
    return Outcome(found, named, words)


def measure(derivations: tuple[Derivation, ...], seeds: tuple[int, ...]) -> dict:
    """The counts by slip, the right lines and how many of them were not called right, and what was missed."""
    slips: dict[str, Counter] = defaultdict(Counter)
    right: Counter = Counter()
    missed = []
    for seed in seeds:
        for derivation in derivations:
            drawn = redrawn(derivation, seed)
            steps = drawn.check().steps[1:]
            right.update(
                {"lines": len(steps)} | {v: sum(step.verdict == v for step in steps) for v in ("wrong", "undecided")}
            )
            if any(step.verdict != "follows" for step in steps):
                missed.append(f"seed {seed}: {derivation.name} is right: {[step.verdict for step in steps]}")
            for mutant in mutants(drawn, seed):
                found, named, words = outcome(mutant)
                slips[mutant.planted.name].update({"planted": 1, "found": int(found), "named": int(named)})
                missed += [f"seed {seed}: {words}"] if words else []
        jax.clear_caches()
    return {"slips": slips, "right": right, "missed": missed}


def main(arguments: list[str] | None = None) -> int:
    """Measure, print the table, and leave derivations.json; 1 where a slip was not found or a right line accused."""
    parser = argparse.ArgumentParser(
        prog="python -m experiments.benchmarks.derivations", description="Slips in lines of derivations."
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help="of a derivation; default: all")
    parser.add_argument("--seeds", nargs="+", type=int, default=FRESH, metavar="N", help="default: those of the docs")
    parser.add_argument("--out", type=Path, default=Path("results"), metavar="DIR", help="default: results/")
    options = parser.parse_args(arguments)
    options.out.mkdir(parents=True, exist_ok=True)
    started = time.perf_counter()
    derivations = tuple(map(find, options.names)) or DERIVATIONS
    measured = measure(derivations, tuple(options.seeds))
    (options.out / "derivations.json").write_text(json.dumps(measured, indent=2, ensure_ascii=False) + "\n")
    total: Counter = sum(measured["slips"].values(), Counter())
    table = Table("slip", "planted", "found at the line", "named", box=None)
    for name, row in [*measured["slips"].items(), ("all", total)]:
        table.add_row(name, str(row["planted"]), str(row["found"]), f"{row['named']} ({_share(row):.1%})")
    console, right = Console(width=120), measured["right"]
    summary = f"right lines: {right['lines']}, called wrong {right['wrong']}, undecided {right['undecided']}"
    console.print(*measured["missed"], sep="\n", highlight=False, soft_wrap=True)
    console.print(table)
    console.print(summary)
    console.print(f"{time.perf_counter() - started:.0f} s; {options.out / 'derivations.json'}", highlight=False)
    return int(total["found"] < total["planted"] or right["wrong"] > 0)


def _share(row: Counter) -> float:
    return row["named"] / row["planted"] if row["planted"] else 0.0


if __name__ == "__main__":
    raise SystemExit(main())
