"""What `python -m experiments` says at its end: ten lines on the terminal, the long tables in a file."""

import math
from collections.abc import Iterable, Mapping
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from experiments.book.row import Checks
from experiments.lab.result import Check, Fit
from experiments.lab.runner import Outcome

DERIVATIVES = ("gradient", "hessian", "hessian_product")
SHOWN = 6  # fits on the terminal, one of each model


def summary(outcomes: list[Outcome], checks: Mapping[str, Checks | str], problem: str) -> Table:
    """How many checks hold, the worst error of a derivative, a fit of each model, and what failed, by name.

    problem: what kept the lab book from being built, a line for each row; empty where nothing did.
    """
    found = [(name, check) for name, claims in _claims(outcomes, checks).items() for check in claims]
    held = sum(check.holds for _, check in found)
    fits = _one_of_each_model(fit for outcome in outcomes for fit in outcome.fits)[:SHOWN]
    ended = [f"{o.name} failed: {o.error.strip().splitlines()[-1]}" for o in outcomes if o.error]
    failed = [
        *ended,
        *(f"{p.claim} does not hold, in {name}" for name, p in found if not p.holds),
        *problem.splitlines(),
    ]
    table = Table.grid(padding=(0, 2))
    for title, lines, style in (
        ("Checks", [f"{held} of {len(found)} hold{_worst(found)}"], ""),
        ("Fitted", [f"{fit.model} on {fit.data}: {fit.score}, {fit.status}" for fit in fits], ""),
        ("Failed", failed or ["nothing"], "bold red" if failed else ""),
    ):
        for number, line in enumerate(lines):
            table.add_row("" if number else title, Text(line, style))
    return table


def write_tables(outcomes: list[Outcome], checks: Mapping[str, Checks | str], file: Path) -> None:
    """All fits, all checks and the errors that ended an experiment, as text."""
    fits = Table("fitted", "data", "result", "status", "steps", title="Fitted", title_justify="left", box=None)
    for outcome in outcomes:
        for fit in outcome.fits:
            fits.add_row(fit.model, fit.data, fit.score, fit.status, str(fit.steps))
    table = Table("claim", "in", "error", "", title="Checked", title_justify="left", box=None)
    for name, claims in _claims(outcomes, checks).items():
        for check in claims:
            error = "" if math.isnan(check.error) else f"{check.error:.1e}"
            table.add_row(check.claim, name, error, "holds" if check.holds else "does not hold")
    with file.open("w", encoding="utf-8") as out:
        console = Console(file=out, width=160)
        for part in (fits, table, *(f"{o.name} failed\n{o.error}" for o in outcomes if o.error)):
            console.print(part, "", markup=False, highlight=False)


def _claims(outcomes: list[Outcome], checks: Mapping[str, Checks | str]) -> dict[str, Checks]:
    """By the experiment, or the row of the lab book, that makes them."""
    rows = {f"row {id}": found for id, found in checks.items() if not isinstance(found, str)}
    return {outcome.name: outcome.checks for outcome in outcomes} | rows


def _worst(found: list[tuple[str, Check]]) -> str:
    """The largest error of a derivative by hand; other claims have errors in units of their own."""
    by_hand = [(check.error, check.claim, name) for name, check in found if check.claim.split(".")[-1] in DERIVATIVES]
    derivatives = [one for one in by_hand if not math.isnan(one[0])]
    if not derivatives:
        return ""
    error, claim, name = max(derivatives)
    return f"; the worst of {len(derivatives)} derivatives by hand differs by {error:.0e} ({claim} in {name})"


def _one_of_each_model(fits: Iterable[Fit]) -> list[Fit]:
    """Of each model the first fit that was tried on examples put aside, or else the first."""
    chosen: dict[str, Fit] = {}
    for fit in fits:
        if fit.model not in chosen or ("test" in fit.score and "test" not in chosen[fit.model].score):
            chosen[fit.model] = fit
    return sorted(chosen.values(), key=lambda fit: "test" not in fit.score)
