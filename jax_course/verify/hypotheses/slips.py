"""Hypotheses on slips in the operations of the cost: each predicts how the gradient changes.

h is the reader's derivative, r the reference, Δ the change by a slip. A second derivative is looked at as the gradient
of the cost's slope along a direction.
"""

import numpy as np

from jax_course.verify.changes import Change
from jax_course.verify.findings import Guess, Kind
from jax_course.verify.hypotheses.constants import factor_guess
from jax_course.verify.parts import FIT, Part

TURNS = 12  # of a loop whose factors are fitted
FITS = 200  # of these pairs, those that are looked at closely
PAIRS = 700  # changes of which each pair is tried: half a second


def slip_in_an_operation(whole: Part) -> Guess | None:
    """h = r + Δ, where Δ is the change by a slip in one operation; or r + a Δ where Δ is a part of r."""
    if (part := _of_a_gradient(whole)) is None:
        return None
    difference = part.hand - part.reference
    fits = [(a, change) for change in part.evidence.changes if change.path and (a := _multiple(part, change))]
    missing = next((change for a, change in fits if abs(a + 1) < FIT), None)
    if missing is not None:
        return _path_guess(part, missing, -1.0)
    found = []
    for change in part.evidence.changes:
        delta = part.select(change.values)
        if not change.path and delta.any() and part.constant_is(difference, delta, 1.0):
            found.append(change)
    if found:  # the first in a line of the reader's, else the outermost in a library's
        change = next((change for change in found if "(in `" in change.words), found[-1])
        return Guess(part.evidence.kind(change), _prefixed(part, change.words))
    if not fits:
        return None
    a, change = min(fits, key=lambda fit: abs(fit[0] + 2) > FIT)
    return _path_guess(part, change, a)


def _of_a_gradient(part: Part) -> Part | None:
    """The part itself, or that of the slope's gradient where it is a whole second derivative."""
    if part.evidence.name in ("gradient", "slope", "moved"):
        return part
    if part.evidence.name not in ("hessian", "hessian_product") or not part.whole:
        return None
    slope = part.evidence.slope
    if not slope.wrong.any():  # what is wrong is too small to show there
        return None
    return Part(slope, list(range(len(slope.layout.names))), whole=True)


def _multiple(part: Part, change: Change) -> float | None:
    """The a with h − r = a Δ."""
    delta = part.select(change.values)
    a = part.constant(part.hand - part.reference, delta) if delta.any() else None
    if a is None or abs(a) < 10 * FIT:
        return None
    # a slope is known at one point, at which a factor that changes with the parameters is a constant
    return a if part.evidence.name == "gradient" or any(abs(a - b) < FIT for b in (-2, -1, -0.5, 1)) else None


def _prefixed(part: Part, words: str) -> str:
    before = {"slope": "in the cost's slope, ", "moved": "as if differentiated from a gradient with a slip: "}
    return before.get(part.evidence.name, "") + words


def _path_guess(part: Part, change: Change, a: float) -> Guess:
    """The guess for h = r + a Δ, where Δ is a part of r."""
    words = _prefixed(part, change.words)
    penalty = part.evidence.kind(change) is Kind.PENALTY
    if abs(a + 1) < FIT and change.kind is Kind.EXPECTED:
        what = words.removeprefix("in the cost's slope, the derivative of ")
        return Guess(
            Kind.EXPECTED, f"yours lacks the curvature of {what}: it is Gauss–Newton's matrix, not the Hessian."
        )
    if abs(a + 1) < FIT:
        whole = penalty and (
            part.evidence.name != "gradient"
            or np.allclose(*(part.select(x) for x in (part.evidence.ends(change), change.values)), rtol=FIT)
        )
        return Guess(Kind.PENALTY if whole else change.kind, f"{words} is left out.")
    if abs(a + 2) < FIT:
        return Guess(Kind.PENALTY if penalty else Kind.SIGN, f"{words} has the wrong sign.")
    return Guess(Kind.PENALTY if penalty else Kind.FACTOR, f"{words} is {1 + a:.6g} times what it should be.")


def slip_in_the_gradient(whole: Part) -> Guess | None:
    """h is the second derivative that follows from a gradient with a slip."""
    if whole.evidence.name not in ("hessian", "hessian_product") or not whole.whole:
        return None
    for evidence in whole.evidence.moved:
        part = Part(evidence, list(range(len(evidence.layout.names))), whole=True)
        if evidence.wrong.any() and (guess := slip_in_an_operation(part) or slip_in_operations(part)):
            return guess
    return None


def slip_in_operations(whole: Part) -> Guess | None:
    """h is the gradient with a slip in several operations, or with an operation left out."""
    if (part := _of_a_gradient(whole)) is None:
        return None
    for altered in part.evidence.alterations:
        change = part.select(altered.values) - part.reference
        if part.constant_is(part.hand - part.reference, change, 1.0):
            return altered.guess._replace(words=_prefixed(part, altered.guess.words))
    return None


