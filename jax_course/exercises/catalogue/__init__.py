"""The exercises: costs of the course, and the derivative that is asked for.

Each cost is written out once more, plainly: the student is shown it, and the doctor compares the answer with it.
"""

import os
import runpy
from typing import Any

from jax_course.derivations import DERIVATIONS, Derivation
from jax_course.exercises.catalogue import classification, networks, optimization, probability, regression
from jax_course.exercises.catalogue.exercise import ASKED, KEYWORDS, Exercise
from jax_course.exercises.line_sheet import is_exercise

__all__ = ["ASKED", "EXERCISES", "KEYWORDS", "Exercise", "load_derivations", "load_exercises"]

PARTS = (regression, probability, optimization, classification, networks)
EXERCISES: dict[str, Exercise] = {name: exercise for part in PARTS for name, exercise in part.EXERCISES.items()}


def load_exercises(file: str | os.PathLike | None = None) -> dict[str, Exercise]:
    """The exercises of a teacher's file: each `Exercise` in it, under its name there; without a file `EXERCISES`.

    Errors: ValueError for a file that cannot be run, that defines neither exercises nor derivations, or that asks for
    none of `ASKED`.
    """
    if file is None:
        return EXERCISES
    defined = _defined(file)
    found = {name: value for name, value in defined.items() if isinstance(value, Exercise)}
    if not found and not any(isinstance(value, Derivation) for value in defined.values()):
        raise ValueError(f"{file} must define an Exercise, as in waves = Exercise(...); it defines none")
    for name, exercise in found.items():
        if exercise.asked not in ASKED:
            raise ValueError(f"{file}: {name} must ask for one of {', '.join(ASKED)}; it asks for {exercise.asked!r}")
    return found


def load_derivations(file: str | os.PathLike | None = None) -> dict[str, Derivation]:
    """The derivations that can be asked for, by their names: those of a teacher's file, without one the course's.

    Errors: ValueError for a file that cannot be run.

    >>> len(load_derivations())
    45
    """
    values = DERIVATIONS if file is None else _defined(file).values()
    return {value.name: value for value in values if isinstance(value, Derivation) and is_exercise(value)}


def _defined(file: str | os.PathLike) -> dict[str, Any]:
    try:
        return runpy.run_path(os.fspath(file), run_name="exercises")
    except Exception as error:
        raise ValueError(f"{file} must define exercises; it raised {type(error).__name__}: {error}") from error
