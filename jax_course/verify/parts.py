"""A part of the evidence: the entries of some leaves, and the tests that hypotheses make on them."""

import numpy as np

from jax_course.verify.evidence import Evidence

FIT = 1e-6  # fraction of an entry to which a hypothesis must predict it; 1e-8 and 1e-4 name the tests' mistakes, too


class Part:
    """The entries of some leaves, and the tests that hypotheses make on them.

    leaves: their numbers. whole: whether no other leaf is wrong. Of p points those are left at which the reference is
    finite; of the entries those that have a tolerance.
    """

    def __init__(self, evidence: Evidence, leaves: list[int], *, whole: bool):
        slices = evidence.layout.slices
        chosen = np.concatenate([np.arange(slices[leaf].start, slices[leaf].stop) for leaf in leaves])
        self.evidence, self.leaves, self.whole = evidence, leaves, whole
        self.shapes = [evidence.layout.shapes[leaf] for leaf in leaves]
        known = np.isfinite(evidence.tolerance[:, chosen]).any(axis=0)
        if not known.all():  # a sample of the entries has no rows and columns
            chosen, self.shapes = chosen[known], [(int(known.sum()),)]
        self.chosen = chosen
        self.wrong = np.asarray(evidence.wrong[:, chosen].any(axis=0))
        rows = np.isfinite(evidence.reference[:, chosen]).all(axis=1)
        self.rows = rows if rows.any() else np.ones_like(rows)
        self.hand, self.reference = self.select(evidence.hand), self.select(evidence.reference)
        self.size = np.maximum(np.abs(self.hand), np.abs(self.reference)).max(axis=0)
        self.allowed = FIT * self.size + self.select(evidence.tolerance)

    def select(self, values: np.ndarray) -> np.ndarray:
        """The part's entries of an array (p, E)."""
        return values[self.rows][:, self.chosen]

    @property
    def weight(self) -> np.ndarray:
        """Weights (k,) of least squares, with which entries of very different size count alike."""
        return 1 / np.where(self.size > 0, self.size, 1) ** 2

    @property
    def is_close(self) -> bool:
        """Whether both agree to four digits, so that a fit of several constants tells nothing."""
        return bool((np.abs(self.hand - self.reference) <= 1e-4 * self.size).all())

    @property
    def is_matrix(self) -> bool:
        """Whether the part is the whole Hessian of one leaf."""
        evidence = self.evidence
        return evidence.name == "hessian" and len(self.chosen) == evidence.hand.shape[1] and len(self.shapes) == 1

    def holds(self, prediction: np.ndarray) -> bool:
        """Whether the prediction is the reader's derivative in every entry, at every point."""
        return bool((np.abs(self.hand - prediction) <= self.allowed).all())

    def constant(self, target: np.ndarray, regressor: np.ndarray) -> float | None:
        """The a with target = a regressor in every entry; None if there is none, or the regressor vanishes."""
        total = np.sum(self.weight * regressor**2)
        a = np.sum(self.weight * target * regressor) / total if total > 0 else np.nan
        # Where target and regressor are small beside the derivative, the difference itself must fit, not only the sum.
        slack = 1e-3 * np.abs(target).max(axis=0) + self.select(self.evidence.tolerance)
        fits = np.isfinite(a) and a != 0 and (np.abs(target - a * regressor) <= np.minimum(self.allowed, slack)).all()
        return float(a) if fits else None

    def constant_is(self, target: np.ndarray, regressor: np.ndarray, a: float) -> bool:
        """Whether target = a regressor in every entry, where the target is not all rounding."""
        slack = 1e-3 * np.abs(target).max(axis=0) + self.select(self.evidence.tolerance)
        return bool((np.abs(target - a * regressor) <= np.minimum(self.allowed, slack)).all())

    def factor(self, entries: np.ndarray | slice = slice(None)) -> float | None:
        """The c with h = c r in the part's entries; None if there is none, or c = 1, or r = 0."""
        h, r, weight = self.hand[:, entries], self.reference[:, entries], self.weight[entries]
        total = np.sum(weight * r**2)
        if not total:
            return None
        c = float(np.sum(weight * h * r) / total)
        if abs(c - 1) < 10 * FIT or not (np.abs(h - c * r) <= self.allowed[:, entries]).all():
            return None
        return 0.0 if abs(c) < FIT else c
