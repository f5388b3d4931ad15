"""The reader's parameters as one vector, and the inputs that the reader's functions are called with.

Parameters of any structure (a pytree of arrays) become a vector of n numbers and back. Data is cast along with them.
"""

import contextlib
import inspect
import itertools
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from jax_course.compile_cache import StaticValues
from jax_course.verify.moves import Moves


@contextlib.contextmanager
def double_precision() -> Iterator[None]:
    """64-bit mode, exact products and the usual promotions; the caller's settings come back at the end."""
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
    """The order of the reader's parameters in a vector of n numbers: leaf after leaf, each flattened row by row.

    Hashable: compiled programs are cached under it. The examples have leaves b, a number, and w, of shape (2,).

    >>> layout = Layout(jax.tree.structure({"b": 0, "w": 0}), ("b", "w"), ((), (2,)))
    >>> layout.size, layout.tree(np.array([1.0, 2.0, 3.0]))["w"].tolist()
    (3, [2.0, 3.0])
    """

    treedef: Any
    names: tuple[str, ...]
    shapes: tuple[tuple[int, ...], ...]

    @property
    def sizes(self) -> list[int]:
        """The number of entries of each leaf."""
        return [int(np.prod(shape)) for shape in self.shapes]

    @property
    def size(self) -> int:
        """The number n of parameters."""
        return sum(self.sizes)

    @property
    def slices(self) -> list[slice]:
        """The entries of each leaf in the vector."""
        return [slice(int(a), int(b)) for a, b in itertools.pairwise(np.cumsum([0, *self.sizes]))]

    def leaves(self, vector: Any) -> list[Any]:
        """An array (…, n) cut into leaves (…, *shape)."""
        ends = np.cumsum(self.sizes)[:-1]
        parts = jnp.split(vector, ends, axis=-1) if isinstance(vector, Array) else np.split(vector, ends, axis=-1)
        return [part.reshape(part.shape[:-1] + shape) for part, shape in zip(parts, self.shapes, strict=True)]

    def tree(self, vector: Any) -> Any:
        """The reader's parameters from a vector (n,)."""
        return jax.tree_util.tree_unflatten(self.treedef, self.leaves(vector))

    def vector(self, tree: Any, batch: tuple[int, ...] = ()) -> np.ndarray:
        """A tree with leaves (*batch, *shape) as one array (*batch, n)."""
        leaves = [np.asarray(leaf) for leaf in jax.tree_util.tree_leaves(tree)]
        return np.concatenate([leaf.reshape((*batch, -1)) for leaf in leaves], axis=-1)

    def leaf_of(self, entry: int) -> tuple[int, tuple[int, ...]]:
        """The number of the leaf that holds an entry of the vector, and the entry's index in the leaf.

        >>> Layout(None, ("b", "W"), ((), (2, 2))).leaf_of(3)
        (1, (1, 0))
        """
        leaf = int(np.searchsorted(np.cumsum(self.sizes), entry, side="right"))
        within = entry - sum(self.sizes[:leaf])
        return leaf, tuple(int(i) for i in np.unravel_index(within, self.shapes[leaf]))

    def block_entries(self, matrix: np.ndarray) -> np.ndarray:
        """A Hessian (n, n) as (n²,): one block for each pair of leaves, each flattened row by row.

        >>> Layout(None, ("b", "w"), ((), (2,))).block_entries(np.arange(9).reshape(3, 3)).tolist()
        [0, 1, 2, 3, 6, 4, 5, 7, 8]
        """
        return np.concatenate([matrix[a, b].ravel() for a in self.slices for b in self.slices])

    def block_matrix(self, entries: np.ndarray) -> np.ndarray:
        """The Hessian (n, n) from its entries (n²,) in block order."""
        matrix, start = np.empty((self.size, self.size), entries.dtype), 0
        for a, b in itertools.product(self.slices, repeat=2):
            shape = a.stop - a.start, b.stop - b.start
            matrix[a, b] = entries[start : start + shape[0] * shape[1]].reshape(shape)
            start += shape[0] * shape[1]
        return matrix


