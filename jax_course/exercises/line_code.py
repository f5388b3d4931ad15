"""The code of a student's lines: shown where there is no formula, and kept from changing what others are given."""

import ast
import inspect
from collections.abc import Callable
from functools import wraps
from typing import Any

import jax
import numpy as np

from jax_course.derivations.sources import lambda_source, returned
from jax_course.verify import Line

NO_CODE = (AttributeError, ValueError, TypeError, OSError, SyntaxError)  # of a function whose code cannot be read


def expression(function: Callable) -> str:
    """The expression that a function returns; its name where it does more than that, or its code is not found.

    >>> from jax_course.derivations import find
    >>> expression(find("quadratic_form").lines[1].value)
    '(A + A.T) @ theta'
    """
    try:
        text = returned(inspect.unwrap(function))
    except NO_CODE:
        text = "\n"
    return text if "\n" not in text else str(getattr(function, "__name__", "a function"))


def repeated(lines: tuple[Line, ...]) -> tuple[int, ...]:
    """The numbers of the lines whose code is that of an earlier line since the last derivative."""
    found, seen = [], set()
    for number, one in enumerate(lines, 1):
        code = _code(one.value)
        seen = set() if one.by else seen
        found += [number] if code and code in seen else []
        seen.add(code)
    return tuple(found)


def _code(function: Callable) -> str:
    """The code of a function, in a form in which spaces and the order of parameters do not count; "" if unknown."""
    try:
        text = lambda_source(inspect.unwrap(function))
        tree = ast.parse(f"({text})" if text.startswith("lambda") else text)
    except NO_CODE:
        return ""
    node = next((node for node in ast.walk(tree) if isinstance(node, ast.Lambda | ast.FunctionDef)), None)
    if node is None:
        return text
    return ast.dump(node.body) if isinstance(node, ast.Lambda) else "".join(map(ast.dump, node.body))


def guarded(function: Callable) -> Callable:
    """The function, with arrays that it cannot change: other lines are compared with them."""

    @wraps(function)
    def call(*positional: Any, **given: Any) -> Any:
        positional, given = jax.tree_util.tree_map(_read_only, (positional, given))
        return function(*positional, **given)

    return call


def _read_only(leaf: Any) -> Any:
    if not isinstance(leaf, np.ndarray):
        return leaf
    view = leaf.view()
    view.flags.writeable = False
    return view
