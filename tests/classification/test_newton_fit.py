"""What a classifier's fit decides, converged or separable: against linear programming, and in hard coordinates."""

import functools
import itertools
from typing import NamedTuple

import jax
import numpy as np
import pytest
from scipy import optimize

from jax_course import Status, logistic, softmax
from jax_course.classification import newton_fit
from tests.classification import literal

M, D, K = 9, 3, 3
ONES = np.ones(M)  # most fits here have weights, and one shape: they share their programs


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


def examples(classes, offset, seed):
    """Small integers beside a column of ones, so that ties are exact and frequent; every second time a weight is 0."""
    rng = np.random.default_rng(seed)
    for count in itertools.count():
        X = rng.integers(-3, 4, (M, D)).astype(float)
        X[:, 0] = 1
        y = np.argmax(X @ rng.standard_normal((D, classes)), axis=1)
        rows = rng.choice(M, 3 * (classes - 1), replace=False)
        if rng.random() < 0.5:
            X[rows] = X[rng.integers(M)]
        else:
            y[rows] = rng.integers(classes, size=len(rows))
        weights = rng.integers(1, 4, M).astype(float)
        weights[rows[0]] *= count % 2
        counted = weights > 0
        if len(np.unique(y[counted])) > 1 and np.linalg.matrix_rank(X[counted]) == D:
            yield np.concatenate([X[:, :1], X[:, 1:] + offset], axis=1), y, weights


class Problem(NamedTuple):
    X: np.ndarray
    y: np.ndarray
    weights: np.ndarray
    separable: bool  # without weights
    separable_with_weights: bool


@functools.cache
def problems(classes, offset, seed):
    return [
        Problem(X, y, weights, is_separable(X, y, classes), is_separable(X[weights > 0], y[weights > 0], classes))
        for X, y, weights in itertools.islice(examples(classes, offset, seed), 60)
    ]


def verdict(solution):
    return Status(int(solution.status))


@pytest.mark.parametrize("weighted", [True, False])
@pytest.mark.parametrize("offset", [0.0, 100.0, 1000.0])
def test_separable_is_what_linear_programming_calls_separable(weighted, offset):
    """With weights in float64, without in float32; an example that does not count does not keep the classes apart."""
    cases = problems(2, offset, seed=int(offset) + 1)
    for X, y, weights, *verdicts in cases:
        solution = logistic.fit(X, y, weights=weights) if weighted else logistic.fit(X.astype("f4"), y)
        assert (verdict(solution) is Status.SEPARABLE) == verdicts[weighted], (X.tolist(), y.tolist(), weights.tolist())
    assert 10 < sum(case.separable for case in cases) < len(cases) - 10  # both occur
    assert any(case.separable != case.separable_with_weights for case in cases)


@pytest.mark.parametrize("offset", [0.0, 1000.0])
def test_softmax_too(offset):
    cases = problems(K, offset, seed=int(offset) + 3)
    for X, y, weights, _, separable in cases:
        solution = softmax.fit(X, y, classes=K, weights=weights)
        assert (verdict(solution) is Status.SEPARABLE) == separable, (X.tolist(), y.tolist(), weights.tolist())
    assert sum(case.separable_with_weights for case in cases) < len(cases) - 5  # both occur
    assert any(case.separable != case.separable_with_weights for case in cases)


@pytest.mark.parametrize(("fit", "classes"), [(logistic.fit, 2), (softmax.fit, K)], ids=["logistic", "softmax"])
def test_offset_columns_cost_no_digits(fit, classes):
    """The same fit in centred columns is the reference: slopes equal, the bias moved by offset · slopes."""
    pairs = zip(*(examples(classes, offset, seed=13) for offset in (0.0, 1000.0)), strict=True)
    with_minimum = ((X, moved, y) for (X, y, _), (moved, *_) in pairs if not is_separable(X, y, classes))
    for centred, moved, y in itertools.islice(with_minimum, 5):
        reference, solution = fit(centred, y, weights=ONES).check(), fit(moved, y, weights=ONES).check()
        assert verdict(solution) is Status.CONVERGED
        start = np.linalg.norm(literal.gradient(np.zeros(solution.theta.shape), moved, y))
        assert float(solution.gradient_norm) <= 1e-10 * start
        np.testing.assert_allclose(solution.theta[1:], reference.theta[1:], rtol=1e-9)
        np.testing.assert_allclose(solution.cost, reference.cost, rtol=1e-13)


