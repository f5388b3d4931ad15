"""The summary of a fit: `summary`."""

from collections.abc import Iterable
from types import ModuleType
from typing import Any

import numpy as np

from jax_course import inputs
from jax_course.classification import softmax
from jax_course.inputs.types import ArrayLike
from jax_course.solution import Solution
from jax_course.summaries.checks import MODELS, Fit, checked_fit
from jax_course.summaries.coefficients import coefficients
from jax_course.summaries.goodness import condition_number, goodness
from jax_course.summaries.record import Summary


def summary(
    model: ModuleType,
    solution: Solution,
    X: ArrayLike,
    y: ArrayLike,
    *,
    names: Iterable[str] | None = None,
    weights: ArrayLike = 1.0,
    penalty: ArrayLike = 0.0,
    confidence: ArrayLike = 0.95,
    covariance: ArrayLike | None = None,
    reference: int = 0,
    class_names: Iterable[Any] | None = None,
) -> Summary:
    """The coefficient table of a fit of `linear`, `ridge`, `logistic` or `softmax`, to print, to show, to save.

    X (m, d), y (m,), weights and penalty: those of the fit, or ValueError. names (d,): of the columns; those of a data
    frame X, else x0, x1, …  class_names (K,): of the classes 0…K−1, else these numbers. confidence: of the intervals.
    covariance: (d, d), of softmax (d, K, d, K), in the place of the model's own: `linear.covariance_hc3(theta, X, y)`.
    reference: the class with which softmax compares the others.

    Tests are Student's t in linear regression and Wald's z in the others. With a penalty there are none: estimates are
    biased. Where theta is not unique or no minimum, errors are NaN and a note says why.

    An example of weight w counts as w examples, also in m = Σ w and all degrees of freedom: freq_weights of
    statsmodels' GLM. The weights of its WLS are another thing: inverse variances, of m rows.

    Works outside of jit only. Three points y = 0, 3, 0 at x = −1, 0, 1: θ = (1, 0), σ² = 6, one degree of freedom.

    >>> from jax_course import linear
    >>> X, y = jnp.array([[1.0, -1.0], [1.0, 0.0], [1.0, 1.0]]), jnp.array([0.0, 3.0, 0.0])
    >>> table = summary(linear, linear.fit(X, y), X, y, names=["bias", "x"])
    >>> (table.standard_errors**2).round(12), table.r_squared, table.residual_degrees_of_freedom
    (array([2., 3.]), 0.0, 1.0)
    """
    if names is None and hasattr(X, "columns"):
        names = map(str, X.columns)  # pyright: ignore[reportAttributeAccessIssue]
    fit = checked_fit(model, solution, X, y, weights, penalty)
    names, class_names = _column_names(names, fit), _class_names(class_names, fit)
    found = goodness(fit)
    residual = fit.m - found.degrees_of_freedom
    rows, notes = coefficients(fit, residual, confidence, covariance, _checked_reference(fit, reference))
    return Summary(
        MODELS[model],
        names,
        class_names,
        int(reference),
        *rows,
        float(np.asarray(confidence)),
        fit.m,
        fit.problem.X.shape[1],
        found.degrees_of_freedom,
        residual,
        *found[1:],
        condition_number(fit),
        fit.status,
        (*notes, *_reading(fit, found.has_constant)),
    )


def _reading(fit: Fit, has_constant: bool) -> tuple[str, ...]:
    """Sentences that say what numbers mean."""
    notes = []
    if fit.is_classifier:
        notes.append("An estimate is the change of the log odds when the column grows by 1.")
    elif not has_constant:
        notes.append("X has no constant column: R² is that of y about 0, not about its mean, and is larger.")
    if fit.is_penalized:
        notes.append("Degrees of freedom with a penalty: the trace of the hat matrix.")
    if np.any(np.asarray(fit.problem.weights) != 1):
        notes.append("An example of weight w counts as w examples: m is the sum of the weights.")
    return tuple(notes)


def _column_names(names: Iterable[str] | None, fit: Fit) -> tuple[str, ...]:
    d = fit.problem.X.shape[1]
    if names is None:
        return tuple(f"x{j}" for j in range(d))
    found = _strings(names)
    if len(found) != d:
        hint = ": with a column of ones before them names=['bias', *names]" if len(found) == d - 1 else ""
        raise ValueError(f"names must be {d} strings, one for each column of X; got {len(found)}{hint}")
    return found


def _class_names(names: Iterable[Any] | None, fit: Fit) -> tuple[str, ...]:
    if not fit.is_classifier:
        if names is not None:
            raise ValueError(f"class_names are those of a classification; {MODELS[fit.model]} regression has none")
        return ()
    K = fit.theta.shape[1] if fit.model is softmax else 2
    if names is None:
        return tuple(f"class {k}" for k in range(K))
    found = tuple(map(str, np.atleast_1d(np.asarray(names)).tolist()))
    if len(found) != K:
        raise ValueError(f"class_names must be {K}, one for each class 0…{K - 1}; got {len(found)}")
    return found


def _strings(names: Iterable[str]) -> tuple[str, ...]:
    if isinstance(names, str) or not isinstance(names, Iterable):
        raise TypeError(f"names must be strings, one for each column of X; got {type(names).__name__}")
    found = tuple(names)
    wrong = next((name for name in found if not isinstance(name, str)), None)
    if wrong is not None:
        raise TypeError(f"names must be strings; one of them is {wrong!r}")
    return tuple(map(str, found))


def _checked_reference(fit: Fit, reference: int) -> int:
    if fit.model is softmax:
        return inputs.class_number(reference, fit.theta)
    if inputs.whole(reference, "reference") != 0:
        raise ValueError(f"reference is a class of softmax regression; {MODELS[fit.model]} regression has none")
    return 0
