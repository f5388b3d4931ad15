"""Hypotheses on Hessians and their products: entries that are left out, and other matrices in their place."""

import itertools
import math
from collections.abc import Iterator

import numpy as np

from jax_course.verify.expectations import expected_hessians, expected_hessians_of_normal_data
from jax_course.verify.findings import Guess, Kind
from jax_course.verify.hypotheses.permutations import moves
from jax_course.verify.parts import FIT, Part
from jax_course.verify.probes import approximate_hessians


def diagonal(part: Part) -> Guess | None:
    """h = r on the diagonal, or on diagonal blocks, and 0 off it."""
    if not part.whole:
        return None
    if part.evidence.name == "hessian_product":
        return _diagonal_times_v(part)
    if part.evidence.name != "hessian":
        return None
    for names, mask in _masks(part):
        if (guess := _inside_or_outside(part, names, part.evidence.context.layout.block_entries(mask))) is not None:
            return guess
    return None


def _inside_or_outside(part: Part, names: str, inside: np.ndarray) -> Guess | None:
    """h is right on the diagonal and scaled, or 0, off it; or the reverse. inside: whether an entry (E,) is on it."""
    evidence, outside, wrong = part.evidence, ~inside, np.asarray(part.evidence.wrong.any(axis=0))
    if not (np.abs(evidence.reference) > evidence.tolerance)[:, outside].any():
        return None  # nothing stands off it
    everything = Part(evidence, list(range(len(evidence.layout.names))), whole=True)
    if len(everything.chosen) != len(inside) or not evidence.hand.any():
        return None
    if wrong[outside].any() and not wrong[inside].any():
        if not evidence.hand[:, outside].any():
            return Guess(Kind.DIAGONAL, f"yours has only {names}, everything off it is 0.")
        return _scaled(everything.factor(outside), f"off {names}, and right on it")
    if wrong[inside].any() and not wrong[outside].any():
        return _scaled(everything.factor(inside), f"on {names}, and right off it")
    return None


def blocks_only(part: Part) -> Guess | None:
    """h = 0 off the diagonal blocks, whatever it is on them; or one block of several leaves has only its diagonal."""
    evidence = part.evidence
    if evidence.name != "hessian":
        return None
    for names, mask in _masks(part) if part.whole else ():
        inside = evidence.context.layout.block_entries(mask)
        needed = (np.abs(evidence.reference) > evidence.tolerance)[:, ~inside].any()
        if needed and not evidence.hand[:, ~inside].any() and evidence.hand[:, inside].any(axis=0).all():
            return Guess(Kind.DIAGONAL, f"yours has only {names}, everything off it is 0, and it differs itself.")
    n = math.isqrt(len(part.chosen))
    if part.shapes == [(n, n)] and n > 1:
        inside = np.eye(n, dtype=bool).ravel()
        if part.wrong[~inside].any() and not part.wrong[inside].any() and not part.hand[:, ~inside].any():
            return Guess(Kind.DIAGONAL, "yours has only the diagonal of this block, everything off it is 0.")
    return None


def _scaled(c: float | None, place: str) -> Guess | None:
    if c is None:
        return None
    kind = Kind.MISSING if c == 0 else Kind.SIGN if abs(c + 1) < FIT else Kind.FACTOR
    return Guess(kind, f"yours is {c:.6g} times the Hessian {place}.")


def _diagonal_times_v(part: Part) -> Guess | None:
    hessians = part.evidence.hessians
    if hessians is None:
        return None
    v, hand, bar = part.evidence.identity, part.evidence.hand, part.evidence.tolerance
    bar = bar + FIT * np.abs(part.evidence.reference)
    for names, mask in _masks(part):
        if mask.all():
            continue
        if (np.abs(hand - np.einsum("pij,pj->pi", hessians * mask, v)) <= bar).all():
            return Guess(Kind.DIAGONAL, f"yours is the product with only {names} of the Hessian.")
    p = sum(part.evidence.penalty.values(), np.zeros_like(hand))
    for w, what in ((part.evidence.points, "θ"), (np.ones_like(v), "a vector of ones")):
        product = np.einsum("pij,pj->pi", hessians, w)
        if (np.abs(hand - product) <= bar).all():
            return Guess(Kind.INDEX, f"yours is the Hessian's product with {what}, not with v.")
        if p.any() and (np.abs(hand - product + p * w / np.where(v != 0, v, 1) - p) <= bar).all():
            return Guess(Kind.INDEX, f"but for the penalty, yours is the Hessian's product with {what}, not with v.")
    return None


