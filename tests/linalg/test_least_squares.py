from fractions import Fraction
from operator import mul

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jax_course.linalg import least_squares, minimum_norm
from jax_course.linalg.extended import add_products

rng = np.random.default_rng(0)


def exact_solution(X, y):
    """The least-squares solution of the given floating-point numbers, in rational arithmetic."""
    rows, target = [[Fraction(v) for v in row] for row in X.tolist()], [Fraction(v) for v in y.tolist()]
    d = len(rows[0])
    columns = [*zip(*rows, strict=True), target]
    A = [[sum(map(mul, columns[i], columns[j]), Fraction(0)) for j in range(d + 1)] for i in range(d)]
    for i in range(d):
        for j in range(d):
            if i != j:
                factor = A[j][i] / A[i][i]
                A[j] = [a - factor * b for a, b in zip(A[j], A[i], strict=True)]
    return np.array([float(A[i][d] / A[i][i]) for i in range(d)])


def digits(theta, exact):
    return float(np.min(-np.log10(np.abs(np.asarray(theta, float) - exact) / np.abs(exact) + 1e-16)))


ILL_CONDITIONED = {
    "degree 10 in raw x": np.arange(1.0, 31.0)[:, None] ** np.arange(11.0)[None, :],
    "degree 10 in 0…1": np.linspace(0, 1, 25)[:, None] ** np.arange(11.0)[None, :],
    "Hilbert": np.array([[1 / (i + j + 1) for j in range(8)] for i in range(15)]),
    "columns scaled 1e±8": rng.standard_normal((20, 5)) * np.array([1e8, 1e-8, 1.0, 1e4, 1e-4]),
    "a year beside a share": np.stack([np.ones(15), 1947 + np.arange(15.0), rng.uniform(size=15)], axis=1),
}


@pytest.mark.parametrize("X", ILL_CONDITIONED.values(), ids=ILL_CONDITIONED.keys())
@pytest.mark.parametrize("noise", [0.0, 1e-3])
def test_ill_conditioned_designs_keep_nearly_all_digits(X, noise):
    y = X @ np.ones(X.shape[1]) + noise * np.max(np.abs(X)) * np.random.default_rng(1).standard_normal(len(X))
    exact = exact_solution(X, y)
    result = least_squares(jnp.asarray(X), jnp.asarray(y))
    assert result.rank == X.shape[1]
    assert digits(result.theta, exact) >= max(13, digits(np.linalg.lstsq(X, y)[0], exact))


def test_float32_keeps_the_digits_that_the_condition_allows(precision):
    X = np.stack([np.ones(15), np.arange(15.0), np.arange(15.0) ** 2, np.arange(15.0) ** 3], axis=1)
    X, y = X.astype(precision.dtype), np.cos(np.arange(15.0)).astype(precision.dtype)
    theta = jax.jit(least_squares)(jnp.asarray(X), jnp.asarray(y)).theta
    assert theta.dtype == precision.dtype
    assert digits(theta, exact_solution(X.astype(float), y.astype(float))) > (14 if X.itemsize == 8 else 6)


@pytest.mark.parametrize("shape", [(30, 6), (6, 30), (8, 8)])
def test_minimum_norm_agrees_with_numpy(shape):
    X, y = rng.standard_normal(shape), rng.standard_normal(shape[0])
    X[:, 3] = X[:, 0] - 2 * X[:, 1]
    result = least_squares(jnp.asarray(X), jnp.asarray(y))
    expected, _, rank, _ = np.linalg.lstsq(X, y)
    assert int(result.rank) == int(rank)
    chex.assert_trees_all_close(np.asarray(result.theta), expected, rtol=1e-10, atol=1e-12)
    unseen = jnp.linalg.svd(X, full_matrices=True)[2][-1]
    moved = jnp.asarray(expected) + unseen
    theta, same_rank = minimum_norm(jnp.asarray(X), moved)
    assert int(same_rank) == int(rank)
    chex.assert_trees_all_close(np.asarray(theta), expected, rtol=1e-10, atol=1e-12)


def test_the_rank_does_not_depend_on_units():
    X = rng.standard_normal((20, 4))
    X[:, 3] = X[:, 0] + X[:, 1]
    for unit in (1e-12, 1.0, 1e12):
        assert least_squares(jnp.asarray(X * np.array([1.0, unit, 1.0, 1.0])), jnp.ones(20)).rank == 3


def test_zeros_and_a_single_number():
    result = least_squares(jnp.zeros((5, 3)), jnp.ones(5))
    chex.assert_trees_all_equal(result.theta, jnp.zeros(3))
    assert result.rank == 0
    assert least_squares(jnp.array([[2.0]]), jnp.array([6.0])).theta[0] == 3


def test_no_overflow_in_squares():
    X = rng.standard_normal((9, 3))
    expected = np.asarray(least_squares(jnp.asarray(X), jnp.ones(9)).theta)
    for unit in (2.0**600, 2.0**-600):
        chex.assert_trees_all_close(
            np.asarray(least_squares(jnp.asarray(X * unit), jnp.ones(9)).theta) * unit, expected, rtol=1e-14
        )


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=25, deadline=None)
def test_products_are_added_in_twice_the_precision(seed):
    random = np.random.default_rng(seed)
    rows, factors = (
        random.standard_normal((40, 3)) * 10.0 ** random.integers(-6, 7, (40, 3)),
        random.standard_normal(40),
    )
    exact = [sum(Fraction(a) * Fraction(b) for a, b in zip(rows[:, j], factors, strict=True)) for j in range(3)]
    start = np.array([-float(e) for e in exact])  # cancels all but the last bits
    expected = np.array([float(e + Fraction(s)) for e, s in zip(exact, start, strict=True)])
    result = jax.jit(add_products)(jnp.asarray(start), jnp.asarray(rows), jnp.asarray(factors))
    chex.assert_trees_all_close(np.asarray(result), expected, rtol=1e-9, atol=1e-30)
