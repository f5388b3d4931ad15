"""All rows of the ledger, by chapter, and their proofs."""

from collections.abc import Iterable

import jax

from experiments.book import classification, networks, optimization, regression
from experiments.book.row import Proofs, Row
from jax_course.compiling import free_programs

ROWS = (*regression.ROWS, *optimization.ROWS, *classification.ROWS, *networks.ROWS)
CHAPTERS = {
    2: "Learning",
    3: "Linear regression",
    4: "Probability",
    5: "Maximum likelihood",
    6: "Penalties, bases, kernels",
    7: "Gradients and the ways down",
    8: "Logistic regression",
    9: "Softmax regression",
    10: "Backpropagation",
    11: "A hidden layer",
    12: "Many layers",
}


def proven(rows: Iterable[Row]) -> dict[str, Proofs | str]:
    """By id, in float64: the proofs of each row, or what kept it from being proven."""
    with jax.enable_x64(True):
        return {row.id: _proven(row) for row in rows}


def proven_chapter(chapter: int) -> dict[str, Proofs | str]:
    """The same for a chapter; it can be asked of another process, which rows, with functions in them, cannot."""
    found = proven(row for row in ROWS if row.chapter == chapter)
    free_programs()
    return found


def _proven(row: Row) -> Proofs | str:
    try:
        proofs = tuple(row.prove())
    except Exception as error:  # whatever is wrong with a row, it is told beside its name, with the others
        return f"{type(error).__name__}: {error}"
    wrong = [f"{proof.of} (error {proof.error:.0e})" for proof in proofs if not proof.holds]
    if wrong:
        return f"does not hold: {'; '.join(wrong)}"
    return proofs or "there is no proof"
