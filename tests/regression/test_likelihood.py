from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import statsmodels.api as sm
from scipy import stats

from jax_course import data, features, linear, verify
from jax_course.regression import likelihood
from tests import references


def problem(dtype=np.float64):
    rng = np.random.default_rng(0)
    X, theta = rng.standard_normal((12, 3)), rng.standard_normal(3)
    return tuple(np.asarray(values, dtype) for values in (theta, 0.7, X, X @ theta + rng.standard_normal(12)))


def test_it_is_the_logarithm_of_a_product_of_densities():
    theta, sigma, X, y = problem()
    expected = -np.sum(stats.norm.logpdf(y, X @ theta, sigma))
    np.testing.assert_allclose(jax.jit(linear.negative_log_likelihood)(theta, sigma, X, y), expected, rtol=1e-13)


def test_derivatives_are_those_of_the_likelihood(precision):
    weights = np.arange(12) / 4

    @jax.jit
    def both(weights, *arguments):
        nll, gradient, hessian = (
            partial(function, weights=weights)
            for function in (likelihood.negative_log_likelihood, likelihood.gradient, likelihood.hessian)
        )
        hand = gradient(*arguments), hessian(*arguments)
        return hand, (jax.grad(nll, (0, 1))(*arguments), jax.hessian(nll, (0, 1))(*arguments))

    for w in (np.ones(12), weights):
        hand_and_autodiff = both(w.astype(precision.dtype), *problem(precision.dtype))
        for a, b in zip(*map(jax.tree.leaves, hand_and_autodiff), strict=True):
            assert a.dtype == precision.dtype
            np.testing.assert_allclose(a, b, rtol=20 * precision.tolerance)


def test_the_doctor_finds_them_right():
    theta, sigma, X, y = problem()
    report = verify.derivatives(
        lambda p, X, y: likelihood.negative_log_likelihood(p[0], p[1], X, y),
        (theta, sigma),
        X,
        y,
        gradient=lambda p, X, y: likelihood.gradient(p[0], p[1], X, y),
        hessian=lambda p, X, y: likelihood.hessian(p[0], p[1], X, y),
    )
    assert report.ok, report


def test_the_likeliest_parameters_are_least_squares_and_the_mean_square():
    """Course 5.2: both derivatives vanish there, whatever σ was for θ."""
    _, _, X, y = problem()
    theta = linear.fit(X, y).theta

    @jax.jit
    def derivatives(theta, X, y):
        arguments = theta, jnp.sqrt(linear.noise_variance(theta, X, y)), X, y
        return likelihood.gradient(*arguments), likelihood.hessian(*arguments)

    (theta_slope, sigma_slope), ((theta_curvature, mixed), (_, sigma_curvature)) = jax.device_get(
        derivatives(theta, X, y)
    )
    assert np.max(np.abs(theta_slope)) < 1e-12
    assert abs(sigma_slope) < 1e-12
    assert np.linalg.eigvalsh(np.block([[theta_curvature, mixed[:, None]], [mixed[None, :], sigma_curvature]]))[0] > 0


def test_likelihood_and_variances_are_those_of_statsmodels():
    table = data.table("diabetes")
    X, y = np.asarray(features.with_bias(table.X)), np.asarray(table.y)
    peer = sm.OLS(y, X).fit()

    @jax.jit
    def found(theta, X, y):
        ml = linear.noise_variance(theta, X, y)
        nll = linear.negative_log_likelihood(theta, jnp.sqrt(ml), X, y)
        return ml, linear.unbiased_noise_variance(theta, X, y), nll

    ml, unbiased, nll = found(linear.fit(X, y).theta, X, y)
    np.testing.assert_allclose(ml, peer.ssr / peer.nobs, rtol=1e-12)
    np.testing.assert_allclose(unbiased, peer.scale, rtol=1e-12)
    np.testing.assert_allclose(nll, -peer.llf, rtol=1e-13)


def test_residual_deviations_are_the_certified_ones():
    for X, y, certified in (
        (references.LONGLEY_X, references.LONGLEY_Y, references.LONGLEY_RESIDUAL_DEVIATION),
        (references.NORRIS_X[:, None], references.NORRIS_Y, references.NORRIS_RESIDUAL_DEVIATION),
    ):
        Phi = np.insert(X, 0, 1, axis=1)
        variance = jax.jit(linear.unbiased_noise_variance)(linear.fit(Phi, y).theta, Phi, y)
        np.testing.assert_allclose(np.sqrt(variance), certified, rtol=1e-11)


@pytest.mark.parametrize("sigma", [0.0, -1.0, np.nan, np.inf])
def test_a_deviation_that_is_none_is_refused(sigma):
    theta, _, X, y = problem()
    with pytest.raises(ValueError, match="sigma must be positive and finite; got"):
        likelihood.negative_log_likelihood(theta, sigma, X, y)
    if not sigma > 0:
        assert np.isnan(jax.jit(likelihood.negative_log_likelihood)(theta, sigma, X, y))


def test_several_deviations_are_refused():
    theta, _, X, y = problem()
    with pytest.raises(TypeError, match="sigma must be one number"):
        likelihood.gradient(theta, np.ones(12), X, y)


def test_an_unbiased_variance_needs_more_rows_than_columns():
    with pytest.raises(ValueError, match="needs more rows than columns in X; got shape \\(2, 2\\)"):
        linear.unbiased_noise_variance(np.zeros(2), np.eye(2), np.ones(2))
