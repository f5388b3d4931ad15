"""Compiling in tiers: cheaply where a program has little work, well where it has much or is called often.

Optimising a program of a fit takes XLA 0.3 to 0.8 s; on 1,000 examples the program then runs for less than a
millisecond. So the first calls of a shape run a program that is not optimised. It computes the same, NaN and infinity
included, to rounding. Where the calls are many, or their work is much, it is optimised.

    @compiled(operations=lambda X, y: X.shape[0] * X.shape[1] ** 2)
    def stage(X, y): ...

Inside jit such a function is part of the caller's program, as one of `jax.jit` is. Under `jax.vmap` outside jit it is a
program for all members of the batch, in tiers too. Nothing is set for other programs.
"""

import functools
import math
from collections.abc import Callable, Hashable, Sequence
from typing import Any

import jax
import numpy as np
from jax import tree_util
from jax.core import Tracer
from jax.errors import JaxRuntimeError
from jax.extend.core import Primitive, get_opaque_trace_state
from jax.interpreters import batching, mlir

from jax_course.members import all_members

# Compiling the stages of the fits, CPU seconds of JAX 0.10.2 on two cores: the orthogonal fit of 10 × 20 0.10 instead
# of 0.86, the normal equations 0.07 (0.53), the lasso of 1,000 × 20 0.20 (1.29). The older emitters are in JAX 0.10
# only; the first set that the compiler knows is taken, and the last one is to optimise.
UNOPTIMIZED = {
    "xla_backend_optimization_level": 0,
    "xla_llvm_disable_expensive_passes": True,
    "xla_cpu_parallel_codegen_split_count": 1,
}
CHEAP_OPTIONS = ({**UNOPTIMIZED, "xla_cpu_use_fusion_emitters": False}, UNOPTIMIZED, None)

# Multiplications of all calls together after which a program is optimised. Not optimised, those of the lasso on
# 10,000 × 100 (10⁸) took 9.2 instead of 4.1 ms, those of the normal equations 5.6 instead of 3.6: 0.1 s are lost.
WORK = 2**31
# Calls after which a shape counts as one that is called often. Fits of 1,000 × 20 took up to 2 ms longer than optimised
# (linear 3.5 instead of 1.6, logistic 2.0 instead of 1.2), those of 10,000 × 20 up to 6 ms: 120 ms are lost at most,
# less than optimising takes. Of 100 fits of 500 to 1,500 rows (`padding`) up to 18 have one shape. A number of calls,
# and not of seconds, so that the same script gives the same digits in every run.
CALLS = 20


def compiled(
    function: Callable | None = None,
    *,
    static_argnums: int | tuple[int, ...] = (),
    operations: Callable[..., float] | None = None,
) -> Any:
    """`jax.jit(function, static_argnums=static_argnums)`, at first compiled cheaply; for positional arguments.

    operations(*arguments) estimates the multiplications of one call from the shapes; without it they are 0, and only
    the number of calls counts. The attributes of `jax.jit`, such as `lower`, are those of the optimised program.

    >>> double = compiled(lambda x: 2 * x)
    >>> double(jnp.array([1.0, 2.0]))
    Array([2., 4.], dtype=float64)
    """
    if function is None:
        return functools.partial(compiled, static_argnums=static_argnums, operations=operations)
    return _Tiers(function, (static_argnums,) if isinstance(static_argnums, int) else static_argnums, operations)


