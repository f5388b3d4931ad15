r"""Iterative refinement of the solution of a linear system, by the residual of each approximation.

    x ← x + s,  s = A⁻¹ r,  r = b − A x                              r in full precision, A⁻¹ as good as it is

A step leaves an error that is smaller than itself by the factor by which it is smaller than the step before. So the
last step is known as such when it is taken: what it leaves is rounding.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax.numpy as jnp
from jax import Array, lax
from jax.typing import DTypeLike

MOST_STEPS = 8
CLOSE_DIGITS = 7 / 8  # of all digits: a solution that has so many needs no step; 14 in float64, six in float32
LEAST_DIGITS = 0.65  # of all digits, of a step that is the last: ten in float64, four or five in float32


class Refined(NamedTuple):
    """unknown, what is missing in its equations, its cost; the sizes of the last two steps, and their number."""

    unknown: Array
    missing: Array
    cost: Array
    size: Array
    last_size: Array
    steps: Array


def relative_noise(dtype: DTypeLike, digits: float) -> float:
    """The relative error of numbers that have this share of all digits.

    >>> relative_noise("float64", 0.5) == 2.0**-26
    True
    """
    return float(jnp.finfo(dtype).eps) ** digits


def refined(
    start: Refined, first_size: Array, solve: Callable, evaluate: Callable, apply: Callable
) -> tuple[Refined, Array]:
    """The end of the steps from `start` on, and whether it is accepted; nothing is done where the size there is 0.

    first_size: of the solution without refinement. solve(missing) gives a step and its size; evaluate(unknown) what is
    missing, and the cost; apply(step) what a step takes away of what is missing.

    >>> system = {"solve": lambda r: (r / 3.9, jnp.abs(r)), "evaluate": lambda x: (12 - 4 * x, 0 * x)}
    >>> start = Refined(*map(jnp.array, (12 / 3.9, 0.0, 0.0, 12.0, jnp.inf, 0)))
    >>> end, accepted = refined(start, jnp.array(12.0), **system, apply=lambda step: 4 * step)
    >>> round(float(end.unknown), 9), bool(accepted)
    (3.0, True)
    """
    eps, accepted = float(jnp.finfo(first_size.dtype).eps), relative_noise(first_size.dtype, LEAST_DIGITS)

    def take(state: Refined) -> Refined:
        missing, cost = evaluate(state.unknown)
        step, size = solve(missing)
        left = missing - apply(step)
        cost = jnp.maximum(cost - jnp.sum(step * (missing + left)), 0)
        return Refined(state.unknown + step, left, cost, size, state.size, state.steps + 1)

    def running(state: Refined) -> Array:
        leaves = state.size * (state.size / state.last_size)
        settled = (state.size <= accepted * first_size) & (leaves <= 64 * eps * first_size)
        return ~settled & (state.size < state.last_size / 2) & (state.steps < MOST_STEPS)

    end = lax.while_loop(running, take, start)
    return end, end.size <= accepted * first_size
