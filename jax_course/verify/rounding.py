r"""The rounding errors of a traced function, entry by entry: every intermediate result is moved in its last digits.

An entry that was summed of large terms that cancel carries their rounding, however small it is; an entry that is small
because its terms are small does not. Size does not tell the two apart. Therefore the program of the function is
evaluated with every input and every intermediate result multiplied by

    1 + ε u,    −1 ≤ u ≤ 1,  another u for each number,

a few times. The scatter of an entry is the rounding of the terms that it was computed from.

Source: D. S. Parker, Monte Carlo arithmetic (1997); J. Vignes, A stochastic arithmetic for reliable scientific
computation, Math. Comput. Simul. 35 (1993).
"""

import itertools
from collections.abc import Callable, Iterator
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax
from jax.extend.core import ClosedJaxpr, Literal, jaxpr_as_fun

# names of JAX's primitives that hold a program which is to be perturbed inside
NESTED = {
    "jit": "jaxpr",
    "pjit": "jaxpr",
    "closed_call": "call_jaxpr",
    "core_call": "call_jaxpr",
    "remat": "jaxpr",
    "checkpoint": "jaxpr",
    "custom_jvp_call": "call_jaxpr",
    "custom_vjp_call": "call_jaxpr",
    "custom_vjp_call_jaxpr": "fun_jaxpr",
    "custom_lin": "call_jaxpr",
}
# results that are exact where the operands are: moving them again would add nothing
EXACT = (
    "broadcast_in_dim", "concatenate", "copy", "dynamic_slice", "gather", "neg", "pad", "reshape", "rev", "select_n",
    "slice", "squeeze", "stop_gradient", "transpose",
)  # fmt: skip


def perturbed(function: Callable) -> Callable:
    """The function with one argument more in front: a seed, a number, of the moves of its intermediate results.

    The function takes and returns arrays or trees of them. Errors: those of tracing it.

    >>> difference = perturbed(lambda x: (x + 1e6) - 1e6)
    >>> bool(1e-12 < abs(difference(0.5, 1e-6) - 1e-6) < 1e-9)
    True
    """

    def moved(seed: Any, *arguments: Any) -> Any:
        leaves, structure = jax.tree_util.tree_flatten(arguments)
        program, shapes = jax.make_jaxpr(lambda *a: function(*jax.tree_util.tree_unflatten(structure, a)),
                                         return_shape=True)(*leaves)  # fmt: skip
        moves = (_move(value, seed + k) for value, k in zip(leaves, range(10**6, 10**7), strict=False))
        outputs = _run(program, list(moves), seed, itertools.count())
        return jax.tree_util.tree_unflatten(jax.tree_util.tree_structure(shapes), outputs)

    return moved


def _move(value: Any, seed: Any) -> Any:
    """The value times 1 + ε u; whole numbers, truth values and keys as they are."""
    if not hasattr(value, "dtype"):
        value = jnp.asarray(value)
    if not jnp.issubdtype(value.dtype, jnp.floating):
        return value
    # a cheap sequence will do: what matters is that neighbours and steps of the program move differently
    position = jnp.arange(value.size, dtype=value.dtype).reshape(value.shape)
    u = jnp.cos(1.7 * position + jnp.asarray(12.9898 * seed, value.dtype))
    return value * (1 + jnp.finfo(value.dtype).eps * u.astype(value.dtype))


def _run(program: Any, inputs: list[Any], seed: Any, numbers: Iterator[int]) -> list[Any]:
    """The outputs of a closed program with every intermediate result moved."""
    known = dict(zip(program.jaxpr.invars, inputs, strict=True))
    known |= dict(zip(program.jaxpr.constvars, program.consts, strict=True))

    def read(variable: Any) -> Any:
        return variable.val if isinstance(variable, Literal) else known[variable]

    for step in program.jaxpr.eqns:
        values = [read(variable) for variable in step.invars]
        outputs = _step(program, step, values, seed, numbers)
        known |= dict(zip(step.outvars, outputs, strict=True))
    return [read(variable) for variable in program.jaxpr.outvars]


def _step(program: Any, step: Any, values: list[Any], seed: Any, numbers: Iterator[int]) -> list[Any]:
    name = step.primitive.name
    if name in NESTED and NESTED[name] in step.params:
        inner = step.params[NESTED[name]]
        return _run(inner if isinstance(inner, ClosedJaxpr) else ClosedJaxpr(inner, ()), values, seed, numbers)
    if name == "scan":
        return _scan(step, values, seed + next(numbers))
    if name == "while":
        return _while(step, values, seed + next(numbers))
    if name == "cond":
        index, *operands = values
        k = next(numbers)
        branches = [
            lambda *operands, branch=branch: _run(branch, list(operands), seed + k, itertools.count())
            for branch in step.params["branches"]
        ]
        return lax.switch(index, branches, *operands)
    variables = {v: value for v, value in zip(step.invars, values, strict=True) if not isinstance(v, Literal)}
    alone = program.jaxpr.replace(constvars=[], invars=list(variables), outvars=list(step.outvars), eqns=[step])
    outputs = jaxpr_as_fun(ClosedJaxpr(alone, ()))(*variables.values())
    return list(outputs) if name in EXACT else [_move(output, seed + next(numbers)) for output in outputs]


def _scan(step: Any, values: list[Any], seed: Any) -> list[Any]:
    body, consts, carries = step.params["jaxpr"], step.params["num_consts"], step.params["num_carry"]
    fixed, start, rows = values[:consts], values[consts : consts + carries], values[consts + carries :]

    def advance(carry: Any, row: Any) -> tuple[Any, Any]:
        seed, state = carry
        outputs = _run(body, [*fixed, *state, *row], seed, itertools.count())
        return (seed + 1.0, outputs[:carries]), outputs[carries:]

    (_, end), stacked = lax.scan(
        advance, (seed, start), rows, length=step.params["length"], reverse=step.params["reverse"]
    )
    return [*end, *stacked]


def _while(step: Any, values: list[Any], seed: Any) -> list[Any]:
    body, condition = step.params["body_jaxpr"], step.params["cond_jaxpr"]
    count, fixed = step.params["cond_nconsts"], step.params["body_nconsts"]
    tested, constant, start = values[:count], values[count : count + fixed], values[count + fixed :]

    def advance(carry: Any) -> Any:
        seed, state = carry
        return seed + 1.0, _run(body, [*constant, *state], seed, itertools.count())

    return lax.while_loop(lambda carry: jaxpr_as_fun(condition)(*tested, *carry[1])[0], advance, (seed, start))[1]
