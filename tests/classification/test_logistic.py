import warnings
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import optimize
from sklearn.linear_model import LogisticRegression

from jax_course import Status, data, logistic
from tests import references
from tests.cases import PRECISIONS
from tests.classification import literal

LOG2 = np.log(2.0)
M = 48  # examples in most fits here, of three columns: they share their programs
SIGNS = np.stack([np.repeat([1.0, 1.0, -1.0, -1.0], M // 4), np.repeat([1.0, -1.0, 1.0, -1.0], M // 4)], axis=1)

cost, gradient, irls_step = map(jax.jit, (logistic.cost, logistic.gradient, logistic.irls_step))


def status_of(solution):
    return Status(int(solution.status))


def with_bias(X):
    return np.column_stack([np.ones(len(X)), X])


def two_classes(m=M):
    problem = data.two_classes(m=m)
    return with_bias(problem.X), np.asarray(problem.y)


def often(X, y):
    """A few examples, each M / len(X) times, beside columns of ±1 that tell nothing of the classes."""
    times, d = M // len(X), len(X[0])
    return np.concatenate([np.tile(X, (times, 1)), SIGNS[:, : 3 - d]], axis=1), np.tile(y, times)


def test_values_by_hand():
    """At θ = 0 every π is ½: the cost is 2 log 2, the residuals ∓½, the curvature ¼."""
    theta, X, y, v = np.zeros(2), np.array([[1.0, 2.0], [1.0, 4.0]]), np.array([0.0, 1.0]), np.array([1.0, -1.0])
    of_theta = jax.jit(lambda *of: [f(*of) for f in (logistic.cost, logistic.gradient, logistic.hessian)])
    cost_at_0, gradient_at_0, hessian = of_theta(theta, X, y)
    np.testing.assert_allclose(cost_at_0, 2 * LOG2, rtol=1e-15)
    np.testing.assert_array_equal(gradient_at_0, [0.0, -1.0])
    np.testing.assert_array_equal(hessian, [[0.5, 1.5], [1.5, 5.0]])
    np.testing.assert_array_equal(jax.jit(logistic.predict)(theta, X), [0.5, 0.5])
    np.testing.assert_array_equal(jax.jit(logistic.hessian_product)(theta, X, y, v), [-1.0, -3.5])
    # At z = log 3, π = ¾: the cost of y = 1 is log 4/3, of y = 0 log 4, and the penalty adds ½ log² 3.
    theta, X = np.log([3.0]), np.ones((2, 1))
    np.testing.assert_allclose(cost(theta, X, y, penalty=0.5), np.log(16 / 3) + 0.5 * np.log(3) ** 2, rtol=1e-15)
    np.testing.assert_allclose(gradient(theta, X, y, penalty=0.5), [0.5 + np.log(3)], rtol=1e-15)


def test_sigmoid_and_cost_at_any_logit(precision):
    smallest = float(np.finfo(precision.dtype).tiny)  # smaller numbers are flushed to 0
    exact = references.LOGITS[precision.dtype(references.LOGITS[:, 0]) == references.LOGITS[:, 0]]

    @jax.jit
    def values(z):
        one = jnp.ones((1, 1), z.dtype)
        costs = [jax.vmap(lambda z, y=y: logistic.cost(z[None], one, np.array([y])))(z) for y in (0, 1)]
        return logistic.sigmoid(z), logistic.sigmoid_derivative(z), *costs

    for result, expected in zip(values(exact[:, 0].astype(precision.dtype)), exact.T[1:], strict=True):
        assert result.dtype == precision.dtype
        np.testing.assert_allclose(result, expected, rtol=20 * np.finfo(precision.dtype).eps, atol=smallest)


def test_derivatives_of_the_activation():
    """Against JAX's own functions, whose rules are independent; 0 is where |z| and max(z, 0) have their kinks."""
    z = np.linspace(-30, 30, 61)
    assert z[30] == 0
    functions = logistic.sigmoid, jax.nn.sigmoid, logistic.softplus, jax.nn.softplus
    ours, theirs, our_softplus, their_softplus, by_hand = jax.jit(
        lambda z: (*(jax.vmap(jax.grad(f))(z) for f in functions), logistic.sigmoid_derivative(z))
    )(z)
    np.testing.assert_allclose(ours, theirs, rtol=1e-12, atol=1e-15)
    np.testing.assert_allclose(our_softplus, their_softplus, rtol=1e-12, atol=1e-15)
    np.testing.assert_allclose(by_hand, theirs, atol=1e-15)


def test_autodiff_is_right_at_zero():
    X, y = two_classes(m=20)
    first, second, by_hand = jax.jit(
        lambda *of: (jax.grad(logistic.cost)(*of), jax.hessian(logistic.cost)(*of), logistic.gradient(*of))
    )(np.zeros(3), X, y)
    np.testing.assert_allclose(first, by_hand, rtol=1e-13)
    np.testing.assert_allclose(second, X.T @ X / 4, rtol=1e-13)


def test_agrees_with_60_digits():
    solution = logistic.fit(references.SPECTOR_X, references.SPECTOR_Y).check()
    np.testing.assert_allclose(solution.theta, references.SPECTOR_THETA, rtol=1e-13)
    np.testing.assert_allclose(-solution.cost, references.SPECTOR_LOG_LIKELIHOOD, rtol=1e-14)


@pytest.mark.parametrize("penalty", [0.01, 1.0, 100.0])
def test_agrees_with_scikit_learn_and_scipy(penalty):
    """scikit-learn minimises ½‖θ‖² + C Σ …, hence C = 1 / (2 penalty), the bias free."""
    table = data.table("breast_cancer")
    X, y = np.asarray(table.X), np.asarray(table.y)
    X, penalties = with_bias((X - X.mean(axis=0)) / X.std(axis=0)), penalty * (np.arange(31) > 0)
    theta = np.asarray(logistic.fit(X, y, penalty=penalties).check().theta)
    peer = LogisticRegression(C=1 / (2 * penalty), solver="newton-cholesky", tol=1e-12, max_iter=1000)
    peer.fit(X[:, 1:], y)
    np.testing.assert_allclose(theta, np.append(peer.intercept_, peer.coef_), rtol=1e-6, atol=1e-8)
    of_theta, jac = (partial(f, X=jnp.asarray(X), y=table.y, penalty=penalties) for f in (cost, gradient))
    found = optimize.minimize(of_theta, np.zeros(31), jac=jac, method="BFGS", options={"gtol": 1e-9})
    np.testing.assert_allclose(theta, found.x, rtol=1e-5, atol=1e-7)
    assert float(of_theta(theta)) <= found.fun * (1 + 1e-15)


def test_the_irls_step_is_the_newton_step():
    X, y = two_classes()
    theta = np.array([0.1, -0.5, 0.7])
    for penalty in (np.zeros(3), np.array([0.0, 2.0, 5.0])):
        newton_step = np.linalg.solve(literal.hessian(theta, X, penalty), literal.gradient(theta, X, y, penalty))
        np.testing.assert_allclose(irls_step(theta, X, y, penalty=penalty), theta - newton_step, rtol=1e-12)


def test_the_fit_is_where_irls_stands_still():
    X, y = two_classes()
    theta = np.asarray(logistic.fit(X, y).check().theta)
    np.testing.assert_allclose(irls_step(theta, X, y, penalty=np.zeros(3)), theta, rtol=1e-12)


def test_the_truth_is_found_from_enough_examples():
    theta = logistic.fit(*two_classes(m=200_000)).check().theta
    np.testing.assert_allclose(theta, [0.0, 2.0, 0.0], atol=0.03)


def test_classes_lie_on_the_two_sides_of_the_plane():
    predicted = logistic.predict_class(np.array([-1.0, 2.0]), np.array([[1.0, 0.4], [1.0, 0.6], [1.0, 0.5]]))
    assert predicted.dtype == np.int32
    np.testing.assert_array_equal(predicted, [0, 1, 0])


SEPARABLE = {  # completely, and but for a tie at x = 0
    "complete": ([[1.0, -2.0], [1.0, -1.0], [1.0, 1.0], [1.0, 3.0]], [0, 0, 1, 1]),
    "partial": ([[1.0, -1.0], [1.0, 0.0], [1.0, 0.0], [1.0, 1.0]], [0, 0, 1, 1]),
    "no bias": ([[1.0, -2.0], [-1.0, -1.0], [1.0, 1.0], [-1.0, 2.0]], [0, 0, 1, 1]),
}


@pytest.mark.parametrize("name", SEPARABLE)
def test_separable_classes_are_never_called_converged(name, width):
    X, y = often(*SEPARABLE[name])
    X = X.astype(width.dtype)
    solution = logistic.fit(X, y)
    assert status_of(solution) is Status.SEPARABLE
    assert np.all(np.isfinite(solution.theta))
    with pytest.raises(RuntimeError, match=r"completely or quasi-completely separable.*A penalty > 0 gives"):
        solution.check()
    logistic.fit(X, y, penalty=1e-3).check()
    logistic.fit(X, y, penalty=np.array([0.0, 1e-3, 1e-3], width.dtype)).check()


def test_an_example_far_out_does_not_make_overlapping_classes_separable(width):
    """Newton follows the far example for several steps, with the others far behind, before they stop it."""
    for far in (1e2, 1e3, 1e4):
        X, y = often([[far], [-1.0], [0.5]], [1, 1, 0])
        theta = np.asarray(logistic.fit(X.astype(width.dtype), y).check().theta)[0]
        expected = np.log(far / 0.75) / far  # far e^(−far θ) ≈ ½ + ½ · ½, what the other two pull with
        np.testing.assert_allclose(theta, expected, rtol=0.02)


def test_overlapping_classes_have_a_minimum():
    X = [[1.0, -1.0], [1.0, 0.5], [1.0, 0.0], [1.0, 1.0]]
    assert status_of(logistic.fit(*often(X, [0, 0, 1, 1]))) is Status.CONVERGED


@pytest.mark.parametrize("seed", range(3))
def test_nearly_separable_classes_have_a_minimum_and_separable_ones_none(seed):
    problem = data.separable(m=M, gap=0.2, seed=seed)
    X, y = with_bias(problem.X), np.array(problem.y)
    assert status_of(logistic.fit(X, y)) is Status.SEPARABLE
    y[0] = 1 - y[0]
    solution = logistic.fit(X, y)
    assert status_of(solution) is Status.CONVERGED
    assert float(solution.gradient_norm) < 1e-9


def test_a_penalty_however_small_gives_the_minimum():
    """One example per class at x = ±1, M/2 times: the minimiser solves 2 penalty θ = M σ(−θ)."""
    for penalty in (1e-2, 1e-6, 1e-10):
        theta = np.asarray(logistic.fit(*often([[-1.0], [1.0]], [0, 1]), penalty=penalty * M / 2).check().theta)[0]
        np.testing.assert_allclose(penalty * theta, 1 / (1 + np.exp(theta)), rtol=1e-6)


def test_dependent_columns_give_the_least_norm_and_say_so():
    X, y = two_classes()
    twice, once = logistic.fit(X[:, [0, 1, 1]], y).check(), literal.minimum((2,), X[:, :2], y)
    assert status_of(twice) is Status.RANK_DEFICIENT
    np.testing.assert_allclose(twice.theta[1:], once[1:].repeat(2) / 2, rtol=1e-9)
    np.testing.assert_allclose(twice.cost, literal.cost(once, X[:, :2], y), rtol=1e-13)


def test_a_penalty_decides_between_dependent_columns_where_there_is_one():
    """A column three times with a penalty on the second: it ends at 0, and the other two share evenly."""
    X, y = two_classes()
    theta = np.asarray(logistic.fit(X[:, [1, 1, 1]], y, penalty=np.array([0.0, 1.0, 0.0])).check().theta)
    alone = literal.minimum((1,), X[:, 1:2], y)
    np.testing.assert_allclose(theta[1], 0.0, atol=1e-9)
    np.testing.assert_allclose(theta[[0, 2]], alone.repeat(2) / 2, rtol=1e-9)


def test_the_gradient_norm_is_1e_10_of_that_at_the_start_on_raw_columns():
    table = data.table("breast_cancer")
    X, y = with_bias(table.X), np.asarray(table.y)  # from 1e-3 to 4e3
    solution = logistic.fit(X, y, penalty=1e-3).check()
    assert float(solution.gradient_norm) <= 1e-10 * np.linalg.norm(literal.gradient(np.zeros(31), X, y))
    assert int(solution.steps) < 30


@given(st.sampled_from([(5, 6, "float32"), (M, 3, "float32"), (M, 3, "float64")]), st.floats(-4, 4), st.integers(0, 99))
@settings(max_examples=25, deadline=None)
def test_any_shape_scale_and_dtype(shape, exponent, seed):
    m, d, dtype = shape
    rng = np.random.default_rng(seed)
    X = (rng.standard_normal((m, d)) * 10.0**exponent).astype(dtype)
    y = np.arange(m) % 2
    with jax.enable_x64(PRECISIONS[dtype].x64):
        solution = logistic.fit(X, y, penalty=10.0 ** (exponent - 1))
        free = logistic.fit(X, y)
    assert solution.theta.dtype == dtype
    assert status_of(solution) is Status.CONVERGED
    assert float(solution.cost) <= m * LOG2 * (1 + 1e-6)
    assert status_of(free) in (Status.CONVERGED, Status.SEPARABLE, Status.RANK_DEFICIENT)


@pytest.mark.parametrize(
    ("y", "message"),
    [
        ([0, 1, 2, 1], r"labels 0 and 1; got 0, 1, 2: .* data.encode\(y\), and fit them by softmax.fit"),
        ([-1, 1, 1, -1], r"labels 0 and 1; got -1, 1: number them by y, classes = data.encode\(y\)$"),
        ([2, 2, 2, 2], "at least two classes; all are 2"),
        ([0.0, 1.0, 0.5, 1.0], "labels 0 and 1; got 0.0, 0.5, 1.0"),
        ([0.0, 1.0, np.nan, 1.0], "labels 0 and 1; got 0.0, 1.0, nan: drop the examples without a label"),
        ([1, 1, 1, 1], "at least two classes; all are 1"),
    ],
)
def test_labels_that_are_none_are_refused(y, message):
    with pytest.raises(ValueError, match=message):
        logistic.fit(np.eye(4), np.array(y))


def test_labels_of_any_number_type_mean_the_same():
    X, y = two_classes()
    expected = logistic.fit(X, y).theta
    for same in (y.astype(bool), y.astype(float), y.tolist()):
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            np.testing.assert_array_equal(logistic.fit(X, same).theta, expected)