class _Tiers:
    """A function with its programs, and for each shape of its arguments the work that is left for the cheap one."""

    def __init__(self, function: Callable, static_argnums: tuple[int, ...], operations: Callable[..., float] | None):
        functools.update_wrapper(self, function)
        self._static, self._operations = static_argnums, operations
        self._well = jax.jit(function, static_argnums=static_argnums)
        self._cheap = [
            jax.jit(function, static_argnums=static_argnums, compiler_options=options) for options in CHEAP_OPTIONS
        ]
        self._left: dict[Hashable, float] = {}
        self._batched: dict[Hashable, _Tiers] = {}

    def __call__(self, *arguments: Any) -> Any:
        if is_traced():
            leaves, structure = tree_util.tree_flatten([a for i, a in enumerate(arguments) if i not in self._static])
            if _is_batched(leaves):
                return self._bound(arguments, leaves, structure)
            if any(isinstance(leaf, Tracer) for leaf in leaves) or is_staged():
                return self._well(*arguments)
        if self._is_cheap(arguments):
            return _first_known(self._cheap, arguments)
        return self._well(*arguments)

    def _bound(self, arguments: tuple[Any, ...], leaves: list[Any], structure: Any) -> Any:
        """The results through a primitive, so that jax.vmap asks `_batch` for the program of all members."""
        statics = tuple((i, arguments[i]) for i in self._static)
        results: list[Any] = []  # their structure, once they are known
        found = _call.bind(*leaves, tiers=self, statics=statics, structure=structure, results=results)
        return tree_util.tree_unflatten(results[0], found)

    def all_arguments(self, leaves: Sequence[Any], statics: tuple[tuple[int, Any], ...], structure: Any) -> list[Any]:
        """All arguments: those of the leaves, and the static ones among them."""
        arguments = tree_util.tree_unflatten(structure, leaves)
        for i, value in sorted(statics):
            arguments.insert(i, value)
        return arguments

    def batched(self, statics: tuple[tuple[int, Any], ...], structure: Any, axes: tuple[int | None, ...]) -> Any:
        """The function of all leaves, of a batch along these axes, compiled in tiers."""
        key, count = (statics, structure, axes), self._operations
        if key not in self._batched:

            @functools.wraps(self.__wrapped__)
            def function(*leaves: Any) -> Any:
                return self.__wrapped__(*self.all_arguments(leaves, statics, structure))

            def operations(*leaves: Any) -> float:
                sizes = {leaf.shape[axis] for leaf, axis in zip(leaves, axes, strict=True) if axis is not None}
                one = [_member(leaf, axis) for leaf, axis in zip(leaves, axes, strict=True)]
                return max(sizes) * (count(*self.all_arguments(one, statics, structure)) if count else 0)

            program = functools.wraps(function)(jax.vmap(function, in_axes=axes))
            self._batched[key] = _Tiers(program, (), operations)
        return self._batched[key]

    def _is_cheap(self, arguments: tuple[Any, ...]) -> bool:
        """Whether the work that optimising costs is not done yet; counts this call."""
        leaves, structure = tree_util.tree_flatten([a for i, a in enumerate(arguments) if i not in self._static])
        known = tuple((leaf.shape, leaf.dtype) if hasattr(leaf, "shape") else type(leaf) for leaf in leaves)
        key = known, structure, tuple(arguments[i] for i in self._static)
        left = self._left.get(key)
        if left is None:
            left = self._calls_until_paid(arguments)
        if left <= 0:
            self._left[key] = 0
            return False
        self._left[key] = left - 1  # two threads may count one call, which does no harm
        return True

    def _calls_until_paid(self, arguments: tuple[Any, ...]) -> float:
        if jax.default_backend() != "cpu":  # its compiler chooses kernels by the same options
            return 0
        if jax.config.read("jax_disable_most_optimizations"):  # the other program would be this one
            return math.inf
        work = self._operations(*arguments) if self._operations else 0
        return min(CALLS, math.floor(WORK / work)) if work else CALLS

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or name == "_well":
            raise AttributeError(name)
        return getattr(self._well, name)  # lower, trace, eval_shape, clear_cache


def _member(leaf: Any, axis: int | None) -> Any:
    """The shape of one member of a batch."""
    if axis is None:
        return leaf
    return jax.ShapeDtypeStruct(leaf.shape[:axis] + leaf.shape[axis + 1 :], leaf.dtype)


def _call_one(*leaves: Any, tiers: _Tiers, statics: Any, structure: Any, results: list[Any]) -> list[Any]:
    found, tree = tree_util.tree_flatten(tiers(*tiers.all_arguments(leaves, statics, structure)))
    results.append(tree)
    return found


def _call_all(
    leaves: Any, axes: Any, tiers: _Tiers, statics: Any, structure: Any, results: list[Any]
) -> tuple[list[Any], list[int]]:
    found, tree = tree_util.tree_flatten(tiers.batched(statics, structure, tuple(axes))(*leaves))
    results.append(tree)
    return found, [0] * len(found)


_call = Primitive("tiers")
_call.multiple_results = True
_call.def_impl(_call_one)
batching.primitive_batchers[_call] = _call_all


def _is_batched(leaves: list[Any]) -> bool:
    """Whether jax.vmap is all that is traced: the values of all members are known."""
    traced = [leaf for leaf in leaves if isinstance(leaf, Tracer)]
    return bool(traced) and not any(isinstance(all_members(leaf), Tracer) for leaf in traced)


def count_numbers(function: Callable, *arguments: Any) -> int:
    """The numbers that function(*arguments) reads and writes, about: those of all steps of its program.

    >>> count_numbers(lambda x: jnp.sum(x * x), jnp.ones(5))
    21
    """
    return _count(jax.make_jaxpr(function)(*arguments).jaxpr)


def _count(jaxpr: Any) -> int:
    values = [value.aval for equation in jaxpr.eqns for value in (*equation.invars, *equation.outvars)]
    inner = [getattr(p, "jaxpr", p) for equation in jaxpr.eqns for p in equation.params.values()]
    own = sum(math.prod(getattr(aval, "shape", ())) for aval in values)
    return own + sum(_count(jaxpr) for jaxpr in inner if hasattr(jaxpr, "eqns"))


def _trace_state() -> Any:
    return get_opaque_trace_state(convention="flax")


with jax.ensure_compile_time_eval():
    NOTHING_TRACED = _trace_state()


def is_traced() -> bool:
    """Whether a function is being traced: by jit, vmap or a derivative."""
    return _trace_state() != NOTHING_TRACED


def is_staged() -> bool:
    """Whether what is computed becomes a part of a program: under jit, not under vmap or a derivative alone."""
    return isinstance(_probe.bind(np.zeros((), np.float32)), Tracer)


_probe = Primitive("probe")
_probe.def_impl(lambda x: x)
_probe.def_abstract_eval(lambda x: x)
mlir.register_lowering(_probe, lambda context, x: [x])


def _first_known(programs: list[Callable], arguments: tuple[Any, ...]) -> Any:
    """The result of the first program whose options the compiler knows; the others are forgotten."""
    while True:
        program = programs[0]
        try:
            return program(*arguments)
        except JaxRuntimeError as error:
            if "No such compile option" not in str(error):
                raise
            if programs[0] is program:
                programs.pop(0)
