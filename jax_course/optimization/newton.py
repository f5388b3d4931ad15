r"""Damped Newton (course 7.6).

    f(θ + p) ≈ f + gᵀp + ½ pᵀHp,  p = −H⁻¹g                                   the minimum of the quadratic model
    θ ← θ + t p,  t = 1, ½, ¼, … until f(θ + t p) ≤ f(θ) + c t gᵀp              Armijo's condition

Where H is not safely positive definite, p = −V |Λ|⁺ Vᵀ g with H = V Λ Vᵀ in scaled coordinates: a descent direction
still, and none along directions in which the cost is flat. So the parameters that the data cannot tell apart stay
where they started.

Near the minimum the steps are full and each squares the error. The loop therefore does not stop as soon as the gradient
is within the tolerance, but goes on while a step still divides it by ten, or still moves theta: usually one step more,
for all the digits.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax.numpy as jnp
from jax import Array, lax
from jax.typing import ArrayLike

from jax_course.checks import whole
from jax_course.linalg import rank_tolerance, spd_factor
from jax_course.linalg.lapack import eigh, eigvalsh
from jax_course.linalg.solve import power_of_two_scale
from jax_course.optimization.ending import euclidean_norm, first_status, floor, settled, tolerance_or_default, where
from jax_course.optimization.line_search import Trial, backtracking
from jax_course.optimization.objective import Objective, Point
from jax_course.optimization.programs import Algorithm, Task, solver
from jax_course.optimization.solution import Evaluations, Solution, Status, select_status
from jax_course.optimization.steps import last_place

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

    unbounded(theta): whether theta proves that the cost has no minimum, which ends the loop with the status UNBOUNDED.
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
        norm = euclidean_norm(point.g)
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
        found = backtracking(lambda t: f.value(old.x + t * p), here, 1.0, last_place(old.f), HALVINGS + 1)
        x = old.x + found.taken.alpha * p
        new = Point(x, found.taken.value, f.gradient(x))
        norm = euclidean_norm(new.g)
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
    no_decrease = ~success | ((-slope <= last_place(before.point.f)) & ~quick)
    status = select_status(
        [no_minimum, small, ~finite, no_decrease],
        [Status.UNBOUNDED, Status.CONVERGED, Status.NOT_FINITE, Status.NO_DESCENT],
        Status.OUT_OF_STEPS,
    )
    running = finite & ~no_decrease & ~done & ~no_minimum & (after.steps < max_steps)
    accepted = finite & ~worse
    point, norm = where(accepted, (after.point, after.norm), (before.point, before.norm))
    return after._replace(point=point, norm=norm, status=status, running=running)


def _newton_ended(f: Objective, state: _State) -> Solution:
    return settled(f, state, lambda: _eigenvalues(f.hessian(state.point.x)), 1)


def _eigenvalues(H: Array) -> Array:
    """Those of H, or 1 instead where it is safely positive definite."""
    safe = spd_factor(H).is_regular()
    return lax.cond(safe, lambda: jnp.ones(len(H), H.dtype), lambda: eigvalsh(H))


def newton_direction(H: Array, g: Array) -> Array:
    """−H⁻¹g where H is safely positive definite, −|H|⁺g elsewhere, or −g where that is 0.

    g of any shape, H of shape g.shape + g.shape.
    """
    A, b = H.reshape(g.size, g.size), g.reshape(g.size)
    factored = spd_factor(A)
    x = lax.cond(factored.is_regular(), lambda: factored.solve(b), lambda: _absolute_solve(A, b))
    return -jnp.where(jnp.any(x != 0), x, b).reshape(g.shape)


def _absolute_solve(A: Array, b: Array) -> Array:
    scale = power_of_two_scale(jnp.sqrt(jnp.abs(jnp.diagonal(A))))
    eigenvalues, V = eigh(scale[:, None] * A * scale[None, :])
    curvature = jnp.abs(eigenvalues)
    seen = curvature > rank_tolerance(A) * jnp.max(curvature)
    return scale * (V @ jnp.where(seen, (scale * b) @ V / jnp.where(seen, curvature, 1), 0))
