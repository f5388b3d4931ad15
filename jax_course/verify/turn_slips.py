"""Slips in the turns of a loop: what belongs to one turn stands in the one before or after.

The turns are the operations at one place in the reader's code. A slip is a list of pairs: the number of a step, and an
array. The gradient changes by the sum of the derivatives of those arrays, each weighted with ∂C/∂(output of the step).
"""

from collections.abc import Iterator
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np

from jax_course.verify.findings import Kind
from jax_course.verify.slip_parts import MOVING_ONLY, by_operand, ordinal
from jax_course.verify.walk import Step

PRODUCTS = ("mul", "dot_general")
COPIES = ("convert_element_type", "copy", "copy_p")
FEW, MANY = 3, 60  # turns, for which these slips are looked for


class Turn(NamedTuple):
    """An operation in one turn, and its output."""

    step: Step
    output: Any


Changed = tuple[Kind, str, Step, list[tuple[int, Any]]]  # kind, words with {} for the operation, a step, the pairs


def turn_slips(turns: dict[Any, list[Turn]]) -> Iterator[Changed]:
    """The slips in operations that are made in several turns; turns: those at each place."""
    for group in turns.values():
        first = group[0]
        alike = len({(np.shape(turn.output), turn.step.name) for turn in group}) == 1
        if not alike or not FEW <= len(group) <= MANY or first.step.name in MOVING_ONLY:
            continue
        yield from _moved_on(group, "{}", [turn.output for turn in group])
        if first.step.name in PRODUCTS:
            for i in (0, 1) if all(all(turn.step.moving) for turn in group) else ():
                by_one = [_by_operand(turn.step, i, turn.step.operands) for turn in group]
                yield from _moved_on(group, f"{{}} by its {ordinal(i)} factor", by_one)
            yield from _other_factors(group, turns)


def _moved_on(group: list[Turn], what: str, arrays: list[Any]) -> Iterator[Changed]:
    """The errors of the turn before or after in each turn; arrays: with the derivatives of the outputs."""
    numbers = [turn.step.number for turn in group]
    for by, which in ((1, "before"), (-1, "after")):
        for end, last in (("; nothing at the end", -1), ("", None)):
            shifted = [*np.roll(numbers, by)]
            if last is not None:
                shifted[0 if by > 0 else -1] = last
            pairs = [(n, array) for n, array in zip(shifted, arrays, strict=True) if n >= 0]
            pairs += [(n, -array) for n, array in zip(numbers, arrays, strict=True)]
            words = f"what comes back to {what} in each turn is that of the turn {which}{end}."
            yield Kind.INDEX, words, group[0].step, pairs


def _by_operand(step: Step, i: int, operands: list[Any]) -> Any:
    return by_operand(lambda *others: step.run(list(others))[0], i, *operands)


def _other_factors(group: list[Turn], turns: dict[Any, list[Turn]]) -> Iterator[Changed]:
    """In a product, the other factor of the turn before or after."""
    for i in (0, 1):
        if not all(turn.step.moving[i] for turn in group):
            continue
        others = [turn.step.operands[1 - i] for turn in group]
        if any(np.shape(other) != np.shape(others[0]) for other in others):
            continue
        for which, changed in (("before", [others[0], *others[:-1]]), ("after", _after(others, group, i, turns))):
            pairs = []
            for turn, other in zip(group, changed, strict=True):
                x, own = turn.step.operands[i], turn.step.operands[1 - i]
                new, old = (_by_operand(turn.step, i, [x, o] if i == 0 else [o, x]) for o in (other, own))
                pairs.append((turn.step.number, new - old))
            yield (
                Kind.INDEX,
                f"in the derivative of {{}} the other factor is that of the turn {which}.",
                group[0].step,
                pairs,
            )


def _after(others: list[Any], group: list[Turn], i: int, turns: dict[Any, list[Turn]]) -> list[Any]:
    """The other factors of the turns after: a state comes from the same place at the end of each turn."""
    origins = [_origin(turn.step.parents[1 - i]) for turn in group[1:]]
    for made in turns.values():
        outputs = [turn.output for turn in made]
        alike = {np.shape(output) for output in outputs} == {np.shape(others[0])}
        if alike and len(made) == len(group) and origins == [turn.step.number for turn in made[:-1]]:
            return outputs
    return [*others[1:], jnp.zeros_like(others[0])]


def _origin(step: Step | None) -> int | None:
    """The number of the step that an operand was computed in, but for its kind of number."""
    while step and step.name in COPIES and step.parents[0]:
        step = step.parents[0]
    return step.number if step else None
