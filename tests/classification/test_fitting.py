"""What a classifier's fit decides, converged or separable: against linear programming, and in hard coordinates."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import optimize

from jax_course import Status, logistic, softmax

M, D, K = 8, 3, 3


def constraints(X, y, classes):
    """A row per example and rival class: v separates where no row has a negative product with it and one a positive."""
    own = np.eye(classes)[y]
    rivals = [(x, o - r) for x, o, c in zip(X, own, y, strict=True) for k, r in enumerate(np.eye(classes)) if k != c]
    return np.array([np.outer(x, difference).reshape(-1) for x, difference in rivals])


def is_separable(X, y, classes):
    rows = constraints(X, y, classes)
    best = optimize.linprog(-rows.sum(axis=0), A_ub=-rows, b_ub=np.zeros(len(rows)), bounds=(-1, 1), method="highs")
    assert best.status == 0
    return -best.fun > 1e-7


def problems(classes, offset, seed, count=60):
    """Small integers beside a column of ones, so that ties are exact and frequent; each with the verdict on it."""
    rng = np.random.default_rng(seed)
    while count:
        X = rng.integers(-3, 4, (M, D)).astype(float)
        X[:, 0] = 1
        y = np.argmax(X @ rng.standard_normal((D, classes)), axis=1)
        if rng.random() < 0.5:
            X[rng.integers(M)] = X[rng.integers(M)]
        else:
            y[rng.integers(M)] = rng.integers(classes)
        if len(np.unique(y)) > 1 and np.linalg.matrix_rank(X) == D:
            count -= 1
            yield np.concatenate([X[:, :1], X[:, 1:] + offset], axis=1), y, is_separable(X, y, classes)


@pytest.mark.parametrize("dtype", ["f8", "f4"])
@pytest.mark.parametrize("offset", [0.0, 100.0, 1000.0])
def test_separable_is_what_linear_programming_calls_separable(dtype, offset):
    verdicts = []
    for X, y, separable in problems(2, offset, seed=int(offset) + 1):
        solution = logistic.fit(X.astype(dtype), y)
        verdicts.append(separable)
        assert (Status(int(solution.status)) is Status.SEPARABLE) == separable, (X.tolist(), y.tolist())
    assert 10 < sum(verdicts) < len(verdicts)  # both occur


@pytest.mark.parametrize("offset", [0.0, 1000.0])
def test_softmax_too(offset):
    for X, y, separable in problems(K, offset, seed=int(offset) + 2, count=40):
        solution = softmax.fit(X, y, classes=K)
        assert (Status(int(solution.status)) is Status.SEPARABLE) == separable, (X.tolist(), y.tolist())


@pytest.mark.parametrize("fit", [logistic.fit, softmax.fit], ids=["logistic", "softmax"])
def test_offset_columns_cost_no_digits(fit):
    """The same fit in centred columns is the reference: slopes equal, the bias moved by offset · slopes."""
    rng = np.random.default_rng(0)
    features, labels = rng.integers(-3, 4, (200, 3)).astype(float), rng.integers(0, 2, 200)
    centred, moved = (np.concatenate([np.ones((200, 1)), features + by], axis=1) for by in (0.0, 1000.0))
    reference, solution = fit(centred, labels).check(), fit(moved, labels).check()
    assert Status(int(solution.status)) is Status.CONVERGED
    model = logistic if fit is logistic.fit else softmax
    start = jnp.linalg.norm(model.gradient(jnp.zeros_like(solution.theta), moved, labels))
    assert solution.gradient_norm <= 1e-10 * start
    np.testing.assert_allclose(solution.theta[1:], reference.theta[1:], rtol=1e-9)
    np.testing.assert_allclose(solution.cost, reference.cost, rtol=1e-13)


def test_nearly_parallel_columns_converge():
    rng = np.random.default_rng(0)
    a, b = rng.standard_normal((2, 100))
    X, y = np.stack([np.ones(100), a, a + 1e-6 * b], axis=1), (a + rng.standard_normal(100) > 0) * 1
    solution = logistic.fit(X, y).check()
    assert solution.gradient_norm <= 1e-10 * jnp.linalg.norm(logistic.gradient(jnp.zeros(3), X, y))
    reference = logistic.fit(np.stack([np.ones(100), a, b], axis=1), y).theta  # b = 1e6 (third − second column)
    np.testing.assert_allclose(solution.theta[2], 1e6 * reference[2], rtol=1e-8)


def test_powers_of_a_raw_feature_converge():
    x = np.linspace(0, 10, 60)
    y = (np.sin(x) + np.random.default_rng(0).standard_normal(60) > 0) * 1
    X = x[:, None] ** np.arange(9)
    solution = logistic.fit(X, y).check()
    assert Status(int(solution.status)) is Status.CONVERGED
    assert solution.gradient_norm <= 1e-10 * jnp.linalg.norm(logistic.gradient(jnp.zeros(9), X, y))


@pytest.mark.parametrize(("dtype", "gap"), [("f4", 1e-4), ("f8", 1e-8), ("f8", 1e-10)])
def test_a_mislabelled_pair_however_close_has_a_minimum_and_a_right_one_has_none(dtype, gap):
    x = np.array([-2, -1.5, -1, 1, 1.5, 2, 0, gap])
    X, y = np.stack([np.ones(8), x], axis=1).astype(dtype), np.array([0, 0, 0, 1, 1, 1, 1, 0])
    assert Status(int(logistic.fit(X, y).status)) is Status.CONVERGED
    y[6:] = 0, 1
    assert Status(int(logistic.fit(X, y).status)) is Status.SEPARABLE


def test_the_gradient_reported_is_the_gradient_there():
    """Dependent columns of scales from 2⁻²⁰ to 2²⁰: theta is moved to the least norm before its gradient is taken."""
    rng = np.random.default_rng(1)
    B = rng.standard_normal((40, 3))
    X = np.concatenate([B, B @ np.array([[1.0, 2.0], [-1.0, 0.0], [1.0, 1.0]])], axis=1)
    X = X * 2.0 ** np.array([20, -20, 3, -7, 15])
    y = (B[:, 0] + rng.standard_normal(40) > 0) * 1
    solution = logistic.fit(X, y).check()
    assert Status(int(solution.status)) is Status.RANK_DEFICIENT
    g, start = (logistic.gradient(theta, X, y) for theta in (solution.theta, jnp.zeros(5)))
    assert jnp.linalg.norm(g) <= 1e-12 * jnp.linalg.norm(start)
    np.testing.assert_allclose(solution.cost, logistic.fit(B, y).cost, rtol=1e-13)
    null = np.linalg.svd(X / np.linalg.norm(X, axis=0))[2][3:] / np.linalg.norm(X, axis=0)
    along = null @ np.asarray(solution.theta)  # of least norm: nothing of theta is invisible to X
    np.testing.assert_allclose(along / (np.linalg.norm(null, axis=1) * np.linalg.norm(solution.theta)), 0, atol=1e-10)


def test_a_penalty_on_some_classes_only():
    """Columns a, a: a class that is not penalised shares between its two parameters, and decides the status."""
    rng = np.random.default_rng(0)
    a, y = rng.standard_normal((60, 1)), rng.integers(0, K, 60)
    X = np.concatenate([a, a], axis=1)
    solution = softmax.fit(X, y, classes=K, penalty=np.array([[0.0, 1.0, 1.0], [0.0, 1.0, 1.0]])).check()
    np.testing.assert_allclose(solution.theta[0], solution.theta[1], rtol=1e-9)
    assert Status(int(solution.status)) is Status.RANK_DEFICIENT


def test_labels_and_penalties_that_are_none_show_inside_jit():
    X, y = np.random.default_rng(0).standard_normal((8, 2)), np.array([0, 1, 0, 1, 1, 0, 1, 0])

    @jax.jit
    def binary(X, y, penalty):
        return logistic.fit(X, y, penalty=penalty).status

    @jax.jit
    def of_three(X, y, penalty):
        return softmax.fit(X, y, classes=3, penalty=penalty).status

    def status(fit, y, penalty=1.0):
        return Status(int(fit(X, y, penalty)))

    assert status(binary, y) is status(of_three, y) is Status.CONVERGED
    assert status(binary, 2 * y) is Status.NOT_FINITE
    assert status(of_three, y + 2) is status(of_three, y - 1) is Status.NOT_FINITE
    assert status(binary, y, -1.0) is status(of_three, y, -1.0) is Status.NOT_FINITE


def test_an_example_that_does_not_count_does_not_keep_the_classes_apart():
    """Without the fourth example a line separates the classes, with it none does."""
    X = jnp.array([[1.0, 0.0], [1.0, 1.0], [1.0, 2.0], [1.0, 3.0], [1.0, 4.0], [1.0, 5.0]])
    y = np.array([0, 0, 0, 0, 1, 1]), np.array([0, 1, 0, 0, 1, 1])
    weights = np.array([1.0, 0.0, 1.0, 1.0, 1.0, 1.0])
    for model in (logistic, softmax):
        assert Status(int(model.fit(X, y[1]).status)) is Status.CONVERGED
        assert Status(int(model.fit(X, y[1], weights=weights).status)) is Status.SEPARABLE
    with pytest.raises(ValueError, match="y must hold examples of at least two classes; all are 0"):
        logistic.fit(X, y[0], weights=np.array([1.0, 1, 1, 1, 0, 0]))


def test_weights_of_any_size_leave_the_minimum_where_theory_has_it():
    """Two groups of examples with one feature each have the log-odds of their weights as their parameters."""
    X, y = jnp.array([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0], [0.0, 1.0]]), np.array([0, 1, 0, 1])
    weights = np.array([1e-3, 3e-3, 1e5, 5e5])
    theta = logistic.fit(X, y, weights=weights).check().theta
    np.testing.assert_allclose(theta, np.log([3.0, 5.0]), rtol=1e-9)
    theta = softmax.fit(X, y, weights=weights).check().theta
    np.testing.assert_allclose(theta[:, 1] - theta[:, 0], np.log([3.0, 5.0]), rtol=1e-9)


@pytest.mark.parametrize("model", [logistic, softmax])
def test_dependent_columns_of_the_examples_that_count(model):
    rng = np.random.default_rng(0)
    X = rng.standard_normal((20, 3))
    X[:10, 2] = X[:10, 1]  # only the last ten tell the two apart
    y, weights = rng.permutation(20) % 2, np.repeat([2.0, 0.0], 10)
    weighted, alone = model.fit(X, y, weights=weights), model.fit(X[:10], y[:10])
    assert Status(int(weighted.status)) is Status(int(alone.status)) is Status.RANK_DEFICIENT
    np.testing.assert_allclose(weighted.theta, alone.theta, rtol=1e-8, atol=1e-12)
