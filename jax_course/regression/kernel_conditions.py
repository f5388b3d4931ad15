r"""The conditions of kernel ridge regression, for the derivatives of its minimiser (course 6.4, 6.5).

    (K + δ²I) θ = y                                                  one kernel on each example
    (K + δ²I) w + b1 = y,  Σ w = 0                                   with a bias b

Both systems are symmetric. Parameters p: X, y, scale, δ². Without a bias, y and θ may be those of several targets,
(m, t). The kernel matrix depends on X and on scale.
"""

from functools import partial

import jax
import jax.numpy as jnp
from jax import Array

from jax_course.features import rbf
from jax_course.implicit import Conditions
from jax_course.linalg import product, shortest_solution, spd_factor
from jax_course.regression.kernel_fit import (
    WithBias,
    is_regular,
    kernel_product,
    solve_by_blocks,
)
from jax_course.tiers import compiled

LARGEST_EXACT = 10_000  # training points; K of more, above 800 MB in float64, is never in memory as a whole
Data = tuple[Array, Array, Array, Array]  # X, y, scale, delta2


def _times(p: Data, v: Array) -> Array:
    """(K + δ²I) v."""
    X, _, scale, delta2 = p
    return kernel_product(v, X, X, scale) + delta2 * v


def _cost(theta: Array, y: Array, p: Data) -> Array:
    """J = ‖y − Kθ‖² + δ²θᵀKθ."""
    X, _, scale, delta2 = p
    fitted = kernel_product(theta, X, X, scale)
    return jnp.sum((y - fitted) ** 2) + jnp.sum(delta2 * theta * fitted)


def _matrix(p: Data) -> Array:
    X, _, scale, delta2 = p
    return rbf(X, centers=X, scale=scale) + delta2 * jnp.eye(len(X), dtype=X.dtype)


def _solve(theta: Array, p: Data, b: Array) -> Array:
    """(K + δ²I)⁻¹ b, b like y; NaN where the matrix is singular to rounding."""
    X, _, scale, delta2 = p
    if len(X) > LARGEST_EXACT:
        solve = partial(solve_by_blocks, X, scale=scale, delta2=delta2)
        return solve(b) if b.ndim == 1 else jax.vmap(solve, 1, 1)(b)
    A = _matrix(p)
    factored = spd_factor(A)
    x = factored.solve(b)
    x = x + factored.solve(b - product(A, x))
    return jnp.where(is_regular(factored, A, delta2), x, jnp.nan)


def _shortest(theta: Array, p: Data, b: Array) -> Array:
    """(K + δ²I)⁺ b."""
    solve = partial(shortest_solution, _matrix(p))
    return solve(b) if b.ndim == 1 else jax.vmap(solve, 1, 1)(b)


def _exists(theta: Array, p: Data, deficient: Array) -> Data:
    """A singular matrix is one for no other points, scale or penalty nearby."""
    one = jnp.ones((), theta.dtype)
    other = jnp.where(deficient, jnp.nan, one)
    return other, one, other, other


CONDITIONS = Conditions(
    cost=compiled(lambda theta, p: _cost(theta, p[1], p)),
    residual=compiled(lambda theta, p: _times(p, theta) - p[1]),
    product=compiled(lambda theta, p, v: _times(p, v)),
    solve=compiled(_solve),
    shortest=compiled(_shortest),
    exists=_exists,
)


def _bordered(p: Data, v: WithBias) -> WithBias:
    return WithBias(_times(p, v.weights) + v.bias, jnp.sum(v.weights))


def _solve_bordered(theta: WithBias, p: Data, b: WithBias) -> WithBias:
    """(u − x o, x) with u = A⁻¹b.weights, o = A⁻¹1 and x = (1ᵀu − b.bias) / 1ᵀo."""
    u, o = _solve(theta.weights, p, b.weights), _solve(theta.weights, p, jnp.ones_like(b.weights))
    bias = (jnp.sum(u) - b.bias) / jnp.sum(o)
    return WithBias(u - bias * o, bias)


CONDITIONS_WITH_BIAS = Conditions(
    cost=compiled(lambda theta, p: _cost(theta.weights, p[1] - theta.bias, p)),
    residual=compiled(lambda theta, p: _bordered(p, theta)._replace(weights=_bordered(p, theta).weights - p[1])),
    product=compiled(lambda theta, p, v: _bordered(p, v)),
    solve=compiled(_solve_bordered),
)
