"""Exercises: derive a gradient or a Hessian of the course, or each line of the way to it; the doctor looks at it.

`python -m jax_course.exercises list`, `show NAME > mine.py`, `check mine.py`, and with `--hint` or `--solution`. With
`--lines` `list` and `show` are of derivations.
"""

from jax_course.exercises.catalogue import EXERCISES, Exercise, load_derivations, load_exercises
from jax_course.exercises.grading import Grade, Outcome, Progress, check, check_all
from jax_course.exercises.line_sheet import line_sheet
from jax_course.exercises.sheet import sheet, solution

__all__ = [
    "EXERCISES",
    "Exercise",
    "Grade",
    "Outcome",
    "Progress",
    "check",
    "check_all",
    "line_sheet",
    "load_derivations",
    "load_exercises",
    "sheet",
    "solution",
]


def __dir__() -> list[str]:
    return __all__
