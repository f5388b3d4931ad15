"""Several methods for one result, the cheapest first, each of which says whether its result is accepted."""

from collections.abc import Callable
from functools import partial
from typing import Any

from jax import Array, lax
from jax.core import Tracer


def first_accepted(*methods: Callable[[], tuple[Any, Array]], otherwise: Callable[[], Any]) -> Any:
    """The result of the first method that accepts its own; methods give (result, accepted), `otherwise` gives a result.

    Outside jit a later method is compiled only if an earlier one was rejected; under jit all methods become branches of
    `lax.cond`.

    >>> first_accepted(lambda: (1, jnp.array(False)), lambda: (2, jnp.array(True)), otherwise=lambda: 3)
    2
    """
    if not methods:
        return otherwise()
    found, accepted = methods[0]()
    rest = partial(first_accepted, *methods[1:], otherwise=otherwise)
    if not isinstance(accepted, Tracer):
        return found if accepted else rest()
    return lax.cond(accepted, lambda: found, rest)
