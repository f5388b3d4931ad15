"""Softmax regression as functions of its logits Z = Xθ, shape (m, K) (course 9.1, 9.2)."""

import jax.numpy as jnp
from jax import Array
from jax.nn import softmax
from jax.scipy.special import logsumexp

from jax_course.linalg import gram


def probabilities(Z: Array) -> Array:
    """π, rows summing to 1: shape (m, K)."""
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
    """1_c(y_i), shape (m, K); NaN in the rows of a class number beyond K."""
    indicator = y[:, None] == jnp.arange(pi.shape[1], dtype=y.dtype)[None, :]
    return jnp.where(y[:, None] < pi.shape[1], indicator.astype(pi.dtype), jnp.nan)


def curvature(pi: Array, X: Array, w: Array) -> Array:
    """Σ_i w_i (δ_kl Σ_n π_ik π_in − π_ik π_il) x_i x_iᵀ, from one Gram matrix."""
    shape = X.shape[1], pi.shape[1]
    same_class = jnp.eye(pi.shape[1], dtype=bool)[None, :, None, :]
    pi_x = (X[:, :, None] * pi[:, None, :]).reshape(X.shape[0], -1)
    pi_pi_xx = jnp.where(same_class, 0, gram(pi_x, w).reshape(shape + shape))
    one_minus_pi = jnp.where(same_class, jnp.sum(pi_pi_xx, axis=3, keepdims=True), 0)
    return one_minus_pi - pi_pi_xx


def against_the_others(Z: Array) -> tuple[Array, Array]:
    """η_c = log π_c/(1 − π_c), shape (m, K), and ∂η_c/∂z_l, (m, K, K): 1 where l = c, −π_l/(1 − π_c) elsewhere."""
    own = jnp.eye(Z.shape[1], dtype=bool)[None, :, :]
    others = jnp.where(own, -jnp.inf, Z[:, None, :])
    return Z - logsumexp(others, axis=2), jnp.where(own, 1, -softmax(others, axis=2))
