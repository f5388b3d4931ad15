import jax
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import Ridge

from jax_course import Status, data, linalg, ridge
from tests import references


def diabetes():
    table = data.table("diabetes")
    return np.insert(np.asarray(table.X), 0, 1, axis=1), np.asarray(table.y), np.append(0.0, np.ones(10))


def test_values_by_hand():
    theta, X, y = np.array([1.0, 2.0]), np.array([[1.0, 1.0], [1.0, 2.0]]), np.array([3.0, 7.0])
    v, free_bias = np.array([1.0, -1.0]), np.array([0.0, 0.5])

    @jax.jit
    def values(theta, X, y, v):
        return [
            ridge.cost(theta, X, y, penalty=free_bias),
            ridge.gradient(theta, X, y, penalty=free_bias),
            ridge.hessian(theta, X, y, penalty=0.5),
            ridge.hessian_product(theta, X, y, v, penalty=0.5),
        ]

    expected = 6.0, [-4.0, -6.0], [[5.0, 6.0], [6.0, 11.0]], [-1.0, -5.0]
    for value, hand in zip(values(theta, X, y, v), expected, strict=True):
        np.testing.assert_array_equal(value, hand)
    # (XᵀX + I)θ = Xᵀy: [[3, 3], [3, 6]] θ = [10, 17]
    np.testing.assert_allclose(ridge.fit(X, y, penalty=1.0).theta, [1.0, 7 / 3], rtol=1e-14)


@pytest.mark.parametrize("delta2", references.DIABETES_RIDGE)
def test_agrees_with_25_digits_and_with_scikit_learn(delta2):
    X, y, weights = diabetes()
    theta = ridge.fit(X, y, penalty=delta2 * weights).check().theta
    expected = references.DIABETES_RIDGE[delta2]
    np.testing.assert_allclose(np.roll(theta, -1), expected, rtol=1e-12)
    peer = Ridge(alpha=delta2).fit(X[:, 1:], y)
    np.testing.assert_allclose(theta, np.append(peer.intercept_, peer.coef_), rtol=1e-9)


@pytest.mark.parametrize("weights", [1.0, np.array([0.0] + [1.0] * 10), np.arange(11.0)])
def test_the_path_is_a_fit_for_every_penalty(weights):
    X, y, _ = diabetes()
    penalties = np.logspace(-8, 8, 9)
    thetas = np.asarray(ridge.path(X, y, penalties, factors=weights))
    for delta2, theta in zip(penalties, thetas, strict=True):
        expected = np.asarray(ridge.fit(X, y, penalty=delta2 * weights).theta)
        scale = np.max(np.abs(expected[1:]))
        np.testing.assert_allclose(theta[1:], expected[1:], rtol=1e-8, atol=1e-10 * scale)


def test_the_path_of_a_wide_design():
    rng = np.random.default_rng(0)
    X, y = rng.standard_normal((5, 12)), rng.standard_normal(5)
    for delta2, theta in zip((0.1, 10.0), np.asarray(ridge.path(X, y, [0.1, 10.0])), strict=True):
        np.testing.assert_allclose(theta, ridge.fit(X, y, penalty=delta2).theta, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("scales", [(1, 1, 1, 1), (1, 1e4, 1e-4, 1), (0, 0, 0, 0)])
def test_the_path_keeps_its_digits_in_other_units_and_with_dependent_columns(scales):
    random = np.random.default_rng(0)
    X = random.standard_normal((30, 4)) * np.array(scales)
    X, y = np.concatenate([X, X[:, :1]], axis=1), random.standard_normal(30)
    penalties = np.array([1e-3, 1.0, 1e6])
    for delta2, theta in zip(penalties, np.asarray(ridge.path(X, y, penalties)), strict=True):
        np.testing.assert_allclose(theta, ridge.fit(X, y, penalty=delta2).theta, rtol=1e-9)


def test_a_penalty_near_rounding_still_decides_between_equal_columns():
    a, y = np.random.default_rng(0).standard_normal((2, 30))
    theta = ridge.fit(np.stack([a, a], axis=1), y, penalty=1e-18).check().theta
    np.testing.assert_allclose(theta, np.full(2, a @ y / (a @ a) / 2), rtol=1e-7)


def test_the_path_refuses_what_is_not_a_list_of_penalties():
    X, y = data.line()[:2]
    with pytest.raises(ValueError, match=r"penalties must have shape \(n,\), at least one; got shape \(\)"):
        ridge.path(X, y, 1.0)
    with pytest.raises(ValueError, match="penalties must be finite and at least 0; got -1"):
        ridge.path(X, y, [1.0, -1.0])


def test_the_constrained_form_has_the_same_solution():
    """Course 6.1: the minimiser is the best of all θ with θᵀθ ≤ t, where t is its own θᵀθ."""
    X, y = map(np.asarray, data.plane()[:2])
    theta = np.asarray(ridge.fit(X, y, penalty=20.0).theta)
    angles = np.linspace(0, 2 * np.pi, 2000)[::50]
    on_the_circle = np.linalg.norm(theta) * np.stack([np.cos(angles), np.sin(angles)])
    costs = np.sum((y[:, None] - X @ on_the_circle) ** 2, axis=0)
    assert np.min(costs) >= np.sum((y - X @ theta) ** 2)
    # The gradients of both quadratic forms are parallel there: the ellipse touches the circle.
    np.testing.assert_allclose(2 * X.T @ (X @ theta - y), -2 * 20.0 * theta, rtol=1e-12)


def test_a_penalty_makes_any_design_determined():
    X = np.ones((3, 5))
    solution = ridge.fit(X, np.array([1.0, 2.0, 3.0]), penalty=1e-6)
    assert Status(int(solution.status)) is Status.CONVERGED
    assert Status(int(ridge.fit(X, np.arange(3.0), penalty=0.0).status)) is Status.RANK_DEFICIENT
    np.testing.assert_allclose(solution.theta, 6 / (15 + 1e-6), rtol=1e-9)


@given(st.sampled_from([(1, 1), (1, 5), (9, 2), (12, 8)]), st.floats(-6, 6), st.integers(0, 1000))
@settings(max_examples=30, deadline=None)
def test_any_shape_and_penalty(shape, exponent, seed):
    """The fit solves (XᵀX + δ²I)θ = Xᵀy, and never has a larger norm than with half the penalty."""
    m, d = shape
    rng = np.random.default_rng(seed)
    X, y, delta2 = rng.standard_normal((m, d)), rng.standard_normal(m), 10.0**exponent
    theta = np.asarray(ridge.fit(X, y, penalty=delta2).check().theta)
    normal = X.T @ X + delta2 * np.eye(d)
    scale = np.linalg.norm(normal, 2) * np.linalg.norm(theta) + np.linalg.norm(X.T @ y)
    assert np.linalg.norm(normal @ theta - X.T @ y) <= 1e-12 * scale
    assert np.linalg.norm(theta) <= np.linalg.norm(ridge.fit(X, y, penalty=delta2 / 2).theta) * (1 + 1e-9)


def test_the_fit_does_not_form_the_gram_matrix():
    """With a tiny penalty the condition number is that of X, not its square."""
    X = np.linspace(0, 1, 30)[:, None] ** np.arange(9.0)
    y = X @ np.ones(9)
    gram_solution = jax.jit(linalg.spd_solve)(X.T @ X, X.T @ y).x
    assert np.max(np.abs(np.asarray(ridge.fit(X, y, penalty=1e-24).theta) - 1)) < 1e-8
    assert np.max(np.abs(np.asarray(gram_solution) - 1)) > 1e-8
