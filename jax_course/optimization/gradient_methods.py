r"""Methods that need no matrix: steepest descent and nonlinear conjugate gradients. Course 7.5.

    gradient_descent   p_k = −g_k
    nonlinear_cg       p_k = −g_k + β p_k−1,  β = max(0, g_kᵀ(g_k − g_k−1) / g_k−1ᵀg_k−1)      N&W 5.41b, 5.44, 5.45

On a quadratic with exact steps the directions of conjugate gradients are conjugate, p_iᵀHp_j = 0, and d steps reach
the minimum; β = 0 restarts the method if the gradients are no longer orthogonal. In a valley of condition number κ
steepest descent needs about κ steps, conjugate gradients √κ.

The first α to try gives the decrease of the previous step to first order (N&W 3.60); the first step has length 1. Once
the decrease is below the rounding of the cost, steepest descent keeps α.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax.numpy as jnp
from jax import Array

from jax_course.inputs.shapes import whole
from jax_course.inputs.types import ArrayLike
from jax_course.linalg import inner
from jax_course.optimization.descent import DescentMethod, Direction, descent
from jax_course.optimization.objective import Objective, Point
from jax_course.optimization.run import Algorithm, Task, solver
from jax_course.optimization.step_rules import Backtracking, FixedStep, LineSearch, StrongWolfe, is_invisible


class _Previous(NamedTuple):
    """g, p, α and αgᵀp of the previous step; p is 0 before the first."""

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
    """Minimise cost(theta) by steepest descent, θ ← θ − α∇J(θ). Course 7.5.

    theta: the start, a tree of floating-point arrays. gradient(theta): a tree like theta, by default from autodiff.
    line_search: a rule of `step_rules`, or a number as a fixed learning rate; `ExactStep()` is for quadratic costs.
    tolerance: stop at ‖∇J‖ ≤ tolerance, by default ½√ε. TypeError, ValueError: the cost is no scalar, or the gradient
    not like theta. Every other end is a `Status` of the solution.

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
    """Minimise cost(theta) by nonlinear conjugate gradients (Polak and Ribière): stores three vectors. Course 7.6.

    The arguments and errors are those of `gradient_descent`.

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
    def direction(f: Objective, point: Point, previous: _Previous) -> Direction:
        p = -point.g
        known = (previous.decrease < 0) & is_invisible(previous.decrease, point.f)
        return Direction(p, jnp.where(known, previous.alpha, _first_alpha(point, p, previous)))

    return descent(DescentMethod(_start, direction, _update), **settings)


def _nonlinear_cg(**settings: Any) -> Algorithm:
    def direction(f: Objective, point: Point, previous: _Previous) -> Direction:
        beta = inner(point.g, point.g - previous.g) / inner(previous.g, previous.g)
        p = -point.g + jnp.maximum(beta, 0) * previous.p
        p = jnp.where(inner(p, point.g) < 0, p, -point.g)
        return Direction(p, _first_alpha(point, p, previous))

    return descent(DescentMethod(_start, direction, _update), **settings)


def _start(point: Point) -> _Previous:
    zero = jnp.zeros_like(point.f)
    return _Previous(point.g, jnp.zeros_like(point.g), zero, zero)


def _update(previous: _Previous, old: Point, new: Point, direction: Direction, alpha: Array) -> _Previous:
    return _Previous(old.g, direction.p, alpha, alpha * inner(old.g, direction.p))


def _first_alpha(point: Point, p: Array, previous: _Previous) -> Array:
    slope = inner(point.g, p)
    return jnp.where(previous.decrease < 0, 2 * previous.decrease / slope, 1 / jnp.linalg.norm(p))
