"""A student's derivation, judged: which lines follow, and the first that does not or is still to be written."""

import json
from typing import Any, NamedTuple

import jax

from jax_course.derivations import Derivation
from jax_course.exercises.feedback import advice_on_lines
from jax_course.exercises.grading import Outcome, Progress
from jax_course.exercises.line_code import expression, guarded, repeated
from jax_course.exercises.line_sheet import asked_lines, claim_in_words
from jax_course.verify import DerivationReport, Line, derivation, double_precision
from jax_course.verify.lines import Arguments, read_arguments

LONGEST = 1000  # characters of a student's formula that are shown
MOST = 50  # lines of a derivation


class _Ended(Exception):
    """A line that ends the program; its number."""


class Written(NamedTuple):
    """The lines of a student up to the first that is not written, and its number, if there is one."""

    lines: tuple[Line, ...]
    open_line: int | None


def verdict_on_lines(given: Any, course: Derivation) -> dict[str, Any]:
    """The fields of the `Grade` of a student's LINES; the first line, and conditions, are those of the course."""
    lines = _read(given)
    if isinstance(lines, str):
        return _no_verdict(course, lines)
    lines = _as_given(lines, course)
    arguments = course.arguments()
    try:
        with double_precision():
            written = _written(lines, read_arguments(lines, arguments))
    except (TypeError, ValueError) as error:  # a parameter that is no argument
        return _no_verdict(course, str(error))
    except _Ended as ended:
        return _no_verdict(course, f"line {ended} ends the program: it must only return its value")
    return _judged(lines, written, arguments, course)


def _judged(lines: tuple[Line, ...], written: Written, arguments: dict[str, Any], course: Derivation) -> dict[str, Any]:
    """The verdict on the lines that are written; `lines`: all."""
    misled = _wrong_derivative(written.lines, course)
    checked = written.lines if misled is None else written.lines[: misled[0] - 1]
    report = derivation(*checked, **arguments) if len(checked) > 1 else None
    told = "" if report is None else str(report)
    steps = () if report is None else report.steps
    for outcome, verdict in ((Outcome.WRONG, "wrong"), (Outcome.UNDECIDED, "undecided")):
        if first := next((step.number for step in steps if step.verdict == verdict), None):
            reminder = _reminder(lines, first, course)
            told += "" if written.open_line is None else f"\n\nLine {written.open_line} is not written yet."
            found = _verdict(course, outcome, told + reminder, _progress(lines, first - 1, first, course), report)
            return found | {"advice": ""} if reminder else found
    if misled is not None:
        number, words = misled
        words = f"WRONG: {words}\n\n{_body(told)}".strip()
        return _verdict(course, Outcome.WRONG, words, _progress(lines, number - 1, number, course), report)
    right = len(written.lines)
    if written.open_line is not None:
        claim = claim_in_words(written.open_line, lines[written.open_line - 1].by)
        words = f"UNFINISHED: line {written.open_line} of {len(lines)} is not written yet\n\nIt is {claim}."
        progress = _progress(lines, right, written.open_line, course)
        return _verdict(course, Outcome.UNFINISHED, f"{words}\n\n{_body(told)}".strip(), progress, report)
    if missing := _missing_derivative(written.lines, course):
        words = f"UNFINISHED: the derivative by {missing} is still to come"
        progress = _progress(lines, right, right + 1, course)
        return _verdict(course, Outcome.UNFINISHED, f"{words}\n\n{_body(told)}".strip(), progress, report)
    progress = _progress(lines, right, None, course)
    return _verdict(course, Outcome.RIGHT, told, progress, report)


def _read(given: Any) -> tuple[Line, ...] | str:
    """The student's lines as plain records, or why there are none."""
    if not isinstance(given, list | tuple) or not given:
        return f"LINES must be a list of line(formula, function); it is {type(given).__name__}"
    if len(given) > MOST:
        return f"LINES has {len(given)} lines; more than {MOST} are not judged"
    found = []
    for number, one in enumerate(given, 1):
        if not isinstance(one, Line):
            return f"line {number} of LINES must be made by line(formula, function); it is {type(one).__name__}"
        found.append(Line(_shown(one), guarded(one.value), tuple(map(str, one.by)), None))
    if found[0].by:
        return "line 1 is the beginning: it cannot have by="
    return tuple(found)


