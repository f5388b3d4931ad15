"""Fixtures shared by the tests."""

import jax
import pytest

from tests.cases import MODELS, PRECISIONS


@pytest.fixture(params=PRECISIONS.values(), ids=list(PRECISIONS))
def precision(request):
    """float64, float32 in 64-bit mode, float32: the test runs in each."""
    with jax.enable_x64(request.param.x64):
        yield request.param


@pytest.fixture(params=["float64", "float32"])
def width(request):
    """float64 and float32, the two that a fit is compiled for; float32 in 64-bit mode runs the program of float32."""
    with jax.enable_x64(PRECISIONS[request.param].x64):
        yield PRECISIONS[request.param]


@pytest.fixture(params=MODELS.values(), ids=list(MODELS))
def model(request):
    """Every model of the registry."""
    return request.param
