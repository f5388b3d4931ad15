"""The file that a student fills in."""

import inspect

from jax_course.exercises.catalogue import EXERCISES

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
WHAT = {"gradient": "the gradient", "hessian": "the Hessian", "hessian_product": "the Hessian times v"}


def sheet(name: str) -> str:
    """The text of the file for one of `EXERCISES`: the cost, and the derivative to be written.

    >>> print(sheet("squares").splitlines()[0])
    \"\"\"Least squares. Course 3.2, 7.4.
    """
    if name not in EXERCISES:
        raise ValueError(f"name must be one of {', '.join(EXERCISES)}; got {name!r}")
    exercise = EXERCISES[name]
    parameters = list(inspect.signature(exercise.cost).parameters)
    what = WHAT[exercise.asked]
    return SHEET.format(
        name=name,
        title=exercise.title,
        source=exercise.source,
        formula=exercise.formula,
        what=what,
        what_capital=what[0].upper() + what[1:],
        cost=inspect.getsource(exercise.cost).replace(f"def {exercise.cost.__name__}(", "def cost("),
        asked=exercise.asked,
        parameters=", ".join([*parameters, "v"] if exercise.asked == "hessian_product" else parameters),
        shape=exercise.shape,
    )
