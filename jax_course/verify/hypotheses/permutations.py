"""Hypotheses on the order of the entries: transposed, permuted, in another leaf; or a few of them wrong."""

import itertools

import numpy as np

from jax_course.verify.evidence import Evidence
from jax_course.verify.findings import Guess, Kind
from jax_course.verify.parts import FIT, Part

LEFT_AT_ZERO = "yours is left at 0 there; the others agree."
AXES = 4  # of an array whose axes are exchanged in the search: 24 orders, each turned round in 16 ways


def transposed(part: Part) -> Guess | None:
    """h = rᵀ, or r flattened along columns where rows are meant."""
    if len(part.shapes) > 1:
        return None
    shape, batch = part.shapes[0], len(part.hand)
    if part.evidence.name == "hessian" or len(shape) != 2 or min(shape) < 2:
        return None
    reference = part.reference.reshape((batch, *shape))
    if part.holds(np.swapaxes(reference, 1, 2).reshape(batch, -1)):
        flat = "" if shape[0] == shape[1] else ", and brought back into shape"
        return Guess(Kind.TRANSPOSE, f"yours is transposed: rows and columns are exchanged{flat}.")
    if part.holds(np.swapaxes(reference.reshape(batch, *shape[::-1]), 1, 2).reshape(batch, -1)):
        return Guess(Kind.TRANSPOSE, "yours is flattened the other way: column by column, not row by row.")
    return None


def permuted(part: Part) -> Guess | None:
    """h = r, permuted along an axis."""
    if len(part.shapes) > 1:
        return None
    shape, batch = part.shapes[0], len(part.hand)
    hand, reference = part.hand.reshape((batch, *shape)), part.reference.reshape((batch, *shape))
    allowed = np.broadcast_to(part.allowed, part.hand.shape).reshape((batch, *shape))
    names = ("entries",) if len(shape) == 1 else ("rows", "columns", "third indices", "fourth indices")
    for axis, name in zip(range(len(shape)), names, strict=False):
        order = _permutation(np.moveaxis(hand, axis + 1, 0), np.moveaxis(reference, axis + 1, 0),
                             np.moveaxis(allowed, axis + 1, 0))  # fmt: skip
        if order is not None:
            return Guess(Kind.INDEX, f"yours has the right numbers in the wrong places: {name} {moves(order)}.")
    return None


def turned(part: Part) -> Guess | None:
    """h = r with its axes in another order, or turned round along some of them."""
    if len(part.shapes) > 1 or part.evidence.name == "hessian" or not 2 <= len(part.shapes[0]) <= AXES:
        return None
    shape, batch = part.shapes[0], len(part.hand)
    reference, axes = part.reference.reshape((batch, *shape)), range(len(shape))
    for order in itertools.permutations(axes):
        moved = reference.transpose((0, *(axis + 1 for axis in order)))
        for count in range(len(shape) + 1):
            for ends in itertools.combinations([axis for axis in axes if moved.shape[axis + 1] > 1], count):
                changed = np.flip(moved, tuple(axis + 1 for axis in ends)).reshape(batch, -1)
                if (ends or order != tuple(axes)) and part.holds(changed):
                    return _turned_guess(order, ends)
    return None


def _turned_guess(order: tuple[int, ...], ends: tuple[int, ...]) -> Guess:
    turned = f"turned round along {'axis' if len(ends) == 1 else 'the axes'} {', '.join(map(str, ends))}"
    if order == tuple(range(len(order))):
        return Guess(Kind.INDEX, f"yours has the right numbers in the wrong places: it is {turned}.")
    also = f", and {turned}" if ends else ""
    return Guess(Kind.TRANSPOSE, f"yours has its axes in the order {order}{also}.")


def shifted(part: Part) -> Guess | None:
    """h = r, shifted by one place along an axis, with something else at its end."""
    if len(part.shapes) > 1 or part.evidence.name == "hessian":
        return None
    shape, batch = part.shapes[0], len(part.hand)
    hand, reference = part.hand.reshape((batch, *shape)), part.reference.reshape((batch, *shape))
    allowed = np.broadcast_to(part.allowed, part.hand.shape).reshape((batch, *shape))
    for axis, size in enumerate(shape):
        if size < 3:
            continue
        first, last = np.arange(size - 1), np.arange(1, size)
        for here, there, step in ((last, first, 1), (first, last, -1)):
            h, r, bar = (np.take(a, i, axis + 1) for a, i in ((hand, here), (reference, there), (allowed, here)))
            if h.any() and (np.abs(h - r) <= bar).all():
                return Guess(Kind.INDEX, f"yours has the right numbers shifted by {step:+d} along axis {axis}.")
    return None


