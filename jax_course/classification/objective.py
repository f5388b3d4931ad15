r"""The cost of a linear classifier, with its derivatives, from the loss of its scores.

    C(θ) = Σ w C_z(z, y) + Σ δ² θ²,  z = Xθ
    g    = Xᵀ (w ∂C_z/∂z) + 2 δ² θ
    H    = Σ w x xᵀ ∂²C_z/∂z² + 2 diag(δ²)

The chain rule for z = Xθ. The literal formulas of the lecture stand in `logistic` and `softmax`, and tests compare the
two.
"""

from typing import NamedTuple

import jax.numpy as jnp
from jax import Array

from jax_course.linalg import product, transpose_product
from jax_course.losses import Loss


class LinearCost(NamedTuple):
    """X (m, d), y (m,), weights w (m,) or (); delta2, the penalties, of the shape of theta: (d,) or (d, K)."""

    loss: Loss
    X: Array
    y: Array
    w: Array
    delta2: Array

    def value(self, theta: Array) -> Array:
        """C(θ), a scalar."""
        return jnp.sum(self.w * self.loss.values(product(self.X, theta), self.y)) + jnp.sum(self.delta2 * theta**2)

    def gradient(self, theta: Array) -> Array:
        """g, like theta."""
        return self.gradient_from(theta, self.loss.slope(product(self.X, theta), self.y))

    def gradient_from(self, theta: Array, slope: Array) -> Array:
        """g, where the slope ∂C_z/∂z is known, (m,) or (m, K)."""
        return transpose_product(self.X, weighted(self.w, slope)) + 2 * self.delta2 * theta

    def hessian(self, theta: Array) -> Array:
        """H of shape theta.shape + theta.shape, without the penalty."""
        return self.loss.hessian(product(self.X, theta), self.X, self.w)

    def rounded_gradient(self, theta: Array) -> Array:
        """A bound on what rounding adds to each entry of the gradient at theta, where predictions are probabilities.

        Every z is rounded as a sum of x_j θ_j, and takes π along with the slope π(1 − π); π is rounded as a number up
        to 1.
        """
        pi, size = self.loss.prediction(product(self.X, theta)), jnp.abs(self.X)
        error = 1 + pi * (1 - pi) * product(size, jnp.abs(theta))
        rounded = transpose_product(size, weighted(self.w, error)) + 2 * self.delta2 * jnp.abs(theta)
        return 8 * jnp.finfo(self.X.dtype).eps * rounded


def weighted(w: Array, values: Array) -> Array:
    """The values (m,) or (m, K) of each example times its weight; w a scalar or (m,)."""
    return (w.reshape(-1, *(1,) * (values.ndim - 1)) if w.ndim else w) * values


def tolerance(first_norm: Array, rounded: Array) -> Array:
    """The norm of a gradient that is small: 1e-10 of that at the start, or what rounding leaves if that is more."""
    return jnp.maximum(1e-10 * first_norm, jnp.linalg.norm(rounded))
