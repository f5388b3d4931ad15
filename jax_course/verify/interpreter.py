"""An interpreter of JAX's programs: every operation of a traced function is computed by NumPy.

XLA takes 30 to 100 ms to compile a program that is then run a few times, for microseconds. What JAX traced, a
derivative by autodiff included, is a list of operations, and most functions need some fifty kinds of them. A program
with another kind of operation is not interpreted.
"""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from jax.extend.core import ClosedJaxpr, Literal

from jax_course.verify.moves import Moves
from jax_course.verify.operations import Compute, Unknown, operation, parts

NUMBERS = frozenset(np.dtype(kind) for kind in ("?", "i4", "i8", "u4", "u8", "f4", "f8", "c8", "c16"))
# JAX's primitives that hold a program; the rules of derivatives beside it are not used
NESTED = frozenset({"jit", "pjit", "closed_call", "core_call", "custom_jvp_call", "custom_vjp_call"})


def interpreted(program: ClosedJaxpr) -> "Plan | None":
    """The program as steps for NumPy; None if it has an operation that is not known.

    >>> import jax
    >>> plan = interpreted(jax.make_jaxpr(jax.grad(lambda x: x**3))(2.0))
    >>> plan and [float(value) for value in plan.run([2.0])]
    [12.0]
    """
    try:
        return Plan(program)
    except (Unknown, KeyError):  # another JAX may have other names of parameters
        return None


class Plan:
    """The steps of a program: operations on numbered values, without those that no output needs."""

    def __init__(self, program: ClosedJaxpr):
        self.values: list[Any] = []  # those known already; None for the others
        self.sizes: list[int] = []
        self.steps: list[tuple[Compute, np.dtype, tuple[int, ...], int]] = []
        self.inputs = [self._new(variable) for variable in program.jaxpr.invars]
        self.dtypes = [variable.aval.dtype for variable in program.jaxpr.invars]
        with np.errstate(all="ignore"):
            self.outputs = self._add(program, self.inputs)
        needed, steps = set(self.outputs), []
        for step in reversed(self.steps):
            if step[3] in needed:
                needed.update(step[2])
                steps.append(step)
        self.steps = steps[::-1]
        self.values = [value if i in needed else None for i, value in enumerate(self.values)]

    @property
    def numbers(self) -> int:
        """The numbers that all steps read and write: 0.3 to 1.5 ns each."""
        return sum(self.sizes[i] for _, _, arguments, result in self.steps for i in (*arguments, result))

    def run(self, inputs: Sequence[Any], moves: Moves | None = None) -> list[np.ndarray]:
        """The outputs of the program at inputs, a list of arrays; moves: of the last digits of all numbers."""
        move = moves.mover() if moves else np.asarray
        values = self.values.copy()
        for number, dtype, value in zip(self.inputs, self.dtypes, inputs, strict=True):
            values[number] = move(np.asarray(value, dtype))
        with np.errstate(all="ignore"):
            for compute, dtype, arguments, number in self.steps:
                value = compute(*[values[i] for i in arguments])
                values[number] = move(value if value.dtype == dtype else value.astype(dtype))
        return [np.asarray(values[number]) for number in self.outputs]

    def _new(self, variable: Any, value: Any = None) -> int:
        """The number of a value of the variable's kind."""
        dtype, shape = getattr(variable.aval, "dtype", None), getattr(variable.aval, "shape", (0,))
        if dtype not in NUMBERS or 0 in shape:
            raise Unknown(str(variable.aval))
        self.values.append(None if value is None else np.asarray(value, dtype))
        self.sizes.append(math.prod(shape))
        return len(self.values) - 1

    def _add(self, program: ClosedJaxpr, inputs: list[int]) -> list[int]:
        """Add the steps of a program with inputs of these numbers; the numbers of its outputs."""
        known = dict(zip(program.jaxpr.invars, inputs, strict=True))
        for variable, constant in zip(program.jaxpr.constvars, program.consts, strict=True):
            known[variable] = self._new(variable, constant)

        def number(variable: Any) -> int:
            return self._new(variable, variable.val) if isinstance(variable, Literal) else known[variable]

        for step in program.jaxpr.eqns:
            arguments = [number(variable) for variable in step.invars]
            if step.primitive.name in NESTED:
                results = self._add(_inner_program(step), arguments)
            elif step.primitive.name == "cond" and (branch := self.values[arguments[0]]) is not None:
                results = self._add(step.params["branches"][int(branch)], arguments[1:])
            elif step.primitive.name in ("split", "unstack"):
                results = [self._step(compute, variable, arguments)
                           for compute, variable in zip(parts(step), step.outvars, strict=True)]  # fmt: skip
            else:
                results = [self._step(operation(step), step.outvars[0], arguments)]
            known |= zip(step.outvars, results, strict=True)
        return [number(variable) for variable in program.jaxpr.outvars]

    def _step(self, compute: Compute, variable: Any, arguments: list[int]) -> int:
        """Add one operation, or do it at once where its arguments are known already; the number of its value."""
        known = [self.values[i] for i in arguments]
        if all(value is not None for value in known):
            return self._new(variable, compute(*known))
        result = self._new(variable)
        self.steps.append((compute, variable.aval.dtype, tuple(arguments), result))
        return result


def _inner_program(step: Any) -> ClosedJaxpr:
    inner = [step.params[name] for name in ("jaxpr", "call_jaxpr") if name in step.params]
    if len(inner) != 1 or not isinstance(inner[0], ClosedJaxpr):
        raise Unknown(step.primitive.name)
    return inner[0]