def slip_and_factor(part: Part) -> list[Guess] | None:
    """h = c (r + Δ): two mistakes."""
    if part.evidence.name != "gradient" or part.hand.shape[1] < 2 or part.is_close:
        return None
    for change in part.evidence.changes:
        right = part.reference + (-1 if change.path else 1) * part.select(change.values)
        c = part.constant(part.hand, right)
        if c is not None and abs(c - 1) > FIT and part.constant(part.reference, right) is None:
            words = change.words if change.words.endswith(".") else f"{change.words} is left out."
            return [
                Guess(part.evidence.kind(change), words),
                factor_guess(part.evidence, part.chosen, c, "and with that, "),
            ]
    return None


def factors_in_turns(part: Part) -> Guess | None:
    """h = r + Σ aₖ Δₖ, where the Δₖ are the parts of r from the turns of a loop."""
    if part.evidence.name != "gradient" or part.is_close:
        return None
    for turns in part.evidence.turns:
        deltas = [part.select(change.values) for change in turns]
        if len(turns) > TURNS or not turns[0].path or part.hand.size < 2 * len(turns):
            continue
        weight = np.sqrt(part.weight)
        columns = np.stack([(delta * weight).ravel() for delta in deltas], axis=1)
        factors = np.linalg.lstsq(columns, ((part.hand - part.reference) * weight).ravel(), rcond=None)[0]
        change = sum(a * delta for a, delta in zip(factors, deltas, strict=True))
        if np.any(change) and part.constant_is(part.hand - part.reference, np.asarray(change), 1.0):
            kind = Kind.PENALTY if part.evidence.kind(turns[0]) is Kind.PENALTY else Kind.FACTOR
            listed = ", ".join(f"{1 + a:.4g}" for a in factors[:4]) + (", …" if len(factors) > 4 else "")
            return Guess(kind, f"{turns[0].words} has a factor too much in each turn: {listed}.")
    return None


def two_slips(part: Part) -> list[Guess] | None:
    """h = r + a Δ + b Δ′, where a and b are 1 for slips, and constants for parts of r."""
    changes = [change for change in part.evidence.changes if part.select(change.values).any()]
    if part.evidence.name != "gradient" or part.is_close or part.hand.size < 6 or len(changes) < 2:
        return None
    weight = np.sqrt(part.weight)
    changes, rows = _distinct(changes, np.stack([(part.select(c.values) * weight).ravel() for c in changes]))
    if not 1 < len(changes) <= PAIRS:
        return None
    difference = ((part.hand - part.reference) * weight).ravel()
    lengths = np.linalg.norm(rows, axis=1)
    rows = rows / lengths[:, None]
    for i, j in _fitting_pairs(rows, difference):
        a, b = np.linalg.lstsq(rows[[i, j]].T, difference, rcond=None)[0] / lengths[[i, j]]
        deltas = [part.select(changes[k].values) for k in (i, j)]
        if not part.constant_is(part.hand - part.reference, a * deltas[0] + b * deltas[1], 1.0):
            continue
        if all(change.path or abs(factor - 1) < FIT for change, factor in ((changes[i], a), (changes[j], b))):
            return [_one_of_two(part, changes[k], factor) for k, factor in ((i, a), (j, b))]
    return None


def _distinct(changes: list[Change], rows: np.ndarray) -> tuple[list[Change], np.ndarray]:
    """The changes, and their rows (k, E), without those that are a multiple of one before them of the same sort."""
    kept: dict[tuple[bool, bytes], int] = {}
    for i, (change, row) in enumerate(zip(changes, rows, strict=True)):
        size = row[np.argmax(np.abs(row))] if change.path else np.abs(row).max()
        kept.setdefault((change.path, np.round(row / size, 9).tobytes() + (b"" if change.path else size.tobytes())), i)
    chosen = list(kept.values())
    return [changes[i] for i in chosen], rows[chosen]


def _fitting_pairs(rows: np.ndarray, difference: np.ndarray) -> list[tuple[int, int]]:
    """Pairs of unit vectors (k, E) of which a combination is the difference, the simple ones first."""
    cosines, products = rows @ rows.T, rows @ difference
    independent = 1 - cosines**2 > 1e-6
    with np.errstate(all="ignore"):
        explained = (products[:, None] ** 2 + products**2 - 2 * cosines * np.outer(products, products)) / (
            1 - cosines**2
        )
    size = difference @ difference
    fits = np.triu(independent & (np.abs(explained - size) < 1e-9 * size), 1)
    return [(int(i), int(j)) for i, j in np.argwhere(fits)[:FITS]]


def _one_of_two(part: Part, change: Change, a: float) -> Guess:
    return _path_guess(part, change, a) if change.path else Guess(part.evidence.kind(change), change.words)
