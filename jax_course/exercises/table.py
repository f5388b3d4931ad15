"""Many grades at a glance, for a lecturer: a row for each answer, and the mistakes that are most frequent."""

from collections import Counter
from collections.abc import Sequence

from jax_course.exercises.grading import Grade, Outcome
from jax_course.exercises.line_sheet import COLUMNS
from jax_course.exercises.messages import listed, relative

FREQUENT = 5  # mistakes that are listed
FILE, EXERCISE = 18, 20  # columns of names that are longer and therefore cut, so that 80 are enough


def mistake(grade: Grade) -> str:
    """The first mistake in a few words: the line and the kind; "" where there is none.

    >>> report = {"findings": [{"kind": "SIGN"}, {"kind": "SIGN"}]}
    >>> mistake(Grade("a.py", "ridge", Outcome.WRONG, "WRONG: gradient", report))
    'SIGN'
    """
    if grade.outcome is Outcome.NOT_RUN:
        return grade.message
    if grade.progress is not None:
        if grade.progress.first is None:
            return ", ".join(f"line {number} repeats another" for number in grade.progress.repeated)
        steps = (grade.report or {}).get("steps", [])
        kinds = _kinds(next((step for step in steps if step["number"] == grade.progress.first), {}))
        words = kinds or ("not written" if grade.outcome is Outcome.UNFINISHED else "another derivative")
        return f"line {grade.progress.first}: {words if grade.outcome is not Outcome.UNDECIDED else 'undecided'}"
    derived = f"derived by {' and '.join(grade.autodiff)}" if grade.autodiff else ""
    return ", ".join(filter(None, [_kinds(grade.report or {}), derived]))


def _kinds(report: dict) -> str:
    return ", ".join(dict.fromkeys(finding["kind"] for finding in report.get("findings", ())))


def table(grades: Sequence[Grade]) -> str:
    """A row for each grade: file, exercise, outcome, right lines of all, first mistake; and a summary below."""
    rows = []
    for name, grade in zip(relative([grade.file for grade in grades]), grades, strict=True):
        exercise = grade.exercise or "?"
        exercise = exercise if len(exercise) <= EXERCISE else f"{exercise[: EXERCISE - 1]}…"
        rows.append((_cut(name), exercise, grade.outcome.value, right_lines(grade), _first_line(mistake(grade))))
    return f"{listed([('file', 'exercise', 'outcome', 'lines', 'first mistake'), *rows])}\n\n{summary(grades)}"


def right_lines(grade: Grade) -> str:
    """The right lines of all of a derivation, as in "2/4"; "" for another exercise."""
    return "" if grade.progress is None else f"{grade.progress.right}/{grade.progress.lines}"


def summary(grades: Sequence[Grade]) -> str:
    """The number of answers of each outcome, and the mistakes that several have."""
    outcomes = Counter(grade.outcome for grade in grades)
    counts = ", ".join(f"{outcomes[outcome]} {outcome.value}" for outcome in Outcome if outcomes[outcome])
    wrong = Counter(f"{grade.exercise}, {mistake(grade)}" for grade in grades if grade.outcome is Outcome.WRONG)
    frequent = [f"  {count} × {words}" for words, count in wrong.most_common(FREQUENT) if count > 1]
    answers = f"{len(grades)} answer{'s' * (len(grades) != 1)}: {counts}"
    return "\n".join([answers, *(["Most frequent:", *frequent] if frequent else [])])


def _cut(name: str) -> str:
    """The end of a name that is too long: the beginning is often the same for all."""
    return name if len(name) <= FILE else f"…{name[1 - FILE :]}"


def _first_line(text: str) -> str:
    line = text.splitlines()[0] if text else ""
    return line if len(line) <= COLUMNS else line[: COLUMNS - 1] + "…"
