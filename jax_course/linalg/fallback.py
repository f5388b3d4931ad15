"""Several methods for one result, the cheapest first, each of which says whether its result is accepted."""

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array, lax
from jax.core import Tracer

from jax_course.members import is_true_for_all
from jax_course.tiers import compiled


def first_accepted(*methods: Callable[[], tuple[Any, Array]], otherwise: Callable[[], Any]) -> Any:
    """The result of the first method that accepts its own; methods give (result, accepted), `otherwise` gives a result.

    Outside jit a later method is compiled only if an earlier one was rejected, under `jax.vmap` for some member; each
    member gets the first result that it accepts. Under jit all methods become branches of `lax.cond`.

    >>> first_accepted(lambda: (1, jnp.array(False)), lambda: (2, jnp.array(True)), otherwise=lambda: 3)
    2
    """
    return _first_accepted(methods, otherwise, None)


def _first_accepted(
    methods: tuple[Callable[[], tuple[Any, Array]], ...], otherwise: Callable[[], Any], done: Array | None
) -> Any:
    """`first_accepted`; the members of a batch that are done have their result and compile nothing further."""
    if not methods:
        return otherwise()
    found, accepted = methods[0]()
    needed = accepted if done is None else accepted | done
    known = is_true_for_all(needed)
    if known is None:
        return lax.cond(accepted, lambda: found, partial(_first_accepted, methods[1:], otherwise, None))
    if known:
        return found
    rest = _first_accepted(methods[1:], otherwise, needed)
    return _chosen(accepted, found, rest) if isinstance(accepted, Tracer) else rest


@compiled
def _chosen(accepted: Array, found: Any, rest: Any) -> Any:
    return jax.tree.map(lambda a, b: jnp.where(accepted, a, b), found, rest)
