"""Huber's regression: values by hand, other libraries, and where the curvature vanishes."""

import jax
import numpy as np
import pytest
import statsmodels.api as sm
from scipy import optimize
from sklearn.linear_model import HuberRegressor

from jax_course import Status, huber, linear

RNG = np.random.default_rng(0)
M = 60
RAW = RNG.standard_normal((M, 3))
X = np.column_stack([np.ones(M), RAW])
Y = X @ [3.0, 0.4, -0.3, 0.0] + RNG.standard_cauchy(M)
W, OFFSET = RNG.uniform(0.5, 2, M), RNG.uniform(-1, 1, M)
cost, gradient = jax.jit(huber.cost), jax.jit(huber.gradient)


def status_of(solution):
    return Status(int(solution.status))


def test_values_by_hand():
    """Residuals 1 and −4 beside a threshold of 2: ½ and 2·4 − 2; their forces 1 and −2."""
    theta, X, y = np.array([1.0, 1.0]), np.array([[1.0, 0.0], [1.0, 1.0]]), np.array([2.0, -2.0])
    given = {"threshold": 2.0, "offset": np.array([0.0, 0.0])}

    @jax.jit
    def values():
        return [f(theta, X, y, **given) for f in (huber.cost, huber.gradient, huber.hessian)]

    for value, expected in zip(values(), (6.5, [1.0, 2.0], [[1.0, 0.0], [0.0, 0.0]]), strict=True):
        np.testing.assert_array_equal(value, expected)


@pytest.mark.parametrize("threshold", [0.2, 1.345, 50.0])
def test_a_fit_is_that_of_statsmodels_with_the_scale_held_fixed(threshold):
    peer = sm.RLM(Y, X, M=sm.robust.norms.HuberT(t=threshold))
    scores, delta = huber.predict(huber.fit(X, Y, threshold=threshold).check().theta, X), threshold
    reweighted = np.minimum(1, delta / np.maximum(np.abs(Y - scores), 1e-300))
    # a fixed point of its weights: what RLM iterates, if it did not estimate a scale
    again = sm.WLS(peer.endog, peer.exog, weights=reweighted).fit()
    np.testing.assert_allclose(scores, again.fittedvalues, rtol=1e-8, atol=1e-8)


def test_a_fit_is_that_of_scikit_learn_at_the_scale_that_it_estimates():
    """Its cost is Σ (σ + σ ρ(r/σ)) + α‖w‖² with ρ = r² up to ε: ours times 2/σ, with δ = εσ and the penalty ασ/2."""
    peer = HuberRegressor(epsilon=1.5, alpha=0.7, tol=1e-10, max_iter=10_000).fit(RAW, Y, sample_weight=W)
    penalty = 0.7 * peer.scale_ / 2 * np.array([0.0, 1.0, 1.0, 1.0])
    found = huber.fit(X, Y, threshold=1.5 * peer.scale_, penalty=penalty, weights=W).check()
    np.testing.assert_allclose(found.theta, np.append(peer.intercept_, peer.coef_), atol=1e-4)  # where its solver stops


def test_a_fit_with_offsets_and_weights_is_that_of_scipy():
    settings = {"threshold": 0.5, "penalty": 0.3, "weights": W, "offset": OFFSET}

    def written_out(theta):
        r = np.abs(Y - OFFSET - X @ theta)
        return np.sum(W * np.where(r <= 0.5, r**2 / 2, 0.5 * r - 0.125)) + 0.3 * np.sum(theta**2)

    def slope(theta):
        r = Y - OFFSET - X @ theta
        return -X.T @ (W * np.clip(r, -0.5, 0.5)) + 0.6 * theta

    peer = optimize.root(slope, np.zeros(4), tol=1e-13)
    found = huber.fit(X, Y, **settings).check()
    np.testing.assert_allclose(found.theta, peer.x, rtol=1e-8)
    np.testing.assert_allclose(found.cost, written_out(peer.x), rtol=1e-12)


def test_a_large_threshold_is_least_squares_with_half_the_cost():
    found, peer = huber.fit(X, Y, threshold=1e6).check(), linear.fit(X, Y)
    np.testing.assert_allclose(found.theta, peer.theta, rtol=1e-12)
    np.testing.assert_allclose(found.cost, peer.cost / 2, rtol=1e-12)


def test_a_small_threshold_gives_nearly_the_median():
    """All residuals but that of the middle value are beyond the threshold, at the start all."""
    y = np.array([1e6, 3.0, 1.0, -50.0, 7.0])
    found = huber.fit(np.ones((5, 1)), y, threshold=1e-3).check()
    np.testing.assert_allclose(found.theta, [3.0], atol=1e-3)


@pytest.mark.parametrize("threshold", [1e-3, 0.03, 1.0])
def test_outliers_of_any_size_are_no_obstacle(threshold):
    y = Y.copy()
    y[::5] *= 1e5
    found = huber.fit(X, y, threshold=threshold).check()
    at = gradient(found.theta, X, y, threshold=threshold)
    assert np.linalg.norm(at) <= 1e-9 * np.linalg.norm(gradient(np.zeros(4), X, y, threshold=threshold))


def test_a_minimum_that_is_a_segment_gives_one_of_its_points_and_no_derivative():
    """Between 1 and 9 no residual is within the threshold: all points are minimal."""
    y = np.array([0.0, 1.0, 9.0, 10.0])

    def theta(y):
        return huber.fit(np.ones((4, 1)), y, threshold=0.5).theta[0]

    assert 1.5 <= theta(y) <= 8.5
    assert np.all(np.isnan(jax.grad(theta)(y)))


def test_dependent_columns_give_the_least_norm():
    found = huber.fit(np.column_stack([X, X[:, 1]]), Y, threshold=1.0)
    assert status_of(found) is Status.RANK_DEFICIENT
    alone = huber.fit(X, Y, threshold=1.0).theta
    np.testing.assert_allclose(np.asarray(found.theta)[[1, 4]], np.repeat(alone[1], 2) / 2, rtol=1e-8)


@pytest.mark.parametrize(("threshold", "error"), [(0.0, ValueError), (-1.0, ValueError), (np.ones(M), TypeError)])
def test_a_threshold_that_is_none_is_refused(threshold, error):
    for call in (huber.fit, lambda X, y, threshold: huber.cost(np.zeros(4), X, y, threshold=threshold)):
        with pytest.raises(error, match="threshold must be"):
            call(X, Y, threshold=threshold)


def test_too_few_steps_are_said():
    assert status_of(huber.fit(X, Y, threshold=0.03, max_steps=1)) is Status.OUT_OF_STEPS


def test_a_fit_in_float32_and_under_vmap_has_the_digits_of_one():
    expected = huber.fit(X, Y, threshold=0.5).theta
    several = jax.jit(jax.vmap(lambda y: huber.fit(X, y, threshold=0.5)))(np.stack([Y, -Y])).check()
    np.testing.assert_allclose(several.theta, np.stack([expected, -expected]), rtol=1e-9)
    with jax.enable_x64(False):
        found = huber.fit(X.astype(np.float32), Y.astype(np.float32), threshold=0.5).check()
        assert found.theta.dtype == np.float32
    np.testing.assert_allclose(found.theta, expected, atol=1e-5)
