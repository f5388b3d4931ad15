"""Hints for a derivation, one after the other: where, what kind of mistake, the formula of that line, its code."""

import textwrap

from jax_course.derivations import Derivation
from jax_course.exercises.feedback import NEXT, NEXT_LINE
from jax_course.exercises.grading import Grade, Outcome
from jax_course.exercises.line_sheet import COLUMNS, asked_lines, line_code
from jax_course.verify import Kind
from jax_course.verify.plain_text import plain_text


def line_hints(grade: Grade, course: Derivation, idea: str = "") -> tuple[list[str], int]:
    """The hints for the first line that is wrong or not written, and how many of them the grade's message has said.

    idea: a hint for the whole exercise. There are none where every line holds, or where the file could not be run.
    """
    progress = grade.progress
    if progress is None or progress.first is None or progress.model is None:
        return [], 0
    model = asked_lines(course)[progress.model - 1]
    formula = textwrap.fill(plain_text(model.formula), COLUMNS, initial_indent="    ", subsequent_indent="    ")
    ways = [
        f"In the course the line there is\n\n{formula}",
        f"Its code:\n\n{textwrap.indent(line_code(model), '    ')}",
    ]
    kinds = _kinds(grade, progress.first)
    if grade.outcome is Outcome.UNFINISHED or not kinds:
        words, _, rest = grade.message.partition(": ")[2].partition("\n\n")
        claim = f" {rest.partition(chr(10))[0]}" if rest.startswith("It is ") else ""
        return [f"{words[:1].upper()}{words[1:]}.{claim}", *([idea] if idea else []), *ways], 1
    where = f"Line {progress.first} does not follow from line {progress.first - 1}."
    kind = kinds[0]
    said = f"{kind}: {Kind[kind].value}. Next: {NEXT_LINE.get(kind, NEXT.get(kind, ''))}"
    return [where, said, *ways], 2


def _kinds(grade: Grade, number: int) -> list[str]:
    """The kinds of the findings in a line."""
    steps = (grade.report or {}).get("steps", [])
    return [finding["kind"] for step in steps if step["number"] == number for finding in step["findings"]]
