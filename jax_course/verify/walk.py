"""A walk through the program of a cost, step by step: every operation is run, and a visitor may replace its outputs.

Programs within the program (jit, remat) are entered, short loops (scan) are run turn by turn.
"""

import linecache
import os
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import jaxlib
import numpy as np
from jax.extend.core import ClosedJaxpr, Literal, jaxpr_as_fun

LOOPS = ("scan",)  # that are run turn by turn where they are short
NESTED = ("jit", "pjit", "closed_call", "core_call")  # primitives of JAX that hold a program and nothing else
LIBRARIES = (*(os.path.dirname(module.__file__ or "") for module in (jax, np, jaxlib)), os.path.dirname(__file__))
RULES = ("custom_jvp_call", "custom_vjp_call", "custom_vjp_call_jaxpr")
REMATERIALISED = ("checkpoint", "remat2")
TURNS = 40  # of a loop that is run turn by turn; a longer one is one step


class Step(NamedTuple):
    """One operation: its equation in JAX's program, its operands, and which of them depend on the parameters.

    parents: the steps that the operands are outputs of, None for those that are not; then those that a function which
    was entered ends with. alone: whether an operand is computed from the parameters and single numbers, without data.
    site: where it stands in the program, alike in all turns of a loop. number: in the order of the steps.
    """

    equation: Any
    operands: list[Any]
    moving: list[bool]
    parents: list["Step | None"]
    alone: list[bool]
    site: tuple[int, ...]
    number: int

    @property
    def name(self) -> str:
        """The name of the operation."""
        return self.equation.primitive.name

    def run(self, operands: list[Any]) -> list[Any]:
        """The outputs of the operation on other operands."""
        variables = {v: x for v, x in zip(self.equation.invars, operands, strict=True) if not isinstance(v, Literal)}
        return jaxpr_as_fun(_alone(self.equation, list(variables)))(*variables.values())


Visitor = Callable[[Step, list[Any]], list[Any]]


def walk(cost: Callable, point: Any, visit: Visitor, nested: tuple[str, ...] = (*NESTED, *LOOPS)) -> Any:
    """The cost at a point, with every output replaced by what `visit(step, outputs)` returns for it.

    nested: the operations that are entered; with `RULES` among them the derivative is that without rules.

    >>> names = []
    >>> float(walk(lambda x: jnp.sin(2 * x), 0.0, lambda step, outputs: names.append(step.name) or outputs)), names
    (0.0, ['mul', 'sin'])
    """
    return walk_inputs(cost, [point], [True], visit, nested)


def walk_inputs(
    cost: Callable, inputs: list[Any], moving: list[bool], visit: Visitor, nested: tuple[str, ...] = (*NESTED, *LOOPS)
) -> Any:
    """A walk through a function of several inputs, of which those that move are the parameters."""
    return _Walk(visit, nested).program(jax.make_jaxpr(cost)(*inputs), inputs, moving, ())[0][0]


def run_without_rules(program: ClosedJaxpr, inputs: list[Any]) -> list[Any]:
    """The outputs of a program in which functions have the derivative of what they compute, not of their rules."""
    walk = _Walk(lambda step, outputs: outputs, (*NESTED, *LOOPS, *REMATERIALISED, *RULES))
    return walk.program(program, inputs, [True] * len(inputs), ())[0]


def equations(program: Any) -> Iterator[Any]:
    """All equations of a program, and of the programs in it.

    >>> [step.primitive.name for step in equations(jax.make_jaxpr(jax.jit(lambda x: jnp.sin(2 * x)))(1.0))]
    ['jit', 'mul', 'sin']
    """
    for equation in getattr(program, "jaxpr", program).eqns:
        yield equation
        for parameter in equation.params.values():
            for inner in parameter if isinstance(parameter, (tuple, list)) else (parameter,):
                if hasattr(inner, "eqns") or hasattr(inner, "jaxpr"):
                    yield from equations(inner)


def inner_program(equation: Any) -> Any:
    """The program that an operation holds: of a function under jit, or of one with a rule."""
    params = equation.params
    inner = params.get("jaxpr", params.get("call_jaxpr", params.get("fun_jaxpr")))
    return inner if isinstance(inner, ClosedJaxpr) else ClosedJaxpr(inner, ())


