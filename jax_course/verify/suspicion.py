"""The entries under suspicion, and tests on them."""

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np

from jax_course.verify.findings import Kind
from jax_course.verify.subject import Layout

FIT = 1e-6  # a hypothesis holds if it predicts every entry to this fraction of its size


class Evidence(NamedTuple):
    """What the diagnosis is made from: arrays (points, entries) but for the last three."""

    of: str
    layout: Layout
    hand: np.ndarray
    reference: np.ndarray
    tolerance: np.ndarray
    penalty: dict[str, np.ndarray]  # what each keyword contributes to the reference
    identity: np.ndarray  # θ; for a Hessian the unit matrix, for a product the direction
    biases: np.ndarray  # entries (N,) that belong to a bias
    sizes: dict[str, float]  # the lengths that a factor may be
    fewer: Callable[[np.ndarray], tuple[float, float] | None]  # (share of the examples, factor of the entries there)
    examples: Callable[[], tuple[np.ndarray, np.ndarray, dict[str, np.ndarray]] | None]
    expected: Callable[[], Iterator[tuple[str, np.ndarray]]]


class Guess(NamedTuple):
    """A kind and the end of its sentence."""

    kind: Kind
    words: str


class Part:
    """The entries under suspicion, and tests on them."""

    def __init__(self, evidence: Evidence, chosen: np.ndarray, wrong: np.ndarray, shapes: list[tuple[int, ...]]):
        self.evidence, self.chosen, self.wrong, self.shapes = evidence, chosen, wrong, shapes
        rows = np.isfinite(evidence.reference[:, chosen]).all(axis=1)
        self.rows = rows if rows.any() else slice(None)
        self.hand, self.reference = self.of(evidence.hand), self.of(evidence.reference)
        self.size = np.maximum(np.abs(self.hand), np.abs(self.reference)).max(axis=0)
        self.allowed = FIT * self.size + self.of(evidence.tolerance)

    def of(self, values: np.ndarray) -> np.ndarray:
        return values[self.rows][:, self.chosen]

    def holds(self, prediction: np.ndarray) -> bool:
        """Whether the prediction is the reader's derivative in every entry, at every point."""
        return bool((np.abs(self.hand - prediction) <= self.allowed).all())

    def constant(self, target: np.ndarray, regressor: np.ndarray) -> float | None:
        """The a with target = a regressor in every entry; None where there is none, or the regressor vanishes."""
        weight = 1 / np.where(self.size > 0, self.size, 1) ** 2
        total = np.sum(weight * regressor**2)
        a = np.sum(weight * target * regressor) / total if total > 0 else np.nan
        # Where target and regressor are small beside the derivative, the difference itself must fit, not only the sum.
        slack = 1e-3 * np.abs(target).max(axis=0) + self.of(self.evidence.tolerance)
        fits = np.isfinite(a) and a != 0 and (np.abs(target - a * regressor) <= np.minimum(self.allowed, slack)).all()
        return float(a) if fits else None
