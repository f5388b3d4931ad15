"""The arguments of a function with a rule of its own, and the quantities of it that are examined.

Floating-point arrays are differentiated by, wherever they stand in the arguments. Other arrays, such as labels, are
data. All else (None, sizes, functions, and the arguments that the rule calls static) is handed on as it is.
"""

import inspect
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree

from jax_course.verify.parameters import cast

Shapes = tuple[tuple[int, ...], ...]


class Slot:
    """The place of an array in the arguments, under the name that reports use."""

    def __init__(self, name: str):
        self.name = name


class Primals(NamedTuple):
    """The arguments of a function.

    template: its positional and named arguments with a `Slot` for each array. moving: the floating-point arrays, by
    name. data: the other arrays, by name. fixed: the names of the arguments that are neither.
    """

    template: tuple[tuple[Any, ...], dict[str, Any]]
    moving: dict[str, Any]
    data: dict[str, Any]
    fixed: tuple[str, ...]


def read_primals(
    function: Callable, static: frozenset[int], primals: tuple[Any, ...], keywords: Mapping[str, Any]
) -> Primals:
    """The arguments function(*primals, **keywords); static: the positions that its rule does not differentiate by.

    Errors: TypeError if no argument is of floating point, or one is complex.

    >>> primals = read_primals(lambda x, n, labels: 0, frozenset(), (1.5, 3, np.arange(2)), {})
    >>> list(primals.moving), list(primals.data), primals.fixed
    (['x'], ['labels'], ('n',))
    """
    names = argument_names(function, len(primals))
    numbers = {name: i for i, name in enumerate(argument_names(function, 0))}
    moving: dict[str, Any] = {}
    data: dict[str, Any] = {}

    def place(name: str, argument: Any, *, is_static: bool) -> Any:
        def leaf_in_place(path: Any, leaf: Any) -> Any:
            below = jax.tree_util.keystr(path, simple=True, separator=".")
            label, kind = f"{name}.{below}" if below else name, _kind(leaf)
            if kind == "complex":
                raise TypeError(f"primals of floating point are examined; {label} is complex")
            if kind == "other":
                return leaf
            (moving if kind == "floating" else data)[label] = leaf
            return Slot(label)

        return argument if is_static else jax.tree_util.tree_map_with_path(leaf_in_place, argument)

    positional = tuple(
        place(name, value, is_static=i in static) for i, (name, value) in enumerate(zip(names, primals, strict=True))
    )
    named = {name: place(name, value, is_static=numbers.get(name) in static) for name, value in keywords.items()}
    if not moving:
        raise TypeError(f"there is no floating-point primal to differentiate by; got {', '.join(names) or 'none'}")
    known = {label.partition(".")[0] for label in (*moving, *data)}
    return Primals((positional, named), moving, data, tuple(name for name in (*names, *keywords) if name not in known))


def _kind(leaf: Any) -> str:
    """ "floating", "data", "complex" or "other": what an argument's leaf is taken for."""
    if isinstance(leaf, float):
        return "floating"
    if isinstance(leaf, complex):
        return "complex"
    if not isinstance(leaf, (np.ndarray, np.generic, jax.Array)) or jnp.issubdtype(leaf.dtype, jax.dtypes.extended):
        return "other"
    if jnp.issubdtype(leaf.dtype, jnp.complexfloating):
        return "complex"
    if jnp.issubdtype(leaf.dtype, jnp.floating):
        return "floating"
    return "data" if leaf.ndim and (leaf.dtype.kind in "iub") else "other"


def argument_names(function: Callable, count: int) -> list[str]:
    """The function's names for its positional arguments; "argument k" where it has none, for `count` at least.

    >>> argument_names(lambda x, *more: 0, 2)
    ['x', 'argument 2']
    """
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        parameters = ()
    names = [p.name for p in parameters if p.kind <= p.POSITIONAL_OR_KEYWORD]
    names += [f"argument {i + 1}" for i in range(len(names), count)]
    return names[:count] if count else names


def fill(template: Any, arrays: Mapping[str, Any]) -> Any:
    """The template with an array in every slot."""
    return jax.tree_util.tree_map(lambda leaf: arrays[leaf.name] if isinstance(leaf, Slot) else leaf, template)


class Outputs:
    """The floating-point outputs of a function at moving arrays, a dictionary by name; its data is fixed."""

    def __init__(self, function: Callable, template: Any, data: Mapping[str, Any]):
        self.function, self.template, self.data = function, template, data

    def tree(self, moving: Mapping[str, Any]) -> Any:
        """All outputs, as the function returns them."""
        arguments, keywords = fill(self.template, {**self.data, **moving})
        return self.function(*arguments, **keywords)

    def __call__(self, moving: Mapping[str, Any]) -> list[Any]:
        return [leaf for leaf in jax.tree_util.tree_leaves(self.tree(moving)) if is_floating(leaf)]


