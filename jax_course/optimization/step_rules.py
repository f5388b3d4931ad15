"""Step lengths along a direction p: the rules that a solver takes as `line_search`. Course 7.5, 7.6.

Each is a function (f, point, p, alpha) → Found, where alpha is the step length to try first. Each is also a pytree,
whose numbers may change without another compilation.
"""

from typing import NamedTuple, Protocol

import jax.numpy as jnp
from jax import Array

from jax_course.inputs.types import ArrayLike
from jax_course.linalg import inner
from jax_course.optimization.line_search import C2, Trial, backtracking, strong_wolfe
from jax_course.optimization.objective import Objective, Point


class Found(NamedTuple):
    """The point of a step, its α (), the evaluations it took, and whether it satisfies the rule."""

    point: Point
    alpha: Array
    function_evaluations: Array | int
    gradient_evaluations: Array | int
    hessian_evaluations: int
    success: Array


class LineSearch(Protocol):
    """The signature of a rule. f: the cost; point: the start; p (n,): the direction; alpha (): a first try."""

    def __call__(self, f: Objective, point: Point, p: Array, alpha: Array) -> Found: ...


class FixedStep(NamedTuple):
    """θ ← θ + η p, whether or not the cost falls. Course 7.5.

    learning_rate: η, a number or a scalar array, in units of θ / p.

    >>> FixedStep(0.1).learning_rate
    0.1
    """

    learning_rate: ArrayLike

    def __call__(self, f: Objective, point: Point, p: Array, alpha: Array) -> Found:
        """The point at α = η; always successful."""
        eta = jnp.asarray(self.learning_rate, p.dtype)
        return Found(f.point(point.x + eta * p), eta, 1, 1, 0, jnp.asarray(True))


class ExactStep(NamedTuple):
    """The minimum along p of a quadratic cost, α = −gᵀp / pᵀHp. Course 7.5, N&W 3.55.

    >>> from jax_course.optimization import gradient_descent
    >>> gradient_descent(lambda t: (t - 3.0) ** 2, 0.0, line_search=ExactStep(), max_steps=1).theta
    Array(3., dtype=float64)
    """

    def __call__(self, f: Objective, point: Point, p: Array, alpha: Array) -> Found:
        """The point at this α; without success if pᵀHp ≤ 0 or the direction ascends."""
        curvature = inner(p, f.product(point.x, p))
        alpha = -inner(point.g, p) / jnp.where(curvature > 0, curvature, 1)
        return Found(f.point(point.x + alpha * p), alpha, 1, 1, 1, (curvature > 0) & (alpha > 0))


class Backtracking(NamedTuple):
    """The first of α, α/2, α/4, … with sufficient decrease, up to the rounding of f. Course 7.5, N&W 3.6a.

    >>> from jax_course.optimization import gradient_descent
    >>> gradient_descent(lambda t: (t - 0.75) ** 2, 0.0, line_search=Backtracking(), max_steps=1).theta
    Array(1., dtype=float64)
    """

    def __call__(self, f: Objective, point: Point, p: Array, alpha: Array) -> Found:
        """The point at the first α with sufficient decrease."""
        start = Trial(jnp.zeros_like(point.f), point.f, inner(point.g, p))
        invisible = is_invisible(alpha * start.slope, point.f)
        rounding = jnp.where(invisible, last_place(point.f), 0)
        step = backtracking(lambda alpha: f.value(point.x + alpha * p), start, alpha, rounding)
        x = point.x + step.taken.alpha * p
        return Found(Point(x, step.taken.value, f.gradient(x)), step.taken.alpha, step.evaluations, 1, 0, step.success)


def last_place(f: Array) -> Array:
    """A bound for the rounding of f, (): 8 ε |f|.

    >>> float(last_place(jnp.array(2.0**52)))
    8.0
    """
    return 8 * jnp.finfo(f.dtype).eps * jnp.abs(f)


def is_invisible(change: Array, f: Array) -> Array:
    """Whether a change of f is below its rounding, or would be after 14 halvings.

    >>> bool(is_invisible(jnp.array(1e-13), jnp.array(1.0)))
    True
    """
    return jnp.abs(change) <= 2**14 * last_place(f)


class StrongWolfe(NamedTuple):
    """Sufficient decrease, and a slope of at most c₂ times its size at the start. Course 7.6, N&W 3.7.

    c2: between 1e-4 and 1. A small one makes the search nearly exact, as conjugate gradients need; quasi-Newton methods
    need a large one.

    >>> StrongWolfe().c2
    0.9
    """

    c2: ArrayLike = C2

    def __call__(self, f: Objective, point: Point, p: Array, alpha: Array) -> Found:
        """The point at an α that satisfies both conditions."""
        start, line = Trial(jnp.zeros_like(point.f), point.f, inner(point.g, p)), f.along(point, p)
        step = strong_wolfe(line.evaluate, start, line.found, alpha, jnp.asarray(self.c2, p.dtype))
        end = line.point(step.taken.alpha, step.taken.value, step.extra)
        return Found(end, step.taken.alpha, step.evaluations, step.evaluations, 0, step.success)
