"""Gathering and scattering as XLA defines them, in NumPy: indexing by arrays, and its transpose.

Both move windows, of one size, between an operand and places in it that an array of indices names. An index has its
coordinates on the last axis of that array; the other axes, the batch, number the windows.

Source: https://openxla.org/xla/operation_semantics#gather
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from jax.lax import GatherScatterMode

DROP = GatherScatterMode.FILL_OR_DROP


def gather(step: Any) -> Callable[..., np.ndarray]:
    """The windows of an operand at the indices."""
    n, sizes, mode = step.params["dimension_numbers"], step.params["slice_sizes"], step.params["mode"]
    fill, (operand, indices) = step.params["fill_value"], (variable.aval for variable in step.invars)
    absent = *n.collapsed_slice_dims, *n.operand_batching_dims
    batching = dict(zip(n.operand_batching_dims, n.start_indices_batching_dims, strict=True))
    order = _order(step.outvars[0].aval.ndim, n.offset_dims, indices.ndim - 1)
    fill = np.asarray(_fill(operand.dtype) if fill is None else fill, operand.dtype)

    def windows(x: np.ndarray, at: np.ndarray) -> np.ndarray:
        places, inside = _places(at, x.shape, sizes, n.start_index_map, batching, absent)
        found = x[places]
        if mode == DROP and not inside.all():
            found = np.where(inside, found, fill)
        return found.transpose(order)

    return windows


def scatter(combine: Any) -> Callable[[Any], Callable[..., np.ndarray]]:
    """The operand with updates in the windows at the indices; combine: None to replace, else a ufunc such as np.add."""

    def with_updates(step: Any) -> Callable[..., np.ndarray]:
        n, mode = step.params["dimension_numbers"], step.params["mode"]
        operand, indices, updates = (variable.aval for variable in step.invars)
        absent = *n.inserted_window_dims, *n.operand_batching_dims
        batching = dict(zip(n.operand_batching_dims, n.scatter_indices_batching_dims, strict=True))
        kept = iter(n.update_window_dims)
        sizes = [1 if axis in absent else updates.shape[next(kept)] for axis in range(operand.ndim)]
        order = np.argsort(_order(updates.ndim, n.update_window_dims, indices.ndim - 1))

        def updated(x: np.ndarray, at: np.ndarray, change: np.ndarray) -> np.ndarray:
            places, inside = _places(at, x.shape, sizes, n.scatter_dims_to_operand_dims, batching, absent)
            change, result = change.transpose(order), x.copy()
            if mode == DROP and not inside.all():
                whole = np.broadcast_shapes(*(place.shape for place in places), change.shape)
                inside = np.broadcast_to(inside, whole)
                places, change = tuple(np.broadcast_to(place, whole)[inside] for place in places), change[inside]
            if combine is None:
                result[places] = change
            else:
                combine.at(result, places, change)
            return result

        return updated

    return with_updates


def _fill(dtype: np.dtype) -> Any:
    """The value of an entry outside, where none is given."""
    if dtype.kind in "iu":
        return np.iinfo(dtype).min if dtype.kind == "i" else np.iinfo(dtype).max
    return True if dtype.kind == "b" else np.nan


def _order(count: int, window_axes: Sequence[int], batch: int) -> list[int]:
    """The axes of (*batch, *window) in the order of an array with the window on these axes."""
    batch_axes, windows = iter(range(batch)), iter(range(batch, count))
    return [next(windows) if axis in window_axes else next(batch_axes) for axis in range(count)]


def _places(
    indices: np.ndarray,
    shape: tuple[int, ...],
    sizes: Sequence[int],
    coordinates: Sequence[int],
    batching: dict[int, int],
    absent: Sequence[int],
) -> tuple[tuple[np.ndarray, ...], np.ndarray]:
    """An index array for each axis of the operand, which broadcast to (*batch, *window); and which windows lie inside.

    coordinates: the axis of the operand that each coordinate of an index is on; batching: axes of the operand that go
    along with an axis of the indices; absent: axes of the operand that a window lacks. Windows outside are moved in.
    """
    batch, window = indices.shape[:-1], [axis for axis in range(len(shape)) if axis not in absent]
    inside, places = np.ones(batch, bool), []
    for axis, (length, size) in enumerate(zip(shape, sizes, strict=True)):
        start = np.zeros((1,) * len(batch), int)
        if axis in coordinates:
            asked = indices[..., list(coordinates).index(axis)].astype(int)
            start = np.clip(asked, 0, length - size)
            inside &= asked == start
        elif axis in batching:
            start = np.arange(length).reshape([-1 if i == batching[axis] else 1 for i in range(len(batch))])
        place = start.reshape(start.shape + (1,) * len(window))
        if axis in window:
            place = place + np.arange(size).reshape([-1 if i == axis else 1 for i in window])
        places.append(place)
    return tuple(places), inside.reshape(inside.shape + (1,) * len(window))
