"""Differences of a function of several outputs: where a hand-written Jacobian and autodiff differ, they decide."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from jax_course.verify import differences
from jax_course.verify.context import ENTRYWISE, SAMPLE, SMALL, unit_directions
from jax_course.verify.evaluation import evaluate
from jax_course.verify.findings import Finding, Kind, Witness
from jax_course.verify.jacobian_layout import JACOBIAN, Blocks
from jax_course.verify.parameters import Inputs
from jax_course.verify.witnesses import compare

NAME = "central differences"
KINK = "kink: the one-sided derivatives differ there, and yours is between them."
AUTODIFF = "your formula is right; autodiff is off here, and differences confirm yours."


class Arbitrated(NamedTuple):
    """findings: reasons why a difference is no mistake. reference, tolerance: (p, E). witness: the comparison."""

    findings: list[Finding]
    reference: np.ndarray
    tolerance: np.ndarray
    witness: Witness


class Slopes(NamedTuple):
    """The columns (k,) of a Jacobian at one point, as (q, k), and their error bars."""

    columns: np.ndarray
    value: np.ndarray
    error: np.ndarray


def difference_columns(inputs: Inputs, f: Callable, blocks: Blocks, point: np.ndarray, columns: np.ndarray) -> Slopes:
    """Columns of the Jacobian at a point (n,) by central differences."""
    directions, sizes = unit_directions(blocks.parameters, point, columns)
    slope = differences.along(_values(inputs, f, blocks), point, directions)
    return Slopes(columns, (slope.value / sizes[:, None]).T, (5 * slope.error / sizes[:, None]).T)


def difference_jacobians(
    inputs: Inputs, f: Callable, blocks: Blocks, points: np.ndarray, hand: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """The Jacobians (p, E) at points (p, n) by differences, and their error bars; the hand-written one where not taken.

    With more than ENTRYWISE parameters some columns are taken only, with more than SMALL two points.
    """
    n = points.shape[1]
    columns = np.arange(n) if n <= ENTRYWISE else np.sort(np.random.default_rng(2).permutation(n)[:SAMPLE])
    reference = blocks.matrices(hand)
    tolerance = np.full_like(reference, np.inf)
    for row in range(len(points)) if n <= SMALL else (0, len(points) - 1):
        slopes = difference_columns(inputs, f, blocks, points[row], columns)
        reference[row][:, columns], tolerance[row][:, columns] = slopes.value, slopes.error
    reference, tolerance = blocks.entries(reference), blocks.entries(tolerance)
    size = np.max(np.abs(reference), initial=0.0)
    return reference, tolerance + 1e-10 * np.abs(reference) + 1e-11 * size


def arbitrate(
    inputs: Inputs,
    f: Callable,
    blocks: Blocks,
    points: np.ndarray,
    hand: np.ndarray,
    reference: np.ndarray,
    tolerance: np.ndarray,
) -> Arbitrated:
    """The comparison with differences; reference: autodiff's, (p, E), which is replaced where they refute it."""
    ours, theirs, allowed = (blocks.matrices(rows) for rows in (hand, reference, tolerance))
    with np.errstate(all="ignore"):
        excess = np.where(np.isfinite(ours - theirs), np.abs(ours - theirs) / np.maximum(allowed, 1e-300), np.inf)
    row = 0 if (excess[0] > 1).any() else int(np.argmax(excess.max(axis=(1, 2))))
    worst = np.argsort(-excess[row].max(axis=0), kind="stable")[: SAMPLE // 2]
    others = np.random.default_rng(2).permutation(points.shape[1])[: SAMPLE // 2]
    slopes = difference_columns(inputs, f, blocks, points[row], np.union1d(worst, others))
    h, r, bar = (values[row][:, slopes.columns] for values in (ours, theirs, allowed))
    error = slopes.error + bar
    doubtful = ~((np.abs(h - slopes.value) <= error) & (np.abs(r - slopes.value) <= error))
    kinks = _kinks(inputs, f, blocks, points[row], slopes, h) if doubtful.any() else np.zeros_like(doubtful)
    different, refuted = excess[row][:, slopes.columns] > 1, _refuted(slopes, r) & ~kinks
    right = refuted & (np.abs(h - slopes.value) <= error)
    findings = _findings(blocks, slopes.columns, kinks & different, h, r, Kind.KINK, KINK)
    findings += _findings(blocks, slopes.columns, right, h, r, Kind.AUTODIFF, AUTODIFF)
    error = np.where(kinks, np.inf, error)
    allowed[row][:, slopes.columns] = np.where(kinks, np.inf, bar)
    if refuted.any():
        theirs, allowed = _replaced(inputs, f, blocks, points, theirs, allowed, slopes.columns)
    remark = f"{len(slopes.columns)} of {points.shape[1]} columns, each entry with its own error bar"
    witness = compare(NAME, JACOBIAN, h, slopes.value, error, remark)
    return Arbitrated(findings, blocks.entries(theirs), blocks.entries(allowed), witness)


def _values(inputs: Inputs, f: Callable, blocks: Blocks) -> Callable:
    return lambda points: blocks.outputs.vector(evaluate(inputs, f, points), (len(points),))


def _kinks(inputs: Inputs, f: Callable, blocks: Blocks, point: np.ndarray, slopes: Slopes, hand) -> np.ndarray:
    """Whether the one-sided derivatives differ and the hand-written entry is between them, (q, k)."""
    directions, sizes = unit_directions(blocks.parameters, point, slopes.columns)
    before, after = differences.one_sided(_values(inputs, f, blocks), point, directions)
    bar = np.maximum(before.error, after.error)
    low, high = np.minimum(before.value, after.value) - 5 * bar, np.maximum(before.value, after.value) + 5 * bar
    between = (low.T / sizes <= hand) & (hand <= high.T / sizes)
    return between & (np.abs(after.value - before.value) > 20 * bar).T


def _findings(
    blocks: Blocks, columns: np.ndarray, chosen: np.ndarray, hand, reference, kind: Kind, words: str
) -> list[Finding]:
    """A finding on the first of the chosen entries (q, k)."""
    found = np.argwhere(chosen)
    if not len(found):
        return []
    i, j = found[0]
    place = np.zeros((1, blocks.outputs.size, blocks.parameters.size), bool)
    place[0, i, columns[j]] = True
    leaf, index = blocks.layout.leaf_of(int(np.argmax(blocks.entries(place)[0])))
    name, yours = blocks.layout.names[leaf], float(hand[i, j])
    return [Finding(kind, JACOBIAN, name, index, yours, float(reference[i, j]), f"`{name}`: {words}")]


def _refuted(slopes: Slopes, autodiff: np.ndarray) -> np.ndarray:
    """Whether differences with small error bars are far from autodiff, or autodiff has no number, (q, k)."""
    distance = np.abs(autodiff - slopes.value)
    size = np.max(np.abs(slopes.value), initial=0.0, where=np.isfinite(slopes.value))
    far = ~(distance <= 1e-5 * size) & (20 * slopes.error < np.where(np.isnan(distance), np.inf, distance))
    return np.isfinite(slopes.value) & far


def _replaced(
    inputs: Inputs, f: Callable, blocks: Blocks, points: np.ndarray, reference, tolerance, columns: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Differences in the place of autodiff at all points, in all columns of a small Jacobian."""
    if points.shape[1] <= ENTRYWISE:
        columns = np.arange(points.shape[1])
    for row, point in enumerate(points):
        slopes = difference_columns(inputs, f, blocks, point, columns)
        known = np.isfinite(slopes.error)
        bar = slopes.error + 1e-10 * np.abs(slopes.value)
        reference[row][:, columns] = np.where(known, slopes.value, reference[row][:, columns])
        tolerance[row][:, columns] = np.maximum(tolerance[row][:, columns], np.where(known, bar, 0.0))
    return reference, tolerance
