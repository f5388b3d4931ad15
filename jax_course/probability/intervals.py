r"""Confidence intervals of what is estimated with normal errors (course 5.3).

    Aθ ± t √(σ² + ‖(A R)_i‖²),  cov(θ) = R Rᵀ                                              interval
    P(|T| ≤ t) = confidence,  T Student's with ν degrees of freedom                        student
    P(|Z| ≤ z) = confidence,  Z standard normal                                            normal

    P(|T| ≤ t) = I_{t²/(ν + t²)}(½, ν/2) = 1 − I_{ν/(ν + t²)}(ν/2, ½)

with I the regularised incomplete beta function. The first form has more digits below t² = ν, the second above. For
large ν both are differences of large logarithms, and t comes from its expansion in 1/ν around z instead (Abramowitz &
Stegun 26.7.5).
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax
from jax.scipy.special import betainc, erfinv, ndtri

from jax_course import inputs
from jax_course.inputs.types import ArrayLike
from jax_course.tiers import compiled


class Interval(NamedTuple):
    """The two ends of an interval, of one shape."""

    lower: Array
    upper: Array


@jax.jit
def interval(estimate: Array, root: Array, t: Array, noise: Array | float = 0.0) -> Interval:
    """estimate (...,) ± t √(noise + variance), the variance from the root (..., k) of the covariance. Course 5.3.

    >>> interval(jnp.array([1.0]), jnp.array([[3.0, 4.0]]), jnp.array(2.0))
    Interval(lower=Array([-9.], dtype=float64), upper=Array([11.], dtype=float64))
    """
    half_width = t * jnp.sqrt(noise + jnp.sum(root**2, axis=-1))
    return Interval(estimate - half_width, estimate + half_width)


def level(confidence: ArrayLike, like: Array) -> Array:
    """A confidence, a scalar between 0 and 1 in the dtype of `like`; refused outside, or NaN there in jit."""
    confidence = inputs.as_array(confidence, "confidence", like=like)
    if confidence.ndim != 0 or confidence.dtype.kind in "bc":
        raise TypeError(f"confidence must be one number; got {confidence.dtype} of shape {confidence.shape}")
    if inputs.is_concrete(confidence) and not 0 < np.asarray(confidence) < 1:
        hint = f": write {float(confidence) / 100:g}" if 1 < confidence < 100 else ""
        raise ValueError(f"confidence must lie between 0 and 1; got {confidence}{hint}")
    return jnp.where((confidence > 0) & (confidence < 1), confidence, jnp.nan).astype(like.dtype)


def normal(confidence: Array) -> Array:
    """z, the standard deviations that a normal value stays within at this confidence. Course 5.3.

    >>> normal(jnp.array(0.5)) / 0.6744897501960817
    Array(1., dtype=float64)
    """
    # ndtri below ½, and erfinv above it, would take a difference of nearly equal numbers
    return jnp.where(
        confidence < 0.5, jnp.sqrt(2).astype(confidence.dtype) * erfinv(confidence), -ndtri((1 - confidence) / 2)
    )


@compiled
def student(confidence: Array, degrees_of_freedom: Array) -> Array:
    """t, the estimated standard deviations that a value stays within at this confidence. Course 5.3.

    With one degree of freedom, Cauchy's distribution, tan(π/4) = 1 for a confidence of ½:

    >>> student(jnp.array(0.5), jnp.array(1.0))
    Array(1., dtype=float64)
    """
    nu, eps = degrees_of_freedom, jnp.finfo(confidence.dtype).eps
    t = jnp.where(nu < eps**-0.2, _bisected(confidence, nu), _expanded(normal(confidence), nu))
    return jnp.where(jnp.isnan(confidence) | ~(nu > 0), jnp.nan, t)


def _expanded(z: Array, nu: Array) -> Array:
    z2 = z**2
    first = (z2 + 1) / 4
    second = ((5 * z2 + 16) * z2 + 3) / 96
    third = (((3 * z2 + 19) * z2 + 17) * z2 - 15) / 384
    fourth = ((((79 * z2 + 776) * z2 + 1482) * z2 - 1920) * z2 - 945) / 92160
    return z * (1 + (first + (second + (third + fourth / nu) / nu) / nu) / nu)


def _bisected(confidence: Array, nu: Array) -> Array:
    half = jnp.full_like(confidence, 0.5)

    def is_too_small(t):
        inside = betainc(half, nu / 2, t**2 / (nu + t**2))
        outside = betainc(nu / 2, half, nu / (nu + t**2))
        return jnp.where(t**2 < nu, inside < confidence, outside > 1 - confidence)

    def halve(_, ends):
        low, high = ends
        middle = (low + high) / 2
        small = is_too_small(jnp.exp(middle))
        return jnp.where(small, middle, low), jnp.where(small, high, middle)

    info = jnp.finfo(confidence.dtype)
    ends = jnp.full_like(confidence, jnp.log(info.tiny) / 2), jnp.full_like(confidence, jnp.log(info.max) / 2)
    low, high = lax.fori_loop(0, info.bits, halve, ends)  # a bit of log t in each: more than there are
    return jnp.exp((low + high) / 2)
