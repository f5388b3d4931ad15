import warnings
from functools import partial

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import optimize
from sklearn.linear_model import LogisticRegression

from jax_course import Status, data, features, logistic
from jax_course.linalg import spd_solve
from tests import references

LOG2 = np.log(2.0)


def status_of(solution):
    return Status(int(solution.status))


def test_values_by_hand():
    """At θ = 0 every π is ½: the cost is 2 log 2, the residuals ∓½, the curvature ¼."""
    theta, X, y = jnp.zeros(2), jnp.array([[1.0, 2.0], [1.0, 4.0]]), jnp.array([0.0, 1.0])
    chex.assert_trees_all_equal(logistic.predict(theta, X), jnp.array([0.5, 0.5]))
    np.testing.assert_allclose(logistic.cost(theta, X, y), 2 * LOG2, rtol=1e-15)
    chex.assert_trees_all_equal(logistic.gradient(theta, X, y), jnp.array([0.0, -1.0]))
    chex.assert_trees_all_equal(logistic.hessian(theta, X, y), jnp.array([[0.5, 1.5], [1.5, 5.0]]))
    v = jnp.array([1.0, -1.0])
    chex.assert_trees_all_equal(logistic.hessian_product(theta, X, y, v), jnp.array([-1.0, -3.5]))
    # At z = log 3, π = ¾: the cost of y = 1 is log 4/3, of y = 0 log 4, and the penalty adds ½ log² 3.
    theta, X = jnp.log(jnp.array([3.0])), jnp.ones((2, 1))
    cost = logistic.cost(theta, X, y, penalty=0.5)
    np.testing.assert_allclose(cost, np.log(16 / 3) + 0.5 * np.log(3) ** 2, rtol=1e-15)
    np.testing.assert_allclose(logistic.gradient(theta, X, y, penalty=0.5), [0.5 + np.log(3)], rtol=1e-15)


def test_sigmoid_and_cost_at_any_logit(precision):
    smallest = float(np.finfo(precision.dtype).tiny)  # smaller numbers are flushed to 0
    close = partial(np.testing.assert_allclose, rtol=20 * np.finfo(precision.dtype).eps, atol=smallest)
    exact = references.LOGITS[precision.dtype(references.LOGITS[:, 0]) == references.LOGITS[:, 0]]
    z = jnp.asarray(exact[:, 0], precision.dtype)
    one = jnp.ones((1, 1), precision.dtype)
    cost_of = [jax.vmap(lambda z, y=y: logistic.cost(z[None], one, jnp.array([y])))(z) for y in (0, 1)]
    for result, expected in zip(
        (logistic.sigmoid(z), logistic.sigmoid_derivative(z), *cost_of), exact.T[1:], strict=True
    ):
        close(result, expected)


def test_derivatives_of_the_activation():
    """Against JAX's own functions, whose rules are independent; 0 is where |z| and max(z, 0) have their kinks."""
    z = jnp.linspace(-30, 30, 61)
    assert z[30] == 0
    for ours, theirs in ((logistic.sigmoid, jax.nn.sigmoid), (logistic.softplus, jax.nn.softplus)):
        np.testing.assert_allclose(jax.vmap(jax.grad(ours))(z), jax.vmap(jax.grad(theirs))(z), rtol=1e-12, atol=1e-15)
    np.testing.assert_allclose(logistic.sigmoid_derivative(z), jax.vmap(jax.grad(jax.nn.sigmoid))(z), atol=1e-15)


def test_autodiff_is_right_at_zero():
    problem = data.two_classes(m=20)
    X, y = features.with_bias(problem.X), problem.y
    zero = jnp.zeros(3)
    np.testing.assert_allclose(jax.grad(logistic.cost)(zero, X, y), logistic.gradient(zero, X, y), rtol=1e-13)
    np.testing.assert_allclose(jax.hessian(logistic.cost)(zero, X, y), X.T @ X / 4, rtol=1e-13)


def test_agrees_with_60_digits():
    solution = logistic.fit(references.SPECTOR_X, references.SPECTOR_Y).check()
    np.testing.assert_allclose(solution.theta, references.SPECTOR_THETA, rtol=1e-13)
    np.testing.assert_allclose(-solution.cost, references.SPECTOR_LOG_LIKELIHOOD, rtol=1e-14)


