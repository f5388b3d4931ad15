r"""Methods that need no matrix: steepest descent and nonlinear conjugate gradients. Course 7.5.

    gradient_descent   p = −g
    nonlinear_cg       p = −g + β p_before,  β = max(0, gᵀ(g − g_before) / g_beforeᵀg_before)      N&W 5.41b, 5.44, 5.45

On a quadratic with exact steps the directions of conjugate gradients are conjugate, p_iᵀHp_j = 0, and d steps end it;
β = 0 begins anew where the gradients are no longer orthogonal. Along a valley of condition number κ steepest descent
needs about κ steps, conjugate gradients √κ.

The α to try first: where the cost would fall as much as in the step before (N&W 3.60); in the first step a length 1.
Where steepest descent can no longer see the cost fall, α stays.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax.numpy as jnp
from jax import Array
from jax.typing import ArrayLike

from jax_course.checks import whole
from jax_course.optimization.descent import Heading, Method, descent
from jax_course.optimization.objective import Objective, Point
from jax_course.optimization.programs import Algorithm, Task, solver
from jax_course.optimization.steps import Backtracking, FixedStep, LineSearch, StrongWolfe, is_invisible


class _Before(NamedTuple):
    """g, p, α and αgᵀp of the step before; p is 0 before the first."""

    g: Array
    p: Array
    alpha: Array
    decrease: Array


@solver
def gradient_descent(
    cost: Callable[[Any], ArrayLike],
    theta: Any,
    *,
    gradient: Callable[[Any], Any] | None = None,
    line_search: LineSearch | float = Backtracking(),
    tolerance: ArrayLike | None = None,
    max_steps: int = 10_000,
) -> Task:
    """Minimise cost(theta) by θ ← θ − α∇J(θ). Course 7.5.

    line_search: a number is a fixed learning rate; `ExactStep()` is for quadratic costs.

    >>> gradient_descent(lambda t: (t - 3.0) ** 2, 0.0, line_search=0.1, max_steps=2).theta.round(2)
    Array(1.08, dtype=float64)
    """
    return _task(_gradient_descent, cost, theta, gradient, line_search, tolerance, max_steps)


@solver
def nonlinear_cg(
    cost: Callable[[Any], ArrayLike],
    theta: Any,
    *,
    gradient: Callable[[Any], Any] | None = None,
    line_search: LineSearch | float = StrongWolfe(c2=0.1),
    tolerance: ArrayLike | None = None,
    max_steps: int = 10_000,
) -> Task:
    """Minimise cost(theta) by conjugate gradients (Polak and Ribière): three vectors of memory. Course 7.6.

    >>> nonlinear_cg(lambda t: jnp.sum(jnp.array([1.0, 100.0]) * t**2), jnp.ones(2)).check().theta.round(6) + 0.0
    Array([0., 0.], dtype=float64)
    """
    return _task(_nonlinear_cg, cost, theta, gradient, line_search, tolerance, max_steps)


def _task(algorithm, cost, theta, gradient, line_search, tolerance, max_steps) -> Task:
    settings = {
        "line_search": line_search if callable(line_search) else FixedStep(line_search),
        "tolerance": tolerance,
        "max_steps": whole(max_steps, "max_steps"),
    }
    return Task(algorithm, {"cost": cost, "gradient": gradient}, theta, settings)


def _gradient_descent(**settings: Any) -> Algorithm:
    def heading(f: Objective, point: Point, before: _Before) -> Heading:
        p = -point.g
        known = (before.decrease < 0) & is_invisible(before.decrease, point.f)
        return Heading(p, jnp.where(known, before.alpha, _first_alpha(point, p, before)))

    return descent(Method(_start, heading, _remember), **settings)


def _nonlinear_cg(**settings: Any) -> Algorithm:
    def heading(f: Objective, point: Point, before: _Before) -> Heading:
        beta = point.g @ (point.g - before.g) / (before.g @ before.g)
        p = -point.g + jnp.maximum(beta, 0) * before.p
        p = jnp.where(p @ point.g < 0, p, -point.g)
        return Heading(p, _first_alpha(point, p, before))

    return descent(Method(_start, heading, _remember), **settings)


def _start(point: Point) -> _Before:
    zero = jnp.zeros_like(point.f)
    return _Before(point.g, jnp.zeros_like(point.g), zero, zero)


def _remember(before: _Before, old: Point, new: Point, heading: Heading, alpha: Array) -> _Before:
    return _Before(old.g, heading.p, alpha, alpha * (old.g @ heading.p))


def _first_alpha(point: Point, p: Array, before: _Before) -> Array:
    slope = point.g @ p
    return jnp.where(before.decrease < 0, 2 * before.decrease / slope, 1 / jnp.linalg.norm(p))
