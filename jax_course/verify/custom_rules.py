"""Where the rule of a function is, and the function without it."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import numpy as np
from jax.extend.core import ClosedJaxpr, Jaxpr

from jax_course.verify.primals import Primals, fill
from jax_course.verify.walk import RULES, run_without_rules


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
    """The rule of a function, of a function that jax.jit compiles, or of those that it calls. ValueError: none defined.

    >>> find_rule(jax.nn.relu).kind, find_rule(lambda x: jax.nn.relu(x) + 1).kind
    ('jvp', 'inside')
    """
    owner = function
    while hasattr(owner, "lower") and hasattr(owner, "__wrapped__"):  # jax.jit
        owner = owner.__wrapped__
    # by the type: jax.vmap and functools.wraps hand the attributes on, and no rule
    kind = {"custom_vjp": "vjp", "custom_vjp3": "vjp", "custom_jvp": "jvp"}.get(type(owner).__name__, "inside")
    if kind == "inside":
        return Rule(kind, function, frozenset(), WithoutRules(function))
    if getattr(owner, {"vjp": "bwd", "jvp": "jvp"}[kind]) is None:
        raise ValueError(f"f has no rule yet: def{kind} was not called")
    static = getattr(owner, "nondiff_argnums", getattr(owner, "static_argnums", ()))
    return Rule(kind, owner, frozenset(static), owner.__wrapped__)


class WithoutRules:
    """A function whose program is run without the rules of jax.custom_vjp and custom_jvp in it.

    A rule inside a long loop or a branch stays.

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
        outputs = run_without_rules(program, values)
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
        if step.primitive.name in RULES or step.primitive.name == "call_hi_primitive":
            return True
        parts = jax.tree_util.tree_leaves(list(step.params.values()))
        if any(_holds_rules(inner) for inner in map(_closed, parts) if inner is not None):
            return True
    return False


def _closed(part: Any) -> ClosedJaxpr | None:
    """A parameter of an operation as a program; None if it is none, or takes constants from elsewhere."""
    if isinstance(part, ClosedJaxpr):  # in newer JAX every program is one
        return part
    return ClosedJaxpr(part, ()) if isinstance(part, Jaxpr) and not part.constvars else None