def _masks(part: Part) -> Iterator[tuple[str, np.ndarray]]:
    """Masks (n, n) of a diagonal, or of diagonal blocks: of leaves, or of equal indices in a leaf; with their names."""
    layout = part.evidence.context.layout
    n = layout.size
    yield "the diagonal", np.eye(n, dtype=bool)
    if len(layout.shapes) > 1:
        leaf = np.repeat(np.arange(len(layout.sizes)), layout.sizes)
        yield "the diagonal blocks (each leaf with itself)", leaf[:, None] == leaf[None, :]
        return
    shape = next(iter(layout.shapes)) or (1,)
    grid = np.indices(shape).reshape(len(shape), -1)
    for axis in range(len(shape) if len(shape) > 1 else 0):
        yield f"the block diagonal (equal index {axis})", grid[axis][:, None] == grid[axis][None, :]


def gauss_newton_or_fisher(part: Part) -> Guess | None:
    """h − p = c (Σ JᵀJ or Σ g gᵀ), or its product with v."""
    evidence = part.evidence
    if evidence.name in ("value", "gradient") or not part.whole:
        return None
    hand, last = evidence.hand[-1], evidence.reference[-1]
    penalty = sum((contribution[-1] for contribution in evidence.penalty.values()), np.zeros_like(hand))
    for name, matrix in approximate_hessians(evidence.context, evidence.derivative):
        is_product = evidence.name == "hessian_product"
        prediction = matrix @ evidence.identity[-1] if is_product else evidence.context.layout.block_entries(matrix)
        scale = np.abs(prediction).max()
        if np.abs(last - penalty - prediction).max() <= 1e-3 * scale or not scale:
            continue  # at this point it is the Hessian
        c = float(np.sum((hand - penalty) * prediction) / np.sum(prediction**2))
        bar = FIT * np.maximum(np.abs(hand), np.abs(c * prediction)) + evidence.tolerance[-1]
        if abs(c) > FIT and (np.abs(hand - penalty - c * prediction) <= bar).all():
            times = "" if abs(c - 1) < FIT else f"{c:.6g} × "
            words = f"yours is {times}{name}, not the Hessian: the curvature of the model is left out."
            return Guess(Kind.EXPECTED, words)
    return None


def expected_targets(part: Part) -> Guess | None:
    """h is the Hessian, or its product with v, with every target replaced by its mean, as Fisher's information is."""
    evidence = part.evidence
    if evidence.name not in ("hessian", "hessian_product") or not part.whole or evidence.derivative.estimate is None:
        return None
    hand, bar = evidence.hand[-1], evidence.tolerance[-1]
    of_data = evidence.context, evidence.derivative, evidence.points
    for name, prediction in (*expected_hessians(*of_data), *expected_hessians_of_normal_data(*of_data)):
        if (np.abs(hand - prediction) <= FIT * np.maximum(np.abs(hand), np.abs(prediction)) + bar).all():
            words = (
                f"yours is the expected Hessian (Fisher's information): that with the mean in the place of `{name}`."
            )
            return Guess(Kind.EXPECTED, words)
    return None


