"""The record of a derivative as somebody has it in practice: right, or wrong in a way that people are wrong.

The cases stand in the packages beside this file, a module for each domain. They are written for JAX's own settings
of promotion; the data are NumPy arrays, so that they do not depend on the precision in force when they are imported.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

from jax_course.verify import Kind


class Practice(NamedTuple):
    """One derivative of cost(params, *arguments, **keywords), and what is wrong with it.

    name: the model and the mistake, in words. kinds: None if the derivative is right, else the names that a fair reader
    may call the mistake by. all_needed: several mistakes at once, each kind must be named.
    """

    name: str
    cost: Callable
    params: Any
    arguments: tuple = ()
    keywords: Mapping[str, Any] = MappingProxyType({})
    gradient: Callable | None = None
    hessian: Callable | None = None
    hessian_product: Callable | None = None
    kinds: frozenset[Kind] | None = None
    all_needed: bool = False
