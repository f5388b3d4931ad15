"""Data for the exercises: parameters, and the arguments of the cost after them, seeded by `rng`."""

from collections.abc import Callable

import numpy as np


def rows(rng: np.random.Generator, m: int = 12, d: int = 3) -> np.ndarray:
    """X (m, d), its columns of different sizes.

    >>> rows(np.random.default_rng(0)).shape
    (12, 3)
    """
    return rng.standard_normal((m, d)) * np.geomspace(0.5, 2, d)


def targets(rng: np.random.Generator) -> tuple:
    """θ (3,), X (12, 3) and real numbers y (12,)."""
    X = rows(rng)
    return rng.standard_normal(3), X, rng.standard_normal(len(X))


def labels(rng: np.random.Generator) -> tuple:
    """θ (3,), X (12, 3) and y (12,), half of it 0 and half of it 1."""
    X = rows(rng)
    return rng.standard_normal(3), X, (rng.permutation(len(X)) % 2) * 1.0


def class_numbers(rng: np.random.Generator) -> tuple:
    """θ (3, 4), X (12, 3) and the class numbers y (12,), each of 0 to 3 three times."""
    X = rows(rng)
    return rng.standard_normal((3, 4)), X, rng.permutation(len(X)) % 4


def layer(rng: np.random.Generator, out: int = 3) -> tuple:
    """W (3, out), X (12, 3) and Y (12, out)."""
    return rng.standard_normal((3, out)) / 2, rows(rng), rng.standard_normal((12, out))


def penalized(problem: Callable, penalty: float = 0.7) -> Callable:
    """The problem with the penalty as one more argument."""
    return lambda rng: (*problem(rng), penalty)
