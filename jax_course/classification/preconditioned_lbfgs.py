r"""The fit of a linear classifier to many examples: L-BFGS, preconditioned by the curvature of a subsample.

Newton's method forms XᵀSX at every step. Here a step only needs Z = Xθ and g = Xᵀ ∂C/∂Z:

    A = XᵀSX + 2 diag(δ²)                                             of the subsample, S = diag(π(1 − π))
    P = T⁻ᵀ T⁻¹,  θ = T u                                             P one of A, its diagonal, the Hessian
    u ← u − α B Tᵀ g                                                  B by L-BFGS from the identity

The line search reads no X (`objective.convex_objective`). A subsample, reweighted to the full size, is fitted first,
roughly, with A at θ = 0 as preconditioner. Its θ starts the full fit, and A there is the preconditioner: the Hessian of
all dK parameters where the subsample has all examples, and dK is not large. The derivation of its certificate:
`classification.subsample`.

A fit is accepted where the gradient is small and the curvature is not. Otherwise there may be no minimum, and
`newton_fit.complete_fit` decides.
"""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array, lax

from jax_course.classification.objective import Coordinates, convex_objective
from jax_course.classification.subsample import (
    gram_preconditioner,
    hessian_preconditioner,
    is_curved,
    rounding,
    subsample,
)
from jax_course.linalg import Factored
from jax_course.linalg.lapack import solve_triangular
from jax_course.linear_cost import LinearCost
from jax_course.optimization.descent import DescentMethod, Direction, State, descent
from jax_course.optimization.objective import Objective, Point
from jax_course.optimization.quasi_newton import Pairs, add_pair, empty_pairs, two_loop_product
from jax_course.optimization.run import last_state
from jax_course.optimization.step_rules import StrongWolfe
from jax_course.solution import Evaluations, Method, Solution, Status

WORK = 2**27  # m (d K)²: below, Newton's method is fast
MEMORY = 16
STEPS_FOR_ONE = 10  # of Newton's: what max_steps counts
ENOUGH = 1e-3  # of the gradient at the start: closer the minimum of the subsample is not to that of all
CLOSE = 1e-2  # of the gradient at the start, where the subsample is all examples
MOST_PARAMETERS = 1024  # of several classes, whose Hessian is factored
FALL = 1e-9  # of the gradient in u, from θ = 0 on
PATIENCE = 8  # steps without a smaller gradient in u
SLOPE = 0.5  # share of the slope at the start that a step may leave


def is_worth_it(m: int, delta2: Array) -> bool:
    """Whether m examples are enough for this fit to beat Newton's method."""
    return m >= 4 * len(delta2) and m * delta2.size**2 >= WORK


class Start(NamedTuple):
    """The minimiser of the subsample, roughly; the steps to it, the preconditioner there, the factor of A at θ = 0."""

    theta: Array
    steps: Array
    preconditioner: Factored
    A: Factored


def subsample_start(cost: LinearCost, max_steps: Array | int) -> Start:
    """The start of the fit of all examples."""
    delta2, part = cost.delta2, subsample(cost)
    origin = jnp.zeros_like(delta2)
    preconditioner, A = gram_preconditioner(part, origin)
    uses_all = part is cost
    first, close = _first_gradient(part), CLOSE if uses_all else ENOUGH
    rough_enough = close * jnp.linalg.norm(first), close * _preconditioned_norm(preconditioner, first)
    roughly = _descended(part, origin, preconditioner, *rough_enough, max_steps)
    theta = roughly.point.extra.q
    if uses_all and 1 < delta2.ndim and delta2.size <= MOST_PARAMETERS:
        new, near = hessian_preconditioner(part, theta, preconditioner)
        preconditioner = _for_each_class(preconditioner, delta2.shape[1])
    else:
        new, _ = gram_preconditioner(part, theta)
        near = new.is_regular()
    preconditioner = jax.tree.map(lambda new, old: jnp.where(near, new, old), new, preconditioner)
    return Start(theta, roughly.steps, preconditioner, A)


def preconditioned_lbfgs(cost: LinearCost, start: Start, max_steps: Array | int) -> tuple[Solution, Array]:
    """The minimiser of the cost, and whether it is accepted.

    A fit that is not accepted says nothing: there may be no minimum, or rounding may hide it from these steps. `steps`
    leaves out those of the subsample, unless it has all examples.
    """
    delta2, part, first = cost.delta2, subsample(cost), _first_gradient(cost)
    uses_all = part is cost
    tolerance = jnp.maximum(1e-10 * jnp.linalg.norm(first), rounding(part, start.theta))
    fall_in_u = jnp.maximum(FALL, 64 * jnp.finfo(first.dtype).eps)
    tolerance_in_u = fall_in_u * _preconditioned_norm(start.preconditioner, first)
    end = _descended(cost, start.theta, start.preconditioner, tolerance, tolerance_in_u, max_steps)
    steps = end.steps + (start.steps if uses_all else 0)
    theta = _centred(end.point.extra.q, delta2)
    value = jnp.sum(cost.w * cost.loss.values(end.point.extra.Z, cost.y)) + jnp.sum(delta2 * theta**2)
    norm = jnp.linalg.norm(end.point.extra.moment + 2 * delta2 * theta)
    accepted = (norm <= tolerance) & jnp.isfinite(value) & start.A.is_regular()
    accepted &= jnp.all(delta2 > 0) | is_curved(part, theta, start.A)
    evaluations = Evaluations(steps, steps + 1, jnp.zeros_like(steps))
    status, method = (jnp.array(code, jnp.int32) for code in (Status.CONVERGED, Method.QUASI_NEWTON))
    return Solution(theta, value, norm, steps, status, evaluations, method), accepted