class _Walk:
    def __init__(self, visit: Visitor, nested: tuple[str, ...]):
        self.visit, self.nested, self.count = visit, nested, 0
        self.made: dict[int, tuple[Any, Step]] = {}  # each output by its identity, and the step that it comes from

    def program(
        self, program: Any, inputs: list[Any], moving: list[bool], site: tuple[int, ...]
    ) -> tuple[list[Any], list[bool]]:
        """The outputs of a program, and which of them depend on the parameters."""
        jaxpr = program.jaxpr
        known = dict(zip(jaxpr.invars, zip(inputs, moving, strict=True), strict=True))
        known |= {v: (c, False) for v, c in zip(jaxpr.constvars, program.consts, strict=True)}

        def read(variables: Any) -> tuple[list[Any], list[bool]]:
            pairs = [(v.val, False) if isinstance(v, Literal) else known[v] for v in variables]
            return [x for x, _ in pairs], [moves for _, moves in pairs]

        for i, equation in enumerate(jaxpr.eqns):
            outputs, moved = self._equation(equation, *read(equation.invars), (*site, i))
            known |= {v: pair for v, pair in zip(equation.outvars, zip(outputs, moved, strict=True), strict=True)}
        return read(jaxpr.outvars)

    def _equation(
        self, equation: Any, operands: list[Any], moving: list[bool], site: tuple[int, ...]
    ) -> tuple[list[Any], list[bool]]:
        name, params = equation.primitive.name, equation.params
        if name in self.nested and name not in LOOPS and any(moving):
            outputs, moved = self.program(inner_program(equation), operands, moving, site)
            return (
                (self._visited(equation, operands, moving, site, outputs), moved) if name in RULES else (outputs, moved)
            )
        if name in LOOPS and name in self.nested and any(moving) and params["length"] <= TURNS:
            return self._loop(equation, operands, moving, site)
        outputs = Step(equation, operands, moving, [], [], site, 0).run(operands)
        if any(moving):
            outputs = self._visited(equation, operands, moving, site, outputs)
        moved = [any(moving) and jnp.issubdtype(y.dtype, jnp.inexact) for y in outputs]
        return outputs, moved

    def _visited(
        self, equation: Any, operands: list[Any], moving: list[bool], site: tuple[int, ...], outputs: list[Any]
    ):
        parents = [self.made[id(x)][1] if id(x) in self.made else None for x in operands]
        pairs = zip(operands, moving, parents, strict=True)
        alone = [all(parent.alone) if parent else moves or np.size(x) == 1 for x, moves, parent in pairs]
        inner = [self.made[id(y)][1] for y in outputs if id(y) in self.made]  # of a function that was entered
        step = Step(equation, operands, moving, [*parents, *inner], alone, site, self.count)
        self.count += 1
        outputs = self.visit(step, outputs)
        self.made |= {id(y): (y, step) for y in outputs}
        return outputs

    def _loop(
        self, equation: Any, operands: list[Any], moving: list[bool], site: tuple[int, ...]
    ) -> tuple[list[Any], list[bool]]:
        params, body = equation.params, equation.params["jaxpr"]
        # JAX 0.12 no longer says how many these are; rows have one axis more than in the body
        carries = _same_axes(equation.outvars, body.jaxpr.outvars)
        consts = _same_axes(equation.invars, body.jaxpr.invars) - carries
        fixed, carry, rows = operands[:consts], operands[consts : consts + carries], operands[consts + carries :]
        carry_moves = [True] * carries  # what moves in one turn may move what does not in the next
        stacked: list[tuple[list[Any], list[bool]]] = []
        turns = range(params["length"])
        for i in reversed(turns) if params["reverse"] else turns:
            moves = [*moving[:consts], *carry_moves, *moving[consts + carries :]]
            outputs, moved = self.program(body, [*fixed, *carry, *(row[i] for row in rows)], moves, site)
            carry = outputs[:carries]
            stacked.append((outputs[carries:], moved[carries:]))
        if params["reverse"]:
            stacked.reverse()
        columns = zip(*(outputs for outputs, _ in stacked), strict=True)
        moved = [any(column) for column in zip(*(moved for _, moved in stacked), strict=True)]
        return [*carry, *(jnp.stack(column) for column in columns)], [*carry_moves, *moved]


def _same_axes(outer: list[Any], inner: list[Any]) -> int:
    """The number of variables that have as many axes in a loop's body as outside of it."""
    return sum(a.aval.ndim == b.aval.ndim for a, b in zip(outer, inner, strict=True))


@cache
def _empty() -> Any:
    """A program without equations."""
    return jax.make_jaxpr(lambda: 0)().jaxpr


def _alone(equation: Any, inputs: list[Any]) -> ClosedJaxpr:
    """The program of one equation."""
    return ClosedJaxpr(
        _empty().replace(constvars=[], invars=inputs, outvars=list(equation.outvars), eqns=[equation]), ()
    )


class Source(NamedTuple):
    """The place in the reader's code that an operation comes from: the code, the instruction in it, and the line."""

    code: Any
    instruction: int
    line: str


def source(equation: Any) -> Source | None:
    """The place in the reader's code that an equation comes from; None if it is not known."""
    trace = getattr(equation.source_info, "traceback", None)
    if trace is None:
        return None
    codes, instructions = trace.raw_frames()
    for frame, code, instruction in zip(trace.frames, codes, instructions, strict=True):
        if frame.file_name.startswith(LIBRARIES):
            continue
        if line := linecache.getline(frame.file_name, frame.line_num).strip():
            return Source(code, instruction, line)
    return None