def test_nearly_parallel_columns_converge():
    rng = np.random.default_rng(1)
    a, b = rng.standard_normal((2, M))
    X, y = np.stack([np.ones(M), a, a + 1e-6 * b], axis=1), (a + rng.standard_normal(M) > 0) * 1
    solution = logistic.fit(X, y, weights=ONES).check()
    assert float(solution.gradient_norm) <= 1e-10 * np.linalg.norm(literal.gradient(np.zeros(3), X, y))
    reference = literal.minimum((3,), np.stack([np.ones(M), a, b], axis=1), y)  # b = 1e6 (third − second column)
    np.testing.assert_allclose(solution.theta[2], 1e6 * reference[2], rtol=1e-8)


def test_powers_of_a_raw_feature_converge():
    x = np.linspace(0, 10, 60)
    y = (np.sin(x) + np.random.default_rng(0).standard_normal(60) > 0) * 1
    X = x[:, None] ** np.arange(9)
    solution = logistic.fit(X, y).check()
    assert verdict(solution) is Status.CONVERGED
    assert float(solution.gradient_norm) <= 1e-10 * np.linalg.norm(literal.gradient(np.zeros(9), X, y))


@pytest.mark.parametrize(("dtype", "gap"), [("f4", 1e-4), ("f8", 1e-8), ("f8", 1e-10)])
def test_a_mislabelled_pair_however_close_has_a_minimum_and_a_right_one_has_none(dtype, gap):
    """The third column tells nothing of the classes."""
    x = np.array([-2, -1.5, -1, 1, 1.5, 2, 0, gap, 3])
    X = np.stack([np.ones(M), x, [1, 0, -1, 1, 0, -1, 0, 0, 0]], axis=1).astype(dtype)
    y = np.array([0, 0, 0, 1, 1, 1, 1, 0, 1])
    weights = ONES if dtype == "f8" else 1.0
    assert verdict(logistic.fit(X, y, weights=weights)) is Status.CONVERGED
    y[6:8] = 0, 1
    assert verdict(logistic.fit(X, y, weights=weights)) is Status.SEPARABLE


def test_the_gradient_reported_is_the_gradient_there():
    """Dependent columns of scales from 2⁻²⁰ to 2²⁰: theta is moved to the least norm before its gradient is taken."""
    rng = np.random.default_rng(1)
    B = rng.standard_normal((60, 7))
    C = np.array([[1.0, 2.0], [-1.0, 0.0], [1.0, 1.0], [0.0, 1.0], [1.0, 0.0], [2.0, 1.0], [1.0, -1.0]])
    X = np.concatenate([B, B @ C], axis=1) * 2.0 ** np.array([20, -20, 3, -7, 15, 0, -12, 8, 1])
    y = (B[:, 0] + rng.standard_normal(60) > 0) * 1
    solution = logistic.fit(X, y).check()
    assert verdict(solution) is Status.RANK_DEFICIENT
    theta = np.asarray(solution.theta)
    g, start = (literal.gradient(at, X, y) for at in (theta, np.zeros(9)))
    assert np.linalg.norm(g) <= 1e-12 * np.linalg.norm(start)
    np.testing.assert_allclose(solution.cost, literal.cost(literal.minimum((7,), B, y), B, y), rtol=1e-13)
    null = np.linalg.svd(X / np.linalg.norm(X, axis=0))[2][7:] / np.linalg.norm(X, axis=0)
    along = null @ theta  # of least norm: nothing of theta is invisible to X
    np.testing.assert_allclose(along / (np.linalg.norm(null, axis=1) * np.linalg.norm(theta)), 0, atol=1e-10)


