"""Tracing of the reader's functions: can JAX compile one, can it differentiate it, and what does it return?

A function that JAX can trace is compiled once for all data of the same shapes. One that branches on its data, or calls
plain NumPy on it, is traced with the data as constants, and compiled for each data. One that branches on the parameters
cannot be traced at all.
"""

from collections.abc import Callable
from functools import lru_cache
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jax_course.compile_cache import StaticValues
from jax_course.verify.parameters import Inputs
from jax_course.verify.programs import at_point, traced, value
from jax_course.verify.walk import RULES, equations


def is_traceable(inputs: Inputs, function: Callable, point: np.ndarray, *extra: Any) -> bool:
    """Whether JAX can trace the function of the parameters: not if it is plain NumPy, or branches on their values.

    >>> from jax_course.verify.parameters import flatten_inputs
    >>> inputs, point = flatten_inputs(sum, np.ones(2), (), {})
    >>> is_traceable(inputs, lambda x: x[0] ** 2, point), is_traceable(inputs, lambda x: float(x[0]), point)
    (True, False)
    """
    return output_structure(inputs, function, point, *extra) is not None


def is_differentiable(inputs: Inputs, cost: Callable, point: np.ndarray, transform: Callable) -> bool:
    """Whether autodiff gives transform(cost), jax.grad or jax.hessian: loops and custom rules may forbid it."""
    _, with_data = trace(inputs, cost, point, ())
    try:
        traced(at_point, inputs, cost, (transform,), (point, ()), with_data=with_data)
    except Exception:  # it may fail in any way
        return False
    return True


FACTORS = (
    "cholesky",
    "lu",
    "qr",
    "geqrf",
    "eigh",
    "eig",
    "svd",
    "schur",
    "hessenberg",
    "tridiagonal",
    "triangular_solve",
)


class Traits(NamedTuple):
    """Traits of a cost's program: functions with rules, loops that end when they converge, factors of matrices.

    eps: the spacing of the least precise numbers that it computes, relative to their size.
    """

    has_rules: bool
    has_loops: bool
    has_factors: bool
    eps: float


def traits(inputs: Inputs, cost: Callable, point: np.ndarray) -> Traits:
    """The traits of a cost; of one that JAX cannot trace nothing is known.

    >>> from jax_course.verify.parameters import flatten_inputs
    >>> inputs, point = flatten_inputs(sum, np.ones(2), (), {})
    >>> traits(inputs, lambda x: jax.nn.relu(x[0]), point).has_rules
    True
    """
    structure, with_data = trace(inputs, cost, point, ())
    names, spacing = set(), [float(np.finfo(np.float64).eps)]
    if structure is None:
        return Traits(False, False, False, spacing[0])
    program = traced(at_point, inputs, cost, (value,), (point, ()), with_data=with_data).jaxpr
    for equation in equations(program):
        names.add(equation.primitive.name)
        types = [variable.aval.dtype for variable in equation.outvars if hasattr(variable.aval, "dtype")]
        spacing += [float(jnp.finfo(dtype).eps) for dtype in types if jnp.issubdtype(dtype, jnp.floating)]
    return Traits(
        has_rules=not names.isdisjoint(RULES),
        has_loops="while" in names,
        has_factors=not names.isdisjoint(FACTORS),
        eps=max(spacing),
    )


def output_structure(inputs: Inputs, function: Callable, point: np.ndarray, *extra: Any) -> Any:
    """The shapes and dtypes of the function's output, found without running it; None if JAX cannot trace it."""
    structure, _ = trace(inputs, function, point, extra)
    return structure


def trace(inputs: Inputs, function: Callable, point: np.ndarray, extra: tuple) -> tuple[Any, bool]:
    """The structure of the output, None if JAX cannot trace the function; and whether its data is traced too."""
    leaves = jax.tree_util.tree_leaves(inputs.data)
    all_arrays = all(isinstance(leaf, (np.ndarray, np.generic, jax.Array, int, float, complex)) for leaf in leaves)
    for with_data in (True, False) if all_arrays else (False,):
        if (structure := _structure(Trace(inputs, function, point, extra, with_data))) is not None:
            return structure, with_data
    return None, False


class Trace:
    """A function to be traced; equal to another of the same function, shapes and constants.

    with_data: whether the data is traced along with the parameters, so that only its shapes count.
    """

    def __init__(self, inputs: Inputs, function: Callable, point: np.ndarray, extra: tuple, with_data: bool):
        self.call: tuple = (inputs, function, point, extra)
        self.with_data = with_data
        data = jax.tree_util.tree_map(_signature, inputs.data) if with_data else inputs.data
        constants = StaticValues((data, _signature(point), extra))
        self.key = function, inputs.layout, inputs.others, with_data, constants

    def __hash__(self) -> int:
        return hash(self.key)

    def __eq__(self, other: Any) -> bool:
        return isinstance(other, Trace) and self.key == other.key

    def structure(self) -> Any:
        """The structure of the output, None if it cannot be traced. Called once: it then lets go of the data."""
        inputs, function, point, extra = self.call
        self.call = ()

        try:
            return traced(at_point, inputs, function, (value,), (point, extra), with_data=self.with_data).out_info
        except Exception:  # a function may fail to trace in any way; then it is run instead
            return None


@lru_cache(maxsize=1024)
def _structure(traced: Trace) -> Any:
    return traced.structure()


def _signature(leaf: Any) -> tuple:
    return np.shape(leaf), str(getattr(leaf, "dtype", type(leaf).__name__))
