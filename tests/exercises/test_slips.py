"""The students' ordinary slips are named. All of them, with the rate: `python -m tests.exercises.slips`."""

import pytest

from tests.exercises.slips import LATER, SEEN, UNSEEN, found

# one of each of these slips; the others are of kinds that tests/verify holds the doctor to
HELD = {
    ("squares", "no return"),
    ("free_bias", "the penalty on every entry"),
    ("lasso", "|θ| for its sign"),
    ("noise", "the sign of a term"),
    ("noise", "m forgotten"),
    ("noise", "σ² for σ³"),
    ("coin", "a term forgotten"),
    ("sigmoid", "e⁻ᶻ without the square"),
    ("logistic_product", "θ for v in the penalty"),
    ("logistic_product", "θ for v in the data"),
    ("softmax", "over the wrong axis"),
    ("posterior", "σ for σ²"),
}
ROWS = [row for row in (*SEEN, *UNSEEN, *LATER) if row[:2] in HELD]


@pytest.mark.parametrize(("exercise", "slip", "kinds", "lines"), ROWS, ids=[f"{row[0]}, {row[1]}" for row in ROWS])
def test_a_slip_is_rejected_and_named(exercise, slip, kinds, lines, tmp_path):
    assert len(ROWS) == len(HELD)
    outcome, named = found(exercise, lines, tmp_path)
    assert outcome == "wrong"
    assert named == kinds, slip
