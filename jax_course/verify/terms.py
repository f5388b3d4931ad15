"""The terms of a cost: the addends that its program adds up last, each as a cost of its own.

The program is walked through with sums of terms in place of numbers: what is linear acts on every term, what is not
adds them up to one.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.extend.core import ClosedJaxpr, Literal, jaxpr_as_fun

LINEAR = ("neg", "reduce_sum", "broadcast_in_dim", "convert_element_type", "reshape", "squeeze", "transpose", "copy")
NESTED = ("jit", "pjit", "closed_call", "core_call")


class Term(NamedTuple):
    """An addend, and the leaves of (parameters, arguments, keywords), by number, that it is computed from."""

    value: Any
    leaves: frozenset[int]


def terms(cost: Callable, params: Any, *arguments: Any, **keywords: Any) -> list[Term]:
    """The terms that cost(params, *arguments, **keywords) is the sum of, in their order.

    >>> [float(term.value) for term in terms(lambda x, a: jnp.log(x) - 3 * x**2 + a, 1.0, 5.0)]
    [0.0, -3.0, 5.0]
    """
    given = params, arguments, keywords
    program = jax.make_jaxpr(lambda params, arguments, keywords: cost(params, *arguments, **keywords))(*given)
    leaves = [[Term(leaf, frozenset((i,)))] for i, leaf in enumerate(jax.tree_util.tree_leaves(given))]
    below = range(len(jax.tree_util.tree_leaves(params)))
    return _walk(program, leaves, frozenset(below))[0]


def one_term(cost: Callable, index: int) -> Callable:
    """The cost that is the term of that index."""
    return partial(_value, cost, index)


def _value(cost: Callable, index: int, params: Any, *arguments: Any, **keywords: Any) -> Any:
    return terms(cost, params, *arguments, **keywords)[index].value


def _walk(program: Any, inputs: list[list[Term]], parameters: frozenset[int]) -> list[list[Term]]:
    """What a program returns, each output a list of terms."""
    sums: dict[Any, list[Term]] = dict(zip(program.jaxpr.invars, inputs, strict=True))
    sums |= {v: [Term(c, frozenset())] for v, c in zip(program.jaxpr.constvars, program.consts, strict=True)}

    def read(variable: Any) -> list[Term]:
        return [Term(variable.val, frozenset())] if isinstance(variable, Literal) else sums[variable]

    for step in program.jaxpr.eqns:
        of_inputs = [read(variable) for variable in step.invars]
        if step.primitive.name in NESTED:
            outputs = _walk(step.params["jaxpr"], of_inputs, parameters)
        else:
            outputs = _step(program, step, of_inputs, parameters)
        sums |= dict(zip(step.outvars, outputs, strict=True))
    return [read(variable) for variable in program.jaxpr.outvars]


def _step(program: Any, step: Any, inputs: list[list[Term]], parameters: frozenset[int]) -> list[list[Term]]:
    """The outputs of one operation."""
    name, shape = step.primitive.name, step.outvars[0].aval.shape
    if name == "add":
        return [_of_shape(inputs[0] + inputs[1], shape)]
    if name == "sub":
        turned = [Term(jnp.negative(term.value), term.leaves) for term in inputs[1]]
        return [_of_shape(inputs[0] + turned, shape)]
    moving = [i for i, sum_of in enumerate(inputs) if any(term.leaves & parameters for term in sum_of)]
    if name in LINEAR or (name == "mul" and len(moving) == 1) or (name == "div" and moving == [0]):
        at = moving[0] if moving else 0
        fixed = [_added(sum_of) for sum_of in inputs]
        return [[_bound(program, step, [*fixed[:at], term, *fixed[at + 1 :]])[0] for term in inputs[at]]]
    return [[term] for term in _bound(program, step, [_added(sum_of) for sum_of in inputs])]


def _of_shape(sum_of: list[Term], shape: tuple[int, ...]) -> list[Term]:
    """A number that was added to every entry of an array, as that array."""
    return [term._replace(value=jnp.broadcast_to(term.value, shape)) for term in sum_of]


def _added(sum_of: list[Term]) -> Term:
    first, *others = sum_of
    for term in others:
        first = Term(jnp.add(first.value, term.value), first.leaves | term.leaves)
    return first


def _bound(program: Any, step: Any, inputs: list[Term]) -> list[Term]:
    """One operation on one term each: the program that is this step alone."""
    by_variable = {v: term.value for v, term in zip(step.invars, inputs, strict=True) if not isinstance(v, Literal)}
    alone = program.jaxpr.replace(constvars=[], invars=list(by_variable), outvars=list(step.outvars), eqns=[step])
    leaves = frozenset().union(*(term.leaves for term in inputs))
    return [Term(value, leaves) for value in jaxpr_as_fun(ClosedJaxpr(alone, ()))(*by_variable.values())]
