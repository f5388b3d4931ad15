"""Slips in operations on single entries: a mask that is missing, a factor, a power.

Each function takes a step and its output y. It yields the kind, the words with {} for the operation, and the array
whose derivative stands in the place of that of y.
"""

from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
import numpy as np
from jax import lax

from jax_course.verify.findings import Kind
from jax_course.verify.slip_parts import Found, before, ordinal, sloped
from jax_course.verify.walk import Step


def _tanh(step: Step, y: Any) -> Found:
    x = step.operands[0]
    words = "the derivative of {} is taken for 1 − a², where a is the operand; 1 − tanh² a is right."
    yield Kind.CHAIN_RULE, words, sloped(1 - x**2, x)
    yield Kind.CHAIN_RULE, "the derivative of {} is taken for 1 − tanh; the square is missing.", sloped(1 - y, x)


def _logistic(step: Step, y: Any) -> Found:
    x = step.operands[0]
    words = "the derivative of {} is taken for a (1 − a), where a is the operand; σ (1 − σ) is right."
    yield Kind.CHAIN_RULE, words, sloped(x * (1 - x), x)
    yield Kind.CHAIN_RULE, "the derivative of {} is taken for σ; the factor 1 − σ is missing.", sloped(y, x)
    yield Kind.CHAIN_RULE, "the derivative of {} is taken for 1 − σ; the factor σ is missing.", sloped(1 - y, x)


def _product(step: Step, y: Any) -> Found:
    for i in (0, 1):
        x, other = step.operands[i], step.operands[1 - i]
        if step.moving[i] and jnp.iscomplexobj(other):
            words = "in the derivative of {} the other factor is conjugated wrongly."
            yield Kind.TRANSPOSE, words, x * lax.stop_gradient(jnp.conj(other))
        if all(step.moving):
            words = f"the derivative of {{}} by its {ordinal(i)} factor lacks the other factor."
            yield Kind.CHAIN_RULE, words, x + sloped(x, other)
            if np.shape(x) == np.shape(other):
                words = (
                    f"in the derivative of {{}} by its {ordinal(i)} factor that factor itself stands, not the other."
                )
                yield Kind.INDEX, words, sloped(x, x) + sloped(x, other)
            for earlier, name in before(step.parents[1 - i], other):
                words = f"in the derivative of {{}} by its {ordinal(i)} factor the other one is taken before {name}."
                yield Kind.CHAIN_RULE, words, sloped(earlier, x) + sloped(x, other)


def _absolute(step: Step, y: Any) -> Found:
    x = step.operands[0]
    yield Kind.CHAIN_RULE, "the derivative of {} is taken for the operand itself; its sign is right.", sloped(x, x)


def _softmax(step: Step, y: Any) -> Found:
    """Slips in the derivative of exponentials that are divided by their sum."""
    exponential, total = step.parents[:2]
    while total and total.name in ("broadcast_in_dim", "reshape"):
        total = total.parents[0]
    if not exponential or not total or exponential.name != "exp" or total.name != "reduce_sum":
        return
    x, axes = exponential.operands[0], total.equation.params["axes"]
    if total.operands[0].shape != y.shape or x.shape != y.shape or len(axes) != 1:
        return
    words = "in the derivative of {}, a softmax, only the diagonal π (1 − π) counts; −π π of the others is left out."
    yield Kind.CHAIN_RULE, words, sloped(y * (1 - y), x)
    for axis in range(y.ndim):
        if axis != axes[0]:
            words = f"the sum in the derivative of {{}}, a softmax, is over axis {axis}; axis {axes[0]} is right."
            yield Kind.TRANSPOSE, words, sloped(y, x - jnp.sum(sloped(y, x), axis, keepdims=True))
    words = "in the derivative of {}, a softmax, the sum over the others is left out: it is taken for π."
    yield Kind.CHAIN_RULE, words, sloped(y, x)


def _quotient(step: Step, y: Any) -> Found:
    a, b = step.operands
    yield from _softmax(step, y)
    by_numerator, by_divisor = sloped(1 / b, a), sloped(-a / b**2, b)
    if step.moving[1]:
        in_it = "in the derivative of {} by the divisor "
        yield Kind.CHAIN_RULE, f"{in_it}the divisor is not squared.", by_numerator - sloped(a / b, b)
        yield Kind.CHAIN_RULE, f"{in_it}the numerator is left out.", by_numerator - sloped(1 / b**2, b)
        yield Kind.CHAIN_RULE, f"{in_it}the square of the divisor is left out.", by_numerator - sloped(a, b)
    if step.moving[0]:
        in_it = "in the derivative of {} by the numerator "
        kind = Kind.CHAIN_RULE if step.moving[1] or np.size(b) > 1 else Kind.FACTOR
        yield kind, f"{in_it}the divisor is left out.", a + by_divisor
        yield Kind.CHAIN_RULE, f"{in_it}the divisor stands squared.", sloped(1 / b**2, a) + by_divisor
        yield Kind.CHAIN_RULE, f"{in_it}the divisor is a factor.", sloped(b, a) + by_divisor
        if step.moving[1]:
            yield Kind.CHAIN_RULE, "the derivative of {} is divided by the divisor once more.", sloped(1 / b, y)
            yield Kind.CHAIN_RULE, "the derivative of {} is not divided by the divisor.", sloped(b, y)


def _power(step: Step, y: Any) -> Found:
    x, n = step.operands[0], step.equation.params["y"]
    yield Kind.CHAIN_RULE, f"the derivative of {{}} has the exponent {n}; {n - 1} is right.", sloped(n * y, x)
    if n != 2:
        yield Kind.CHAIN_RULE, f"the derivative of {{}} is taken for its exponent {n}, without the power.", n * x
        yield Kind.CHAIN_RULE, f"the derivative of {{}} has the exponent 1; {n - 1} is right.", sloped(n * x, x)


def _larger(step: Step, y: Any) -> Found:
    if all(step.moving):
        a, b = step.operands
        yield Kind.CHAIN_RULE, "the derivative of {} goes to both operands: its mask is missing.", a + b
        words = "in the derivative of {} the mask is the wrong way round."
        yield Kind.CHAIN_RULE, words, jnp.where(y == a, b, a)


def _where(step: Step, y: Any) -> Found:
    mask, *cases = step.operands
    if len(cases) == 2 and np.shape(mask) == y.shape and all(step.moving[1:]):
        yield Kind.CHAIN_RULE, "the derivative of {} goes to both cases: its mask is missing.", cases[0] + cases[1]
        exchanged = jnp.where(mask, cases[0], 0) + jnp.where(mask, 0, cases[1])
        yield Kind.CHAIN_RULE, "in the derivative of {} the mask is the wrong way round.", exchanged


def _stopped(step: Step, y: Any) -> Found:
    yield Kind.CHAIN_RULE, "the derivative goes through {}, where the cost stops it.", step.operands[0]


ENTRY_SLIPS: dict[str, Callable[[Step, Any], Found]] = {
    "tanh": _tanh,
    "logistic": _logistic,
    "abs": _absolute,
    "mul": _product,
    "div": _quotient,
    "integer_pow": _power,
    "max": _larger,
    "min": _larger,
    "select_n": _where,
    "stop_gradient": _stopped,
}
