"""The derivatives of practice are records that the doctor can be given; what it says of them is measured elsewhere."""

import importlib
import pkgutil

import pytest

from tests.verify import practice_a, practice_b


@pytest.mark.parametrize("half", [practice_a, practice_b], ids=["a", "b"])
def test_every_case_has_a_derivative_and_a_name_of_its_own(half):
    modules = [
        importlib.import_module(f"{half.__name__}.{found.name}") for found in pkgutil.iter_modules(half.__path__)
    ]
    cases = [case for module in modules for case in module.CASES]
    assert len({case.name for case in cases}) == len(cases)
    for case in cases:
        assert any((case.gradient, case.hessian, case.hessian_product)), case.name
