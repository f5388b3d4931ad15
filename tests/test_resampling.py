"""Folds, cross-validation, bootstrap and permutation tests against scikit-learn, SciPy and loops of NumPy."""

from functools import partial
from types import SimpleNamespace
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.model_selection import PredefinedSplit, cross_val_score

from jax_course import kernel, lasso, linear, logistic, metrics, resampling, ridge
from jax_course.resampling import batches

M, D, K = 30, 3, 5
RNG = np.random.default_rng(0)
RAW = RNG.standard_normal((M, D - 1))
X = np.column_stack([np.ones(M), RAW])
Y = X @ [1.0, -2.0, 0.5] + RNG.exponential(size=M)
LABELS = (X @ [0.5, 1.0, -1.0] + RNG.logistic(size=M) > 0).astype(int)
KEY = jax.random.key(0)
FOLDS = np.asarray(resampling.folds(KEY, M, K))
STRATIFIED = np.asarray(resampling.stratified_folds(KEY, LABELS, K))
DRAWS = 500


class Fitted(NamedTuple):
    theta: Any


def weighted_mean(X, y, weights):
    """A fit that costs no compiling to speak of."""
    return Fitted(weights @ y / jnp.sum(weights))


def split(folds):
    return PredefinedSplit(np.argmax(folds, axis=0))


def least_squares(X, y):
    return np.linalg.lstsq(X, y, rcond=None)[0]


