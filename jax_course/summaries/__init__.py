"""The coefficient table of a fit, as statistics programs print it: `jax_course.summary(model, solution, X, y)`.

Estimate, standard error, test and interval of each coefficient; and of the fit m, d, degrees of freedom, R² or
deviance, likelihood, AIC, BIC, the condition of X, and the status in words. As text, HTML and JSON, on the host.
"""

from jax_course.summaries.fits import summary
from jax_course.summaries.record import Summary

__all__ = ["Summary", "summary"]


def __dir__() -> list[str]:
    return __all__
