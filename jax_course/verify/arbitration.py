"""Where the reader and autodiff disagree, differences decide: a kink, autodiff's own failure, or a mistake.

Where there is no autodiff (plain NumPy), they are the reference.
"""

from functools import partial

import numpy as np

from jax_course.verify import differences
from jax_course.verify.evaluation import gradients
from jax_course.verify.findings import Finding, Kind, Witness
from jax_course.verify.ground import (
    SMALL,
    Derivative,
    Ground,
    as_matrix,
    by_blocks,
    gradient_by_differences,
    hessian_by_differences,
    sizes_of,
    unit_directions,
    values_of,
)
from jax_course.verify.witnesses import judge

ENTRYWISE = 2_000  # up to so many parameters differences are taken of every entry where there is no autodiff
SAMPLE = 40  # entries where all would be too many

Arbitration = tuple[list[Finding], np.ndarray, np.ndarray, Witness]


def arbitrate(ground: Ground, derivative: Derivative, hand, reference, tolerance) -> Arbitration:
    """Findings that speak for the reader, the reference and its tolerance mended there, and the witness.

    What neither autodiff nor differences can tell gets an infinite tolerance: nothing is claimed of it.
    """
    by_differences = _of_gradient if derivative.of == "gradient" else _of_second
    return by_differences(ground, derivative, hand, reference.copy(), tolerance.copy())


