r"""Coefficients with their errors, tests and intervals, from one covariance (Wald).

    s = √ of the diagonal of cov(θ),  t = θ/s,  p = P(|T| ≥ |t|),  θ ± t(confidence) s

T is Student's with the degrees of freedom of the residual in linear regression, and normal in a classification, where
all of this holds for many examples. Of softmax regression the coefficients are those of a class against a reference
class, θ_c − θ_r: of the K columns of θ one is free.

    var(θ_jc − θ_jr) = cov_jc,jc + cov_jr,jr − 2 cov_jc,jr
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jax_course import inputs
from jax_course.classification import logistic, softmax
from jax_course.inputs.types import ArrayLike
from jax_course.probability import intervals, tails
from jax_course.regression import linear
from jax_course.solution import Status
from jax_course.summaries.checks import Fit

PENALIZED = (
    "A penalty pulls the estimates away from what the data alone say (bias): standard errors, p-values and intervals "
    "would not hold, and are left out. resampling.bootstrap shows how much the estimates vary."
)
GIVEN = "The standard errors are those of the covariance that was given."

_normal = jax.jit(intervals.normal)


class Coefficients(NamedTuple):
    """Estimates and what is known of each, all of shape (d,) or, of softmax, (d, K − 1); NaN where it is not known."""

    estimates: np.ndarray
    standard_errors: np.ndarray
    statistics: np.ndarray
    p_values: np.ndarray
    interval: intervals.Interval


def coefficients(
    fit: Fit, nu: float, confidence: ArrayLike, covariance: ArrayLike | None, reference: int
) -> tuple[Coefficients, tuple[str, ...]]:
    """The coefficients, nu the degrees of freedom of the residual, and notes on their errors."""
    level = intervals.level(confidence, fit.theta)
    found, notes = _covariance(fit, covariance)
    theta, variances = np.asarray(fit.theta), np.diagonal(found.reshape(fit.theta.size, -1)).reshape(fit.theta.shape)
    if fit.model is softmax:
        r, others = reference, np.arange(theta.shape[1]) != reference
        shared = np.einsum("jcj->jc", found[:, :, :, r])
        theta = (theta - theta[:, r : r + 1])[:, others]
        variances = (variances + variances[:, r : r + 1] - 2 * shared)[:, others]
    errors = np.sqrt(np.maximum(variances, 0))
    with np.errstate(divide="ignore", invalid="ignore"):
        statistics = theta / errors
    if fit.is_classifier:
        p_values, t = tails.normal_tail(jnp.asarray(statistics)), _normal(level)
    else:
        degrees = jnp.asarray(max(nu, 0), fit.theta.dtype)
        p_values, t = tails.student_tail(jnp.asarray(statistics), degrees), intervals.student(level, degrees)
    half_width = np.asarray(t) * errors
    interval = intervals.Interval(theta - half_width, theta + half_width)  # pyright: ignore[reportArgumentType]
    return Coefficients(theta, errors, statistics, np.asarray(p_values), interval), notes


def _covariance(fit: Fit, given: ArrayLike | None) -> tuple[np.ndarray, tuple[str, ...]]:
    """The covariance of theta, shape theta.shape twice, NaN where none is known, and why, or which it is."""
    if given is not None:
        given = _checked(fit, given)
    unknown = np.full(fit.theta.shape * 2, np.nan, fit.theta.dtype)
    if fit.status is not Status.CONVERGED:
        return unknown, (f"{fit.status.sentence} Standard errors are not known then.",)
    if fit.is_penalized:
        return unknown, (PENALIZED,)
    if given is not None:
        return given, (GIVEN,)
    X, y, w, _ = fit.problem
    try:
        if fit.is_classifier:
            model = logistic if fit.model is logistic else softmax
            return np.asarray(model.covariance(fit.theta, X, weights=w)), ()
        return np.asarray(linear.covariance(fit.theta, X, y, weights=w)), ()
    except ValueError as reason:  # the data are checked: what is left is that no covariance exists
        return unknown, (f"Standard errors are not known: {reason}.",)


def _checked(fit: Fit, given: ArrayLike) -> np.ndarray:
    found = np.asarray(inputs.as_array(given, "covariance", like=fit.theta))
    if fit.is_penalized:
        raise ValueError("covariance is for a fit without a penalty; got a penalty > 0, which makes estimates biased")
    if found.shape != fit.theta.shape * 2:
        raise ValueError(f"covariance must have shape {fit.theta.shape * 2}, that of theta twice; got {found.shape}")
    diagonal = np.diagonal(found.reshape(fit.theta.size, -1))
    if found.dtype.kind not in "iuf" or not (np.isfinite(found).all() and (diagonal >= 0).all()):
        raise ValueError("covariance must hold finite numbers, variances ≥ 0 on its diagonal")
    return found.astype(fit.theta.dtype)
