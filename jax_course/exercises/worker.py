"""What runs in the process of a student's file: the file, then the doctor."""

import json
import runpy
import sys
import traceback
from pathlib import Path
from typing import Any

import numpy as np

from jax_course import verify
from jax_course.exercises.catalogue import EXERCISES
from jax_course.exercises.grading import Outcome


def main() -> None:
    """Write the verdict on sys.argv[1] to sys.argv[2]."""
    file, verdict = sys.argv[1:3]
    sys.argv = [file]
    Path(verdict).write_text(json.dumps(verdict_on(file)), encoding="utf-8")


def verdict_on(file: str) -> dict[str, Any]:
    """What becomes of the file and of its answer, as `Grade` has it."""
    try:
        answer = runpy.run_path(file, run_name="exercise")
    except SyntaxError as error:
        return _not_run(f"line {error.lineno} is no Python: {error.msg}")
    except SystemExit:
        return _not_run("the file ends the program: it must only define the function that is asked for")
    except BaseException as error:  # whatever it raises, it is no verdict
        return _not_run(f"{_place(error, file)}{type(error).__name__}: {error}")
    name = answer.get("EXERCISE")
    if not isinstance(name, str) or name not in EXERCISES:
        return _not_run(f'EXERCISE must name what is solved, as in EXERCISE = "ridge"; it is {name!r}')
    exercise = EXERCISES[name]
    function = answer.get(exercise.asked)
    if not callable(function):
        return _not_run(f"there must be a function {exercise.asked}; there is none", name)
    params, *arguments = exercise.problem(np.random.default_rng(0))
    try:
        function(params, *arguments, *([params] if exercise.asked == "hessian_product" else []))
    except NotImplementedError:
        return _not_run(f"{exercise.asked} is not written yet", name)
    except SystemExit:
        return _not_run(f"{exercise.asked} ends the program", name)
    except BaseException as error:
        return _not_run(f"{exercise.asked} raised, {_place(error, file)}{type(error).__name__}: {error}", name)
    report = verify.derivatives(exercise.cost, params, *arguments, **{exercise.asked: function})
    outcome = {True: Outcome.RIGHT, False: Outcome.WRONG, None: Outcome.UNDECIDED}[report.ok]
    return {"exercise": name, "outcome": outcome, "message": str(report), "report": json.loads(report.to_json())}


def _not_run(message: str, name: str | None = None) -> dict[str, Any]:
    return {"exercise": name, "outcome": Outcome.NOT_RUN, "message": message, "report": None}


def _place(error: BaseException, file: str) -> str:
    """The last line of the student's that it came through."""
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == file]
    return f"line {lines[-1]}: " if lines else ""
