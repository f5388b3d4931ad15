"""The plan of a cost's slips: which are looked for, where they stand, and which of them may be made together.

A plan is made by a walk through the cost that computes nothing; `changes` computes in its order.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jax_course.verify.findings import Guess, Kind
from jax_course.verify.slips import Slip, omissions, place, slips
from jax_course.verify.turn_slips import Turn, turn_slips
from jax_course.verify.walk import LOOPS, Step, source, walk

STEPS = 400  # of a cost; in a longer one no slips are looked for: more seconds than a reader waits
PLACES = 1_000  # of slips in several operations at once; with more, these are not looked for


class Plan(NamedTuple):
    """The slips of a cost in the order of `changes`, without their arrays; and those of `Alterations`, in its order.

    nested: the operations that are entered. steps: the number of the step of each slip. terms: the steps in terms of
    the cost without data, and those that these terms end with. groups: the numbers of slips that may be made together,
    at one place in the code or in all operations of a name. turns: of these, the slips at one place. rows: the number
    of an alteration by the words of its slip and where it is.
    """

    nested: tuple[str, ...]
    slips: list[Slip]
    steps: list[int]
    terms: dict[int, int]
    groups: list[list[int]]
    turns: list[list[int]]
    rows: dict[tuple[str, Any], int]
    guesses: list[Guess]


def plan(cost: Callable, point: Any, nested: tuple[str, ...]) -> Plan | None:
    """The slips that are looked for in a cost; None if it has too many steps."""
    found: list[tuple[Step, Slip]] = []
    groups: dict[tuple[str, Any], list[int]] = {}
    places: dict[tuple[str, Any], list[tuple[Kind, str]]] = {}
    terms: dict[int, int] = {}
    steps: list[int] = []
    by_place: dict[Any, list[Turn]] = {}

    def visit(step: Step, outputs: list[Any]) -> list[Any]:
        steps.append(step.number)
        if len(steps) > STEPS:
            raise OverflowError
        if not is_examined(outputs):
            return outputs
        where = place(step)
        by_place.setdefault(position(step), []).append(Turn(step, outputs[0]))
        for slip in slips(step, outputs[0]):
            for key in keys(step, slip.words):
                groups.setdefault(key, []).append(len(found))
                places.setdefault(key, []).append((slip.kind, slip.words.format(where)))
            found.append((step, slip._replace(instead=None, words=slip.words.format(where))))
        for kind, words, _ in omissions(step, outputs[0]):
            for key in keys(step, words):
                places.setdefault(key, []).append((kind, words.format(where)))
        for term in _terms_without_data(step):
            terms.update(dict.fromkeys(before(term) - terms.keys(), term.number))
        return outputs

    def walked(x: Any) -> Any:
        value = walk(cost, x, visit, nested)
        found.extend(
            (step, Slip(kind, words.format(place(step)), None)) for kind, words, step, _ in turn_slips(by_place)
        )
        return value

    try:
        jax.eval_shape(walked, point)
    except OverflowError:
        return plan(cost, point, tuple(name for name in nested if name not in LOOPS)) if LOOPS[0] in nested else None
    return _collected(nested, found, terms, groups, places)


def _collected(
    nested: tuple[str, ...],
    found: list[tuple[Step, Slip]],
    terms: dict[int, int],
    groups: dict[tuple[str, Any], list[int]],
    places: dict[tuple[str, Any], list[tuple[Kind, str]]],
) -> Plan:
    """The plan of what a walk found; groups and places by the words of a slip and where it is."""
    left_out = {key: entries for key, entries in places.items() if key[0].startswith("yours")}
    several = left_out | {key: entries for key, entries in places.items() if len(entries) > 1}
    if sum(len(entries) for entries in several.values()) > PLACES:
        several = left_out
    together = {key: numbers for key, numbers in groups.items() if len(numbers) > 1}
    return Plan(
        nested,
        slips=[slip for _, slip in found],
        steps=[step.number for step, _ in found],
        terms=terms,
        groups=list(together.values()),
        turns=[numbers for (_, where), numbers in together.items() if not isinstance(where, str)],
        rows={key: k for k, key in enumerate(several)},
        guesses=[_guess(*entries) for entries in several.items()],
    )


def _terms_without_data(step: Step) -> list[Step]:
    """The steps that a term of the cost without data comes from, where this step adds it to one with data."""
    if step.name not in ("add", "sub") or step.equation.outvars[0].aval.shape or len(set(step.alone)) < 2:
        return []
    return [parent for parent, alone in zip(step.parents, step.alone, strict=True) if alone and parent]


def before(step: Step) -> set[int]:
    """The numbers of a step and of all that it depends on."""
    found: set[int] = set()
    left = [step]
    while left:
        last = left.pop()
        if last.number not in found:
            found.add(last.number)
            left.extend(parent for parent in last.parents if parent)
    return found


def keys(step: Step, words: str) -> list[tuple[str, Any]]:
    """Places of a slip: a place in the reader's code, in all turns of a loop, or all operations of a name."""
    return [(words, position(step)), (words, step.name)]


def position(step: Step) -> Any:
    """The place of a step in the reader's code, alike in all turns of a loop."""
    found = source(step.equation)
    return (found.code, found.instruction, step.name) if found else step.site


def _guess(key: tuple[str, Any], entries: list[tuple[Kind, str]]) -> Guess:
    kind, words = entries[0]
    everywhere = f" So it is in {len(entries)} places." if len(entries) > 1 else ""
    words = words if words.endswith(".") else f"{words} is left out."
    return Guess(kind, words + everywhere)


def is_examined(outputs: list[Any]) -> bool:
    """Whether slips of an operation with these outputs are looked for."""
    return len(outputs) == 1 and jnp.issubdtype(outputs[0].dtype, jnp.inexact)
