r"""Proximal gradient methods: a smooth cost f plus a term h without gradient, or a constraint set. Course 6.2, 7.5.

    prox_η(u) = argmin_θ h(θ) + ‖θ − u‖² / 2η                                for h = δ‖θ‖₁: soft_threshold(u, ηδ)
    θ⁺ = prox_η(v − η∇f(v)),  v = θ                                           proximal gradient
    v = θ_k + (t_k−1 − 1)/t_k (θ_k − θ_k−1),  t_k = ½ + ½ √(1 + 4 t_k−1²)     accelerated (Beck & Teboulle 2009)

If h is 0 inside a set and ∞ outside, prox is the projection onto the set. η is halved until f(θ⁺) lies below the
parabola f(v) + ∇f(v)ᵀ(θ⁺ − v) + ‖θ⁺ − v‖²/2η; each step first tries a slightly larger η. The momentum is reset when it
points uphill, (v − θ⁺)ᵀ(θ⁺ − θ) > 0 (O'Donoghue & Candès 2015).

G = (v − θ⁺)/η replaces the gradient: it is ∇f if h = 0, and 0 exactly at the minimisers.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax.numpy as jnp
from jax import Array, lax

from jax_course.inputs.shapes import whole
from jax_course.inputs.types import ArrayLike
from jax_course.linalg import inner
from jax_course.optimization.objective import Objective, Point, tree_where
from jax_course.optimization.run import Algorithm, Task, solver
from jax_course.optimization.step_rules import last_place
from jax_course.optimization.termination import euclidean_norm, first_status, tolerance_or_default
from jax_course.solution import Evaluations, Solution, Status, select_status

# Factor on η before each step. A lasso of 20 columns takes 1,150 steps with 1.1, 1,629 with 1, more than 10,000 with 2.
GROWTH = 1.1
HALVINGS = 100  # of η in a step, at most: 5 were too few for exp(θ) − θ from −40, 10 enough; the rest is reserve


class _State(NamedTuple):
    """The state of the loop; point.f is the cost f without h, point.g is G."""

    point: Point
    previous: Array  # θ of the previous step
    t: Array
    eta: Array
    tolerance: Array
    steps: Array
    evaluations: Evaluations
    status: Array
    running: Array


class _Trial(NamedTuple):
    eta: Array
    x: Array
    f: Array
    good: Array
    count: Array


@solver
def proximal_gradient(
    cost: Callable[[Any], ArrayLike],
    theta: Any,
    *,
    proximal: Callable[[Any, Array], Any],
    gradient: Callable[[Any], Any] | None = None,
    tolerance: ArrayLike | None = None,
    max_steps: int = 10_000,
) -> Task:
    """Minimise cost(theta) + h(theta) for a term h without gradient, such as δ‖θ‖₁. Course 6.2.

    proximal(theta, step): the prox of h, a tree like theta. theta: the start, a tree of floating-point arrays.
    gradient(theta): that of cost, by default from autodiff. tolerance: stop at ‖G‖ ≤ tolerance, by default ½√ε. The
    cost in the solution is without h. TypeError, ValueError: the cost is no scalar, or a result not like theta.

    >>> def proximal(theta, step):
    ...     return soft_threshold(theta, 2.0 * step)
    >>> proximal_gradient(lambda t: jnp.sum((t - jnp.array([3.0, 0.5])) ** 2), jnp.zeros(2), proximal=proximal).theta
    Array([2., 0.], dtype=float64)
    """
    return _task(_proximal_gradient, cost, theta, gradient, proximal, tolerance, max_steps)


@solver
def accelerated_proximal_gradient(
    cost: Callable[[Any], ArrayLike],
    theta: Any,
    *,
    proximal: Callable[[Any, Array], Any],
    gradient: Callable[[Any], Any] | None = None,
    tolerance: ArrayLike | None = None,
    max_steps: int = 10_000,
) -> Task:
    """Minimise cost(theta) + h(theta) by proximal gradient with momentum and restart (FISTA). Course 6.2.

    The arguments and errors are those of `proximal_gradient`. For condition number κ it takes about √κ steps instead of
    κ.

    >>> def proximal(theta, step):
    ...     return soft_threshold(theta, 2.0 * step)
    >>> accelerated_proximal_gradient(lambda t: jnp.sum((t - jnp.array([3.0, 0.5])) ** 2), jnp.zeros(2),
    ...                               proximal=proximal).theta
    Array([2., 0.], dtype=float64)
    """
    return _task(_accelerated_proximal_gradient, cost, theta, gradient, proximal, tolerance, max_steps)


@solver
def projected_gradient(
    cost: Callable[[Any], ArrayLike],
    theta: Any,
    *,
    projection: Callable[[Any], Any],
    gradient: Callable[[Any], Any] | None = None,
    tolerance: ArrayLike | None = None,
    max_steps: int = 10_000,
) -> Task:
    """Minimise cost(theta) over a convex set. Course 6.1.

    projection(theta): the nearest point of the set, a tree like theta. The other arguments and the errors are those of
    `proximal_gradient`.

    >>> projected_gradient(lambda t: jnp.sum((t - jnp.array([3.0, 0.5])) ** 2), jnp.zeros(2),
    ...                    projection=lambda t: jnp.clip(t, 0.0, 1.0)).theta
    Array([1. , 0.5], dtype=float64)
    """

    def proximal(theta: Any, step: Array) -> Any:
        return projection(theta)

    return _task(_proximal_gradient, cost, theta, gradient, proximal, tolerance, max_steps)


def soft_threshold(theta: Array, threshold: Array | float) -> Array:
    """sign(θ) max(|θ| − threshold, 0): the prox of threshold ‖θ‖₁, entry by entry, of the shape of theta. Course 6.2.

    >>> soft_threshold(jnp.array([3.0, -0.5, -2.0]), 1.0)
    Array([ 2., -0., -1.], dtype=float64)
    """
    return jnp.sign(theta) * jnp.maximum(jnp.abs(theta) - threshold, 0)


def _task(algorithm, cost, theta, gradient, proximal, tolerance, max_steps) -> Task:
    settings = {"tolerance": tolerance, "max_steps": whole(max_steps, "max_steps")}
    return Task(algorithm, {"cost": cost, "gradient": gradient, "proximal": proximal}, theta, settings)


def _proximal_gradient(**settings: Any) -> Algorithm:
    return _proximal(lambda t: jnp.ones_like(t), **settings)


def _accelerated_proximal_gradient(**settings: Any) -> Algorithm:
    return _proximal(lambda t: 0.5 + 0.5 * jnp.sqrt(1 + 4 * t**2), **settings)


def _proximal(next_t: Callable[[Array], Array], tolerance: ArrayLike | None, max_steps: Array | int) -> Algorithm:
    def start(f: Objective, x: Array) -> _State:
        _, value, g, _ = f.point(x)
        eta = _first_eta(f, x, g)
        point = Point(x, value, (x - f.proximal(x - eta * g, eta)) / eta)
        limit = tolerance_or_default(tolerance, point.g)
        status = first_status(point, euclidean_norm(point.g) <= limit)
        running = (status == Status.OUT_OF_STEPS) & (0 < jnp.asarray(max_steps))
        zero = jnp.zeros((), jnp.int32)
        evaluations = Evaluations(zero + 1, zero + 2, zero)
        return _State(point, x, jnp.ones_like(value), eta, limit, zero, evaluations, status, running)

    def step(f: Objective, state: _State) -> _State:
        x, t = state.point.x, next_t(state.t)
        v = x + (state.t - 1) / t * (x - state.previous)
        _, f_v, g, _ = f.point(v)
        trial = _step_below_the_parabola(f, v, f_v, g, GROWTH * state.eta)
        G = (v - trial.x) / trial.eta
        uphill = inner(v - trial.x, trial.x - x) > 0
        norm = jnp.linalg.norm(G)
        rounding = jnp.finfo(v.dtype).eps * jnp.linalg.norm(trial.x) / trial.eta  # of G, from that of θ⁺
        finite = jnp.isfinite(trial.f) & jnp.isfinite(norm)
        status = select_status(
            [~finite, ~trial.good, norm <= jnp.maximum(state.tolerance, rounding)],
            [Status.NOT_FINITE, Status.NO_DESCENT, Status.CONVERGED],
            Status.OUT_OF_STEPS,
        )
        steps = state.steps + 1
        point = tree_where(finite & trial.good, Point(trial.x, trial.f, G), state.point)
        return _State(
            point, x, jnp.where(uphill, 1, t), trial.eta, state.tolerance, steps,
            state.evaluations.plus(1 + trial.count, 1), status, (status == Status.OUT_OF_STEPS) & (steps < max_steps),
        )  # fmt: skip

    def end(f: Objective, state: _State) -> Solution:
        norm = jnp.linalg.norm(state.point.g)
        return Solution(state.point.x, state.point.f, norm, state.steps, state.status, state.evaluations)

    return Algorithm(start, step, end)


def _step_below_the_parabola(f: Objective, v: Array, f_v: Array, g: Array, eta: Array) -> _Trial:
    """The proximal step from v with the first of η, η/2, η/4, … that lies below the parabola."""

    def trial(eta: Array, count: Array) -> _Trial:
        x = f.proximal(v - eta * g, eta)
        s, f_x = x - v, f.value(x)
        good = f_x <= f_v + inner(g, s) + inner(s, s) / (2 * eta) + last_place(f_v)
        return _Trial(eta, x, f_x, good, count)

    def is_running(last: _Trial) -> Array:
        return ~last.good & (last.count < HALVINGS)

    first = trial(eta, jnp.asarray(1, jnp.int32))
    return lax.while_loop(is_running, lambda last: trial(last.eta / 2, last.count + 1), first)


def _first_eta(f: Objective, x: Array, g: Array) -> Array:
    """The first η: 1 / curvature along g, from a difference of gradients; 1 if there is no curvature."""
    length = jnp.linalg.norm(g)
    h = jnp.sqrt(jnp.finfo(x.dtype).eps) * (1 + jnp.linalg.norm(x))
    curvature = jnp.linalg.norm(f.gradient(x - h / jnp.where(length > 0, length, 1) * g) - g) / h
    return jnp.where((curvature > 0) & jnp.isfinite(curvature), 1 / jnp.where(curvature > 0, curvature, 1), 1)
