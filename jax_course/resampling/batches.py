"""Many fits together: by one vmap, or in batches."""

import inspect
import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array

from jax_course import inputs
from jax_course.inputs.types import ArrayLike
from jax_course.progress import bar

LARGEST_BATCH = 2**24  # numbers: of X times the fits that are computed together; 128 MB in float64


def batched(function: Callable[[Any], Any], members: Array, X: Array, progress: bool) -> Any:
    """The function of each member, by one vmap, or several where X for all of them would not fit in memory.

    progress: a bar that moves after each of them.
    """
    n = len(members)
    batches = math.ceil(n / max(1, LARGEST_BATCH // X.size))
    size = math.ceil(n / batches)
    members = jnp.concatenate([members, members[: batches * size - n]])  # all of one size: one program
    parts = []
    with bar(progress, n, "fit") as show:
        for i in range(batches):
            part = jax.vmap(function)(members[i * size : (i + 1) * size])
            parts.append(jax.block_until_ready(part) if progress else part)
            show(min(n, (i + 1) * size))
    return parts[0] if batches == 1 else jax.tree.map(lambda *leaves: jnp.concatenate(leaves)[:n], *parts)


def refuse_without_weights(fit: Callable[..., Any]) -> None:
    """Refuse a fit that takes no weights."""
    if not callable(fit):
        raise TypeError(f"fit must be a function fit(X, y, weights=w), as linear.fit is; got {type(fit).__name__}")
    parameters = inspect.signature(fit).parameters
    if "weights" not in parameters and not any(p.kind is p.VAR_KEYWORD for p in parameters.values()):
        name = f"{fit.__module__}.{fit.__qualname__}" if inspect.isfunction(fit) else repr(fit)
        raise TypeError(
            "fit must take weights of the examples, fit(X, y, weights=w), as linear, ridge, logistic and softmax do; "
            f"got {name}({', '.join(parameters)})"
        )


def training_data(X: ArrayLike, y: ArrayLike) -> tuple[Array, Array]:
    """X (m, d), finite, and y (m,)."""
    X = inputs.training_design(X)
    return X, inputs.one_per_row(y, X)


def number_of_draws(draws: int) -> int:
    """The number; refused where it is no whole number from 1 on."""
    if inputs.whole(draws, "draws") < 1:
        raise ValueError(f"draws must be at least 1; got {draws}")
    return int(draws)
