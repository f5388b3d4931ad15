"""The operations of JAX's programs in NumPy: what each of JAX's primitives computes from arrays.

An operation here is a step of a program: its primitive, the shapes and dtypes of what it takes and gives, its
parameters. The names and parameters are those of JAX.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from jax_course.verify.indexing import gather, scatter

Compute = Callable[..., Any]  # of arrays, which gives an array


class Unknown(Exception):
    """An operation that is not known here."""


def operation(step: Any) -> Compute:
    """The function of arrays that one operation of a program computes."""
    name, floats = step.primitive.name, step.invars and step.invars[0].aval.dtype.kind in "fc"
    if name in ENTRYWISE:
        return ENTRYWISE[name]
    if name in OF_FLOATS and floats:
        return OF_FLOATS[name]
    if name in WITH_PARAMETERS and len(step.outvars) == 1:
        return WITH_PARAMETERS[name](step)
    raise Unknown(name)


def parts(step: Any) -> list[Compute]:
    """The functions of an array that give the parts into which it is split, or unstacked."""
    before = (slice(None),) * step.params["axis"]
    if step.primitive.name == "unstack":
        return [lambda x, i=i: x[(*before, i)] for i in range(len(step.outvars))]
    sizes, ends = step.params["sizes"], np.cumsum(step.params["sizes"])
    chosen = [(*before, slice(int(end - size), int(end))) for size, end in zip(sizes, ends, strict=True)]
    return [lambda x, part=part: x[part] for part in chosen]


ENTRYWISE: dict[str, Compute] = {
    "abs": np.abs, "acos": np.arccos, "acosh": np.arccosh, "add": np.add, "add_any": np.add, "and": np.bitwise_and,
    "asin": np.arcsin, "asinh": np.arcsinh, "atan": np.arctan, "atan2": np.arctan2, "atanh": np.arctanh,
    "cbrt": np.cbrt, "ceil": np.ceil, "clamp": lambda low, x, high: np.minimum(np.maximum(x, low), high),
    "complex": lambda x, y: x + 1j * y, "conj": np.conj, "copy": lambda x: x, "copy_p": lambda x: x, "cos": np.cos,
    "cosh": np.cosh, "eq": np.equal, "exp": np.exp, "exp2": np.exp2, "expm1": np.expm1, "floor": np.floor,
    "ge": np.greater_equal, "gt": np.greater, "imag": np.imag, "is_finite": np.isfinite, "le": np.less_equal,
    "log": np.log, "log1p": np.log1p, "logistic": lambda x: 1 / (1 + np.exp(-x)), "lt": np.less, "max": np.maximum,
    "min": np.minimum, "mul": np.multiply, "ne": np.not_equal, "neg": np.negative, "not": np.invert,
    "or": np.bitwise_or, "real": np.real, "rsqrt": lambda x: 1 / np.sqrt(x), "sign": np.sign, "sin": np.sin,
    "sinh": np.sinh, "sqrt": np.sqrt, "square": np.square, "stop_gradient": lambda x: x, "sub": np.subtract,
    "tan": np.tan, "tanh": np.tanh,
}  # fmt: skip
# of integers, a quotient is cut off, and a power or a remainder may be none
OF_FLOATS: dict[str, Compute] = {"div": np.divide, "pow": np.power, "rem": np.fmod}


def _arg(largest: Any) -> Callable[[Any], Compute]:
    def along_axes(step: Any) -> Compute:
        (axis,) = step.params["axes"]
        return lambda x: largest(x, axis=axis)

    return along_axes


def _broadcast(step: Any) -> Compute:
    shape, axes = step.params["shape"], step.params["broadcast_dimensions"]
    room = [1] * len(shape)
    for axis, length in zip(axes, step.invars[0].aval.shape, strict=True):
        room[axis] = length
    return lambda x: np.broadcast_to(x.reshape(room), shape)


def _concatenate(step: Any) -> Compute:
    return lambda *parts: np.concatenate(parts, axis=step.params["dimension"])


def _convert(step: Any) -> Compute:
    dtype = np.dtype(step.params["new_dtype"])
    return lambda x: x.astype(dtype)


def _cumulate(along: Any) -> Callable[[Any], Compute]:
    def along_axes(step: Any) -> Compute:
        axis, backward = step.params["axis"], step.params["reverse"]
        if not backward:
            return lambda x: along(x, axis=axis)
        return lambda x: np.flip(along(np.flip(x, axis), axis=axis), axis)

    return along_axes


def _dot(step: Any) -> Compute:
    (left, right), (left_batch, right_batch) = step.params["dimension_numbers"]
    a, b = (variable.aval for variable in step.invars)
    left_free = [axis for axis in range(a.ndim) if axis not in (*left, *left_batch)]
    right_free = [axis for axis in range(b.ndim) if axis not in (*right, *right_batch)]
    left_order, right_order = (*left_batch, *left_free, *left), (*right_batch, *right, *right_free)
    batch, inner = [a.shape[i] for i in left_batch], int(np.prod([a.shape[i] for i in left]))
    rows, columns = ([v.shape[i] for i in free] for v, free in ((a, left_free), (b, right_free)))
    left_shape, right_shape = (*batch, int(np.prod(rows)), inner), (*batch, inner, int(np.prod(columns)))
    shape = (*batch, *rows, *columns)

    def product(x: np.ndarray, y: np.ndarray) -> np.ndarray:
        return np.matmul(x.transpose(left_order).reshape(left_shape), y.transpose(right_order).reshape(right_shape))

    return lambda x, y: product(x, y).reshape(shape)


def _dynamic_slice(step: Any) -> Compute:
    sizes = step.params["slice_sizes"]
    return lambda x, *starts: x[_window(x.shape, starts, sizes)]


def _dynamic_update(step: Any) -> Compute:
    def updated(x: np.ndarray, change: np.ndarray, *starts: np.ndarray) -> np.ndarray:
        result = x.copy()
        result[_window(x.shape, starts, change.shape)] = change
        return result

    return updated


def _window(shape: Any, starts: Any, sizes: Any) -> tuple[slice, ...]:
    """The slices of that size from the starts on, moved inside."""
    begins = [min(max(int(s), 0), length - size) for s, length, size in zip(starts, shape, sizes, strict=True)]
    return tuple(slice(begin, begin + size) for begin, size in zip(begins, sizes, strict=True))


def _iota(step: Any) -> Compute:
    shape, axis, dtype = step.params["shape"], step.params["dimension"], np.dtype(step.params["dtype"])
    room = [length if i == axis else 1 for i, length in enumerate(shape)]
    return lambda: np.broadcast_to(np.arange(shape[axis], dtype=dtype).reshape(room), shape)


def _pad(step: Any) -> Compute:
    config = [tuple(map(int, of_axis)) for of_axis in step.params["padding_config"]]
    if any(low < 0 or high < 0 for low, high, _ in config):
        raise Unknown(step.primitive.name)
    shape = step.outvars[0].aval.shape
    place = tuple(slice(low, length - high, 1 + between)
                  for (low, high, between), length in zip(config, shape, strict=True))  # fmt: skip

    def padded(x: np.ndarray, value: np.ndarray) -> np.ndarray:
        result = np.full(shape, value, x.dtype)
        result[place] = x
        return result

    return padded


def _platform(step: Any) -> Compute:
    platforms = step.params["platforms"]  # names of some, or None for all others
    number = next(i for i, names in enumerate(platforms) if names is None or "cpu" in names)
    return lambda: np.asarray(number)


def _power(step: Any) -> Compute:
    exponent = step.params["y"]
    return lambda x: x**exponent


def _reduce(over: Any) -> Callable[[Any], Compute]:
    def along_axes(step: Any) -> Compute:
        axes = tuple(step.params["axes"])
        return lambda x: over(x, axis=axes)

    return along_axes


def _reshape(step: Any) -> Compute:
    shape = step.outvars[0].aval.shape
    return lambda x: x.reshape(shape)


def _reverse(step: Any) -> Compute:
    return lambda x: np.flip(x, step.params["dimensions"])


def _select(step: Any) -> Compute:
    if step.invars[0].aval.dtype != bool or len(step.invars) != 3:
        raise Unknown(step.primitive.name)
    return lambda condition, otherwise, where_true: np.where(condition, where_true, otherwise)


def _slice(step: Any) -> Compute:
    starts, ends = step.params["start_indices"], step.params["limit_indices"]
    strides = step.params["strides"] or (1,) * len(starts)
    chosen = tuple(slice(*map(int, of_axis)) for of_axis in zip(starts, ends, strides, strict=True))
    return lambda x: x[chosen]


def _tile(step: Any) -> Compute:
    return lambda x: np.tile(x, step.params["reps"])


def _transpose(step: Any) -> Compute:
    return lambda x: x.transpose(step.params["permutation"])


def _stack(step: Any) -> Compute:
    return lambda *arrays: np.stack(arrays, axis=step.params["axis"])


WITH_PARAMETERS: dict[str, Callable[[Any], Compute]] = {
    "argmax": _arg(np.argmax), "argmin": _arg(np.argmin), "broadcast_in_dim": _broadcast, "concatenate": _concatenate,
    "convert_element_type": _convert, "cumprod": _cumulate(np.cumprod), "cumsum": _cumulate(np.cumsum),
    "dot_general": _dot, "dynamic_slice": _dynamic_slice, "dynamic_update_slice": _dynamic_update,
    "expand_dims": _reshape, "gather": gather, "integer_pow": _power, "iota": _iota, "pad": _pad,
    "platform_index": _platform, "reduce_and": _reduce(np.all), "reduce_max": _reduce(np.max),
    "reduce_min": _reduce(np.min), "reduce_or": _reduce(np.any), "reduce_prod": _reduce(np.prod),
    "reduce_sum": _reduce(np.sum), "reshape": _reshape, "rev": _reverse, "scatter": scatter(None),
    "scatter-add": scatter(np.add), "scatter-mul": scatter(np.multiply), "select_n": _select, "slice": _slice,
    "squeeze": _reshape, "stack": _stack, "tile": _tile, "transpose": _transpose,
}  # fmt: skip
