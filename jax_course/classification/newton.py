r"""The first stage of a fit: Newton's method as course 8.6 has it, and a proof that its result is the minimum.

    H p = −g,  θ ← θ + t p                                            t = 1, ½, ¼, … until  g(θ + t p)ᵀp ≤ −½ gᵀp

C is convex: a slope that has turned but is still small shows that the step went over the minimum, yet not far.

The result is accepted only where the gradient is small, H well-conditioned, and the classes proven not to be separable:
if v separated them, then, as derived in `classification.subsample`,

    vᵀHv ≤ max_i |u_i| ‖g‖ ‖v‖,  |u_i| ≤ √2 ‖x_i‖ ‖v‖                  λ_min(H) > √2 max_i ‖x_i‖ ‖g‖  leaves no such v

in coordinates in which the diagonal of H is about 1. A penalised parameter cannot escape, and of the others g and H
hold no penalty. Softmax regression is flat along one vector added to all classes, where the gradient is 0: there H is
given the mean curvature of the classes, which changes no step.

The program is small on purpose: it evaluates g and H in one place, and most fits compile nothing else.
"""

from functools import partial
from typing import NamedTuple

import jax.numpy as jnp
from jax import Array, lax

from jax_course.classification.objective import LinearCost, tolerance
from jax_course.linalg import Factored, spd_factor
from jax_course.optimization.objective import tree_where
from jax_course.solution import Evaluations, Method, Solution, Status

LEAST_STEP = 2.0**-10
PROOF = 64  # so much more curvature than the bound: the estimated λ_min may be several times too large


class _Point(NamedTuple):
    theta: Array
    g: Array
    H: Factored
    norm: Array


class _State(NamedTuple):
    point: _Point
    p: Array
    t: Array
    steps: Array
    tries: Array
    first_norm: Array
    running: Array


def newton(cost: LinearCost, max_steps: Array | int) -> tuple[Solution, Array]:
    """The minimiser of the cost from θ = 0, and whether it is accepted."""
    delta2 = cost.delta2
    origin, zero, one = jnp.zeros_like(delta2), jnp.zeros((), jnp.int32), jnp.ones((), delta2.dtype)
    no_factor = Factored(jnp.eye(origin.size, dtype=one.dtype), jnp.ones(origin.size, one.dtype), one)
    # the first try is θ = 0 itself, so that the program evaluates in one place
    start = _State(_Point(origin, origin, no_factor, jnp.inf * one), origin, one, zero, zero, one, jnp.array(True))
    end: _State = lax.while_loop(lambda state: state.running & (state.steps <= max_steps), partial(_try, cost), start)
    theta, g, H, norm = end.point
    value = cost.value(theta)
    status, method = (jnp.array(code, jnp.int32) for code in (Status.CONVERGED, Method.NEWTON))
    found = Solution(theta, value, norm, end.steps - 1, status, Evaluations(zero + 1, end.tries, end.tries), method)
    rounded = cost.rounded_gradient(theta)
    # where half of the digits may be lost, the coordinates of `whitened_newton` are better
    accurate = (norm <= tolerance(end.first_norm, rounded)) & H.is_regular(jnp.sqrt(jnp.finfo(one.dtype).eps))
    bound = PROOF * _longest_row(cost.X, H, theta) * jnp.linalg.norm(H.scale * (jnp.abs(g) + rounded).reshape(-1))
    return found, accurate & jnp.isfinite(value) & (jnp.all(delta2 > 0) | H.is_regular(bound))


def _try(cost: LinearCost, state: _State) -> _State:
    """Go to θ + t p if it is better; otherwise halve t."""
    old, p, t = state.point, state.p, state.t
    theta = old.theta + t * p
    g, H = cost.gradient(theta), cost.hessian(theta).reshape(theta.size, theta.size)
    penalty = jnp.diag(2 * cost.delta2.reshape(-1))
    new = _Point(theta, g, spd_factor(H + penalty + _shift_curvature(H, cost.delta2)), jnp.linalg.norm(g))
    first_norm = jnp.where(state.tries == 0, new.norm, state.first_norm)
    small = jnp.maximum(1e-10, 64 * jnp.finfo(g.dtype).eps) * first_norm
    good = (jnp.sum(g * p) <= -jnp.sum(old.g * p) / 2) & ~((old.norm <= small) & (new.norm >= old.norm))
    point = tree_where(good, new, old)
    # once small, it goes on while a step still divides the gradient by ten: each squares the error
    lasting = jnp.where(good, (new.norm > small) | (new.norm < 0.1 * old.norm), (old.norm > small) & (t > LEAST_STEP))
    direction = -new.H.solve(g.reshape(-1)).reshape(g.shape)
    return _State(
        point,
        jnp.where(good, direction, p),
        jnp.where(good, 1, t / 2).astype(t.dtype),
        jnp.where(good, state.steps + 1, state.steps),
        state.tries + 1,
        first_norm,
        lasting & jnp.isfinite(point.norm),
    )


def _shift_curvature(H: Array, delta2: Array) -> Array:
    """The mean curvature of K classes along one vector added to all, where the penalty does not tell them apart."""
    if delta2.ndim == 1:
        return jnp.zeros_like(H)
    d, K = delta2.shape
    mean = jnp.einsum("jklk->jl", H.reshape(d, K, d, K)) / K
    alike = jnp.all(delta2 == delta2[:, :1])
    return jnp.where(alike, jnp.kron(mean, jnp.full((K, K), 1 / K, H.dtype)), 0)


def _longest_row(X: Array, H: Factored, theta: Array) -> Array:
    """√2 max ‖x_i‖ in the units of H."""
    scale = jnp.max(H.scale.reshape(len(theta), -1), axis=1)
    return jnp.sqrt(2 * jnp.max(jnp.sum((X * scale[None, :]) ** 2, axis=1)))
