"""The README's table of conventions: a test for every row, each peer called as the row says."""

from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest
import statsmodels.api as sm
from sklearn.covariance import EmpiricalCovariance
from sklearn.kernel_ridge import KernelRidge
from sklearn.linear_model import (
    GammaRegressor,
    HuberRegressor,
    Lasso,
    LinearRegression,
    LogisticRegression,
    PoissonRegressor,
    Ridge,
)

from jax_course import features, gamma, gaussian, huber, kernel, lasso, linear, logistic, poisson, ridge, softmax

RNG = np.random.default_rng(0)
M = 60
RAW = RNG.standard_normal((M, 3)) * [1.0, 2.0, 0.5] + 1
X = np.asarray(features.with_bias(RAW))
Y = RAW @ [1.0, -0.5, 0.0] + RNG.standard_normal(M)
CLASSES = np.argmax(RAW + RNG.gumbel(size=RAW.shape), axis=1)
P: Any = 3.0
SPARED: Any = P * np.array([0.0, 1.0, 1.0, 1.0])


def of(peer):
    return np.append(peer.intercept_, peer.coef_)


def test_least_squares():
    theta = linear.fit(X, Y).theta
    np.testing.assert_allclose(theta, of(LinearRegression().fit(RAW, Y)), rtol=1e-10)
    np.testing.assert_allclose(theta, sm.OLS(Y, X).fit().params, rtol=1e-10)


def test_ridge():
    theta = ridge.fit(X, Y, penalty=SPARED).theta
    np.testing.assert_allclose(theta, of(Ridge(alpha=P).fit(RAW, Y)), rtol=1e-10)
    np.testing.assert_allclose(theta, sm.OLS(Y, X).fit_regularized(alpha=SPARED / M, L1_wt=0).params, rtol=1e-10)


def test_lasso():
    theta = lasso.fit(X, Y, penalty=SPARED).theta
    np.testing.assert_allclose(theta, of(Lasso(alpha=P / (2 * M), tol=1e-12).fit(RAW, Y)), atol=1e-7)
    peer = sm.OLS(Y, X).fit_regularized(alpha=SPARED / (2 * M), L1_wt=1, cnvrg_tol=1e-12, maxiter=10_000)
    np.testing.assert_allclose(theta, peer.params, atol=1e-6)


# Exact minimisers, intercept first, of the data that glmnet's quick start comes with; what glmnet itself ends at.
GLMNET_EXACT = {
    0.1: {
        0: 0.15093188624493064,
        1: 1.3205869586654659,
        3: 0.6750967088148541,
        5: -0.8173817174860782,
        6: 0.521438264175045,
        7: 0.004839591650804927,
        8: 0.3194120219910275,
        11: 0.14249977527371055,
        14: -1.0599836655013987,
        20: -1.0218713109377935,
    },
    0.5: {
        0: 0.2613109813504776,
        1: 1.0055462063567927,
        3: 0.26771525004706865,
        5: -0.4476509137548626,
        6: 0.23792971404633172,
        14: -0.8230855517075247,
        20: -0.5553682298256242,
    },
}
GLMNET_PUBLISHED = {
    0: 0.150928072,
    1: 1.320597195,
    3: 0.675110234,
    5: -0.817411518,
    6: 0.521436671,
    7: 0.004829335,
    8: 0.319415917,
    11: 0.142498519,
    14: -1.059978702,
    20: -1.021873704,
}


@pytest.mark.parametrize("lam", GLMNET_EXACT)
def test_lasso_of_glmnet(lam):
    """It divides by 2m and standardizes columns (by m); its coefficients are in the units of X."""
    y, *columns = np.loadtxt(Path(__file__).parent / "data" / "glmnet_quickstart.csv", delimiter=",").T
    raw = np.stack(columns, axis=1)
    penalty = np.append(0.0, 2 * len(y) * lam * np.std(raw, axis=0))
    theta = np.asarray(lasso.fit(features.with_bias(raw), y, penalty=penalty).check().theta)
    used = list(GLMNET_EXACT[lam])
    assert np.flatnonzero(theta).tolist() == used
    np.testing.assert_allclose(theta[used], list(GLMNET_EXACT[lam].values()), atol=1e-9)
    if lam == 0.1:
        np.testing.assert_allclose(theta[used], list(GLMNET_PUBLISHED.values()), atol=1e-4)


