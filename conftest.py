"""Strict settings for tests and doctests: 64-bit, no silent promotion of ranks or dtypes."""

import jax
import jax.numpy as jnp
import pytest

from experiments.compiling import compile_fast

compile_fast()
jax.config.update("jax_enable_x64", True)
jax.config.update("jax_numpy_rank_promotion", "raise")
jax.config.update("jax_numpy_dtype_promotion", "strict")


@pytest.fixture(autouse=True)
def _names_for_doctests(doctest_namespace):
    doctest_namespace["jnp"] = jnp
