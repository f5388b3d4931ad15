"""The rule of a function: where it is, how the function is without it, and the structure of what it returns."""

import inspect
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import numpy as np
from jax.extend.core import ClosedJaxpr, Literal, jaxpr_as_fun

from jax_course.verify.context import first_line
from jax_course.verify.findings import Finding, Kind, Witness
from jax_course.verify.primals import Primals, argument_names, fill

RULE = "rule"  # the name of the derivative in findings and witnesses
STRUCTURE = Witness("structure", RULE, "disagrees", float("nan"), "compared before any number")
WITH_RULES = ("custom_jvp_call", "custom_vjp_call")  # JAX's primitives that hold a program and a rule
NESTED = ("jit", "pjit", "closed_call", "core_call")


class Rule(NamedTuple):
    """A function and its rule.

    kind: "vjp" or "jvp"; "inside" if the rules belong to functions that this one calls. owner: the object of
    jax.custom_vjp or custom_jvp; the function itself if the rules are inside. static: the positions of the arguments
    that are not differentiated by. plain: the function without the rule.
    """

    kind: str
    owner: Any
    static: frozenset[int]
    plain: Callable


def find_rule(function: Callable) -> Rule:
    """The rule of a function, of a function that jax.jit compiles, or of those that it calls.

    >>> find_rule(jax.nn.relu).kind, find_rule(lambda x: jax.nn.relu(x) + 1).kind
    ('jvp', 'inside')
    """
    owner = function
    while hasattr(owner, "lower") and hasattr(owner, "__wrapped__"):  # jax.jit
        owner = owner.__wrapped__
    kind = next((kind for kind, name in (("vjp", "bwd"), ("jvp", "jvp")) if getattr(owner, name, None)), "inside")
    if kind == "inside":
        return Rule(kind, function, frozenset(), WithoutRules(function))
    static = getattr(owner, "nondiff_argnums", getattr(owner, "static_argnums", ()))
    return Rule(kind, owner, frozenset(static), owner.__wrapped__)


class WithoutRules:
    """A function whose program is run without the rules of jax.custom_vjp and custom_jvp in it.

    A rule inside a loop or a branch stays.

    >>> negative = jax.custom_jvp(lambda x: -x)
    >>> negative.defjvps(lambda t, out, x: 5 * t)
    >>> float(jax.grad(WithoutRules(lambda x: 3 * negative(x)))(1.0))
    -3.0
    """

    def __init__(self, function: Callable):
        self.function = function
        self.__wrapped__ = function

    def __call__(self, *arguments: Any, **keywords: Any) -> Any:
        leaves, treedef = jax.tree_util.tree_flatten((arguments, keywords))
        arrays = [i for i, leaf in enumerate(leaves) if isinstance(leaf, (jax.Array, np.ndarray, np.generic, float))]

        def call(*values: Any) -> Any:
            filled = dict(zip(arrays, values, strict=True))
            merged = [filled.get(i, leaf) for i, leaf in enumerate(leaves)]
            positional, named = jax.tree_util.tree_unflatten(treedef, merged)
            return self.function(*positional, **named)

        values = [leaves[i] for i in arrays]
        program, shapes = jax.make_jaxpr(call, return_shape=True)(*values)
        outputs = _run(program, values)
        return jax.tree_util.tree_unflatten(jax.tree_util.tree_structure(shapes), outputs)


def has_rules(function: Callable, primals: Primals) -> bool:
    """Whether the program of the function holds a rule."""

    def call(moving: Any, data: Any) -> Any:
        arguments, keywords = fill(primals.template, {**moving, **data})
        return function(*arguments, **keywords)

    try:
        return _holds_rules(jax.make_jaxpr(call)(primals.moving, primals.data))
    except Exception:  # a function that cannot be traced is not refused
        return True


