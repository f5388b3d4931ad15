"""The record of a derivation of the course."""

from collections.abc import Callable
from typing import Any, NamedTuple

from jax_course.verify.derivation import derivation
from jax_course.verify.derivation_report import DerivationReport
from jax_course.verify.lines import Line


class Slip(NamedTuple):
    """A line as the course prints it, where that is not what is meant. erratum: its number in the ledger."""

    erratum: int
    number: int  # of the line, from 1
    line: Line


class Derivation(NamedTuple):
    """A derivation of the course, line by line.

    name: an identifier. source: the section, "Course 8.5". arguments: of no arguments; the values at which the lines
    are compared, and the definitions of intermediate quantities. The last line is a public function of this package.
    """

    name: str
    title: str
    source: str
    lines: tuple[Line, ...]
    arguments: Callable[[], dict[str, Any]]
    slips: tuple[Slip, ...] = ()

    def check(self) -> DerivationReport:
        """The report on the derivation."""
        return derivation(*self.lines, **self.arguments())

    def with_slip(self, slip: Slip) -> "Derivation":
        """The derivation as the course prints it."""
        k = slip.number
        return self._replace(lines=(*self.lines[: k - 1], slip.line, *self.lines[k:]), slips=())
