"""The entries under suspicion, and tests on them."""

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np

from jax_course.verify.findings import Kind
from jax_course.verify.subject import Layout

FIT = 1e-6  # a hypothesis holds if it predicts every entry to this fraction of its size

Named = Iterator[tuple[str, np.ndarray]]


class Guess(NamedTuple):
    """A kind and the end of its sentence."""

    kind: Kind
    words: str


class Evidence(NamedTuple):
    """What the diagnosis is made from: arrays (points, entries), and what it may ask for."""

    of: str
    layout: Layout  # of the entries
    parameters: Layout
    theta: np.ndarray  # (points, n)
    hand: np.ndarray
    reference: np.ndarray
    tolerance: np.ndarray
    penalty: dict[str, np.ndarray]  # what each keyword contributes to the reference
    divided: Callable[[], dict[str, np.ndarray]]  # what each keyword divides in the reference
    keywords: dict[str, float]
    identity: np.ndarray  # θ; for a Hessian the unit matrix, for a product the direction
    biases: np.ndarray  # entries (N,) that belong to a bias
    sizes: dict[str, float]  # the lengths that a factor may be
    fewer: Callable[[np.ndarray], tuple[float, float] | None]  # (share of the examples, factor of the entries there)
    averages: Callable[[], bool | None]  # whether the cost averages over the examples; None where it cannot be told
    examples: Callable[[], tuple[np.ndarray, np.ndarray, dict[str, np.ndarray]] | None]
    expected: Callable[[], Named]  # what stands in for Hessians at the last point
    hessians: Callable[[], np.ndarray | None]  # (points, n, n)
    otherwise: Callable[[], Iterator[tuple[Guess, np.ndarray]]]  # the derivative of other data, or at other parameters
    terms: Callable[[], list[tuple[str, np.ndarray]]]  # what each term of the cost contributes to the reference


class Part:
    """The entries under suspicion, and tests on them.

    whole: they are all of the derivative that is wrong, so that the rest of it is right.
    """

    def __init__(self, evidence: Evidence, leaves: list[int], wrong: np.ndarray, whole: bool):
        ends = np.cumsum([0, *evidence.layout.sizes])
        chosen = np.concatenate([np.arange(ends[leaf], ends[leaf + 1]) for leaf in leaves])
        self.evidence, self.leaves, self.whole = evidence, leaves, whole
        self.shapes = [evidence.layout.shapes[leaf] for leaf in leaves]
        known = np.isfinite(evidence.tolerance[:, chosen]).any(axis=0)
        if not known.all():  # of a sample there are no rows and columns to speak of
            chosen, self.shapes = chosen[known], [(int(known.sum()),)]
        self.chosen = chosen
        self.wrong = np.asarray(wrong[:, chosen].any(axis=0))
        rows = np.isfinite(evidence.reference[:, chosen]).all(axis=1)
        self.rows = rows if rows.any() else np.ones_like(rows)
        self.hand, self.reference = self.of(evidence.hand), self.of(evidence.reference)
        self.size = np.maximum(np.abs(self.hand), np.abs(self.reference)).max(axis=0)
        self.allowed = FIT * self.size + self.of(evidence.tolerance)

    def of(self, values: np.ndarray) -> np.ndarray:
        """The part's entries of an array (points, entries)."""
        return values[self.rows][:, self.chosen]

    @property
    def weight(self) -> np.ndarray:
        """Entries of very different size count alike."""
        return 1 / np.where(self.size > 0, self.size, 1) ** 2

    @property
    def is_matrix(self) -> bool:
        """Whether the part is the whole Hessian of one leaf."""
        evidence = self.evidence
        return evidence.of == "hessian" and len(self.chosen) == evidence.hand.shape[1] and len(self.shapes) == 1

    def holds(self, prediction: np.ndarray, where: np.ndarray | slice = slice(None)) -> bool:
        """Whether the prediction is the reader's derivative in every entry, or in some, at every point."""
        return bool((np.abs(self.hand - prediction) <= self.allowed)[:, where].all())

    def constant(self, target: np.ndarray, regressor: np.ndarray) -> float | None:
        """The a with target = a regressor in every entry; None where there is none, or the regressor vanishes."""
        total = np.sum(self.weight * regressor**2)
        a = np.sum(self.weight * target * regressor) / total if total > 0 else np.nan
        # Where target and regressor are small beside the derivative, the difference itself must fit, not only the sum.
        slack = 1e-3 * np.abs(target).max(axis=0) + self.of(self.evidence.tolerance)
        fits = np.isfinite(a) and a != 0 and (np.abs(target - a * regressor) <= np.minimum(self.allowed, slack)).all()
        return float(a) if fits else None

    def factor(self, where: np.ndarray | slice = slice(None)) -> float | None:
        """The c with h = c r in the entries there; None where there is none, or it is 1, or nothing carries it."""
        h, r, weight = self.hand[:, where], self.reference[:, where], self.weight[where]
        total = np.sum(weight * r**2)
        if not total:
            return None
        c = float(np.sum(weight * h * r) / total)
        if abs(c - 1) < 10 * FIT or not (np.abs(h - c * r) <= self.allowed[:, where]).all():
            return None
        return 0.0 if abs(c) < FIT else c
