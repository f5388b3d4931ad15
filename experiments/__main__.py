"""`python -m experiments`: run the experiments of the course, all or by name."""

import argparse
import os
import sys
import tempfile
from pathlib import Path

import jax

from experiments import EXPERIMENTS

try:
    from rich.console import Console
    from rich.markup import escape
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
    from rich.table import Table

    from experiments.book.build import BookError, build
    from experiments.runner import Outcome, begin, run, write_index
except ModuleNotFoundError as error:
    sys.exit(f"{error.name} is not installed; the experiments need an extra: pip install -e '.[experiments]'")


def main(arguments: list[str] | None = None) -> int:
    """Run, print what was fitted and proven, and return 0, or 1 where an experiment failed or a proof does not hold."""
    parser = argparse.ArgumentParser(prog="python -m experiments", description="Run the experiments of the course.")
    parser.add_argument("names", nargs="*", metavar="NAME", help="which to run; all where none is named")
    parser.add_argument("--list", action="store_true", help="list the names and stop")
    parser.add_argument("--quick", action="store_true", help="smaller sizes, for a first look and for the tests")
    parser.add_argument("--out", type=Path, default=Path("results"), metavar="DIR", help="default: results/")
    parser.add_argument("--jobs", type=int, metavar="N", help="how many at once; default: 1, with --quick one per core")
    options = parser.parse_args(arguments)
    if unknown := [name for name in options.names if name not in EXPERIMENTS]:
        parser.error(f"no experiment {', '.join(unknown)}; there are {', '.join(EXPERIMENTS)}")
    if options.jobs is not None and options.jobs < 1:
        parser.error(f"--jobs must be at least 1; got {options.jobs}")
    if options.list:
        print("\n".join(EXPERIMENTS))
        return 0
    try:
        options.out.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=options.out).close()
    except OSError as error:
        parser.error(f"cannot write to {options.out}: {error.strerror}")

    begin(options.quick)
    console = Console()
    names = options.names or EXPERIMENTS
    jobs = min(options.jobs or _jobs(options.quick), len(names))
    outcomes: list[Outcome] = []
    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn()
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task(names[0], total=len(names))
        for outcome in run(names, options.out, quick=options.quick, jobs=jobs):
            outcomes.append(outcome)
            following = names[len(outcomes)] if len(outcomes) < len(names) else "done"
            progress.update(task, advance=1, description=following)
    _report(console, outcomes)
    page = write_index(outcomes, options.out, quick=options.quick)
    console.print(f"\nFigures, numbers, and the page that shows them: {page}", soft_wrap=True, highlight=False)
    if options.names:
        return 0 if all(outcome.ok for outcome in outcomes) else 1
    try:
        book = build(outcomes, options.out, quick=options.quick)
    except BookError as error:
        console.print(f"\n[bold red]{escape(str(error))}[/]")
        return 1
    console.print(f"The lab book: {book}", soft_wrap=True, highlight=False)
    return 0 if all(outcome.ok for outcome in outcomes) else 1


def _jobs(quick: bool) -> int:
    """One at a time where times are measured in earnest, and where processes would have to share an accelerator."""
    return os.cpu_count() or 1 if quick and jax.default_backend() == "cpu" else 1


def _report(console: Console, outcomes: list[Outcome]) -> None:
    fits = Table("fitted", "data", "result", "status", "steps", title="Fitted", title_justify="left", box=None)
    for outcome in outcomes:
        for fit in outcome.fits:
            fits.add_row(fit.model, fit.data, fit.score, fit.status, str(fit.steps))
    proofs = Table("claim", "in", "error", "", title="Proven", title_justify="left", box=None)
    for outcome in outcomes:
        for proof in outcome.proofs:
            verdict = "[green]holds[/]" if proof.holds else "[bold red]does not hold[/]"
            proofs.add_row(proof.of, outcome.name, f"{proof.error:.1e}", verdict)
    for table in (fits, proofs):
        console.print()
        console.print(table)
    for outcome in outcomes:
        if outcome.error:
            console.print(f"\n[bold red]{outcome.name} failed[/]")
            console.print(outcome.error, markup=False, highlight=False)


if __name__ == "__main__":
    sys.exit(main())
