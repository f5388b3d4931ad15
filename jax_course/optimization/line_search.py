r"""Line searches: how far to go along a direction that descends. Course 7.5, 7.6.

Let φ(α) = f(θ + αp), with φ'(0) = ∇f(θ)ᵀp < 0. A step is good if it descends enough, and, for quasi-Newton methods, if
the slope has flattened:

    sufficient decrease   φ(α) ≤ φ(0) + c₁ α φ'(0)                                      Nocedal & Wright 3.6a (Armijo)
    curvature             |φ'(α)| ≤ c₂ |φ'(0)|                                          3.7b (strong Wolfe, with 3.6a)

`backtracking` halves α until the first holds. `strong_wolfe` keeps a bracket: `low` descends enough and has the least φ
seen, between it and `high` lies a point that is good (Algorithms 3.5, 3.6). Trial points come from the cubic through
both ends (3.59), kept away from the ends; as long as there is no `high`, they grow.

Rounding. Near a minimum φ(α) − φ(0) is a few units in the last place and says nothing; the slopes still do. There
φ(α) ≤ φ(0) + ε counts as descent if φ'(α) ≤ (1 − 2c₁) |φ'(0)|, the sufficient decrease of a parabola told by its
slopes (Hager & Zhang 2005). A value that is not finite is a step too far, never an end.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array, lax
from jax.typing import ArrayLike

C1, C2 = 1e-4, 0.9
GROWTH = 4.0


class Trial(NamedTuple):
    """A point on the line: α, φ(α), φ'(α)."""

    alpha: Array
    value: Array
    slope: Array


class Step(NamedTuple):
    """Where a search ended: the point taken, what came with its value, how many values it took, whether it is good.

    Without success the point is the best that was seen, α = 0 where none descends.
    """

    taken: Trial
    extra: Any
    evaluations: Array
    success: Array


def backtracking(
    value: Callable[[Array], Array],
    start: Trial,
    alpha: ArrayLike = 1.0,
    rounding: ArrayLike = 0.0,
    max_evaluations: int = 60,
) -> Step:
    """The first of α, α/2, α/4, … that descends enough; value: α → φ(α), start: the Trial at α = 0.

    rounding: by how much φ may miss that, where it is no more than the last place of φ.

    >>> step = backtracking(lambda a: (a - 0.3) ** 2, Trial(*map(jnp.asarray, (0.0, 0.09, -0.6))))
    >>> float(step.taken.alpha), int(step.evaluations), bool(step.success)
    (0.5, 2, True)
    """
    start = jax.tree_util.tree_map(jnp.asarray, start)

    def good(alpha: Array, value: Array) -> Array:
        enough = value <= start.value + C1 * alpha * start.slope + rounding
        return jnp.isfinite(value) & enough & (value < start.value + rounding)

    def halve(carry):
        alpha, _, count = carry
        return alpha / 2, value(alpha / 2), count + 1

    first = jnp.asarray(alpha, start.value.dtype)
    carry = first, value(first), jnp.asarray(1, jnp.int32)

    def goes_on(carry):
        return ~good(carry[0], carry[1]) & (carry[2] < max_evaluations) & (start.slope < 0)

    alpha, found, count = lax.while_loop(goes_on, halve, carry)
    success = good(alpha, found) & (start.slope < 0)
    taken = Trial(alpha, found, jnp.full_like(found, jnp.nan))
    nowhere = start._replace(slope=jnp.full_like(found, jnp.nan))
    return Step(_where(success, taken, nowhere), None, count, success)


class _State(NamedTuple):
    low: Trial
    high: Trial  # α infinite until there is one
    extra: Any  # what came with the value at low
    alpha: Array
    count: Array
    good: Array


