"""Hypotheses on a line of a derivation, tried where those of the doctor give its mistake no name.

The doctor knows parameters and data by their places, a derivation all of its arguments by their names. So a mistake
can be looked for in any of them: what would the line before be without one of the examples? What is left of a power
inside a logarithm? As in `hypotheses`, h is the reader's line and r what it should be.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np

from jax_course.verify.findings import Finding, Guess, Kind
from jax_course.verify.lines import Jacobian, Quantity
from jax_course.verify.parts import FIT
from jax_course.verify.settings import Setting

EXAMPLES = 32  # of more, only the last and the first are left out


class Compared(NamedTuple):
    """A line and what it should be, (p, E) each, at points (p, n)."""

    setting: Setting
    points: np.ndarray
    hand: np.ndarray
    reference: np.ndarray

    def holds(self, prediction: np.ndarray) -> bool:
        """Whether the prediction is the reader's line in every entry, at every point."""
        return prediction.shape == self.hand.shape and bool((np.abs(self.hand - prediction) <= self.allowed).all())

    @property
    def allowed(self) -> np.ndarray:
        """How far a prediction may be from the line (E,)."""
        size = np.maximum(np.abs(self.hand), np.abs(self.reference)).max(axis=0)
        return FIT * size + 1e-12 * size.max()

    @property
    def wrong(self) -> np.ndarray:
        """Whether an entry (E,) differs by more than is allowed to a prediction, at any point."""
        return np.asarray((np.abs(self.hand - self.reference) > self.allowed).any(axis=0))


def with_kinds(setting: Setting, points: np.ndarray, findings: list[Finding]) -> list[Finding]:
    """The findings on a line; one of a known kind where all were of none and a hypothesis on lines holds."""
    if not findings or any(finding.kind != Kind.UNKNOWN for finding in findings):
        return findings
    claim = setting.claim
    try:
        compared = Compared(setting, points, *(setting.rows(q, points) for q in (claim.hand, claim.reference)))
    except Exception:  # what JAX cannot differentiate, or a shape of its own
        return findings
    if not (np.isfinite(compared.hand).all() and np.isfinite(compared.reference).all() and compared.wrong.any()):
        return findings
    guess = next((guess for hypothesis in HYPOTHESES if (guess := hypothesis(compared))), None)
    if guess is None:
        return findings
    extent, _, _ = findings[0].sentence.partition(": ")
    return [findings[0]._replace(kind=guess.kind, sentence=f"{extent}: {guess.words}")]


def left_at_zero(compared: Compared) -> Guess | None:
    """h = 0 where it differs from r."""
    wrong = compared.wrong
    if compared.hand[:, wrong].any() or wrong.all():
        return None
    shape = np.shape(compared.setting.output(compared.setting.claim.hand))
    n = shape[0] if shape else 0
    if shape == (n, n) and n > 1 and not wrong[:: n + 1].any():
        return Guess(Kind.DIAGONAL, "yours has only the diagonal, everything off it is 0.")
    return Guess(Kind.MISSING, "yours is left at 0 there; the others agree.")


def example_left_out(compared: Compared) -> Guess | None:
    """h = r without one of the examples: the rows of all arguments whose first axis has that length."""
    for names, which, prediction in _without_examples(compared.setting):
        try:
            rows = compared.setting.rows(prediction, compared.points)
        except Exception:  # arrays of that length are no examples
            continue
        if compared.holds(rows):
            return Guess(Kind.MISSING, f"yours is computed without {which} of {names}.")
    return None


def _without_examples(setting: Setting) -> Iterator[tuple[str, str, Quantity]]:
    """Names of arrays, one row of them, and the quantity that the line should be without that row."""
    arguments, reference = setting.arguments, setting.claim.reference
    lengths = {name: len(value) for name, value in arguments.values.items() if np.ndim(value)}
    for m in sorted({m for m in lengths.values() if m > 2}, reverse=True):
        names = " and ".join(f"`{name}`" for name, length in lengths.items() if length == m)
        for k in (m - 1, 0, *(range(1, m - 1) if m <= EXAMPLES else ())):
            kept = np.delete(np.arange(m), k)
            which = {0: "the first row", m - 1: "the last row"}.get(k, f"row {k}")
            yield names, which, lambda given, m=m, kept=kept: reference(_rows(given, m, kept))
            if not isinstance(reference, Jacobian):  # through a definition that is fixed no derivative goes
                yield names, which, lambda given, m=m, kept=kept: reference(_rows(_all(setting, given), m, kept))


def _all(setting: Setting, given: Mapping[str, Any]) -> dict[str, Any]:
    """The values of all arguments, defined ones too."""
    return {**given, **{name: setting.arguments.look_up(name, given) for name in setting.arguments.definitions}}


def _rows(given: Mapping[str, Any], m: int, kept: np.ndarray) -> dict[str, Any]:
    """The arguments with the kept rows of every array that has m rows."""
    return {name: a[kept] if np.ndim(a) and np.shape(a)[0] == m else a for name, a in given.items()}


def power_in_a_logarithm(compared: Compared) -> Guess | None:
    """h − r = a log θ_j for a line that is one number: log θ_j where log θ_j² is meant."""
    if compared.hand.shape[1] != 1 or len(compared.points) < 3:
        return None
    difference, layout = (compared.hand - compared.reference)[:, 0], compared.setting.inputs.layout
    positive = np.flatnonzero((compared.points > 0).all(axis=0))
    for j in positive:
        logarithm = np.log(compared.points[:, j])
        a = difference @ logarithm / (logarithm @ logarithm)
        if a and np.ptp(logarithm) > 0 and (np.abs(difference - a * logarithm) <= FIT * np.abs(difference).max()).all():
            leaf, index = layout.leaf_of(int(j))
            name = layout.names[leaf] + (f"[{', '.join(map(str, index))}]" if index else "")
            words = f"yours is off by {a:+.6g} × log {name}: a power of {name} is lost, or too much, in a logarithm."
            return Guess(Kind.FACTOR, words)
    return None


HYPOTHESES: tuple[Callable[[Compared], Guess | None], ...] = (left_at_zero, power_in_a_logarithm, example_left_out)
