"""The number of programs that are compiled: what fits of data of many sizes cost."""

from contextlib import contextmanager

import jax
import numpy as np

from jax_course import inputs

COMPILED = "/jax/core/compile/backend_compile_duration"


@contextmanager
def counted_programs():
    """A list with an entry for each program that is compiled, or read from the persistent cache, in the block."""
    programs = []

    def count(event, duration_secs, **_):
        programs.extend([event] * (event == COMPILED))

    jax.monitoring.register_event_duration_secs_listener(count)
    try:
        yield programs
    finally:
        jax.monitoring.unregister_event_duration_listener(count)


def test_the_door_compiles_nothing_for_another_number_of_rows():
    def problems(m):
        X, y = np.ones((m, 3)) * np.arange(m)[:, None], np.arange(m) % 2
        inputs.regression_problem(X, y)
        inputs.binary_problem(X, y, weights=y + 1)
        inputs.classification_problem(X, y)

    problems(33)
    with counted_programs() as programs:
        problems(35)
    assert programs == []
