"""A first course in deep learning as pure functions of parameter pytrees: executable, fast, proven.

The wings stand in the order of the course. A model is a module: `linear.cost(theta, X, y)`,
`logistic.fit(X, y, penalty=1.0)`; `data` and `features` feed it, `linalg` carries its expensive operations.
`networks` are built of layers; `optimization` minimises any cost of any tree, `train` looks at a few examples at a
time, `verify` judges derivatives.
"""

from jax_course import data, features, linalg, networks, optimization, train, verify
from jax_course.classification import logistic, softmax
from jax_course.optimization import Solution, Status
from jax_course.probability import bernoulli, categorical, gaussian
from jax_course.regression import kernel, lasso, linear, ridge

__version__ = "0.1.0"

__all__ = [
    "Solution",
    "Status",
    "bernoulli",
    "categorical",
    "data",
    "features",
    "gaussian",
    "kernel",
    "lasso",
    "linalg",
    "linear",
    "logistic",
    "networks",
    "optimization",
    "ridge",
    "softmax",
    "train",
    "verify",
]
