r"""The cost of a model that is linear in its parameters, with its derivatives, from the loss of its scores.

    C(θ) = Σ w C_z(z, y) + Σ δ² θ²,  z = Xθ
    g    = Xᵀ (w ∂C_z/∂z) + 2 δ² θ
    H    = Σ w x xᵀ ∂²C_z/∂z² + 2 diag(δ²)

The chain rule for z = Xθ. Of t targets with the squared error, theta (d, t) and y (m, t), the cost is the sum, and H is
that of each target: (d, d), with penalties (d,). The literal formulas of the lecture stand in `linear`, `ridge`,
`logistic` and `softmax`, and tests compare the two.
"""

from functools import cache, partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array, lax

from jax_course.implicit import LARGEST_HESSIAN, Conditions, conjugate_gradients, spd_inverse_product
from jax_course.inputs.problems import Problem
from jax_course.linalg import product, shortest_solution, transpose_product
from jax_course.linalg.cholesky import rounding_noise
from jax_course.linalg.lapack import eigvalsh
from jax_course.losses import Loss, class_shift
from jax_course.tiers import compiled


class LinearCost(NamedTuple):
    """X (m, d), y (m,), weights w (m,) or (); delta2, the penalties, of the shape of theta: (d,) or (d, K).

    Of t targets: y (m, t), theta (d, t), delta2 (d,).

    rows: the number of examples where rows of zeros follow them (`padding`), which count in sums without X only.
    """

    loss: Loss
    X: Array
    y: Array
    w: Array
    delta2: Array
    rows: Any = None

    def is_example(self) -> Array:
        """Whether a row is an example, shape (m,); () where all are."""
        return jnp.array(True) if self.rows is None else jnp.arange(len(self.y)) < self.rows

    def value(self, theta: Array) -> Array:
        """C(θ), a scalar."""
        each = self.w * self.loss.values(product(self.X, theta), self.y)
        return jnp.sum(jnp.where(self.is_example(), each, 0)) + jnp.sum(weighted(self.delta2, theta**2))

    def gradient(self, theta: Array) -> Array:
        """g, like theta."""
        return self.gradient_from(theta, self.loss.slope(product(self.X, theta), self.y))

    def gradient_from(self, theta: Array, slope: Array) -> Array:
        """g, where the slope ∂C_z/∂z is known, (m,) or (m, K)."""
        return transpose_product(self.X, weighted(self.w, slope)) + 2 * weighted(self.delta2, theta)

    def hessian(self, theta: Array) -> Array:
        """H of shape delta2.shape + delta2.shape, without the penalty."""
        return self.loss.hessian(product(self.X, theta), self.y, self.X, self.w)

    def hessian_product(self, theta: Array, v: Array) -> Array:
        """H v with the penalty, like theta."""
        curved = self.loss.curvature_product(product(self.X, theta), self.y, product(self.X, v))
        return transpose_product(self.X, weighted(self.w, curved)) + 2 * weighted(self.delta2, v)

    def rounded_gradient(self, theta: Array) -> Array:
        """A bound on what rounding adds to each entry of the gradient at theta, like theta."""
        rounded = self.rounded_moment(theta) + 2 * self.delta2 * jnp.abs(theta)
        return 8 * jnp.finfo(self.X.dtype).eps * rounded

    def rounded_moment(self, theta: Array) -> Array:
        """A bound on what rounding adds to Xᵀ (w ∂C_z/∂z), the gradient without a penalty, in units of 8 ε.

        Every z is rounded as a sum of x_j θ_j, and changes the slope by the curvature times that; the slope is rounded
        as the numbers whose difference it is.
        """
        z, size = product(self.X, theta), jnp.abs(self.X)
        error = self.loss.terms(z, self.y) + self.loss.curvature(z, self.y) * product(size, jnp.abs(theta))
        return transpose_product(size, weighted(self.w, error))


