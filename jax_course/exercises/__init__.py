"""Exercises: derive a gradient or a Hessian of the course, and have the derivative doctor look at it.

`python -m jax_course.exercises list`, `show NAME > mine.py`, `check mine.py`, and with `--hint` or `--solution`.
"""

from jax_course.exercises.catalogue import EXERCISES, Exercise, load_exercises
from jax_course.exercises.grading import Grade, Outcome, check, check_all
from jax_course.exercises.sheet import sheet, solution

__all__ = ["EXERCISES", "Exercise", "Grade", "Outcome", "check", "check_all", "load_exercises", "sheet", "solution"]


def __dir__() -> list[str]:
    return __all__
