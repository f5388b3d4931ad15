r"""How a loop begins and how it ended: the statuses that solvers share.

A gradient within the tolerance is that of a minimum only if the cost curves upwards: a few Lanczos steps look for a
direction in which it does not (SADDLE). Where no step descends any more, the gradient at θ(1 ± ε), the next numbers
that there are, tells whether rounding is all that is left of it (CONVERGED) or not (NO_DESCENT).
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array, lax
from jax.typing import ArrayLike

from jax_course.linalg.lapack import eigvalsh
from jax_course.optimization.objective import Objective, Point
from jax_course.optimization.solution import Solution, Status

LANCZOS_STEPS = 10
ROUNDINGS = 4.0  # a gradient so many times that of the numbers beside theta is all rounding


def euclidean_norm(g: Array) -> Array:
    """‖g‖, finite also where the squares of the entries overflow."""
    largest = jnp.max(jnp.abs(g))
    overflows = (largest > float(jnp.finfo(g.dtype).max) ** 0.5 / g.size) & jnp.isfinite(largest)
    unit = jnp.where(overflows, largest, 1)
    return unit * jnp.linalg.norm(g / unit)


def tolerance_or_default(tolerance: ArrayLike | None, g: Array) -> Array:
    """½√ε, or ten roundings of the gradient at the start if that is more."""
    eps = jnp.finfo(g.dtype).eps
    if tolerance is None:
        return jnp.maximum(jnp.sqrt(eps).astype(g.dtype) / 2, 10 * eps * euclidean_norm(g))
    return jnp.asarray(tolerance, g.dtype)


def ended(f: Objective, state: Any) -> Solution:
    """What the loop found, its curvature looked at from products alone; not at all where nothing can give them."""
    steps = min(state.point.x.size, LANCZOS_STEPS)
    try:
        return settled(
            f, state, lambda: ritz_values(lambda v: f.product(state.point.x, v), state.point.x, steps), steps
        )
    except (TypeError, ValueError, NotImplementedError):  # a gradient by hand that autodiff cannot look into
        return settled(f, state, lambda: jnp.ones_like(state.point.x[:1]), 0)


def settled(f: Objective, state: Any, curvatures: Callable[[], Array], evaluations: int) -> Solution:
    """What a loop found, its status made certain; curvatures(): eigenvalues of the Hessian, for so many evaluations."""
    norm = euclidean_norm(state.point.g)
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
    return eigvalsh(jnp.diag(alpha) + jnp.diag(beta[:-1], 1) + jnp.diag(beta[:-1], -1))


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
    norm = euclidean_norm(point.g)
    finite = jnp.isfinite(point.f) & jnp.isfinite(norm)
    unfinished = jnp.where(norm <= tolerance, Status.CONVERGED, Status.OUT_OF_STEPS)
    return jnp.where(finite, unfinished, Status.NOT_FINITE).astype(jnp.int32)


def where(condition: Array, yes: Any, no: Any) -> Any:
    """Leaf by leaf."""
    return jax.tree_util.tree_map(lambda a, b: jnp.where(condition, a, b), yes, no)
