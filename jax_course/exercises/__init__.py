"""Exercises: derive a gradient or a Hessian of the course, and have the derivative doctor look at it.

`python -m jax_course.exercises list`, `show NAME > mine.py`, `check mine.py`.
"""

from jax_course.exercises.catalogue import EXERCISES, Exercise
from jax_course.exercises.grading import Grade, Outcome, check
from jax_course.exercises.sheet import sheet

__all__ = ["EXERCISES", "Exercise", "Grade", "Outcome", "check", "sheet"]


def __dir__() -> list[str]:
    return __all__
