"""Random problems for the models, in which mistakes are planted."""

from typing import Any, NamedTuple

import numpy as np

CLASSES = 4
# Decades that the units of the features span, half of them below the unit of the bias.
BADLY_SCALED = 6.0
WIDE = (8.0, 12.0, 18.0)


class Problem(NamedTuple):
    """Arguments and keywords for a model."""

    theta: np.ndarray
    X: np.ndarray
    y: np.ndarray
    keywords: dict[str, Any]


def problem(model: str, d: int, seed: int, *, decades: float) -> Problem:
    """A random problem with a column of ones in front; the penalty spares the bias.

    decades: the powers of ten that the units of the features span, the last one at the lower end; 0 if all are alike.
    """
    rng = np.random.default_rng([seed, d])
    m = 12 if d <= 30 else 24
    units = 10.0 ** rng.uniform(-decades / 2, decades / 2, d - 1) if decades else np.ones(d - 1)
    units[-1] = 10.0 ** (-decades / 2)
    X = np.concatenate([np.ones((m, 1)), rng.standard_normal((m, d - 1)) * units], axis=1)
    shape = (d, CLASSES) if model == "softmax" else (d,)
    theta = rng.standard_normal(shape) / np.concatenate([[1.0], units]).reshape((-1,) + (1,) * (len(shape) - 1))
    y = {"linear": rng.standard_normal(m), "ridge": rng.standard_normal(m), "logistic": np.arange(m) % 2,
         "softmax": np.arange(m) % CLASSES}[model]  # fmt: skip
    penalty = np.full((d, 1) if model == "softmax" else d, 0.3)
    penalty[0] = 0
    if decades:  # in units that fit, or no precision could see it
        penalty[1:] *= (units**2).reshape(penalty[1:].shape)
    return Problem(theta / np.sqrt(d), X, y, {} if model == "linear" else {"penalty": penalty})
