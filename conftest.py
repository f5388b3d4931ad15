"""Strict settings for tests and doctests: 64-bit, no silent promotion of ranks or dtypes."""

from pathlib import Path

import jax
import jax.numpy as jnp
import pytest

from experiments.compiling import compile_fast

collect_ignore = ["docs/quick_start.py"]  # a notebook, which tests/test_notebook.py executes

compile_fast()
jax.config.update("jax_enable_x64", True)
jax.config.update("jax_numpy_rank_promotion", "raise")
jax.config.update("jax_numpy_dtype_promotion", "strict")


MAPS = Path("/proc/self/maps")
MOST_MAPS = 20_000


@pytest.fixture(autouse=True)
def _names_for_doctests(doctest_namespace):
    doctest_namespace["jnp"] = jnp


@pytest.fixture(autouse=True, scope="module")
def _forget_programs():
    """Each compiled program takes pieces of the address space, of which Linux gives a process 65,530 at most."""
    yield
    if MAPS.exists() and MAPS.read_bytes().count(b"\n") > MOST_MAPS:
        jax.clear_caches()
