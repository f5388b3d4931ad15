"""Whether a file lets JAX derive: the answer is then JAX's, and not derived by hand."""

import contextlib
import functools
import sys
from collections.abc import Callable, Iterator
from typing import Any

import jax

DERIVING = ("grad", "value_and_grad", "jacfwd", "jacrev", "jacobian", "hessian", "vjp", "jvp", "linearize")


class _Noticed:
    """A function of JAX, and a note of its name if the file calls it."""

    def __init__(self, function: Callable, name: str, file: str, names: set[str]):
        functools.update_wrapper(self, function)
        self._call = function, f"jax.{name}", file, names

    def __call__(self, *arguments: Any, **keywords: Any) -> Any:
        function, name, file, names = self._call
        if sys._getframe(1).f_code.co_filename == file:
            names.add(name)
        return function(*arguments, **keywords)


@contextlib.contextmanager
def autodiff_calls(file: str) -> Iterator[set[str]]:
    """The names of JAX's differentiating functions, "jax.grad" and so on, that the file calls while this lasts."""
    names: set[str] = set()
    before = {name: getattr(jax, name) for name in DERIVING}
    try:
        for name, function in before.items():
            setattr(jax, name, _Noticed(function, name, file, names))
        yield names
    finally:
        for name, function in before.items():
            setattr(jax, name, function)
