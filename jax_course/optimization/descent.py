r"""The loop of all methods that choose a direction and then search along it.

    p_k from g_k and a memory,  θ_k+1 = θ_k + α_k p_k,  the memory from s_k = θ_k+1 − θ_k and y_k = g_k+1 − g_k

Where no α is good the memory is thrown away, once; steepest descent is tried from there.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax.numpy as jnp
from jax import Array
from jax.typing import ArrayLike

from jax_course.optimization.ending import ended, first_status, floor, tolerance_or_default, where
from jax_course.optimization.objective import Objective, Point
from jax_course.optimization.programs import Algorithm
from jax_course.optimization.solution import Evaluations, Status, select_status
from jax_course.optimization.steps import LineSearch

ENDLESS = 1e12  # a step so many times longer than the first tried, and still descending, finds no minimum


class Heading(NamedTuple):
    """A direction, the α to try first, and the Hessian products that it took."""

    p: Array
    alpha: Array
    products: Array | int = 0


class Method(NamedTuple):
    """What one method makes of gradients: start(point) → memory, heading(f, point, memory), update(memory, …)."""

    start: Callable[[Point], Any]
    heading: Callable[[Objective, Point, Any], Heading]
    update: Callable[[Any, Point, Point, Heading, Array], Any]  # memory, old and new point, heading, α


class State(NamedTuple):
    """Where the loop stands."""

    point: Point
    memory: Any
    tolerance: Array
    floor: Array  # of the cost
    steps: Array
    evaluations: Evaluations
    status: Array
    running: Array
    fresh: Array  # whether the memory holds nothing yet


def descent(method: Method, line_search: LineSearch, tolerance: ArrayLike | None, max_steps: ArrayLike) -> Algorithm:
    """The method as an algorithm."""

    def start(f: Objective, x: Array) -> State:
        point = Point(x, *f.value_and_gradient(x))
        enough = tolerance_or_default(tolerance, point.g)
        status = first_status(point, enough)
        running = (status == Status.OUT_OF_STEPS) & (0 < jnp.asarray(max_steps))
        one = jnp.asarray(1, jnp.int32)
        evaluations = Evaluations(one, one, jnp.zeros_like(one))
        zero, fresh = jnp.zeros_like(one), jnp.asarray(True)
        return State(point, method.start(point), enough, floor(point), zero, evaluations, status, running, fresh)

    def step(f: Objective, state: State) -> State:
        point = state.point
        heading = method.heading(f, point, state.memory)
        found = line_search(f, point, heading.p, heading.alpha)
        finite = jnp.isfinite(found.point.f) & jnp.all(jnp.isfinite(found.point.g))
        moved = finite & (found.success | (found.point.f < point.f))
        endless = moved & ~found.success & (found.alpha > ENDLESS * heading.alpha) | (found.point.f < state.floor)
        new = where(moved, found.point, point)
        updated = method.update(state.memory, point, new, heading, found.alpha)
        memory = where(moved, updated, method.start(point))
        small = jnp.linalg.norm(new.g) <= state.tolerance
        status = select_status(
            [~finite, endless, small, ~moved & state.fresh],
            [Status.NOT_FINITE, Status.UNBOUNDED, Status.CONVERGED, Status.NO_DESCENT],
            Status.OUT_OF_STEPS,
        )
        steps = state.steps + moved.astype(jnp.int32)
        evaluations = state.evaluations.plus(
            found.function_evaluations, found.gradient_evaluations, heading.products + found.hessian_evaluations
        )
        running = (status == Status.OUT_OF_STEPS) & (steps < max_steps)
        return State(new, memory, state.tolerance, state.floor, steps, evaluations, status, running, ~moved)

    return Algorithm(start, step, ended)
