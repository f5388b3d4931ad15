"""The process of a student's file: it runs the file, then the doctor."""

import contextlib
import inspect
import json
import runpy
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np

from jax_course import verify
from jax_course.compiling import compile_fast
from jax_course.derivations import Derivation
from jax_course.exercises.autodiff import autodiff_calls
from jax_course.exercises.catalogue import KEYWORDS, Exercise, load_derivations, load_exercises
from jax_course.exercises.feedback import advice
from jax_course.exercises.grading import Outcome
from jax_course.exercises.line_answers import verdict_on_lines


def main() -> None:
    """Write the verdict on sys.argv[1] to sys.argv[2]; sys.argv[3], if there is one, is a file with exercises."""
    file, verdict, *own = sys.argv[1:4]
    sys.argv = [file]
    compile_fast()
    Path(verdict).write_text(json.dumps(verdict_on(file, *own)), encoding="utf-8")


def verdict_on(file: str, own: str | None = None) -> dict[str, Any]:
    """The fields of the `Grade` of the file's answer; `own`: a file with a teacher's exercises."""
    exercises, derivations = load_exercises(own), load_derivations(own)
    with autodiff_calls(file) as names:
        found = _verdict(file, exercises, derivations)
    return found | {"autodiff": sorted(names)}


def _verdict(file: str, exercises: dict[str, Exercise], derivations: dict[str, Derivation]) -> dict[str, Any]:
    try:
        answer = runpy.run_path(file, run_name="exercise")
    except SyntaxError as error:
        return _not_run(f"line {error.lineno} is no Python: {error.msg}")
    except SystemExit:
        return _not_run("the file ends the program: it must only define the function that is asked for")
    except BaseException as error:  # whatever it raises, it is no verdict
        return _not_run(f"{_place(error, file)}{type(error).__name__}: {error}")
    if "DERIVATION" in answer:
        name = answer["DERIVATION"]
        if not isinstance(name, str) or name not in derivations:
            return _not_run(
                f'DERIVATION must name what is derived, as in DERIVATION = "logistic_gradient"; it is {name!r}'
            )
        return verdict_on_lines(answer.get("LINES"), derivations[name])
    name = answer.get("EXERCISE")
    if not isinstance(name, str) or name not in exercises:
        return _not_run(f'EXERCISE must name what is solved, as in EXERCISE = "ridge"; it is {name!r}')
    exercise = exercises[name]
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
    arguments, keywords, called = as_the_doctor_calls(exercise, arguments, function)
    report = verify.derivatives(exercise.cost, params, *arguments, **{exercise.asked: called}, **keywords)
    outcome = {True: Outcome.RIGHT, False: Outcome.WRONG, None: Outcome.UNDECIDED}[report.ok]
    told = json.loads(report.to_json())
    leaves = tuple(params) if isinstance(params, dict) else ()
    advised = advice(told, leaves) if outcome is Outcome.WRONG else ""
    return {"exercise": name, "outcome": outcome, "message": str(report), "report": told, "advice": advised,
            "progress": None}  # fmt: skip


def as_the_doctor_calls(exercise: Exercise, arguments: list, function: Callable) -> tuple[list, dict, Callable]:
    """The positional arguments and the keywords for the doctor, and the student's function with these arguments.

    The doctor sets a keyword to 0, or doubles it, and so tells the penalty's part of a derivative from the data's. The
    student's function is called by position, whatever it calls its parameters; a list of numbers counts as an array.
    """
    names = list(inspect.signature(exercise.cost).parameters)[1:]
    keywords = {name: value for name, value in zip(names, arguments, strict=True) if name in KEYWORDS}
    others = [value for name, value in zip(names, arguments, strict=True) if name not in keywords]

    def answer(params: Any, *positional: Any, **keywords: Any) -> Any:
        left, v = iter(positional[: len(others)]), positional[len(others) :]
        in_order = [keywords[name] if name in keywords else next(left) for name in names]
        return _as_arrays(params, function(params, *in_order, *v))

    return others, keywords, answer


def _as_arrays(params: Any, output: Any) -> Any:
    """A list of numbers as an array, where the parameters have an array."""
    if isinstance(params, dict) and isinstance(output, dict):
        return {name: _as_arrays(params.get(name), leaf) for name, leaf in output.items()}
    if not isinstance(output, list) or not getattr(params, "shape", ()):
        return output
    for make in (np.asarray, jnp.asarray):  # jnp where the numbers are being traced
        with contextlib.suppress(ValueError, TypeError):
            if (array := make(output)).dtype.kind in "fiu":
                return array
    return output


def _not_run(message: str, name: str | None = None) -> dict[str, Any]:
    return {"exercise": name, "outcome": Outcome.NOT_RUN, "message": message, "report": None, "advice": "",
            "progress": None}  # fmt: skip


def _place(error: BaseException, file: str) -> str:
    """The last line of the student's that it came through."""
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == file]
    return f"line {lines[-1]}: " if lines else ""
