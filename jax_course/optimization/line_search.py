r"""Line searches: the step length α along a descent direction p. Course 7.5, 7.6.

Let φ(α) = f(θ + αp), with φ'(0) = ∇f(θ)ᵀp < 0. A step is good if the cost decreases sufficiently and, for quasi-Newton
methods, if the slope is small enough:

    sufficient decrease   φ(α) ≤ φ(0) + c₁ α φ'(0)                                      Nocedal & Wright 3.6a (Armijo)
    curvature             |φ'(α)| ≤ c₂ |φ'(0)|                                          3.7b (strong Wolfe, with 3.6a)

`backtracking` halves α until the first holds. `strong_wolfe` keeps a bracket: `low` has sufficient decrease and the
least φ so far, and between it and `high` lies a good point (Algorithms 3.5, 3.6). Trial points are minima of the cubic
through both ends (3.59), not too close to the ends; as long as there is no `high`, they grow.

Rounding. Near a minimum φ(α) − φ(0) is a few units in the last place and tells nothing, but the slopes still do. There
φ(α) ≤ φ(0) + ε counts as a decrease if φ'(α) ≤ (1 − 2c₁) |φ'(0)|: the sufficient decrease of a parabola, written with
its slopes (Hager & Zhang 2005). If a value is not finite, the step was too long.

Convex costs. Slopes grow with α, and tell by themselves how far to go: there `strong_wolfe` takes values that are 0.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array, lax

from jax_course.optimization.objective import tree_where

C1, C2 = 1e-4, 0.9  # shares of the slope at 0: N&W's for quasi-Newton methods (sections 3.1, 6.1)
# Factor on α while no step was too long. On the test functions 2 takes 2 % more gradients in BFGS and 13 % more in
# conjugate gradients; 10 takes 1 % and 2 % more in BFGS and L-BFGS.
GROWTH = 4.0


class Trial(NamedTuple):
    """A point on the line, three scalars: α, φ(α), φ'(α)."""

    alpha: Array
    value: Array
    slope: Array


class Step(NamedTuple):
    """The result of a search: the point taken, its extra value, the number of evaluations, whether the point is good.

    Without success the point is the best that was tried, α = 0 if none decreases the cost.
    """

    taken: Trial
    extra: Any
    evaluations: Array
    success: Array


def backtracking(
    value: Callable[[Array], Array],
    start: Trial,
    alpha: Array | float = 1.0,
    rounding: Array | float = 0.0,
    max_evaluations: int = 60,
) -> Step:
    """The first of α, α/2, α/4, … with sufficient decrease. Course 7.5, N&W 3.6a.

    value: α → φ(α); start: the Trial at α = 0; alpha: the first α; rounding: the rounding of φ, by which the condition
    may be violated. All are scalars.

    >>> step = backtracking(lambda a: (a - 0.3) ** 2, Trial(*map(jnp.asarray, (0.0, 0.09, -0.6))))
    >>> float(step.taken.alpha), int(step.evaluations), bool(step.success)
    (0.5, 2, True)
    """
    start = jax.tree.map(jnp.asarray, start)

    def good(alpha: Array, value: Array) -> Array:
        sufficient = value <= start.value + C1 * alpha * start.slope + rounding
        return jnp.isfinite(value) & sufficient & (value < start.value + rounding)

    def halve(carry):
        alpha, _, count = carry
        return alpha / 2, value(alpha / 2), count + 1

    first = jnp.asarray(alpha, start.value.dtype)
    carry = first, value(first), jnp.asarray(1, jnp.int32)

    def is_running(carry):
        return ~good(carry[0], carry[1]) & (carry[2] < max_evaluations) & (start.slope < 0)

    alpha, found, count = lax.while_loop(is_running, halve, carry)
    success = good(alpha, found) & (start.slope < 0)
    taken = Trial(alpha, found, jnp.full_like(found, jnp.nan))
    no_step = start._replace(slope=jnp.full_like(found, jnp.nan))
    return Step(tree_where(success, taken, no_step), None, count, success)


class Search(NamedTuple):
    """A strong Wolfe search between two trials: the bracket, the α to try next, the trials so far, whether low is good.

    extra: that of low.
    """

    start: Trial
    low: Trial
    high: Trial  # α is infinite until a step was too long
    extra: Any
    alpha: Array
    count: Array
    good: Array


