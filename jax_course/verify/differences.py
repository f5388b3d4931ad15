r"""Central and one-sided differences with an error bar for every entry.

    D(h) = (f(x + h e) − f(x − h e)) / 2h = f' + c₂h² + c₄h⁴ + …        one-sided: f' + c₁h + c₂h² + …
    T_k0 = D(ρᵏh),  T_kj = T_kj−1 + (T_kj−1 − T_k−1,j−1) / (qʲ − 1),  q = 1/ρ²; one-sided 1/ρ     Richardson, Ridders

There is no step to choose. Truncation falls and rounding grows along the rows, and the entry of the tableau with the
smallest error bar is kept. Its error bar is the sum of three: its distance from its neighbours; the rounding of f
divided by h; and its distance from what smaller steps give, beyond their own rounding. Without the third, a step so
long that f has saturated is believed: softplus seen from afar is a pair of lines with a wrong slope between them.
Rounding is that of the values, or the scatter of the smallest steps if that is larger. Steps so small that the values
do not change at all (float32 somewhere inside) are left out. A scatter that grows towards the smallest steps is no
rounding: the function changes over less than the smallest step, and the error bar is infinite.

Source: C. J. F. Ridders, Accurate computation of F'(x) and F'(x)F''(x), Adv. Eng. Software 4 (1982).
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

LEVELS = 14  # steps, from 1e-1 to 4e-9 in units of a direction: from where f is smooth to where rounding hides it
RATIO = 0.27  # of one step to the next: no power of two, with which rounding would repeat from level to level
STEPS = 0.1 * RATIO ** np.arange(LEVELS)
ORDERS = 6  # columns of the tableau; further ones amplify rounding and gain nothing


class Differences(NamedTuple):
    """Derivatives along each of k directions, (k,) or (k, q) for values with q entries, and their error bars."""

    value: np.ndarray
    error: np.ndarray


def along(
    values: Callable[[np.ndarray], np.ndarray], point: np.ndarray, directions: np.ndarray, noise: float = 1e-15
) -> Differences:
    """Derivatives of values (points (p, n) → (p,) or (p, q)) at a point (n,) along directions (k, n).

    noise: the relative error of the values.

    >>> slope = along(lambda x: x[:, 0] ** 3, np.array([2.0]), np.array([[1.0]]))
    >>> bool(abs(slope.value[0] - 12) < slope.error[0] < 1e-9)
    True
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
    """Slopes just before and just after a point (n,) along directions (k, n).

    >>> before, after = one_sided(lambda x: np.abs(x[:, 0]), np.array([0.0]), np.array([[1.0]]))
    >>> before.value.round(9).tolist(), after.value.round(9).tolist()
    ([-1.0], [1.0])
    """
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
        bar = neighbours + rounding[order:] + _contradiction(finer, 3 * rounding[order:])
        bar = np.where(np.isfinite(bar), bar, np.inf)
        level = np.argmin(bar, axis=0)[None]
        smallest = np.take_along_axis(bar, level, axis=0)[0]
        best = np.where(smallest < error, np.take_along_axis(finer, level, axis=0)[0], best)
        error = np.minimum(error, smallest)
        tableau = finer
    return Differences(best, error)


def _contradiction(estimates: np.ndarray, rounding: np.ndarray) -> np.ndarray:
    """The distance of each estimate from those of smaller steps, beyond their rounding."""
    low, high = estimates - rounding, estimates + rounding
    # the narrowest band that all smaller steps allow: running extremes from the smallest step up
    floor = np.maximum.accumulate(low[::-1], axis=0)[::-1]
    ceiling = np.minimum.accumulate(high[::-1], axis=0)[::-1]
    return np.maximum(np.maximum(floor - estimates, estimates - ceiling), 0.0)


def complex_step(values: Callable[[np.ndarray], np.ndarray], point: np.ndarray, directions: np.ndarray) -> np.ndarray:
    """Im f(x + ihv) / h along directions (k, n), shape (k,): nothing cancels, so it is exact if f is analytic.

    >>> complex_step(lambda x: np.exp(x[:, 0]), np.array([0.0]), np.array([[1.0]])).tolist()
    [1.0]
    """
    h = 1e-30
    return np.imag(values(point + 1j * h * directions)) / h
