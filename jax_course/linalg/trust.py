"""Several ways to a result, the cheapest first, each of which says whether what it found can be trusted."""

from collections.abc import Callable
from functools import partial
from typing import Any

from jax import Array, lax
from jax.core import Tracer


def first_trusted(*ways: Callable[[], tuple[Any, Array]], otherwise: Callable[[], Any]) -> Any:
    """What the first of these ways finds that is trusted, or else the last resort; ways give (found, trusted).

    Where the answer can be read, a program is compiled when data first need it, even if data of the same shape were
    there before; in a trace `lax.cond` holds them all.

    >>> first_trusted(lambda: (1, jnp.array(False)), lambda: (2, jnp.array(True)), otherwise=lambda: 3)
    2
    """
    if not ways:
        return otherwise()
    found, trusted = ways[0]()
    rest = partial(first_trusted, *ways[1:], otherwise=otherwise)
    if not isinstance(trusted, Tracer):
        return found if trusted else rest()
    return lax.cond(trusted, lambda: found, rest)
