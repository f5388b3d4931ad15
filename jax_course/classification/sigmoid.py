"""σ and softplus, with the derivatives written by hand (course 8.2, 8.4)."""

import jax
import jax.numpy as jnp
from jax import Array

from jax_course.typing import ArrayLike


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
