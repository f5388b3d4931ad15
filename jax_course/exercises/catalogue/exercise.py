"""An exercise: a cost of the course, and the derivative that is asked for."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

ASKED = ("gradient", "hessian", "hessian_product")
KEYWORDS = ("penalty", "variance", "prior_variance")  # the doctor sets these to 0, or doubles them


class Exercise(NamedTuple):
    """A cost, the data it is tried on, and what is asked for: "gradient", "hessian" or "hessian_product".

    An argument of the cost called penalty, variance or prior_variance is told apart from the data by the doctor. An
    array of whole numbers holds indices.
    """

    title: str
    formula: str
    source: str  # "Course 6.1"
    asked: str
    shape: str  # of the answer, in words
    cost: Callable
    problem: Callable[[np.random.Generator], tuple]  # the parameters, and the other arguments of the cost
    hint: str = ""
    solution: Callable | None = None  # the derivative, a function whose source can be shown
    derivation: str = ""  # the name of the way to it, line by line, in `jax_course.derivations`
