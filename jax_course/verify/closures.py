"""Copies of functions in which something that they hold is another thing: in closure, defaults, module.

The doctor computes in float64. A loop that starts with a float32 array of the closure does not take float64 numbers,
nor does a convolution with one. So what the function holds is cast, in a copy of the function.
"""

import functools
import types
from collections.abc import Callable, Iterator
from typing import Any

import jax
import numpy as np

LOW = ("float32", "float16", "bfloat16")


def in_double(function: Callable) -> Callable:
    """A copy of the function in which the arrays of low precision that it holds are float64.

    >>> start = np.zeros(2, np.float32)
    >>> in_double(lambda: start)().dtype.name, start.dtype.name
    ('float64', 'float32')
    """
    return with_replaced(function, _double)


def in_single(function: Callable) -> Callable:
    """The function of float32 arrays, with an output in float64: for one that asks for its own precision.

    >>> in_single(lambda x: x + np.float32(1))(np.array([0.1])).tolist()
    [1.100000023841858]
    """

    def single(*arguments: Any, **keywords: Any) -> Any:
        arguments, keywords = jax.tree_util.tree_map(_narrowed, (arguments, keywords))
        return jax.tree_util.tree_map(_widened, function(*arguments, **keywords))

    return single


def _narrowed(leaf: Any) -> Any:
    return leaf.astype(np.float32) if str(getattr(leaf, "dtype", "")) == "float64" else leaf


def _widened(leaf: Any) -> Any:
    return leaf.astype(np.float64) if str(getattr(leaf, "dtype", "")) in LOW else leaf


def _double(value: Any) -> Any:
    low = isinstance(value, (np.ndarray, jax.Array)) and str(value.dtype) in LOW
    return np.asarray(value, np.float64) if low else value


def with_replaced(function: Callable, replace: Callable[[Any], Any]) -> Callable:
    """A copy of the function that holds replace(value) in the place of each value; functions that it calls, too.

    >>> with_replaced(lambda: abs(LOW[0]), lambda value: (-2,) if value is LOW else value)()
    2
    """
    return _copy(function, replace, {})


def _copy(value: Any, replace: Callable[[Any], Any], known: dict[int, Any]) -> Any:
    """The value with replacements: a function, a structure, or what is replaced itself."""
    if id(value) in known:
        return known[id(value)]
    if (other := replace(value)) is not value:
        return other
    if isinstance(value, functools.partial):
        parts = (_copy(part, replace, known) for part in (value.func, value.args, value.keywords))
        function, arguments, keywords = parts
        return functools.partial(function, *arguments, **keywords)
    if isinstance(value, types.FunctionType):
        return _copy_function(value, replace, known)
    if isinstance(wrapped := getattr(value, "__wrapped__", None), types.FunctionType) and hasattr(value, "lower"):
        return _copy_function(wrapped, replace, known)  # of jax.jit
    if isinstance(value, (tuple, list, dict)) and type(value) in (tuple, list, dict):
        return jax.tree_util.tree_map(lambda leaf: _copy(leaf, replace, known), value)
    return value


def _copy_function(
    function: types.FunctionType, replace: Callable[[Any], Any], known: dict[int, Any]
) -> types.FunctionType:
    names = {name for code in _codes(function.__code__) for name in code.co_names}
    module = dict(function.__globals__)
    copied = types.FunctionType(function.__code__, module, function.__name__, None, _cells(function))
    known[id(function)] = copied
    for name in names & module.keys():
        if isinstance(module[name], types.FunctionType) and module[name].__globals__ is not function.__globals__:
            continue  # of a library
        module[name] = _copy(module[name], replace, known)
    for cell, old in zip(copied.__closure__ or (), function.__closure__ or (), strict=True):
        cell.cell_contents = _copy(old.cell_contents, replace, known)
    copied.__defaults__ = _copy(function.__defaults__, replace, known)
    copied.__kwdefaults__ = _copy(function.__kwdefaults__, replace, known)
    return copied


def _cells(function: types.FunctionType) -> tuple[types.CellType, ...]:
    return tuple(types.CellType() for _ in function.__closure__ or ())


def _codes(code: types.CodeType) -> Iterator[types.CodeType]:
    """The code of a function and of those defined in it."""
    yield code
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield from _codes(constant)