def strong_wolfe(
    evaluate: Callable[[Array], tuple[Array, Array, Any]], start: Trial, extra: Any, alpha: Array | float = 1.0,
    c2: Array | float = C2, max_evaluations: int = 30,
) -> Step:  # fmt: skip
    """A step with sufficient decrease and a small slope, |φ'(α)| ≤ c₂ |φ'(0)|. Course 7.6, N&W 3.7.

    evaluate: α → (φ(α), φ'(α), extra), where extra, such as the gradient, is returned for the point taken; start and
    extra are those at α = 0; alpha is the first α. φ, φ' and α are scalars.

    >>> def evaluate(a):
    ...     return (a - 3) ** 2, 2 * (a - 3), None
    >>> step = strong_wolfe(evaluate, Trial(*map(jnp.asarray, (0.0, 9.0, -6.0))), None, c2=0.1)
    >>> round(float(step.taken.alpha), 6), bool(step.success)
    (3.0, True)
    """
    search = begin_search(start, extra, alpha)
    end = lax.while_loop(
        lambda search: is_searching(search, max_evaluations),
        lambda search: next_search(search, *evaluate(search.alpha), c2=c2),
        search,
    )
    return Step(end.low, end.extra, end.count, end.good)


def begin_search(start: Trial, extra: Any, alpha: Array | float = 1.0) -> Search:
    """The search before its first trial, whose α is given."""
    start = jax.tree.map(jnp.asarray, start)
    no_high = Trial(jnp.full_like(start.value, jnp.inf), start.value, start.slope)
    first = jnp.asarray(alpha, start.value.dtype)
    return Search(start, start, no_high, extra, first, jnp.asarray(0, jnp.int32), jnp.asarray(False))


def is_searching(search: Search, max_evaluations: int) -> Array:
    """Whether another trial is worth its evaluation."""
    eps = jnp.finfo(search.alpha.dtype).eps
    width = jnp.abs(search.high.alpha - search.low.alpha)
    resolved = width > 4 * eps * jnp.maximum(search.low.alpha, search.high.alpha)
    unfinished = ~search.good & (search.count < max_evaluations) & (search.start.slope < 0)
    return unfinished & (jnp.isinf(width) | resolved)


def next_search(search: Search, value: Array, slope: Array, extra: Any, c2: Array | float = C2) -> Search:
    """The search after the trial at its α, where φ and φ' are these."""
    start, low, high = search.start, search.low, search.high

    def slack(value: Array) -> Array:
        return 10 * jnp.finfo(value.dtype).eps * jnp.maximum(jnp.abs(start.value), jnp.abs(value))

    trial = Trial(search.alpha, value, slope)
    sufficient = value <= start.value + C1 * trial.alpha * start.slope
    nearly_flat = (value <= start.value + slack(value)) & (slope <= (1 - 2 * C1) * jnp.abs(start.slope))
    descends = jnp.isfinite(value) & jnp.isfinite(slope) & (sufficient | nearly_flat)
    good = descends & (jnp.abs(slope) <= c2 * jnp.abs(start.slope))
    too_far = ~descends | ((value > low.value + slack(value)) & ~good)
    turned = jnp.where(jnp.isinf(high.alpha), slope >= 0, slope * (high.alpha - low.alpha) >= 0)
    high = tree_where(too_far, trial, tree_where(turned, low, high))
    low = tree_where(too_far, low, trial)
    extra = tree_where(too_far, search.extra, extra)
    distinct = jnp.abs(low.value - high.value) > slack(high.value)
    return Search(start, low, high, extra, _next(low, high, distinct), search.count + 1, good)


def _next(low: Trial, high: Trial, distinct: Array) -> Array:
    """The minimiser of the cubic through both ends (N&W 3.59), at least a tenth of the bracket away from each.

    distinct: whether the values differ by more than rounding; if not, the parabola through the slopes is used.
    """
    width = high.alpha - low.alpha
    d1 = low.slope + high.slope - 3 * (low.value - high.value) / jnp.where(width == 0, 1, -width)
    root = d1**2 - low.slope * high.slope
    d2 = jnp.sign(width) * jnp.sqrt(jnp.maximum(root, 0))
    cubic = high.alpha - width * (high.slope + d2 - d1) / (high.slope - low.slope + 2 * d2)
    secant = low.alpha - width * low.slope / (high.slope - low.slope)
    cubic, root = jnp.where(distinct, cubic, secant), jnp.where(distinct, root, 0)
    edge = low.alpha + 0.1 * width, low.alpha + 0.9 * width
    inside = jnp.clip(cubic, jnp.minimum(*edge), jnp.maximum(*edge))
    halfway = low.alpha + 0.5 * width
    short = low.alpha + 0.1 * width  # the value at high was not finite
    known = jnp.isfinite(high.value) & jnp.isfinite(high.slope)
    bracketed = jnp.where(known, jnp.where(jnp.isfinite(cubic) & (root >= 0), inside, halfway), short)
    # a step length is a choice: a derivative of the result does not pass through it
    return lax.stop_gradient(jnp.where(jnp.isinf(high.alpha), GROWTH * low.alpha, bracketed))
