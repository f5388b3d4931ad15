from fractions import Fraction
from operator import mul

import jax
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jax_course.linalg import least_squares, minimum_norm, whiten
from jax_course.linalg.double_double import add_products

rng = np.random.default_rng(0)
solve = jax.jit(least_squares)
shortest = jax.jit(minimum_norm)


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


def of_one_shape(X, y):
    """The same with eleven columns and thirty rows: an own row for each column that is added, its target 0."""
    m, d = X.shape
    rows = np.zeros((30, 11))
    rows[:m, :d], rows[m : m + 11 - d, d:] = X, np.eye(11 - d)
    return rows, np.append(y, np.zeros(30 - m))


@pytest.mark.parametrize("X", ILL_CONDITIONED.values(), ids=ILL_CONDITIONED.keys())
@pytest.mark.parametrize("noise", [0.0, 1e-3])
def test_ill_conditioned_designs_keep_nearly_all_digits(X, noise):
    y = X @ np.ones(X.shape[1]) + noise * np.max(np.abs(X)) * np.random.default_rng(1).standard_normal(len(X))
    exact = exact_solution(X, y)
    result = solve(*of_one_shape(X, y))
    assert int(result.rank) == 11
    assert digits(np.asarray(result.theta)[: X.shape[1]], exact) >= max(13, digits(np.linalg.lstsq(X, y)[0], exact))


def test_float32_keeps_the_digits_that_the_condition_allows(precision):
    X = np.stack([np.ones(15), np.arange(15.0), np.arange(15.0) ** 2, np.arange(15.0) ** 3], axis=1)
    X, y = X.astype(precision.dtype), np.cos(np.arange(15.0)).astype(precision.dtype)
    theta = solve(X, y).theta
    assert theta.dtype == precision.dtype
    assert digits(theta, exact_solution(X.astype(float), y.astype(float))) > (14 if X.itemsize == 8 else 6)


@pytest.mark.parametrize("shape", [(30, 6), (6, 30), (8, 8)])
def test_minimum_norm_agrees_with_numpy(shape):
    X, y = rng.standard_normal(shape), rng.standard_normal(shape[0])
    X[:, 3] = X[:, 0] - 2 * X[:, 1]
    result = solve(X, y)
    expected, _, rank, _ = np.linalg.lstsq(X, y)
    assert int(result.rank) == int(rank)
    np.testing.assert_allclose(result.theta, expected, rtol=1e-10, atol=1e-12)
    unseen = np.linalg.svd(X, full_matrices=True)[2][-1]
    theta, same_rank = shortest(X, expected + unseen)
    assert int(same_rank) == int(rank)
    np.testing.assert_allclose(theta, expected, rtol=1e-10, atol=1e-12)


def test_the_rank_does_not_depend_on_units():
    X = rng.standard_normal((30, 6))
    X[:, 3] = X[:, 0] + X[:, 1]
    for unit in (1e-12, 1.0, 1e12):
        assert int(solve(X * np.array([1.0, unit, 1.0, 1.0, 1.0, 1.0]), np.ones(30)).rank) == 5


def test_zeros_and_a_single_number():
    result = solve(np.zeros((9, 3)), np.ones(9))
    np.testing.assert_array_equal(result.theta, np.zeros(3))
    assert int(result.rank) == 0
    assert np.asarray(solve(np.array([[2.0]]), np.array([6.0])).theta) == 3


def test_no_overflow_in_squares():
    X = rng.standard_normal((9, 3))
    expected = np.asarray(solve(X, np.ones(9)).theta)
    for unit in (2.0**600, 2.0**-600):
        np.testing.assert_allclose(np.asarray(solve(X * unit, np.ones(9)).theta) * unit, expected, rtol=1e-14)


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
    result = jax.jit(add_products)(start, rows, factors)
    np.testing.assert_allclose(result, expected, rtol=1e-9, atol=1e-30)


def test_the_least_norm_keeps_its_digits_however_the_columns_are_scaled():
    """Against Xᵀ(XXᵀ)⁻¹y in rational arithmetic, where lstsq has six digits less."""
    random = np.random.default_rng(6)
    X = random.standard_normal((3, 7)) * 10.0 ** np.array([6, -6, 0, 3, -3, 5, -5])
    y = random.standard_normal(3)
    rows, target = [[Fraction(v) for v in row] for row in X.tolist()], [Fraction(v) for v in y.tolist()]
    A = [[sum(map(mul, a, b), Fraction(0)) for b in rows] + [t] for a, t in zip(rows, target, strict=True)]
    for i in range(3):
        for j in range(3):
            if i != j:
                A[j] = [a - A[j][i] / A[i][i] * b for a, b in zip(A[j], A[i], strict=True)]
    multipliers = [A[i][3] / A[i][i] for i in range(3)]
    exact = np.array([float(sum(map(mul, column, multipliers), Fraction(0))) for column in zip(*rows, strict=True)])
    assert digits(solve(X, y).theta, exact) > 12
    elsewhere = exact + np.linalg.svd(X / 10.0, full_matrices=True)[2][-1]
    assert np.linalg.norm(np.asarray(shortest(X, elsewhere)[0]) - exact) < 1e-9


def test_a_large_residual_beside_a_tiny_penalty_is_refined_away():
    """Columns a, a with √penalty = 1e-9 below: the residual times the condition squared spoils the first solution."""
    random = np.random.default_rng(0)
    a, y = random.standard_normal((2, 30))
    X = np.concatenate([np.stack([a, a], axis=1), 1e-9 * np.eye(2)])
    theta = solve(X, np.concatenate([y, np.zeros(2)])).theta
    np.testing.assert_allclose(theta, np.full(2, a @ y / (a @ a) / 2), rtol=1e-7)


@pytest.mark.parametrize("offset", [0.0, 1e3, 1e9])
def test_whitened_columns_are_orthonormal(offset):
    """By the Cholesky factor, then by orthogonal factors where its square would not do."""
    X = np.concatenate([np.ones((40, 1)), np.random.default_rng(0).standard_normal((40, 2)) + offset], axis=1)
    delta2 = np.array([0.0, 3.0, 0.0])
    white = jax.device_get(jax.jit(whiten)(X, delta2))
    assert np.all(white.kept)
    both = np.concatenate([white.X, np.sqrt(delta2)[:, None] * white.T])
    np.testing.assert_allclose(both.T @ both, np.eye(3), atol=1e-6)
    np.testing.assert_allclose(white.X, X @ white.T, atol=1e-6)


def test_whitening_drops_what_the_rank_lacks():
    X = np.random.default_rng(0).standard_normal((40, 2))
    white = jax.device_get(jax.jit(whiten)(np.concatenate([X, X[:, :1]], axis=1), np.zeros(3)))
    assert white.kept.tolist() == [True, True, False]
    np.testing.assert_array_equal(white.T[:, 2], 0)
    np.testing.assert_allclose(white.X.T @ white.X, np.diag([1.0, 1.0, 0.0]), atol=1e-12)
