"""The exercises: costs of the course, and the derivative that is asked for.

Each cost is written out once more, plainly: the student is shown it, and the doctor compares the answer with it.
"""

import os
import runpy

from jax_course.exercises.catalogue import classification, networks, optimization, probability, regression
from jax_course.exercises.catalogue.exercise import ASKED, KEYWORDS, Exercise

__all__ = ["ASKED", "EXERCISES", "KEYWORDS", "Exercise", "load_exercises"]

PARTS = (regression, probability, optimization, classification, networks)
EXERCISES: dict[str, Exercise] = {name: exercise for part in PARTS for name, exercise in part.EXERCISES.items()}


def load_exercises(file: str | os.PathLike | None = None) -> dict[str, Exercise]:
    """The exercises of a teacher's file: each `Exercise` in it, under its name there; without one `EXERCISES`.

    Errors: ValueError for a file that cannot be run, defines none, or asks for none of `ASKED`.
    """
    if file is None:
        return EXERCISES
    try:
        defined = runpy.run_path(os.fspath(file), run_name="exercises")
    except Exception as error:
        raise ValueError(f"{file} must define exercises; it raised {type(error).__name__}: {error}") from error
    found = {name: value for name, value in defined.items() if isinstance(value, Exercise)}
    if not found:
        raise ValueError(f"{file} must define an Exercise, as in waves = Exercise(...); it defines none")
    for name, exercise in found.items():
        if exercise.asked not in ASKED:
            raise ValueError(f"{file}: {name} must ask for one of {', '.join(ASKED)}; it asks for {exercise.asked!r}")
    return found
