import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from sklearn.linear_model import LinearRegression

from jax_course import Status, data, features, linear, ridge


def test_values_by_hand():
    """Two examples, (x₀, x₁) = (1, 1) and (1, 2), y = 3 and 7; θ = (1, 2) leaves the residuals 0 and −2."""
    theta, X, y = jnp.array([1.0, 2.0]), jnp.array([[1.0, 1.0], [1.0, 2.0]]), jnp.array([3.0, 7.0])
    chex.assert_trees_all_equal(linear.predict(theta, X), jnp.array([3.0, 5.0]))
    assert linear.cost(theta, X, y) == 4
    chex.assert_trees_all_equal(linear.gradient(theta, X, y), jnp.array([-4.0, -8.0]))
    chex.assert_trees_all_equal(linear.hessian(theta, X, y), jnp.array([[4.0, 6.0], [6.0, 10.0]]))
    chex.assert_trees_all_equal(linear.hessian_product(theta, X, y, jnp.array([1.0, -1.0])), jnp.array([-2.0, -4.0]))
    chex.assert_trees_all_close(linear.fit(X, y).theta, jnp.array([-1.0, 4.0]), rtol=1e-14)


def test_agrees_with_scikit_learn_and_numpy():
    table = data.table("diabetes")
    theta = linear.fit(features.with_bias(table.X), table.y).check().theta
    peer = LinearRegression().fit(table.X, table.y)
    np.testing.assert_allclose(theta, np.append(peer.intercept_, peer.coef_), rtol=1e-11)
    np.testing.assert_allclose(theta, np.linalg.lstsq(features.with_bias(table.X), table.y)[0], rtol=1e-11)


def test_the_truth_is_found_where_there_is_no_noise():
    for problem in (data.line(noise=0.0), data.plane(noise=0.0)):
        theta = linear.fit(features.with_bias(problem.X), problem.y).check().theta
        np.testing.assert_allclose(theta, problem.theta, rtol=1e-13)


def test_scaling_a_column_scales_its_parameter():
    _, X, y = jnp.zeros(0), *data.plane()[:2]
    unit = jnp.array([[1e-6, 1e9]])
    np.testing.assert_allclose(linear.fit(X * unit, y).theta * unit[0], linear.fit(X, y).theta, rtol=1e-13)


def test_is_ridge_without_a_penalty():
    X, y = features.with_bias(data.plane().X), data.plane().y
    theta = jnp.array([0.3, -1.0, 2.0])
    chex.assert_trees_all_equal(ridge.cost(theta, X, y, penalty=0.0), linear.cost(theta, X, y))
    chex.assert_trees_all_equal(ridge.gradient(theta, X, y, penalty=0.0), linear.gradient(theta, X, y))
    np.testing.assert_allclose(ridge.fit(X, y, penalty=0.0).theta, linear.fit(X, y).theta, rtol=1e-14)


def test_more_features_than_examples_gives_the_least_norm_and_says_so():
    X, y = np.random.default_rng(0).standard_normal((4, 9)), np.arange(4.0)
    solution = linear.fit(X, y).check()
    assert Status(int(solution.status)) is Status.RANK_DEFICIENT
    assert "smallest norm" in str(solution)
    np.testing.assert_allclose(solution.theta, np.linalg.pinv(X) @ y, rtol=1e-10)
    assert solution.cost < 1e-25


def test_several_targets_by_vmap():
    X, y = data.plane()[:2]
    Y = jnp.stack([y, 2 * y], axis=1)
    theta = jax.vmap(linear.fit, in_axes=(None, 1))(X, Y).theta
    np.testing.assert_allclose(theta[1], 2 * theta[0], rtol=1e-12)


def test_whole_numbers_as_targets_are_taken_for_what_they_are():
    X = data.line().X
    y = jnp.arange(len(X))
    np.testing.assert_allclose(linear.fit(X, y).theta, linear.fit(X, y.astype(float)).theta)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_targets_that_are_not_finite_are_refused(bad):
    X, y = data.line()[:2]
    with pytest.raises(ValueError, match=r"y must be finite; y\[3\] is"):
        linear.fit(X, y.at[3].set(bad))


def test_lists_are_data_too():
    assert linear.fit([[1.0], [2.0]], [2, 4]).theta[0] == 2
    with pytest.raises(TypeError, match="X must hold floating-point numbers; got int"):
        linear.fit([[1], [2]], [2, 4])
    with pytest.raises(TypeError, match="float32 or float64"):
        linear.fit(jnp.ones((3, 1), jnp.bfloat16), jnp.ones(3))
