r"""How the fit of a classifier can end, besides well.

Separable classes. If some v has margins ≥ 0 on all examples and > 0 on one, the cost falls for ever along v and has no
minimum (Albert and Anderson, Biometrika 71, 1984). Two directions are tried on the examples after every step of
Newton's method: theta, which follows a complete separation; and, once the gradient is within the tolerance, the step,
which follows a partial one. There it converges to the direction of escape: it keeps adding 1 to the margins, e⁻ᶻ/e⁻ᶻ,
however small gradient and Hessian become. At a minimum the step is small by then, with margins of both signs. (Before
then a step may look the same for a while, where one example is far out.) A parameter that is penalised cannot escape,
so only the others count in v.

Dependent columns. The minimiser is not unique, and of all of them theta is made the one of least norm.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax import Array, lax

from jax_course.linalg import minimum_norm, spd_solve
from jax_course.optimization.solution import Solution, Status


def gradient_tolerance(X: Array, gradient_at_start: Array) -> Array:
    """1e-10 of the gradient at the start, or what rounding leaves of a sum over the examples if that is more."""
    rounding = 10 * jnp.finfo(X.dtype).eps * jnp.linalg.norm(jnp.sum(jnp.abs(X), axis=0))
    return jnp.maximum(1e-10 * jnp.linalg.norm(gradient_at_start), rounding)


def separation(margins: Callable[[Array], Array], delta2: Array) -> Callable[[Array, Array, Array], Array]:
    """The test (theta, step, small) → whether theta or the step separates the examples, completely or partially.

    margins(v): how far v puts each example on the right side, any shape; delta2: the penalties, like theta.
    """

    def separates(theta: Array, step: Array, small: Array) -> Array:
        by_theta, by_step = (margins(jnp.where(delta2 == 0, v, 0)) for v in (theta, step))
        largest = jnp.max(by_step)
        rounding = jnp.sqrt(jnp.finfo(largest.dtype).eps) * largest
        return (jnp.min(by_theta) > 0) | (small & (largest > 0.1) & (jnp.min(by_step) >= -rounding))

    return separates


def named(solution: Solution, X: Array, delta2: Array, hessian: Callable[[Array], Array]) -> Solution:
    """The solution with the status SEPARABLE, or with RANK_DEFICIENT and theta of least norm, where it is that."""

    def is_unique() -> Array:
        H = hessian(solution.theta).reshape(delta2.size, delta2.size)
        return spd_solve(H, jnp.zeros_like(H[0])).rcond > 10 * delta2.size * jnp.finfo(H.dtype).eps

    def least_norm_of_a_class(theta: Array, delta2: Array) -> tuple[Array, Array]:
        return minimum_norm(jnp.concatenate([X, jnp.diag(jnp.sqrt(delta2))]), theta)

    def least_norm() -> tuple[Array, Array]:
        columns = (values.reshape(X.shape[1], -1) for values in (solution.theta, delta2))
        theta, rank = jax.vmap(least_norm_of_a_class, in_axes=1, out_axes=(1, 0))(*columns)
        return theta.reshape(delta2.shape), jnp.min(rank)

    undetermined = (solution.status == Status.CONVERGED) & jnp.any(delta2 == 0)
    unique = lax.cond(undetermined, is_unique, lambda: jnp.array(True))
    theta, rank = lax.cond(unique, lambda: (solution.theta, jnp.array(X.shape[1])), least_norm)
    status = jnp.where(rank < X.shape[1], Status.RANK_DEFICIENT, solution.status)
    status = jnp.where(status == Status.UNBOUNDED, Status.SEPARABLE, status).astype(jnp.int32)
    return solution._replace(theta=theta, status=status)
