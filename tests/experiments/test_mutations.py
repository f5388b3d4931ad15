"""The table of planted mistakes counts what the doctor says, and what it misses fails the experiment."""

import pytest

from experiments.doctor import mutations
from experiments.doctor.mutations import KINDS, MODELS
from jax_course.exercises.mutants import Fault
from jax_course.verify import Kind


def test_the_quick_choice_has_every_kind_and_every_model():
    chosen = mutations._chosen(True)
    assert [fault.kind for _, fault in chosen] == KINDS
    assert {model for model, _ in chosen} == set(MODELS)
    assert len(mutations._chosen(False)) > 150


@pytest.mark.parametrize(
    ("fault", "counts"),
    [
        (Fault("sign", Kind.SIGN, "gradient", lambda g, c: -g), (1, 1, 1)),
        (Fault("misnamed", Kind.SIGN, "gradient", lambda g, c: 2 * g), (1, 1, 0)),
        (Fault("none", Kind.SIGN, "gradient", lambda g, c: g), (1, 0, 0)),
    ],
    ids=lambda value: getattr(value, "name", ""),
)
def test_what_is_rejected_and_named_is_counted_and_shown(fault, counts, monkeypatch):
    monkeypatch.setattr(mutations, "_chosen", lambda quick: [("linear", fault)])
    monkeypatch.setattr(mutations, "MODELS", {"linear": MODELS["linear"]})
    found = mutations.run(quick=False)
    assert tuple(found.numbers["total"].values()) == counts
    planted, rejected, named = counts
    assert [check.holds for check in found.checks] == [rejected == planted, named == planted, True]
    (axes,) = found.pictures["table"].figure.axes
    assert f"{named} of {planted}" in {text.get_text() for text in axes.texts}
