"""Figures of what was fitted, in one style: a function for each, Axes of matplotlib in, Axes out.

    coefficients(estimates, interval), residuals(y, predicted), path(penalties, thetas), bands(x, predicted, intervals)
    calibration(y, pi), roc(y, scores), confusion(C), boundary(predict, X, y)
    history(values)

They draw arrays and fit nothing. Each takes `ax`, the Axes to draw on, and makes a figure where there is none;
settings of the caller are left alone, and titles, labels and limits can be changed on the Axes that it returns.
matplotlib comes with the extra `plot`: pip install 'jax-course[plot]'.
"""

from jax_course.plot.classification import boundary, calibration, confusion, roc
from jax_course.plot.regression import bands, coefficients, path, residuals
from jax_course.plot.training import history

__all__ = ["bands", "boundary", "calibration", "coefficients", "confusion", "history", "path", "residuals", "roc"]


def __dir__() -> list[str]:
    return __all__
