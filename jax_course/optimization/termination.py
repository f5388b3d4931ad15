r"""Termination: the tolerance, the status at the start, and the status at the end, which is checked before it is given.

A gradient within the tolerance is that of a minimum only if the cost curves upwards: a few Lanczos steps look for a
direction of negative curvature (SADDLE). If no step decreases the cost, the gradients at θ(1 ± ε), at the neighbouring
floating-point numbers, tell whether g is rounding alone (CONVERGED). If it is more, the cost decides, at a distance t
along the gradient for which t‖g‖² exceeds the rounding of f:

    f(θ + tg) − f(θ − tg) = 2t‖g‖²,   f(θ + tg) + f(θ − tg) − 2f(θ) = t² gᵀHg

If the second difference is larger than t‖g‖², f has no descent above rounding (CONVERGED). If it is smaller and the
first equation does not hold, g is not the gradient of f (WRONG_GRADIENT). Else there is a descent, and the line search
has not found it (NO_DESCENT).
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import jax.numpy as jnp
from jax import Array, lax

from jax_course.inputs.types import ArrayLike
from jax_course.linalg import inner
from jax_course.linalg.lapack import eigvalsh
from jax_course.linalg.products import multiplied
from jax_course.optimization.objective import Objective, Point
from jax_course.optimization.step_rules import last_place
from jax_course.solution import Solution, Status, select_status

# Hessian products, which every run that converges pays. One negative curvature, a hundredth of the others in size, is
# missed among 5 with 3 products, found among 5 and missed among 20 with 10, found among 1,000 with 30.
LANCZOS_STEPS = 10
# Factor on the distance to the gradients at θ(1 ± ε): a gradient below it is rounding. It matters only if the cost does
# not tell more: noisy quadratics and Poisson regressions end with the same statuses with 0.01 and with 1,000.
ROUNDINGS = 4.0
# Candidates for t‖g‖² in units of `last_place(f)`; the first that exceeds the noise of the cost is used. Of 1,080 wrong
# gradients of noisy quadratics these recognise 832, the largest alone 680.
VISIBLE = (2.0**7, 2.0**11, 2.0**15)
NOISES = 32  # factor on the change of the cost at θ(1 ± ε), θ(1 ± 2ε); with 10⁶ 749 of those gradients are recognised


def euclidean_norm(g: Array) -> Array:
    """‖g‖ (), finite also if the squares of the entries overflow.

    >>> euclidean_norm(jnp.array([3e200, 4e200])) / 1e200
    Array(5., dtype=float64)
    """
    largest = jnp.max(jnp.abs(g))
    overflows = (largest > float(jnp.finfo(g.dtype).max) ** 0.5 / g.size) & jnp.isfinite(largest)
    unit = jnp.where(overflows, largest, 1)
    return unit * jnp.linalg.norm(g / unit)


def tolerance_or_default(tolerance: ArrayLike | None, g: Array) -> Array:
    """The tolerance; if it is None, ½√ε or ten roundings of the gradient g at the start, whichever is larger.

    >>> tolerance_or_default(0.5, jnp.zeros(2))
    Array(0.5, dtype=float64)
    """
    eps = jnp.finfo(g.dtype).eps
    if tolerance is None:
        return jnp.maximum(jnp.sqrt(eps).astype(g.dtype) / 2, 10 * eps * euclidean_norm(g))
    return jnp.asarray(tolerance, g.dtype)


def verified_with_lanczos(f: Objective, state: Any) -> Solution:
    """The solution at the end of a loop; eigenvalues of H come from a few products, if f can give them."""
    steps = min(state.point.x.size, LANCZOS_STEPS)
    try:
        product = partial(f.product, state.point.x)
        return verified_solution(f, state, lambda: ritz_values(product, state.point.x, steps), steps)
    except (TypeError, ValueError, NotImplementedError):  # a hand-written gradient that autodiff cannot differentiate
        return verified_solution(f, state, lambda: jnp.ones_like(state.point.x[:1]), 0)


def verified_solution(f: Objective, state: Any, eigenvalues: Callable[[], Array], evaluations: int) -> Solution:
    """The solution at the end of a loop, with a status that was checked.

    eigenvalues(): some of the Hessian's, among them the least; evaluations: the Hessians or products they take.
    """
    norm = euclidean_norm(state.point.g)
    zero = jnp.zeros((), jnp.int32)

    def check_curvature() -> tuple[Array, Array, Array]:
        status = jnp.where(has_negative(eigenvalues()), Status.SADDLE, Status.CONVERGED)
        return status.astype(jnp.int32), zero, zero + evaluations

    def check_descent() -> tuple[Array, Array, Array]:
        noise = gradient_rounding(f, state.point)
        status = jnp.where(norm <= ROUNDINGS * noise, Status.CONVERGED, status_without_descent(f, state.point, norm))
        return jnp.where(jnp.isfinite(noise), status, Status.NOT_FINITE).astype(jnp.int32), zero + 2, zero

    def keep_status() -> tuple[Array, Array, Array]:
        return state.status, zero, zero

    case = jnp.select([state.status == Status.CONVERGED, state.status == Status.NO_DESCENT], [1, 2], 0)
    status, gradients, products = lax.switch(case, (keep_status, check_curvature, check_descent))
    total = state.evaluations.plus(0, gradients, products)
    return Solution(state.point.x, state.point.f, norm, state.steps, status, total)


def ritz_values(product: Callable[[Array], Array], like: Array, steps: int) -> Array:
    """Approximate eigenvalues (steps,) of the matrix of a product, by Lanczos' method; the extreme ones converge first.

    like: an array with the size and dtype of the vectors.

    >>> ritz_values(lambda v: jnp.array([1.0, 3.0]) * v, jnp.zeros(2), 2).round(6)
    Array([1., 3.], dtype=float64)
    """

    def step(carry: tuple[Array, Array], k: Array) -> tuple[tuple[Array, Array], tuple[Array, Array]]:
        Q, q = carry
        Q = Q.at[k].set(q)
        Hq = product(q)
        rest = Hq - multiplied(multiplied(Q, Hq), Q)
        rest -= multiplied(multiplied(Q, rest), Q)
        length = jnp.linalg.norm(rest)
        beta = jnp.where(length > jnp.sqrt(jnp.finfo(q.dtype).eps) * jnp.linalg.norm(Hq), length, 0)
        return (Q, jnp.where(beta > 0, rest / jnp.where(beta > 0, beta, 1), 0)), (inner(q, Hq), beta)

    first = jnp.cos(1 + jnp.arange(like.size, dtype=like.dtype))  # unlikely to be orthogonal to an eigenvector
    start = jnp.zeros((steps, like.size), like.dtype), first / jnp.linalg.norm(first)
    _, (alpha, beta) = lax.scan(step, start, jnp.arange(steps))
    return eigvalsh(jnp.diag(alpha) + jnp.diag(beta[:-1], 1) + jnp.diag(beta[:-1], -1))


def has_negative(eigenvalues: Array) -> Array:
    """Whether one eigenvalue is negative by more than rounding."""
    allowed = jnp.finfo(eigenvalues.dtype).eps ** (2 / 3) * jnp.max(jnp.abs(eigenvalues))
    return jnp.min(eigenvalues) < -allowed


def gradient_rounding(f: Objective, point: Point) -> Array:
    """The distance of the gradients at θ(1 ± ε) from that at θ: no floating-point θ has a much smaller gradient."""
    signs = jnp.sign(jnp.cos(1 + jnp.arange(point.x.size, dtype=point.x.dtype)))
    eps = jnp.finfo(point.x.dtype).eps

    def distance(sign: Array) -> Array:
        return jnp.linalg.norm(f.gradient(point.x * (1 + sign * eps * signs)) - point.g)

    return jnp.max(lax.map(distance, jnp.array([1, -1], point.x.dtype)))


def status_without_descent(f: Objective, point: Point, norm: Array) -> Array:
    """The status of a point from which no search found a lower cost, from the cost on both sides along the gradient."""
    changes = jnp.array(VISIBLE, point.f.dtype) * last_place(point.f)  # t‖g‖², of growing t
    steps = (changes / norm)[:, None] * (point.g / norm)[None, :]  # t g
    roundings = jnp.finfo(point.x.dtype).eps * jnp.array([-2, -1, 1, 2], point.x.dtype)
    neighbours = point.x[None, :] * (1 + roundings[:, None])
    values = lax.map(f.value, jnp.concatenate([neighbours, point.x[None, :] - steps, point.x[None, :] + steps]))
    noise = jnp.max(jnp.abs(values[:4] - point.f))
    first = jnp.argmax((changes >= NOISES * noise).at[-1].set(True))
    change, downhill, uphill = changes[first], values[4:][first], values[4 + len(VISIBLE) :][first]
    slope, curvature = uphill - downhill, (uphill - point.f) + (downhill - point.f)
    invisible = jnp.isfinite(curvature) & (curvature >= 4 * change)
    wrong = (curvature < change) & (slope < change / 2)  # at a kink the second holds, and the first does not
    return select_status([invisible, wrong], [Status.CONVERGED, Status.WRONG_GRADIENT], Status.NO_DESCENT)


def cost_floor(start: Point) -> Array:
    """The cost below which a loop from this start ends as UNBOUNDED: −(1 + |f|) / ε²."""
    return -(1 + jnp.abs(start.f)) / jnp.finfo(start.f.dtype).eps ** 2


def first_status(point: Point, is_small: Array) -> Array:
    """The status before the first step, given whether the gradient is small: CONVERGED, OUT_OF_STEPS or NOT_FINITE."""
    finite = jnp.isfinite(point.f) & jnp.all(jnp.isfinite(point.g))
    unfinished = jnp.where(is_small, Status.CONVERGED, Status.OUT_OF_STEPS)
    return jnp.where(finite, unfinished, Status.NOT_FINITE).astype(jnp.int32)
