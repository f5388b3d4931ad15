"""Slips in operations on whole arrays: a sum, a transpose, an order, equal indices.

Each function takes a step and its output y. It yields the kind, the words with {} for the operation, and the array
whose derivative stands in the place of that of y.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from jax_course.verify.findings import Kind
from jax_course.verify.slip_parts import Found, before, by_operand, ordinal, sloped
from jax_course.verify.walk import Step

INDICES = 2_000  # of an operation; among more no equal ones are looked for: a table of all pairs


def _total(step: Step, y: Any) -> Found:
    x, axes = step.operands[0], step.equation.params["axes"]
    if len(axes) == 1 and x.shape[axes[0]] > 1:
        for name, index in (("last", -1), ("first", 0)):
            addend = lax.index_in_dim(x, index, axes[0], keepdims=False)
            yield Kind.MISSING, f"of {{}} only the {name} addend is differentiated.", addend
    yield Kind.FACTOR, "the derivative of {} is divided by the number of addends.", jnp.mean(x, axes)
    exponential = step.parents[0]
    if exponential and exponential.name == "exp" and len(axes) == 1:
        shift = exponential.parents[0]
        a = shift.operands[0] if shift and shift.name == "sub" else exponential.operands[0]
        for axis in range(x.ndim) if a.shape == x.shape else ():
            if axis != axes[0]:
                pi = jax.nn.softmax(a, axis) * jnp.sum(x, axes, keepdims=True)
                words = (
                    f"the derivative of {{}} of exponentials is normalised along axis {axis}; axis {axes[0]} is right."
                )
                yield Kind.TRANSPOSE, words, jnp.sum(sloped(pi, a), axes)


def _broadcast(step: Step, y: Any) -> Found:
    kept = step.equation.params["broadcast_dimensions"]
    for axis, size in enumerate(y.shape):
        if axis in kept or size < 2:
            continue
        for name, index in (("first", 0), ("last", size - 1)):
            mask = np.arange(size).reshape([size if i == axis else 1 for i in range(y.ndim)]) == index
            words = f"the sum over what {{}} repeats is lost: only the {name} counts."
            yield Kind.MISSING, words, jnp.where(mask, y, lax.stop_gradient(y))
        yield Kind.FACTOR, "what {} repeats is averaged, not summed.", y / size


def _matrix_product(step: Step, y: Any) -> Found:
    yield from _quadratic_form(step, y)
    run = lambda *operands: step.run(list(operands))[0]  # noqa: E731
    for i in (0, 1):
        x, other = step.operands[i], step.operands[1 - i]
        if not step.moving[i]:
            continue
        rest = by_operand(run, 1 - i, *step.operands)
        in_it = f"in the derivative of {{}} by its {ordinal(i)} factor "

        def beside(another: Any, i: int = i, x: Any = x) -> Any:
            return by_operand(run, i, *((x, another) if i == 0 else (another, x)))

        if other.ndim == 2 and other.shape[0] == other.shape[1] > 1:
            yield Kind.TRANSPOSE, f"{in_it}the other one is transposed wrongly.", beside(other.T) + rest
        if y.ndim == 2 and y.shape[0] == y.shape[1] > 1:
            yield Kind.TRANSPOSE, f"{in_it}what comes back is transposed wrongly.", beside(other).T + rest
        for earlier, name in before(step.parents[1 - i], other):
            yield Kind.CHAIN_RULE, f"{in_it}the other one is taken before {name}.", beside(earlier) + rest
        if step.moving[1 - i] and other.shape == x.shape:
            yield Kind.INDEX, f"{in_it}that factor itself stands, not the other.", beside(x) + rest


def _quadratic_form(step: Step, y: Any) -> Found:
    """Slips in xᵀA x, the product of x with a product of x and a matrix."""
    if y.shape or not all(step.moving):
        return
    run = lambda *operands: step.run(list(operands))[0]  # noqa: E731
    for i in (0, 1):
        inner = step.parents[i]
        while inner and inner.name in ("transpose", "reshape", "neg"):
            inner = inner.parents[0]
        square = inner and inner.name == "dot_general" and any(
            not moves and np.ndim(x) == 2 and np.shape(x)[0] == np.shape(x)[1]
            for x, moves in zip(inner.operands, inner.moving, strict=True))  # fmt: skip
        if square:
            words = "the derivative of {}, a quadratic form, is right only for a symmetric matrix: A for (A + Aᵀ)/2."
            for j in (0, 1):
                yield Kind.TRANSPOSE, words, 2 * by_operand(run, j, *step.operands)


def _solved(step: Step, y: Any) -> Found:
    if step.moving[1] and step.operands[1].shape == y.shape:
        x = step.operands[1]
        rest = by_operand(lambda *operands: step.run(list(operands))[0], 0, *step.operands)
        yield Kind.CHAIN_RULE, "in the derivative of {} by its right-hand side the matrix is left out.", x + rest


def _cumulative(step: Step, y: Any) -> Found:
    x, params = step.operands[0], step.equation.params
    if step.name == "cumsum":
        words = "the derivative of {} is summed in the same direction; the opposite one is right."
        yield Kind.INDEX, words, lax.cumsum(x, params["axis"], reverse=not params["reverse"])
        words = "the derivative of {} leaves out the entry itself."
        yield Kind.INDEX, words, y - x
    yield Kind.MISSING, "the derivative of {} takes each entry for itself: the sum is left out.", x


def _reversed(step: Step, y: Any) -> Found:
    yield Kind.INDEX, "the order that {} reverses is not turned back.", step.operands[0]


def _indexing(step: Step, y: Any) -> Found:
    indices, numbers = step.operands[1], step.equation.params["dimension_numbers"]
    batch = [axis for axis in range(y.ndim) if axis not in numbers.offset_dims]
    flat = jnp.reshape(indices, (-1, indices.shape[-1]))
    if not step.moving[0] or not 1 < len(flat) <= INDICES or not batch:
        return
    same = (flat[:, None] == flat[None]).all(axis=-1)
    shape = [size if axis in batch else 1 for axis, size in enumerate(y.shape)]
    orders = ("last", np.triu(np.ones(same.shape, bool), 1)), ("first", np.tril(np.ones(same.shape, bool), -1))
    for name, other in orders:
        counts = jnp.broadcast_to(~(same & other).any(axis=1).reshape(shape), y.shape)
        words = f"in the derivative of {{}} equal indices overwrite each other: only the {name} counts; they add up."
        yield Kind.INDEX, words, jnp.where(counts, y, lax.stop_gradient(y))
    words = "in the derivative of {} equal indices are averaged; they add up."
    yield Kind.INDEX, words, y / jnp.sum(same, axis=1).reshape(shape)


def _convolution(step: Step, y: Any) -> Found:
    x, kernel = step.operands
    spatial = step.equation.params["dimension_numbers"].rhs_spec[2:]
    if step.moving[0]:
        run = lambda *operands: step.run(list(operands))[0]  # noqa: E731
        turned = by_operand(run, 0, x, lax.rev(kernel, spatial))
        words = "in the derivative of {} by its input the kernel is not turned round."
        yield Kind.INDEX, words, turned + by_operand(run, 1, x, kernel)


def _joined(step: Step, y: Any) -> Found:
    axis = step.equation.params["dimension"]
    for shift in (-2, 2, -1, 1) if y.shape[axis] > 2 else ():
        words = f"what comes back through {{}} is shifted by {-shift:+d} along axis {axis}."
        yield Kind.INDEX, words, jnp.roll(y, shift, axis)


def _extremum(step: Step, y: Any) -> Found:
    x, axes = step.operands[0], step.equation.params["axes"]
    yield Kind.CHAIN_RULE, "the derivative of {} goes to all entries: its mask is missing.", jnp.sum(x, axis=axes)
    yield Kind.CHAIN_RULE, "the derivative of {} goes to all entries in equal shares.", jnp.mean(x, axis=axes)


def square(step: Step, y: Any) -> Found:
    """Slips in any operation with a square matrix."""
    if y.ndim == 2 and y.shape[0] == y.shape[1] > 1:
        yield Kind.TRANSPOSE, "what comes back through {} is transposed wrongly.", y.T


ARRAY_SLIPS: dict[str, Callable[[Step, Any], Found]] = {
    "reduce_max": _extremum,
    "reduce_min": _extremum,
    "reduce_sum": _total,
    "broadcast_in_dim": _broadcast,
    "dot_general": _matrix_product,
    "triangular_solve": _solved,
    "cumsum": _cumulative,
    "cumlogsumexp": _cumulative,
    "rev": _reversed,
    "gather": _indexing,
    "conv_general_dilated": _convolution,
    "concatenate": _joined,
}