def test_a_penalty_on_some_classes_only():
    """Columns a, a: a class that is not penalised shares between its two parameters, and decides the status."""
    rng = np.random.default_rng(0)
    X, y = rng.standard_normal((M, D))[:, [0, 0, 1]], np.arange(M) % K
    penalty = np.array([[0.0, 1.0, 1.0]])
    solution = softmax.fit(X, y, classes=K, penalty=penalty, weights=ONES).check()
    np.testing.assert_allclose(solution.theta[0], solution.theta[1], rtol=1e-9)
    assert verdict(solution) is Status.RANK_DEFICIENT


@pytest.mark.parametrize(("model", "classes", "none"), [(logistic, {}, (0, 2)), (softmax, {"classes": K}, (2, 3))])
def test_labels_and_penalties_that_are_none_show_inside_jit(model, classes, none, monkeypatch):
    """In the problem that is fitted, and so in the status."""
    fit = newton_fit.fit
    monkeypatch.setattr(newton_fit, "fit", lambda loss, problem, *_: problem)
    given = jax.jit(lambda X, y, penalty: model.fit(X, y, penalty=penalty, weights=ONES, **classes))
    X, y = np.random.default_rng(0).standard_normal((M, D)), np.array([0, 1, 0, 1, 1, 0, 1, 0, 1])

    def status(y, penalty=1.0):
        return verdict(fit(model.LOSS, given(X, y, penalty), 100))

    assert status(y) is Status.CONVERGED
    assert status(np.where(y, *none)) is status(y - 1) is status(y, -1.0) is Status.NOT_FINITE


def test_examples_of_one_class_among_those_that_count_are_refused():
    y, weights = np.array([0, 0, 0, 0, 1, 1]), np.array([1.0, 1, 1, 1, 0, 0])
    with pytest.raises(ValueError, match="y must hold examples of at least two classes; all are 0"):
        logistic.fit(np.eye(6), y, weights=weights)


def test_weights_of_any_size_leave_the_minimum_where_theory_has_it():
    """Groups of examples with one feature each have the log-odds of their weights as their parameters."""
    X, weights = np.eye(3).repeat(3, axis=0), np.array([1e-3, 3e-3, 2e-3, 1e5, 5e5, 2e5, 7.0, 1.0, 2.0])
    w = weights.reshape(3, 3)
    theta = logistic.fit(X, np.array([0, 1, 1] * 3), weights=weights).check().theta
    np.testing.assert_allclose(theta, np.log((w[:, 1] + w[:, 2]) / w[:, 0]), rtol=1e-9)
    theta = np.asarray(softmax.fit(X, np.arange(9) % 3, weights=weights).check().theta)
    np.testing.assert_allclose(theta[:, 1:] - theta[:, :1], np.log(w[:, 1:] / w[:, :1]), rtol=1e-9)


@pytest.mark.parametrize(("model", "shape"), [(logistic, (2,)), (softmax, (2, K))])
def test_dependent_columns_of_the_examples_that_count(model, shape):
    rng = np.random.default_rng(0)
    X = rng.standard_normal((M, D))
    X[:7, 2] = X[:7, 1]  # only the last two tell the two apart
    y, weights = np.arange(M) % (2 if model is logistic else K), np.repeat([2.0, 0.0], [7, 2])
    found = model.fit(X, y, weights=weights)
    assert verdict(found) is Status.RANK_DEFICIENT
    alone = literal.minimum(shape, X[:7, :2], y[:7])
    np.testing.assert_allclose(found.theta, np.stack([alone[0], alone[1] / 2, alone[1] / 2]), rtol=1e-8, atol=1e-12)
