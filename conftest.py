"""Settings of tests and doctests: 64-bit mode, no silent promotion of ranks or dtypes, cheap compiling."""

import os
import shutil
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import pytest

from jax_course.compiling import (
    LARGEST_PROCESS,
    cache_programs,
    collect_garbage_rarely,
    compile_fast,
    free_programs,
    resident_bytes,
)

ROOT = Path(__file__).parent
PROGRAMS = ROOT / ".jax_cache"  # shared by all processes of a run, and by later runs
ROOM = 130 * 2**20  # bytes of programs between two times that they are forgotten; 130 small ones
LARGEST_CACHE = 2**30  # bytes; a run leaves some 0.1 GB, and each change of the code adds to it

collect_ignore = [
    "docs/quick_start.py",  # a notebook, which tests/test_notebook.py executes
    # the short names: each puts another module in its place
    *(str(file) for file in ROOT.glob("jax_course/*.py") if "sys.modules[__name__] =" in file.read_text()),
]

os.environ.setdefault("MPLBACKEND", "Agg")  # figures open no windows
compile_fast()
cache_programs(PROGRAMS)
jax.config.update("jax_enable_x64", True)
jax.config.update("jax_numpy_rank_promotion", "raise")
jax.config.update("jax_numpy_dtype_promotion", "strict")


def pytest_configure(config):
    """The process that starts the others empties a cache that has grown too large."""
    is_worker = hasattr(config, "workerinput")
    if not is_worker and sum(file.stat().st_size for file in PROGRAMS.glob("*")) > LARGEST_CACHE:
        shutil.rmtree(PROGRAMS)


def pytest_collection_finish(session):
    """Everything is imported."""
    collect_garbage_rarely()


@pytest.fixture(autouse=True)
def _names_for_doctests(doctest_namespace):
    doctest_namespace["jnp"] = jnp


@pytest.fixture(autouse=True)
def _close_figures():
    """A figure that pyplot knows stays in memory, and the 21st is a warning."""
    yield
    if (pyplot := sys.modules.get("matplotlib.pyplot")) is not None:
        pyplot.close("all")


@pytest.fixture(scope="session")
def _most():
    """The bytes that this process may hold; more where what is left after forgetting all programs is large already."""
    return [LARGEST_PROCESS]


@pytest.fixture(autouse=True)
def _free_programs(_most):
    yield
    if resident_bytes() > _most[0]:
        free_programs()
        _most[0] = max(LARGEST_PROCESS, resident_bytes() + ROOM)
