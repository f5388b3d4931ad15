"""Hypotheses on a block of a Jacobian: its axes, its diagonal, or a factor of the chain rule in each row or column."""

import itertools

import numpy as np

from jax_course.verify.findings import Guess, Kind
from jax_course.verify.parts import FIT

OUTER = {  # the derivative of an outer function, from its value
    "1 − f², as of tanh,": lambda f: 1 - f**2,
    "f(1 − f), as of the sigmoid,": lambda f: f * (1 - f),
    "f, as of exp,": lambda f: f,
    "1/(2f), as of a square root,": lambda f: 0.5 / f,
    "2√f, as of a square,": lambda f: 2 * np.sqrt(f),
}


def block_guess(
    hand: np.ndarray, reference: np.ndarray, tolerance: np.ndarray, value: np.ndarray, shape: tuple[int, ...]
) -> Guess | None:
    """The mistake in a block, if it is one of these; hand, reference, tolerance: (p, *shape), value: (p, *output).

    shape: that of the parameter, which comes last in that of a block.
    """
    if not np.isfinite(reference).all() or not np.isfinite(hand).all():
        return None
    allowed = FIT * np.maximum(np.abs(hand), np.abs(reference)).max(axis=0) + tolerance
    return (
        _permuted(hand, reference, allowed)
        or _diagonal(hand, reference, allowed, shape)
        or _factor(hand, reference, allowed, value, shape)
    )


def _permuted(hand: np.ndarray, reference: np.ndarray, allowed: np.ndarray) -> Guess | None:
    """h = r with its axes in another order."""
    axes = range(1, hand.ndim)
    for order in itertools.permutations(axes) if 1 < len(axes) <= 4 else ():
        if order == tuple(axes) or tuple(reference.shape[a] for a in order) != hand.shape[1:]:
            continue
        if (np.abs(hand - np.transpose(reference, (0, *order))) <= allowed).all():
            listed = ", ".join(str(a - 1) for a in order)
            words = f"yours has the axes in the order ({listed}): those of the output come first, then the parameter's."
            return Guess(Kind.TRANSPOSE, words)
    return None


def _diagonal(hand: np.ndarray, reference: np.ndarray, allowed: np.ndarray, shape: tuple[int, ...]) -> Guess | None:
    """h = r on the diagonal of a block of two equal shapes, 0 off it."""
    if hand.shape[1:] != shape + shape:
        return None
    n = int(np.prod(shape))
    h, r, bar = (np.broadcast_to(values, hand.shape).reshape(-1, n, n) for values in (hand, reference, allowed))
    off = ~np.eye(n, dtype=bool)
    if h[:, off].any() or (np.abs(h - r) > bar)[:, ~off].any():
        return None
    return Guess(Kind.DIAGONAL, "yours is the diagonal; each output depends on the other entries, too.")


def _factor(
    hand: np.ndarray, reference: np.ndarray, allowed: np.ndarray, value: np.ndarray, shape: tuple[int, ...]
) -> Guess | None:
    """h_i = ρ_i r_i in every row, or in every column, with a factor that changes with the parameters."""
    p, n = len(hand), int(np.prod(shape))
    h, r, bar = (np.broadcast_to(values, hand.shape).reshape(p, -1, n) for values in (hand, reference, allowed))
    for axis, name in ((2, "row"), (1, "column")):
        square = np.sum(r**2, axis=axis)
        seen = square > 0
        ratio = np.sum(h * r, axis=axis) / np.where(seen, square, 1)
        if h.shape[axis] < 2 or not seen.any() or (np.abs(h - np.expand_dims(ratio, axis) * r) > bar).any():
            continue
        if axis == 2 and (missing := _missing(ratio, value.reshape(p, -1), seen)):
            return Guess(Kind.CHAIN_RULE, f"{missing} is missing in every row: the outer function's derivative.")
        span = f"from {ratio[seen].min():.4g} to {ratio[seen].max():.4g}"
        inner = "the outer" if axis == 2 else "an inner"
        words = f"each {name} of yours is a multiple of the derivative's, {span}: a factor of {inner} function."
        return Guess(Kind.CHAIN_RULE, words)
    return None


def _missing(ratio: np.ndarray, value: np.ndarray, seen: np.ndarray) -> str | None:
    with np.errstate(all="ignore"):
        return next((name for name, factor in OUTER.items()
                     if np.allclose((ratio * factor(value))[seen], 1, rtol=1e-5, atol=0)), None)  # fmt: skip
