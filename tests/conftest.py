"""Fixtures shared by the tests."""

import jax
import pytest

from tests.cases import MODELS, PRECISIONS


@pytest.fixture(params=PRECISIONS.values(), ids=list(PRECISIONS))
def precision(request):
    """float64, float32 in 64-bit mode, float32: the test runs in each."""
    with jax.enable_x64(request.param.x64):
        yield request.param


@pytest.fixture(params=MODELS.values(), ids=list(MODELS))
def model(request):
    """Every model of the registry."""
    return request.param
