r"""Coordinate descent for the lasso, until the duality gap certifies the end (course 6.2).

    min over θ of J = ‖r‖² + Σ p|θ|,  r = y − Xθ,  h = Xᵀr
    θ_j ← soft(h_j + ‖x_j‖² θ_j, p_j/2) / ‖x_j‖²            the exact minimiser along θ_j
    h ← h − δ XᵀX_j  or  r ← r − δ x_j                      what a step of length δ changes

A sweep takes these steps in turn, over those θ_j only that are not 0 or want to leave 0 (2|h_j| > p_j) and are not
certain to return (below). After every few sweeps θ₁ … θ_K comes Anderson's extrapolation, which makes up for
correlated columns: Σ z_k θ_k with Σ z_k = 1 and ‖Σ z_k (θ_k − θ_{k−1})‖ least, kept where it lowers J.

The gap. For every u with |x_jᵀu| ≤ p_j,  D(u) = uᵀy − ‖u‖²/4 ≤ min J,  since uᵀy = uᵀr + Σ θ_j x_jᵀu and
uᵀr ≤ ‖r‖² + ‖u‖²/4. With u = 2sr the difference is a sum of terms that are not negative, so that nothing cancels:

    J(θ) − D(2sr) = (1 − s)²‖r‖² + Σ (p_j|θ_j| − 2s θ_j h_j)

The best u lies within 2√gap of this one, because D curves by 1/2 everywhere. Hence θ_j = 0 in every minimiser where
|x_jᵀu| + 2‖x_j‖√gap < p_j (the safe sphere of Fercoq, Gramfort & Salmon 2015), and X_j need not be touched.

Shapes: theta, h, p (d,), r (m,); p_j = 0 only where X_j is 0. Which columns, and whether h or r is carried:
`regression.lasso_rounds`.
Sources: O. Fercoq, A. Gramfort & J. Salmon, Mind the duality gap, ICML 2015; Q. Bertrand & M. Massias, Anderson
acceleration of coordinate descent, AISTATS 2021.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array, lax

from jax_course.linalg import product
from jax_course.linalg.lapack import solve
from jax_course.optimization.proximal import soft_threshold

TOLERANCE = {"float64": 1e-8, "float32": 1e-5}  # of the gap, relative to J
SWEEPS = 5  # between extrapolations
FURTHER = 3  # times as many sweeps as the certificate took, at most


class Point(NamedTuple):
    """θ, what stands for its residual (h or r), h = Xᵀr and ‖r‖²."""

    theta: Array
    w: Any
    h: Array
    rr: Array


class Form(NamedTuple):
    """How the residual is carried: w ← w − δ rows[j] when θ_j grows by δ."""

    rows: Array
    sizes: Array  # ‖x_j‖²
    h_j: Callable[[Array, Array], Array]  # of w and j
    h: Callable[[Array], Array]  # of w
    w: Callable[[Array, Array], Array]  # of r and h


class _State(NamedTuple):
    point: Point
    moved: Array  # how far the predictions went in the last block of sweeps, squared
    gap: Array
    steps: Array
    certified: Array  # the steps at which the gap was small enough first; −1 before


def duality_gap(theta: Array, h: Array, rr: Array, p: Array) -> tuple[Array, Array]:
    """J(θ) − D(2sr), at least 0, for the best feasible s; and that s."""
    feasible = jnp.min(jnp.where(h != 0, p / jnp.where(h != 0, 2 * jnp.abs(h), 1), jnp.inf))
    s = jnp.clip(1 + theta @ h / jnp.where(rr > 0, rr, 1), 0, feasible)
    return (1 - s) ** 2 * rr + jnp.sum(jnp.maximum(p * jnp.abs(theta) - 2 * s * theta * h, 0)), s


def certainly_zero(theta: Array, h: Array, rr: Array, p: Array, sizes: Array) -> Array:
    """Where θ_j is 0 in every minimiser, as far as the gap at this θ tells; sizes are ‖x_j‖²."""
    gap, s = duality_gap(theta, h, rr, p)
    rounding = jnp.finfo(theta.dtype).eps * penalised_cost(theta, rr, p)
    return 2 * s * jnp.abs(h) + 2 * jnp.sqrt(sizes * jnp.maximum(gap, rounding)) < p


def penalised_cost(theta: Array, rr: Array, p: Array) -> Array:
    """‖r‖² + Σ p|θ|."""
    return rr + jnp.sum(p * jnp.abs(theta))


def form_of_gram(G: Array) -> Form:
    """For a residual carried as h, G being XᵀX."""
    return Form(G, jnp.diagonal(G), lambda w, j: w[j], lambda w: w, lambda r, h: h)


def certified_point(form: Form, p: Array, start: Point, max_steps: Array | int, yy: Array) -> tuple[Point, Array]:
    """Where sweeps lead from `start`, certified and on towards the square of the tolerance; how many. yy is ‖y‖²."""
    eps = jnp.finfo(p.dtype).eps

    def judged(state: _State) -> _State:
        gap = relative_gap(state.point.theta, state.point.h, state.point.rr, p)
        first = (gap <= tolerance(p)) & (state.certified < 0)
        return state._replace(gap=gap, certified=jnp.where(first, state.steps, state.certified))

    def running(state: _State) -> Array:
        further = (state.gap > jnp.maximum(tolerance(p) ** 2, 8 * eps)) & (state.steps < FURTHER * state.certified)
        return ((state.certified < 0) | further) & (state.steps < max_steps) & (state.moved > eps**2 * yy)

    def block(state: _State) -> _State:
        point, moved = _swept(form, p, state.point)
        return judged(_State(point, moved, state.gap, state.steps + SWEEPS, state.certified))

    zero, unknown = jnp.zeros((), jnp.int32), jnp.full_like(yy, jnp.inf)
    end = lax.while_loop(running, block, judged(_State(start, unknown, unknown, zero, zero - 1)))
    return end.point, end.steps


def _swept(form: Form, p: Array, point: Point) -> tuple[Point, Array]:
    """The point after a block of sweeps and the extrapolation from them, and how far the predictions went, squared."""
    theta, _, h, rr = point
    leaving = (2 * jnp.abs(h) > p) & ~certainly_zero(theta, h, rr, p, form.sizes)
    moving = (theta != 0) | leaving
    order, count = jnp.nonzero(moving, size=theta.size, fill_value=0)[0], jnp.sum(moving)

    def step(i, state):
        theta, w, moved = state
        j = order[i]
        size = jnp.where(form.sizes[j] > 0, form.sizes[j], 1)
        theta_j = soft_threshold(form.h_j(w, j) + size * theta[j], p[j] / 2) / size
        delta = theta_j - theta[j]
        return theta.at[j].set(theta_j), w - delta * form.rows[j], moved + size * delta**2

    def sweep(state, _):
        state = lax.fori_loop(0, count, step, state)
        return state, state[:2]

    (*last, moved), (thetas, ws) = lax.scan(sweep, (theta, point.w, jnp.zeros_like(rr)), length=SWEEPS)
    z = _mixture(jnp.diff(thetas, axis=0, prepend=theta[None, :]))
    plain, extrapolated = _moved(form, point, *last), _moved(form, point, product(thetas.T, z), product(ws.T, z))
    better = _is_better(extrapolated, plain, p)
    return jax.tree.map(lambda a, b: jnp.where(better, a, b), extrapolated, plain), moved


def _is_better(one: Point, other: Point, p: Array) -> Array:
    """By the cost; where its last places no longer tell, by the gap, in which nothing cancels."""
    J, other_J = (penalised_cost(point.theta, point.rr, p) for point in (one, other))
    gap, other_gap = (duality_gap(point.theta, point.h, point.rr, p)[0] for point in (one, other))
    visible = jnp.abs(J - other_J) > 64 * jnp.finfo(p.dtype).eps * other_J
    return jnp.where(visible, J < other_J, gap < other_gap)


def _mixture(differences: Array) -> Array:
    """z with Σ z = 1 and the shortest Σ z_k differences_k, shape (K,)."""
    K = len(differences)
    C = product(differences, differences.T)
    size = jnp.trace(C)
    C = C / jnp.where(size > 0, size, 1) + 100 * jnp.finfo(C.dtype).eps * jnp.eye(K, dtype=C.dtype)
    z = solve(C, jnp.ones(K, C.dtype))
    return z / jnp.sum(z)


def _moved(form: Form, start: Point, theta: Array, w: Array) -> Point:
    """‖r‖² from what changed: ‖r‖² − ‖r₀‖² = (r − r₀)ᵀ(r + r₀) = −(θ − θ₀)ᵀ(h + h₀)."""
    h = form.h(w)
    return Point(theta, w, h, jnp.maximum(start.rr - (theta - start.theta) @ (h + start.h), 0))


def relative_gap(theta: Array, h: Array, rr: Array, p: Array) -> Array:
    """The gap in units of J."""
    gap, _ = duality_gap(theta, h, rr, p)
    return gap / jnp.where(gap > 0, penalised_cost(theta, rr, p), 1)


def tolerance(like: Array) -> float:
    """The largest relative gap that counts as solved, in the precision of `like`."""
    return TOLERANCE[str(like.dtype)]
