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
from typing import NamedTuple

import jax.numpy as jnp
from jax import Array, lax
from jax.typing import ArrayLike

from jax_course.linalg import spd_solve
from jax_course.linalg.solve import power_of_two_scale
from jax_course.optimization.solution import Solution, Status

SUFFICIENT_DECREASE = 1e-4  # c of Armijo's condition
SHORTEST_STEP = 2.0**-30


class _State(NamedTuple):
    theta: Array
    cost: Array
    gradient: Array
    norm: Array
    steps: Array
    status: Array
    running: Array


def newton(
    cost: Callable[[Array], Array],
    theta: Array,
    *,
    gradient: Callable[[Array], Array],
    hessian: Callable[[Array], Array],
    tolerance: ArrayLike,
    max_steps: ArrayLike = 100,
    unbounded: Callable[[Array], ArrayLike] = lambda theta: False,
) -> Solution:
    """Minimise cost(theta) from `theta` on. Course 7.6.

    theta: an array of any shape; gradient(theta): like theta; hessian(theta): theta.shape + theta.shape;
    tolerance: the Euclidean norm of the gradient below which the status is CONVERGED;
    unbounded(theta): whether theta proves that the cost has no minimum, which ends the loop with the status UNBOUNDED.
    Can be jitted and vmapped.

    >>> newton(lambda t: (t - 3.0) ** 4, jnp.array(0.0), gradient=lambda t: 4 * (t - 3.0) ** 3,
    ...        hessian=lambda t: 12 * (t - 3.0) ** 2, tolerance=1e-9).theta.round(2)
    Array(3., dtype=float64)
    """
    dtype = jnp.result_type(theta)
    eps = jnp.finfo(dtype).eps

    def step(state: _State) -> _State:
        p = newton_direction(hessian(state.theta), state.gradient)
        slope = jnp.sum(p * state.gradient)
        rounding = 8 * eps * jnp.abs(state.cost)
        t, new_cost = _backtrack(cost, state.theta, p, state.cost, slope, rounding)
        new_theta = state.theta + t * p
        new_gradient = gradient(new_theta)
        new_norm = jnp.linalg.norm(new_gradient)

        finite = jnp.isfinite(new_cost) & jnp.isfinite(new_norm)
        quick = new_norm <= 0.1 * state.norm
        settled = jnp.linalg.norm(t * p) <= jnp.sqrt(eps) * jnp.linalg.norm(new_theta)
        small = jnp.minimum(new_norm, state.norm) <= tolerance
        done = (small & settled & ~quick) | (new_norm <= 1e-6 * tolerance)
        no_decrease = (t <= SHORTEST_STEP) | ((-slope <= rounding) & ~quick)
        no_minimum = jnp.asarray(unbounded(new_theta))
        status = jnp.select(
            [no_minimum, small, ~finite, no_decrease],
            [Status.UNBOUNDED, Status.CONVERGED, Status.NOT_FINITE, Status.NO_DESCENT],
            Status.OUT_OF_STEPS,
        ).astype(jnp.int32)
        steps = state.steps + 1
        running = finite & ~no_decrease & ~done & ~no_minimum & (steps < max_steps)
        accepted = finite & ~(small & (new_norm > state.norm))
        theta, f, g, norm = (
            jnp.where(accepted, new, old)
            for new, old in zip((new_theta, new_cost, new_gradient, new_norm), state[:4], strict=True)
        )
        return _State(theta, f, g, norm, steps, status, running)

    f, g = cost(theta), gradient(theta)
    norm = jnp.linalg.norm(g)
    finite = jnp.isfinite(f) & jnp.isfinite(norm)
    status = jnp.where(finite, jnp.where(norm <= tolerance, Status.CONVERGED, Status.OUT_OF_STEPS), Status.NOT_FINITE)
    start = _State(
        theta, f, g, norm, jnp.array(0), status.astype(jnp.int32), finite & (norm > 0) & (0 < jnp.asarray(max_steps))
    )
    end = lax.while_loop(lambda state: state.running, step, start)
    return Solution(end.theta, end.cost, end.norm, end.steps, end.status)


def newton_direction(H: Array, g: Array) -> Array:
    """−H⁻¹g where H is safely positive definite, −|H|⁺g elsewhere; g of any shape, H of shape g.shape + g.shape."""
    A, b = H.reshape(g.size, g.size), g.reshape(g.size)
    x, rcond = spd_solve(A, b)
    safe = rcond > 10 * g.size * jnp.finfo(g.dtype).eps
    return -lax.cond(safe, lambda: x, lambda: _absolute_solve(A, b)).reshape(g.shape)


def _absolute_solve(A: Array, b: Array) -> Array:
    scale = power_of_two_scale(jnp.sqrt(jnp.abs(jnp.diagonal(A))))
    eigenvalues, V = jnp.linalg.eigh(scale[:, None] * A * scale[None, :])
    curvature = jnp.abs(eigenvalues)
    seen = curvature > b.size * jnp.finfo(b.dtype).eps * jnp.max(curvature)
    return scale * (V @ jnp.where(seen, (scale * b) @ V / jnp.where(seen, curvature, 1), 0))


def _backtrack(cost, theta, p, f, slope, rounding):
    """The largest t = 1, ½, ¼, … with sufficient decrease, and the cost there."""

    def too_long(state):
        t, value = state
        return ~(value <= f + SUFFICIENT_DECREASE * t * slope + rounding) & (t > SHORTEST_STEP)

    def halve(state):
        t = state[0] / 2
        return t, cost(theta + t * p)

    return lax.while_loop(too_long, halve, (jnp.full((), 2, f.dtype), jnp.full((), jnp.inf, f.dtype)))
