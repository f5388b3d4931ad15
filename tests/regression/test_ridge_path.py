"""The numbers that one factorisation gives for many penalties, each against the literal one."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from sklearn.linear_model import RidgeCV

from jax_course import data, ridge
from jax_course.linalg import gsvd

PENALTIES = np.array([0.0, 1e-3, 1.0, 30.0, 1e4])
FREE_BIAS = np.array([0.0, 1.0, 1.0, 0.3])


def problem(m=15, d=3, dtype: type = np.float64):
    rng = np.random.default_rng(0)
    X = np.concatenate([np.ones((m, 1)), rng.standard_normal((m, d))], axis=1)
    return X.astype(dtype), (X @ rng.standard_normal(d + 1) + rng.standard_normal(m)).astype(dtype)


def hat(X, penalty, factors):
    return X @ np.linalg.pinv(X.T @ X + penalty * np.diag(factors)) @ X.T


@pytest.mark.parametrize("factors", [np.ones(4), FREE_BIAS])
def test_leaving_one_out_is_leaving_one_out(factors):
    X, y = problem()
    fit = jax.jit(ridge.fit)

    def error(i, penalty):
        rest = np.arange(len(y)) != i
        return y[i] - X[i] @ fit(X[rest], y[rest], penalty=penalty * factors).theta

    expected = [np.mean([error(i, penalty) ** 2 for i in range(len(y))]) for penalty in PENALTIES]
    np.testing.assert_allclose(ridge.leave_one_out(X, y, PENALTIES, factors=factors), expected, rtol=1e-10)


COUNTED = np.array([1.0, 2.0, 1.5, 0.0, 3.7, 1.0, 1.0, 2.0, 0.0, 1.0, 5.0, 1.0, 1.2, 1.0, 2.0])


@pytest.mark.parametrize("factors", [np.ones(4), FREE_BIAS])
def test_of_an_example_that_counts_more_often_one_is_left_out(factors):
    X, y = problem()
    fit = jax.jit(ridge.fit)

    def error(i, penalty):
        rest = COUNTED - (np.arange(len(y)) == i)
        return y[i] - X[i] @ fit(X, y, penalty=penalty * factors, weights=rest).theta

    counted = np.flatnonzero(COUNTED)
    squares = [[COUNTED[i] * error(i, penalty) ** 2 for i in counted] for penalty in PENALTIES]
    found = ridge.leave_one_out(X, y, PENALTIES, factors=factors, weights=COUNTED)
    np.testing.assert_allclose(found, np.sum(squares, axis=1) / np.sum(COUNTED), rtol=1e-10)


def test_an_example_that_counts_for_less_than_one_cannot_be_left_out_where_nothing_else_is_like_it():
    X, y = problem()
    X = np.concatenate([X, 100 * (np.arange(15) == 2)[:, None]], axis=1)
    half = np.where(np.arange(15) == 2, 0.5, 1.0)
    assert np.isinf(ridge.leave_one_out(X, y, [0.0, 1e-3], weights=half)).all()
    slope = jax.jit(jax.grad(lambda w: jnp.sum(ridge.leave_one_out(X, y, np.array([0.0]), weights=w))))
    assert np.isnan(slope(half)).all()


def test_errors_are_differentiated_by_a_weight_of_0():
    X, y = problem()

    @jax.jit
    def total(weights):
        given = X, y, PENALTIES[1:]
        curves = ridge.leave_one_out, ridge.generalized_cross_validation, ridge.budget
        freedom = ridge.degrees_of_freedom(X, PENALTIES[1:], weights=weights)
        return sum((jnp.sum(curve(*given, weights=weights)) for curve in curves), jnp.sum(freedom))

    def at(step):
        return float(total(COUNTED + step * (np.arange(15) == 3)))

    h = 1e-3
    expected = (-25 * at(0) + 48 * at(h) - 36 * at(2 * h) + 16 * at(3 * h) - 3 * at(4 * h)) / (12 * h)
    np.testing.assert_allclose(jax.jit(jax.grad(total))(COUNTED)[3], expected, rtol=1e-7)


def test_what_counts_nothing_or_is_negative_is_nan_in_jit():
    X, y = problem()
    curves = jax.jit(lambda X, y, p, w: [function(X, y, p, weights=w) for function in (ridge.path, *CURVES)])
    freedom = jax.jit(lambda X, p, w: ridge.degrees_of_freedom(X, p, weights=w))
    for weights in (-np.ones(15), np.zeros(15)):
        assert all(np.isnan(values).all() for values in curves(X, y, PENALTIES[1:2], weights)[1:3])
    for weight, penalty in ((-1.0, 1.0), (0.0, 1.0), (1.0, -1.0)):
        assert all(np.isnan(values).all() for values in curves(X, y, np.array([penalty]), weight))
        assert np.isnan(freedom(X, np.array([penalty]), weight)).all()


def test_leaving_one_out_is_that_of_scikit_learn():
    table = data.table("diabetes")
    penalties = np.logspace(-3, 3, 20)
    peer = RidgeCV(penalties, store_cv_results=True, fit_intercept=False).fit(table.X, table.y)
    ours = ridge.leave_one_out(table.X, table.y, penalties)
    np.testing.assert_allclose(ours, np.mean(peer.cv_results_, axis=0), rtol=1e-9)
    assert penalties[np.argmin(ours)] == peer.alpha_


def test_a_wide_design_that_interpolates_keeps_its_digits():
    """With a tiny penalty every residual is tiny, and so is 1 − H_ii: their ratio is not."""
    X, y = problem(m=4, d=9)
    errors = ridge.leave_one_out(X, y, [1e-9, 1e-6])
    for penalty, error in zip([1e-9, 1e-6], errors, strict=True):
        inverse = np.linalg.inv(X @ X.T + penalty * np.eye(4))  # y − ŷ and 1 − H are penalty times it
        np.testing.assert_allclose(error, np.mean((inverse @ y / np.diag(inverse)) ** 2), rtol=1e-8)


def test_degrees_of_freedom_and_generalized_cross_validation_are_those_of_the_hat_matrix():
    X, y = problem()
    for factors in (np.ones(4), FREE_BIAS):
        hats = [hat(X, penalty, factors) for penalty in PENALTIES]
        freedom = ridge.degrees_of_freedom(X, PENALTIES, factors=factors)
        np.testing.assert_allclose(freedom, [np.trace(H) for H in hats], rtol=1e-11)
        expected = [np.mean((y - H @ y) ** 2) / (1 - np.trace(H) / len(y)) ** 2 for H in hats]
        gcv = ridge.generalized_cross_validation(X, y, PENALTIES, factors=factors)
        np.testing.assert_allclose(gcv, expected, rtol=1e-10)


def test_a_dependent_column_has_no_degree_of_freedom():
    X, _ = problem()
    twice = np.concatenate([X, X[:, 1:2]], axis=1)
    np.testing.assert_allclose(ridge.degrees_of_freedom(twice, [0.0]), [4.0], rtol=1e-12)
    np.testing.assert_allclose(ridge.degrees_of_freedom(X[:2], [0.0]), [2.0], rtol=1e-12)


def test_the_error_is_infinite_where_the_others_determine_nothing():
    X, y = problem(m=4)
    assert np.isinf(ridge.leave_one_out(X, y, [0.0]))
    assert np.isinf(ridge.generalized_cross_validation(X, y, [0.0]))
    alone = np.concatenate([problem()[0], np.eye(15)[:, :1]], axis=1)  # only the first example has this feature
    assert np.isinf(ridge.leave_one_out(alone, problem()[1], [0.0]))
    assert np.isfinite(ridge.leave_one_out(alone, problem()[1], [1e-8]))


@pytest.mark.parametrize("factors", [np.ones(4), FREE_BIAS])
def test_the_constrained_form_and_the_penalised_one_are_one(factors):
    """Course 6.1: t(δ) falls, and the best within it is the ridge solution."""
    X, y = problem()
    thetas, t = (np.asarray(function(X, y, PENALTIES, factors=factors)) for function in (ridge.path, ridge.budget))
    np.testing.assert_allclose(t, np.sum(factors * np.square(thetas), axis=1), rtol=1e-11)
    assert np.all(np.diff(t) < 0)
    for penalty, budget, theta in zip(PENALTIES[1:], t[1:], thetas[1:], strict=True):
        found = ridge.constrained(X, y, budget=budget, factors=factors)
        np.testing.assert_allclose(found.penalty, penalty, rtol=1e-9)
        np.testing.assert_allclose(found.theta, theta, rtol=1e-9)


def test_a_budget_that_binds_nothing_has_no_penalty():
    X, y = problem()
    found = ridge.constrained(X, y, budget=1e6)
    assert float(found.penalty) == 0
    np.testing.assert_allclose(found.theta, np.linalg.lstsq(X, y)[0], rtol=1e-12)


def test_within_the_budget_nothing_is_better():
    X, y = problem()
    best = ridge.constrained(X, y, budget=0.5)
    theta = np.asarray(best.theta)
    np.testing.assert_allclose(theta @ theta, 0.5, rtol=1e-12)
    directions = np.random.default_rng(1).standard_normal((500, 4))
    others = directions / np.linalg.norm(directions, axis=1, keepdims=True) * np.sqrt(0.5)
    assert np.min(np.sum((X @ others.T - y[:, None]) ** 2, axis=0)) >= np.sum((y - X @ theta) ** 2)


CURVES = [ridge.leave_one_out, ridge.generalized_cross_validation, ridge.budget]


def test_float32_gives_the_same():
    expected = [np.asarray(function(*problem(), PENALTIES)) for function in CURVES]
    with jax.enable_x64(False):
        for function, values in zip(CURVES, expected, strict=True):
            found = function(*problem(dtype=np.float32), PENALTIES.astype(np.float32))
            np.testing.assert_allclose(found, values, rtol=1e-3)


def test_dtypes_are_kept(precision):
    X, y = problem(dtype=precision.dtype)
    found = jax.eval_shape(lambda X, y: [function(X, y, PENALTIES.astype(X.dtype)) for function in CURVES], X, y)
    constrained = jax.eval_shape(lambda X, y: ridge.constrained(X, y, budget=0.5), X, y)
    assert all(values.dtype == precision.dtype for values in (*found, *constrained))


def test_inside_jit_and_for_several_targets():
    X, y = problem()
    both = jax.jit(jax.vmap(lambda y: ridge.leave_one_out(X, y, PENALTIES)))(np.stack([y, 2 * y]))
    both = np.asarray(both)
    np.testing.assert_allclose(both[0], ridge.leave_one_out(X, y, PENALTIES), rtol=1e-10)
    np.testing.assert_allclose(both[1], 4 * both[0], rtol=1e-10)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda X, y: ridge.leave_one_out(X, y, []),
            r"penalties must have shape \(n,\), at least one; got shape \(0,\)",
        ),
        (lambda X, y: ridge.degrees_of_freedom(X, [-1.0]), "penalties must be finite and at least 0; got -1"),
        (lambda X, y: ridge.path(X, y, [1.0], factors=-1.0), "factors must be finite and at least 0; got -1"),
        (lambda X, y: ridge.constrained(X, y, budget=0.0), "budget must be positive and finite; got 0"),
        (lambda X, y: ridge.budget(X, y[:3], [1.0]), r"y must have shape \(15,\)"),
    ],
)
def test_what_is_no_path_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call(*problem())


def test_many_penalties_are_one_program():
    X, y = problem()
    ridge.leave_one_out(X, y, PENALTIES)
    with jax.no_tracing(True):
        ridge.leave_one_out(X + 1, y, PENALTIES)


@pytest.fixture
def work_to_save(monkeypatch):
    """Called, it makes small data take the ways of large data, in programs of their own."""

    def save():
        monkeypatch.setattr(gsvd, "WORK", 0)
        jax.clear_caches()

    yield save
    jax.clear_caches()


def literal(X, y, penalty, factors, weights):
    """θ, the errors of leaving one out and of generalized cross-validation, and the budget, by a factorisation QR."""
    m, root = np.sum(weights), np.sqrt(weights)
    X, y = root[:, None] * X, root * y
    rows = np.concatenate([X, np.diag(np.sqrt(penalty * factors))])
    Q, R = np.linalg.qr(rows)
    theta = np.linalg.solve(R, Q[: len(X)].T @ y)
    residuals, h = y - Q[: len(X)] @ (Q[: len(X)].T @ y), np.sum(Q[: len(X)] ** 2, axis=1)
    left_out = np.sum((residuals / (1 - h / weights)) ** 2) / m
    return theta, left_out, np.sum(residuals**2) / m / (1 - np.sum(h) / m) ** 2, factors @ theta**2


@pytest.mark.parametrize("shape", [(60, 12), (12, 60)])
def test_where_there_is_work_to_save_the_same_is_found(shape, work_to_save):
    """By eigenvalues of XᵀX or XXᵀ."""
    rng = np.random.default_rng(1)
    X, y = rng.standard_normal(shape), rng.standard_normal(shape[0])
    penalties = np.array([1e-3, 1.0, 1e5])
    work_to_save()
    given = np.ones(shape[1]), np.arange(shape[1]) > 0, rng.uniform(0.5, 2, shape[1])
    for factors, weights in zip(given, (1.0, rng.uniform(1, 3, shape[0]), 2.0), strict=True):
        expected = [literal(X, y, penalty, factors, np.broadcast_to(weights, shape[:1])) for penalty in penalties]
        for function, values in zip((ridge.path, *CURVES), map(np.stack, zip(*expected, strict=True)), strict=True):
            found = function(X, y, penalties, factors=factors * 1.0, weights=weights)
            np.testing.assert_allclose(found, values, rtol=1e-10, atol=1e-13 * np.max(np.abs(values)))


def test_where_squares_would_cost_digits_they_are_not_taken(work_to_save):
    X = np.random.default_rng(2).standard_normal((60, 5))
    units, nearly, dependent = X * np.array([1, 1e6, 1e-6, 1, 1]), X.copy(), X.copy()
    nearly[:, 4] = X[:, 3] + 1e-5 * X[:, 4]
    dependent[:, 4] = X[:, 3]

    def found():
        noise = np.random.default_rng(3).standard_normal(60)
        designs = units, nearly, dependent
        return [np.asarray(ridge.leave_one_out(design, design @ np.ones(5) + noise, PENALTIES)) for design in designs]

    expected = found()
    work_to_save()
    np.testing.assert_array_equal(found(), expected)
