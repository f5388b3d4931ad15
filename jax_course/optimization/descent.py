r"""The loop of all methods that choose a direction and then search along it.

    p_k from g_k and a memory,  θ_k+1 = θ_k + α_k p_k,  the memory from s_k = θ_k+1 − θ_k and y_k = g_k+1 − g_k

Where no α is good the memory is thrown away, once; steepest descent is tried from there.

How it ended. A gradient within the tolerance is that of a minimum only if the cost curves upwards: a few Lanczos steps
look for a direction in which it does not (SADDLE). Where no step descends any more, the gradient at θ(1 ± ε), the next
numbers that there are, tells whether rounding is all that is left of it (CONVERGED) or not (NO_DESCENT).
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array, lax
from jax.typing import ArrayLike

from jax_course.optimization.objective import Objective, Point
from jax_course.optimization.programs import Algorithm, tolerance_or_default
from jax_course.optimization.solution import Evaluations, Solution, Status
from jax_course.optimization.steps import LineSearch

ENDLESS = 1e12  # a step so many times longer than the first tried, and still descending, finds no minimum
LANCZOS_STEPS = 10
ROUNDINGS = 4.0


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
        status = jnp.select(
            [~finite, endless, small, ~moved & state.fresh],
            [Status.NOT_FINITE, Status.UNBOUNDED, Status.CONVERGED, Status.NO_DESCENT],
            Status.OUT_OF_STEPS,
        ).astype(jnp.int32)
        steps = state.steps + moved.astype(jnp.int32)
        evaluations = state.evaluations.plus(
            found.function_evaluations, found.gradient_evaluations, heading.products + found.hessian_evaluations
        )
        running = (status == Status.OUT_OF_STEPS) & (steps < max_steps)
        return State(new, memory, state.tolerance, state.floor, steps, evaluations, status, running, ~moved)

    return Algorithm(start, step, ended)


def ended(f: Objective, state: Any) -> Solution:
    """What the loop found, its curvature looked at from products alone."""
    steps = min(state.point.x.size, LANCZOS_STEPS)
    return settled(f, state, lambda: ritz_values(lambda v: f.product(state.point.x, v), state.point.x, steps), steps)


def settled(f: Objective, state: Any, curvatures: Callable[[], Array], evaluations: int) -> Solution:
    """What a loop found, its status made certain; curvatures(): eigenvalues of the Hessian, for so many evaluations."""
    norm = jnp.linalg.norm(state.point.g)
    zero = jnp.zeros((), jnp.int32)

    def at_a_stationary_point() -> tuple[Array, Array, Array]:
        status = jnp.where(falls(curvatures()), Status.SADDLE, Status.CONVERGED)
        return status.astype(jnp.int32), zero, zero + evaluations

    def at_rounding() -> tuple[Array, Array, Array]:
        noise = rounding_of_the_gradient(f, state.point)
        status = jnp.where(norm <= ROUNDINGS * noise, Status.CONVERGED, Status.NO_DESCENT)
        return jnp.where(jnp.isfinite(noise), status, Status.NOT_FINITE).astype(jnp.int32), zero + 2, zero

    def elsewhere() -> tuple[Array, Array, Array]:
        return state.status, zero, zero

    which = jnp.select([state.status == Status.CONVERGED, state.status == Status.NO_DESCENT], [1, 2], 0)
    status, gradients, products = lax.switch(which, (elsewhere, at_a_stationary_point, at_rounding))
    evaluations_in_all = state.evaluations.plus(0, gradients, products)
    return Solution(state.point.x, state.point.f, norm, state.steps, status, evaluations_in_all)


def ritz_values(product: Callable[[Array], Array], like: Array, steps: int) -> Array:
    """Approximations of eigenvalues, the outermost first to be good, by so many steps of Lanczos' method."""

    def step(carry: tuple[Array, Array], k: Array) -> tuple[tuple[Array, Array], tuple[Array, Array]]:
        Q, q = carry
        Q = Q.at[k].set(q)
        Hq = product(q)
        rest = Hq - (Q @ Hq) @ Q
        rest -= (Q @ rest) @ Q
        length = jnp.linalg.norm(rest)
        beta = jnp.where(length > jnp.sqrt(jnp.finfo(q.dtype).eps) * jnp.linalg.norm(Hq), length, 0)
        return (Q, jnp.where(beta > 0, rest / jnp.where(beta > 0, beta, 1), 0)), (q @ Hq, beta)

    first = jnp.cos(1 + jnp.arange(like.size, dtype=like.dtype))  # no structured matrix is likely to miss it
    start = jnp.zeros((steps, like.size), like.dtype), first / jnp.linalg.norm(first)
    _, (alpha, beta) = lax.scan(step, start, jnp.arange(steps))
    return jnp.linalg.eigvalsh(jnp.diag(alpha) + jnp.diag(beta[:-1], 1) + jnp.diag(beta[:-1], -1))


def falls(curvatures: Array) -> Array:
    """Whether one of them is negative beyond rounding."""
    allowed = jnp.finfo(curvatures.dtype).eps ** (2 / 3) * jnp.max(jnp.abs(curvatures))
    return jnp.min(curvatures) < -allowed


def rounding_of_the_gradient(f: Objective, point: Point) -> Array:
    """How far the gradients at θ(1 ± ε) are from that at θ: no θ that can be written has one that is much smaller."""
    signs = jnp.sign(jnp.cos(1 + jnp.arange(point.x.size, dtype=point.x.dtype)))
    eps = jnp.finfo(point.x.dtype).eps

    def distance(sign: Array) -> Array:
        return jnp.linalg.norm(f.gradient(point.x * (1 + sign * eps * signs)) - point.g)

    return jnp.max(lax.map(distance, jnp.array([1, -1], point.x.dtype)))


def floor(start: Point) -> Array:
    """A cost so far below that at the start has no minimum."""
    return -(1 + jnp.abs(start.f)) / jnp.finfo(start.f.dtype).eps ** 2


def first_status(point: Point, tolerance: Array) -> Array:
    """Before the first step."""
    norm = jnp.linalg.norm(point.g)
    finite = jnp.isfinite(point.f) & jnp.isfinite(norm)
    unfinished = jnp.where(norm <= tolerance, Status.CONVERGED, Status.OUT_OF_STEPS)
    return jnp.where(finite, unfinished, Status.NOT_FINITE).astype(jnp.int32)


def where(condition: Array, yes: Any, no: Any) -> Any:
    """Leaf by leaf."""
    return jax.tree_util.tree_map(lambda a, b: jnp.where(condition, a, b), yes, no)
