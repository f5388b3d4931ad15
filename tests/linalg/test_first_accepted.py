"""Methods in turn for a batch: each member keeps the first result that it accepts."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jax_course.linalg import first_accepted


def _staged(x, run):
    def method(name, largest):
        return lambda: (run.append(name) or x * largest, x <= largest)

    return first_accepted(method("one", 1.0), method("two", 2.0), otherwise=lambda: run.append("three") or -x)


@pytest.mark.parametrize(
    ("x", "expected", "methods"),
    [
        ([0.5, 1.0], [0.5, 1.0], ["one"]),
        ([0.5, 1.5], [0.5, 3.0], ["one", "two"]),
        ([0.5, 3.0], [0.5, -3.0], ["one", "two", "three"]),
    ],
)
def test_a_batch_outside_jit_runs_a_method_only_if_a_member_needs_it(x, expected, methods):
    run = []
    np.testing.assert_array_equal(jax.vmap(lambda x: _staged(x, run))(jnp.array(x)), expected)
    assert run == methods


def test_inside_jit_each_member_gets_its_own_result_too():
    found = jax.jit(jax.vmap(lambda x: _staged(x, [])))(jnp.array([0.5, 1.5, 3.0]))
    np.testing.assert_array_equal(found, [0.5, 3.0, -3.0])
