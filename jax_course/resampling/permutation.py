"""Permutation tests: a statistic beside its distribution where y does not depend on X."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array, random

from jax_course import inputs
from jax_course.inputs.types import ArrayLike
from jax_course.resampling.batches import batched, number_of_draws, training_data


class PermutationTest(NamedTuple):
    """statistic: of the data. null_distribution (draws, ...): of the permuted data. p_value: like the statistic."""

    statistic: Array
    null_distribution: Array
    p_value: Array


def permutation_test(
    key: Array,
    statistic: Callable[[Array, Array], ArrayLike],
    X: ArrayLike,
    y: ArrayLike,
    *,
    draws: int,
    progress: bool = False,
) -> PermutationTest:
    """Whether y depends on X: the statistic beside those of `draws` random orders of y. Davison & Hinkley (1997) 4.3.

    statistic(X, y), of any shape, is large where y depends on X: the absolute value of a slope or of a difference of
    means, minus the cost of a fit. p_value = (1 + #{as large or larger}) / (1 + draws), so never 0; what is equal but
    for rounding counts as well. NaN where a statistic is NaN. progress: as of `bootstrap`. TypeError, ValueError: X and
    y have different lengths, or draws is no whole number from 1 on.

    >>> X, y = jnp.arange(8.0)[:, None], jnp.arange(8.0)
    >>> permutation_test(jax.random.key(0), lambda X, y: jnp.abs(X[:, 0] @ y), X, y, draws=99).p_value
    Array(0.01, dtype=float64)
    """
    if not callable(statistic):
        raise TypeError(f"statistic must be a function of X and y; got {type(statistic).__name__}")
    X, y = training_data(X, y)

    def permuted(key: Array) -> Array:
        return _floating(statistic(X, _permutation(key, y)))

    keys = random.split(inputs.random_key(key, "key"), number_of_draws(draws))
    return _permutation_test(_floating(statistic(X, y)), batched(permuted, keys, X, progress))


@jax.jit
def _permutation(key: Array, y: Array) -> Array:
    return random.permutation(key, y)


@jax.jit
def _permutation_test(observed: Array, null: Array) -> PermutationTest:
    rounding = 100 * jnp.finfo(observed.dtype).eps * jnp.abs(observed)
    as_large = jnp.sum(null >= (observed - rounding)[None], axis=0)
    p = (1 + as_large).astype(observed.dtype) / (1 + len(null))
    return PermutationTest(
        observed, null, jnp.where(jnp.isnan(observed) | jnp.any(jnp.isnan(null), axis=0), jnp.nan, p)
    )


def _floating(statistic: ArrayLike) -> Array:
    values = inputs.as_array(statistic, "statistic(X, y)")
    return values if jnp.issubdtype(values.dtype, jnp.floating) else values.astype(float)
