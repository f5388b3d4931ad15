"""The interpreter computes what XLA computes, or says that it cannot."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from jax_course.compile_cache import Function
from jax_course.verify import programs
from jax_course.verify.interpreter import interpreted
from jax_course.verify.parameters import flatten_inputs

RNG = np.random.default_rng(0)
A, B, X = RNG.standard_normal((3, 4)), RNG.standard_normal((4, 5)), RNG.standard_normal(5)
STACK, INDEX, FAR = RNG.standard_normal((2, 3, 4)), np.array([[2, 0], [1, 1]]), np.array([1, 7, -9, 3])

FUNCTIONS = {
    "entry by entry": lambda A, B, X, STACK: [
        jnp.log1p(jnp.exp(X)), jnp.expm1(X) ** 3, jnp.abs(X) ** 0.3, jnp.hypot(X, 2.0), jnp.arctan2(X, X[::-1]),
        jax.nn.sigmoid(1e3 * X), jnp.clip(X, -0.5, 0.5), jnp.sign(X), jnp.floor(X), jnp.ceil(X), jnp.cbrt(X),
        jnp.arcsin(X / 9), jnp.arctan(X), lax.rsqrt(jnp.abs(X)),
        jnp.maximum(X, jnp.nan), jnp.fmod(X, 0.3), jnp.isfinite(X / (X - X)), jnp.arange(7) * 3, ~(X > 0) | (X < -1),
        jnp.exp(1j * X).imag, jnp.conj(1j * X), jnp.abs(X + 1j), lax.complex(X, X) / (1 - 2j), jnp.where(X > 0, X, 1.0),
    ],
    "sums and products": lambda A, B, X, STACK: [
        A @ B, B.T @ A.T, A[0] @ B, jnp.vdot(X, X), jnp.outer(X, X), jnp.einsum("bij,bkj->bik", STACK, STACK),
        jnp.einsum("bij,jk->kbi", STACK, B), jnp.sum(STACK, (0, 2)), jnp.max(A, 1), jnp.min(A), jnp.prod(A, 0),
        jnp.argmax(A, 1), jnp.argmin(X), jnp.cumsum(A, 1), jnp.cumprod(X), lax.cumsum(X, reverse=True),
        jnp.any(A > 2, 0), jnp.all(A > -5), jax.nn.logsumexp(A, axis=1), jnp.mean(A), jnp.trace(A[:, :3]),
    ],
    "shapes": lambda A, B, X, STACK: [
        A.T, A.reshape(2, 6), A[None, :, 1:3], A[::-1, ::2], jnp.concatenate([A, A]), jnp.stack([X, X], 1),
        jnp.pad(X, (1, 2)), lax.pad(X, X[0], [(1, 0, 2)]), jnp.split(B, [1, 3]), jnp.broadcast_to(X, (2, 5)),
        jnp.tile(A, 2), jnp.eye(3), jnp.tril(A), lax.dynamic_slice(B, (2, 9), (2, 3)),
        lax.dynamic_update_slice(B, A[:2], (1, 0)), jnp.diag(X), jnp.diag(A[:, :3]), jnp.roll(X, 2),
    ],
    "places": lambda A, B, X, STACK: [
        A[INDEX], A[INDEX, 1], A[1, INDEX], A[INDEX, INDEX.T], A[:, INDEX], X[FAR], jnp.take(X, FAR, mode="fill"),
        jnp.take(X > 0, FAR, mode="fill"), jnp.take(INDEX[0], FAR, mode="fill"),
        jnp.take(X, FAR, mode="clip"), jnp.take_along_axis(A[:2], INDEX, 1), jnp.take(B, INDEX, axis=1),
        X.at[1].set(0.0), X.at[FAR].add(1.0), X.at[FAR].set(2.0, mode="clip"), A.at[:, 1].multiply(3.0),
        A.at[INDEX, 1].add(STACK[:, 0, :2]), A.at[1:, INDEX[0]].set(5.0), A.at[INDEX].multiply(2.0),
        jax.vmap(lambda row, i: row[i])(A, np.array([0, 3, 9])),
        jax.vmap(lambda row, i: row.at[i].add(1.0))(A, np.array([0, 3, 9])),
    ],
}  # fmt: skip


@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_every_operation_is_that_of_xla(name, dtype):
    arrays = [array.astype(dtype) for array in (A, B, X, STACK)]
    with jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):
        program = jax.jit(FUNCTIONS[name])
        plan, expected = interpreted(program.trace(*arrays).jaxpr), jax.tree.leaves(program(*arrays))
    assert plan is not None
    for i, (found, value) in enumerate(zip(plan.run(arrays), expected, strict=True)):
        assert (found.shape, found.dtype) == (value.shape, value.dtype), i
        bar = 50 * float(np.finfo(dtype).eps)
        np.testing.assert_allclose(found, value, rtol=bar, atol=bar, err_msg=str(i))


def test_models_and_their_derivatives_are_interpreted(model):
    theta, X, y = model.problem(0, np.float64)
    for transform in (lambda f: f, jax.grad, jax.hessian):
        program = jax.jit(transform(lambda theta, X, y: model.module.cost(theta, X, y, **model.hyper)))
        plan = interpreted(program.trace(theta, X, y).jaxpr)
        assert plan is not None
        np.testing.assert_allclose(
            plan.run(jax.tree.leaves((theta, X, y)))[0], program(theta, X, y), rtol=1e-12, atol=1e-12
        )


@pytest.mark.parametrize(
    "function",
    [
        lambda x: lax.while_loop(lambda x: x[0] < 9, lambda x: 2 * x, x),
        lambda x: x.astype(jnp.float16) + 1,
        lambda x: x + jax.random.normal(jax.random.key(0), (5,), x.dtype),
        lambda x: x[:0],
        lambda x: jnp.arange(5) // jnp.arange(2, 7) + jnp.int64(1),
        lambda x: lax.select_n(jnp.arange(5) % 3, x, x, x),
    ],
    ids=["a loop", "half precision", "random numbers", "no entries", "quotients of integers", "three cases"],
)
def test_a_program_with_an_unknown_operation_is_not_interpreted(function):
    assert interpreted(jax.jit(function).trace(X).jaxpr) is None


def test_what_no_output_needs_is_not_computed():
    plan = interpreted(jax.jit(lambda x, y: (x * y, jnp.exp(x), x + 1)[2]).trace(X, X).jaxpr)
    assert plan is not None
    assert len(plan.steps) == 1
    assert plan.numbers == 5 + 1 + 5


def test_much_work_is_compiled(monkeypatch):
    inputs, point = flatten_inputs(jnp.sum, X, (), {})
    given = programs.at_point, inputs, Function(lambda x: x + 1), (programs.value,), (point, ())
    plan = interpreted(programs.traced(*given, with_data=True).jaxpr)
    assert plan is not None
    monkeypatch.setattr(programs, "MOST", 2 * plan.numbers)
    assert programs.interpreted_program(*given, 2, with_data=True)
    assert not programs.interpreted_program(*given, 3, with_data=True)
