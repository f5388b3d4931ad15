r"""Central differences with an error bar for every entry, and what they show beside a number: kinks.

    D(h) = (f(x + h e) − f(x − h e)) / 2h = f' + c₂h² + c₄h⁴ + …        one-sided: f' + c₁h + c₂h² + …
    T_k0 = D(ρᵏh),  T_kj = T_kj−1 + (T_kj−1 − T_k−1,j−1) / (qʲ − 1),  q = 1/ρ²; one-sided 1/ρ     Richardson, Ridders

There is no step to choose. Truncation falls and rounding grows along the rows, and the entry of the tableau is kept
whose doubt is least. Its doubt, the error bar, is the sum of three: how far its neighbours are, what rounding leaves of
f after a division by h, and how far smaller steps contradict it beyond their own rounding. Without the third, a step so
long that f has saturated is believed: softplus seen from afar is a pair of lines with a wrong slope between them.
Rounding is that of the values, or what the smallest steps scatter by, if that is more; steps so small that the values
do not answer at all (float32 somewhere inside) say nothing. What scatters more and more towards the smallest steps is
no rounding but a function that changes over less than the smallest step: then nothing is known.

Source: C. J. F. Ridders, Accurate computation of F'(x) and F'(x)F''(x), Adv. Eng. Software 4 (1982).
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

LEVELS = 14
RATIO = 0.27  # of one step to the next: no power of two, with which rounding would repeat from level to level
STEPS = 0.1 * RATIO ** np.arange(LEVELS)
ORDERS = 6  # beyond, extrapolation amplifies rounding and gains nothing


class Differences(NamedTuple):
    """Derivatives along each direction, and how far they may be off."""

    value: np.ndarray
    error: np.ndarray


def along(
    values: Callable[[np.ndarray], np.ndarray], point: np.ndarray, directions: np.ndarray, noise: float = 1e-15
) -> Differences:
    """Derivatives of values (points → numbers, or rows of numbers) along each of the directions.

    noise: how far the values may be off, in units of the value.
    """
    if 1 < len(directions) and 2 * LEVELS * directions.size > 2e7:  # a direction at a time, for memory
        parts = [along(values, point, direction[None], noise) for direction in directions]
        return Differences(*(np.concatenate(column) for column in zip(*parts, strict=True)))
    offsets = STEPS[:, None, None] * directions
    f = values((point + np.concatenate([offsets, -offsets])).reshape(-1, point.size)).astype(float)
    f = f.reshape((2, LEVELS, len(directions), *f.shape[1:]))
    column = STEPS.reshape((-1,) + (1,) * (f.ndim - 2))
    return _limit((f[0] - f[1]) / (2 * column), noise * np.max(np.abs(f), axis=0), column, RATIO**-2)


def one_sided(
    values: Callable[[np.ndarray], np.ndarray], point: np.ndarray, directions: np.ndarray
) -> tuple[Differences, Differences]:
    """Slopes just before and just after the point along each direction."""
    sides = []
    for side in (-1.0, 1.0):
        offsets = side * STEPS[:, None, None] * directions
        f = values(np.concatenate([point[None], (point + offsets).reshape(-1, point.size)])).astype(float)
        beside = f[1:].reshape((LEVELS, len(directions), *f.shape[1:]))
        column = STEPS.reshape((-1,) + (1,) * (beside.ndim - 1))
        rounding = 1e-15 * np.maximum(np.abs(beside), np.abs(f[0]))
        sides.append(_limit(side * (beside - f[0]) / column, rounding, column, RATIO**-1))
    return sides[0], sides[1]


def _limit(slopes: np.ndarray, rounding: np.ndarray, steps: np.ndarray, q: float) -> Differences:
    """The limit of slopes (levels, …) for vanishing steps, and its error bar."""
    answered = ~np.logical_and.accumulate((slopes == 0)[::-1], axis=0)[::-1]
    answered |= ~answered.any(axis=0)
    last = answered.sum(axis=0, keepdims=True) - 1 + np.arange(-3, 1).reshape((-1,) + (1,) * (slopes.ndim - 1))
    finest = np.take_along_axis(slopes, np.maximum(last, 0), axis=0)
    length = np.take_along_axis(np.broadcast_to(steps, slopes.shape), np.maximum(last[1:], 0), axis=0)
    scatter = np.abs(np.diff(finest, axis=0)) * length
    unresolved = (scatter[2] > 2 * scatter[1]) & (scatter[1] > 2 * scatter[0]) & (scatter[2] > 10 * rounding[-1])
    rounding = np.where(answered & ~unresolved, np.maximum(rounding, scatter.max(axis=0)) / steps, np.inf)
    tableau, best = slopes, slopes[-1]
    error = np.full_like(best, np.inf)
    for order in range(1, ORDERS):
        finer = tableau[1:] + np.diff(tableau, axis=0) / (q**order - 1)
        neighbours = np.maximum(np.abs(finer - tableau[1:]), np.abs(finer - tableau[:-1]))
        doubt = neighbours + rounding[order:] + _contradiction(finer, 3 * rounding[order:])
        doubt = np.where(np.isfinite(doubt), doubt, np.inf)
        level = np.argmin(doubt, axis=0)[None]
        smallest = np.take_along_axis(doubt, level, axis=0)[0]
        best = np.where(smallest < error, np.take_along_axis(finer, level, axis=0)[0], best)
        error = np.minimum(error, smallest)
        tableau = finer
    return Differences(best, error)


def _contradiction(estimates: np.ndarray, rounding: np.ndarray) -> np.ndarray:
    """How far any estimate from a smaller step lies beyond its rounding."""
    low, high = estimates - rounding, estimates + rounding
    # the narrowest band that all smaller steps allow: running extremes from the smallest step up
    floor = np.maximum.accumulate(low[::-1], axis=0)[::-1]
    ceiling = np.minimum.accumulate(high[::-1], axis=0)[::-1]
    return np.maximum(np.maximum(floor - estimates, estimates - ceiling), 0.0)


def complex_step(values: Callable[[np.ndarray], np.ndarray], point: np.ndarray, directions: np.ndarray) -> np.ndarray:
    """Im f(x + ihv) / h along each direction: nothing cancels, so exact where f is analytic in floating point."""
    h = 1e-30
    return np.imag(values(point + 1j * h * directions)) / h