def row_and_column(part: Part) -> Guess | None:
    """One parameter's row and column scaled: a transformed parameter without the factor of its transformation."""
    if not part.is_matrix:
        return None
    n = round(len(part.chosen) ** 0.5)
    wrong = part.wrong.reshape(n, n)
    crossed = np.flatnonzero((wrong | np.eye(n, dtype=bool)).all(axis=0) & (wrong | np.eye(n, dtype=bool)).all(axis=1))
    if n < 3 or len(crossed) != 1 or wrong.sum() < 2 * n - 2 or wrong.sum() > 2 * n - 1:
        return None
    j = int(crossed[0])
    others = np.arange(n) != j
    h, r = (values.reshape(-1, n, n)[:, j, others] for values in (part.hand, part.reference))
    ratio = np.sum(h * r, axis=1, keepdims=True) / np.maximum(np.sum(r**2, axis=1, keepdims=True), 1e-300)
    if not (np.abs(h - ratio * r) <= 1e-5 * (np.abs(h) + np.abs(r))).all():
        return None
    subject, c = f"row and column {j} of yours are", float(ratio[0, 0])
    if not part.hand.reshape(-1, n, n)[:, j].any():
        return Guess(Kind.MISSING, f"{subject} 0: never computed.")
    if np.ptp(ratio) > 1e-5 * np.abs(ratio).max():
        name = part.evidence.layout.names[0]
        words = f"{subject} {c:.6g} times the Hessian's: the factor of a transformation of {name}[{j}] is missing."
        return Guess(Kind.CHAIN_RULE, words)
    return Guess(Kind.SIGN if abs(c + 1) < FIT else Kind.FACTOR, f"{subject} {c:.6g} times the Hessian's.")


def triangle(part: Part) -> Guess | None:
    """h = r in one triangle and 0 in the other."""
    if not part.is_matrix:
        return None
    n = round(len(part.chosen) ** 0.5)
    H, right = part.hand[0].reshape(n, n), ~part.wrong.reshape(n, n)
    upper = np.triu(np.ones((n, n), bool), 1)
    for name, one, other in (("upper", upper, upper.T), ("lower", upper.T, upper)):
        if n > 1 and not H[one].any() and H[other].any() and right[~one].all():
            return Guess(Kind.ASYMMETRIC, f"yours has zeros in the {name} triangle, and a Hessian is symmetric.")
    return None


def reordered(part: Part) -> Guess | None:
    """h = P r Pᵀ, rows and columns permuted alike, or indices in another order."""
    if not part.is_matrix:
        return None
    shape = part.shapes[0]
    if len(shape) == 4:
        for axes in itertools.permutations(range(4)):
            other = np.moveaxis(part.reference.reshape(-1, *shape), [a + 1 for a in axes], [1, 2, 3, 4])
            if axes != (0, 1, 2, 3) and part.holds(other.reshape(len(part.hand), -1)):
                return Guess(Kind.INDEX, f"yours has the right numbers with the indices in the order {axes}.")
    n = round(len(part.chosen) ** 0.5)
    h, r, bar = (values.reshape(-1, n, n) for values in (part.hand, part.reference, part.allowed))
    order: list[int] = []
    for i in range(n):  # a row with its entries sorted is the same before and after
        same = (np.abs(np.sort(r, axis=2) - np.sort(h[:, i : i + 1], axis=2)) <= np.max(bar)).all(axis=(0, 2))
        same[order] = False
        if not same.any():
            return None
        order.append(i if same[i] else int(np.argmax(same)))
    if order == list(range(n)) or not part.holds(r[:, order][:, :, order].reshape(len(h), -1)):
        return None
    return Guess(Kind.INDEX, f"yours has the right numbers in the wrong places: rows and columns {moves(order)}.")


def asymmetric(part: Part) -> Guess | None:
    """h is not symmetric."""
    if not part.is_matrix:
        return None
    n = round(len(part.chosen) ** 0.5)
    H, allowed = part.hand[0].reshape(n, n), part.allowed.max(axis=0).reshape(n, n)
    if (np.abs(H - H.T) <= np.maximum(allowed, allowed.T)).all():
        return None
    return Guess(Kind.ASYMMETRIC, "yours is not symmetric, as a Hessian is.")
