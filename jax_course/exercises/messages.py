"""Messages on a grade for a terminal: the doctor's, and what helps on."""

import os
import textwrap
from typing import NamedTuple

from jax_course.derivations import Derivation
from jax_course.exercises.catalogue import Exercise
from jax_course.exercises.grading import Grade, Outcome
from jax_course.exercises.line_hints import line_hints
from jax_course.exercises.line_sheet import COLUMNS, line_solution
from jax_course.exercises.sheet import solution
from jax_course.exercises.tries import TRIES, count_tries, next_hint

COMMAND = "python -m jax_course.exercises"


class Course(NamedTuple):
    """The exercises and derivations that there are; file: the teacher's, if they are a teacher's."""

    exercises: dict[str, Exercise]
    derivations: dict[str, Derivation]
    file: str | None = None

    @property
    def option(self) -> str:
        """The option of a command that names the teacher's file; "" without one."""
        return f" --exercises {self.file}" if self.file else ""


def told(grade: Grade, course: Course, *, hint: bool, solved: bool) -> str:
    """The grade, and what helps on: what is right, the next step, a hint, the solution, the next exercise.

    hint, solved: whether a hint and the solution were asked for.
    """
    right = grade.outcome is Outcome.RIGHT
    lines = [grade.message, *([f"\n{_filled(grade.advice)}"] if grade.advice else [])]
    if grade.autodiff and right:
        lines.append(f"\n{' and '.join(grade.autodiff)} derived it. Can you do it by hand?")
    if grade.progress is not None and grade.progress.repeated and right:
        repeated = ", ".join(map(str, grade.progress.repeated))
        words = f"The code of line {repeated} is that of an earlier line. Can you write what is derived there?"
        lines.append(f"\n{_filled(words)}")
    if grade.exercise is None or not (is_known := grade.exercise in _names(grade, course)):
        return "\n".join(lines)
    tries = count_tries(grade.file, grade.exercise, wrong=grade.outcome is Outcome.WRONG)
    if hint:
        lines.append(f"\n{hint_text(grade, course)}")
    elif not right and is_known and _has_hint(grade, course):
        lines.append("\nA hint: check it with --hint.")
    answer = _solution(grade, course)
    if solved and (right or tries >= TRIES):
        lines.append(f"\nSolution:\n\n{answer or 'this exercise has none.'}")
    elif solved:
        lines.append(f"The solution is shown after {TRIES} different wrong answers; so far: {tries}.")
    elif not right and tries >= TRIES and answer:
        lines.append("The solution: check it with --solution.")
    return "\n".join([*lines, *([_next(grade, course)] if right else [])])


def hint_text(grade: Grade, course: Course, *, alone: bool = False) -> str:
    """The next hint for an answer. alone: its message is not shown, so that it has said nothing yet.

    For a derivation one step more each time: where, what kind, the formula, the code.
    """
    if grade.exercise is None or grade.outcome is Outcome.NOT_RUN:
        return grade.message
    if not _is_derivation(grade, course):
        return _filled(f"Hint: {course.exercises[grade.exercise].hint or 'this exercise has none.'}")
    hints, said = line_hints(grade, course.derivations[grade.exercise], _idea(grade.exercise, course))
    if not hints or grade.progress is None or grade.progress.first is None:
        return "No hint is needed: every line follows." if grade.outcome is Outcome.RIGHT else grade.message
    line = grade.progress.first
    number = next_hint(grade.file, grade.exercise, line, said=0 if alone else said, most=len(hints))
    first, *rest = hints[number - 1].split("\n\n", 1)
    return "\n\n".join([_filled(f"Hint {number} of {len(hints)} on line {line}: {first}"), *rest])


def _idea(name: str, course: Course) -> str:
    """The hint of the exercise that asks for what is derived."""
    return next((one.hint for one in course.exercises.values() if one.derivation == name), "")


def _is_derivation(grade: Grade, course: Course) -> bool:
    """Whether the file has a derivation: of some names there is an exercise too."""
    return grade.progress is not None or grade.exercise not in course.exercises


def _names(grade: Grade, course: Course) -> dict:
    return course.derivations if _is_derivation(grade, course) else course.exercises


def _has_hint(grade: Grade, course: Course) -> bool:
    assert grade.exercise is not None
    if _is_derivation(grade, course):
        return grade.progress is not None and grade.progress.first is not None
    return bool(course.exercises[grade.exercise].hint)


def _solution(grade: Grade, course: Course) -> str:
    assert grade.exercise is not None
    if _is_derivation(grade, course):
        return line_solution(course.derivations[grade.exercise])
    return solution(grade.exercise, course.exercises)


def _next(grade: Grade, course: Course) -> str:
    """The commands for the way to what was found, and for the exercise after it."""
    name, names = str(grade.exercise), list(_names(grade, course))
    after = names[names.index(name) + 1 :]
    lines, ending = (" --lines", "_lines") if _is_derivation(grade, course) else ("", "")
    texts = []
    if not lines and course.exercises[name].derivation in course.derivations:
        texts.append(f"\nThe way to it, line by line:\n{_show(f'{name} --lines{course.option}', f'{name}_lines.py')}")
    if after:
        texts.append(f"\nNext:\n{_show(f'{after[0]}{lines}{course.option}', f'{after[0]}{ending}.py')}")
    return "\n".join(texts) or "\nThat was the last exercise."


def _show(name: str, file: str) -> str:
    """The command that writes the file of an exercise, in two lines where one is too long."""
    command = f"{COMMAND} show {name}"
    return f"{command} > {file}" if len(command) + len(file) + 3 <= COLUMNS else f"{command} \\\n  > {file}"


def _filled(text: str) -> str:
    return "\n".join(textwrap.fill(line, COLUMNS) for line in text.splitlines())


def listed(rows: list[tuple[str, ...]]) -> str:
    """Rows of a table, its columns as wide as they need to be, the last one wrapped at the end of the terminal.

    >>> print(listed([("ridge", "Course 6.1", "Ridge regression"), ("lasso", "Course 6.2", "Lasso")]))
    ridge  Course 6.1  Ridge regression
    lasso  Course 6.2  Lasso
    """
    if not rows:
        return "there are none"
    widths = [max(map(len, column)) + 2 for column in list(zip(*rows, strict=True))[:-1]]
    texts = []
    for *columns, last in rows:
        head = "".join(f"{text:<{width}}" for text, width in zip(columns, widths, strict=True))
        texts.append(
            textwrap.fill(last, COLUMNS, initial_indent=head, subsequent_indent=" " * len(head)) or head.rstrip()
        )
    return "\n".join(texts)


def relative(files: list[str]) -> list[str]:
    """The names of files from the folder that all are in.

    >>> relative(["/home/a/x.py", "/home/b/y.py"]), relative(["/home/a/x.py"])
    (['a/x.py', 'b/y.py'], ['x.py'])
    """
    folder = os.path.commonpath([os.path.dirname(os.path.abspath(file)) for file in files])
    return [os.path.relpath(os.path.abspath(file), folder) for file in files]