def _permutation(hand: np.ndarray, reference: np.ndarray, allowed: np.ndarray) -> list[int] | None:
    """The order in which slices of the reference stand in the reader's; None if they are no permutation of it."""
    order, size = [], len(hand)
    if not 1 < size <= 512:
        return None
    hand, reference, allowed = (values.reshape(size, -1) for values in (hand, reference, allowed))
    for i in range(size):
        same = (np.abs(reference - hand[i]) <= np.minimum(allowed[i], allowed)).all(axis=1)
        same[order] = False  # a slice can stand in one place only
        matches = np.flatnonzero(same)
        if not len(matches):
            return None
        order.append(i if i in matches else int(matches[0]))
    return order if order != list(range(size)) else None


def moves(order: list[int]) -> str:
    """A permutation in words.

    >>> moves([1, 0, 2]), moves([1, 2, 0])
    ('0 and 1 are exchanged', 'are shifted by -1')
    """
    size = len(order)
    for shift in (1, -1):
        if order == [(i + shift) % size for i in range(size)]:
            return f"are shifted by {-shift:+d}"
    if order == list(range(size))[::-1]:
        return "are reversed"
    moved = [i for i, j in enumerate(order) if i != j]
    if len(moved) == 2:
        return f"{moved[0]} and {moved[1]} are exchanged"
    return "are permuted"


def other_leaf(part: Part) -> Guess | None:
    """The gradient of another leaf of the same shape stands in each wrong one."""
    evidence = part.evidence
    if evidence.name == "hessian" or not np.isfinite(evidence.tolerance).all():
        return None
    others = [_source_leaf(evidence, leaf) for leaf in part.leaves]
    if any(other is None for other in others):
        return None
    names = evidence.layout.names
    moved = [f"that of `{names[other]}` stands in `{names[leaf]}`"
             for leaf, other in zip(part.leaves, others, strict=True) if other is not None]  # fmt: skip
    return Guess(Kind.INDEX, f"the right numbers stand in the wrong leaf: {', '.join(moved[:4])}.")


def _source_leaf(evidence: Evidence, leaf: int) -> int | None:
    """The other leaf whose gradient stands in this one."""
    layout, slices = evidence.layout, evidence.layout.slices
    hand = evidence.hand[:, slices[leaf]]
    for other, shape in enumerate(layout.shapes):
        if other == leaf or shape != layout.shapes[leaf]:
            continue
        reference = evidence.reference[:, slices[other]]
        bar = evidence.tolerance[:, slices[other]] + FIT * np.abs(reference)
        if (np.abs(hand - reference) <= bar).all() and hand.any():
            return other
    return None


def isolated_entries(part: Part) -> Guess | None:
    """h = r but in a few entries."""
    count, total = int(part.wrong.sum()), len(part.wrong)
    if not 0 < count < total or (count > 2 and count > 0.25 * total):
        return None
    if not part.hand[:, part.wrong].any():
        return Guess(Kind.MISSING, LEFT_AT_ZERO)
    c = part.factor(part.wrong)
    return Guess(
        Kind.ENTRY, f"yours {'differs' if c is None else f'is {c:.6g} times the derivative'} there; the others agree."
    )


def ends_of_an_axis(part: Part) -> Guess | None:
    """h = r but in the first or last places along an axis, as where a term of the boundary is left out."""
    if len(part.shapes) > 1 or part.evidence.name == "hessian":
        return None
    wrong = part.wrong.reshape(part.shapes[0])
    for axis, size in enumerate(wrong.shape):
        places = np.flatnonzero(wrong.any(axis=tuple(i for i in range(wrong.ndim) if i != axis)))
        depth = int(np.minimum(places, size - 1 - places).max(initial=0)) + 1
        if len(places) and size >= 6 * depth:
            ends = " and ".join(
                name for name, here in (("first", places < depth), ("last", places >= depth)) if here.any()
            )
            words = f"yours differs at the {ends} places along axis {axis} only: a term of the boundary."
            return Guess(Kind.ENTRY, words)
    inside = tuple(slice(1, -1) for _ in wrong.shape)
    if wrong.ndim > 1 and wrong[inside].size > 8 and not wrong[inside].any():
        return Guess(Kind.ENTRY, "yours differs at the border of the array only: a term of the boundary.")
    return None


def left_at_zero(part: Part) -> Guess | None:
    """h = 0 in some entries, however many, and h = r in the others."""
    if part.evidence.name != "gradient" or part.wrong.all() or part.hand[:, part.wrong].any():
        return None
    return Guess(Kind.MISSING, LEFT_AT_ZERO)
