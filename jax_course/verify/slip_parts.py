"""Parts of slips: names of operations, derivatives that are given, values before an operation."""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jax_course.verify.findings import Kind
from jax_course.verify.walk import Step

NAMES = {
    "logistic": "σ",
    "integer_pow": "the power",
    "pow": "the power",
    "square": "the square",
    "dot_general": "the matrix product",
    "mul": "the product",
    "div": "the quotient",
    "add": "the sum",
    "sub": "the difference",
    "reduce_sum": "the sum",
    "reduce_max": "the maximum",
    "reduce_min": "the minimum",
    "cumsum": "the cumulative sum",
    "gather": "indexing",
    "select_n": "`where`",
    "conv_general_dilated": "the convolution",
    "broadcast_in_dim": "broadcasting",
    "clamp": "clipping",
    "triangular_solve": "the solution of a triangular system",
}
# Operations that only move entries, or change their sign.
MOVING_ONLY = ("convert_element_type", "copy", "reshape", "squeeze", "transpose", "neg", "copy_p")

Found = Iterator[tuple[Kind, str, Any]]  # the kind, the words, and what stands in the place of the output


def ordinal(i: int) -> str:
    """The operand of that number in words.

    >>> ordinal(0)
    'first'
    """
    return ("first", "second", "third")[i] if i < 3 else f"{i + 1}th"


@jax.custom_jvp
def sloped(m: Any, x: Any) -> Any:
    """An array whose derivative is m times that of x; 0 where m is not finite, as there is none.

    The derivative's own derivative is that of this product, so that second derivatives are those of the slip.

    >>> from jax import grad
    >>> float(grad(lambda x: sloped(jnp.cos(x), x))(0.0))
    1.0
    """
    return _finite(m) * x


@sloped.defjvp
def _sloped_tangent(primals: Any, tangents: Any) -> tuple[Any, Any]:
    (m, x), (_, tangent) = primals, tangents
    return _finite(m) * x, _finite(m) * tangent


def _finite(m: Any) -> Any:
    return jnp.nan_to_num(m, nan=0.0, posinf=0.0, neginf=0.0)


@partial(jax.custom_jvp, nondiff_argnums=(0, 1))
def by_operand(run: Callable, i: int, *operands: Any) -> Any:
    """run(*operands), with the derivative by operand i alone; second derivatives as in `sloped`."""
    return run(*operands)


@by_operand.defjvp
def _by_operand_tangent(run: Callable, i: int, primals: Any, tangents: Any) -> tuple[Any, Any]:
    def of_one(x: Any) -> Any:
        return run(*(x if j == i else other for j, other in enumerate(primals)))

    return jax.jvp(of_one, (primals[i],), (tangents[i],))


def before(parent: Step | None, x: Any) -> Iterator[tuple[Any, str]]:
    """Values that x is computed from in the last operation, of its shape, and the name of that operation."""
    if parent is None or parent.name in MOVING_ONLY:
        return
    for other in parent.operands:
        if np.shape(other) == x.shape and other.dtype == x.dtype:
            yield other, NAMES.get(parent.name, f"`{parent.name}`")
