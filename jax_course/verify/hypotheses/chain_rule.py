"""The hypothesis of a factor of the chain rule: one that differs from example to example."""

import numpy as np

from jax_course.verify.findings import Kind
from jax_course.verify.suspicion import Guess, Part


def chain_rule(part: Part) -> Guess | None:
    found = part.evidence.examples()
    if found is None:
        return None
    hand, reference, factors = found
    hand, reference = hand[:, part.chosen], reference[:, part.chosen]
    last = part.shapes[0][-1] if len(part.shapes) == 1 and part.evidence.of != "hessian" and part.shapes[0] else 1
    for width in {1, last}:
        h, r = (values.reshape(len(values), -1, width) for values in (hand, reference))
        if h.shape[1] < 2:
            continue  # one number is always a multiple of another
        square = np.sum(r**2, axis=1)
        seen = square > 1e-24 * np.max(square, initial=0)
        ratio = np.sum(h * r, axis=1) / np.where(seen, square, 1)
        size = np.abs(h).max(axis=1) + np.abs(r).max(axis=1)
        parallel = (np.abs(h - ratio[:, None] * r).max(axis=1) <= 1e-6 * size + 1e-300)[seen]
        values = ratio[seen]
        if seen.sum() > 1 and parallel.all() and np.ptp(values) > 1e-4 * np.abs(values).max():
            return Guess(Kind.CHAIN_RULE, "yours is off by a factor that changes from example to example"
                         + _factor_name(ratio, seen, factors))  # fmt: skip
    return None


def _factor_name(ratio: np.ndarray, seen: np.ndarray, factors: dict[str, np.ndarray]) -> str:
    for name, values in factors.items():
        values = values.reshape(len(ratio), -1)
        if values.shape[1] not in (1, ratio.shape[1]):
            continue
        values = np.broadcast_to(values, ratio.shape)
        for form, expected in ((f"{name} is there once too often", values), (f"{name} is missing", 1 / values)):
            if np.allclose(ratio[seen], expected[seen], rtol=1e-5, atol=1e-12):
                return f": {form}."
    values = ratio[seen]
    if np.isin(np.round(values, 9), (0, 1)).all():
        return ": 0 or 1, a mask."
    if np.isin(np.round(values, 9), (-1, 1)).all():
        return ": −1 or 1, the sign is turned for some of them."
    return f", from {values.min():.4g} to {values.max():.4g}: a factor of the chain rule."
