"""The solution of a least squares problem as a fit reports it: with its status, its method and its gradient's norm."""

import jax.numpy as jnp

from jax_course.linalg import Solved
from jax_course.linalg.normal_equations import LeastSquaresMethod
from jax_course.solution import Method, Solution, Status
from jax_course.tiers import compiled


@compiled
def least_squares_solution(solved: Solved) -> Solution:
    """The `Solution` of θ (d,), RANK_DEFICIENT where the rank is below d. Course 3.3, 6.1.

    >>> from jax_course.linalg import penalized_least_squares
    >>> X, y, one = jnp.array([[1.0], [2.0]]), jnp.array([3.0, 7.0]), jnp.array(1.0)
    >>> least_squares_solution(penalized_least_squares(X, y, jnp.array([3.5]), one)).theta
    Array([2.], dtype=float64)
    """
    theta, half_gradient, cost, rank, method = solved
    status = jnp.where(rank < theta.size, Status.RANK_DEFICIENT, Status.CONVERGED)
    status = jnp.where(jnp.isfinite(cost), status, Status.NOT_FINITE).astype(jnp.int32)
    gradient_norm = jnp.linalg.norm(2 * half_gradient)
    method = jnp.array([Method[each.name] for each in LeastSquaresMethod])[method]
    return Solution(theta, cost, gradient_norm, jnp.array(1), status, method=method)
