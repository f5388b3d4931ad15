r"""The fit of a loss whose curvature is 1 up to a threshold and 0 beyond: `huber`, in units of the threshold.

    H = XᵀDX + 2 diag(δ²),  D = 1 where |r| ≤ 1,  0 beyond              Newton, the exact minimum of a piece of C
    M = XᵀWX + 2 diag(δ²),  W = 1 where |r| ≤ 1,  1/|r| beyond          iteratively reweighted least squares

Newton's method with a search along the line ends after finitely many steps, since C is quadratic in pieces. Where H is
singular, as where all residuals are above the threshold, the step is one with M, which has full rank where X has, and
whose parabola lies above C: its full step lowers C (Huber 1981, 7.8). The start is least squares. Coordinates and last
steps are those of `whitened_newton`.
"""

from functools import partial
from typing import Any, NamedTuple

import jax.numpy as jnp
from jax import Array, lax

from jax_course.classification.newton_fit import corrected_stage, least_norm_stage, newton_operations
from jax_course.classification.objective import Coordinates, convex_objective, tolerance
from jax_course.classification.whitened_newton import End, penalty_curvature, weighted_rows
from jax_course.implicit import minimiser
from jax_course.inputs import Problem
from jax_course.linalg import first_accepted, gram, inner, product, spd_factor, transpose_product, whiten
from jax_course.linear_cost import LinearCost, conditions, weighted
from jax_course.losses import Loss
from jax_course.optimization.descent import State, descent
from jax_course.optimization.newton import newton_method
from jax_course.optimization.objective import Objective, Point, tree_where
from jax_course.optimization.run import last_state
from jax_course.optimization.step_rules import Found
from jax_course.solution import Solution
from jax_course.tiers import compiled

SHARE = 0.9  # of the slope at the start of a line, at most, is left
TRIALS = 100  # along one line
GROWTH = 4.0  # factor on α while the cost still falls
REGULAR = 1e-6  # reciprocal condition of H, where the columns are orthonormal: with less a step may be far too long


def fit(loss: Loss, problem: Problem, max_steps: Array | int) -> Solution:
    """The theta (d,) of least Σ weights loss + Σ penalties theta²."""
    return minimiser(conditions(loss), partial(_fit, loss, max_steps=max_steps), problem)


def _fit(loss: Loss, problem: Problem, max_steps: Array | int) -> Solution:
    end = newton_stage(loss, problem, max_steps)
    theta, rank = first_accepted(
        lambda: ((end.theta, jnp.array(len(end.theta))), jnp.all(end.white.kept)),
        otherwise=partial(least_norm_stage, loss, problem, end),
    )
    return corrected_stage(loss, problem, end, theta, rank, jnp.array(False))


@compiled(static_argnums=0, operations=newton_operations)
def newton_stage(loss: Loss, problem: Problem, max_steps: Array | int) -> End:
    """The end of Newton's method from least squares, in whitened coordinates."""
    cost, origin = LinearCost(loss, *problem), jnp.zeros_like(problem.penalty)
    white = whiten(weighted_rows(cost), cost.delta2)
    white = white._replace(X=product(cost.X, white.T))
    extra_curvature = penalty_curvature(white, cost.delta2)
    first_gradient = cost.gradient(origin)

    def curvature(point: Point) -> Array:
        z = point.extra.Z
        H = loss.hessian(z, cost.y, white.X, cost.w) + extra_curvature

        def reweighted() -> Array:
            return gram(white.X, weights=cost.w / jnp.maximum(1, jnp.abs(cost.y - z))) + extra_curvature

        return lax.cond(spd_factor(H).is_regular(REGULAR), lambda: H, reweighted)

    def direction(H: Array, g: Array) -> tuple[Array, Any]:
        return -spd_factor(H).solve(g), ()

    def gradient(moment: Array, theta: Array) -> Array:
        return moment + transpose_product(white.T, 2 * cost.delta2 * theta)

    w = Coordinates(white.X, origin, lambda p: p, partial(product, white.T), gradient)
    first_norm = jnp.linalg.norm(transpose_product(white.T, first_gradient))
    start = _least_squares(white.X, cost, extra_curvature)
    rounded = cost._replace(X=white.X, delta2=origin).rounded_gradient(start)
    small = tolerance(first_norm, rounded)
    method = newton_method(direction)._replace(is_refined=_is_refined)
    algorithm = descent(method, partial(minimum_along, small), small, max_steps)
    found: State = last_state(algorithm, convex_objective(cost, w, curvature), start)
    H = curvature(found.point)
    factored, no = spd_factor(H), jnp.array(False)
    theta = product(white.T, found.point.extra.q)
    return End(found, theta, white, first_gradient, extra_curvature, H, factored, no, no, jnp.all(white.kept))


def _is_refined(old_norm: Array, new_norm: Array, change: Array, w: Array) -> Array:
    """Whether a step is worth another one although the gradient is small; w may move along a flat direction."""
    return (new_norm > 0) & (new_norm <= 0.1 * old_norm)


class _Bracket(NamedTuple):
    """The lowest point of a line lies between low and high, infinite until a slope was positive; the α to try next."""

    low: Array
    low_slope: Array
    high: Array
    high_slope: Array
    alpha: Array
    slope: Array  # at the last trial
    trials: Array


def minimum_along(small: Array, f: Objective, point: Point, p: Array, alpha: Array) -> Found:
    """The lowest point along p, nearly: where the slope is less than at the start, or that of a small gradient.

    The slope grows along the line in pieces, steeply where residuals cross the threshold: so every other trial halves.
    """
    line, first = f.along(point, p), inner(point.g, p)
    enough = jnp.maximum(SHARE * jnp.abs(first), small * jnp.linalg.norm(p))
    zero, infinite = jnp.zeros_like(first), jnp.full_like(first, jnp.inf)

    def is_open(bracket: _Bracket) -> Array:
        wide = bracket.high - bracket.low > 4 * jnp.finfo(first.dtype).eps * bracket.low
        return ((bracket.trials == 0) | (jnp.abs(bracket.slope) > enough)) & wide & (bracket.trials < TRIALS)

    def narrowed(bracket: _Bracket) -> _Bracket:
        alpha = bracket.alpha
        slope = line.evaluate(alpha)[1]
        rises = ~(slope <= 0)
        low, low_slope = tree_where(rises, (bracket.low, bracket.low_slope), (alpha, slope))
        high, high_slope = tree_where(rises, (alpha, slope), (bracket.high, bracket.high_slope))
        secant = low - (high - low) * low_slope / (high_slope - low_slope)
        between = jnp.where(bracket.trials % 2 == 0, secant, (low + high) / 2)
        new = jnp.where(jnp.isinf(high), GROWTH * low, between)
        return _Bracket(low, low_slope, high, high_slope, new, slope, bracket.trials + 1)

    start = _Bracket(zero, first, infinite, infinite, alpha, first, jnp.zeros((), jnp.int32))
    end = lax.while_loop(is_open, narrowed, start)
    near = jnp.abs(end.slope) <= enough
    last = jnp.where(end.slope <= 0, end.low, end.high)
    taken = jnp.where(near, last, end.low)
    return Found(line.point(taken, zero, line.found), taken, end.trials, end.trials, 0, (taken > 0) & (first < 0))


def _least_squares(white_X: Array, cost: LinearCost, extra_curvature: Array) -> Array:
    """The w of least ½ Σ weights r² + Σ penalties theta²."""
    H = gram(white_X, weights=cost.w) + extra_curvature
    return spd_factor(H).solve(transpose_product(white_X, weighted(cost.w, cost.y)))
