"""Costs that are written in NumPy, traced by JAX: arrays on which NumPy's functions are those of `jax.numpy`.

NumPy hands its functions over to their arguments (`__array_ufunc__`, `__array_function__`). Functions that make arrays
have no such argument: in a copy of the cost the name of NumPy's module stands for one that makes traced arrays. So
autodiff has the derivative of a cost with arithmetic, indexing, writing and NumPy's functions, but not of one that asks
for truth values. Values decide whether the traced cost is the same.
"""

import types
from collections.abc import Callable, Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from numpy.lib.mixins import NDArrayOperatorsMixin

from jax_course.verify.closures import with_replaced

REDUCTIONS = {"add": jnp.sum, "multiply": jnp.prod, "maximum": jnp.max, "minimum": jnp.min}
MAKERS = ("zeros", "empty", "ones", "full", "zeros_like", "empty_like", "ones_like", "full_like", "array", "asarray")
OPERATIONS = 1_000  # of a traced cost; a loop over the data of more would be traced for seconds


class Traced(NDArrayOperatorsMixin):
    """An array of JAX's that NumPy's functions take for one of theirs.

    left: an iterator that is asked for one item at each operation, and ends when there were too many.

    >>> np.exp(Traced(jnp.zeros(2), iter(range(2)))).sum().value.tolist()
    2.0
    """

    def __init__(self, value: Any, left: Iterator[int]):
        self.value, self.left = value, left

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **keywords: Any) -> Any:
        keywords.pop("out", None)  # of `a += b`, which binds a to what is returned
        if method == "__call__":
            return self._call(_function(ufunc.__name__), inputs, keywords)
        if method == "reduce" and ufunc.__name__ in REDUCTIONS:
            return self._call(REDUCTIONS[ufunc.__name__], inputs, {"axis": 0} | keywords)
        return NotImplemented

    def __array_function__(self, function: Any, types: Any, arguments: Any, keywords: Any) -> Any:
        module = jnp.linalg if function.__module__ == "numpy.linalg" else jnp
        return self._call(getattr(module, function.__name__), arguments, keywords)

    def __getitem__(self, index: Any) -> "Traced":
        return self._call(lambda value, i: value[i], (self, index), {})

    def __setitem__(self, index: Any, new: Any) -> None:
        self.value = self._call(lambda value, i, x: value.at[i].set(x), (self, index, new), {}).value

    def __len__(self) -> int:
        return len(self.value)

    def __iter__(self) -> Iterator["Traced"]:
        return (self[i] for i in range(len(self)))

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        found = getattr(self.value, name)
        if callable(found):
            return lambda *arguments, **keywords: self._call(found, arguments, keywords)
        return self._wrapped(found)

    def _call(self, function: Callable, arguments: Any, keywords: Any) -> Any:
        if next(self.left, None) is None:
            raise OverflowError("the cost has too many operations to be traced")
        return self._wrapped(function(*_opened(arguments), **_opened(keywords)))

    def _wrapped(self, value: Any) -> Any:
        return jax.tree_util.tree_map(lambda x: Traced(x, self.left) if isinstance(x, jax.Array) else x, value)


class Module:
    """NumPy's module, or one in it, whose functions make traced arrays, or take them.

    >>> Module(np, jnp, iter(range(2))).zeros(2).value.tolist()
    [0.0, 0.0]
    """

    def __init__(self, module: Any, other: Any, left: Iterator[int]):
        self.module, self.other, self.left = module, other, left

    def __getattr__(self, name: str) -> Any:
        found, other = getattr(self.module, name), getattr(self.other, name, None)
        if isinstance(found, types.ModuleType):
            return Module(found, other, self.left)
        if isinstance(found, type) or not callable(found) or other is None:
            return found

        def call(*arguments: Any, **keywords: Any) -> Any:
            if name in MAKERS or any(
                isinstance(leaf, Traced) for leaf in jax.tree_util.tree_leaves((arguments, keywords))
            ):
                return Traced(None, self.left)._call(other, arguments, keywords)
            return found(*arguments, **keywords)

        return call


def traceable(cost: Callable) -> Callable:
    """The cost with parameters on which NumPy's functions are those of JAX.

    >>> jax.grad(traceable(lambda x: np.sum(np.sin(x))))(jnp.zeros(2)).tolist()
    [1.0, 1.0]
    """

    def traced(params: Any, *arguments: Any, **keywords: Any) -> Any:
        left = iter(range(OPERATIONS))
        wrapped = Traced(None, left)._wrapped((params, arguments, keywords))
        copied = with_replaced(cost, lambda value: Module(np, jnp, left) if value is np else value)
        return jnp.asarray(_opened(copied(wrapped[0], *wrapped[1], **wrapped[2])))

    return traced


def _function(name: str) -> Callable:
    return getattr(jnp, name, None) or getattr(jax.scipy.special, name)


def _opened(value: Any) -> Any:
    """Arguments of NumPy's with arrays of JAX's in them."""
    if isinstance(value, Traced):
        return value.value
    if isinstance(value, (tuple, list)):
        return type(value)(_opened(part) for part in value)
    if isinstance(value, dict):
        return {name: _opened(part) for name, part in value.items()}
    return value
