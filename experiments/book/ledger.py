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


def checked(rows: Iterable[Row]) -> dict[str, Checks | str]:
    """By id, in float64: the proofs of each row, or what kept it from being proven."""
    with jax.enable_x64(True):
        return {row.id: _checked(row) for row in rows}


def checked_chapter(chapter: int) -> dict[str, Checks | str]:
    """The same for a chapter; it can be asked of another process, which rows, with functions in them, cannot."""
    found = checked(row for row in ROWS if row.chapter == chapter)
    free_programs()
    return found


def _checked(row: Row) -> Checks | str:
    try:
        checks = (*row.check_derivatives(), *line_checks(row.id))
    except Exception as error:  # whatever is wrong with a row, it is told beside its name, with the others
        return f"{type(error).__name__}: {error}"
    wrong = [f"{check.claim} (error {check.error:.0e})" for check in checks if not check.holds]
    if wrong:
        return f"does not hold: {'; '.join(wrong)}"
    return checks or "there is no proof"
