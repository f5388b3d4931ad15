"""Checks of the arguments of distributions: numbers of one dtype, probabilities, and outcomes."""

import jax.numpy as jnp
import numpy as np
from jax import Array

from jax_course.inputs.arrays import as_array, is_concrete
from jax_course.inputs.types import ArrayLike


def floats(**values: ArrayLike) -> list[Array]:
    """The values as floating-point numbers of one dtype; whole and bare Python numbers take that of the others."""
    floating = [name for name, value in values.items() if jnp.issubdtype(getattr(value, "dtype", bool), jnp.floating)]
    first = floating[0] if floating else ""
    like = as_array(values[first], first) if floating else jnp.zeros(())
    return [_with_dtype(value, name, first, like) for name, value in values.items()]


def _with_dtype(value: ArrayLike, name: str, first: str, like: Array) -> Array:
    array = as_array(value, name, like=like)
    if jnp.issubdtype(array.dtype, jnp.floating):
        if array.dtype != like.dtype:
            raise TypeError(
                f"{name} must have the dtype of {first}, {like.dtype}; got {array.dtype}: convert one of them"
            )
    elif array.dtype.kind not in "biu":
        raise TypeError(f"{name} must hold real numbers; got {array.dtype}")
    return array.astype(like.dtype)


def single_or_double(values: Array, name: str) -> Array:
    """The values; refused unless they are float32 or float64, which can be factorised."""
    if values.dtype not in (jnp.float32, jnp.float64):
        raise TypeError(f"{name} must be float32 or float64; got {values.dtype}: convert it with astype('float32')")
    return values


def probabilities(p: Array) -> Array:
    """The values; refused if one is outside [0, 1], inside jit NaN in its place."""
    valid = (p >= 0) & (p <= 1)
    if is_concrete(p) and not np.all(valid):
        raise ValueError(f"p must lie between 0 and 1; got {np.asarray(p)[~np.asarray(valid)].flat[0]}")
    return jnp.where(valid, p, jnp.nan)


def outcomes(x: Array, valid: Array, expected: str) -> Array:
    """`valid`, which is True for each x that is an outcome; another x is refused, except inside jit."""
    if is_concrete(valid) and not np.all(valid):
        raise ValueError(f"x must hold {expected}; got {np.asarray(x)[~np.asarray(valid)].flat[0]}")
    return valid


def one_axis(x: Array, name: str) -> Array:
    """The values; refused unless they have shape (m,), m at least 1."""
    if x.ndim != 1 or not x.size:
        raise ValueError(f"{name} must have shape (m,), m at least 1; got shape {x.shape}")
    return x
