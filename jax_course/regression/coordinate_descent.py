r"""Coordinate descent for the lasso, until the duality gap certifies the end (course 6.2).

    min over θ of J = ‖r‖² + Σ p|θ|,  r = y − Xθ,  h = Xᵀr
    θ_j ← soft(h_j + ‖x_j‖² θ_j, p_j/2) / ‖x_j‖²            the exact minimiser along θ_j
    h ← h − δ XᵀX_j  or  r ← r − δ x_j                      what a step of length δ changes

A sweep takes these steps in turn, over those θ_j only that are not 0, or that leave 0 (2|h_j| > p_j) and are not
screened (below). After every `SWEEPS` sweeps θ₁ … θ_K comes Anderson's extrapolation, which accelerates correlated
columns: Σ z_k θ_k with Σ z_k = 1 and ‖Σ z_k (θ_k − θ_{k−1})‖ least, kept if it lowers J.

The gap. For every u with |x_jᵀu| ≤ p_j,  D(u) = uᵀy − ‖u‖²/4 ≤ min J,  since uᵀy = uᵀr + Σ θ_j x_jᵀu and
uᵀr ≤ ‖r‖² + ‖u‖²/4. With u = 2sr the difference is a sum of terms that are not negative, so that nothing cancels:

    J(θ) − D(2sr) = (1 − s)²‖r‖² + Σ (p_j|θ_j| − 2s θ_j h_j)

The best u lies within 2√gap of this one, because D has the curvature 1/2 everywhere. Hence θ_j = 0 in every minimiser
if |x_jᵀu| + 2‖x_j‖√gap < p_j (the safe sphere of Fercoq, Gramfort & Salmon 2015): θ_j is screened.

Shapes: theta, h, p (d,), r (m,); p_j = 0 only where X_j is 0. The choice of the columns, and of h or r:
`regression.working_set`.
Sources: O. Fercoq, A. Gramfort & J. Salmon, Mind the duality gap, ICML 2015; Q. Bertrand & M. Massias, Anderson
acceleration of coordinate descent, AISTATS 2021.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array, lax

from jax_course.linalg import inner, product
from jax_course.linalg.lapack import solve
from jax_course.optimization.proximal import soft_threshold

TOLERANCE = {"float64": 1e-8, "float32": 1e-5}  # of the gap, relative to J, at which a fit is certified
SWEEPS = 5  # between extrapolations; with 3, correlated columns took twice as many sweeps, with 10 easy ones half more
SWEEP_FACTOR = 3  # times the sweeps to the certificate; with 1 the gap of a path stays near 1e-8, with 10 it is no less


class Point(NamedTuple):
    """θ, its residual in the form that is updated (w, which is h or r), h = Xᵀr and ‖r‖²."""

    theta: Array
    w: Any
    h: Array
    rr: Array


class Form(NamedTuple):
    """The form w of the residual that a step updates: w ← w − δ rows[j] when θ_j grows by δ."""

    rows: Array
    sizes: Array  # ‖x_j‖²
    h_j: Callable[[Array, Array], Array]  # (w, j) → h_j
    h: Callable[[Array], Array]  # w → h
    w: Callable[[Array, Array], Array]  # (r, h) → w


class _State(NamedTuple):
    point: Point
    moved: Array  # ‖change of Xθ‖² in the last block of sweeps
    gap: Array
    steps: Array
    certified: Array  # the steps at which the gap first met the tolerance; −1 before


def duality_gap(theta: Array, h: Array, rr: Array, p: Array) -> tuple[Array, Array]:
    """J(θ) − D(2sr), at least 0, for the best feasible s; and that s."""
    feasible = jnp.min(jnp.where(h != 0, p / jnp.where(h != 0, 2 * jnp.abs(h), 1), jnp.inf))
    s = jnp.clip(1 + inner(theta, h) / jnp.where(rr > 0, rr, 1), 0, feasible)
    return (1 - s) ** 2 * rr + jnp.sum(jnp.maximum(p * jnp.abs(theta) - 2 * s * theta * h, 0)), s


def screened(theta: Array, h: Array, rr: Array, p: Array, sizes: Array) -> Array:
    """True for θ_j that the gap at this θ proves 0 in every minimiser; sizes are ‖x_j‖²."""
    gap, s = duality_gap(theta, h, rr, p)
    rounding = jnp.finfo(theta.dtype).eps * penalised_cost(theta, rr, p)
    return 2 * s * jnp.abs(h) + 2 * jnp.sqrt(sizes * jnp.maximum(gap, rounding)) < p


def penalised_cost(theta: Array, rr: Array, p: Array) -> Array:
    """‖r‖² + Σ p|θ|."""
    return rr + jnp.sum(p * jnp.abs(theta))


def form_of_gram(G: Array) -> Form:
    """The form w = h, which needs G = XᵀX and not X."""
    return Form(G, jnp.diagonal(G), lambda w, j: w[j], lambda w: w, lambda r, h: h)


def certified_point(form: Form, p: Array, start: Point, max_steps: Array | int, yy: Array) -> tuple[Point, Array]:
    """The point that sweeps reach from `start`, and their number; yy is ‖y‖².

    They go on from the certificate towards the square of the tolerance, at most `SWEEP_FACTOR` times the sweeps in all.
    """
    eps = jnp.finfo(p.dtype).eps

    def with_gap(state: _State) -> _State:
        gap = relative_gap(state.point.theta, state.point.h, state.point.rr, p)
        first = (gap <= tolerance(p)) & (state.certified < 0)
        return state._replace(gap=gap, certified=jnp.where(first, state.steps, state.certified))

    def running(state: _State) -> Array:
        further = (state.gap > jnp.maximum(tolerance(p) ** 2, 8 * eps)) & (state.steps < SWEEP_FACTOR * state.certified)
        return ((state.certified < 0) | further) & (state.steps < max_steps) & (state.moved > eps**2 * yy)

    def block(state: _State) -> _State:
        point, moved = _swept(form, p, state.point)
        return with_gap(_State(point, moved, state.gap, state.steps + SWEEPS, state.certified))

    zero, unknown = jnp.zeros((), jnp.int32), jnp.full_like(yy, jnp.inf)
    end = lax.while_loop(running, block, with_gap(_State(start, unknown, unknown, zero, zero - 1)))
    return end.point, end.steps


def _swept(form: Form, p: Array, point: Point) -> tuple[Point, Array]:
    """The point after a block of sweeps and the extrapolation from them, and ‖change of Xθ‖² in the sweeps."""
    theta, _, h, rr = point
    leaving = (2 * jnp.abs(h) > p) & ~screened(theta, h, rr, p, form.sizes)
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
    swept, extrapolated = _point(form, point, *last), _point(form, point, product(thetas.T, z), product(ws.T, z))
    better = _is_better(extrapolated, swept, p)
    return jax.tree.map(lambda a, b: jnp.where(better, a, b), extrapolated, swept), moved


def _is_better(one: Point, other: Point, p: Array) -> Array:
    """Whether the cost is lower; if the costs differ by rounding only, whether the gap is, in which nothing cancels."""
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


def _point(form: Form, start: Point, theta: Array, w: Array) -> Point:
    """The point θ, with ‖r‖² by its change: ‖r‖² − ‖r₀‖² = (r − r₀)ᵀ(r + r₀) = −(θ − θ₀)ᵀ(h + h₀)."""
    h = form.h(w)
    return Point(theta, w, h, jnp.maximum(start.rr - inner(theta - start.theta, h + start.h), 0))


def relative_gap(theta: Array, h: Array, rr: Array, p: Array) -> Array:
    """The duality gap relative to J."""
    gap, _ = duality_gap(theta, h, rr, p)
    return gap / jnp.where(gap > 0, penalised_cost(theta, rr, p), 1)


def tolerance(like: Array) -> float:
    """The largest relative gap that counts as solved, in the precision of `like`."""
    return TOLERANCE[str(like.dtype)]
