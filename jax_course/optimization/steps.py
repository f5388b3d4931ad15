"""How far along a direction p: the rules that a solver can be given as `line_search`. Course 7.5.

Each is a function (f, point, p, alpha) → Found, where alpha is what the solver would try first; a tree whose numbers
can change without another compilation.
"""

from typing import NamedTuple, Protocol

import jax.numpy as jnp
from jax import Array
from jax.typing import ArrayLike

from jax_course.optimization.line_search import C2, Trial, backtracking, strong_wolfe
from jax_course.optimization.objective import Objective, Point


class Found(NamedTuple):
    """The point taken, the α it lies at, the evaluations it took, and whether it is good."""

    point: Point
    alpha: Array
    function_evaluations: Array | int
    gradient_evaluations: Array | int
    hessian_evaluations: int
    success: Array


class LineSearch(Protocol):
    """What `line_search` must be."""

    def __call__(self, f: Objective, point: Point, p: Array, alpha: Array) -> Found: ...


class FixedStep(NamedTuple):
    """θ ← θ + η p, whatever becomes of the cost. Course 7.5."""

    learning_rate: ArrayLike

    def __call__(self, f: Objective, point: Point, p: Array, alpha: Array) -> Found:
        """The point at η."""
        eta = jnp.asarray(self.learning_rate, p.dtype)
        return Found(_at(f, point.x + eta * p), eta, 1, 1, 0, jnp.asarray(True))


class ExactStep(NamedTuple):
    """The minimum along p of a quadratic cost, α = −gᵀp / pᵀHp (N&W 3.55); no success where pᵀHp ≤ 0."""

    def __call__(self, f: Objective, point: Point, p: Array, alpha: Array) -> Found:
        """The point at α."""
        curvature = p @ f.product(point.x, p)
        alpha = -(point.g @ p) / jnp.where(curvature > 0, curvature, 1)
        return Found(_at(f, point.x + alpha * p), alpha, 1, 1, 1, (curvature > 0) & (alpha > 0))


class Backtracking(NamedTuple):
    """The first of α, α/2, α/4, … with sufficient decrease (N&W 3.6a), as far as the last place of f shows one."""

    def __call__(self, f: Objective, point: Point, p: Array, alpha: Array) -> Found:
        """The point at the first good α."""
        start = Trial(jnp.zeros_like(point.f), point.f, point.g @ p)
        invisible = is_invisible(alpha * start.slope, point.f)
        rounding = jnp.where(invisible, last_place(point.f), 0)
        step = backtracking(lambda alpha: f.value(point.x + alpha * p), start, alpha, rounding)
        x = point.x + step.taken.alpha * p
        return Found(Point(x, step.taken.value, f.gradient(x)), step.taken.alpha, step.evaluations, 1, 0, step.success)


def last_place(f: Array) -> Array:
    """What rounding may add to f."""
    return 8 * jnp.finfo(f.dtype).eps * jnp.abs(f)


def is_invisible(change: Array, f: Array) -> Array:
    """Whether a change of f drowns in rounding, or would after a few halvings."""
    return jnp.abs(change) <= 2**14 * last_place(f)


class StrongWolfe(NamedTuple):
    """Sufficient decrease, and a slope flattened to c₂ of its size (N&W 3.7)."""

    c2: ArrayLike = C2

    def __call__(self, f: Objective, point: Point, p: Array, alpha: Array) -> Found:
        """The point at a good α."""

        def along(alpha: Array) -> tuple[Array, Array, Array]:
            value, g = f.value_and_gradient(point.x + alpha * p)
            return value, g @ p, g

        start = Trial(jnp.zeros_like(point.f), point.f, point.g @ p)
        step = strong_wolfe(along, start, point.g, alpha, jnp.asarray(self.c2, p.dtype))
        end = Point(point.x + step.taken.alpha * p, step.taken.value, step.extra)
        return Found(end, step.taken.alpha, step.evaluations, step.evaluations, 0, step.success)


def _at(f: Objective, x: Array) -> Point:
    return Point(x, *f.value_and_gradient(x))
