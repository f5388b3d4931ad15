"""Functions as keys of compiled programs: equal if they compute the same.

A compiled program remembers the values that a function found in its globals, closure and object when it was traced. In
a notebook these change between two calls and the function does not. So the key holds them: the code, and whatever the
code looks up, by value. Where a value cannot be compared, the key equals no other.
"""

import functools
import hashlib
import sys
import types
from collections import OrderedDict
from collections.abc import Callable, Hashable
from enum import Enum
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

PLAIN = (type(None), bool, int, float, complex, str, bytes, Enum, np.dtype, type, types.ModuleType)


class Function:
    """A function that is equal to another one if it computes the same."""

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


class ArrayKey:
    """A JAX array: it cannot change, so that nothing is read where two of them are one."""

    def __init__(self, array: jax.Array):
        self.array = array

    def __hash__(self) -> int:
        return hash((self.array.shape, str(self.array.dtype)))

    def __eq__(self, other: Any) -> bool:
        if not isinstance(other, ArrayKey) or hash(self) != hash(other):
            return False
        mine, theirs = self.array, other.array
        return mine is theirs or (_is_readable(mine) and _is_readable(theirs) and _bytes(mine) == _bytes(theirs))


class StaticValues:
    """Values that a program is compiled for."""

    def __init__(self, values: Any):
        self.values, self.key = values, key_of(values)

    def __hash__(self) -> int:
        return hash(self.key)

    def __eq__(self, other: Any) -> bool:
        return isinstance(other, StaticValues) and self.key == other.key


def cached_by_value(build: Callable[..., Callable], size: int = 256) -> Callable[..., Callable]:
    """build(*values) → program, built once for all values that compute the same; the last `size` are kept.

    What a function leaves behind when it is traced, a count of its traces say, makes it no other function.

    >>> doubled = cached_by_value(lambda f: lambda x: 2 * f(x))
    >>> doubled(abs) is not None, doubled(abs)(-3)
    (True, 6)
    """
    programs: OrderedDict[Hashable, Callable] = OrderedDict()

    def program_for(*values: Any) -> Callable:
        key = key_of(values)
        program = programs.pop(key, None) or build(*values)

        def run(*arguments: Any) -> Any:
            result = program(*arguments)
            for known in (key, key_of(values)):
                if is_comparable(known):
                    programs[known] = program
            while len(programs) > size:
                programs.popitem(last=False)
            return result

        return run

    return program_for


def key_of(value: Any) -> Hashable:
    """Equal for values of the same content; equal to nothing where that cannot be told."""
    try:
        key = _key(value, ())
        hash(key)
    except (TypeError, ValueError, RecursionError):
        return object()
    return key


def is_comparable(key: Hashable) -> bool:
    """Whether a key from `key_of` can equal another one."""
    return type(key) is not object


def _key(value: Any, parents: tuple[int, ...]) -> Hashable:
    """A key that is equal for values of the same content; TypeError for a value without one."""
    if id(value) in parents:
        return "itself", parents.index(id(value))
    nested_key = functools.partial(_key, parents=(*parents, id(value)))
    if isinstance(value, types.FunctionType):
        fixed = (
            value.__code__,
            nested_key(value.__defaults__),
            nested_key(value.__kwdefaults__),
            nested_key(_cells(value)),
        )
        return *fixed, value.__module__ if _is_of_a_library(value) else nested_key(_looked_up(value))
    if isinstance(value, PLAIN) or _is_of_a_library(value):
        return type(value), value
    if isinstance(value, Tracer):
        raise TypeError("a value that is being traced is not known yet")
    if isinstance(value, jax.Array):
        return ArrayKey(value)
    if isinstance(value, (np.ndarray, np.generic)):
        return _array_key(np.asarray(value))
    if isinstance(value, (tuple, list)):
        return type(value), *map(nested_key, value)
    if isinstance(value, dict):
        return type(value), *((nested_key(key), nested_key(one)) for key, one in value.items())
    if isinstance(value, functools.partial):
        return "partial", nested_key(value.func), nested_key(value.args), nested_key(value.keywords)
    if isinstance(value, types.MethodType):
        return "method", nested_key(value.__func__), nested_key(value.__self__)
    if hasattr(value, "__wrapped__"):  # jax.jit, functools.wraps; jax.custom_vjp and custom_jvp with their rules
        rules = [getattr(value, name, None) for name in ("fwd", "bwd", "jvp")]
        return type(value), nested_key(value.__wrapped__), nested_key(rules)
    return type(value), nested_key(vars(value))


def _is_readable(array: jax.Array) -> bool:
    """Not given away, nor elsewhere, nor a random key."""
    is_local = not array.is_deleted() and array.is_fully_addressable
    return is_local and not jnp.issubdtype(array.dtype, jax.dtypes.extended)


def _bytes(array: jax.Array) -> bytes:
    return np.asarray(array).tobytes()


def _array_key(array: np.ndarray) -> Hashable:
    if array.dtype.kind == "O":
        raise TypeError("objects are not compared")
    return array.shape, str(array.dtype), hashlib.blake2b(np.ascontiguousarray(array).tobytes()).digest()


def _cells(function: types.FunctionType) -> list[Any]:
    """The values of a closure: a list for every name, empty where the name was never given a value."""
    return [[cell.cell_contents] if cell != types.CellType() else [] for cell in function.__closure__ or ()]


def _is_of_a_library(value: Any) -> bool:
    """The globals of installed packages and of this one do not change between calls; what is in a closure may."""
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