def _of_gradient(ground: Ground, derivative: Derivative, hand, reference, tolerance) -> Arbitration:
    excess = _excess(hand, reference, tolerance)
    row = 0 if (excess[0] > 1).any() else int(np.argmax(excess.max(axis=1)))
    n = hand.shape[1]
    worst = np.argsort(-excess[row], kind="stable")[: SAMPLE // 2]
    others = np.random.default_rng(2).permutation(n)[: SAMPLE // 2]
    entries = np.unique(np.concatenate([worst, others]))
    value, error = gradient_by_differences(ground, ground.points[row], entries)
    error = error + tolerance[row, entries]
    by_hand, by_autodiff = (np.abs(values[row, entries] - value) <= error for values in (hand, reference))

    doubtful = entries[~(by_autodiff & by_hand)]
    kinks, findings = _kinks(ground, derivative, row, doubtful, hand, reference)
    if findings:  # where there is one there may be many: every entry in dispute is looked at
        disputed = np.union1d(doubtful, np.flatnonzero(excess[row] > 1)[:ENTRYWISE])
        kinks, findings = _kinks(ground, derivative, row, disputed, hand, reference)
    reference[row, kinks] = hand[row, kinks]

    # Differences that are sure of themselves overrule autodiff: a custom rule, stop_gradient, NaN of a branch not taken
    distance = np.abs(reference[row, entries] - value)
    sure = np.isfinite(value) & (20 * error < np.where(np.isnan(distance), np.inf, distance))
    sure &= ~(distance <= 1e-5 * np.max(np.abs(value), initial=0.0, where=np.isfinite(value)))
    off = sure & ~np.isin(entries, kinks)
    if off.any():
        spoken = off & by_hand
        findings += _speak(derivative, entries[spoken], Kind.AUTODIFF, hand[row], reference[row], [
            f"your formula is right; autodiff is off here: {r:.6g} where differences give {v:.6g}."
            for r, v in zip(reference[row, entries[spoken]], value[spoken], strict=True)])  # fmt: skip
        reference, tolerance = _instead_of_autodiff(ground, reference, tolerance, entries)
    tolerance[~np.isfinite(reference) & np.isfinite(hand)] = np.inf
    remark = f"{len(entries)} of {n} entries, each with its own error bar"
    value[np.isin(entries, kinks)] = hand[row, entries[np.isin(entries, kinks)]]
    return (
        findings,
        reference,
        tolerance,
        judge("central differences", "gradient", hand[row, entries], value, error, remark),
    )


def _excess(hand, reference, tolerance) -> np.ndarray:
    """How many times its tolerance each entry is off; infinite where one of the two is not finite."""
    with np.errstate(all="ignore"):
        excess = np.abs(hand - reference) / np.maximum(tolerance, 1e-300)
    return np.where(np.isfinite(hand) & np.isfinite(reference), excess, np.inf)


def _kinks(ground: Ground, derivative: Derivative, row: int, entries, hand, reference) -> tuple[np.ndarray, list]:
    """The entries of a gradient where the one-sided derivatives differ and the reader's lies between them."""
    if not len(entries):
        return entries, []
    point = ground.points[row]
    directions, sizes = unit_directions(ground.subject.layout, point, entries)
    before, after = differences.one_sided(values_of(ground), point, directions)
    inside, sentences = _between(before, after, sizes, hand[row, entries])
    kinks = entries[inside]
    return kinks, _speak(derivative, kinks, Kind.KINK, hand[row], reference[row], sentences)


def _between(before, after, sizes, hand) -> tuple[np.ndarray, list[str]]:
    """Where the reader's value is a subgradient: between one-sided derivatives that differ."""
    left, right = before.value / sizes, after.value / sizes
    blur = np.maximum(before.error, after.error) / sizes
    low, high = np.minimum(left, right), np.maximum(left, right)
    large = 1e-6 * np.maximum(np.abs(low), np.abs(high))
    margin = 5 * blur + large
    inside = (high - low > 20 * blur + large) & (hand >= low - margin) & (hand <= high + margin)
    return inside, [
        f"kink: the one-sided derivatives differ ({a:.4g} and {b:.4g}); yours is the subgradient {g:.4g}."
        for a, b, g in zip(left[inside], right[inside], hand[inside], strict=True)
    ]


def _instead_of_autodiff(ground: Ground, reference, tolerance, entries) -> tuple[np.ndarray, np.ndarray]:
    """Where autodiff is off it is off at other points too: differences take its place, with their error bars."""
    if reference.shape[1] <= ENTRYWISE:
        entries = np.arange(reference.shape[1])
    for row, point in enumerate(ground.points):
        value, error = gradient_by_differences(ground, point, entries)
        known = np.isfinite(error)
        reference[row, entries[known]] = value[known]
        bar = error[known] + 1e-10 * np.abs(value[known])
        tolerance[row, entries[known]] = np.maximum(tolerance[row, entries[known]], bar)
    return reference, tolerance


def _of_second(ground: Ground, derivative: Derivative, hand, reference, tolerance) -> Arbitration:
    """For Hessians and products: digits that autodiff loses, kinks of the gradient, and differences of it."""
    findings = _lost_digits(ground, derivative, hand[0], reference[0], tolerance[0])
    of, point = derivative.of, ground.points[0]
    gradient = partial(gradients, ground.subject, ground.cost)
    excess = _excess(hand, reference, tolerance)
    if of == "hessian" and len(point) <= SMALL and (excess[0] > 1).any() and not (excess[1:] > 1).any():
        kinks, spoken = _kinks_of_second(ground, derivative, gradient, np.flatnonzero(excess[0] > 1), hand, reference)
        reference[0, kinks], findings = hand[0, kinks], findings + spoken
    if of == "hessian":
        v = np.random.default_rng(3).standard_normal((4, point.size)) * sizes_of(ground.subject.layout, point)
        by_hand = np.stack([_times(ground, hand[0], direction) for direction in v])
        bar = np.stack([_times(ground, tolerance[0], np.abs(direction)) for direction in v])
    else:
        v, by_hand, bar = derivative.identity[:1], hand[:1], tolerance[:1]
    tolerance[~np.isfinite(reference) & np.isfinite(hand)] = np.inf
    slope = differences.along(gradient, point, v, noise=1e-14)
    remark = f"along {len(v)} direction" + "s" * (len(v) > 1)
    witness = judge("differences of the gradient", of, by_hand, slope.value, 5 * slope.error + bar, remark)
    return findings, reference, tolerance, witness


def _kinks_of_second(ground, derivative, gradient, entries, hand, reference) -> tuple[np.ndarray, list[Finding]]:
    """Entries of a Hessian in dispute at the point given only, where the gradient has a kink."""
    point, n = ground.points[0], ground.points.shape[1]
    place = by_blocks(ground.subject.layout, np.arange(n * n).reshape(n, n))[entries]
    directions, sizes = unit_directions(ground.subject.layout, point, place % n)
    sides = differences.one_sided(gradient, point, directions)
    chosen = np.arange(len(entries)), place // n
    before, after = (differences.Differences(side.value[chosen], side.error[chosen]) for side in sides)
    inside, sentences = _between(before, after, sizes, hand[0, entries])
    return entries[inside], _speak(derivative, entries[inside], Kind.KINK, hand[0], reference[0], sentences)


def _lost_digits(ground: Ground, derivative: Derivative, hand, reference, tolerance) -> list[Finding]:
    """Entries that autodiff's rounding cannot tell from the reader's, but the reader's keeps its digits in float32."""
    local = np.max(np.maximum(np.abs(hand), np.abs(reference)), initial=0.0)
    lost = (np.abs(hand - reference) > 1e-6 * local) & (np.abs(hand - reference) <= tolerance)
    if not lost.any():
        return []
    single = ground.subject.cast(np.float32), ground.points[:1].astype(np.float32)
    hand32 = derivative.hand(*single).astype(float)[0]
    steady = np.flatnonzero(lost & (np.abs(hand32 - hand) <= 1e-4 * np.abs(hand)) & (hand != 0))
    return _speak(derivative, steady, Kind.AUTODIFF, hand, reference, [
        f"your formula is right; autodiff lost accuracy here: it gives {reference[e]:.3g}, and its rounding is "
        f"{tolerance[e]:.1e}; yours keeps its digits ({hand[e]:.6g}, in float32 too)." for e in steady])  # fmt: skip


def _speak(derivative: Derivative, entries, kind: Kind, hand, reference, sentences: list[str]) -> list[Finding]:
    """At most one finding of a kind for each leaf: its first entry speaks for the others."""
    findings: dict[str, Finding] = {}
    for entry, sentence in zip(entries, sentences, strict=True):
        leaf, index = derivative.layout.leaf_of(int(entry))
        name = derivative.layout.names[leaf]
        values = float(hand[entry]), float(reference[entry])
        findings.setdefault(name, Finding(kind, derivative.of, name, index, *values, sentence))
    return list(findings.values())


def _times(ground: Ground, entries: np.ndarray, v: np.ndarray) -> np.ndarray:
    """H v from the Hessian's entries in block order."""
    return as_matrix(ground.subject.layout, entries) @ v


def without_autodiff(ground: Ground, derivative: Derivative, points, hand) -> Arbitration:
    """Where JAX cannot trace the cost, or its autodiff is off: differences of the cost, or of the reader's gradient.

    Entries that are not computed keep the reader's value with an infinite tolerance.
    """
    if derivative.of == "gradient":
        return _gradient_without(ground, derivative, points, hand)
    reference, tolerance, of = hand.copy(), np.full_like(hand, np.inf), derivative.of
    if derivative.gradient is None:
        why = "without autodiff it needs a gradient= that is right, to take differences of"
        return [], reference, tolerance, Witness("differences of the gradient", of, "abstains", float("nan"), why)
    gradient, n = partial(derivative.gradient, ground.subject), points.shape[1]
    for row, point in enumerate(points if n <= SMALL else points[:2]):
        if of == "hessian":
            reference[row], tolerance[row] = hessian_by_differences(ground.subject.layout, gradient, point)
        else:
            slope = differences.along(gradient, point, derivative.identity[row : row + 1], noise=1e-14)
            reference[row], tolerance[row] = slope.value[0], 5 * slope.error[0]
    return [], *_weighed("differences of the gradient", of, hand, reference, tolerance, "every entry")


def _gradient_without(ground: Ground, derivative: Derivative, points, hand) -> Arbitration:
    reference, tolerance, n = hand.copy(), np.full_like(hand, np.inf), points.shape[1]
    entries = np.arange(n)
    if n > ENTRYWISE:
        sample = np.random.default_rng(2).permutation(n)[:SAMPLE]
        entries = np.union1d(sample, _searched(ground, points[0], hand[0]))
    for row, point in enumerate(points if n <= SMALL else points[:2]):
        reference[row, entries], tolerance[row, entries] = gradient_by_differences(ground, point, entries)
    disputed = np.flatnonzero((np.abs(hand[0] - reference[0]) > tolerance[0]) & np.isfinite(tolerance[0]))
    kinks, findings = _kinks(ground, derivative, 0, disputed[:ENTRYWISE], hand, reference)
    reference[0, kinks] = hand[0, kinks]
    remark = f"{len(entries)} of {n} entries, each with its own error bar"
    if n > ENTRYWISE:
        remark += ", and halves of halves along random directions"
    return findings, *_weighed("central differences", "gradient", hand, reference, tolerance, remark)


def _weighed(name: str, of: str, hand, reference, tolerance, remark: str):
    """The reference, its tolerance, and a witness that abstains where its error bars are too wide to tell."""
    largest = np.max(np.abs(reference), initial=0.0)
    tolerance = tolerance + 1e-10 * np.max(np.abs(reference), axis=0, initial=0.0) + 1e-11 * largest
    blind = np.isfinite(tolerance) & (tolerance > 1e-2 * max(largest, np.max(np.abs(hand), initial=0.0))) & hand.any()
    witness = judge(name, of, hand, reference, tolerance, remark)
    if blind.any() and witness.verdict == "agrees":
        why = "its error bars are too wide to tell: the cost is too noisy here"
        witness = witness._replace(verdict="abstains", remark=why)
    return reference, tolerance, witness


def _searched(ground: Ground, point: np.ndarray, hand: np.ndarray) -> np.ndarray:
    """Entries of a large gradient that differences contradict: along random directions, halved until one is left."""
    rng, sizes, found = np.random.default_rng(8), sizes_of(ground.subject.layout, point), []

    def contradicted(entries: np.ndarray) -> bool:
        v = np.zeros((2, point.size))
        v[:, entries] = rng.standard_normal((2, len(entries))) * sizes[entries]
        slope = differences.along(values_of(ground), point, v)
        return bool((np.abs(v @ hand - slope.value) > 10 * slope.error + 1e-9 * np.abs(v) @ np.abs(hand)).any())

    for _ in range(4):  # each search ends at one entry, and random directions lead to different ones
        entries = rng.permutation(point.size)
        if not contradicted(entries):
            break
        while len(entries) > 1:
            half = entries[: len(entries) // 2]
            entries = half if contradicted(half) else entries[len(entries) // 2 :]
        found.append(entries[0])
    return np.array(found, int)
