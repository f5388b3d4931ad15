r"""The conditions of a lasso's minimiser, for its derivatives by X, y and the penalties (course 6.2).

With A the parameters that are not 0, or have no penalty, and s_j = sign θ_j:

    2 x_jᵀ(Xθ − y) + penalty_j s_j = 0   for j in A,   θ_j = 0 for the others
    H = 2 X_AᵀX_A in A, the identity outside
    |2 x_jᵀ(Xθ − y)| < penalty_j          for j outside of A

While the last line holds strictly, a small change of the data changes neither A nor s, and θ(p) is differentiable. At a
knot of the path an equality holds: there θ has two one-sided derivatives, and what is returned is NaN.
"""

import jax.numpy as jnp
from jax import Array

from jax_course.implicit import LARGEST_HESSIAN, Conditions, conjugate_gradients, spd_inverse_product
from jax_course.linalg import gram, product, transpose_product
from jax_course.tiers import compiled

Data = tuple[Array, Array, Array]  # X, y, penalty


def _active(theta: Array, penalty: Array) -> Array:
    return (theta != 0) | (penalty == 0)


@compiled
def cost(theta: Array, p: Data) -> Array:
    """J."""
    X, y, penalty = p
    return jnp.sum((product(X, theta) - y) ** 2) + jnp.sum(penalty * jnp.sign(theta) * theta)


@compiled
def residual(theta: Array, p: Data) -> Array:
    """The residual of the conditions, (d,)."""
    X, y, penalty = p
    slope = 2 * transpose_product(X, product(X, theta) - y)
    return jnp.where(_active(theta, penalty), slope + penalty * jnp.sign(theta), theta)


@compiled
def hessian_product(theta: Array, p: Data, v: Array) -> Array:
    """H v."""
    X, _, penalty = p
    active = _active(theta, penalty)
    return jnp.where(active, 2 * transpose_product(X, product(X, jnp.where(active, v, 0))), v)


@compiled
def solve(theta: Array, p: Data, b: Array) -> Array:
    """H⁻¹ b; NaN where H is singular to rounding."""
    X, _, penalty = p
    if theta.size > LARGEST_HESSIAN:
        return conjugate_gradients(lambda v: hessian_product(theta, p, v), b)
    active = _active(theta, penalty)
    H = jnp.where(active[:, None] & active[None, :], 2 * gram(X), jnp.eye(theta.size, dtype=X.dtype))
    return spd_inverse_product(H, b)


@compiled
def exists(theta: Array, p: Data, _: Array) -> Data:
    """1, or NaN where a small change of the data changes A or s."""
    X, y, penalty = p
    slope = jnp.abs(2 * transpose_product(X, product(X, theta) - y))
    inside = slope < penalty * (1 - float(jnp.finfo(X.dtype).eps) ** 0.5)
    one = jnp.where(jnp.all(_active(theta, penalty) | inside), 1, jnp.nan).astype(X.dtype)
    return one, one, one


CONDITIONS = Conditions(cost, residual, hessian_product, solve, exists=exists)
