r"""The fit of a linear classifier to many examples: L-BFGS, preconditioned by the curvature of a subsample.

Newton's method forms XᵀSX at every step. Here a step only needs Z = Xθ and g = Xᵀ ∂C/∂Z:

    A = XᵀSX + 2 diag(δ²) = T⁻ᵀ T⁻¹,  θ = T u                         of the subsample, S = diag(π(1 − π))
    u ← u − t H Tᵀ g                                                  H by L-BFGS from the identity
    φ'(t) = Σ ∂C/∂Z(Z + t Z_p) Z_p,  Z_p = X p                        |φ'(t)| ≤ ½ |φ'(0)|, without reading X

C is convex, so that the slope alone says whether a step is short enough, and says it where C itself is lost in
rounding. A subsample, reweighted to the full size, is fitted first, roughly, with A at θ = 0 as preconditioner. Its θ
starts the full fit, and A there is the preconditioner: the Hessian of all dK parameters where the subsample is all
there is, and dK is not large. The derivation of its certificate: `classification.subsample`.

A fit is accepted where the gradient is small and the curvature is not. Otherwise there may be no minimum, and
`newton_fit.complete_fit` decides.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array, lax

from jax_course.classification.objective import LinearCost, weighted
from jax_course.classification.subsample import (
    gram_preconditioner,
    hessian_preconditioner,
    is_curved,
    rounding,
    subsample,
)
from jax_course.linalg import Factored, product, product_and_transpose_product, transpose_product
from jax_course.linalg.lapack import solve_triangular
from jax_course.optimization.quasi_newton import Pairs, add_pair, empty_pairs, two_loop_product
from jax_course.solution import Evaluations, Method, Solution, Status

WORK = 2**27  # m (d K)²: below, Newton's method is fast
MEMORY = 16
STEPS_FOR_ONE = 10  # of Newton's: what max_steps counts
ENOUGH = 1e-3  # of the gradient at the start: closer the minimum of the subsample is not to that of all
CLOSE = 1e-2  # of the gradient at the start, where the subsample is all examples
MOST_PARAMETERS = 1024  # of several classes, whose Hessian is factored
FALL = 1e-9  # of the gradient in u, from θ = 0 on
PATIENCE = 8  # steps without a smaller gradient in u
BISECTIONS = 24


class _State(NamedTuple):
    theta: Array
    Z: Array
    g: Array
    pairs: Pairs
    steps: Array
    norm: Array
    least: Array  # the least norm in u so far
    since_least: Array
    searching: Array


def is_worth_it(X: Array, delta2: Array) -> bool:
    """Whether there are enough examples for this fit to beat Newton's method."""
    return len(X) >= 4 * X.shape[1] and len(X) * delta2.size**2 >= WORK


def preconditioned_lbfgs(cost: LinearCost, max_steps: Array | int) -> tuple[Solution, Array]:
    """The minimiser of the cost, and whether it is accepted.

    A fit that is not accepted says nothing: there may be no minimum, or rounding may hide it from these steps.
    """
    delta2, part = cost.delta2, subsample(cost)
    origin = jnp.zeros_like(delta2)
    preconditioner, full = gram_preconditioner(part, origin)
    # a barrier, or the compiler computes what becomes of these constants, slowly
    scores = lax.optimization_barrier(jnp.zeros(cost.y.shape + delta2.shape[1:], delta2.dtype))
    first = cost.gradient_from(origin, cost.loss.slope(scores, cost.y))
    size, close = jnp.linalg.norm(first), CLOSE if part is cost else ENOUGH
    rough_enough = close * size, close * _preconditioned_norm(preconditioner, first)
    roughly = _descended(part, origin, preconditioner, *rough_enough, max_steps)
    theta = roughly.theta
    if part is cost and 1 < delta2.ndim and delta2.size <= MOST_PARAMETERS:
        new, near = hessian_preconditioner(part, theta, preconditioner)
        preconditioner = _for_each_class(preconditioner, delta2.shape[1])
    else:
        new, _ = gram_preconditioner(part, theta)
        near = new.is_regular()
    preconditioner = jax.tree.map(lambda new, old: jnp.where(near, new, old), new, preconditioner)
    tolerance = jnp.maximum(1e-10 * size, rounding(part, theta))
    fall = jnp.maximum(FALL, 64 * jnp.finfo(theta.dtype).eps) * _preconditioned_norm(preconditioner, first)
    end = _descended(cost, theta, preconditioner, tolerance, fall, max_steps)
    steps = end.steps + (roughly.steps if part is cost else 0)
    theta = _centred(end.theta, delta2)
    value = jnp.sum(cost.w * cost.loss.values(end.Z, cost.y)) + jnp.sum(delta2 * theta**2)
    norm = jnp.linalg.norm(end.g + 2 * delta2 * (theta - end.theta))
    accepted = (norm <= tolerance) & jnp.isfinite(value) & full.is_regular()
    accepted &= jnp.all(delta2 > 0) | is_curved(part, theta, full)
    evaluations = Evaluations(steps, steps + 1, jnp.zeros_like(steps))
    status, method = (jnp.array(code, jnp.int32) for code in (Status.CONVERGED, Method.QUASI_NEWTON))
    return Solution(theta, value, norm, steps, status, evaluations, method), accepted


