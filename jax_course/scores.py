r"""Functions of the scores z: probabilities and their logarithms, without overflow or cancellation. Course 8.2, 9.1.

σ(z) = 1/(1 + e⁻ᶻ),  σ' = σ(z) σ(−z),  softplus(z) = −log σ(−z)         one score (m,)
π = softmax(Z),  −log π_y                                               a score per class (m, K)
"""

import jax
import jax.numpy as jnp
from jax import Array

from jax_course.inputs.types import ArrayLike

__all__ = ["indicator", "minus_log_pi", "probabilities", "sigmoid", "sigmoid_derivative", "softplus"]


@jax.custom_jvp
@jax.jit
def sigmoid(z: ArrayLike) -> Array:
    """σ(z) = 1 / (1 + e⁻ᶻ), any shape; no overflow, and relative accuracy in both tails. Course 8.2.

    Its derivative is the one written below, for autodiff too: through |z| it would be wrong at 0, and 0 beyond 37.

    >>> sigmoid(jnp.array([0.0, -1000.0, 1000.0]))
    Array([0.5, 0. , 1. ], dtype=float64)
    """
    z = jnp.asarray(z)
    small = jnp.exp(-jnp.abs(z))
    return jnp.where(z < 0, small, 1) / (1 + small)


def sigmoid_derivative(z: ArrayLike) -> Array:
    """σ'(z) = σ(z)(1 − σ(z)) = σ(z) σ(−z), any shape. Course 8.2.

    >>> sigmoid_derivative(jnp.array([0.0]))
    Array([0.25], dtype=float64)
    """
    z = jnp.asarray(z)
    return sigmoid(z) * sigmoid(-z)


@jax.custom_jvp
@jax.jit
def softplus(z: ArrayLike) -> Array:
    """log(1 + eᶻ) = −log σ(−z), any shape; no overflow, and relative accuracy where it is tiny. Course 8.4.

    Its derivative is σ(z), for autodiff too.

    >>> softplus(jnp.array([0.0])) / jnp.log(2)
    Array([1.], dtype=float64)
    """
    z = jnp.asarray(z)
    return jnp.maximum(z, 0) + jnp.log1p(jnp.exp(-jnp.abs(z)))


sigmoid.defjvps(lambda dz, sigma, z: sigmoid_derivative(z) * dz)
softplus.defjvps(lambda dz, value, z: sigmoid(z) * dz)


def probabilities(Z: Array) -> Array:
    """π of the scores Z (m, K), rows summing to 1, shape (m, K). Course 9.1."""
    exp_Z = jnp.exp(Z - jnp.max(Z, axis=1, keepdims=True))
    return exp_Z / jnp.sum(exp_Z, axis=1, keepdims=True)


def minus_log_pi(Z: Array, y: Array) -> Array:
    """log Σ_c e^{z_c − z_y} for every row: finite for any z, and with full relative accuracy where π_y is nearly 1."""
    top_class = jnp.argmax(Z, axis=1)[:, None]
    top = jnp.take_along_axis(Z, top_class, axis=1)
    is_top = top_class == jnp.arange(Z.shape[1])[None, :]
    others = jnp.sum(jnp.where(is_top, 0, jnp.exp(Z - top)), axis=1)
    z_y = jnp.take_along_axis(Z, y[:, None], axis=1)
    return (top - z_y)[:, 0] + jnp.log1p(others)


def indicator(y: Array, pi: Array) -> Array:
    """1_c(y_i), shape (m, K); NaN in the rows of a class number beyond K. Course 9.2."""
    indicator = y[:, None] == jnp.arange(pi.shape[1], dtype=y.dtype)[None, :]
    return jnp.where(y[:, None] < pi.shape[1], indicator.astype(pi.dtype), jnp.nan)
