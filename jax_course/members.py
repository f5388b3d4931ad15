"""The values for all members of a batch, read inside `jax.vmap`: what decides on the host decides for all members."""

from typing import Any

import numpy as np
from jax import Array
from jax.core import Tracer
from jax.extend.core import Primitive
from jax.interpreters import ad, batching, mlir


def all_members(values: Any) -> Any:
    """The values for all members of the batches around, an axis for each batch; a tracer where jit does not know them.

    Outside jit and vmap the values themselves. Nothing is computed.

    >>> import jax
    >>> batch = jnp.array([[1.0, 2.0], [3.0, 4.0]])
    >>> seen = []
    >>> jax.vmap(lambda row: seen.append(all_members(row)) or 2 * row)(batch)[0]
    Array([2., 4.], dtype=float64)
    >>> seen[0].shape
    (2, 2)
    """
    return _members.bind(values) if isinstance(values, Tracer) else values


def is_true_for_all(condition: Array) -> bool | None:
    """Whether a condition holds for all members; None where it cannot be read.

    >>> is_true_for_all(jnp.array(True))
    True
    """
    values = all_members(condition)
    return None if isinstance(values, Tracer) else bool(np.all(np.asarray(values)))


def _without_batch(batched: tuple[Any], _: Any) -> tuple[Any, None]:
    (values,) = batched
    return all_members(values), None  # of no batch: jax.vmap hands it on as it is


_members = Primitive("all_members")
_members.def_impl(lambda x: x)
_members.def_abstract_eval(lambda x: x)
batching.primitive_batchers[_members] = _without_batch
mlir.register_lowering(_members, lambda context, x: [x])
ad.deflinear2(_members, lambda cotangent, _: [cotangent])
