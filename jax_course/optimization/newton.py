r"""Damped Newton (course 7.6).

    f(θ + p) ≈ f + gᵀp + ½ pᵀHp,  p = −H⁻¹g                                   the minimum of the quadratic model
    θ ← θ + t p,  t = 1, ½, ¼, … until f(θ + t p) ≤ f(θ) + c t gᵀp              Armijo's condition

If H is not safely positive definite, p = −V |Λ|⁺ Vᵀ g with H = V Λ Vᵀ in scaled coordinates: still a descent direction,
without a component along directions in which the cost is flat. Parameters that the data do not determine keep their
start.

Near the minimum the steps are full and each squares the error. The loop therefore does not stop as soon as the gradient
is within the tolerance, but continues while a step still divides it by ten, or still moves theta: usually one more
step, for all the digits.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax.numpy as jnp
from jax import Array, lax

from jax_course.inputs.shapes import whole
from jax_course.inputs.types import ArrayLike
from jax_course.linalg import rank_tolerance, spd_factor
from jax_course.linalg.cholesky import power_of_two_scale
from jax_course.linalg.lapack import eigh, eigvalsh
from jax_course.optimization.line_search import Trial, backtracking
from jax_course.optimization.objective import Objective, Point, tree_where
from jax_course.optimization.run import Algorithm, Task, solver
from jax_course.optimization.step_rules import last_place
from jax_course.optimization.termination import (
    cost_floor,
    euclidean_norm,
    first_status,
    tolerance_or_default,
    verified_solution,
)
from jax_course.solution import Evaluations, Solution, Status, select_status

HALVINGS = 30  # of a Newton step, at most: √(1 + θ²) needs 26 from θ = 10⁴, and ends as NO_DESCENT with fewer


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

    theta: the start, a tree of floating-point arrays. gradient(theta): a tree like theta. hessian(theta): of shape
    theta.shape + theta.shape, for a tree the tree of such blocks that `jax.hessian` gives. Autodiff computes those that
    are missing. tolerance: stop at ‖∇J‖ ≤ tolerance, by default ½√ε. TypeError, ValueError: the cost is no scalar, or a
    derivative has another shape. Every other end is a `Status` of the solution.

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
    max_steps: Array | int,
    unbounded: Callable[[Array], Array | bool] = lambda theta: False,
) -> Solution:
    """The loop of damped Newton on an array theta of any shape, for a convex cost inside a larger compiled program.

    unbounded(theta): whether theta proves that the cost has no minimum, which ends the loop with the status UNBOUNDED.
    hessian(theta): of shape theta.shape + theta.shape. Nothing is checked, and a saddle is not looked for.

    >>> damped_newton(lambda t: (t - 3) ** 2, jnp.array(0.0), gradient=lambda t: 2 * (t - 3),
    ...               hessian=lambda t: jnp.full((), 2.0), tolerance=1e-9, max_steps=9).theta
    Array(3., dtype=float64)
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
    max_steps: Array | int,
    unbounded: Callable[[Array], Array | bool] = lambda theta: False,
) -> Algorithm:
    def start(f: Objective, x: Array) -> _State:
        point = Point(x, f.value(x), f.gradient(x))
        norm = euclidean_norm(point.g)
        limit = tolerance_or_default(tolerance, point.g)
        status = first_status(point, limit)
        zero = jnp.zeros((), jnp.int32)
        running = (status != Status.NOT_FINITE) & (norm > 0) & (0 < jnp.asarray(max_steps))
        evaluations = Evaluations(zero + 1, zero + 1, zero)
        return _State(point, norm, limit, cost_floor(point), zero, evaluations, status, running)

    def step(f: Objective, state: _State) -> _State:
        old = state.point
        p = newton_direction(f.hessian(old.x), old.g)
        slope = jnp.sum(p * old.g)
        no_step = Trial(jnp.zeros_like(old.f), old.f, slope)
        found = backtracking(lambda t: f.value(old.x + t * p), no_step, 1.0, last_place(old.f), HALVINGS + 1)
        x = old.x + found.taken.alpha * p
        new = Point(x, found.taken.value, f.gradient(x))
        norm = euclidean_norm(new.g)
        better = state._replace(
            point=new,
            norm=norm,
            steps=state.steps + 1,
            evaluations=state.evaluations.plus(found.evaluations, 1, 1),
        )
        return _with_status(state, better, found.success, slope, max_steps, (new.f < state.floor) | unbounded(x))

    return Algorithm(start, step, _verified_with_hessian)