@pytest.mark.parametrize("penalty", [0.01, 1.0, 100.0])
def test_agrees_with_scikit_learn_and_scipy(penalty):
    """scikit-learn minimises ½‖θ‖² + C Σ …, hence C = 1 / (2 penalty), the bias free."""
    table = data.table("breast_cancer")
    X = features.with_bias(data.standardize(table.X)(table.X))
    weights = jnp.ones(31).at[0].set(0)
    theta = logistic.fit(X, table.y, penalty=penalty * weights).check().theta
    peer = LogisticRegression(C=1 / (2 * penalty), solver="newton-cholesky", tol=1e-12, max_iter=1000)
    peer.fit(X[:, 1:], table.y)
    np.testing.assert_allclose(theta, np.append(peer.intercept_, peer.coef_), rtol=1e-6, atol=1e-8)
    cost, gradient = (partial(f, X=X, y=table.y, penalty=penalty * weights) for f in (logistic.cost, logistic.gradient))
    found = optimize.minimize(jax.jit(cost), np.zeros(31), jac=jax.jit(gradient), method="BFGS", options={"gtol": 1e-9})
    np.testing.assert_allclose(theta, found.x, rtol=1e-5, atol=1e-7)
    assert cost(theta) <= found.fun * (1 + 1e-15)


def test_the_irls_step_is_the_newton_step():
    problem = data.two_classes()
    X, y = features.with_bias(problem.X), problem.y
    theta = jnp.array([0.1, -0.5, 0.7])
    for penalty in (0.0, jnp.array([0.0, 2.0, 5.0])):
        of_theta = {"X": X, "y": y, "penalty": penalty}
        newton_step = spd_solve(logistic.hessian(theta, **of_theta), logistic.gradient(theta, **of_theta)).x
        np.testing.assert_allclose(logistic.irls_step(theta, X, y, penalty=penalty), theta - newton_step, rtol=1e-12)


def test_the_fit_is_where_irls_stands_still():
    problem = data.two_classes()
    X, y = features.with_bias(problem.X), problem.y
    theta = logistic.fit(X, y).check().theta
    np.testing.assert_allclose(logistic.irls_step(theta, X, y), theta, rtol=1e-12)


def test_the_truth_is_found_from_enough_examples():
    problem = data.two_classes(m=200_000)
    theta = logistic.fit(features.with_bias(problem.X), problem.y).check().theta
    np.testing.assert_allclose(theta, problem.theta, atol=0.03)


def test_classes_lie_on_the_two_sides_of_the_plane():
    theta, X = jnp.array([-1.0, 2.0]), jnp.array([[1.0, 0.4], [1.0, 0.6], [1.0, 0.5]])
    chex.assert_trees_all_equal(logistic.predict_class(theta, X), jnp.array([0, 1, 0], jnp.int32))


SEPARABLE = {  # completely, and but for a tie at x = 0
    "complete": ([[1.0, -2.0], [1.0, -1.0], [1.0, 1.0], [1.0, 3.0]], [0, 0, 1, 1]),
    "partial": ([[1.0, -1.0], [1.0, 0.0], [1.0, 0.0], [1.0, 1.0]], [0, 0, 1, 1]),
    "no bias": ([[-2.0], [-1.0], [1.0], [2.0]], [0, 0, 1, 1]),
}


@pytest.mark.parametrize(("X", "y"), SEPARABLE.values(), ids=SEPARABLE.keys())
def test_separable_classes_are_never_called_converged(X, y, width):
    X = jnp.asarray(X, width.dtype)
    solution = logistic.fit(X, y)
    assert status_of(solution) is Status.SEPARABLE
    assert jnp.all(jnp.isfinite(solution.theta))
    with pytest.raises(RuntimeError, match="A penalty > 0 gives a finite minimiser"):
        solution.check()
    logistic.fit(X, y, penalty=1e-3).check()
    free_bias = jnp.asarray([0.0, 1e-3], width.dtype)[-X.shape[1] :]
    logistic.fit(X, y, penalty=free_bias).check()


def test_an_example_far_out_does_not_make_overlapping_classes_separable(width):
    """Newton follows the far example for several steps, with the others far behind, before they stop it."""
    for far in (1e2, 1e3, 1e4):
        solution = logistic.fit(jnp.asarray([[far], [-1.0], [0.5]], width.dtype), [1, 1, 0]).check()
        theta = solution.theta[0]
        expected = np.log(far / 0.75) / far  # far e^(−far θ) ≈ ½ + ½ · ½, what the other two pull with
        np.testing.assert_allclose(theta, expected, rtol=0.02)


def test_overlapping_classes_have_a_minimum():
    X = [[1.0, -1.0], [1.0, 0.5], [1.0, 0.0], [1.0, 1.0]]
    assert status_of(logistic.fit(X, [0, 0, 1, 1])) is Status.CONVERGED


