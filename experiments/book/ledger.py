"""All rows of the ledger, by chapter, and their proofs."""

from collections.abc import Iterable

import jax

from experiments.book import classification, networks, optimization, regression
from experiments.book.derived import line_checks
from experiments.book.row import Checks, Row
from jax_course.compiling import free_programs

ROWS = (*regression.ROWS, *optimization.ROWS, *classification.ROWS, *networks.ROWS)
CHAPTERS = {
    2: "Learning",
    3: "Linear regression",
    4: "Probability",
    5: "Maximum likelihood",
    6: "Penalties, bases, kernels",
    7: "Gradients and descent",
    8: "Logistic regression",
    9: "Softmax regression",
    10: "Backpropagation",
    11: "A hidden layer",
    12: "Many layers",
}


def checked(rows: Iterable[Row], *, quick: bool) -> dict[str, Checks | str]:
    """By id, in float64: the checks of each row, or the reason why it has none. quick: without those of each line."""
    with jax.enable_x64(True):
        return {row.id: _checked(row, quick) for row in rows}


def checked_chapter(chapter: int, *, quick: bool) -> dict[str, Checks | str]:
    """The checks of a chapter's rows; another process can be asked for a chapter, but not for rows with functions."""
    found = checked((row for row in ROWS if row.chapter == chapter), quick=quick)
    free_programs()
    return found


def _checked(row: Row, quick: bool) -> Checks | str:
    try:
        checks = (*row.check_derivatives(), *(() if quick else line_checks(row.id)))
    except Exception as error:  # whatever is wrong with a row, it is told beside its name, with the others
        return f"{type(error).__name__}: {error}"
    wrong = [f"{check.claim} (error {check.error:.0e})" for check in checks if not check.holds]
    if wrong:
        return f"does not hold: {'; '.join(wrong)}"
    return checks or "there is no proof"
