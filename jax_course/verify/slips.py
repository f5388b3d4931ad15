"""Slips in the derivative of one operation: for each operation of a cost, the wrong derivatives that people write.

A slip is an array with the right shape whose derivative stands in the place of that of the operation's output: the
operand itself for a derivative that is taken for 1, an output computed from constants for one that is left out.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jax_course.verify.array_slips import ARRAY_SLIPS, square
from jax_course.verify.entry_slips import ENTRY_SLIPS
from jax_course.verify.findings import Kind
from jax_course.verify.slip_parts import MOVING_ONLY, NAMES, Found, by_operand, ordinal, sloped
from jax_course.verify.walk import RULES, Step, inner_program, source

SLIPS = ENTRY_SLIPS | ARRAY_SLIPS


class Slip(NamedTuple):
    """A slip: its kind, its words with {} for the operation, and the array whose derivative is taken.

    path: the array is a part of the output, of which any multiple may be missing or too much: a sign, a factor.
    """

    kind: Kind
    words: str
    instead: Any
    path: bool = False


def place(step: Step) -> str:
    """The operation in words, with the reader's line."""
    called = f"`{_function_name(step)}`" if step.name in RULES else NAMES.get(step.name, f"`{step.name}`")
    found = source(step.equation)
    if found is None:
        return called
    return f"{called} (in `{found.line if len(found.line) <= 60 else found.line[:59] + '…'}`)"


def _function_name(step: Step) -> str:
    """The name of the function that a rule belongs to."""
    information = getattr(inner_program(step.equation).jaxpr, "debug_info", None)
    return getattr(information, "func_name", "") or "a function with a rule"


def slips(step: Step, y: Any) -> Iterator[Slip]:
    """The slips of one operation with the output y; those that say most come first."""
    if step.name in MOVING_ONLY:
        return
    for kind, words, instead in (*SLIPS.get(step.name, _none)(step, y), *square(step, y)):
        if instead.shape == y.shape and instead.dtype == y.dtype:
            yield Slip(kind, words, instead)
    moving = [i for i, moves in enumerate(step.moving) if moves and _is_float(step.operands[i])]
    if len(moving) == 1 and step.operands[moving[0]].shape == y.shape and step.name not in ("add", "sub", "gather"):
        masks = step.name in ("max", "min", "clamp", "select_n")
        what = "a mask is missing" if masks else "it is taken for 1"
        what = "its slope, or its mask, is missing" if step.name in RULES else what
        constant = step.name == "div" and np.size(step.operands[1]) == 1
        kind = Kind.FACTOR if constant else Kind.CHAIN_RULE
        yield Slip(kind, f"the derivative of {{}} is left out: {what}.", step.operands[moving[0]])
        yield from _elsewhere(step, moving[0])
        if step.name in RULES:
            yield from _of_a_rule(step, moving[0])
    if len(moving) > 1 and not step.name.startswith("custom_"):
        for i in moving:
            alone = by_operand(lambda *operands: step.run(list(operands))[0], i, *step.operands)
            yield Slip(Kind.MISSING, f"the derivative of {{}} by its {ordinal(i)} operand", alone, True)
    yield Slip(Kind.MISSING, "the derivative of {}", y, True)


def _elsewhere(step: Step, i: int) -> Iterator[Slip]:
    """The derivative of a function of a sum with a constant, taken without the constant."""
    parent, x = step.parents[i], step.operands[i]
    if parent is None or parent.name not in ("add", "sub") or sum(parent.moving) != 1 or not parent.moving[0]:
        return
    before = parent.operands[0]
    if before.shape == x.shape:
        words = "the derivative of {} is taken without the constant that is added to its operand."
        yield Slip(Kind.CHAIN_RULE, words, sloped(_derivative(step, i, before), x))


def _derivative(step: Step, i: int, x: Any) -> Any:
    """The derivative of an operation on single entries by its operand i, at x."""
    run = lambda t: step.run([t if j == i else other for j, other in enumerate(step.operands)])[0]  # noqa: E731
    return jax.vjp(run, x)[1](jnp.ones_like(x))[0]  # a custom_vjp has no forward mode


def _of_a_rule(step: Step, i: int) -> Iterator[Slip]:
    """A function of single entries with a rule of its own, such as softplus: σ(−a) for σ(a), or σ′(a)."""
    x = step.operands[i]
    slope = _derivative(step, i, x)
    yield Slip(Kind.CHAIN_RULE, "the derivative of {} is taken for one minus itself.", sloped(1 - slope, x))
    words = "the derivative d of {} is taken for d (1 − d), the derivative of a sigmoid."
    yield Slip(Kind.CHAIN_RULE, words, sloped(slope * (1 - slope), x))


def omissions(step: Step, y: Any) -> Found:
    """Values that stand in the place of an output where an operation, or a constant in it, is left out."""
    moving = [i for i, moves in enumerate(step.moving) if moves and _is_float(step.operands[i])]
    if len(moving) != 1 or step.name in MOVING_ONLY:
        return
    x = step.operands[moving[0]]
    if x.shape != y.shape or x.dtype != y.dtype:
        return
    if step.name in ("add", "sub"):
        x = -x if step.name == "sub" and moving[0] else x
        yield Kind.MISSING, "yours is computed as if the constant in {} were 0.", x
    elif step.name in ("mul", "div"):
        yield Kind.MISSING, "yours is computed as if the constant in {} were 1.", x
    elif step.name in ("rev", "sort"):
        yield Kind.INDEX, "yours is computed in the order before {}.", x
    elif step.name in ("max", "min", "clamp", "select_n"):
        yield Kind.CHAIN_RULE, "yours is computed as if {} were left out: a mask is missing.", x
    else:
        yield Kind.MISSING, "yours is computed as if {} were left out.", x


def _none(step: Step, y: Any) -> Found:
    yield from ()


def _is_float(x: Any) -> bool:
    return jnp.issubdtype(jnp.result_type(x), jnp.inexact)