def _with_status(
    old: _State, new: _State, success: Array, slope: Array, max_steps: Array | int, no_minimum: Array
) -> _State:
    """The state after a step, with its status; the point is that before the step if the step improved nothing."""
    eps = jnp.finfo(slope.dtype).eps
    finite = jnp.isfinite(new.point.f) & jnp.isfinite(new.norm)
    quick = new.norm <= 0.1 * old.norm
    moved = jnp.linalg.norm(new.point.x - old.point.x)
    still = moved <= jnp.sqrt(eps) * jnp.linalg.norm(new.point.x)
    small = jnp.minimum(new.norm, old.norm) <= new.tolerance
    worse = small & (new.norm > old.norm)
    done = (small & still & ~quick) | worse | (new.norm <= 1e-6 * new.tolerance)
    no_decrease = ~success | ((-slope <= last_place(old.point.f)) & ~quick)
    status = select_status(
        [no_minimum, small, ~finite, no_decrease],
        [Status.UNBOUNDED, Status.CONVERGED, Status.NOT_FINITE, Status.NO_DESCENT],
        Status.OUT_OF_STEPS,
    )
    running = finite & ~no_decrease & ~done & ~no_minimum & (new.steps < max_steps)
    accepted = finite & ~worse
    point, norm = tree_where(accepted, (new.point, new.norm), (old.point, old.norm))
    return new._replace(point=point, norm=norm, status=status, running=running)


def _verified_with_hessian(f: Objective, state: _State) -> Solution:
    return verified_solution(f, state, lambda: _eigenvalues(f.hessian(state.point.x)), 1)


def _eigenvalues(H: Array) -> Array:
    """The eigenvalues of H (n,); ones, which cost nothing, if it is safely positive definite."""
    safe = spd_factor(H).is_regular()
    return lax.cond(safe, lambda: jnp.ones(len(H), H.dtype), lambda: eigvalsh(H))


def newton_direction(H: Array, g: Array) -> Array:
    """The Newton direction −H⁻¹g; −|H|⁺g if H is not safely positive definite, and −g if that is 0. Course 7.6.

    g of any shape, H of shape g.shape + g.shape; the direction has the shape of g.

    >>> newton_direction(jnp.diag(jnp.array([2.0, -4.0])), jnp.array([2.0, 4.0]))
    Array([-1., -1.], dtype=float64)
    """
    A, b = H.reshape(g.size, g.size), g.reshape(g.size)
    factored = spd_factor(A)
    x = lax.cond(factored.is_regular(), lambda: factored.solve(b), lambda: _absolute_solve(A, b))
    return -jnp.where(jnp.any(x != 0), x, b).reshape(g.shape)


def _absolute_solve(A: Array, b: Array) -> Array:
    """|A|⁺b in scaled coordinates, without the eigenvectors whose eigenvalues are rounding."""
    scale = power_of_two_scale(jnp.sqrt(jnp.abs(jnp.diagonal(A))))
    eigenvalues, V = eigh(scale[:, None] * A * scale[None, :])
    curvature = jnp.abs(eigenvalues)
    seen = curvature > rank_tolerance(A) * jnp.max(curvature)
    return scale * (V @ jnp.where(seen, (scale * b) @ V / jnp.where(seen, curvature, 1), 0))
