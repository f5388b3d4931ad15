"""The terms of a cost: the addends that its program adds up last, each as a cost of its own.

The program is evaluated with sums of terms in place of numbers: a linear operation acts on every term, any other adds
them up to one.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.extend.core import ClosedJaxpr, Literal, jaxpr_as_fun

from jax_course.verify.walk import NESTED

# names of JAX's primitives that are linear
LINEAR = ("neg", "reduce_sum", "broadcast_in_dim", "convert_element_type", "reshape", "squeeze", "transpose", "copy")
MANY = 64  # terms; ten times more than a reader's cost has


class Term(NamedTuple):
    """An addend, and the leaves of (parameters, arguments, keywords), by number, that it is computed from."""

    value: Any
    leaves: frozenset[int]


def terms(cost: Callable, params: Any, *arguments: Any, **keywords: Any) -> list[Term]:
    """The terms whose sum is cost(params, *arguments, **keywords), in their order. Errors: those of tracing the cost.

    >>> [float(term.value) for term in terms(lambda x, a: jnp.log(x) - 3 * x**2 + a, 1.0, 5.0)]
    [0.0, -3.0, 5.0]
    """
    inputs = params, arguments, keywords
    program = jax.make_jaxpr(lambda params, arguments, keywords: cost(params, *arguments, **keywords))(*inputs)
    leaves = [[Term(leaf, frozenset((i,)))] for i, leaf in enumerate(jax.tree_util.tree_leaves(inputs))]
    count = len(jax.tree_util.tree_leaves(params))
    return _walk(program, leaves, frozenset(range(count)))[0]


def one_term(cost: Callable, index: int) -> Callable:
    """The term of that index as a cost of its own.

    >>> float(one_term(lambda x: x**2 + 3 * x, 1)(2.0))
    6.0
    """
    return partial(_value, cost, index)


def _value(cost: Callable, index: int, params: Any, *arguments: Any, **keywords: Any) -> Any:
    return terms(cost, params, *arguments, **keywords)[index].value


def _walk(program: Any, inputs: list[list[Term]], parameters: frozenset[int]) -> list[list[Term]]:
    """The outputs of a program, each a list of terms."""
    sums: dict[Any, list[Term]] = dict(zip(program.jaxpr.invars, inputs, strict=True))
    sums |= {v: [Term(c, frozenset())] for v, c in zip(program.jaxpr.constvars, program.consts, strict=True)}

    def read(variable: Any) -> list[Term]:
        return [Term(variable.val, frozenset())] if isinstance(variable, Literal) else sums[variable]

    for step in program.jaxpr.eqns:
        sums_in = [read(variable) for variable in step.invars]
        if step.primitive.name in NESTED:
            outputs = _walk(step.params["jaxpr"], sums_in, parameters)
        else:
            outputs = _step(program, step, sums_in, parameters)
        sums |= dict(zip(step.outvars, (_few(addends) for addends in outputs), strict=True))
    return [read(variable) for variable in program.jaxpr.outvars]


def _step(program: Any, step: Any, inputs: list[list[Term]], parameters: frozenset[int]) -> list[list[Term]]:
    """The outputs of one operation."""
    name, shape = step.primitive.name, step.outvars[0].aval.shape
    if name == "add":
        return [_broadcast(inputs[0] + inputs[1], shape)]
    if name == "sub":
        negative = [Term(jnp.negative(term.value), term.leaves) for term in inputs[1]]
        return [_broadcast(inputs[0] + negative, shape)]
    moving = [i for i, addends in enumerate(inputs) if any(term.leaves & parameters for term in addends)]
    if name in LINEAR or (name == "mul" and len(moving) == 1) or (name == "div" and moving == [0]):
        i = moving[0] if moving else 0
        fixed = [_added(addends) for addends in inputs]
        return [[_bound(program, step, [*fixed[:i], term, *fixed[i + 1 :]])[0] for term in inputs[i]]]
    return [[term] for term in _bound(program, step, [_added(addends) for addends in inputs])]


def _few(addends: list[Term]) -> list[Term]:
    """The terms, or their sum as one where they are many: a sum in each turn of a loop doubles them."""
    return addends if len(addends) <= MANY else [_added(addends)]


def _broadcast(addends: list[Term], shape: tuple[int, ...]) -> list[Term]:
    """A number that was added to every entry of an array, as that array."""
    return [term._replace(value=jnp.broadcast_to(term.value, shape)) for term in addends]


def _added(addends: list[Term]) -> Term:
    first, *others = addends
    for term in others:
        first = Term(jnp.add(first.value, term.value), first.leaves | term.leaves)
    return first


def _bound(program: Any, step: Any, inputs: list[Term]) -> list[Term]:
    """The outputs of one operation on one term for each input: the step is run as a program of its own."""
    values = {v: term.value for v, term in zip(step.invars, inputs, strict=True) if not isinstance(v, Literal)}
    alone = program.jaxpr.replace(constvars=[], invars=list(values), outvars=list(step.outvars), eqns=[step])
    leaves = frozenset().union(*(term.leaves for term in inputs))
    return [Term(value, leaves) for value in jaxpr_as_fun(ClosedJaxpr(alone, ()))(*values.values())]