@pytest.mark.parametrize(
    ("model", "peer", "family"),
    [
        (poisson, PoissonRegressor, sm.families.Poisson()),
        (gamma, GammaRegressor, sm.families.Gamma(sm.families.links.Log())),
    ],
)
def test_poisson_and_gamma(model, peer, family):
    y = np.exp(Y / 2)
    theta = model.fit(X, y, penalty=SPARED).theta
    np.testing.assert_allclose(
        theta, of(peer(alpha=2 * P / M, solver="newton-cholesky", tol=1e-10).fit(RAW, y)), rtol=1e-8
    )
    free = model.fit(X, y, offset=RAW[:, 0]).theta
    np.testing.assert_allclose(free, sm.GLM(y, X, family=family, offset=RAW[:, 0]).fit(tol=1e-12).params, rtol=1e-8)


def test_huber():
    y = np.where(np.arange(M) % 7 == 0, 10 * Y, Y)
    peer = HuberRegressor(epsilon=1.5, alpha=P, tol=1e-10, max_iter=10_000).fit(RAW, y)
    s = peer.scale_
    theta = huber.fit(X, y, threshold=1.5 * s, penalty=SPARED * s / 2).theta
    np.testing.assert_allclose(theta, of(peer), atol=1e-4)  # where its own solver stops


@pytest.mark.parametrize("column", [0, 1, 2])
def test_logistic(column):
    y = (CLASSES == column) * 1.0
    theta = logistic.fit(X, y, penalty=SPARED).theta
    peer = LogisticRegression(C=1 / (2 * P), solver="newton-cholesky", tol=1e-12).fit(RAW, y)
    np.testing.assert_allclose(theta, of(peer), rtol=1e-8)
    glm = sm.GLM(y, X, family=sm.families.Binomial())
    regularized = glm.fit_regularized(alpha=2 * SPARED / M, L1_wt=0, cnvrg_tol=1e-12, maxiter=1000)
    np.testing.assert_allclose(theta, regularized.params, atol=1e-4)  # where its own solver stops
    free = logistic.fit(X, y).theta
    np.testing.assert_allclose(free, sm.Logit(y, X).fit(disp=0, tol=1e-14).params, rtol=1e-8)


def test_softmax():
    theta = np.asarray(softmax.fit(X, CLASSES, penalty=SPARED[:, None]).theta)
    peer = LogisticRegression(C=1 / (2 * P), tol=1e-12, max_iter=10_000).fit(RAW, CLASSES)
    np.testing.assert_allclose(theta[1:].T, peer.coef_, atol=1e-6)
    free = np.asarray(softmax.fit(X, CLASSES).theta)
    against_first = sm.MNLogit(CLASSES, X).fit(disp=0, tol=1e-14, method="newton").params
    np.testing.assert_allclose(free[:, 1:] - free[:, :1], against_first, rtol=1e-8)


def test_kernel_ridge():
    theta = kernel.fit(RAW, Y, scale=5.0, penalty=P).theta
    peer = KernelRidge(kernel="rbf", gamma=1 / 5.0, alpha=P).fit(RAW, Y)
    np.testing.assert_allclose(theta, peer.dual_coef_, rtol=1e-9)


def test_variances():
    @jax.jit
    def values(theta):
        variances = [variance(theta, X, Y) for variance in (linear.unbiased_noise_variance, linear.noise_variance)]
        return (
            *variances,
            linear.standard_errors(theta, X, Y),
            linear.standard_errors(theta, X, Y, variance=linear.noise_variance),
        )

    peer = sm.OLS(Y, X).fit()
    unbiased, likeliest, errors, errors_of_likeliest = values(linear.fit(X, Y).theta)
    np.testing.assert_allclose(unbiased, peer.scale, rtol=1e-12)
    np.testing.assert_allclose(likeliest, peer.ssr / M, rtol=1e-12)
    np.testing.assert_allclose(errors, peer.bse, rtol=1e-10)
    np.testing.assert_allclose(
        errors_of_likeliest,
        sm.OLS(Y, X).fit(cov_type="nonrobust", use_t=True).bse * np.sqrt((M - 4) / M),
        rtol=1e-10,
    )


def test_covariances():
    covariance, unbiased = jax.jit(lambda X: (gaussian.covariance(X), gaussian.unbiased_covariance(X)))(RAW)
    np.testing.assert_allclose(covariance, EmpiricalCovariance().fit(RAW).covariance_, rtol=1e-12)
    np.testing.assert_allclose(covariance, np.cov(RAW.T, bias=True), rtol=1e-12)
    np.testing.assert_allclose(unbiased, np.cov(RAW.T), rtol=1e-12)
