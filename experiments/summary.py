"""What `python -m experiments` says at its end: ten lines on the terminal, the long tables in a file."""

import math
from collections.abc import Iterable, Mapping
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from experiments.book.row import Proofs
from experiments.lab import Fit, Proof
from experiments.runner import Outcome

DERIVATIVES = ("gradient", "hessian", "hessian_product")
SHOWN = 6  # fits on the terminal, one of each model


def summary(outcomes: list[Outcome], proofs: Mapping[str, Proofs | str], problem: str) -> Table:
    """How many checks hold, the worst error of a derivative, a fit of each model, and what failed, by name.

    problem: what kept the lab book from being built, a line for each row; empty where nothing did.
    """
    found = [(name, proof) for name, claims in _claims(outcomes, proofs).items() for proof in claims]
    held = sum(proof.holds for _, proof in found)
    fits = _one_of_each_model(fit for outcome in outcomes for fit in outcome.fits)[:SHOWN]
    ended = [f"{o.name} failed: {o.error.strip().splitlines()[-1]}" for o in outcomes if o.error]
    failed = [*ended, *(f"{p.of} does not hold, in {name}" for name, p in found if not p.holds), *problem.splitlines()]
    table = Table.grid(padding=(0, 2))
    for title, lines, style in (
        ("Checks", [f"{held} of {len(found)} hold{_worst(found)}"], ""),
        ("Fitted", [f"{fit.model} on {fit.data}: {fit.score}, {fit.status}" for fit in fits], ""),
        ("Failed", failed or ["nothing"], "bold red" if failed else ""),
    ):
        for number, line in enumerate(lines):
            table.add_row("" if number else title, Text(line, style))
    return table


def write_tables(outcomes: list[Outcome], proofs: Mapping[str, Proofs | str], file: Path) -> None:
    """All fits, all checks and the errors that ended an experiment, as text."""
    fits = Table("fitted", "data", "result", "status", "steps", title="Fitted", title_justify="left", box=None)
    for outcome in outcomes:
        for fit in outcome.fits:
            fits.add_row(fit.model, fit.data, fit.score, fit.status, str(fit.steps))
    checks = Table("claim", "in", "error", "", title="Checked", title_justify="left", box=None)
    for name, claims in _claims(outcomes, proofs).items():
        for proof in claims:
            error = "" if math.isnan(proof.error) else f"{proof.error:.1e}"
            checks.add_row(proof.of, name, error, "holds" if proof.holds else "does not hold")
    with file.open("w", encoding="utf-8") as out:
        console = Console(file=out, width=160)
        for part in (fits, checks, *(f"{o.name} failed\n{o.error}" for o in outcomes if o.error)):
            console.print(part, "", markup=False, highlight=False)


def _claims(outcomes: list[Outcome], proofs: Mapping[str, Proofs | str]) -> dict[str, Proofs]:
    """By the experiment, or the row of the lab book, that makes them."""
    rows = {f"row {id}": found for id, found in proofs.items() if not isinstance(found, str)}
    return {outcome.name: outcome.proofs for outcome in outcomes} | rows


def _worst(found: list[tuple[str, Proof]]) -> str:
    """The largest error of a derivative by hand; other claims have errors in units of their own."""
    by_hand = [(proof.error, proof.of, name) for name, proof in found if proof.of.split(".")[-1] in DERIVATIVES]
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
