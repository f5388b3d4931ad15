"""The file that a student fills in."""

import inspect
from collections.abc import Callable

from jax_course.exercises.catalogue import EXERCISES, Exercise

SHEET = '''"""{title}. {source}.

    {formula}

Write {what} below, with NumPy or jax.numpy; then

    python -m jax_course.exercises check THIS_FILE
"""

import jax.numpy as jnp
import numpy as np

EXERCISE = "{name}"


{cost}

def {asked}({parameters}):
    """{what_capital}: {shape}."""
    raise NotImplementedError("your formula goes here")
'''
DERIVATIVES = {"gradient": "the gradient", "hessian": "the Hessian", "hessian_product": "the Hessian times v"}


def sheet(name: str, exercises: dict[str, Exercise] = EXERCISES) -> str:
    """The text of the file for one of the exercises: the cost, and the derivative to be written.

    >>> print(sheet("squares").splitlines()[0])
    \"\"\"Least squares. Course 3.2, 7.4.
    """
    exercise = _named(name, exercises)
    parameters = list(inspect.signature(exercise.cost).parameters)
    what = DERIVATIVES[exercise.asked]
    return SHEET.format(
        name=name,
        title=exercise.title,
        source=exercise.source,
        formula=exercise.formula,
        what=what,
        what_capital=what[0].upper() + what[1:],
        cost=_source(exercise.cost, "cost"),
        asked=exercise.asked,
        parameters=", ".join([*parameters, "v"] if exercise.asked == "hessian_product" else parameters),
        shape=exercise.shape,
    )


def solution(name: str, exercises: dict[str, Exercise] = EXERCISES) -> str:
    """The text of a right answer; "" where the exercise has none.

    >>> print(solution("squares"), end="")
    def gradient(theta, X, y):
        \"\"\"2Xᵀ(Xθ − y), shape (d,).\"\"\"
        return 2 * X.T @ (X @ theta - y)
    """
    exercise = _named(name, exercises)
    return "" if exercise.solution is None else _source(exercise.solution, exercise.asked)


def _named(name: str, exercises: dict[str, Exercise]) -> Exercise:
    if name not in exercises:
        raise ValueError(f"name must be one of {', '.join(exercises)}; got {name!r}")
    return exercises[name]


def _source(function: Callable, name: str) -> str:
    return inspect.getsource(function).replace(f"def {function.__name__}(", f"def {name}(", 1)
