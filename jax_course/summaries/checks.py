"""A fit and its data, checked: of one of the four models, one solution, and that of these data."""

from types import ModuleType
from typing import Any, NamedTuple

import jax
import numpy as np
from jax import Array

from jax_course import inputs
from jax_course.classification import logistic, softmax
from jax_course.inputs import Problem
from jax_course.inputs.types import ArrayLike
from jax_course.regression import linear, ridge
from jax_course.solution import Solution, Status

MODELS = {linear: "linear", ridge: "ridge", logistic: "logistic", softmax: "softmax"}
ROUNDING = 1000  # units of rounding by which two computations of a residual or of a logarithm may differ


class Fit(NamedTuple):
    """A model, its parameters theta, (d,) or (d, K), the data of the fit, and its status."""

    model: ModuleType
    theta: Array
    problem: Problem
    status: Status

    @property
    def m(self) -> float:
        """Σ w, the number of examples."""
        return count(self.problem)

    @property
    def is_classifier(self) -> bool:
        """Whether y are classes."""
        return self.model in (logistic, softmax)

    @property
    def is_minimum(self) -> bool:
        """Whether theta is a minimiser, if not the only one."""
        return self.status in (Status.CONVERGED, Status.RANK_DEFICIENT)

    @property
    def is_penalized(self) -> bool:
        """Whether a parameter has a penalty."""
        return bool(np.any(np.asarray(self.problem.penalty) > 0))

    def cost(self) -> float:
        """The cost at theta without the penalty."""
        X, y, w, _ = self.problem
        return float(jax.jit(self.model.cost)(self.theta, X, y, weights=w))  # one program, not one for each operation


def checked_fit(
    model: ModuleType, solution: Solution, X: ArrayLike, y: ArrayLike, weights: ArrayLike, penalty: ArrayLike
) -> Fit:
    """The fit of a solution, or an error that says what was expected and what came."""
    name = next((name for known, name in MODELS.items() if known is model), None)
    if name is None:
        got = getattr(model, "__name__", type(model).__name__).rpartition(".")[2]
        raise TypeError(
            f"model must be one of the modules linear, ridge, logistic and softmax; got {got}: of other models "
            "resampling.bootstrap gives intervals"
        )
    if not isinstance(solution, Solution):
        raise TypeError(f"solution must be what {name}.fit returns, a Solution; got {type(solution).__name__}")
    if not all(map(inputs.is_concrete, (*jax.tree.leaves(solution), X, y, weights, penalty))):
        raise TypeError("a summary is read on the host: expected numbers, got what is traced: call it outside of jit")
    if np.ndim(solution.status):
        raise ValueError(
            f"solution must be one; got a batch of shape {np.shape(solution.status)}, from vmap: take solution[0], …"
        )
    theta, problem = _parameters_and_problem(model, solution.theta, X, y, weights, penalty)
    fit = Fit(model, theta, problem, Status(int(np.asarray(solution.status))))
    if model is linear and fit.is_penalized:
        raise ValueError("linear regression has no penalty; got one > 0: of ridge.fit give summary(ridge, …)")
    if fit.is_minimum:
        _refuse_other_data(fit, float(solution.cost))
    return fit


def count(problem: Problem) -> float:
    """Σ w, the number of examples."""
    w = np.asarray(problem.weights, float)
    return float(np.sum(w) if w.ndim else w * len(problem.y))


def _parameters_and_problem(
    model: ModuleType, theta: Any, X: ArrayLike, y: ArrayLike, weights: ArrayLike, penalty: ArrayLike
) -> tuple[Array, Problem]:
    if model is softmax:
        theta, X = inputs.class_scores(theta, X)
        K = theta.shape[1]
        return theta, inputs.classification_problem(X, y, classes=K, weights=weights, penalty=penalty)
    theta, X = inputs.linear(theta, X)
    make = inputs.binary_problem if model is logistic else inputs.regression_problem
    return theta, make(X, y, weights=weights, penalty=penalty)


def _refuse_other_data(fit: Fit, expected: float) -> None:
    """Refuse a solution whose cost is not that of its theta with these data."""
    _, y, w, penalty = map(np.asarray, fit.problem)
    theta = np.asarray(fit.theta)
    found = fit.cost() + float(np.sum(penalty * theta**2))
    # residuals are rounded relative to y, and their cost is a sum of squares; a logarithm relative to 1
    power, size = (1.0, fit.m) if fit.is_classifier else (0.5, float(np.sum(w * y**2)))
    eps = float(np.finfo(theta.dtype).eps)
    if not abs(found**power - expected**power) <= eps**0.5 * expected**power + ROUNDING * eps * size**power:
        raise ValueError(
            f"solution must be that of X, y, weights= and penalty=; with them its theta has a cost of {found:.6g}, "
            f"its own is {expected:.6g}: give those of the fit"
        )
