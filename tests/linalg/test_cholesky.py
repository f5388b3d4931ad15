import jax
import numpy as np
import pytest

from jax_course.linalg import spd_factor, spd_solve
from jax_course.linalg.cholesky import power_of_two_scale, rounding_noise

solve = jax.jit(spd_solve)


def matrix_of_condition(condition, n=8):
    Q, _ = np.linalg.qr(np.random.default_rng(0).standard_normal((n, n)))
    return (Q * np.geomspace(1, 1 / condition, n)) @ Q.T


@pytest.mark.parametrize("columns", [(), (3,)])
def test_solves(columns, precision):
    A = matrix_of_condition(10.0).astype(precision.dtype)
    x = np.random.default_rng(1).standard_normal((8, *columns)).astype(precision.dtype)
    result = solve(A, A @ x)
    assert result.x.dtype == result.rcond.dtype == precision.dtype
    np.testing.assert_allclose(result.x, x, rtol=1e-6, atol=100 * precision.tolerance)


@pytest.mark.parametrize("condition", [1e1, 1e4, 1e8, 1e12])
def test_the_condition_estimate_is_right_within_a_factor(condition):
    A = matrix_of_condition(condition)
    diagonal = np.sqrt(np.diag(A))
    exact = np.linalg.cond(A / diagonal[:, None] / diagonal[None, :])
    rcond = float(solve(A, np.ones(8)).rcond)
    assert 1 / 30 < exact * rcond < 3


def test_units_cost_no_digits():
    A, x = matrix_of_condition(5.0), np.arange(1.0, 9.0)
    units = 10.0 ** np.array([-9, -6, -3, 0, 3, 6, 9, 12])
    scaled = solve(units[:, None] * A * units[None, :], units * (A @ x))
    np.testing.assert_allclose(np.asarray(scaled.x) * units, x, rtol=1e-12)
    assert scaled.rcond > 0.01


def test_a_matrix_that_is_not_positive_definite_is_reported():
    for A in ([[1.0, 2.0], [2.0, 1.0]], [[0.0, 0.0], [0.0, 1.0]], [[np.nan, 0.0], [0.0, 1.0]]):
        result = solve(np.array(A), np.ones(2))
        assert float(result.rcond) == 0
        assert not np.all(np.isfinite(result.x))


def test_scales_are_powers_of_two(precision):
    size = np.array([1e-30, 0.3, 1.0, 5.0, 1e30, 0.0, np.inf, np.nan], precision.dtype)
    scale = np.asarray(jax.jit(power_of_two_scale)(size))
    assert scale.dtype == precision.dtype
    assert np.all(np.frexp(scale)[0] == 0.5)
    assert np.all((scale[:5] * size[:5] >= 1) & (scale[:5] * size[:5] < 2))
    assert np.all(scale[5:] == 1)


@pytest.mark.parametrize("d", [3, 64])
def test_a_factor_of_rounding_is_not_regular_and_one_of_an_ill_conditioned_matrix_is(d, width):
    """Adding up many rows leaves a positive eigenvalue where there is none: up to 6 roundings of 3 columns."""
    factor = jax.jit(lambda A: spd_factor(A).is_regular())
    for seed in range(8):
        X = np.random.default_rng(seed).standard_normal((2000, 10, d)) + 3
        X[..., -1] = X[..., :-1].sum(axis=-1)
        X = X.astype(width.dtype)
        assert not factor(sum(rows.T @ rows for rows in X)), seed
    assert factor(matrix_of_condition(0.1 / rounding_noise(d, width.dtype) / d, d).astype(width.dtype))