def _shown(one: Line) -> str:
    """The formula as it can be printed, or in its place the code."""
    formula = str(one.formula).strip() or f"`{expression(one.value)}`"
    return "".join(c if c.isprintable() else " " for c in formula)[:LONGEST]


def _as_given(lines: tuple[Line, ...], course: Derivation) -> tuple[Line, ...]:
    """The lines, the first of them that of the course, and each under the condition that the course's line has."""
    model = asked_lines(course)
    others = [one._replace(where=model[_model(lines, number, course) - 1].where if one.by else None)
              for number, one in enumerate(lines[1:], 2)]  # fmt: skip
    return (model[0], *others)


def _model(lines: tuple[Line, ...], number: int, course: Derivation) -> int:
    """The number of the course's line that stands where the student's line of that number does.

    It is counted from the derivative before, since a student may write more lines than the course, or fewer.
    """
    model = asked_lines(course)
    starts = [0, *(k for k, one in enumerate(model) if one.by)]
    derivatives = [k for k, one in enumerate(lines[:number]) if one.by]
    start = starts[min(len(derivatives), len(starts) - 1)]
    return min(start + number - 1 - (derivatives or [0])[-1], len(model) - 1) + 1


def _written(lines: tuple[Line, ...], arguments: Arguments) -> Written:
    for number, one in enumerate(lines[1:], 2):
        if _is_open(arguments, one, number):
            return Written(lines[: number - 1], number)
    return Written(lines, None)


def _is_open(arguments: Arguments, one: Line, number: int) -> bool:
    """Whether a line is still as it was in the file. It is traced, which compiles nothing."""
    open_line = []

    def value() -> None:
        try:
            open_line.append(arguments.quantity(one.value)(arguments.values) is ...)
        except NotImplementedError:
            open_line.append(True)

    try:
        jax.eval_shape(value)
    except SystemExit:
        raise _Ended(number) from None
    except Exception:  # plain NumPy cannot be traced; any other error is said when the line is judged
        return False
    return open_line[0]


def _wrong_derivative(lines: tuple[Line, ...], course: Derivation) -> tuple[int, str] | None:
    """The number of the first line that differentiates by what the course does not, and that in words."""
    wanted = [one.by for one in asked_lines(course) if one.by]
    derivatives = [(number, one.by) for number, one in enumerate(lines, 1) if one.by]
    for k, (number, by) in enumerate(derivatives):
        if k >= len(wanted):
            return number, f"line {number} is one derivative more than asked for"
        if by != wanted[k]:
            return number, f"line {number} differentiates by {_and(by)}, not by {_and(wanted[k])}"
    return None


def _reminder(lines: tuple[Line, ...], number: int, course: Derivation) -> str:
    """A word on by= where the course differentiates, and the student's line claims to equal the one before."""
    model = asked_lines(course)[_model(lines, number, course) - 1]
    if lines[number - 1].by or not model.by:
        return ""
    return f'\n\nLine {number} claims to equal line {number - 1}. Is by="{_and(model.by)}" missing?'


def _missing_derivative(lines: tuple[Line, ...], course: Derivation) -> str:
    """The argument of the first derivative that the lines do not have; "" if they have all."""
    wanted = [one.by for one in asked_lines(course) if one.by]
    had = sum(bool(one.by) for one in lines)
    return _and(wanted[had]) if had < len(wanted) else ""


def _progress(lines: tuple[Line, ...], right: int, first: int | None, course: Derivation) -> Progress:
    model = None if first is None else _model(lines, first, course)
    return Progress(len(lines), right, first, model, repeated(lines[:right]))


def _verdict(
    course: Derivation, outcome: Outcome, message: str, progress: Progress | None, report: DerivationReport | None
) -> dict[str, Any]:
    told = None if report is None else json.loads(report.to_json())
    advised = "" if told is None else advice_on_lines(told)
    return {"exercise": course.name, "outcome": outcome, "message": message, "report": told, "advice": advised,
            "progress": progress and progress._asdict()}  # fmt: skip


def _no_verdict(course: Derivation, message: str) -> dict[str, Any]:
    return _verdict(course, Outcome.NOT_RUN, message, None, None)


def _body(report: str) -> str:
    """A report without its headline, which speaks of the lines that are written as if they were all."""
    return report.partition("\n\n")[2]


def _and(names: tuple[str, ...]) -> str:
    return " and ".join(names)
