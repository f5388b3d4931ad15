"""The structure of what a rule returns, compared before any number is."""

import inspect
from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import numpy as np

from jax_course.verify.context import first_line
from jax_course.verify.custom_rules import Rule
from jax_course.verify.findings import Finding, Kind, Witness
from jax_course.verify.primals import Primals, argument_names, fill

RULE = "rule"  # the name of the derivative in findings and witnesses
STRUCTURE = Witness("structure", RULE, "disagrees", float("nan"), "compared before any number")
# a function that looks at values is not traced, but run
LOOKED_AT = (jax.errors.ConcretizationTypeError, jax.errors.TracerArrayConversionError,
             jax.errors.TracerIntegerConversionError)  # fmt: skip


def rule_findings(rule: Rule, primals: Primals) -> tuple[list[Finding], list[str]]:
    """Findings where the rule's functions do not return the structure, shapes and dtypes that they must.

    In the caller's precision. No findings, either, for rules inside and those that take symbolic zeros. And the names
    of the primals for which the backward pass returns None.
    """
    none: list[str] = []
    if rule.kind == "inside" or getattr(rule.owner, "symbolic_zeros", getattr(rule.owner, "symz", False)):
        return [], none
    found: list[Finding] = []
    check = partial(_check_vjp, rule, primals, found, none)
    if rule.kind == "jvp":
        check = partial(_check_jvp, rule, primals, found)
    try:
        jax.eval_shape(check, primals.moving, primals.data)
    except Exception as error:
        if not isinstance(error, LOOKED_AT):
            found.append(failure(error))
    return found, none


def failure(error: Exception) -> Finding:
    """The finding on a rule that raised."""
    return mismatch(
        Kind.UNKNOWN, RULE, f"it could not be computed: it raised {type(error).__name__}: {first_line(error)}"
    )


def mismatch(kind: Kind, leaf: str, words: str, got: Any = None, expected: Any = None) -> Finding:
    """A finding on the rule as a whole, or on what it gives for one primal or output."""
    return Finding(kind, RULE, leaf, (), got, expected, words if leaf == RULE else f"`{leaf}`: {words}")


def _positional(function: Callable, primals: Primals, arrays: Any) -> tuple[Any, ...]:
    arguments, keywords = fill(primals.template, arrays)
    bound = inspect.signature(function).bind(*arguments, **keywords)
    bound.apply_defaults()  # as JAX does
    return bound.args


def _check_vjp(rule: Rule, primals: Primals, found: list[Finding], none: list[str], moving: Any, data: Any) -> None:
    arguments = _positional(rule.plain, primals, {**moving, **data})
    pair = rule.owner.fwd(*arguments)
    if not _is_pair(pair, "its forward pass returns", "residuals", found):
        return
    expected = rule.plain(*arguments)
    found += _compared(expected, pair[0], "output", "its forward pass gives", "the function")
    if found:
        return
    static = [arguments[i] for i in sorted(rule.static)]
    returned = rule.owner.bwd(*static, pair[1], jax.tree_util.tree_map(_zero, expected))
    names = argument_names(rule.plain, len(arguments))
    dynamic = [(names[i], argument) for i, argument in enumerate(arguments) if i not in rule.static]
    if not isinstance(returned, (tuple, list)) or len(returned) != len(dynamic):
        needed = f"a tuple of {len(dynamic)}, a cotangent for each primal ({', '.join(name for name, _ in dynamic)})"
        hint = ": write (…,), with a comma" if len(dynamic) == 1 and hasattr(returned, "shape") else ""
        found.append(mismatch(Kind.SHAPE, RULE, f"it returns {_described(returned)} where {needed} is expected{hint}."))
        return
    for (name, argument), cotangent in zip(dynamic, returned, strict=True):
        if cotangent is None:
            none.append(name)
        else:
            found += _compared(argument, cotangent, name, "the cotangent is", "the primal")


def _check_jvp(rule: Rule, primals: Primals, found: list[Finding], moving: Any, data: Any) -> None:
    arguments = _positional(rule.plain, primals, {**moving, **data})
    static = [arguments[i] for i in sorted(rule.static)]
    dynamic = tuple(argument for i, argument in enumerate(arguments) if i not in rule.static)
    pair = rule.owner.jvp(*static, dynamic, jax.tree_util.tree_map(_zero, dynamic))
    if not _is_pair(pair, "it returns", "tangent", found):
        return
    expected = rule.plain(*arguments)
    found += _compared(expected, pair[0], "output", "with its rule the function gives", "the function")
    found += _compared(expected, pair[1], "output", "the tangent is", "the output")


def _is_pair(pair: Any, subject: str, second: str, found: list[Finding]) -> bool:
    """Whether a rule returns a pair; a finding is added if it does not."""
    if isinstance(pair, (tuple, list)) and len(pair) == 2:
        return True
    words = f"{subject} {_described(pair)} where a pair is expected: the output and its {second}."
    found.append(mismatch(Kind.SHAPE, RULE, words))
    return False


def _zero(leaf: Any) -> Any:
    if np.issubdtype(getattr(leaf, "dtype", np.result_type(leaf)), np.integer) or isinstance(leaf, (bool, int)):
        return np.zeros(np.shape(leaf), jax.dtypes.float0)
    return jax.numpy.zeros_like(leaf)


def _compared(expected: Any, got: Any, name: str, subject: str, source: str) -> list[Finding]:
    """Findings where a tree has other leaves than expected; of integers, only their number counts."""
    if jax.tree_util.tree_structure(expected) != jax.tree_util.tree_structure(got):
        words = f"{subject} {_described(got)} where {source} is {_described(expected)}."
        return [mismatch(Kind.SHAPE, name, words)]
    found = []
    for (path, ours), theirs in zip(
        jax.tree_util.tree_flatten_with_path(expected)[0], jax.tree_util.tree_leaves(got), strict=True
    ):
        below = jax.tree_util.keystr(path, simple=True, separator=".")
        label, shape, other = f"{name}.{below}" if below else name, np.shape(ours), np.shape(theirs)
        dtypes = [getattr(leaf, "dtype", None) for leaf in (ours, theirs)]
        if dtypes[0] is None or not jax.numpy.issubdtype(dtypes[0], jax.numpy.floating):
            continue
        if shape != other:
            swapped = len(shape) > 1 and shape == other[::-1]
            hint = ": rows and columns are exchanged" if swapped else ""
            words = f"{subject} of shape {other} where {source} has {shape}{hint}."
            found.append(mismatch(Kind.TRANSPOSE if swapped else Kind.SHAPE, label, words, str(other), str(shape)))
        elif dtypes[1] is not None and dtypes[1] != dtypes[0]:
            words = f"{subject} {dtypes[1]} where {source} is {dtypes[0]}."
            found.append(mismatch(Kind.DTYPE, label, words, str(dtypes[1]), str(dtypes[0])))
    return found


def _described(tree: Any) -> str:
    if tree is None:
        return "nothing (None)"
    if hasattr(tree, "shape"):
        return f"an array of shape {tuple(tree.shape)}"
    if isinstance(tree, (tuple, list)):
        return f"a {type(tree).__name__} of {len(tree)}"
    return f"a {type(tree).__name__}"
