"""The fit of a least squares problem: the solution with its status, its method, its gradient's norm and derivatives."""

from collections.abc import Callable
from functools import partial

import jax.numpy as jnp

from jax_course import losses
from jax_course.implicit import minimiser
from jax_course.inputs import Problem, refuse_not_finite
from jax_course.linalg import Solved, penalized_least_squares
from jax_course.linalg.normal_equations import LeastSquaresMethod
from jax_course.linear_cost import conditions
from jax_course.solution import Method, Solution, Status
from jax_course.tiers import compiled

LOSS = losses.squared_error()


def least_squares_fit(problem: Problem, solve: Callable[..., Solved] | None = None) -> Solution:
    """The θ (d,) of least Σ w (y − ŷ)² + Σ penalty θ², by `solve(X, y, penalty, weights)`. Course 3.3, 6.1.

    Of t targets, y (m, t): θ (d, t), the sum of the costs, and one status.

    X and y may be unread: they are refused where they are not finite.

    >>> from jax_course.inputs import unread_regression_problem
    >>> least_squares_fit(unread_regression_problem([[1.0], [2.0]], [3.0, 7.0], penalty=3.5)).theta
    Array([2.], dtype=float64)
    """
    solve = solve or partial(penalized_least_squares, refuse=lambda: refuse_not_finite(problem))

    def fit(p: Problem) -> Solution:
        return least_squares_solution(solve(p.X, p.y, p.penalty, p.weights))

    return minimiser(conditions(LOSS), fit, problem)


@compiled
def least_squares_solution(solved: Solved) -> Solution:
    """The `Solution` of θ (d,) or (d, t), RANK_DEFICIENT where the rank is below d. Course 3.3, 6.1.

    >>> from jax_course.linalg import penalized_least_squares
    >>> X, y, one = jnp.array([[1.0], [2.0]]), jnp.array([3.0, 7.0]), jnp.array(1.0)
    >>> least_squares_solution(penalized_least_squares(X, y, jnp.array([3.5]), one)).theta
    Array([2.], dtype=float64)
    """
    theta, half_gradient, cost, rank, method = solved
    status = jnp.where(rank < len(theta), Status.RANK_DEFICIENT, Status.CONVERGED)
    status = jnp.where(jnp.isfinite(cost), status, Status.NOT_FINITE).astype(jnp.int32)
    gradient_norm = jnp.linalg.norm(2 * half_gradient)
    method = jnp.array([Method[each.name] for each in LeastSquaresMethod])[method]
    return Solution(theta, cost, gradient_norm, jnp.array(1), status, method=method)