def _holds_rules(program: Any) -> bool:
    for step in program.jaxpr.eqns:
        if step.primitive.name in WITH_RULES or step.primitive.name == "call_hi_primitive":
            return True
        nested = jax.tree_util.tree_leaves(list(step.params.values()), is_leaf=lambda p: isinstance(p, ClosedJaxpr))
        if any(isinstance(inner, ClosedJaxpr) and _holds_rules(inner) for inner in nested):
            return True
    return False


def _run(program: ClosedJaxpr, inputs: list[Any]) -> list[Any]:
    """The outputs of a program, operation by operation, without rules."""
    values = dict(zip(program.jaxpr.invars, inputs, strict=True))
    values |= zip(program.jaxpr.constvars, program.consts, strict=True)

    def read(variable: Any) -> Any:
        return variable.val if isinstance(variable, Literal) else values[variable]

    for step in program.jaxpr.eqns:
        arguments = [read(variable) for variable in step.invars]
        inner = [step.params[name] for name in ("jaxpr", "call_jaxpr") if name in step.params]
        if step.primitive.name in (*WITH_RULES, *NESTED) and len(inner) == 1 and isinstance(inner[0], ClosedJaxpr):
            outputs = _run(inner[0], arguments)
        else:
            names = [variable for variable in step.invars if not isinstance(variable, Literal)]
            distinct = list(dict.fromkeys(names))
            alone = program.jaxpr.replace(constvars=[], invars=distinct, outvars=list(step.outvars), eqns=[step])
            outputs = jaxpr_as_fun(ClosedJaxpr(alone, ()))(*(values[variable] for variable in distinct))
        values |= zip(step.outvars, outputs, strict=True)
    return [read(variable) for variable in program.jaxpr.outvars]


def rule_findings(rule: Rule, primals: Primals) -> list[Finding]:
    """Findings where the rule's functions do not return the structure, shapes and dtypes that they must.

    In the caller's precision. No findings, either, for rules inside and those that take symbolic zeros.
    """
    if rule.kind == "inside" or getattr(rule.owner, "symbolic_zeros", getattr(rule.owner, "symz", False)):
        return []
    found: list[Finding] = []
    check = partial(_check_vjp if rule.kind == "vjp" else _check_jvp, rule, primals, found)
    try:
        jax.eval_shape(check, primals.moving, primals.data)
    except Exception as error:
        if not isinstance(error, jax.errors.ConcretizationTypeError):  # else it branches on values, which are looked at
            found.append(failure(error))
    return found


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


def _check_vjp(rule: Rule, primals: Primals, found: list[Finding], moving: Any, data: Any) -> None:
    arguments = _positional(rule.plain, primals, {**moving, **data})
    pair = rule.owner.fwd(*arguments)
    if not isinstance(pair, (tuple, list)) or len(pair) != 2:
        words = f"its forward pass returns {_described(pair)} where a pair is expected: the output and the residuals."
        found.append(mismatch(Kind.SHAPE, RULE, words))
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
        if cotangent is not None:
            found += _compared(argument, cotangent, name, "the cotangent is", "the primal")


def _check_jvp(rule: Rule, primals: Primals, found: list[Finding], moving: Any, data: Any) -> None:
    arguments = _positional(rule.plain, primals, {**moving, **data})
    static = [arguments[i] for i in sorted(rule.static)]
    dynamic = tuple(argument for i, argument in enumerate(arguments) if i not in rule.static)
    pair = rule.owner.jvp(*static, dynamic, jax.tree_util.tree_map(_zero, dynamic))
    if not isinstance(pair, (tuple, list)) or len(pair) != 2:
        words = f"it returns {_described(pair)} where a pair is expected: the output and its tangent."
        found.append(mismatch(Kind.SHAPE, RULE, words))
        return
    expected = rule.plain(*arguments)
    found += _compared(expected, pair[0], "output", "with its rule the function gives", "the function")
    found += _compared(expected, pair[1], "output", "the tangent is", "the output")


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
