"""Hypotheses about Hessians: what is left out of them, and what stands in their place."""

from collections.abc import Iterator

import numpy as np

from jax_course.verify.findings import Kind
from jax_course.verify.suspicion import Guess, Part


def diagonal(part: Part) -> Guess | None:
    if part.evidence.of != "hessian":
        return None
    zero, right = np.asarray(~part.hand.any(axis=0)), ~part.wrong
    if not part.wrong.any() or not zero[part.wrong].all() or zero.all():
        return None
    for names, mask in _blocks(part):
        if mask.any() and (~mask).any() and zero[~mask].all() and right[mask].all():
            return Guess(Kind.DIAGONAL, f"yours has only {names}, everything off it is 0.")
    return None


def _blocks(part: Part) -> Iterator[tuple[str, np.ndarray]]:
    """Masks of what lies on a diagonal: of each index that rows and columns share, and of all together."""
    shape = part.shapes[0]
    if len(part.shapes) > 1 or len(shape) % 2 or shape[: len(shape) // 2] != shape[len(shape) // 2 :]:
        return
    half = len(shape) // 2
    grid = np.indices(shape).reshape(len(shape), -1)
    same = grid[:half] == grid[half:]
    yield "the diagonal", same.all(axis=0)
    for axis in range(half if half > 1 else 0):
        yield f"the block diagonal (equal index {axis})", same[axis]


def expected(part: Part) -> Guess | None:
    if part.evidence.of != "hessian" or len(part.chosen) != part.evidence.hand.shape[1]:
        return None
    for name, prediction in part.evidence.expected():
        scale = np.abs(prediction).max()
        if np.abs(part.evidence.hand[-1] - prediction).max() <= 1e-6 * scale:
            return Guess(Kind.EXPECTED, f"yours is {name}, not the Hessian: the curvature of the model is left out.")
    return None


def triangle(part: Part) -> Guess | None:
    if not _is_matrix(part):
        return None
    n = round(len(part.chosen) ** 0.5)
    H, right = part.hand[0].reshape(n, n), ~part.wrong.reshape(n, n)
    upper = np.triu(np.ones((n, n), bool), 1)
    for name, one, other in (("upper", upper, upper.T), ("lower", upper.T, upper)):
        if n > 1 and not H[one].any() and H[other].any() and right[~one].all():
            return Guess(Kind.ASYMMETRIC, f"yours has zeros in the {name} triangle, and a Hessian is symmetric.")
    return None


def row_and_column(part: Part) -> Guess | None:
    """One parameter's row and column scaled: a transformed parameter without the factor of its transformation."""
    if not _is_matrix(part):
        return None
    n = round(len(part.chosen) ** 0.5)
    wrong = part.wrong.reshape(n, n)
    crossed = np.flatnonzero(wrong.all(axis=0) & wrong.all(axis=1))
    if n < 3 or len(crossed) != 1 or wrong.sum() != 2 * n - 1:
        return None
    j = int(crossed[0])
    others = np.arange(n) != j
    h, r = (values.reshape(-1, n, n)[:, j, others] for values in (part.hand, part.reference))
    ratio = np.sum(h * r, axis=1, keepdims=True) / np.maximum(np.sum(r**2, axis=1, keepdims=True), 1e-300)
    if (np.abs(h - ratio * r) <= 1e-5 * (np.abs(h) + np.abs(r))).all():
        name = part.evidence.layout.names[0]
        words = f"row and column {j} of yours are {ratio[0, 0]:.6g} times the Hessian's"
        return Guess(Kind.CHAIN_RULE, f"{words}: the factor of a transformation of {name}[{j}] is missing.")
    return None


def asymmetric(part: Part) -> Guess | None:
    if not _is_matrix(part):
        return None
    n = round(len(part.chosen) ** 0.5)
    H, allowed = part.hand[0].reshape(n, n), part.allowed.max(axis=0).reshape(n, n)
    if (np.abs(H - H.T) <= np.maximum(allowed, allowed.T)).all():
        return None
    return Guess(Kind.ASYMMETRIC, "yours is not symmetric, as a Hessian is.")


def _is_matrix(part: Part) -> bool:
    """Whether the part is the whole Hessian of one leaf."""
    return part.evidence.of == "hessian" and len(part.chosen) == part.evidence.hand.shape[1] and len(part.shapes) == 1