def _first_gradient(cost: LinearCost) -> Array:
    """The gradient at θ = 0."""
    # a barrier, or the compiler computes what becomes of these constants, slowly
    scores = lax.optimization_barrier(jnp.zeros(cost.y.shape + cost.delta2.shape[1:], cost.delta2.dtype))
    return cost.gradient_from(jnp.zeros_like(cost.delta2), cost.loss.slope(scores, cost.y))


class _Memory(NamedTuple):
    pairs: Pairs
    least_norm: Array  # of the gradient in u so far
    since_least: Array  # steps


def _descended(
    cost: LinearCost, theta: Array, preconditioner: Factored, tolerance: Array, tolerance_in_u: Array,
    max_steps: Array | int,
) -> State:  # fmt: skip
    """Steps from theta on, until the gradient is within the tolerance, in u too, or falls no more.

    In u columns of all units count alike.
    """

    def gradient(moment: Array, theta: Array) -> Array:
        return _preconditioned(preconditioner, moment + 2 * cost.delta2 * theta)

    def start(point: Point) -> _Memory:
        return _Memory(empty_pairs(MEMORY, point.x), jnp.linalg.norm(point.g), jnp.zeros((), jnp.int32))

    def direction(f: Objective, point: Point, memory: _Memory) -> Direction:
        return Direction(-two_loop_product(memory.pairs, point.g), jnp.ones_like(point.f))

    def update(memory: _Memory, old: Point, new: Point, direction: Direction, alpha: Array) -> _Memory:
        pairs, size = add_pair(memory.pairs, new.x - old.x, new.g - old.g), jnp.linalg.norm(new.g)
        since_least = jnp.where(size < memory.least_norm, 0, memory.since_least + 1)
        return _Memory(pairs, jnp.minimum(size, memory.least_norm), since_least)

    def is_small(point: Point, _: Array, memory: _Memory, tolerance: Array) -> Array:
        small = jnp.linalg.norm(_gradient(cost, point)) <= tolerance
        return small & (memory.least_norm <= tolerance_in_u) | (memory.since_least >= PATIENCE)

    u = Coordinates(cost.X, theta, partial(_unpreconditioned, preconditioner), lambda q: q, gradient)
    method = DescentMethod(start, direction, update, is_small=is_small)
    algorithm = descent(method, StrongWolfe(SLOPE), tolerance, STEPS_FOR_ONE * max_steps)
    return last_state(algorithm, convex_objective(cost, u), jnp.zeros(theta.size, theta.dtype))


def _gradient(cost: LinearCost, point: Point) -> Array:
    """g, the gradient in θ."""
    return point.extra.moment + 2 * cost.delta2 * point.extra.q


def _preconditioned(preconditioner: Factored, g: Array) -> Array:
    """Tᵀ g, the gradient in u."""
    return preconditioner.half_solve(g.reshape(len(preconditioner.L), -1)).reshape(g.shape)


def _preconditioned_norm(preconditioner: Factored, g: Array) -> Array:
    return jnp.linalg.norm(_preconditioned(preconditioner, g))


def _unpreconditioned(preconditioner: Factored, u: Array) -> Array:
    """T u."""
    L, scale = preconditioner.L, preconditioner.scale
    columns = solve_triangular(L, u.reshape(len(L), -1), lower=True, trans=1)
    return (scale[:, None] * columns).reshape(u.shape)


def _for_each_class(preconditioner: Factored, K: int) -> Factored:
    """The preconditioner of d parameters for each of K classes, as one of all d K parameters."""
    one = jnp.eye(K, dtype=preconditioner.L.dtype)
    return Factored(jnp.kron(preconditioner.L, one), jnp.repeat(preconditioner.scale, K), preconditioner.rcond)


def _centred(theta: Array, delta2: Array) -> Array:
    """theta of least norm, where a vector added to all classes changes no probability and lowers no penalty."""
    if theta.ndim == 1:
        return theta
    alike = jnp.all(delta2 == delta2[:, :1])
    return theta - jnp.where(alike, jnp.mean(theta, axis=1, keepdims=True), 0)
