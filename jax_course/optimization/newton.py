r"""Newton's method (course 7.6): damped, and Hessian-free.

    f(θ + p) ≈ f + gᵀp + ½ pᵀHp,  p = −H⁻¹g                                   the minimum of the quadratic model
    θ ← θ + t p,  t = 1, ½, ¼, … until f(θ + t p) ≤ f(θ) + c t gᵀp              Armijo's condition

Where H is not safely positive definite, p = −V |Λ|⁺ Vᵀ g with H = V Λ Vᵀ in scaled coordinates: a descent direction
still, and none along directions in which the cost is flat. So the parameters that the data cannot tell apart stay
where they started.

Near the minimum the steps are full and each squares the error. The loop therefore does not stop as soon as the gradient
is within the tolerance, but goes on while a step still divides it by ten, or still moves theta: usually one step more,
for all the digits.

`newton_cg` solves H p = −g by conjugate gradients, from products H d alone, and only as well as the model is worth:
until the residual is min(0.1, √(‖g‖ / ‖g at the start‖)) of ‖g‖ (N&W Algorithm 7.1). A direction that curves downwards
is the last, and its step is as long as if it curved upwards as much: |Λ| again. N&W stop before it, which on
Rosenbrock's valley and Wood's function takes twice and three times the evaluations.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax.numpy as jnp
from jax import Array, lax
from jax.typing import ArrayLike

from jax_course.checks import whole
from jax_course.linalg import spd_factor, spd_solve
from jax_course.linalg.solve import power_of_two_scale
from jax_course.optimization.descent import (
    Heading,
    Method,
    descent,
    first_status,
    floor,
    settled,
    where,
)
from jax_course.optimization.line_search import Trial, backtracking
from jax_course.optimization.objective import Objective, Point
from jax_course.optimization.programs import Algorithm, Task, solver, tolerance_or_default
from jax_course.optimization.solution import Evaluations, Solution, Status
from jax_course.optimization.steps import StrongWolfe

HALVINGS = 30


class _State(NamedTuple):
    point: Point
    norm: Array
    tolerance: Array
    floor: Array
    steps: Array
    evaluations: Evaluations
    status: Array
    running: Array


@solver
def newton(
    cost: Callable[[Any], ArrayLike],
    theta: Any,
    *,
    gradient: Callable[[Any], Any] | None = None,
    hessian: Callable[[Any], Any] | None = None,
    tolerance: ArrayLike | None = None,
    max_steps: int = 1000,
) -> Task:
    """Minimise cost(theta) by damped Newton: few steps, each with a d × d Hessian. Course 7.6.

    hessian(theta): of shape theta.shape + theta.shape, for a tree the tree of such blocks that `jax.hessian` gives.

    >>> newton(lambda t: (t - 3.0) ** 4, 0.0, gradient=lambda t: 4 * (t - 3.0) ** 3,
    ...        hessian=lambda t: 12 * (t - 3.0) ** 2).check().theta.round(2)
    Array(3., dtype=float64)
    """
    settings = {"tolerance": tolerance, "max_steps": whole(max_steps, "max_steps")}
    return Task(_newton, {"cost": cost, "gradient": gradient, "hessian": hessian}, theta, settings)


@solver
def newton_cg(
    cost: Callable[[Any], ArrayLike],
    theta: Any,
    *,
    gradient: Callable[[Any], Any] | None = None,
    hessian_product: Callable[[Any, Any], Any] | None = None,
    tolerance: ArrayLike | None = None,
    max_steps: int = 1000,
) -> Task:
    """Minimise cost(theta) by Newton with products hessian_product(theta, v) alone: no Hessian is formed. Course 7.6.

    >>> newton_cg(lambda t: jnp.sum((t - 3.0) ** 4), jnp.zeros(1000), tolerance=1e-6).check().theta[7].round(2)
    Array(3., dtype=float64)
    """
    settings = {"tolerance": tolerance, "max_steps": whole(max_steps, "max_steps")}
    functions = {"cost": cost, "gradient": gradient, "hessian_product": hessian_product}
    return Task(_newton_cg, functions, theta, settings)


def damped_newton(
    cost: Callable[[Array], Array],
    theta: Array,
    *,
    gradient: Callable[[Array], Array],
    hessian: Callable[[Array], Array],
    tolerance: ArrayLike,
    max_steps: ArrayLike,
    unbounded: Callable[[Array], ArrayLike] = lambda theta: False,
) -> Solution:
    """The loop alone, on an array of any shape, for a convex cost inside a program that is compiled as a whole.

    unbounded(theta): whether theta proves that the cost has no minimum,
    which ends the loop with the status UNBOUNDED.
    """
    f = Objective(
        cost,
        gradient,
        lambda x: (cost(x), gradient(x)),
        hessian,
        lambda x, v: jnp.tensordot(hessian(x), v, x.ndim),
    )
    algorithm = _newton(tolerance, max_steps, unbounded)
    start = algorithm.start(f, theta)
    end: _State = lax.while_loop(lambda state: state.running, partial(algorithm.step, f), start)
    return Solution(end.point.x, end.point.f, end.norm, end.steps, end.status, end.evaluations)


def _newton(
    tolerance: ArrayLike | None,
    max_steps: ArrayLike,
    unbounded: Callable[[Array], ArrayLike] = lambda theta: False,
) -> Algorithm:
    def start(f: Objective, x: Array) -> _State:
        point = Point(x, f.value(x), f.gradient(x))
        norm = jnp.linalg.norm(point.g)
        enough = tolerance_or_default(tolerance, point.g)
        status = first_status(point, enough)
        zero = jnp.zeros((), jnp.int32)
        running = (status != Status.NOT_FINITE) & (norm > 0) & (0 < jnp.asarray(max_steps))
        return _State(point, norm, enough, floor(point), zero, Evaluations(zero + 1, zero + 1, zero), status, running)

    def step(f: Objective, state: _State) -> _State:
        old = state.point
        p = newton_direction(f.hessian(old.x), old.g)
        slope = jnp.sum(p * old.g)
        here = Trial(jnp.zeros_like(old.f), old.f, slope)
        rounding = 8 * jnp.finfo(p.dtype).eps * jnp.abs(old.f)
        found = backtracking(lambda t: f.value(old.x + t * p), here, 1.0, rounding, HALVINGS + 1)
        x = old.x + found.taken.alpha * p
        new = Point(x, found.taken.value, f.gradient(x))
        norm = jnp.linalg.norm(new.g)
        better = state._replace(
            point=new,
            norm=norm,
            steps=state.steps + 1,
            evaluations=state.evaluations.plus(found.evaluations, 1, 1),
        )
        return _judged(state, better, found.success, slope, max_steps, (new.f < state.floor) | unbounded(x))

    return Algorithm(start, step, _newton_ended)


def _judged(
    before: _State, after: _State, success: Array, slope: Array, max_steps: ArrayLike, no_minimum: Array
) -> _State:
    """The state after a step, with its status; the point before it where the step led to nothing better."""
    eps = jnp.finfo(slope.dtype).eps
    finite = jnp.isfinite(after.point.f) & jnp.isfinite(after.norm)
    quick = after.norm <= 0.1 * before.norm
    moved = jnp.linalg.norm(after.point.x - before.point.x)
    still = moved <= jnp.sqrt(eps) * jnp.linalg.norm(after.point.x)
    small = jnp.minimum(after.norm, before.norm) <= after.tolerance
    worse = small & (after.norm > before.norm)
    done = (small & still & ~quick) | worse | (after.norm <= 1e-6 * after.tolerance)
    no_decrease = ~success | ((-slope <= 8 * eps * jnp.abs(before.point.f)) & ~quick)
    status = jnp.select(
        [no_minimum, small, ~finite, no_decrease],
        [Status.UNBOUNDED, Status.CONVERGED, Status.NOT_FINITE, Status.NO_DESCENT],
        Status.OUT_OF_STEPS,
    ).astype(jnp.int32)
    running = finite & ~no_decrease & ~done & ~no_minimum & (after.steps < max_steps)
    accepted = finite & ~worse
    point, norm = where(accepted, (after.point, after.norm), (before.point, before.norm))
    return after._replace(point=point, norm=norm, status=status, running=running)


def _newton_ended(f: Objective, state: _State) -> Solution:
    return settled(f, state, lambda: _eigenvalues(f.hessian(state.point.x)), 1)


def _eigenvalues(H: Array) -> Array:
    """Those of H, or 1 instead where it is safely positive definite."""
    safe = spd_factor(H).rcond > 10 * len(H) * jnp.finfo(H.dtype).eps
    return lax.cond(safe, lambda: jnp.ones(len(H), H.dtype), lambda: jnp.linalg.eigvalsh(H))


class _Inner(NamedTuple):
    """Conjugate gradients on H z = −g: z, r = Hz + g, the direction, the products, whether H curved upwards so far."""

    z: Array
    r: Array
    d: Array
    products: Array
    upwards: Array


def _newton_cg(**settings: Any) -> Algorithm:
    def heading(f: Objective, point: Point, norm_at_start: Array) -> Heading:
        norm = jnp.linalg.norm(point.g)
        enough = jnp.minimum(0.1, jnp.sqrt(norm / norm_at_start))
        p, products = conjugate_gradients(partial(f.product, point.x), point.g / norm, enough)
        return Heading(norm * p, jnp.ones_like(norm), products)

    method = Method(
        start=lambda point: jnp.linalg.norm(point.g),
        heading=heading,
        update=lambda norm_at_start, old, new, heading, alpha: norm_at_start,
    )
    return descent(method, StrongWolfe(), **settings)


def conjugate_gradients(product: Callable[[Array], Array], g: Array, enough: Array) -> tuple[Array, Array]:
    """z with ‖Hz + g‖ ≤ enough, or as far as H curves upwards and one direction more; and the products it took."""
    eps = jnp.finfo(g.dtype).eps

    def step(state: _Inner) -> _Inner:
        z, r, d, products, _ = state
        Hd = product(d)
        curvature, rounding = d @ Hd, eps * jnp.linalg.norm(d) * jnp.linalg.norm(Hd)
        size = jnp.maximum(jnp.abs(curvature), rounding)
        alpha = (r @ r) / jnp.where(size > 0, size, r @ r)
        r_new = r + alpha * Hd
        d_new = -r_new + (r_new @ r_new) / (r @ r) * d
        return _Inner(z + alpha * d, r_new, d_new, products + 1, curvature > rounding)

    def goes_on(state: _Inner) -> Array:
        return state.upwards & (jnp.linalg.norm(state.r) > enough) & (state.products < 2 * g.size)

    start = _Inner(jnp.zeros_like(g), g, -g, jnp.asarray(0, jnp.int32), jnp.asarray(True))
    end = lax.while_loop(goes_on, step, start)
    return end.z, end.products


def newton_direction(H: Array, g: Array) -> Array:
    """−H⁻¹g where H is safely positive definite, −|H|⁺g elsewhere, or −g where that is 0.

    g of any shape, H of shape g.shape + g.shape.
    """
    A, b = H.reshape(g.size, g.size), g.reshape(g.size)
    x, rcond = spd_solve(A, b)
    safe = rcond > 10 * g.size * jnp.finfo(g.dtype).eps
    x = lax.cond(safe, lambda: x, lambda: _absolute_solve(A, b))
    return -jnp.where(jnp.any(x != 0), x, b).reshape(g.shape)


def _absolute_solve(A: Array, b: Array) -> Array:
    scale = power_of_two_scale(jnp.sqrt(jnp.abs(jnp.diagonal(A))))
    eigenvalues, V = jnp.linalg.eigh(scale[:, None] * A * scale[None, :])
    curvature = jnp.abs(eigenvalues)
    seen = curvature > b.size * jnp.finfo(b.dtype).eps * jnp.max(curvature)
    return scale * (V @ jnp.where(seen, (scale * b) @ V / jnp.where(seen, curvature, 1), 0))
