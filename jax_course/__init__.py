"""A first course in deep learning as pure functions of parameter pytrees: executable, fast, checked.

The packages follow the order of the course. A model is a module: `linear.cost(theta, X, y)`,
`logistic.fit(X, y, penalty=1.0)`; `data` and `features` feed it, `linalg` carries its expensive operations.
`networks` are built of layers; `optimization` minimises any cost of any tree, `train` looks at a few examples at a
time, `verify` judges derivatives.

Modules are imported lazily: each is loaded when its name is first used.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jax_course import (
        data,
        exercises,
        features,
        linalg,
        metrics,
        networks,
        optimization,
        plot,
        resampling,
        scale,
        verify,
    )
    from jax_course.classification import gamma, huber, logistic, poisson, softmax
    from jax_course.compiling import cache_programs
    from jax_course.model_files import load, save
    from jax_course.probability import bernoulli, categorical, gaussian
    from jax_course.regression import kernel, lasso, linear, ridge
    from jax_course.solution import Solution, Status
    from jax_course.summaries import summary
    from jax_course.training import train

__version__ = "0.2.0"

__all__ = [
    "Solution",
    "Status",
    "bernoulli",
    "cache_programs",
    "categorical",
    "data",
    "exercises",
    "features",
    "gamma",
    "gaussian",
    "huber",
    "kernel",
    "lasso",
    "linalg",
    "linear",
    "load",
    "logistic",
    "metrics",
    "networks",
    "optimization",
    "plot",
    "poisson",
    "resampling",
    "ridge",
    "save",
    "scale",
    "softmax",
    "summary",
    "train",
    "verify",
]

_PUBLIC_NAMES = {
    "classification": ("gamma", "huber", "logistic", "poisson", "softmax"),
    "compiling": ("cache_programs",),
    "model_files": ("load", "save"),
    "probability": ("bernoulli", "categorical", "gaussian"),
    "regression": ("kernel", "lasso", "linear", "ridge"),
    "solution": ("Solution", "Status"),
    "summaries": ("summary",),
    "training": ("train",),
}


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    for package, names in _PUBLIC_NAMES.items():
        if name in names:
            home = import_module(f"{__name__}.{package}")
            found = getattr(home, name) if hasattr(home, name) else import_module(f"{home.__name__}.{name}")
            return globals().setdefault(name, found)
    return import_module(f"{__name__}.{name}")


def __dir__() -> list[str]:
    return __all__