@pytest.mark.parametrize("seed", range(3))
def test_nearly_separable_classes_have_a_minimum_and_separable_ones_none(seed):
    problem = data.separable(m=60, gap=0.2, seed=seed)
    X = features.with_bias(problem.X)
    assert status_of(logistic.fit(X, problem.y)) is Status.SEPARABLE
    one_wrong = problem.y.at[0].set(1 - problem.y[0])
    solution = logistic.fit(X, one_wrong)
    assert status_of(solution) is Status.CONVERGED
    assert solution.gradient_norm < 1e-9


def test_a_penalty_however_small_gives_the_minimum():
    """One example per class at x = ±1: the minimiser solves 2 penalty θ = 2σ(−θ)."""
    for penalty in (1e-2, 1e-6, 1e-10):
        theta = logistic.fit([[-1.0], [1.0]], [0, 1], penalty=penalty).check().theta[0]
        np.testing.assert_allclose(penalty * theta, logistic.sigmoid(-theta), rtol=1e-6)


def test_dependent_columns_give_the_least_norm_and_say_so():
    problem = data.two_classes()
    X = features.with_bias(problem.X)
    twice = logistic.fit(jnp.concatenate([X, X[:, 1:2]], axis=1), problem.y).check()
    once = logistic.fit(X, problem.y).check()
    assert status_of(twice) is Status.RANK_DEFICIENT
    np.testing.assert_allclose(twice.theta[jnp.array([1, 3])], once.theta[1] / 2, rtol=1e-9)
    np.testing.assert_allclose(twice.cost, once.cost, rtol=1e-13)


def test_a_penalty_decides_between_dependent_columns_where_there_is_one():
    """Columns a, a, b, b with a penalty on the second a only: it ends at 0, and the two b share evenly."""
    X = data.two_classes().X
    X, y = X[:, jnp.array([0, 0, 1, 1])], data.two_classes().y
    theta = logistic.fit(X, y, penalty=jnp.array([0.0, 1.0, 0.0, 0.0])).check().theta
    np.testing.assert_allclose(theta[1], 0.0, atol=1e-9)
    np.testing.assert_allclose(theta[2], theta[3], rtol=1e-9)
    np.testing.assert_allclose(theta[0], logistic.fit(X[:, 1:3], y).theta[0], rtol=1e-9)


def test_the_gradient_norm_is_1e_10_of_that_at_the_start_on_raw_columns():
    table = data.table("breast_cancer")
    X = features.with_bias(table.X)  # from 1e-3 to 4e3
    solution = logistic.fit(X, table.y, penalty=1e-3).check()
    assert solution.gradient_norm <= 1e-10 * jnp.linalg.norm(logistic.gradient(jnp.zeros(31), X, table.y))
    assert solution.steps < 30


@given(st.sampled_from([(5, 6), (40, 3)]), st.floats(-4, 4), st.sampled_from(["f4", "f8"]), st.integers(0, 99))
@settings(max_examples=25, deadline=None)
def test_any_shape_scale_and_dtype(shape, exponent, dtype, seed):
    m, d = shape
    rng = np.random.default_rng(seed)
    X = (rng.standard_normal((m, d)) * 10.0**exponent).astype(dtype)
    y = np.arange(m) % 2
    solution = logistic.fit(X, y, penalty=10.0 ** (exponent - 1))
    assert solution.theta.dtype == dtype
    assert status_of(solution) is Status.CONVERGED
    assert float(solution.cost) <= m * LOG2 * (1 + 1e-6)
    free = logistic.fit(X, y)
    assert status_of(free) in (Status.CONVERGED, Status.SEPARABLE, Status.RANK_DEFICIENT)


@pytest.mark.parametrize(
    ("y", "message"),
    [
        ([0, 1, 2, 1], "labels 0 and 1; got 0, 1, 2"),
        ([-1, 1, 1, -1], "labels 0 and 1; got -1, 1"),
        ([0.0, 1.0, 0.5, 1.0], "labels 0 and 1; got 0.0, 0.5, 1.0"),
        ([0.0, 1.0, np.nan, 1.0], "labels 0 and 1; got 0.0, 1.0, nan"),
        ([1, 1, 1, 1], "at least two classes; all are 1"),
    ],
)
def test_labels_that_are_none_are_refused(y, message):
    with pytest.raises(ValueError, match=message):
        logistic.fit(np.eye(4), np.array(y))


def test_labels_of_any_number_type_mean_the_same():
    problem = data.two_classes(m=30)
    expected = logistic.fit(problem.X, problem.y).theta
    for y in (np.asarray(problem.y, bool), np.asarray(problem.y, float), list(map(int, problem.y))):
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            chex.assert_trees_all_equal(logistic.fit(problem.X, y).theta, expected)
