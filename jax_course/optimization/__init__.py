"""Optimization (course 7): solvers take functions of theta and return a `Solution`, as the fits of models do."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from jax_course.optimization.gradient_methods import gradient_descent, nonlinear_cg
from jax_course.optimization.newton import newton
from jax_course.optimization.newton_cg import newton_cg
from jax_course.optimization.proximal import (
    accelerated_proximal_gradient,
    projected_gradient,
    proximal_gradient,
    soft_threshold,
)
from jax_course.optimization.quasi_newton import bfgs, lbfgs
from jax_course.optimization.run import Trajectory, trace
from jax_course.optimization.step_rules import Backtracking, ExactStep, FixedStep, StrongWolfe
from jax_course.solution import Evaluations, NotSolved, Solution, Status

if TYPE_CHECKING:
    from jax_course.optimization import optimizers

__all__ = [
    "Backtracking",
    "Evaluations",
    "ExactStep",
    "FixedStep",
    "NotSolved",
    "Solution",
    "Status",
    "StrongWolfe",
    "Trajectory",
    "accelerated_proximal_gradient",
    "bfgs",
    "gradient_descent",
    "lbfgs",
    "newton",
    "newton_cg",
    "nonlinear_cg",
    "optimizers",
    "projected_gradient",
    "proximal_gradient",
    "soft_threshold",
    "trace",
]


def __dir__() -> list[str]:
    return __all__


def __getattr__(name: str) -> Any:
    if name != "optimizers":  # it imports optax, which no fit needs
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return import_module(f"{__name__}.optimizers")
