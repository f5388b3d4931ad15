r"""Coordinate descent for the lasso, until the duality gap certifies the end (course 6.2).

    min over θ of J = ‖r‖² + Σ p|θ|,  r = y − Xθ,  h = Xᵀr
    θ_j ← soft(h_j + ‖x_j‖² θ_j, p_j/2) / ‖x_j‖²            the exact minimiser along θ_j
    h ← h − δ XᵀX_j  or  r ← r − δ x_j                      what a step of length δ changes

A sweep takes these steps in turn, over those θ_j only that are not 0 or want to leave 0 (2|h_j| > p_j) and are not
certain to return (below). It works on h where the Gram matrix is no larger than X, O(d) a step, and on r where it
would be, O(m) a step. One problem of which few θ_j want to leave 0 is solved on the Gram matrix of these few columns,
and again with the columns that want to leave then. After every few sweeps θ₁ … θ_K comes Anderson's extrapolation,
which makes up for correlated columns: Σ z_k θ_k with Σ z_k = 1 and ‖Σ z_k (θ_k − θ_{k−1})‖ least, kept where it
lowers J.

The gap. For every u with |x_jᵀu| ≤ p_j,  D(u) = uᵀy − ‖u‖²/4 ≤ min J,  since uᵀy = uᵀr + Σ θ_j x_jᵀu and
uᵀr ≤ ‖r‖² + ‖u‖²/4. With u = 2sr the difference is a sum of terms that are not negative, so that nothing cancels:

    J(θ) − D(2sr) = (1 − s)²‖r‖² + Σ (p_j|θ_j| − 2s θ_j h_j)

The best u lies within 2√gap of this one, because D curves by 1/2 everywhere. Hence θ_j = 0 in every minimiser where
|x_jᵀu| + 2‖x_j‖√gap < p_j (the safe sphere of Fercoq, Gramfort & Salmon 2015), and X_j need not be touched.

Shapes: X (m, d), y (m,), penalties (n, d): n problems, each starting from the one before. p_j = 0 only where X_j is 0.
Sources: O. Fercoq, A. Gramfort & J. Salmon, Mind the duality gap, ICML 2015; Q. Bertrand & M. Massias, Anderson
acceleration of coordinate descent, AISTATS 2021.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array, lax

from jax_course import arrays
from jax_course.linalg import column_scale, first_trusted, gram, product, transpose_product
from jax_course.optimization.proximal import soft_threshold

TOLERANCE = {"float64": 1e-8, "float32": 1e-5}  # of the gap, relative to J
SWEEPS = 5  # between extrapolations
FURTHER = 3  # times as many sweeps as the certificate took, at most
ROUNDS = 4  # in which h is computed afresh from X
GRAM = 2048  # columns up to which the Gram matrix is used whatever m is
WORK = 2**20  # numbers in X: below, the whole Gram matrix takes no time worth saving
WORKING_SET = 128  # columns


class Point(NamedTuple):
    """θ, what stands for its residual (h or r), h = Xᵀr and ‖r‖²."""

    theta: Array
    w: Any
    h: Array
    rr: Array


class Descent(NamedTuple):
    """For each problem: θ (n, d), h = Xᵀr, ‖r‖² and the relative duality gap, all from X itself; the sweeps."""

    theta: Array
    h: Array
    rr: Array
    gap: Array
    steps: Array


class _Form(NamedTuple):
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


def descend(X: Array, y: Array, penalties: Array, max_steps: Array | int) -> Descent:
    """The minimisers for each row of penalties, to a relative gap of `TOLERANCE` or until max_steps sweeps each.

    >>> X, y, one = jnp.array([[1.0], [2.0]]), jnp.array([3.0, 7.0]), jnp.array(10)
    >>> descend(X, y, jnp.array([[14.0], [4.0]]), one).theta  # (17 − p/2) / 5
    Array([[2.],
           [3.]], dtype=float64)
    """
    m, d = X.shape
    problem = _problem(X, y, penalties)
    if d > max(m, GRAM):
        return _on_the_residual(problem, max_steps)
    ways = [partial(_on_a_working_set, problem, max_steps)] if m * d >= WORK and d >= 4 * WORKING_SET else []
    return first_trusted(*ways, otherwise=lambda: _on_the_gram(problem, max_steps))


class _Problem(NamedTuple):
    """J of θ' = unit θ / size, with the columns of X diag(scale) and y' of one size; factors that round nothing."""

    X: Array
    y: Array
    scale: Array
    penalties: Array
    size: Array
    unit: Array

    def columns(self, chosen: Array) -> Array:
        """Some of the columns of X diag(scale)."""
        return jnp.take(self.X, chosen, axis=1) * self.scale[chosen][None, :]

    def measured(self, thetas: Array, predictions: Array) -> tuple[Point, Array]:
        """What X makes of thetas (n, d) that predict so (m, n), with w = r; and their relative gaps (n,)."""
        r = self.y[None, :] - predictions.T
        h, rr = self.scale[None, :] * transpose_product(self.X, r.T).T, jnp.sum(r**2, axis=1)
        return Point(thetas, r, h, rr), jax.vmap(_relative_gap)(thetas, h, rr, self.penalties)

    def at_zero(self) -> tuple[Point, Array]:
        """The same of 0 for all problems."""
        n = len(self.penalties)
        h, rr = self.scale * transpose_product(self.X, self.y), self.y @ self.y
        each = jax.tree.map(
            lambda leaf: jnp.broadcast_to(leaf, (n, *leaf.shape)), Point(jnp.zeros_like(h), self.y, h, rr)
        )
        return each, jax.vmap(_relative_gap)(each.theta, each.h, each.rr, self.penalties)

    def descent(self, points: Point, gaps: Array, steps: Array) -> Descent:
        """In the units of the caller."""
        theta, _, h, rr = points
        size, unit = self.size[None, :], self.unit
        return Descent(theta * size / unit, h / size / unit, rr / unit**2, gaps, steps)


def _problem(X: Array, y: Array, penalties: Array) -> _Problem:
    """The columns stay as they are where no square can overflow; a copy of X would take longer than some fits."""
    scale, unit, extreme = _units(X, y)
    p = jnp.minimum(penalties * scale[None, :] * unit, 4 * len(X))  # above 2 max|h| none differs
    if arrays.is_concrete(extreme) and not extreme:
        return _Problem(X, y * unit, scale, p, scale, unit)
    return _Problem(X * scale[None, :], y * unit, jnp.ones_like(scale), p, scale, unit)


@jax.jit
def _units(X: Array, y: Array) -> tuple[Array, Array, Array]:
    scale, unit = column_scale(X), column_scale(y[:, None])[0]
    largest = jnp.finfo(X.dtype).max ** 0.2
    return scale, unit, (jnp.max(scale) > largest) | (jnp.min(scale) < 1 / largest)


@jax.jit
def _on_the_gram(problem: _Problem, max_steps: Array | int) -> Descent:
    G = problem.scale[:, None] * gram(problem.X) * problem.scale[None, :]
    return _on_all_columns(problem, _form_of(G), max_steps)


@jax.jit
def _on_the_residual(problem: _Problem, max_steps: Array | int) -> Descent:
    rows = problem.scale[:, None] * problem.X.T
    sizes = jnp.sum(rows**2, axis=1)
    form = _Form(rows, sizes, lambda w, j: product(rows[j], w), lambda w: product(rows, w), lambda r, h: r)
    return _on_all_columns(problem, form, max_steps)


def _form_of(G: Array) -> _Form:
    return _Form(G, jnp.diagonal(G), lambda w, j: w[j], lambda w: w, lambda r, h: h)


def _on_all_columns(problem: _Problem, form: _Form, max_steps: Array | int) -> Descent:
    def one_round(state: _Round) -> _Round:
        thetas, steps = _in_turn(form, problem.penalties, state, max_steps, problem.y @ problem.y)
        points, gaps = problem.measured(thetas, product(problem.X, (problem.scale[None, :] * thetas).T))
        return _Round(points, gaps, steps, state.rounds + 1)

    end = lax.while_loop(partial(_unfinished, max_steps), one_round, _first_round(problem))
    return problem.descent(end.points, end.gaps, end.steps)


@jax.jit
def _on_a_working_set(problem: _Problem, max_steps: Array | int) -> tuple[Descent, Array]:
    """The same on the columns that want to leave 0 most, until all of these do; and whether all problems are solved."""

    def wanted(points: Point) -> Array:
        p = problem.penalties
        urge = jnp.where(p > 0, 2 * jnp.abs(points.h) / jnp.where(p > 0, p, 1), 0)
        return jnp.max(jnp.where(points.theta != 0, jnp.inf, urge), axis=0)

    patience = 3 if len(problem.penalties) == 1 else 1  # rounds on many problems cost as much as the whole Gram matrix

    def unfinished(state: _Round) -> Array:
        used = jnp.sum(jnp.any(state.points.theta != 0, axis=0))
        fit = jnp.sum(wanted(state.points) > 1) <= WORKING_SET
        return _unfinished(max_steps, state) & (used < WORKING_SET) & (fit | (state.rounds < patience))

    def one_round(state: _Round) -> _Round:
        chosen = lax.top_k(wanted(state.points), WORKING_SET)[1]
        columns = problem.columns(chosen)
        theta, _, h, rr = state.points
        some = state._replace(points=Point(theta[:, chosen], None, h[:, chosen], rr))
        of_chosen, steps = _in_turn(
            _form_of(gram(columns)), problem.penalties[:, chosen], some, max_steps, problem.y @ problem.y
        )
        thetas = jnp.zeros_like(theta).at[:, chosen].set(of_chosen)
        return _Round(*problem.measured(thetas, product(columns, of_chosen.T)), steps, state.rounds + 1)

    end = lax.while_loop(unfinished, one_round, _first_round(problem))
    return problem.descent(end.points, end.gaps, end.steps), jnp.all(end.gaps <= tolerance(problem.y))


class _Round(NamedTuple):
    """What X itself says of all problems, w being r."""

    points: Point
    gaps: Array
    steps: Array
    rounds: Array | int


def _first_round(problem: _Problem) -> _Round:
    return _Round(*problem.at_zero(), jnp.zeros(len(problem.penalties), jnp.int32), 0)


def _unfinished(max_steps: Array | int, state: _Round) -> Array:
    return jnp.any((state.gaps > tolerance(state.gaps)) & (state.steps < max_steps)) & (state.rounds < ROUNDS)


def _in_turn(form: _Form, penalties: Array, state: _Round, max_steps: Array | int, yy: Array) -> tuple[Array, Array]:
    """thetas and steps of all problems whose gap is too large, each from the better of its own and the one before."""

    def solve(before: Point, problem):
        own, p, gap, steps = problem
        nearer = penalised_cost(before.theta, before.rr, p) < penalised_cost(own.theta, own.rr, p)
        start = jax.tree.map(lambda a, b: jnp.where(nearer, a, b), before, own)
        end = _solve(form, p, start, jnp.where(gap > tolerance(p), max_steps - steps, 0), yy)
        return end.point, (end.point.theta, steps + end.steps)

    points = state.points._replace(w=form.w(state.points.w, state.points.h))
    first = jax.tree.map(lambda leaf: leaf[0], points)
    return lax.scan(solve, first, (points, penalties, state.gaps, state.steps))[1]


def _solve(form: _Form, p: Array, start: Point, max_steps: Array | int, yy: Array) -> _State:
    """Blocks of sweeps from `start` until certified, and on towards the square of the tolerance."""
    eps = jnp.finfo(p.dtype).eps

    def judged(state: _State) -> _State:
        gap = _relative_gap(state.point.theta, state.point.h, state.point.rr, p)
        first = (gap <= tolerance(p)) & (state.certified < 0)
        return state._replace(gap=gap, certified=jnp.where(first, state.steps, state.certified))

    def running(state: _State) -> Array:
        further = (state.gap > jnp.maximum(tolerance(p) ** 2, 8 * eps)) & (state.steps < FURTHER * state.certified)
        return ((state.certified < 0) | further) & (state.steps < max_steps) & (state.moved > eps**2 * yy)

    def block(state: _State) -> _State:
        point, moved = _swept(form, p, state.point)
        return judged(_State(point, moved, state.gap, state.steps + SWEEPS, state.certified))

    zero, unknown = jnp.zeros((), jnp.int32), jnp.full_like(yy, jnp.inf)
    return lax.while_loop(running, block, judged(_State(start, unknown, unknown, zero, zero - 1)))


def _swept(form: _Form, p: Array, point: Point) -> tuple[Point, Array]:
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
    z = jnp.linalg.solve(C, jnp.ones(K, C.dtype))
    return z / jnp.sum(z)


def _moved(form: _Form, start: Point, theta: Array, w: Array) -> Point:
    """‖r‖² from what changed: ‖r‖² − ‖r₀‖² = (r − r₀)ᵀ(r + r₀) = −(θ − θ₀)ᵀ(h + h₀)."""
    h = form.h(w)
    return Point(theta, w, h, jnp.maximum(start.rr - (theta - start.theta) @ (h + start.h), 0))


def _relative_gap(theta: Array, h: Array, rr: Array, p: Array) -> Array:
    gap, _ = duality_gap(theta, h, rr, p)
    return gap / jnp.where(gap > 0, penalised_cost(theta, rr, p), 1)


def tolerance(like: Array) -> float:
    """The largest relative gap that counts as solved, in the precision of `like`."""
    return TOLERANCE[str(like.dtype)]
