from functools import partial

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import optimize
from sklearn.linear_model import LogisticRegression

from jax_course import Status, data, features, logistic, softmax
from tests import references

LOG3 = np.log(3.0)


def status_of(solution):
    return Status(int(solution.status))


def three_classes():
    problem = data.three_classes()
    return features.with_bias(problem.X), problem.y


def test_values_by_hand():
    """At θ = 0 every π is 1/3; the Hessian's blocks are Σ x xᵀ times 2/9 on the diagonal and −1/9 off it."""
    theta, X, y = jnp.zeros((2, 3)), jnp.array([[1.0, 3.0], [1.0, 6.0]]), jnp.array([0, 2])
    np.testing.assert_allclose(softmax.predict(theta, X), np.full((2, 3), 1 / 3), rtol=1e-15)
    np.testing.assert_allclose(softmax.cost(theta, X, y), 2 * LOG3, rtol=1e-15)
    # Residuals (−2, 1, 1)/3 and (1, 1, −2)/3, weighted with 1 and 1, then with 3 and 6.
    expected = [[-1 / 3, 2 / 3, -1 / 3], [0.0, 3.0, -3.0]]
    np.testing.assert_allclose(softmax.gradient(theta, X, y), expected, atol=1e-15)
    gram, blocks = np.array([[2.0, 9.0], [9.0, 45.0]]), np.full((3, 3), -1 / 9) + np.eye(3) / 3
    np.testing.assert_allclose(softmax.hessian(theta, X, y), np.einsum("jl,kn->jkln", gram, blocks), rtol=1e-14)
    # Logits log 1, log 2, log 5: π = 1/8, 2/8, 5/8.
    theta, X = jnp.log(jnp.array([[1.0, 2.0, 5.0]])), jnp.ones((1, 1))
    np.testing.assert_allclose(softmax.predict(theta, X), [[0.125, 0.25, 0.625]], rtol=1e-15)
    np.testing.assert_allclose(softmax.cost(theta, X, jnp.array([1])), np.log(4), rtol=1e-15)
    np.testing.assert_allclose(softmax.gradient(theta, X, jnp.array([1])), [[0.125, -0.75, 0.625]], rtol=1e-15)


def test_the_hessian_is_the_literal_one():
    X, y = three_classes()
    theta = jnp.asarray(np.random.default_rng(0).standard_normal((3, 3)))
    pi = softmax.predict(theta, X)
    weights = pi[:, :, None] * (jnp.eye(3)[None] - pi[:, None, :])
    literal = jnp.einsum("ikn,ij,il->jkln", weights, X, X)
    np.testing.assert_allclose(softmax.hessian(theta, X, y), literal, atol=1e-12 * float(jnp.max(literal)))


LOGITS = [  # logits, and −log π of each class at 25 digits
    ([1000.0, 999.0, 998.0], [0.4076059644443804, 1.4076059644443804, 2.4076059644443804]),
    ([10000.0, -10000.0], [0.0, 20000.0]),
    ([-10000.0, -10000.0, -10001.0], [0.8619948040582511, 0.8619948040582511, 1.861994804058251]),
    ([0.0, -36.0, -37.0, -745.0], [3.1728275928179755e-16, 36.0, 37.0, 745.0]),
]


@pytest.mark.parametrize(("z", "minus_log_pi"), LOGITS)
def test_cost_at_any_logits(z, minus_log_pi, precision):
    theta, one = jnp.asarray([z], precision.dtype), jnp.ones((1, 1), precision.dtype)
    parts = softmax.cost, softmax.gradient, softmax.hessian
    of_each_class = jax.jit(jax.vmap(lambda y: [part(theta, one, y) for part in parts]))
    cost, gradient, hessian = of_each_class(jnp.arange(len(z))[:, None])
    np.testing.assert_allclose(cost, minus_log_pi, rtol=4 * np.finfo(precision.dtype).eps)
    assert jnp.all(jnp.isfinite(gradient))
    assert jnp.all(jnp.isfinite(hessian))


def test_two_classes_are_logistic_regression():
    """θ = θ₂ − θ₁. Course 9.3."""
    problem = data.two_classes()
    X, y = features.with_bias(problem.X), problem.y
    pair = jnp.asarray(np.random.default_rng(0).standard_normal((3, 2)))
    theta = pair[:, 1] - pair[:, 0]
    np.testing.assert_allclose(softmax.predict(pair, X)[:, 1], logistic.predict(theta, X), rtol=1e-13)
    np.testing.assert_allclose(softmax.cost(pair, X, y), logistic.cost(theta, X, y), rtol=1e-14)
    np.testing.assert_allclose(softmax.gradient(pair, X, y)[:, 1], logistic.gradient(theta, X, y), rtol=1e-11)
    np.testing.assert_allclose(softmax.hessian(pair, X, y)[:, 1, :, 1], logistic.hessian(theta, X, y), rtol=1e-12)
    fitted = softmax.fit(X, y).check().theta
    np.testing.assert_allclose(fitted[:, 1] - fitted[:, 0], logistic.fit(X, y).check().theta, rtol=1e-11)


def test_agrees_with_50_digits():
    table = data.table("iris")
    X = jnp.concatenate([table.X, jnp.ones((150, 1))], axis=1)
    solution = softmax.fit(X, table.y, penalty=jnp.array([[0.5], [0.5], [0.5], [0.5], [0.0]])).check()
    np.testing.assert_allclose(solution.theta, references.IRIS_SOFTMAX_THETA, rtol=1e-12)
    np.testing.assert_allclose(solution.cost, references.IRIS_SOFTMAX_COST, rtol=1e-14)


