import jax
import jax.numpy as jnp
import numpy as np
import pytest
from sklearn.linear_model import LinearRegression

from jax_course import Status, data, linear, ridge


def test_values_by_hand():
    """Two examples, (x₀, x₁) = (1, 1) and (1, 2), y = 3 and 7; θ = (1, 2) leaves the residuals 0 and −2."""
    theta, X, y = np.array([1.0, 2.0]), np.array([[1.0, 1.0], [1.0, 2.0]]), np.array([3.0, 7.0])

    @jax.jit
    def values(theta, X, y, v):
        verbs = linear.cost, linear.gradient, linear.hessian
        derivatives = [verb(theta, X, y) for verb in verbs]
        return [linear.predict(theta, X), *derivatives, linear.hessian_product(theta, X, y, v)]

    expected = [3.0, 5.0], 4.0, [-4.0, -8.0], [[4.0, 6.0], [6.0, 10.0]], [-2.0, -4.0]
    for value, hand in zip(values(theta, X, y, np.array([1.0, -1.0])), expected, strict=True):
        np.testing.assert_array_equal(value, hand)
    np.testing.assert_allclose(linear.fit(X, y).theta, [-1.0, 4.0], rtol=1e-14)


def test_agrees_with_scikit_learn_and_numpy():
    table = data.table("diabetes")
    X, y = np.insert(np.asarray(table.X), 0, 1, axis=1), np.asarray(table.y)
    theta = linear.fit(X, y).check().theta
    peer = LinearRegression().fit(table.X, table.y)
    np.testing.assert_allclose(theta, np.append(peer.intercept_, peer.coef_), rtol=1e-11)
    np.testing.assert_allclose(theta, np.linalg.lstsq(X, y)[0], rtol=1e-11)


def test_the_truth_is_found_where_there_is_no_noise():
    for problem in (data.line(noise=0.0), data.plane(noise=0.0)):
        theta = linear.fit(np.insert(np.asarray(problem.X), 0, 1, axis=1), problem.y).check().theta
        np.testing.assert_allclose(theta, problem.theta, rtol=1e-13)


def test_scaling_a_column_scales_its_parameter():
    X, y = map(np.asarray, data.plane()[:2])
    unit = np.array([1e-6, 1e9])
    np.testing.assert_allclose(np.asarray(linear.fit(X * unit, y).theta) * unit, linear.fit(X, y).theta, rtol=1e-13)


def test_is_ridge_without_a_penalty():
    X, y = map(np.asarray, data.plane()[:2])

    @jax.jit
    def both(theta, X, y):
        pairs = (ridge.cost, linear.cost), (ridge.gradient, linear.gradient)
        return [(general(theta, X, y, penalty=0.0), special(theta, X, y)) for general, special in pairs]

    for general, special in both(np.array([0.3, -1.0]), X, y):
        np.testing.assert_array_equal(general, special)
    np.testing.assert_allclose(ridge.fit(X, y, penalty=0.0).theta, linear.fit(X, y).theta, rtol=1e-14)


def test_more_features_than_examples_gives_the_least_norm_and_says_so():
    X, y = np.random.default_rng(0).standard_normal((4, 9)), np.arange(4.0)
    solution = linear.fit(X, y).check()
    assert Status(int(solution.status)) is Status.RANK_DEFICIENT
    assert "smallest norm" in str(solution)
    np.testing.assert_allclose(solution.theta, np.linalg.pinv(X) @ y, rtol=1e-10)
    assert float(solution.cost) < 1e-25


def test_several_targets_by_vmap():
    X, y = map(np.asarray, data.plane()[:2])
    Y = np.stack([y, 2 * y], axis=1)
    theta = np.asarray(jax.jit(jax.vmap(linear.fit, in_axes=(None, 1)))(X, Y).theta)
    np.testing.assert_allclose(theta[1], 2 * theta[0], rtol=1e-12)


def test_whole_numbers_as_targets_are_taken_for_what_they_are():
    X = data.line().X
    y = np.arange(len(X))
    np.testing.assert_allclose(linear.fit(X, y).theta, linear.fit(X, y.astype(float)).theta)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_targets_that_are_not_finite_are_refused(bad):
    X, y = map(np.array, data.line()[:2])
    y[3] = bad
    with pytest.raises(ValueError, match=r"y must be finite; y\[3\] is"):
        linear.fit(X, y)


def test_lists_are_data_too():
    assert np.asarray(linear.fit([[1.0], [2.0]], [2, 4]).theta) == 2
    with pytest.raises(TypeError, match="X must hold floating-point numbers; got int"):
        linear.fit([[1], [2]], [2, 4])
    with pytest.raises(TypeError, match="float32 or float64"):
        linear.fit(np.ones((3, 1), jnp.bfloat16), np.ones(3))
