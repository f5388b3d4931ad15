r"""The fit of a linear classifier to many examples: L-BFGS, with what a part of the examples tells of the curvature.

Newton's method forms XᵀSX at every step. Here a step only needs Z = Xθ and g = Xᵀ ∂C/∂Z:

    A = XᵀSX + 2 diag(δ²) = T⁻ᵀ T⁻¹,  θ = T u                         of a part, S = diag(π(1 − π))
    u ← u − t H Tᵀ g                                                  H by L-BFGS from the identity
    φ'(t) = Σ ∂C/∂Z(Z + t Z_p) Z_p,  Z_p = X p                        |φ'(t)| ≤ ½ |φ'(0)|, without reading X

C is convex, so that the slope alone says whether a step is short enough, and says it where C itself is lost in
rounding. First the part alone is fitted, roughly, its examples counted so often that it stands for all, with A at
θ = 0; it hands over θ, and A there: where the part is all there is, and dK is not large, the Hessian of all dK
parameters. What a part can tell: `classification.part`.

A fit is `trusted` where the gradient is small and the curvature is not. Otherwise it says nothing, there may be no
minimum, and the fit is done again by `fitting.minimise`.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array, lax

from jax_course.classification.part import (
    Examples,
    Logits,
    hessian_metric,
    is_curved,
    metric_of,
    part_of,
    rounding,
    weighted,
)
from jax_course.linalg import Factored, product, there_and_back, transpose_product
from jax_course.linalg.lapack import solve_triangular
from jax_course.optimization.quasi_newton import Pairs, no_pairs, remembered, two_loop_product
from jax_course.optimization.solution import Evaluations, Method, Solution, Status

WORK = 2**27  # m (d K)²: below, Newton's method is fast
MEMORY = 16
STEPS_FOR_ONE = 10  # of Newton's: what max_steps counts
ENOUGH = 1e-3  # of the gradient at the start: closer the part's minimum is not to that of all
CLOSE = 1e-2  # the same where the part is all
MOST_PARAMETERS = 1024  # of several classes, whose Hessian is factored
FALL_IN_U = 1e-9  # of the gradient, from 0 on
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


def quasi_newton_fit(of: Logits, examples: Examples, delta2: Array, max_steps: Array | int) -> tuple[Solution, Array]:
    """The minimiser of the cost plus Σ delta2 theta², and whether it can be trusted; delta2 like theta, (d,) or (d, K).

    A fit that is not trusted says nothing: there may be no minimum, or rounding may hide it from these steps.
    """
    part = part_of(examples)
    origin = jnp.zeros_like(delta2)
    metric, of_part = metric_of(of, part, delta2, origin)
    gradient = partial(_gradient, delta2=delta2)
    # a barrier, or the compiler computes what becomes of these constants, slowly
    at_origin = lax.optimization_barrier(jnp.zeros(examples.y.shape + delta2.shape[1:], delta2.dtype))
    start = gradient(origin, examples, of.slope(at_origin, examples.y))
    size, close = jnp.linalg.norm(start), CLOSE if part is examples else ENOUGH
    roughly = _descended(of, part, delta2, origin, metric, close * size, close * _size_in_u(metric, start), max_steps)
    theta = roughly.theta
    if part is examples and 1 < delta2.ndim and delta2.size <= MOST_PARAMETERS:
        there, near = hessian_metric(of, part, delta2, theta, metric)
        metric = _of_each(metric, delta2.shape[1])
    else:
        there, _ = metric_of(of, part, delta2, theta)
        near = there.is_regular()
    metric = jax.tree.map(lambda new, old: jnp.where(near, new, old), there, metric)
    tolerance = jnp.maximum(1e-10 * size, rounding(part, delta2, theta))
    in_u = jnp.maximum(FALL_IN_U, 64 * jnp.finfo(theta.dtype).eps) * _size_in_u(metric, start)
    end = _descended(of, examples, delta2, theta, metric, tolerance, in_u, max_steps)
    steps = end.steps + (roughly.steps if part is examples else 0)
    theta = _centred(end.theta, delta2)
    cost = jnp.sum(examples.w * of.cost(end.Z, examples.y)) + jnp.sum(delta2 * theta**2)
    norm = jnp.linalg.norm(end.g + 2 * delta2 * (theta - end.theta))
    trusted = (norm <= tolerance) & jnp.isfinite(cost) & of_part.is_regular()
    trusted &= jnp.all(delta2 > 0) | is_curved(of, part, delta2, theta, of_part)
    evaluations = Evaluations(steps, steps + 1, jnp.zeros_like(steps))
    status, method = (jnp.array(code, jnp.int32) for code in (Status.CONVERGED, Method.QUASI_NEWTON))
    return Solution(theta, cost, norm, steps, status, evaluations, method), trusted


def _gradient(theta: Array, examples: Examples, slope: Array, *, delta2: Array) -> Array:
    return transpose_product(examples.X, weighted(examples.w, slope)) + 2 * delta2 * theta


def _descended(
    of: Logits, examples: Examples, delta2: Array, theta: Array, metric: Factored, tolerance: Array,
    tolerance_in_u: Array, max_steps: Array | int,
) -> _State:  # fmt: skip
    """Steps from theta on, until the gradient is within the tolerance, in u too, or falls no more.

    In u columns of all units count alike.
    """
    Z = product(examples.X, theta)
    g = _gradient(theta, examples, of.slope(Z, examples.y), delta2=delta2)
    zero, pairs = jnp.zeros((), jnp.int32), no_pairs(MEMORY, delta2)
    state = _State(theta, Z, g, pairs, zero, jnp.linalg.norm(g), _size_in_u(metric, g), zero, jnp.array(True))

    def running(state: _State) -> Array:
        small = (state.norm <= tolerance) & (state.least <= tolerance_in_u)
        lasting = (state.since_least < PATIENCE) & (state.steps < STEPS_FOR_ONE * max_steps)
        return ~small & state.searching & lasting

    return lax.while_loop(running, partial(_stepped, of, examples, delta2, metric), state)


def _stepped(of: Logits, examples: Examples, delta2: Array, metric: Factored, state: _State) -> _State:
    in_u = _to_u(metric, state.g)
    p_in_u = -two_loop_product(state.pairs, in_u.reshape(-1))
    p = _to_theta(metric, p_in_u.reshape(in_u.shape))
    each = (examples.w,) if examples.w.ndim else ()

    def pull(Z, y, *w):
        return weighted(w[0] if w else examples.w, of.slope(Z, y))

    # most steps have the length 1, for which several classes need X only once
    Z_p, moment = there_and_back(lambda Z_p, Z, *each: pull(Z + Z_p, *each), p, examples.X, state.Z, examples.y, *each)

    def of_penalty(t: Array) -> Array:
        return 2 * delta2 * (state.theta + t * p)

    def along(t: Array) -> Array:
        return jnp.sum(pull(state.Z + t * Z_p, examples.y, *each) * Z_p) + jnp.sum(of_penalty(t) * p)

    t, found = _line_search(along, jnp.sum(state.g * p), jnp.sum((moment + of_penalty(jnp.ones((), p.dtype))) * p))
    theta, Z = state.theta + t * p, state.Z + t * Z_p
    moment = lax.cond(t == 1, lambda: moment, lambda: transpose_product(examples.X, pull(Z, examples.y, *each)))
    g = moment + of_penalty(t)
    new_in_u = _to_u(metric, g)
    size = jnp.linalg.norm(new_in_u)
    pairs = remembered(state.pairs, t * p_in_u, (new_in_u - in_u).reshape(-1))
    since_least = jnp.where(size < state.least, 0, state.since_least + 1)
    searching = found & jnp.isfinite(size)
    least = jnp.minimum(size, state.least)
    return _State(theta, Z, g, pairs, state.steps + 1, jnp.linalg.norm(g), least, since_least, searching)


def _line_search(along: Callable[[Array], Array], at_start: Array, at_one: Array) -> tuple[Array, Array]:
    """t with |φ'(t)| ≤ ½|φ'(0)|, and whether one was found; φ' grows with t."""
    one = jnp.ones_like(at_start)

    def running(search: Any) -> Array:
        _, at_t, *_, tries = search
        return (jnp.abs(at_t) > -at_start / 2) & (tries < BISECTIONS) & jnp.isfinite(at_t)

    def narrower(search: Any) -> Any:
        t, at_t, low, high, tries = search
        low, high = jnp.where(at_t < 0, t, low), jnp.where(at_t < 0, high, t)
        secant = t * at_start / (at_start - at_t)
        inside = (secant > low) & (secant < high)
        t = jnp.where(jnp.isfinite(high), jnp.where(inside, secant, (low + high) / 2), 2 * t)
        return t, along(t), low, high, tries + 1

    search = one, at_one, jnp.zeros_like(one), jnp.full_like(one, jnp.inf), jnp.zeros((), jnp.int32)
    t, at_t, *_ = lax.while_loop(running, narrower, search)
    return t, (jnp.abs(at_t) <= -at_start / 2) & (at_start < 0)


def _to_u(metric: Factored, g: Array) -> Array:
    """Tᵀ g, the gradient in u."""
    return metric.half_solve(g.reshape(len(metric.L), -1)).reshape(g.shape)


def _size_in_u(metric: Factored, g: Array) -> Array:
    return jnp.linalg.norm(_to_u(metric, g))


def _to_theta(metric: Factored, u: Array) -> Array:
    """T u."""
    columns = solve_triangular(metric.L, u.reshape(len(metric.L), -1), lower=True, trans=1)
    return (metric.scale[:, None] * columns).reshape(u.shape)


def _of_each(metric: Factored, K: int) -> Factored:
    """The same metric for each of K classes, as one of all d K parameters."""
    one = jnp.eye(K, dtype=metric.L.dtype)
    return Factored(jnp.kron(metric.L, one), jnp.repeat(metric.scale, K), metric.rcond)


def _centred(theta: Array, delta2: Array) -> Array:
    """Where a vector added to all classes changes no probability and no penalty for the better: the least norm."""
    if theta.ndim == 1:
        return theta
    alike = jnp.all(delta2 == delta2[:, :1])
    return theta - jnp.where(alike, jnp.mean(theta, axis=1, keepdims=True), 0)
