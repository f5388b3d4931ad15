r"""How a loop begins and how it ended: the statuses that solvers share.

A gradient within the tolerance is that of a minimum only if the cost curves upwards: a few Lanczos steps look for a
direction in which it does not (SADDLE). Where no step descends any more, the gradient at θ(1 ± ε), the next numbers
that there are, tells whether rounding is all that is left of it (CONVERGED). If it is not, the cost is asked, at a
distance t along the gradient at which t‖g‖² can be seen beside the rounding of f:

    f(θ + tg) − f(θ − tg) = 2t‖g‖²,   f(θ + tg) + f(θ − tg) − 2f(θ) = t² gᵀHg

The second is larger than t‖g‖²: f has no descent that can be seen (CONVERGED). It is smaller, and the first does not
hold: g is no gradient of f (WRONG_GRADIENT). Otherwise the search has not found the descent that there is (NO_DESCENT).
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array, lax
from jax.typing import ArrayLike

from jax_course.linalg.lapack import eigvalsh
from jax_course.optimization.objective import Objective, Point
from jax_course.optimization.solution import Solution, Status, select_status
from jax_course.optimization.steps import last_place

LANCZOS_STEPS = 10
ROUNDINGS = 4.0  # a gradient so many times that of the numbers beside theta is all rounding
VISIBLE = (2.0**7, 2.0**11, 2.0**15)  # units of `last_place`: changes of the cost, of which the first is taken that is
NOISES = 32  # times what the cost changes by at θ(1 ± ε), θ(1 ± 2ε), so that its size can be relied on


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
        status = jnp.where(norm <= ROUNDINGS * noise, Status.CONVERGED, without_descent(f, state.point, norm))
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


def without_descent(f: Objective, point: Point, norm: Array) -> Array:
    """The status at a point from which a search found no lower cost, by the cost on both sides along the gradient."""
    changes = jnp.array(VISIBLE, point.f.dtype) * last_place(point.f)  # t‖g‖², of growing t
    steps = (changes / norm)[:, None] * (point.g / norm)[None, :]  # t g
    roundings = jnp.finfo(point.x.dtype).eps * jnp.array([-2, -1, 1, 2], point.x.dtype)
    beside = point.x[None, :] * (1 + roundings[:, None])
    values = lax.map(f.value, jnp.concatenate([beside, point.x[None, :] - steps, point.x[None, :] + steps]))
    noise = jnp.max(jnp.abs(values[:4] - point.f))
    first = jnp.argmax((changes >= NOISES * noise).at[-1].set(True))
    change, before, behind = changes[first], values[4:][first], values[4 + len(VISIBLE) :][first]
    slope, curvature = behind - before, (behind - point.f) + (before - point.f)
    invisible = jnp.isfinite(curvature) & (curvature >= 4 * change)
    wrong = (curvature < change) & (slope < change / 2)  # at a kink the second is less, and the first not
    return select_status([invisible, wrong], [Status.CONVERGED, Status.WRONG_GRADIENT], Status.NO_DESCENT)


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
