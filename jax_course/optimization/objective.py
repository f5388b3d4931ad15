"""The reader's functions of a tree theta as functions of one vector x, in which the algorithms are written.

The functions may be the hand-derived ones; autodiff stands in for those that are missing.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from jax_course.arrays import numbers

leaves_of = jax.tree_util.tree_leaves
structure_of = jax.tree_util.tree_structure


class Objective(NamedTuple):
    """f and its derivatives as functions of x (n,)."""

    value: Callable[[Array], Array]
    gradient: Callable[[Array], Array]
    value_and_gradient: Callable[[Array], tuple[Array, Array]]
    hessian: Callable[[Array], Array]  # (n, n)
    product: Callable[[Array, Array], Array]  # of x and v: H v
    proximal: Callable[[Array, Array], Array] = lambda x, step: x


class Point(NamedTuple):
    """Where a solver stands: x, f, g."""

    x: Array
    f: Array
    g: Array


def parameters(theta: Any) -> Any:
    """theta with arrays of floating-point numbers for leaves."""
    leaves, structure = jax.tree_util.tree_flatten_with_path(theta)
    if not sum(np.size(leaf) for _, leaf in leaves):
        raise ValueError(f"theta must hold at least one parameter; got {theta!r}")

    def array(path: Any, leaf: Any) -> Array:
        name = f"theta{jax.tree_util.keystr(path)}"
        values = numbers(leaf, name)
        if not jnp.issubdtype(values.dtype, jnp.floating):
            raise TypeError(f"{name} must hold floating-point numbers; got {values.dtype}: give it as floats")
        return values

    return structure.unflatten([array(path, leaf) for path, leaf in leaves])


def width_of(theta: Any) -> Any:
    """The widest dtype of the leaves, in which x is computed."""
    return max((leaf.dtype for leaf in leaves_of(theta)), key=lambda dtype: jnp.finfo(dtype).bits)


def vector(values: Any, theta: Any, name: str = "theta") -> Array:
    """A tree like theta as x."""
    shapes, wanted = [jnp.shape(leaf) for leaf in leaves_of(values)], [leaf.shape for leaf in leaves_of(theta)]
    if structure_of(values) != structure_of(theta) or shapes != wanted:
        raise ValueError(f"{name} must be like theta, {_form(theta)}; got {_form(values)}")
    flat = [jnp.ravel(jnp.asarray(leaf, width_of(theta))) for leaf in leaves_of(values)]
    return flat[0] if len(flat) == 1 else jnp.concatenate(flat)


def tree(x: Array, theta: Any) -> Any:
    """x as a tree like theta."""
    ends = np.cumsum([leaf.size for leaf in leaves_of(theta)])[:-1]
    parts = [x] if not len(ends) else jnp.split(x, ends)
    leaves = [jnp.reshape(x, leaf.shape).astype(leaf.dtype) for x, leaf in zip(parts, leaves_of(theta), strict=True)]
    return structure_of(theta).unflatten(leaves)


def objective(
    theta: Any,
    *,
    cost: Callable[[Any], Any],
    gradient: Callable[[Any], Any] | None = None,
    hessian: Callable[[Any], Any] | None = None,
    hessian_product: Callable[[Any, Any], Any] | None = None,
    proximal: Callable[[Any, Array], Any] = lambda theta, step: theta,
) -> Objective:
    """The functions of x, for trees like theta."""
    dtype = width_of(theta)

    def value(x: Array) -> Array:
        return _scalar(cost(tree(x, theta)), dtype)

    if gradient is None:
        slope = jax.grad(value)
        both = jax.value_and_grad(value)
    else:

        def slope(x: Array) -> Array:
            return vector(gradient(tree(x, theta)), theta, "the gradient")

        def both(x: Array) -> tuple[Array, Array]:
            return value(x), slope(x)

    def matrix(x: Array) -> Array:
        if hessian is None:
            return jax.vmap(lambda v: _derivative_along(slope, x, v))(jnp.eye(x.size, dtype=x.dtype))
        return _matrix(hessian(tree(x, theta)), theta, dtype)

    def product(x: Array, v: Array) -> Array:
        if hessian_product is not None:
            return vector(hessian_product(tree(x, theta), tree(v, theta)), theta, "the Hessian product")
        return _derivative_along(slope, x, v) if hessian is None else matrix(x) @ v

    def prox(x: Array, step: Array) -> Array:
        return vector(proximal(tree(x, theta), step), theta, "the prox of theta")

    return Objective(value, slope, both, matrix, product, prox)


def _derivative_along(slope: Callable[[Array], Array], x: Array, v: Array) -> Array:
    try:
        return jax.jvp(slope, (x,), (v,))[1]
    except TypeError:  # a backward rule written by hand, which forward mode refuses
        return jax.grad(lambda x: slope(x) @ v)(x)


def _scalar(value: Any, dtype: Any) -> Array:
    value = jnp.asarray(value)
    if value.shape != () or not jnp.issubdtype(value.dtype, jnp.floating):
        hint = ": sum it over the examples" if value.shape else ""
        raise TypeError(f"the cost must be one floating-point number; got shape {value.shape} of {value.dtype}{hint}")
    return value.astype(dtype)


def _matrix(H: Any, theta: Any, dtype: Any) -> Array:
    """The blocks ∂²f/∂a∂b of all pairs of leaves, of shape a.shape + b.shape, as one matrix."""
    leaves = leaves_of(theta)
    blocks = leaves_of(H)
    wanted = [a.shape + b.shape for a in leaves for b in leaves]
    if [jnp.shape(block) for block in blocks] != wanted:
        got = ", ".join(str(jnp.shape(block)) for block in blocks)
        raise ValueError(f"the Hessian must have the shapes {', '.join(map(str, wanted))}; got {got}")
    pairs = ((a.size, b.size) for a in leaves for b in leaves)
    flat = [jnp.reshape(jnp.asarray(H, dtype), size) for H, size in zip(blocks, pairs, strict=True)]
    n = len(leaves)
    return flat[0] if n == 1 else jnp.block([flat[row * n : (row + 1) * n] for row in range(n)])


def _form(values: Any) -> str:
    """The structure with shapes for leaves, as it is written."""
    return str(jax.tree_util.tree_map(lambda leaf: f"shape {jnp.shape(leaf)}", values)).replace("'", "")
