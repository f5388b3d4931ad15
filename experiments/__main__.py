"""`python -m experiments`: run the experiments of the course, all or by name."""

import argparse
import os
import sys
import tempfile
from collections.abc import Iterable
from functools import partial
from pathlib import Path

import jax

from experiments import EXPERIMENTS, TIMED

try:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    from experiments.book.build import BookError, build
    from experiments.book.ledger import CHAPTERS, checked_chapter
    from experiments.book.row import Checks
    from experiments.lab.pages import write_experiments
    from experiments.lab.reference import MISSING, write_reference
    from experiments.lab.runner import Outcome, begin, run, workers
    from experiments.lab.summary import summary, write_tables
except ModuleNotFoundError as error:
    sys.exit(f"{error.name} is not installed; the experiments need an extra: pip install -e '.[experiments]'")


def main(arguments: list[str] | None = None) -> int:
    """Run, print what was checked and fitted; return 0, or 1 where an experiment failed or a check does not hold."""
    options = _parsed(arguments)
    if options.list:
        print("\n".join(EXPERIMENTS))
        return 0
    begin(options.quick)
    console = Console()
    reference = {} if options.names else write_reference(options.out, quick=options.quick)
    outcomes, checks = _run(options, console)
    book, problem = None, ""
    if not options.names:
        try:
            book = build(outcomes, checks, options.out, quick=options.quick, reference=reference)
        except BookError as error:
            problem = str(error)
    has = {"has_book": book is not None, "has_reference": bool(reference)}
    page = write_experiments(outcomes, options.out, quick=options.quick, **has)
    tables = options.out / "report.txt"
    write_tables(outcomes, checks, tables)
    console.print(summary(outcomes, checks, problem), soft_wrap=True, highlight=False)
    console.print(f"All checks and fits: {tables}; figures and numbers: {page}", soft_wrap=True, highlight=False)
    if book:
        console.print(f"The lab book: {book}", soft_wrap=True, highlight=False)
    if not options.names:
        found = f"The API reference: {options.out / 'reference' / 'index.html'}" if reference else MISSING
        console.print(found, soft_wrap=True, highlight=False, markup=False)
    return 0 if not problem and all(outcome.ok for outcome in outcomes) else 1


def _parsed(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m experiments", description="Run the experiments of the course.")
    parser.add_argument("names", nargs="*", metavar="NAME", help="which to run; all where none is named")
    parser.add_argument("--list", action="store_true", help="list the names and stop")
    parser.add_argument("--quick", action="store_true", help="smaller sizes, for a first look and for the tests")
    parser.add_argument("--out", type=Path, default=Path("results"), metavar="DIR", help="default: results/")
    parser.add_argument("--jobs", type=int, metavar="N", help="how many at once; default: one per core")
    options = parser.parse_args(arguments)
    if unknown := [name for name in options.names if name not in EXPERIMENTS]:
        parser.error(f"no experiment {', '.join(unknown)}; there are {', '.join(EXPERIMENTS)}")
    if options.jobs is not None and options.jobs < 1:
        parser.error(f"--jobs must be at least 1; got {options.jobs}")
    if not options.list:
        try:
            options.out.mkdir(parents=True, exist_ok=True)
            tempfile.TemporaryFile(dir=options.out).close()
        except OSError as error:
            parser.error(f"cannot write to {options.out}: {error.strerror}")
    return options


def _run(options: argparse.Namespace, console: Console) -> tuple[list[Outcome], dict[str, Checks | str]]:
    """The experiments, and where all are asked for the proofs of the book, side by side; what is timed, by itself."""
    names = options.names or EXPERIMENTS
    alone = () if options.quick else [name for name in names if name in TIMED]
    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn()
    outcomes, go = [], partial(run, out=options.out, quick=options.quick)
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task("", total=len(names))

        def keep(found: Iterable[Outcome]) -> None:
            for outcome in found:
                outcomes.append(outcome)
                progress.update(task, advance=1, description=outcome.name)

        with workers(min(options.jobs or _jobs(), len(names))) as each:
            together = go([name for name in names if name not in alone], each=each)
            chapters = each(partial(checked_chapter, quick=options.quick), () if options.names else CHAPTERS)
            keep(together)
            checks = {id: found for chapter in chapters for id, found in (chapter or {}).items()}
        keep(go(alone))
    return sorted(outcomes, key=lambda outcome: names.index(outcome.name)), checks


def _jobs() -> int:
    """One at a time where processes would have to share an accelerator."""
    return os.cpu_count() or 1 if jax.default_backend() == "cpu" else 1


if __name__ == "__main__":
    sys.exit(main())