class Inputs(NamedTuple):
    """Everything that the reader's functions are called with, but for the values of the parameters.

    numbers: keywords that are numbers or arrays of numbers, as a penalty is; others: the other keywords. moves: how the
    last digits of results are moved, to see rounding, or None. eps: the relative spacing of the reader's parameters.

    >>> inputs, point = flatten_inputs(sum, np.ones(2), (np.eye(3)[:, :2], np.zeros(3)), {"penalty": 0.5})
    >>> inputs.examples, inputs.rows(slice(0, 2)).examples, inputs.without_penalty().numbers["penalty"].item()
    (3, 2, 0.0)
    >>> float(inputs.call(lambda theta, X, y, penalty: np.sum((X @ theta - y) ** 2) + penalty * theta @ theta, point))
    3.0
    """

    layout: Layout
    arguments: tuple[Any, ...]
    numbers: dict[str, Any]
    others: StaticValues
    moves: Moves | None = None
    eps: float = 2.0**-52

    def call(self, function: Callable, vector: Any, extra: tuple = ()) -> Any:
        """The function at the parameters (n,), called as the reader would call it; extra arguments come last."""
        arguments = (*self.arguments, *extra)
        return function(self.layout.tree(vector), *arguments, **self.numbers, **self.others.values)

    @property
    def data(self) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """The inputs that a compiled program takes beside the parameters."""
        return self.arguments, self.numbers

    def cast(self, dtype: Any) -> "Inputs":
        """These inputs in another precision."""
        return self._replace(arguments=cast(self.arguments, dtype), numbers=cast(self.numbers, dtype))

    def without_penalty(self) -> "Inputs":
        """These inputs with every number among the keywords at 0."""
        zero = jax.tree_util.tree_map(lambda leaf: np.zeros_like(np.asarray(leaf, float)), self.numbers)
        return self._replace(numbers=zero)

    @property
    def arrays(self) -> list[np.ndarray]:
        """The arrays among the arguments."""
        leaves = jax.tree_util.tree_leaves(self.arguments)
        return [leaf for leaf in leaves if isinstance(leaf, np.ndarray) and leaf.ndim]

    def named_arrays(self, cost: Callable) -> Iterator[tuple[str, np.ndarray]]:
        """The arrays among the arguments, under the names that the cost gives them."""
        for name, argument in zip(positional_names(cost, len(self.arguments)), self.arguments, strict=True):
            for path, leaf in jax.tree_util.tree_flatten_with_path(argument)[0]:
                if isinstance(leaf, np.ndarray) and leaf.ndim:
                    below = jax.tree_util.keystr(path, simple=True, separator=".")
                    yield f"{name}.{below}" if below else name, leaf

    @property
    def matrix(self) -> np.ndarray | None:
        """The first matrix among the arguments, which is taken for the data X (m, d)."""
        return next((array for array in self.arrays if array.ndim == 2), None)

    @property
    def examples(self) -> int:
        """The number m of examples: the length that the first axes of all arrays share; 0 if they share none."""
        lengths = {len(array) for array in self.arrays}
        return lengths.pop() if len(lengths) == 1 else 0

    def rows(self, chosen: slice | np.ndarray) -> "Inputs":
        """These inputs with some of the examples."""
        return self.with_arrays(lambda array: array[chosen])

    def with_arrays(self, change: Callable[[np.ndarray], np.ndarray]) -> "Inputs":
        """These inputs with every array among the arguments changed."""

        def changed(leaf: Any) -> Any:
            return change(leaf) if isinstance(leaf, np.ndarray) and leaf.ndim else leaf

        return self._replace(arguments=jax.tree_util.tree_map(changed, self.arguments))


def cast(tree: Any, dtype: Any) -> Any:
    """The floating-point arrays of a tree in another precision; all other leaves as they are.

    >>> cast((np.ones(2), 1.0, np.arange(2)), np.float32)[0].dtype
    dtype('float32')
    """

    def changed(leaf: Any) -> Any:
        if not isinstance(leaf, (np.ndarray, np.generic, Array)) or jnp.issubdtype(leaf.dtype, jax.dtypes.extended):
            return leaf
        return np.asarray(leaf, dtype if jnp.issubdtype(leaf.dtype, jnp.floating) else None)

    return jax.tree_util.tree_map(changed, tree)


def flatten_inputs(cost: Callable, params: Any, arguments: tuple, keywords: dict) -> tuple[Inputs, np.ndarray]:
    """The inputs, and the parameters as a float64 vector (n,). TypeError: parameters that are no floats, or none.

    >>> inputs, point = flatten_inputs(lambda x: x[0], np.array([1.0, 2.0]), (), {})
    >>> inputs.layout.names, point.tolist()
    (('x',), [1.0, 2.0])
    """
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
    others = StaticValues({name: value for name, value in keywords.items() if name not in numeric})
    point = layout.vector(cast(jax.tree_util.tree_map(np.asarray, params), np.float64))
    eps = max(float(jnp.finfo(np.asarray(leaf).dtype).eps) for _, leaf in paths)
    return Inputs(layout, arguments, numeric, others, eps=eps).cast(np.float64), point


def positional_names(cost: Callable, count: int) -> list[str]:
    """The cost's names for the `count` arguments after its parameters.

    >>> positional_names(lambda theta, X, y: 0.0, 3)
    ['X', 'y', 'argument 4']
    """
    try:
        names = [name for name, p in inspect.signature(cost).parameters.items() if p.kind <= p.POSITIONAL_OR_KEYWORD]
    except (TypeError, ValueError):
        names = []
    return [names[i + 1] if i + 1 < len(names) else f"argument {i + 2}" for i in range(count)]


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
