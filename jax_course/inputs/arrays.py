"""Input validation of arrays: whatever holds numbers becomes an array, and what JAX would narrow is announced."""

import math
import os
import sys
import warnings
from numbers import Number

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.core import Tracer
from jax.sharding import AxisType, Mesh, NamedSharding
from jax.typing import DTypeLike

from jax_course.inputs.types import ArrayLike

HOST_CHECK_BYTES = 2**23  # up to so large, NumPy checks values sooner than a program of JAX is compiled
ALIGNMENT = 64  # bytes: JAX on a CPU works on memory that begins at a multiple as it lies

_PACKAGE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
_INSIDE = tuple(folder + os.sep for folder in (_PACKAGE, os.path.dirname(os.path.abspath(jax.__file__))))


def as_array(values: ArrayLike, name: str, like: Array | jax.ShapeDtypeStruct | None = None) -> Array:
    """`values` as an array of numbers or truth values; bare Python numbers take the dtype of `like`.

    float64 that JAX computes in float32 is announced by one warning, where it is not to be like another array.
    """
    if isinstance(values, Array):
        return _left_to_the_compiler(values)
    if isinstance(values, np.ma.MaskedArray):
        raise TypeError(f"{name} must hold a number everywhere; got a masked array: fill the gaps or drop their rows")
    bare = not hasattr(values, "dtype") and not hasattr(values, "__array__")
    _refuse_sparse(values, name)
    try:
        array = np.asarray(values)
    except (TypeError, ValueError) as error:
        raise TypeError(f"{name} must be an array of numbers; got {type(values).__name__}: {error}") from None
    if array.dtype.kind not in "biufc" and not jnp.issubdtype(array.dtype, jnp.floating):
        kind, hint = type(values).__name__, _to_numbers(array, name)
        raise TypeError(f"{name} must be an array of numbers; got {kind} of {array.dtype}: {hint}")
    if array.dtype == np.longdouble and array.dtype.itemsize > 8:
        raise TypeError(f"{name} must hold float32 or float64; got {array.dtype}: convert it with astype('float64')")
    if not array.dtype.isnative:
        array = array.astype(array.dtype.newbyteorder("="))
    if not bare and like is None:
        _warn_if_narrowed(array.dtype)
    return from_host(array, like.dtype if bare and like is not None and array.dtype.kind == "f" else array.dtype)


def _refuse_sparse(values: ArrayLike, name: str) -> None:
    """Refuse the sparse arrays of SciPy and JAX, before NumPy takes one of JAX apart, entry by entry."""
    dense = next((method for method in ("toarray", "todense") if hasattr(values, method)), None)
    if dense is None:
        return
    kind = type(values).__name__
    larger = (
        "; one too large for that is fitted in batches of dense rows by jax_course.scale, or by its products X @ theta "
        "in a cost for optimization.newton_cg"
    )
    hint = f"convert it with {name}.{dense}()" + (larger if name == "X" else "")
    raise TypeError(f"{name} must be a dense array, sparse ones are not taken; got {kind}: {hint}")


def _left_to_the_compiler(array: Array) -> Array:
    """The array where it lies; on a mesh whose axes are explicit, as `jax.make_mesh` makes them, with automatic ones:
    in between, the compiler decides what lies where."""
    sharding = None if isinstance(array, Tracer) else array.sharding
    if not isinstance(sharding, NamedSharding) or AxisType.Explicit not in sharding.mesh.axis_types:
        return array
    names = sharding.mesh.axis_names
    mesh = Mesh(np.asarray(sharding.mesh.devices), names, axis_types=(AxisType.Auto,) * len(names))
    return jax.device_put(array, NamedSharding(mesh, sharding.spec))


def _to_numbers(array: np.ndarray, name: str) -> str:
    """The hint of an error: code that makes numbers of the array."""
    if array.ndim == 1 and (array.dtype.kind in "US" or any(isinstance(entry, str | bytes) for entry in array)):
        return f"number its categories by {name}, classes = data.encode({name})"
    if name == "X" and array.ndim == 2 and not all(isinstance(entry, Number) for entry in array.flat):
        return "make X and y of a table by data.frame(df, target=…)"
    return "convert it with astype(float)" if array.dtype.kind == "O" and array.ndim else "give it as numbers"


def from_host(array: np.ndarray, dtype: DTypeLike) -> Array:
    """A copy in JAX's hands. On a CPU it is NumPy that makes it: JAX would compile a program for each shape, and take
    six times as long for a large array."""
    if not array.ndim or jax.default_backend() != "cpu":
        return jnp.asarray(array, jax.dtypes.canonicalize_dtype(dtype))
    copy = aligned_empty(array.shape, dtype)
    with np.errstate(over="ignore"):  # what float32 cannot hold is infinite, as by JAX
        np.copyto(copy, array, casting="unsafe")
    return zero_copy(copy)


def converted(values: Array, dtype: DTypeLike) -> Array:
    """The values in this dtype; those of a small array that lies on no device in particular by NumPy."""
    if values.dtype == dtype:
        return values
    known = None if isinstance(values, Tracer) or values.committed else small_host_copy(values)
    return values.astype(dtype) if known is None else from_host(known, dtype)


def aligned_empty(shape: tuple[int, ...], dtype: DTypeLike) -> np.ndarray:
    """An array, nothing in it, that JAX on a CPU can work on as it lies; of the dtype that JAX makes of this one."""
    dtype = jax.dtypes.canonicalize_dtype(dtype)
    size = math.prod(shape) * dtype.itemsize
    memory = np.empty(size + ALIGNMENT, np.uint8)
    begin = -memory.ctypes.data % ALIGNMENT
    return memory[begin : begin + size].view(dtype).reshape(shape)


def zero_copy(array: np.ndarray) -> Array:
    """A JAX array on the memory of this one, on a CPU without a copy: a later write into it changes the result."""
    with jax.ensure_compile_time_eval():
        return jax.device_put(array, may_alias=True)


def small_host_copy(values: Array) -> np.ndarray | None:
    """A NumPy view of a small concrete array of this process, else None: checks on it compile nothing."""
    if isinstance(values, Tracer) or values.nbytes > HOST_CHECK_BYTES or not values.is_fully_addressable:
        return None
    return np.asarray(values)


def is_concrete(values: ArrayLike) -> bool:
    """Whether the values can be read: not while a function is being traced."""
    return not isinstance(values, Tracer)


def _warn_if_narrowed(dtype: np.dtype) -> None:
    if dtype == np.float64 and jnp.result_type(float) == jnp.float32:
        warnings.warn(
            "float64 data is computed in float32, because JAX's 64-bit mode is off: switch it on with "
            "jax.config.update('jax_enable_x64', True), or for a block by `with jax.enable_x64(True):`",
            UserWarning,
            stacklevel=level_of_the_caller(),
        )


def level_of_the_caller() -> int:
    """The stack level, for a warning by the function above this one, of the line outside this package and JAX."""
    level, frame = 1, sys._getframe(1)
    while frame.f_back is not None and frame.f_code.co_filename.startswith(_INSIDE):
        level, frame = level + 1, frame.f_back
    return level
