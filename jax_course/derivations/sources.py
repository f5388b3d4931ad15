"""The code of a derivation's functions as text, for the lab book and for exercises."""

import ast
import inspect
import textwrap
from collections.abc import Callable, Iterable
from functools import cache
from pathlib import Path
from types import CodeType, FunctionType, ModuleType
from typing import NamedTuple

PACKAGE = "jax_course"
OWN = f"{PACKAGE}.derivations"


class Needs(NamedTuple):
    """The names that code looks up: statements that import modules, and those that define functions and constants."""

    imports: tuple[str, ...]
    definitions: tuple[str, ...]


def source(function: Callable) -> str:
    """The code of a function: as it is written, or the name of a function of the library.

    Errors: ValueError for a lambda that its file no longer holds.

    >>> from jax_course.derivations import find
    >>> [source(line.value) for line in find("quadratic_form").lines]
    ['lambda theta, A: theta @ A @ theta', 'lambda theta, A: (A + A.T) @ theta']
    """
    if is_of_library(function):
        return f"{function.__module__.rpartition('.')[2]}.{function.__name__}"
    return _lambda(function)[1] if function.__name__ == "<lambda>" else inspect.getsource(function)


def lambda_source(function: Callable) -> str:
    """The code of a function as a lambda, if it has nothing but a `return`; else as `source` has it.

    >>> from jax_course.derivations import find
    >>> lambda_source(find("ridge_gradient").lines[0].value)
    'lambda theta, X, y, penalty: (y - X @ theta) @ (y - X @ theta) + penalty * theta @ theta'
    """
    text = source(function)
    if is_of_library(function) or function.__name__ == "<lambda>":
        return text
    body = _without_docstring(ast.parse(textwrap.dedent(text)).body[0])
    if len(body) != 1 or not isinstance(body[0], ast.Return) or body[0].value is None:
        return text
    return f"lambda {', '.join(inspect.signature(function).parameters)}: {ast.unparse(body[0].value)}"


def returned(function: Callable) -> str:
    """The expression that a function returns, in one line; for a function of the library its call.

    >>> from jax_course.derivations import find
    >>> returned(find("logistic_hessian").arguments()["pi"])
    'scores.sigmoid(X @ theta)'
    """
    if is_of_library(function):
        needed = [p.name for p in inspect.signature(function).parameters.values() if p.default is p.empty]
        return f"{source(function)}({', '.join(needed)})"
    text = lambda_source(function)
    node = ast.parse(f"({text})" if text.startswith("lambda") else "lambda: ...", mode="eval").body
    return ast.unparse(node.body) if isinstance(node, ast.Lambda) else text


def is_of_library(function: Callable) -> bool:
    """Whether a function is a public one of the library, and none that a derivation brings along."""
    module = getattr(function, "__module__", None) or ""
    return module.startswith(f"{PACKAGE}.") and not module.startswith(OWN)


def needs(functions: Iterable[Callable]) -> Needs:
    """The imports and definitions without which the code of the functions does not run, each once.

    Errors: ValueError for a function that looks up anything but modules, functions and plain numbers.

    >>> from jax_course.derivations import find
    >>> needs(line.value for line in find("gaussian_density").lines[:1]).imports
    ('import jax.numpy as jnp',)
    """
    imports: dict[str, None] = {}
    definitions: dict[str, None] = {}
    for function in functions:
        _gather(function, imports, definitions)
    return Needs(tuple(imports), tuple(definitions))


def _gather(function: Callable, imports: dict[str, None], definitions: dict[str, None]) -> None:
    if not isinstance(function, FunctionType) or is_of_library(function):
        return
    if function.__code__.co_freevars:
        raise ValueError(f"{function.__name__} looks up {', '.join(function.__code__.co_freevars)} around it")
    for name in _names(function.__code__):
        value = function.__globals__.get(name)
        if isinstance(value, ModuleType):
            imports[_import(name, value.__name__)] = None
        elif isinstance(value, FunctionType) and is_of_library(value):
            imports[f"from {value.__module__} import {name}"] = None
        elif isinstance(value, FunctionType):
            _gather(value, imports, definitions)
            definitions[inspect.getsource(value).strip()] = None
        elif isinstance(value, int | float):
            definitions[f"{name} = {value!r}"] = None
        elif name in function.__globals__:
            raise ValueError(f"{function.__name__} looks up {name}, which is {type(value).__name__}")


def _names(code: CodeType) -> list[str]:
    inner = [name for part in code.co_consts if isinstance(part, CodeType) for name in _names(part)]
    return list(dict.fromkeys([*code.co_names, *inner]))


def _import(name: str, module: str) -> str:
    parent, _, last = module.rpartition(".")
    if parent.startswith(PACKAGE):
        return f"from {parent} import {last}" + (f" as {name}" if name != last else "")
    return f"import {module}" + (f" as {name}" if name != module else "")


def _without_docstring(node: ast.stmt) -> list[ast.stmt]:
    body = getattr(node, "body", [])
    first = body[0] if body else None
    return body[1:] if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant) else body


def lambda_node(function: Callable) -> ast.Lambda:
    """The syntax tree of a lambda. Errors: ValueError where its file no longer holds it."""
    return _lambda(function)[0]


def _lambda(function: Callable) -> tuple[ast.Lambda, str]:
    """The tree and the text of a lambda: the one of its file whose body stands where the code says."""
    code = function.__code__
    text = Path(code.co_filename).read_text(encoding="utf-8")
    places = set(code.co_positions())
    for node in _lambdas(text):
        body = node.body
        if (body.lineno, body.end_lineno, body.col_offset, body.end_col_offset) in places:
            return node, textwrap.dedent(ast.get_source_segment(text, node, padded=True) or "")
    raise ValueError(f"there is no such lambda in line {code.co_firstlineno} of {code.co_filename}")


@cache
def _lambdas(text: str) -> list[ast.Lambda]:
    return [node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Lambda)]
