"""A witness agrees where every entry is within its tolerance."""

import numpy as np
import pytest

from jax_course.verify.witnesses import compare

REFERENCE = np.array([1.0, 2.0, 4.0])


@pytest.mark.parametrize("entry", [0, 1, 2])
def test_one_entry_off_is_a_disagreement(entry):
    hand = REFERENCE + 1e-3 * (np.arange(3) == entry)
    found = compare("autodiff", "gradient", hand, REFERENCE, np.full(3, 1e-6))
    assert found.verdict == "disagrees"
    assert found.error == pytest.approx(1e-3 / 4)
    assert compare("autodiff", "gradient", hand, REFERENCE, np.full(3, 2e-3)).verdict == "agrees"


def test_entries_without_a_tolerance_are_not_judged():
    hand, tolerance = REFERENCE + np.array([0, 0, 1]), np.array([1e-6, 1e-6, np.nan])
    assert compare("differences", "gradient", hand, REFERENCE, tolerance).verdict == "agrees"
    assert compare("differences", "gradient", hand, REFERENCE, np.full(3, np.nan)).verdict == "abstains"
