"""The subject of a verification: the reader's functions as functions of one vector, evaluated in a chosen precision.

Parameters of any structure become a vector and back; data is cast along.
"""

import contextlib
import inspect
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from jax_course.functions import Fixed


@contextlib.contextmanager
def double_precision() -> Iterator[None]:
    """64-bit mode, exact products and the usual promotions, whatever the caller's settings; these come back after."""
    with (
        jax.enable_x64(True),
        jax.default_matmul_precision("highest"),
        jax.numpy_dtype_promotion("standard"),
        jax.numpy_rank_promotion("allow"),
        jax.debug_nans(False),
        jax.debug_infs(False),
        np.errstate(all="ignore"),
    ):
        yield


class Layout(NamedTuple):
    """How a vector is laid out as the reader's parameters. Hashable: the key under which compiled programs are kept."""

    treedef: Any
    names: tuple[str, ...]
    shapes: tuple[tuple[int, ...], ...]

    @property
    def sizes(self) -> list[int]:
        """The number of entries of each leaf."""
        return [int(np.prod(shape)) for shape in self.shapes]

    @property
    def size(self) -> int:
        """The number of parameters."""
        return sum(self.sizes)

    def leaves(self, vector: Any) -> list[Any]:
        """The last axis of an array cut into leaves, the axes before it kept."""
        ends = np.cumsum(self.sizes)[:-1]
        parts = jnp.split(vector, ends, axis=-1) if isinstance(vector, Array) else np.split(vector, ends, axis=-1)
        return [part.reshape(part.shape[:-1] + shape) for part, shape in zip(parts, self.shapes, strict=True)]

    def tree(self, vector: Any) -> Any:
        """The reader's parameters."""
        return jax.tree_util.tree_unflatten(self.treedef, self.leaves(vector))

    def vector(self, tree: Any, batch: tuple[int, ...] = ()) -> np.ndarray:
        """Leaves with `batch` axes in front, as one array with the entries along the last axis."""
        leaves = [np.asarray(leaf) for leaf in jax.tree_util.tree_leaves(tree)]
        return np.concatenate([leaf.reshape((*batch, -1)) for leaf in leaves], axis=-1)

    def leaf_of(self, entry: int) -> tuple[int, tuple[int, ...]]:
        """Which leaf an entry of the vector lies in, and where."""
        leaf = int(np.searchsorted(np.cumsum(self.sizes), entry, side="right"))
        within = entry - sum(self.sizes[:leaf])
        return leaf, tuple(int(i) for i in np.unravel_index(within, self.shapes[leaf]))


class Subject(NamedTuple):
    """What the functions are called with: the parameters' layout, further arguments, keywords, numeric or not."""

    layout: Layout
    arguments: tuple[Any, ...]
    numbers: dict[str, Any]
    others: Fixed

    def call(self, function: Callable, vector: Any, extra: tuple = ()) -> Any:
        """The function at one point, called as the reader would call it."""
        arguments = (*self.arguments, *extra)
        return function(self.layout.tree(vector), *arguments, **self.numbers, **self.others.values)

    @property
    def data(self) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """What is evaluated along with the parameters."""
        return self.arguments, self.numbers

    def cast(self, dtype: Any) -> "Subject":
        """The same in another precision."""
        return self._replace(arguments=cast(self.arguments, dtype), numbers=cast(self.numbers, dtype))

    @property
    def arrays(self) -> list[np.ndarray]:
        """The arrays among the arguments."""
        leaves = jax.tree_util.tree_leaves(self.arguments)
        return [leaf for leaf in leaves if isinstance(leaf, np.ndarray) and leaf.ndim]

    @property
    def examples(self) -> int:
        """m, the length that the leading axes of all array arguments share; 0 where they share none."""
        lengths = {len(array) for array in self.arrays}
        return lengths.pop() if len(lengths) == 1 else 0

    def rows(self, chosen: slice | np.ndarray) -> "Subject":
        """The same on some of the examples."""
        return self.with_arrays(lambda array: array[chosen])

    def with_arrays(self, change: Callable[[np.ndarray], np.ndarray]) -> "Subject":
        """The same with every array among the arguments changed."""

        def one(leaf: Any) -> Any:
            return change(leaf) if isinstance(leaf, np.ndarray) and leaf.ndim else leaf

        return self._replace(arguments=jax.tree_util.tree_map(one, self.arguments))


def cast(tree: Any, dtype: Any) -> Any:
    """Floating-point arrays in another precision; numbers, whole-number arrays and everything else as they are."""

    def one(leaf: Any) -> Any:
        if not isinstance(leaf, (np.ndarray, np.generic, Array)) or jnp.issubdtype(leaf.dtype, jax.dtypes.extended):
            return leaf
        values = np.asarray(leaf)
        return values.astype(dtype) if jnp.issubdtype(values.dtype, jnp.floating) else values

    return jax.tree_util.tree_map(one, tree)


def subject_of(cost: Callable, params: Any, arguments: tuple, keywords: dict[str, Any]) -> tuple[Subject, np.ndarray]:
    """The subject and the point given, in float64; a TypeError where the parameters are no floating-point numbers."""
    paths, treedef = jax.tree_util.tree_flatten_with_path(params)
    root = _first_parameter(cost)
    names = tuple(jax.tree_util.keystr(path, simple=True, separator=".") or root for path, _ in paths)
    if not sum(np.size(leaf) for _, leaf in paths):
        raise TypeError("there are no parameters to differentiate by: params is an empty structure")
    for name, (_, leaf) in zip(names, paths, strict=True):
        dtype = np.asarray(leaf).dtype if np.isscalar(leaf) else getattr(leaf, "dtype", type(leaf))
        if not (isinstance(dtype, np.dtype) and jnp.issubdtype(dtype, jnp.floating)):
            described = getattr(dtype, "name", None) or getattr(dtype, "__name__", dtype)
            raise TypeError(f"parameters must be floating-point arrays; {name} is {described}")
    layout = Layout(treedef, names, tuple(np.shape(leaf) for _, leaf in paths))
    numeric = {name: value for name, value in keywords.items() if _is_numeric(value)}
    others = Fixed({name: value for name, value in keywords.items() if name not in numeric})
    point = layout.vector(cast(jax.tree_util.tree_map(np.asarray, params), np.float64))
    return Subject(layout, arguments, numeric, others).cast(np.float64), point


def _first_parameter(function: Callable) -> str:
    try:
        return next(iter(inspect.signature(function).parameters))
    except (TypeError, ValueError, StopIteration):
        return "params"


def _is_numeric(value: Any) -> bool:
    """Whether it may be set to 0 or doubled, as a penalty may: not truth values, keys, strings."""
    leaves = jax.tree_util.tree_leaves(value)
    plain = [isinstance(leaf, (int, float)) and not isinstance(leaf, bool) for leaf in leaves]
    arrays = [hasattr(leaf, "dtype") and jnp.issubdtype(leaf.dtype, jnp.number) for leaf in leaves]
    return bool(leaves) and all(a or b for a, b in zip(plain, arrays, strict=True))