def strong_wolfe(
    along: Callable[[Array], tuple[Array, Array, Any]], start: Trial, extra: Any, alpha: Any = 1.0,
    c2: ArrayLike = C2, max_evaluations: int = 30,
) -> Step:  # fmt: skip
    """A step that descends enough and whose slope has flattened.

    along: α → (φ(α), φ'(α), extra), where extra, the gradient say, is kept for the point taken; start and extra are
    those at α = 0; alpha is the first to try.

    >>> def along(a):
    ...     return (a - 3) ** 2, 2 * (a - 3), None
    >>> step = strong_wolfe(along, Trial(*map(jnp.asarray, (0.0, 9.0, -6.0))), None, c2=0.1)
    >>> round(float(step.taken.alpha), 6), bool(step.success)
    (3.0, True)
    """
    start = jax.tree_util.tree_map(jnp.asarray, start)
    eps = jnp.finfo(start.value.dtype).eps

    def slack(value: Array) -> Array:
        return 10 * eps * jnp.maximum(jnp.abs(start.value), jnp.abs(value))

    def descends(trial: Trial) -> Array:
        enough = trial.value <= start.value + C1 * trial.alpha * start.slope
        by_slope = (trial.value <= start.value + slack(trial.value)) & (
            trial.slope <= (1 - 2 * C1) * jnp.abs(start.slope)
        )
        return jnp.isfinite(trial.value) & jnp.isfinite(trial.slope) & (enough | by_slope)

    def probe(state: _State) -> _State:
        value, slope, extra = along(state.alpha)
        trial = Trial(state.alpha, value, slope)
        good = descends(trial) & (jnp.abs(slope) <= c2 * jnp.abs(start.slope))
        too_far = ~descends(trial) | ((value >= state.low.value + slack(value)) & ~good)
        turned = jnp.where(jnp.isinf(state.high.alpha), slope >= 0, slope * (state.high.alpha - state.low.alpha) >= 0)
        high = _where(too_far, trial, _where(turned, state.low, state.high))
        low = _where(too_far, state.low, trial)
        extra = _where(too_far, state.extra, extra)
        told = jnp.abs(low.value - high.value) > slack(high.value)
        return _State(low, high, extra, _next(low, high, told), state.count + 1, good)

    def goes_on(state: _State) -> Array:
        width = jnp.abs(state.high.alpha - state.low.alpha)
        resolved = width > 4 * eps * jnp.maximum(state.low.alpha, state.high.alpha)
        return ~state.good & (state.count < max_evaluations) & (start.slope < 0) & (jnp.isinf(width) | resolved)

    nowhere = Trial(jnp.full_like(start.value, jnp.inf), start.value, start.slope)
    first = jnp.asarray(alpha, start.value.dtype)
    state = _State(start, nowhere, extra, first, jnp.asarray(0, jnp.int32), jnp.asarray(False))
    state = lax.while_loop(goes_on, probe, state)
    return Step(state.low, state.extra, state.count, state.good)


def _next(low: Trial, high: Trial, told: Array) -> Array:
    """The minimiser of the cubic through both ends (N&W 3.59), a tenth of the way from either at least.

    Where rounding does not tell their values apart, that of the parabola through their slopes.
    """
    width = high.alpha - low.alpha
    d1 = low.slope + high.slope - 3 * (low.value - high.value) / jnp.where(width == 0, 1, -width)
    root = d1**2 - low.slope * high.slope
    d2 = jnp.sign(width) * jnp.sqrt(jnp.maximum(root, 0))
    cubic = high.alpha - width * (high.slope + d2 - d1) / (high.slope - low.slope + 2 * d2)
    secant = low.alpha - width * low.slope / (high.slope - low.slope)
    cubic, root = jnp.where(told, cubic, secant), jnp.where(told, root, 0)
    edge = low.alpha + 0.1 * width, low.alpha + 0.9 * width
    inside = jnp.clip(cubic, jnp.minimum(*edge), jnp.maximum(*edge))
    halfway = low.alpha + 0.5 * width
    short = low.alpha + 0.1 * width  # where the value was not finite
    known = jnp.isfinite(high.value) & jnp.isfinite(high.slope)
    bracketed = jnp.where(known, jnp.where(jnp.isfinite(cubic) & (root >= 0), inside, halfway), short)
    return jnp.where(jnp.isinf(high.alpha), GROWTH * low.alpha, bracketed)


def _where(condition: Array, yes: Any, no: Any) -> Any:
    return jax.tree_util.tree_map(lambda a, b: jnp.where(condition, a, b), yes, no)
