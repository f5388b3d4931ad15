"""A row of the ledger, and what its proofs are made of."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from experiments.lab.result import Check, apart

Checks = tuple[Check, ...]
ROUNDING = 1e-11  # of what two ways to one number may differ by


class Row(NamedTuple):
    """A statement of the course, the functions that carry it, and how it is proven."""

    id: str  # "6.1a": section 6.1
    title: str
    latex: tuple[str, ...]
    carried_by: tuple[str, ...]  # "ridge.cost", under jax_course
    check_derivatives: Callable[[], Checks]
    figures: tuple[str, ...] = ()  # "ridge_trace/trace": of an experiment, under results
    slips: tuple[int, ...] = ()  # what the printed course has otherwise

    @property
    def section(self) -> str:
        """The section of the course."""
        return self.id.rstrip("abcd")

    @property
    def chapter(self) -> int:
        """The chapter of the course."""
        return int(self.id.split(".")[0])


def same(claim: str, found: Any, expected: Any, within: float = ROUNDING) -> Check:
    """That two ways lead to the same numbers."""
    error = apart(found, expected)
    return Check(claim, error, error <= within)


def true(claim: str, holds: Any) -> Check:
    """That something is so, with no distance to tell."""
    return Check(claim, np.nan, bool(np.all(holds)))
