r"""The cost of a linear classifier, with its derivatives, from the loss of its scores.

    C(θ) = Σ w C_z(z, y) + Σ δ² θ²,  z = Xθ
    g    = Xᵀ (w ∂C_z/∂z) + 2 δ² θ
    H    = Σ w x xᵀ ∂²C_z/∂z² + 2 diag(δ²)

The chain rule for z = Xθ. The literal formulas of the lecture stand in `logistic` and `softmax`, and tests compare the
two.

Along a line the scores are linear, z(θ + αp) = z + α z_p with z_p = Xp, so that a line search reads no X:

    φ'(α) = Σ w ∂C_z/∂z(z + α z_p) z_p + 2 δ² (θ + αp) p

C is convex: its slopes say whether a step is short enough, also where C itself is lost in rounding.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax.numpy as jnp
from jax import Array, lax

from jax_course.linalg import is_large, product, product_and_transpose_product, transpose_product
from jax_course.losses import Loss
from jax_course.optimization.objective import Line, Objective, Point


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


class Coordinates(NamedTuple):
    """The coordinates x in which a fit takes its steps: z = design · q, q = origin + step(x), θ = theta(q).

    step, theta: linear maps. gradient: (designᵀ (w · slope), θ) → the gradient in x, of any shape.
    """

    design: Array
    origin: Array
    step: Callable[[Array], Array]
    theta: Callable[[Array], Array]
    gradient: Callable[[Array, Array], Array]


class Scored(NamedTuple):
    """The extra values of a point: q, the scores z, and designᵀ (w · slope)."""

    q: Array
    Z: Array
    moment: Array


def convex_objective(
    cost: LinearCost, coordinates: Coordinates, hessian: Callable[[Point], Array] | None = None
) -> Objective:
    """The cost as a function of coordinates x (n,), for solvers that go by slopes: its values are given as 0."""
    design, origin, step, theta, gradient = coordinates
    zero, each = jnp.zeros((), cost.X.dtype), (cost.w,) if cost.w.ndim else ()

    def weighted_slope(Z: Array, y: Array, *w: Array) -> Array:
        return weighted(w[0] if w else cost.w, cost.loss.slope(Z, y))

    def scored(x: Array, q: Array, Z: Array, moment: Array) -> Point:
        return Point(x, zero, gradient(moment, theta(q)).reshape(-1), Scored(q, Z, moment))

    def point(x: Array) -> Point:
        q = origin + step(x.reshape(origin.shape))
        return scored(x, q, *product_and_transpose_product(weighted_slope, q, design, cost.y, *each))

    def along(start: Point, p: Array) -> Line:
        q, Z, _ = start.extra
        q_p = step(p.reshape(origin.shape))
        at_once = is_large(design)  # most steps have the length 1
        if at_once:
            Z_p, moment_at_1 = product_and_transpose_product(
                lambda Z_p, Z, *each: weighted_slope(Z + Z_p, *each), q_p, design, Z, cost.y, *each
            )
        else:
            Z_p, moment_at_1 = product(design, q_p), jnp.zeros_like(q)
        theta_0, theta_p = theta(q), theta(q_p)

        def slope(alpha: Array) -> Array:
            return jnp.sum(weighted_slope(Z + alpha * Z_p, cost.y, *each) * Z_p)

        def at(alpha: Array) -> tuple[Array, Array, tuple]:
            penalty_slope = jnp.sum(2 * cost.delta2 * (theta_0 + alpha * theta_p) * theta_p)
            if not at_once:
                return zero, slope(alpha) + penalty_slope, ()
            slope_at_1 = jnp.sum(moment_at_1 * q_p)
            return zero, lax.cond(alpha == 1, lambda: slope_at_1, lambda: slope(alpha)) + penalty_slope, ()

        def taken(alpha: Array, *_: Any) -> Point:
            new_Z = Z + alpha * Z_p

            def moment() -> Array:
                return transpose_product(design, lax.optimization_barrier(weighted_slope(new_Z, cost.y, *each)))

            new_moment = lax.cond(alpha == 1, lambda: moment_at_1, moment) if at_once else moment()
            return scored(start.x + alpha * p, q + alpha * q_p, new_Z, new_moment)

        return Line(at, (), taken)

    return Objective(point, along) if hessian is None else Objective(point, along, hessian)


def tolerance(first_norm: Array, rounded: Array) -> Array:
    """The norm of a gradient that is small: 1e-10 of that at the start, or what rounding leaves if that is more."""
    return jnp.maximum(1e-10 * first_norm, jnp.linalg.norm(rounded))
