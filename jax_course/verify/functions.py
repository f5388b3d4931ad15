"""The reader's functions as keys of compiled programs: equal if they compute the same.

A compiled program remembers the values that a function found in its globals, closure and object when it was traced. In
a notebook these change between two examinations and the function does not. So the key holds them: the code, and
whatever the code looks up, by value. Where a value cannot be compared, the key equals no other.
"""

import functools
import hashlib
import sys
import types
from collections.abc import Callable, Hashable
from enum import Enum
from typing import Any

import jax
import numpy as np

PLAIN = (type(None), bool, int, float, complex, str, bytes, Enum, np.dtype, type, types.ModuleType)


class Function:
    """A function of the reader's."""

    def __init__(self, function: Callable):
        self.function = function
        self.__wrapped__ = function  # for inspect.signature
        self.key = key_of(function)

    def __call__(self, *arguments: Any, **keywords: Any) -> Any:
        return self.function(*arguments, **keywords)

    def __hash__(self) -> int:
        return hash(self.key)

    def __eq__(self, other: Any) -> bool:
        return isinstance(other, Function) and self.key == other.key


class Fixed:
    """Values that a program is compiled for."""

    def __init__(self, values: Any):
        self.values, self.key = values, key_of(values)

    def __hash__(self) -> int:
        return hash(self.key)

    def __eq__(self, other: Any) -> bool:
        return isinstance(other, Fixed) and self.key == other.key


def key_of(value: Any) -> Hashable:
    """Equal for values of the same content; equal to nothing where that cannot be told."""
    try:
        key = _key(value, ())
        hash(key)
    except (TypeError, ValueError, RecursionError):
        return object()
    return key


def _key(value: Any, above: tuple[int, ...]) -> Hashable:
    """What a value is compared by; a TypeError where it cannot be."""
    if id(value) in above:
        return "itself", above.index(id(value))
    of = functools.partial(_key, above=(*above, id(value)))
    if isinstance(value, PLAIN) or _is_of_a_library(value):
        return type(value), value
    if isinstance(value, (np.ndarray, np.generic, jax.Array)):
        return _of_array(np.asarray(value))
    if isinstance(value, (tuple, list)):
        return type(value), *map(of, value)
    if isinstance(value, dict):
        return type(value), *((of(key), of(one)) for key, one in value.items())
    if isinstance(value, functools.partial):
        return "partial", of(value.func), of(value.args), of(value.keywords)
    if isinstance(value, types.MethodType):
        return "method", of(value.__func__), of(value.__self__)
    if isinstance(value, types.FunctionType):
        cells = [cell.cell_contents for cell in value.__closure__ or ()]
        return value.__code__, of(value.__defaults__), of(value.__kwdefaults__), of(cells), of(_looked_up(value))
    if hasattr(value, "__wrapped__"):  # jax.jit, functools.wraps
        return type(value), of(value.__wrapped__)
    return type(value), of(vars(value))


def _of_array(array: np.ndarray) -> Hashable:
    if array.dtype.kind == "O":
        raise TypeError("objects are not compared")
    return array.shape, str(array.dtype), hashlib.blake2b(np.ascontiguousarray(array).tobytes()).digest()


def _is_of_a_library(value: Any) -> bool:
    """Functions of installed packages and of this one do not change between examinations."""
    root = str(getattr(value, "__module__", None) or "").split(".")[0]
    if not hasattr(value, "__name__") or not root or root == "__main__":
        return False
    file = getattr(sys.modules.get(root), "__file__", None) or ""
    return root in sys.stdlib_module_names or root == "jax_course" or "site-packages" in file


def _looked_up(function: types.FunctionType) -> dict[str, Any]:
    """The globals that the code names, and what it names of their modules."""
    names = _names(function.__code__)
    found = {name: function.__globals__[name] for name in names if name in function.__globals__}
    modules = [value for value in found.values() if isinstance(value, types.ModuleType)]
    return found | {f"{m.__name__}.{name}": vars(m)[name] for m in modules for name in names if name in vars(m)}


def _names(code: types.CodeType) -> list[str]:
    inner = [name for constant in code.co_consts if isinstance(constant, types.CodeType) for name in _names(constant)]
    return [*code.co_names, *inner]
