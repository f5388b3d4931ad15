r"""Central differences with an error bar for every entry, and what they show beside a number: kinks.

    D(h) = (f(x + h e) − f(x − h e)) / 2h = f' + c₂h² + c₄h⁴ + …
    T_k0 = D(h / 2ᵏ),  T_kj = T_k,j−1 + (T_k,j−1 − T_k−1,j−1) / (4ʲ − 1)                 Richardson, Ridders

Of the whole tableau the entry is kept whose neighbours differ least; that difference, with what rounding of f leaves
after a division by h, is the error bar. There is no step to choose: truncation falls and rounding grows along the rows,
and the bar is smallest where they meet.

Source: C. J. F. Ridders, Accurate computation of F'(x) and F'(x)F''(x), Adv. Eng. Software 4 (1982).
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

LEVELS = 10
LARGEST_STEP = 0.1


class Differences(NamedTuple):
    """Derivatives along each direction, and how far they may be off."""

    value: np.ndarray
    error: np.ndarray


def along(
    values: Callable[[np.ndarray], np.ndarray], point: np.ndarray, directions: np.ndarray, noise: float = 1e-15
) -> Differences:
    """Derivatives of values (points → numbers, or rows of numbers) along each of the directions.

    noise: how far the values may be off, in units of the largest.
    """
    if 1 < len(directions) and 2 * LEVELS * directions.size > 2e7:  # a direction at a time, for memory
        parts = [along(values, point, direction[None], noise) for direction in directions]
        return Differences(*(np.concatenate(column) for column in zip(*parts, strict=True)))
    steps = LARGEST_STEP * 0.5 ** np.arange(LEVELS)
    offsets = steps[:, None, None] * directions[None, :, :]
    f = values((point + np.concatenate([offsets, -offsets])).reshape(-1, point.size))
    f = f.reshape((2, LEVELS, len(directions), *f.shape[1:]))
    column = steps.reshape((-1,) + (1,) * (f.ndim - 2))
    tableau = (f[0] - f[1]) / (2 * column)
    rounding = noise * np.max(np.abs(f), axis=0) / column
    best, error = tableau[0], np.full_like(tableau[0], np.inf)
    for order in range(1, LEVELS):
        finer = tableau[1:] + (tableau[1:] - tableau[:-1]) / (4.0**order - 1)
        doubt = np.maximum(np.abs(finer - tableau[1:]), np.abs(finer - tableau[:-1])) + rounding[order:]
        doubt = np.where(np.isfinite(doubt), doubt, np.inf)
        level = np.argmin(doubt, axis=0)[None]
        smallest = np.take_along_axis(doubt, level, axis=0)[0]
        best = np.where(smallest < error, np.take_along_axis(finer, level, axis=0)[0], best)
        error = np.minimum(error, smallest)
        tableau = finer
    return Differences(best, error)


def one_sided(
    values: Callable[[np.ndarray], np.ndarray], point: np.ndarray, directions: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Slopes just before and just after the point along each direction, and how far they may be off."""
    slopes, errors = [], []
    for side in (-1.0, 1.0):
        steps = side * 1e-3 * 0.25 ** np.arange(6)
        f = values(
            np.concatenate([point[None], (point + steps[:, None, None] * directions[None]).reshape(-1, point.size)])
        )
        slope = (f[1:].reshape(len(steps), -1) - f[0]) / steps[:, None]
        finer = (4 * slope[1:] - slope[:-1]) / 3
        level = np.argmin(np.abs(np.diff(finer, axis=0)), axis=0)[None]
        slopes.append(np.take_along_axis(finer[1:], level, axis=0)[0])
        errors.append(np.take_along_axis(np.abs(np.diff(finer, axis=0)), level, axis=0)[0])
    return slopes[0], slopes[1], np.maximum(*errors) + 1e-9 * np.maximum(np.abs(slopes[0]), np.abs(slopes[1]))


def complex_step(values: Callable[[np.ndarray], np.ndarray], point: np.ndarray, directions: np.ndarray) -> np.ndarray:
    """Im f(x + ihv) / h along each direction: nothing cancels, so exact where f is analytic in floating point."""
    h = 1e-30
    return np.imag(values(point + 1j * h * directions)) / h
