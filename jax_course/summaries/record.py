"""The record of a fit for people who read coefficient tables: numbers, text, HTML and JSON."""

import json
import math
from typing import Any, NamedTuple

import numpy as np

from jax_course.probability.intervals import Interval
from jax_course.solution import Status
from jax_course.summaries import layout
from jax_course.summaries.layout import Block, Layout

TITLES = {
    "linear": "Linear regression",
    "ridge": "Ridge regression",
    "logistic": "Logistic regression",
    "softmax": "Softmax regression",
}


class Summary(NamedTuple):
    """The coefficients of a fit with their errors, and the numbers of the fit as a whole.

    model: "linear", "ridge", "logistic" or "softmax". names (d,): of the columns of X. class_names (K,), of a
    regression none; reference: the number of the class that the others are compared with.
    estimates, standard_errors, statistics (estimate by error), p_values, interval (of the confidence given): each of
    shape (d,), of softmax (d, K − 1), a column for each class but the reference. NaN where an error is not known.
    m: Σ of the weights, the number of examples. d: columns of X. degrees_of_freedom: of the fit, the rank of X, of
    softmax times K − 1, with a penalty the trace of the hat matrix; residual_degrees_of_freedom: m less these.
    r_squared, adjusted_r_squared: of a regression; about the mean of y where has_constant, else about 0. deviance,
    null_deviance: of a classification. NaN where a model has no such number.
    condition: the condition number of X, rows times √ of their weights. status: the fit's. notes: sentences, what has
    to be known to read the numbers.
    """

    model: str
    names: tuple[str, ...]
    class_names: tuple[str, ...]
    reference: int
    estimates: np.ndarray
    standard_errors: np.ndarray
    statistics: np.ndarray
    p_values: np.ndarray
    interval: Interval
    confidence: float
    m: float
    d: int
    degrees_of_freedom: float
    residual_degrees_of_freedom: float
    has_constant: bool
    r_squared: float
    adjusted_r_squared: float
    deviance: float
    null_deviance: float
    log_likelihood: float
    aic: float
    bic: float
    condition: float
    status: Status
    notes: tuple[str, ...]

    def __str__(self) -> str:
        return layout.text(_layout(self))

    def _repr_html_(self) -> str:
        """The tables of a notebook."""
        return layout.markup(_layout(self))

    def to_json(self) -> str:
        """All of it as a JSON object: the keys are the names of the fields; null what is not finite."""
        fields = self._asdict() | {"status": self.status.name, "interval": self.interval._asdict()}
        return json.dumps(_plain(fields), indent=2, ensure_ascii=False)


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(part) for key, part in value.items()}
    if isinstance(value, tuple | list):
        return [_plain(part) for part in value]
    if isinstance(value, np.ndarray):
        return _plain(value.tolist())
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _layout(summary: Summary) -> Layout:
    is_regression = summary.model in ("linear", "ridge")
    letter = "t" if is_regression else "z"
    columns = [("estimate", layout.number, summary.estimates)]
    if np.isfinite(summary.standard_errors).any():
        lower, upper = summary.interval
        columns += [
            ("std. error", layout.number, summary.standard_errors),
            (letter, layout.number, summary.statistics),
            ("p-value", layout.probability, summary.p_values),
            (f"{100 * summary.confidence:g} % from", layout.number, lower),
            ("to", layout.number, upper),
        ]
    header = ("", *(name for name, _, _ in columns))
    blocks = []
    others = [name for k, name in enumerate(summary.class_names) if k != summary.reference]
    for k in range(math.prod(summary.estimates.shape[1:])):
        shown = [[show(v) for v in np.asarray(values).reshape(summary.d, -1)[:, k]] for _, show, values in columns]
        heading = f"{others[k]} against {summary.class_names[summary.reference]}" if others else ""
        blocks.append(Block(heading, tuple(zip(summary.names, *shown, strict=True))))
    return Layout(TITLES[summary.model], _facts(summary, is_regression), header, tuple(blocks), summary.notes)


def _facts(summary: Summary, is_regression: bool) -> tuple[tuple[str, str], ...]:
    about = "mean" if summary.has_constant else "0"
    fit = (
        (f"R², about {about}", f"{summary.r_squared:.4f}"),
        ("adjusted R²", f"{summary.adjusted_r_squared:.4f}"),
    )
    if not is_regression:
        fit = ("deviance", layout.total(summary.deviance)), ("null deviance", layout.total(summary.null_deviance))
    return (
        ("examples m", f"{summary.m:g}"),
        ("columns d", f"{summary.d}"),
        ("degrees of freedom", f"{summary.degrees_of_freedom:.6g}"),
        ("of the residual", f"{summary.residual_degrees_of_freedom:.6g}"),
        ("condition of X", layout.number(summary.condition)),
        ("status", summary.status.name),
        *fit,
        ("log-likelihood", layout.total(summary.log_likelihood)),
        ("AIC", layout.total(summary.aic)),
        ("BIC", layout.total(summary.bic)),
    )