def weighted(w: Array, values: Array) -> Array:
    """The values (m,) or (m, K) of each row times its weight, a scalar or (m,); or of each times its own, (m, K)."""
    return (w[:, None] if w.ndim == 1 and values.ndim == 2 else w) * values


@cache
def conditions(loss: Loss) -> Conditions:
    """The conditions of a minimiser theta of parameters (X, y, weights, penalties): its gradient is 0."""

    def cost(theta: Array, p: Any) -> Array:
        return LinearCost(loss, *p).value(theta)

    def gradient(theta: Array, p: Any) -> Array:
        return LinearCost(loss, *p).gradient(theta)

    def hessian_product(theta: Array, p: Any, v: Array) -> Array:
        return LinearCost(loss, *p).hessian_product(theta, v)

    def solve(theta: Array, p: Any, b: Array) -> Array:
        if p[-1].size > LARGEST_HESSIAN:
            return conjugate_gradients(lambda v: LinearCost(loss, *p).hessian_product(theta, v), b)
        H = _full_hessian(LinearCost(loss, *p), theta)
        return spd_inverse_product(H + _shift(H, p[-1]), _right_sides(b, p[-1])).reshape(b.shape)

    def shortest(theta: Array, p: Any, b: Array) -> Array:
        H, b = _full_hessian(LinearCost(loss, *p), theta), _right_sides(b, p[-1])
        x = shortest_solution(H, b) if b.ndim == 1 else jax.vmap(partial(shortest_solution, H), 1, 1)(b)
        return x.reshape(theta.shape)

    def exists(theta: Array, p: Any, deficient: Array) -> Any:
        return _exists(LinearCost(loss, *p), theta, deficient)

    return Conditions(*map(compiled, (cost, gradient, hessian_product, solve, shortest, exists)))


def _full_hessian(cost: LinearCost, theta: Array) -> Array:
    """H with the penalty, of shape (n, n), n the number of parameters; of several targets those of one."""
    n = cost.delta2.size
    return cost.hessian(theta).reshape(n, n) + 2 * jnp.diag(cost.delta2.reshape(-1))


def _right_sides(b: Array, delta2: Array) -> Array:
    """b, like theta, as the right-hand side (n,) of a system with H, or those of t targets, (n, t)."""
    return b.reshape(-1) if b.ndim == delta2.ndim else b


def _shift(H: Array, delta2: Array) -> Array:
    """A curvature for what leaves the probabilities of K classes as they are: adding a number to all classes of a row
    without a penalty. Solutions of H x = b have no such part, so that they stay what they are."""
    if delta2.ndim == 1:
        return jnp.zeros_like(H)
    d, K = delta2.shape
    size = jnp.where(jnp.all(delta2 == 0, axis=1), jnp.mean(jnp.diagonal(H).reshape(d, K), axis=1), 0)
    return class_shift(jnp.diag(size), K).reshape(H.shape)


def _exists(cost: LinearCost, theta: Array, deficient: Array) -> Any:
    """NaN for what has no derivative where several minimisers are: a penalty of 0, and X, whose dependent columns any
    change makes independent, unless its rows alone are independent."""

    def is_steady() -> Array:
        sizes = eigvalsh(_full_hessian(cost, theta))
        n, d = cost.delta2.size, len(theta)
        rank = jnp.sum(sizes > rounding_noise(n, theta.dtype) * sizes[-1])
        classes = n // d
        rows = jnp.sum(jnp.broadcast_to(cost.w, len(cost.y)) > 0)
        return rank == rows * max(1, classes - 1)

    one = jnp.ones((), theta.dtype)
    steady = lax.cond(deficient, is_steady, lambda: jnp.array(True))
    for_X, for_penalty = jnp.where(steady, one, jnp.nan), jnp.where(deficient & (cost.delta2 == 0), jnp.nan, one)
    return Problem(for_X, one, one, for_penalty)
