"""Fits on samples drawn from the data: the bootstrap and the jackknife."""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array, random

from jax_course import inputs
from jax_course.inputs.types import ArrayLike
from jax_course.resampling.batches import batched, number_of_draws, refuse_without_weights, training_data


class Bootstrap(NamedTuple):
    """estimate: the fit on the data. replicates: the fits on the draws from it, with a leading axis."""

    estimate: Any
    replicates: Any


def bootstrap(
    key: Array, fit: Callable[..., Any], X: ArrayLike, y: ArrayLike, *, draws: int, progress: bool = False
) -> Bootstrap:
    """Fits on `draws` samples of m examples, drawn from the m with replacement. Efron & Tibshirani (1993) 9.5.

    The estimate and the replicates are whatever fit returns, a `Solution` or a tree of your own. Standard errors are
    `jnp.std(result.replicates.theta, axis=0, ddof=1)`. A sample can lack what the data have, such as a class: look at
    `result.replicates.status`. progress: a bar on stderr, which moves after each batch (needs rich). TypeError,
    ValueError: fit takes no weights, draws is no whole number from 1 on.

    >>> from jax_course import linear
    >>> X, y = jnp.ones((4, 1)), jnp.array([1.0, 3.0, 5.0, 7.0])
    >>> result = bootstrap(jax.random.key(0), linear.fit, X, y, draws=100)
    >>> result.estimate.theta, result.replicates.theta.shape
    (Array([4.], dtype=float64), (100, 1))
    """
    refuse_without_weights(fit)
    X, y = training_data(X, y)

    def replicate(key: Array) -> Any:
        return fit(X, y, weights=_counts(key, len(X), X.dtype))

    keys = random.split(inputs.random_key(key, "key"), number_of_draws(draws))
    return Bootstrap(fit(X, y, weights=jnp.ones(len(X), X.dtype)), batched(replicate, keys, X, progress))


@partial(jax.jit, static_argnums=(1, 2))
def _counts(key: Array, m: int, dtype: Any) -> Array:
    """How often each of m examples is drawn in m draws with replacement."""
    return jnp.zeros(m, dtype).at[random.randint(key, (m,), 0, m)].add(1)


def jackknife(fit: Callable[..., Any], X: ArrayLike, y: ArrayLike, *, progress: bool = False) -> Any:
    """The fits without one example each, with a leading axis m. Efron & Tibshirani (1993) 11.2.

    progress and errors: as of `bootstrap`.

    >>> from jax_course import linear
    >>> jackknife(linear.fit, jnp.ones((3, 1)), jnp.array([1.0, 3.0, 5.0])).theta[:, 0]
    Array([4., 3., 2.], dtype=float64)
    """
    refuse_without_weights(fit)
    X, y = training_data(X, y)
    if len(X) < 2:
        raise ValueError("X must have at least two rows, so that one can be left out; got 1")
    return batched(lambda i: fit(X, y, weights=_all_but(i, len(X), X.dtype)), jnp.arange(len(X)), X, progress)


@partial(jax.jit, static_argnums=(1, 2))
def _all_but(i: Array, m: int, dtype: Any) -> Array:
    return (jnp.arange(m) != i).astype(dtype)
