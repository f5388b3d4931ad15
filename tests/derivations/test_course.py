"""The derivations of the course hold line by line; what is printed with a slip is found at that line."""

import pytest

from jax_course.derivations import DERIVATIONS, find

# where the doctor knows what kind of mistake a slip of the print is
KINDS = {
    1: "FACTOR", 2: "TRANSPOSE", 4: "FACTOR", 5: "CHAIN_RULE", 9: "SHAPE", 10: "SIGN", 11: "FACTOR", 14: "SIGN",
    17: "CHAIN_RULE", 20: "FACTOR",
}  # fmt: skip


@pytest.mark.parametrize("derivation", DERIVATIONS, ids=lambda derivation: derivation.name)
def test_each_line_follows_and_slips_are_found_at_their_line(derivation):
    report = derivation.check()
    assert report.ok is True, str(report)
    for slip in derivation.slips:
        printed = derivation.with_slip(slip).check()
        assert printed.first_wrong is not None
        assert printed.first_wrong.number == slip.number, str(printed)
        assert printed.first_wrong.findings[0].kind.name == KINDS[slip.erratum], str(printed)
        assert [step.number for step in printed.steps if step.verdict == "wrong"] == [slip.number]


def test_names_are_unique_and_an_unknown_one_is_refused_with_those_there_are():
    assert len({derivation.name for derivation in DERIVATIONS}) == len(DERIVATIONS)
    with pytest.raises(KeyError, match="logistic_gradient"):
        find("logistic")
