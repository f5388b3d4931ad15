"""Evaluation at many points: interpreted, compiled one by one, or in a compiled loop, the same numbers."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jax_course import logistic
from jax_course.compile_cache import Function
from jax_course.verify import evaluation, programs
from jax_course.verify.moves import Moves
from jax_course.verify.parameters import flatten_inputs

RNG = np.random.default_rng(0)
X, Y = RNG.standard_normal((12, 3)), np.arange(12) % 2


def cubes(x):
    return jnp.sum(x**3)


def cost(theta):
    return logistic.cost(theta, X, Y, penalty=0.5)


REFERENCES = {
    evaluation.evaluate: jax.jit(cost),
    evaluation.gradients: jax.jit(jax.grad(cost)),
    evaluation.hessians: jax.jit(jax.hessian(cost)),
}


@pytest.mark.parametrize("count", [1, 5, 300])
@pytest.mark.parametrize("values", REFERENCES)
def test_interpreted_one_by_one_and_in_a_loop_are_the_same(monkeypatch, values, count):
    inputs, point = flatten_inputs(logistic.cost, np.zeros(3), (X, Y), {"penalty": 0.5})
    points = np.asarray(point) + RNG.standard_normal((count, 3))
    found = []
    for little, singly in ((0, 0), (0, 1000), (programs.LITTLE, 0)):
        monkeypatch.setattr(programs, "LITTLE", little)
        monkeypatch.setattr(evaluation, "SINGLY", singly)
        found.append(values(inputs, Function(logistic.cost), points))
    np.testing.assert_allclose(found[0], found[1], rtol=1e-13, atol=1e-13)
    np.testing.assert_allclose(found[0], found[2], rtol=1e-13, atol=1e-13)
    np.testing.assert_allclose(found[0][-1], REFERENCES[values](points[-1]), rtol=1e-13, atol=1e-13)


def test_programs_of_the_doctor_are_at_first_not_optimised():
    inputs, _ = flatten_inputs(sum, np.ones(2), (), {})
    function = Function(lambda x: x @ x)
    program = programs.compiled_program(programs.at_point, inputs, function, (programs.value,), with_data=True)
    assert hasattr(program.func, "_cheap")


def test_last_digits_are_moved_in_compiled_programs_too(monkeypatch):
    """Else the rounding of large models would not be seen."""
    monkeypatch.setattr(programs, "LITTLE", 0)
    inputs, point = flatten_inputs(cubes, np.array([1.3, 0.7]), (), {})
    moved, points, v = inputs._replace(moves=Moves(6)), point[None], np.ones((1, 2))

    def both(inputs):
        found = evaluation.evaluate_both(jax.grad, inputs, cubes, cubes, points)
        assert found is not None
        return found[1]

    for evaluated in (both, lambda inputs: evaluation.products(inputs, cubes, points, v)):
        assert 0 < np.abs(evaluated(moved) - evaluated(inputs)).max() < 1e-13