@pytest.mark.parametrize(("m", "k"), [(30, 5), (7, 3), (4, 4)])
def test_each_example_is_in_one_of_folds_of_equal_size(m, k):
    found = np.asarray(resampling.folds(KEY, m, k))
    assert found.shape == (k, m)
    np.testing.assert_array_equal(found.sum(axis=0), np.ones(m))
    assert set(found.sum(axis=1)) <= {m // k, -(-m // k)}
    assert set(found.flat) == {0.0, 1.0}


def test_folds_are_random_and_those_of_their_key():
    drawn = np.asarray(jax.vmap(lambda key: resampling.folds(key, M, K))(jax.random.split(KEY, 400)))
    np.testing.assert_array_equal(drawn[0], resampling.folds(jax.random.split(KEY, 400)[0], M, K))
    together = np.mean(np.einsum("nki,nkj->nij", drawn, drawn), axis=0)[~np.eye(M, dtype=bool)]
    np.testing.assert_allclose(together, (M / K - 1) / (M - 1), atol=5 * np.sqrt(0.14 / 400))


@pytest.mark.parametrize("dtype", [bool, int, float])
def test_stratified_folds_have_as_many_examples_of_each_class(dtype):
    y = np.repeat([0, 1, 0, 1, 0], [9, 4, 2, 3, 11]).astype(dtype)
    found = np.asarray(resampling.stratified_folds(KEY, y, 3))
    np.testing.assert_array_equal(found.sum(axis=0), np.ones(29))
    for of_class in (y == 0, y == 1, y >= 0):
        sizes = found @ of_class
        assert sizes.max() - sizes.min() <= 1
    assert not np.array_equal(found, resampling.stratified_folds(jax.random.key(1), y, 3))


def test_linear_regression_is_cross_validated_as_by_scikit_learn():
    def share_explained(theta, X, y, weights):
        return metrics.r_squared(y, linear.predict(theta, X), weights=weights)

    found = resampling.cross_validate(linear.fit, share_explained, X, Y, folds=FOLDS)
    expected = cross_val_score(LinearRegression(), RAW, Y, cv=split(FOLDS), scoring="r2")
    np.testing.assert_allclose(found.scores, expected, rtol=1e-10)
    assert found.solutions.check().theta.shape == (K, D)


def test_logistic_regression_is_cross_validated_as_by_scikit_learn():
    def log_loss(theta, X, y, weights):
        return metrics.log_loss(y, logistic.predict(theta, X), weights=weights)

    spared = np.array([0.0, 0.5, 0.5])
    found = resampling.cross_validate(partial(logistic.fit, penalty=spared), log_loss, X, LABELS, folds=STRATIFIED)
    peer = LogisticRegression(C=1.0, solver="newton-cholesky", tol=1e-12)
    expected = -cross_val_score(peer, RAW, LABELS, cv=split(STRATIFIED), scoring="neg_log_loss")
    np.testing.assert_allclose(found.scores, expected, rtol=1e-7)


def test_folds_of_one_example_each_leave_one_out():
    found = resampling.cross_validate(partial(ridge.fit, penalty=0.3), linear.cost, X, Y, folds=np.eye(M))
    np.testing.assert_allclose(np.mean(found.scores), ridge.leave_one_out(X, Y, np.array([0.3]))[0], rtol=1e-10)


def test_weights_of_examples_count_in_fit_and_score():
    weights = RNG.integers(0, 4, M).astype(float)
    found = resampling.cross_validate(linear.fit, linear.cost, X, Y, folds=FOLDS, weights=weights)
    for fold, score in zip(FOLDS, found.scores, strict=True):
        counts = (weights * (1 - fold)).astype(int)
        theta = least_squares(X.repeat(counts, axis=0), Y.repeat(counts))
        np.testing.assert_allclose(score, np.sum(weights * fold * (Y - X @ theta) ** 2), rtol=1e-10)


def counts_of(X, y, weights):
    return weights


def test_a_draw_counts_each_example_as_often_as_it_was_drawn():
    counts = np.asarray(resampling.bootstrap(KEY, counts_of, X, Y, draws=2000).replicates)
    np.testing.assert_array_equal(counts.sum(axis=1), np.full(2000, M))
    np.testing.assert_array_equal(counts, np.round(counts))
    np.testing.assert_allclose(counts.mean(axis=0), 1, atol=5 * np.sqrt(1 / 2000))
    np.testing.assert_allclose(counts.var(axis=0), 1 - 1 / M, atol=5 * np.sqrt(3 / 2000))  # fourth moment 4, about


def test_replicates_are_the_fits_of_the_examples_drawn():
    result = resampling.bootstrap(KEY, linear.fit, X, Y, draws=DRAWS)
    counts = np.asarray(resampling.bootstrap(KEY, counts_of, X, Y, draws=DRAWS).replicates).astype(int)
    expected = [least_squares(X.repeat(c, axis=0), Y.repeat(c)) for c in counts[:20]]
    np.testing.assert_allclose(result.replicates.theta[:20], expected, rtol=1e-9)
    np.testing.assert_allclose(result.estimate.theta, least_squares(X, Y), rtol=1e-12)


def test_the_jackknife_leaves_out_each_example_once():
    found = resampling.jackknife(linear.fit, X, Y)
    expected = [least_squares(np.delete(X, i, axis=0), np.delete(Y, i)) for i in range(M)]
    np.testing.assert_allclose(found.theta, expected, rtol=1e-10)


@pytest.mark.parametrize("confidence", [0.9, 0.95])
def test_intervals_are_those_of_scipy_from_the_same_replicates(confidence):
    result, left_out = resampling.bootstrap(KEY, linear.fit, X, Y, draws=DRAWS), resampling.jackknife(linear.fit, X, Y)
    replicates = np.asarray(result.replicates.theta)
    percentile = resampling.percentile_interval(result.replicates.theta, confidence=confidence)
    bca = resampling.bca_interval(result.estimate.theta, result.replicates.theta, left_out.theta, confidence=confidence)
    for j in range(D):

        def parameter(rows, j=j):
            rows = rows.astype(int)
            return least_squares(X[rows], Y[rows])[j]

        for found, method in ((percentile, "percentile"), (bca, "BCa")):
            peer = scipy.stats.bootstrap(
                (np.arange(M),),
                parameter,
                vectorized=False,
                n_resamples=0,
                method=method,
                confidence_level=confidence,
                bootstrap_result=SimpleNamespace(bootstrap_distribution=replicates[:, j]),
            ).confidence_interval
            np.testing.assert_allclose([end[j] for end in found], peer, rtol=1e-9)


def test_intervals_of_replicates_that_tell_nothing():
    constant = resampling.bca_interval(2.0, np.full(50, 2.0), np.full(5, 2.0))
    np.testing.assert_array_equal(constant, [2.0, 2.0])
    assert np.all(np.isnan(resampling.bca_interval(3.0, np.full(50, 2.0), np.arange(5.0))))
    assert np.all(np.isnan(resampling.percentile_interval([1.0, np.nan, 2.0])))
    np.testing.assert_array_equal(resampling.percentile_interval([7.0]), [7.0, 7.0])


def slope_size(X, y):
    return abs((X[:, 0] - X[:, 0].mean()) @ y)


def test_the_p_value_is_that_of_all_orders():
    x, y = np.array([[0.3], [1.1], [2.0], [2.2], [3.9], [4.0]]), np.array([0.1, 1.4, 1.1, 2.0, 0.7, 2.4])
    found = resampling.permutation_test(KEY, slope_size, x, y, draws=2000)
    peer = scipy.stats.permutation_test(
        (y,),
        lambda y: slope_size(x, y),
        permutation_type="pairings",
        n_resamples=720,
        alternative="greater",
        vectorized=False,
    )
    p = float(peer.pvalue)
    np.testing.assert_allclose(found.statistic, peer.statistic, rtol=1e-14)
    np.testing.assert_allclose(found.p_value, p, atol=4 * np.sqrt(p * (1 - p) / 2000))
    distance = np.abs(np.asarray(found.null_distribution)[:, None] - peer.null_distribution[None, :])
    assert distance.min(axis=1).max() < 1e-12


def test_a_permutation_test_fits_each_order_of_y():
    found = resampling.permutation_test(KEY, lambda X, y: -linear.fit(X, y).cost, X, Y, draws=199)
    assert found.p_value == 1 / 200
    assert found.null_distribution.shape == (199,)


def test_equal_statistics_count_whatever_their_rounding():
    def sums(X, y):
        one_by_one = (((y[0] + y[1]) + y[2]) + y[3]) + y[4]
        return jnp.stack([one_by_one, -one_by_one])

    found = resampling.permutation_test(KEY, sums, X[:5], np.array([0.1, 0.2, 0.3, 0.7, 1e3]), draws=99)
    assert len(np.unique(found.null_distribution[:, 0])) > 1
    np.testing.assert_array_equal(found.p_value, [1, 1])


def test_a_statistic_that_is_nan_has_no_p_value():
    def values(X, y):
        as_observed = y[0] == Y[0]
        return jnp.stack([y[0], jnp.where(as_observed, jnp.nan, 1), jnp.where(as_observed, 1, jnp.nan)])

    found = resampling.permutation_test(KEY, values, X, Y, draws=9)
    assert not np.isnan(found.null_distribution[:, 1]).any()
    np.testing.assert_array_equal(np.isnan(found.p_value), [False, True, True])


def test_fits_in_batches_are_the_fits_of_one_batch(monkeypatch):
    def all_of_them():
        scores = resampling.cross_validate(weighted_mean, squares, X, Y, folds=FOLDS).scores
        replicates = resampling.bootstrap(KEY, weighted_mean, X, Y, draws=10).replicates.theta
        return scores, replicates, resampling.jackknife(weighted_mean, X, Y).theta

    together = all_of_them()
    monkeypatch.setattr(batches, "LARGEST_BATCH", 4 * X.size)
    for found, expected in zip(all_of_them(), together, strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_a_bar_shows_the_fits_of_each_batch_and_changes_nothing(monkeypatch, capsys):
    monkeypatch.setattr(batches, "LARGEST_BATCH", 4 * X.size)
    shown, hidden = (resampling.bootstrap(KEY, weighted_mean, X, Y, draws=10, progress=p) for p in (True, False))
    np.testing.assert_array_equal(shown.replicates.theta, hidden.replicates.theta)
    resampling.jackknife(weighted_mean, X, Y, progress=True)
    resampling.cross_validate(weighted_mean, squares, X, Y, folds=FOLDS, progress=True)
    resampling.permutation_test(KEY, lambda X, y: X[:, 1] @ y, X, Y, draws=7, progress=True)
    out, bars = capsys.readouterr()
    assert not out
    for n in (10, M, K, 7):
        assert f"fit {n} of {n}" in bars
    with pytest.raises(TypeError, match="progress must be left out inside jit, vmap and derivatives"):
        jax.eval_shape(lambda y: resampling.jackknife(weighted_mean, X, y, progress=True), Y)


def squares(theta, X, y, weights):
    return weights @ (y - theta) ** 2


def test_in_float32_everything_stays_float32():
    with jax.enable_x64(False):
        X32, y32, key = X.astype(np.float32), Y.astype(np.float32), jax.random.key(0)
        given = resampling.folds(key, M, K)
        scores = resampling.cross_validate(weighted_mean, squares, X32, y32, folds=given).scores
        result = resampling.bootstrap(key, weighted_mean, X32, y32, draws=50)
        left_out = resampling.jackknife(weighted_mean, X32, y32).theta
        ends = resampling.bca_interval(result.estimate.theta, result.replicates.theta, left_out)
        p_value = resampling.permutation_test(key, slope_size, X32, y32, draws=9).p_value
    assert {a.dtype for a in (given, scores, result.replicates.theta, *ends, p_value)} == {np.dtype(np.float32)}


NONE: Any = None
NO_FIT: Any = 3
HALVES: Any = 2.5


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: resampling.folds(NONE, 5, 2), TypeError, r"key must be a random key, as jax.random.key\(0\) is"),
        (lambda: resampling.folds(KEY, 5, 6), ValueError, "k must be from 2 to 5, the number of examples; got 6"),
        (lambda: resampling.folds(KEY, 5, HALVES), TypeError, "k must be a whole number; got 2.5"),
        (lambda: resampling.stratified_folds(KEY, X, 2), ValueError, r"y must have shape \(m,\)"),
        (
            lambda: resampling.bootstrap(KEY, lasso.fit, X, Y, draws=9),
            TypeError,
            r"fit must take weights .*got jax_course.regression.lasso.fit\(X",
        ),
        (lambda: resampling.jackknife(partial(kernel.fit, scale=1.0), X, Y), TypeError, "fit must take weights"),
        (lambda: resampling.jackknife(NO_FIT, X, Y), TypeError, "fit must be a function .*; got int"),
        (lambda: resampling.jackknife(linear.fit, X[:1], Y[:1]), ValueError, "X must have at least two rows"),
        (lambda: resampling.jackknife(linear.fit, X, Y[1:]), ValueError, r"y must have shape \(30,\)"),
        (lambda: resampling.bootstrap(KEY, linear.fit, X, Y, draws=0), ValueError, "draws must be at least 1; got 0"),
        (lambda: validated(FOLDS[:, 1:]), ValueError, r"folds must have shape \(k, 30\).*; got shape \(5, 29\)"),
        (lambda: validated(FOLDS / 2), ValueError, "folds must hold 0 and 1"),
        (lambda: validated(0 * FOLDS), ValueError, "each fold must have from 1 to 29 examples; got 0, 0, 0, 0, 0"),
        (lambda: resampling.permutation_test(KEY, NO_FIT, X, Y, draws=9), TypeError, "statistic must be a function"),
        (lambda: resampling.percentile_interval(3.0), ValueError, "replicates must have a leading axis"),
        (lambda: resampling.percentile_interval([1, 2]), TypeError, "replicates must hold floating-point numbers"),
        (lambda: resampling.percentile_interval(Y, confidence=95), ValueError, "confidence must lie between 0 and 1"),
        (lambda: resampling.bca_interval(1.0, X, Y), ValueError, r"replicates must have shape \(n\), .*got \(30, 3\)"),
    ],
)
def test_what_cannot_be_resampled_is_refused(call, error, message):
    with pytest.raises(error, match=message):
        call()


def validated(folds):
    return resampling.cross_validate(linear.fit, linear.cost, X, Y, folds=folds)