@pytest.mark.parametrize("name", ["iris"])
def test_agrees_with_scikit_learn_and_scipy(name):
    table = data.table(name)
    X = features.with_bias(data.standardize(table.X)(table.X))
    weights = jnp.ones((X.shape[1], 1)).at[0].set(0)
    theta = softmax.fit(X, table.y, penalty=0.5 * weights).check().theta
    peer = LogisticRegression(C=1.0, solver="lbfgs", tol=1e-12, max_iter=10_000).fit(X[:, 1:], table.y)
    expected = np.concatenate([peer.intercept_[None], peer.coef_.T])
    np.testing.assert_allclose(theta, expected - expected.mean(axis=1, keepdims=True), atol=2e-5)
    cost = partial(softmax.cost, X=X, y=table.y, penalty=0.5 * weights)
    found = optimize.minimize(
        jax.jit(lambda flat: cost(flat.reshape(theta.shape))),
        np.zeros(theta.size),
        jac=jax.jit(jax.grad(lambda flat: cost(flat.reshape(theta.shape)))),
        method="L-BFGS-B",
        options={"ftol": 1e-15, "gtol": 1e-8, "maxiter": 2000},
    )
    np.testing.assert_allclose(theta, found.x.reshape(theta.shape), atol=1e-5)


def test_without_a_penalty_the_least_norm_is_chosen_on_purpose():
    X, y = three_classes()
    theta = softmax.fit(X, y).check().theta
    np.testing.assert_allclose(theta.sum(axis=1), np.zeros(3), atol=1e-12)
    shifted = theta + jnp.array([[1.0], [-2.0], [3.0]])
    np.testing.assert_allclose(softmax.cost(shifted, X, y), softmax.cost(theta, X, y), rtol=1e-14)
    flat = jnp.tile(jnp.array([[1.0], [-2.0], [3.0]]), (1, 3))
    np.testing.assert_allclose(softmax.hessian_product(theta, X, y, flat), np.zeros((3, 3)), atol=1e-10)
    assert jnp.linalg.norm(theta) < jnp.linalg.norm(shifted)


def test_dependent_columns_give_the_least_norm_and_say_so():
    X, y = three_classes()
    twice = softmax.fit(jnp.concatenate([X, X[:, 2:]], axis=1), y).check()
    assert status_of(twice) is Status.RANK_DEFICIENT
    np.testing.assert_allclose(twice.theta[2], softmax.fit(X, y).theta[2] / 2, rtol=1e-9)
    np.testing.assert_allclose(twice.theta[2], twice.theta[3], rtol=1e-12)


def test_separable_classes_are_never_called_converged(width):
    x = jnp.asarray([[-3.0], [-2.0], [0.0], [0.5], [2.0], [3.0]], width.dtype)
    X, y = features.with_bias(x), jnp.array([0, 0, 1, 1, 2, 2])
    assert status_of(softmax.fit(X, y)) is Status.SEPARABLE
    partly = softmax.fit(X, jnp.array([0, 0, 1, 2, 1, 2]))  # class 0 is separable from the others, which overlap
    assert status_of(partly) is Status.SEPARABLE
    softmax.fit(X, y, penalty=1e-3).check()
    absent = softmax.fit(X, jnp.array([0, 1, 0, 1, 0, 1]), classes=3)  # a class without examples drifts away
    assert status_of(absent) is Status.SEPARABLE


def test_real_tables_are_told_apart():
    iris = data.table("iris")
    assert status_of(softmax.fit(features.with_bias(iris.X), iris.y)) is Status.SEPARABLE
    two_of_them = softmax.fit(features.with_bias(iris.X[50:]), iris.y[50:] - 1)
    assert status_of(two_of_them) is Status.CONVERGED


def test_digits_are_fitted_to_a_tiny_gradient():
    table = data.table("digits")
    X = features.with_bias(data.standardize(table.X)(table.X))
    solution = softmax.fit(X, table.y, penalty=1.0).check()
    start = jnp.linalg.norm(softmax.gradient(jnp.zeros_like(solution.theta), X, table.y))
    assert solution.gradient_norm <= 1e-10 * start
    assert jnp.mean(softmax.predict_class(solution.theta, X) == table.y) > 0.98


@pytest.mark.parametrize(
    ("y", "error", "message"),
    [
        ([0, 1, 5, 1], ValueError, "class numbers 0…2; got 0, 1, 5"),
        ([0, 1, -1, 1], ValueError, "class numbers 0…2; got -1, 0, 1"),
        ([2, 2, 2, 2], ValueError, "at least two classes; all are 2"),
        ([0.0, 1.0, 2.0, 1.0], TypeError, "integers; got float64"),
    ],
)
def test_labels_that_are_none_are_refused(y, error, message):
    with pytest.raises(error, match=message):
        softmax.fit(np.eye(4), np.array(y), classes=3)


def test_the_number_of_classes_comes_from_the_labels_or_must_be_given():
    X, y = three_classes()
    chex.assert_shape(softmax.fit(X, y, penalty=1.0).theta, (3, 3))
    chex.assert_shape(softmax.fit(X, y, classes=5, penalty=1.0).theta, (3, 5))
    with pytest.raises(ValueError, match="inside jit the number of classes must be given"):
        jax.jit(softmax.fit)(X, y)


def test_theta_of_one_class_is_refused():
    with pytest.raises(ValueError, match=r"theta must have shape .* K ≥ 2 classes"):
        softmax.cost(jnp.zeros((3, 1)), *three_classes())


def test_a_class_number_beyond_K_is_not_silent():
    X, y = three_classes()
    assert jnp.isnan(softmax.cost(jnp.zeros((3, 2)), X, y))
