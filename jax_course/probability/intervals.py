r"""Confidence intervals of what is estimated with normal errors (course 5.3).

    Aθ ± t √(σ² + ‖(A R)_i‖²),  cov(θ) = R Rᵀ                                              interval
    R Rᵀ = (XᵀWX)⁻¹                                                                        covariance_root
    P(|T| ≤ t) = confidence,  T Student's with ν degrees of freedom                        student
    P(|Z| ≤ z) = confidence,  Z standard normal                                            normal

    P(|T| ≤ t) = I_{t²/(ν + t²)}(½, ν/2) = 1 − I_{ν/(ν + t²)}(ν/2, ½)

with I the regularised incomplete beta function. The first form has more digits below t² = ν, the second above. For
large ν both are differences of large logarithms, and t comes from its expansion in 1/ν around z instead (Abramowitz &
Stegun 26.7.5).

Derivatives of t for autodiff. With t = √ν sinh V, f Student's density and b = ½(ψ((ν + 1)/2) − ψ(ν/2)), ψ digamma:

    P = 2C ∫₀^V (cosh v)^(−ν) dv,  C = Γ((ν + 1)/2)/(√π Γ(ν/2))
    ∂P/∂t = 2f = 2C (cosh V)^(−ν)/√(ν + t²)
    ∂P/∂ν = 2C [∫₀^V (b − log cosh v) (cosh v)^(−ν) dv − (cosh V)^(−ν) t/(2ν√(ν + t²))],  t fixed
    dt/dconfidence = 1/(2f),  dt/dν = −(∂P/∂ν)/(2f)

The integral by Gauss and Legendre's rule; for large ν the expansion is differentiated.

Of the root R, with A = XᵀWX:

    dR = −½ R Rᵀ dA R,  so that d(R Rᵀ) = −A⁻¹ dA A⁻¹

Any other root is R times a rotation, which changes no covariance. A weight of 0 has a derivative here, √W has none.
"""

import math
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax
from jax.custom_derivatives import SymbolicZero
from jax.scipy.special import betainc, digamma, erfinv, gammaln, ndtri

from jax_course import inputs
from jax_course.inputs.types import ArrayLike
from jax_course.linalg import gram, inverse_root, product
from jax_course.tiers import compiled

# On (0, 1). In the variable v the integrand is analytic within π/2 of the real axis: 64 nodes give it all digits.
NODES, NODE_WEIGHTS = ((1 + np.polynomial.legendre.leggauss(64)[0]) / 2, np.polynomial.legendre.leggauss(64)[1] / 2)


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


def normal_interval(estimate: Array, root: Array, confidence: ArrayLike) -> Interval:
    """`interval` of an estimate with normal errors, whose covariance is known. Course 5.3.

    >>> normal_interval(jnp.array([1.0]), jnp.array([[1.0]]), 0.5).upper - 0.6744897501960817
    Array([1.], dtype=float64)
    """
    return interval(estimate, root, normal(level(confidence, estimate)))


@jax.custom_jvp
@compiled
def covariance_root(X: Array, weights: Array) -> Array:
    """R (d, d) with R Rᵀ = (XᵀWX)⁻¹, X (m, d), weights (m,) or (); NaN where the columns of √W X depend on each other.

    >>> covariance_root(jnp.array([[3.0], [9.0]]), jnp.array([4.0, 0.0])) ** 2 * 36
    Array([[1.]], dtype=float64)
    """
    if weights.ndim == 0:  # X is not copied
        return inverse_root(X) / jnp.sqrt(jnp.where(weights > 0, weights, jnp.nan))
    return inverse_root(jnp.sqrt(weights)[:, None] * X)


@covariance_root.defjvp
def _covariance_root_rule(primals: tuple[Array, Array], tangents: tuple[Array, Array]) -> tuple[Array, Array]:
    R, dA = covariance_root(*primals), jax.jvp(gram, primals, tangents)[1]
    return R, -product(R, product(R.T, product(dA, R))) / 2


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


@jax.custom_jvp
def student(confidence: Array, degrees_of_freedom: Array) -> Array:
    """t, the estimated standard deviations that a value stays within at this confidence; scalars. Course 5.3.

    With one degree of freedom, Cauchy's distribution, tan(π/4) = 1 for a confidence of ½:

    >>> student(jnp.array(0.5), jnp.array(1.0))
    Array(1., dtype=float64)
    """
    return _student(confidence, degrees_of_freedom)


@compiled
def _student(confidence: Array, nu: Array) -> Array:
    t = jnp.where(_is_moderate(nu), _bisected(confidence, nu), _expanded(normal(confidence), nu))
    return jnp.where(jnp.isnan(confidence) | ~(nu > 0), jnp.nan, t)


def _student_rule(primals: tuple[Array, Array], tangents: tuple[Any, Any]) -> tuple[Array, Array]:
    confidence, nu = map(jnp.asarray, primals)
    t = student(confidence, nu)
    z, expansion = normal(confidence), jnp.zeros_like(t)
    moderate = jnp.zeros_like(t)
    if not isinstance(tangents[0], SymbolicZero):
        moderate += _slope_by_confidence(t, nu) * tangents[0]
        expansion += jax.jvp(lambda c: _expanded(normal(c), nu), (confidence,), (tangents[0],))[1]
    if not isinstance(tangents[1], SymbolicZero):
        moderate += _slope_by_degrees(t, nu) * tangents[1]
        expansion += jax.jvp(partial(_expanded, z), (nu,), (tangents[1],))[1]
    change = jnp.where(_is_moderate(nu), moderate, expansion)
    return t, jnp.where(jnp.isnan(t), jnp.nan, change)


student.defjvp(_student_rule, symbolic_zeros=True)


def _is_moderate(nu: Array) -> Array:
    """Whether t comes from the incomplete beta function, not from the expansion for large ν."""
    return nu < jnp.finfo(nu.dtype).eps ** -0.2


def _slope_by_confidence(t: Array, nu: Array) -> Array:
    """dt/dconfidence = 1/(2f)."""
    log_C = gammaln((nu + 1) / 2) - gammaln(nu / 2) - math.log(math.pi) / 2
    return jnp.sqrt(nu + t**2) / 2 * jnp.exp(nu / 2 * jnp.log1p(t**2 / nu) - log_C)


def _slope_by_degrees(t: Array, nu: Array) -> Array:
    """dt/dν = t/(2ν) − √(ν + t²) ∫₀^V (b − log cosh v) (cosh V/cosh v)^ν dv."""
    V, b = jnp.arcsinh(t / jnp.sqrt(nu)), (digamma((nu + 1) / 2) - digamma(nu / 2)) / 2
    v, weights = V * NODES.astype(t.dtype), V * NODE_WEIGHTS.astype(t.dtype)
    log_cosh, end = jnp.log1p(jnp.sinh(v) ** 2) / 2, jnp.log1p(t**2 / nu) / 2
    integral = jnp.sum(weights * (b - log_cosh) * jnp.exp(nu * (end - log_cosh)))
    return t / (2 * nu) - jnp.sqrt(nu + t**2) * integral


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
