"""Intervals from the replicates of an estimate."""

import jax
import jax.numpy as jnp
from jax import Array
from jax.scipy.special import ndtr, ndtri

from jax_course import inputs
from jax_course.inputs.types import ArrayLike
from jax_course.probability.intervals import Interval, level, normal


def percentile_interval(replicates: ArrayLike, *, confidence: ArrayLike = 0.95) -> Interval:
    """The interval that leaves out as many replicates on either side. Efron & Tibshirani (1993) 13.3.

    replicates (draws, ...), such as `bootstrap(...).replicates.theta`; the ends have the shape (...). Between two
    replicates a quantile is interpolated. TypeError, ValueError: no real numbers, no axis, or a confidence that is not
    between 0 and 1. NaN where a replicate is NaN.

    >>> lower, upper = percentile_interval(jnp.arange(101.0), confidence=0.5)
    >>> print(f"{lower:.1f} to {upper:.1f}")
    25.0 to 75.0
    """
    replicates = _replicates(replicates, "replicates")
    return _percentile_interval(replicates, level(confidence, replicates))


@jax.jit
def _percentile_interval(replicates: Array, confidence: Array) -> Interval:
    alpha = jnp.broadcast_to((1 - confidence) / 2, replicates.shape[1:])
    return Interval(_quantile(replicates, alpha), _quantile(replicates, 1 - alpha))


def bca_interval(
    estimate: ArrayLike, replicates: ArrayLike, left_out: ArrayLike, *, confidence: ArrayLike = 0.95
) -> Interval:
    """The percentile interval, corrected for bias and acceleration (BCa). Efron & Tibshirani (1993) 14.3.

    Its error falls with 1/m, that of `percentile_interval` with 1/√m, and it needs some thousand draws. estimate (...),
    replicates (draws, ...) and left_out (m, ...): a parameter, or any function of the parameters, of
    `bootstrap(...).estimate`, of its replicates and of `jackknife(...)`. The ends have the shape (...). NaN where all
    replicates lie on one side of the estimate. Errors: as of `percentile_interval`, and different shapes.

    >>> symmetric, left_out = jnp.arange(101.0) - 50, jnp.array([-1.0, 0.0, 1.0])
    >>> lower, upper = bca_interval(0.0, symmetric, left_out, confidence=0.5)
    >>> print(f"{lower:.1f} to {upper:.1f}")
    -25.0 to 25.0
    """
    replicates, left_out = _replicates(replicates, "replicates"), _replicates(left_out, "left_out")
    estimate = inputs.as_array(estimate, "estimate", like=replicates).astype(replicates.dtype)
    for name, shape in (("replicates", replicates.shape), ("left_out", left_out.shape)):
        if shape[1:] != estimate.shape:
            expected = ", ".join(["n", *map(str, estimate.shape)])
            raise ValueError(f"{name} must have shape ({expected}), a leading axis and that of estimate; got {shape}")
    left_out = left_out.astype(replicates.dtype)
    return _bca_interval(estimate, replicates, left_out, level(confidence, replicates))


@jax.jit
def _bca_interval(estimate: Array, replicates: Array, left_out: Array, confidence: Array) -> Interval:
    z_0 = ndtri((1 + jnp.mean(jnp.sign(estimate[None] - replicates), axis=0)) / 2)
    u = jnp.mean(left_out, axis=0, keepdims=True) - left_out
    cube_of_norm = jnp.sum(u**2, axis=0) ** 1.5
    a = jnp.sum(u**3, axis=0) / (6 * jnp.where(cube_of_norm > 0, cube_of_norm, 1))

    def end(z: Array) -> Array:
        return _quantile(replicates, ndtr(z_0 + (z_0 + z) / (1 - a * (z_0 + z))))

    z = normal(confidence)
    return Interval(end(-z), end(z))


def _quantile(replicates: Array, q: Array) -> Array:
    """The quantile q (...) of each column of replicates (n, ...), interpolated; NaN where one of them is NaN."""
    place = q * (len(replicates) - 1)
    lower = jnp.clip(jnp.floor(place), 0, max(0, len(replicates) - 2))
    ascending = jnp.sort(replicates, axis=0)
    at = lower.astype(int)[None]
    low = jnp.take_along_axis(ascending, at, axis=0)[0]
    high = jnp.take_along_axis(ascending, jnp.minimum(at + 1, len(replicates) - 1), axis=0)[0]
    return jnp.where(jnp.isnan(ascending[-1]), jnp.nan, low + (place - lower) * (high - low))


def _replicates(values: ArrayLike, name: str) -> Array:
    values = inputs.as_array(values, name)
    if not jnp.issubdtype(values.dtype, jnp.floating):
        raise TypeError(f"{name} must hold floating-point numbers; got {values.dtype}")
    if not values.ndim or not len(values):
        raise ValueError(f"{name} must have a leading axis, one entry per fit; got shape {values.shape}")
    return values
