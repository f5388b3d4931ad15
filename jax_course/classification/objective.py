r"""The cost of a linear classifier in the coordinates in which a fit takes its steps.

Along a line the scores are linear, z(θ + αp) = z + α z_p with z_p = Xp, so that a line search reads no X:

    φ'(α) = Σ w ∂C_z/∂z(z + α z_p) z_p + 2 δ² (θ + αp) p

C is convex: its slopes say whether a step is short enough, also where C itself is lost in rounding.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax.numpy as jnp
from jax import Array, lax

from jax_course.linalg import is_large, product, product_and_transpose_product, transpose_product
from jax_course.linear_cost import LinearCost, weighted
from jax_course.optimization.objective import Line, Objective, Point


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
    origin = coordinates.origin

    def point(x: Array) -> Point:
        q = origin + coordinates.step(x.reshape(origin.shape))
        slope = partial(_weighted_slope, cost)
        Z, moment = product_and_transpose_product(slope, q, coordinates.design, *_rows(cost))
        return _point(coordinates, x, Scored(q, Z, moment))

    along = partial(_line, cost, coordinates)
    return Objective(point, along) if hessian is None else Objective(point, along, hessian)


def _rows(cost: LinearCost) -> tuple[Array, ...]:
    """The arrays with an entry for each example, beside X."""
    return (cost.y, cost.w) if cost.w.ndim else (cost.y,)


def _weighted_slope(cost: LinearCost, Z: Array, y: Array, *w: Array) -> Array:
    return weighted(w[0] if w else cost.w, cost.loss.slope(Z, y))


def _point(coordinates: Coordinates, x: Array, scored: Scored) -> Point:
    g = coordinates.gradient(scored.moment, coordinates.theta(scored.q))
    return Point(x, jnp.zeros((), x.dtype), g.reshape(-1), scored)


def _line(cost: LinearCost, coordinates: Coordinates, start: Point, p: Array) -> Line:
    """The cost along p, by Z + α Z_p. Of a large X the gradient at α = 1, where most steps end, is computed at once."""
    design, rows = coordinates.design, _rows(cost)
    q, Z, _ = start.extra
    q_p = coordinates.step(p.reshape(q.shape))
    at_once = is_large(design)
    if at_once:
        Z_p, moment_at_1 = product_and_transpose_product(
            lambda Z_p, Z, *rows: _weighted_slope(cost, Z + Z_p, *rows), q_p, design, Z, *rows
        )
    else:
        Z_p, moment_at_1 = product(design, q_p), jnp.zeros_like(q)
    theta, theta_p = coordinates.theta(q), coordinates.theta(q_p)

    def slope(alpha: Array) -> Array:
        return jnp.sum(_weighted_slope(cost, Z + alpha * Z_p, *rows) * Z_p)

    def evaluate(alpha: Array) -> tuple[Array, Array, tuple]:
        penalty_slope = jnp.sum(2 * cost.delta2 * (theta + alpha * theta_p) * theta_p)
        slope_at_1 = jnp.sum(moment_at_1 * q_p)
        own = lax.cond(alpha == 1, lambda: slope_at_1, lambda: slope(alpha)) if at_once else slope(alpha)
        return jnp.zeros_like(own), own + penalty_slope, ()

    def point(alpha: Array, *_: Any) -> Point:
        new_Z = Z + alpha * Z_p

        def moment() -> Array:
            return transpose_product(design, lax.optimization_barrier(_weighted_slope(cost, new_Z, *rows)))

        new_moment = lax.cond(alpha == 1, lambda: moment_at_1, moment) if at_once else moment()
        return _point(coordinates, start.x + alpha * p, Scored(q + alpha * q_p, new_Z, new_moment))

    return Line(evaluate, (), point)


def tolerance(first_norm: Array, rounded: Array) -> Array:
    """The norm of a gradient that is small: 1e-10 of that at the start, or what rounding leaves if that is more."""
    return jnp.maximum(1e-10 * first_norm, jnp.linalg.norm(rounded))