def _descended(
    cost: LinearCost, theta: Array, preconditioner: Factored, tolerance: Array, preconditioned_tolerance: Array,
    max_steps: Array | int,
) -> _State:  # fmt: skip
    """Steps from theta on, until the gradient is within the tolerance, in u too, or falls no more.

    In u columns of all units count alike.
    """
    Z = product(cost.X, theta)
    g = cost.gradient_from(theta, cost.loss.slope(Z, cost.y))
    zero, pairs, size = jnp.zeros((), jnp.int32), empty_pairs(MEMORY, theta), _preconditioned_norm(preconditioner, g)
    state = _State(theta, Z, g, pairs, zero, jnp.linalg.norm(g), size, zero, jnp.array(True))

    def running(state: _State) -> Array:
        small = (state.norm <= tolerance) & (state.least <= preconditioned_tolerance)
        lasting = (state.since_least < PATIENCE) & (state.steps < STEPS_FOR_ONE * max_steps)
        return ~small & state.searching & lasting

    return lax.while_loop(running, partial(_step, cost, preconditioner), state)


def _step(cost: LinearCost, preconditioner: Factored, state: _State) -> _State:
    u_gradient = _preconditioned(preconditioner, state.g)
    u_step = -two_loop_product(state.pairs, u_gradient.reshape(-1))
    p = _unpreconditioned(preconditioner, u_step.reshape(u_gradient.shape))
    each = (cost.w,) if cost.w.ndim else ()

    def weighted_slope(Z: Array, y: Array, *w: Array) -> Array:
        return weighted(w[0] if w else cost.w, cost.loss.slope(Z, y))

    # most steps have the length 1, for which several classes need X only once
    Z_p, moment = product_and_transpose_product(
        lambda Z_p, Z, *each: weighted_slope(Z + Z_p, *each), p, cost.X, state.Z, cost.y, *each
    )

    def penalty_gradient(t: Array) -> Array:
        return 2 * cost.delta2 * (state.theta + t * p)

    def slope_along(t: Array) -> Array:
        return jnp.sum(weighted_slope(state.Z + t * Z_p, cost.y, *each) * Z_p) + jnp.sum(penalty_gradient(t) * p)

    slope_at_one = jnp.sum((moment + penalty_gradient(jnp.ones((), p.dtype))) * p)
    t, found = _line_search(slope_along, jnp.sum(state.g * p), slope_at_one)
    theta, Z = state.theta + t * p, state.Z + t * Z_p
    moment = lax.cond(t == 1, lambda: moment, lambda: transpose_product(cost.X, weighted_slope(Z, cost.y, *each)))
    g = moment + penalty_gradient(t)
    new_u_gradient = _preconditioned(preconditioner, g)
    size = jnp.linalg.norm(new_u_gradient)
    pairs = add_pair(state.pairs, t * u_step, (new_u_gradient - u_gradient).reshape(-1))
    since_least = jnp.where(size < state.least, 0, state.since_least + 1)
    searching = found & jnp.isfinite(size)
    least = jnp.minimum(size, state.least)
    return _State(theta, Z, g, pairs, state.steps + 1, jnp.linalg.norm(g), least, since_least, searching)


def _line_search(slope: Callable[[Array], Array], slope_at_0: Array, slope_at_1: Array) -> tuple[Array, Array]:
    """t with |φ'(t)| ≤ ½|φ'(0)|, and whether one was found; slope: t → φ'(t), which grows with t."""
    one = jnp.ones_like(slope_at_0)

    def running(search: Any) -> Array:
        _, at_t, *_, tries = search
        return (jnp.abs(at_t) > -slope_at_0 / 2) & (tries < BISECTIONS) & jnp.isfinite(at_t)

    def narrower(search: Any) -> Any:
        t, at_t, low, high, tries = search
        low, high = jnp.where(at_t < 0, t, low), jnp.where(at_t < 0, high, t)
        secant = t * slope_at_0 / (slope_at_0 - at_t)
        inside = (secant > low) & (secant < high)
        t = jnp.where(jnp.isfinite(high), jnp.where(inside, secant, (low + high) / 2), 2 * t)
        return t, slope(t), low, high, tries + 1

    search = one, slope_at_1, jnp.zeros_like(one), jnp.full_like(one, jnp.inf), jnp.zeros((), jnp.int32)
    t, at_t, *_ = lax.while_loop(running, narrower, search)
    return t, (jnp.abs(at_t) <= -slope_at_0 / 2) & (slope_at_0 < 0)


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
