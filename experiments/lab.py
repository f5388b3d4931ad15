"""What experiments have in common: their result, the proof of a model's derivatives, and the look of their figures."""

from collections.abc import Mapping
from functools import partial
from types import ModuleType
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from matplotlib.figure import Figure

from jax_course import Solution, Status

# Okabe and Ito's palette: told apart by colour-blind readers too. One colour per meaning in all figures.
DATA, FIT, TRUTH, SECOND, MUTED = "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#999999"
CLASSES = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")

STYLE: dict[Any, Any] = {
    "figure.dpi": 120,
    "savefig.bbox": "tight",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.alpha": 0.25,
    "axes.titlesize": "medium",
    "legend.frameon": False,
    "svg.hashsalt": "jax_course",
}


class Proof(NamedTuple):
    """How far a hand-derived derivative is from autodiff's on this data, in units of its largest entry."""

    of: str
    error: float
    holds: bool


class Fit(NamedTuple):
    """A fitted model in one row."""

    model: str
    data: str
    score: str
    status: str
    steps: int


class Picture(NamedTuple):
    """A figure and the sentence that says what to see in it."""

    figure: Figure
    caption: str


class Result(NamedTuple):
    """What an experiment found: pictures and numbers by name, proofs, fits."""

    pictures: Mapping[str, Picture]
    numbers: Mapping[str, Any]
    proofs: tuple[Proof, ...]
    fits: tuple[Fit, ...]


def prove(name: str, model: ModuleType, theta: Array, X: Array, y: Array, **hyper: Any) -> tuple[Proof, ...]:
    """Compare gradient, Hessian and Hessian product of a model with autodiff's at theta, and at a point beside it.

    Beside it, because at the minimum the gradient is rounding and would agree with anything as small.
    """
    cost = partial(model.cost, **hyper)
    v = jnp.cos(jnp.arange(theta.size, dtype=theta.dtype)).reshape(theta.shape)
    beside = theta + 0.1 * v * jnp.maximum(jnp.max(jnp.abs(theta)), 1)

    @jax.jit
    def errors(theta):
        by_autodiff = {
            "gradient": jax.grad(cost)(theta, X, y),
            "hessian": jax.hessian(cost)(theta, X, y),
            "hessian_product": jax.jvp(lambda t: jax.grad(cost)(t, X, y), (theta,), (v,))[1],
        }
        by_hand = {
            "gradient": model.gradient(theta, X, y, **hyper),
            "hessian": model.hessian(theta, X, y, **hyper),
            "hessian_product": model.hessian_product(theta, X, y, v, **hyper),
        }
        return {verb: relative_error(by_hand[verb], by_autodiff[verb]) for verb in by_hand}

    bound = 1e-11 if theta.dtype == np.float64 else 1e-4
    return tuple(Proof(f"{name}.{verb}", float(error), bool(error < bound)) for verb, error in errors(beside).items())


def relative_error(hand: Array, reference: Array) -> Array:
    """The largest difference in units of the largest entry of the reference."""
    return jnp.max(jnp.abs(hand - reference)) / jnp.max(jnp.abs(reference))


def fitted(model: str, data: str, score: str, solution: Solution) -> Fit:
    """The row of a fit in the closing table."""
    status = Status(int(solution.status)).name.replace("_", " ").lower()
    return Fit(model, data, score, status, int(solution.steps))
