"""What all examinations of one cost share, and how vectors of parameters and entries of Hessians are laid out."""

import itertools
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from jax_course.verify import differences
from jax_course.verify.evaluation import evaluate
from jax_course.verify.findings import Finding, Witness
from jax_course.verify.subject import Layout, Subject

SMALL = 100  # beyond so many parameters, fewer points where each is dear
PROBES = 3  # points beside the one given
ENTRYWISE = 2_000  # up to so many parameters differences are taken of every entry where there is no autodiff
SAMPLE = 40  # entries where all would be too many
EPS = float(np.finfo(np.float64).eps)


class Ground(NamedTuple):
    """What all examinations of one cost share."""

    subject: Subject
    cost: Callable
    points: np.ndarray  # (points, n), the point given first
    once: bool  # whether autodiff gives its gradient
    twice: bool  # whether autodiff gives its Hessian


class Derivative(NamedTuple):
    """One derivative of the reader's: how to compute it and its reference at points, and how its entries are laid out.

    gradient: rows of gradients at points, to take differences of: autodiff's, or the reader's once it is known right.
    estimate: the reference, or what differences give where there is none; what the diagnosis works with.
    """

    of: str
    layout: Layout
    hand: Callable[[Subject, np.ndarray], np.ndarray]
    reference: Callable[[Subject, np.ndarray], np.ndarray] | None
    identity: np.ndarray
    gradient: Callable[[Subject, np.ndarray], np.ndarray] | None
    estimate: Callable[[Subject, np.ndarray], np.ndarray] | None


# findings that speak for the reader, the reference and its tolerance mended there, and the witness
Arbitration = tuple[list[Finding], np.ndarray, np.ndarray, Witness]


def sizes_of(layout: Layout, point: np.ndarray) -> np.ndarray:
    """The size of each parameter, that of its leaf where it is small itself, 1 in a leaf of zeros."""
    parts = [np.ravel(leaf) for leaf in layout.leaves(point)]
    typical = [np.sqrt(np.mean(part**2)) if part.any() else 1.0 for part in parts]
    return np.concatenate([np.maximum(np.abs(part), size) for part, size in zip(parts, typical, strict=True)])


def own_sizes(layout: Layout, point: np.ndarray) -> np.ndarray:
    """The size of each parameter, however small, that of its leaf where it is 0."""
    return np.where(point != 0, np.abs(point), sizes_of(layout, point))


def unit_directions(layout: Layout, point: np.ndarray, entries: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Directions along single parameters, each as long as its parameter is large, and those lengths."""
    sizes = sizes_of(layout, point)[entries]
    directions = np.zeros((len(entries), point.size))
    directions[np.arange(len(entries)), entries] = sizes
    return directions, sizes


def values_of(ground: Ground) -> Callable[[np.ndarray], np.ndarray]:
    """The cost at rows of parameters."""
    return lambda points: np.asarray(evaluate(ground.subject, ground.cost, points))


def gradient_by_differences(ground: Ground, point: np.ndarray, entries: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Entries of the gradient at a point, and their error bars."""
    directions, sizes = unit_directions(ground.subject.layout, point, entries)
    slope = differences.along(values_of(ground), point, directions)
    return slope.value / sizes, 5 * slope.error / sizes


def shows_in_a_short_step(
    values: Callable, point: np.ndarray, directions: np.ndarray, slopes: np.ndarray
) -> np.ndarray:
    """Where a step just long enough to be seen shows the slopes claimed of values (numbers, or rows of them).

    Differences then step too far to see them: the function changes over less than their smallest step.
    """
    at = values(point[None])
    size, steepness = np.max(np.abs(at)), np.abs(slopes).reshape(len(slopes), -1).max(axis=1)
    t = np.where(steepness > 0, 1e-5 * size / np.where(steepness > 0, steepness, 1), 0)
    t = np.where(np.isfinite(t), np.minimum(t, 0.1), 0)
    offsets = t[:, None] * directions
    length = np.where(t > 0, 2 * t, 1).reshape(-1, *(1,) * (slopes.ndim - 1))
    seen = (values(point + offsets) - values(point - offsets)) / length
    far = np.abs(seen - slopes).reshape(len(slopes), -1).max(axis=1)
    return far <= 2e-2 * steepness


def hessian_by_differences(layout: Layout, gradient: Callable, point: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The Hessian at a point in block order from differences of the gradient, and its error bars."""
    directions, sizes = unit_directions(layout, point, np.arange(point.size))
    slope = differences.along(gradient, point, directions, noise=1e-14)
    return by_blocks(layout, slope.value / sizes[:, None]), by_blocks(layout, 5 * slope.error / sizes[:, None])


def by_blocks(layout: Layout, matrix: np.ndarray) -> np.ndarray:
    """A Hessian's entries in block order."""
    ends = np.cumsum([0, *layout.sizes])
    spans = [slice(int(a), int(b)) for a, b in itertools.pairwise(ends)]
    return np.concatenate([matrix[a, b].ravel() for a in spans for b in spans])


def as_matrix(layout: Layout, entries: np.ndarray) -> np.ndarray:
    """The Hessian as a matrix from its entries in block order."""
    sizes, rows, start = layout.sizes, [], 0
    for a in sizes:
        row = []
        for b in sizes:
            row.append(entries[start : start + a * b].reshape(a, b))
            start += a * b
        rows.append(np.concatenate(row, axis=1))
    return np.concatenate(rows)


def first_line(error: Exception) -> str:
    """The first line of what an error says."""
    return (str(error).strip().splitlines() or [""])[0][:200]
