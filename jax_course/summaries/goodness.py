r"""How well a model fits, and with how many degrees of freedom: R², deviance, likelihood, information criteria.

    ŷ = Xθ,  RSS = Σ w (y − ŷ)²,  TSS = Σ w (y − ȳ)²,  or Σ w y² without a constant
    R² = 1 − RSS/TSS,  adjusted 1 − (RSS/(m − p)) / (TSS/(m − c)),  c = 1 with a constant, else 0
    ℓ = −m/2 (log(2π RSS/m) + 1)                                     linear, ridge: σ² is RSS/m
    ℓ = Σ w log π_y,  deviance = −2ℓ                                 logistic, softmax
    null deviance = −2 Σ_k m_k log(m_k/m)                            every π the share of its class
    AIC = −2ℓ + 2p,  BIC = −2ℓ + p log m

p are the degrees of freedom: the rank of X, times K − 1 for K classes; with a penalty tr A⁻¹H, H the Hessian without
the penalty and A with it. m = Σ w. The variance σ² is not counted in p, as in statsmodels; R counts it.
"""

import math
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np

from jax_course.classification import logistic, softmax
from jax_course.linalg import penalized_least_squares, product
from jax_course.probability.intervals import covariance_root
from jax_course.regression import ridge
from jax_course.scores import sigmoid_derivative
from jax_course.solution import Status
from jax_course.summaries.checks import Fit


class Goodness(NamedTuple):
    """Numbers of a fit as a whole; NaN what its model does not have, or what theta is not good enough for."""

    degrees_of_freedom: float
    has_constant: bool
    r_squared: float
    adjusted_r_squared: float
    deviance: float
    null_deviance: float
    log_likelihood: float
    aic: float
    bic: float


def goodness(fit: Fit) -> Goodness:
    """The numbers of a checked fit."""
    return _classification(fit) if fit.is_classifier else _regression(fit)


def condition_number(fit: Fit) -> float:
    """The largest singular value of √W X by the smallest; infinite where columns depend on each other."""
    X, _, w, _ = fit.problem
    root = np.asarray(covariance_root(X, w))  # the inverse of a factor of √W X
    if np.isnan(root).any():
        return math.inf
    sizes = np.linalg.svd(root, compute_uv=False)
    return float(sizes[0] / sizes[-1])


def _regression(fit: Fit) -> Goodness:
    X, y, w, penalty = fit.problem
    rank, has_constant = _rank_and_constant(fit)
    p = float(ridge.degrees_of_freedom(X, [1.0], factors=penalty, weights=w)[0]) if fit.is_penalized else rank
    y, w = np.asarray(y), np.asarray(w)
    mean = np.sum(w * y) / fit.m if has_constant else 0.0
    unexplained, total = fit.cost(), float(np.sum(w * (y - mean) ** 2))
    with np.errstate(divide="ignore", invalid="ignore"):
        r_squared = 1 - float(np.divide(unexplained, total))
        adjusted = 1 - (1 - r_squared) * float(np.divide(fit.m - has_constant, fit.m - p))
        likelihood = -fit.m / 2 * (float(np.log(2 * np.pi * unexplained / fit.m)) + 1)
    adjusted = adjusted if fit.m > p else math.nan
    return Goodness(
        p, has_constant, r_squared, adjusted, math.nan, math.nan, likelihood, *_criteria(fit, likelihood, p)
    )


def _classification(fit: Fit) -> Goodness:
    _, y, w, _ = fit.problem
    weights = np.broadcast_to(np.asarray(w, float), y.shape)
    counts = np.bincount(np.asarray(y).astype(int), weights=weights)
    counts = counts[counts > 0]
    null_deviance = -2 * float(np.sum(counts * np.log(counts / fit.m)))
    likelihood, p = -fit.cost(), _degrees_of_freedom(fit)
    return Goodness(
        p, False, math.nan, math.nan, -2 * likelihood, null_deviance, likelihood, *_criteria(fit, likelihood, p)
    )


def _criteria(fit: Fit, likelihood: float, p: float) -> tuple[float, float]:
    """AIC and BIC; unknown where theta is no minimum."""
    if not fit.is_minimum:
        return math.nan, math.nan
    return -2 * likelihood + 2 * p, -2 * likelihood + p * math.log(fit.m)


def _degrees_of_freedom(fit: Fit) -> float:
    """p of a classifier."""
    X, y, w, penalty = fit.problem
    if not fit.is_penalized:
        rank = _rank_and_constant(fit)[0] if fit.status is Status.RANK_DEFICIENT else X.shape[1]
        return float(rank * (1 if fit.model is logistic else fit.theta.shape[1] - 1))
    if fit.model is logistic:  # a ridge regression with the weights of iteratively reweighted least squares
        S = sigmoid_derivative(product(X, fit.theta))
        return float(ridge.degrees_of_freedom(X, [1.0], factors=2 * penalty, weights=w * S)[0])
    n = fit.theta.size
    H = np.asarray(softmax.hessian(fit.theta, X, y, weights=w)).reshape(n, n)
    A = H + 2 * np.diag(np.asarray(penalty).reshape(n))
    return float(np.trace(np.linalg.lstsq(A, H)[0]))


def _rank_and_constant(fit: Fit) -> tuple[float, bool]:
    """The rank of √W X, and whether a combination of the columns is 1 for every example."""
    X, _, w, _ = fit.problem
    ones = jnp.ones(len(X), X.dtype)
    solved = penalized_least_squares(X, ones, jnp.zeros(X.shape[1], X.dtype), w)
    return float(solved.rank), bool(solved.cost <= float(jnp.finfo(X.dtype).eps) * fit.m)