class Call:
    """A quantity of a function, as the doctor calls one: of the moving arrays, a cotangent, and the data.

    quantity: a function of `Outputs`, the moving arrays and the cotangent, one of those below. shapes: of the
    cotangent's arrays, where it has to have them: the doctor tries functions on fewer examples, too.
    """

    def __init__(self, quantity: Callable, function: Callable, primals: Primals, shapes: Shapes | None = None):
        self.quantity, self.function, self.shapes = quantity, function, shapes
        self.template, self.names = primals.template, tuple(primals.data)

    def __call__(self, moving: Mapping[str, Any], cotangent: Any, *data: Any) -> Any:
        if self.shapes is not None and tuple(map(np.shape, cotangent)) != self.shapes:
            raise ValueError(f"expected a cotangent of shapes {self.shapes}; got {tuple(map(np.shape, cotangent))}")
        outputs = Outputs(self.function, self.template, dict(zip(self.names, data, strict=True)))
        return self.quantity(outputs, moving, cotangent)

    @property
    def __signature__(self) -> inspect.Signature:
        kind, names = inspect.Parameter.POSITIONAL_OR_KEYWORD, ("primals", "cotangent")
        extra = [f"data_{i}" if not name.isidentifier() else name for i, name in enumerate(self.names)]
        return inspect.Signature([inspect.Parameter(name, kind) for name in (*names, *extra)])


def is_floating(leaf: Any) -> bool:
    """Whether a leaf is a real number or an array of them."""
    return jnp.issubdtype(leaf.dtype if hasattr(leaf, "dtype") else np.result_type(leaf), jnp.floating)


def value(outputs: Outputs, moving: Any, _: Any) -> list[Any]:
    """The outputs of the function."""
    return outputs(moving)


def scalar(outputs: Outputs, moving: Any, cotangent: Any) -> Any:
    """⟨cotangent, outputs⟩: the cost whose gradient the rule gives."""
    return sum(jnp.vdot(jnp.asarray(c, out.dtype), out) for c, out in zip(cotangent, outputs(moving), strict=True))


def scalar_of_another_cotangent(change: Callable, outputs: Outputs, moving: Any, cotangent: Any) -> Any:
    """⟨change(cotangent), outputs⟩; change takes and returns a cotangent as the function returns its outputs."""
    structure = jax.eval_shape(outputs.tree, moving)
    leaves, treedef = jax.tree_util.tree_flatten(structure)
    given = iter(cotangent)
    filled = [jnp.asarray(next(given), leaf.dtype) if is_floating(leaf) else None for leaf in leaves]
    changed = change(jax.tree_util.tree_unflatten(treedef, filled))
    return scalar(outputs, moving, [leaf for leaf in jax.tree_util.tree_leaves(changed) if is_floating(leaf)])


def pullback(outputs: Outputs, moving: Any, cotangent: Any) -> Any:
    """The cotangents of the moving arrays, by reverse mode: the rule itself."""
    out, pull = jax.vjp(outputs, moving)
    return pull([jnp.asarray(c, leaf.dtype) for c, leaf in zip(cotangent, out, strict=True)])[0]


def late_pullback(outputs: Outputs, moving: Any, both: tuple[Any, Any]) -> Any:
    """The rule, if the function is differentiated at other arrays before the backward pass; both: those, cotangent."""
    other, cotangent = both
    out, pull = jax.vjp(outputs, moving)
    jax.vjp(outputs, other)
    return pull([jnp.asarray(c, leaf.dtype) for c, leaf in zip(cotangent, out, strict=True)])[0]


def pushforward(outputs: Outputs, moving: Any, tangent: Any) -> list[Any]:
    """The tangents of the outputs, by forward mode."""
    return jax.jvp(outputs, (moving,), (cast_like(tangent, moving),))[1]


def columns(outputs: Outputs, moving: Any, cotangent: Any) -> Any:
    """The cotangents of the moving arrays, by forward mode along every entry: for a rule without reverse mode."""
    flat, tree = ravel_pytree(moving)

    def slope(v: Any) -> Any:
        tangents = jax.jvp(lambda vector: outputs(tree(vector)), (flat,), (v,))[1]
        return sum(jnp.vdot(jnp.asarray(c, t.dtype), t) for c, t in zip(cotangent, tangents, strict=True))

    return tree(jax.vmap(slope)(jnp.eye(flat.size, dtype=flat.dtype)))


def forward_of_vjp(outputs: Outputs, moving: Any, _: Any) -> list[Any]:
    """The outputs while reverse mode is at work: those of the forward rule."""
    return jax.vjp(outputs, moving)[0]


def forward_of_jvp(outputs: Outputs, moving: Any, _: Any) -> list[Any]:
    """The outputs while forward mode is at work."""
    return jax.jvp(outputs, (moving,), (jax.tree_util.tree_map(jnp.ones_like, moving),))[0]


def cast_like(tree: Any, other: Any) -> Any:
    """The arrays of a tree in the precision of another one of its structure."""
    return jax.tree_util.tree_map(lambda leaf, like: jnp.asarray(leaf, jnp.result_type(like)), tree, other)


def without_numbers(primals: Primals, names: list[str]) -> Primals:
    """The primals, where numbers of Python with these names are not differentiated by.

    >>> primals = read_primals(lambda x, eps: 0, frozenset(), (1.5, 1e-5), {})
    >>> without_numbers(primals, ["eps"]).fixed
    ('eps',)
    """
    numbers = {name: leaf for name, leaf in primals.moving.items() if name in names and isinstance(leaf, float)}
    moving = {name: leaf for name, leaf in primals.moving.items() if name not in numbers}
    if not numbers or not moving:
        return primals
    arrays = {name: Slot(name) for name in (*moving, *primals.data)}
    return Primals(fill(primals.template, {**arrays, **numbers}), moving, primals.data, (*primals.fixed, *numbers))


def in_double_precision(primals: Primals) -> Primals:
    """The primals with every array of floating point in float64."""
    moving = {name: np.asarray(leaf, np.float64) for name, leaf in primals.moving.items()}
    return primals._replace(template=cast(primals.template, np.float64), moving=moving)
