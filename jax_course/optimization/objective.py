"""A cost and its derivatives as functions of one vector x instead of a tree theta: the form that the algorithms use.

The derivatives may be hand-derived; autodiff computes those that are missing.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from jax_course.inputs.arrays import as_array
from jax_course.linalg import inner
from jax_course.linalg.products import multiplied


class Point(NamedTuple):
    """A point of a solver: x (n,), the cost f (), the gradient g (n,).

    extra: what the objective keeps besides, such as the scores Z = Xθ of a linear model.
    """

    x: Array
    f: Array
    g: Array
    extra: Any = ()


class Line(NamedTuple):
    """The cost along a direction: φ(α) = f(x + α p).

    evaluate: α → (φ(α), φ'(α), found), of which the last is whatever `point` needs; found: that at α = 0;
    point: (α, φ(α), found) → the Point at α.
    """

    evaluate: Callable[[Array], tuple[Array, Array, Any]]
    found: Any
    point: Callable[[Array, Array, Any], Point]


def _undefined(*_: Any) -> Array:
    raise TypeError("this objective does not have the function that the algorithm asks for")


class Objective(NamedTuple):
    """A cost f and its derivatives as functions of x (n,). proximal(x, step): the prox of a term without gradient.

    along: (point, p) → the Line from the point along p. A linear model gives its own, which reads no data: its scores
    are linear along the line. Only the algorithms that need them call the others.
    """

    point: Callable[[Array], Point]
    along: Callable[[Point, Array], Line]
    hessian: Callable[[Point], Array] = _undefined  # (n, n)
    product: Callable[[Array, Array], Array] = _undefined  # (x, v) → H v
    value: Callable[[Array], Array] = _undefined
    gradient: Callable[[Array], Array] = _undefined
    proximal: Callable[[Array, Array], Array] = lambda x, step: x


def line(evaluated: Callable[[Array], Point], start: Point, p: Array) -> Line:
    """The line of any objective: `evaluated`, its cost and gradient, is called at every α that is tried."""

    def evaluate(alpha: Array) -> tuple[Array, Array, Array]:
        _, f, g, _ = evaluated(start.x + alpha * p)
        return f, inner(g, p), g

    return Line(evaluate, start.g, lambda alpha, f, g: Point(start.x + alpha * p, f, g))


def parameters(theta: Any) -> Any:
    """theta with floating-point arrays for leaves.

    TypeError: a leaf holds other numbers. ValueError: there is no parameter.

    >>> parameters({"b": 2.0})
    {'b': Array(2., dtype=float64)}
    """
    leaves, structure = jax.tree.flatten_with_path(theta)
    if not sum(np.size(leaf) for _, leaf in leaves):
        raise ValueError(f"theta must hold at least one parameter; got {theta!r}")

    def array(path: Any, leaf: Any) -> Array:
        name = f"theta{jax.tree_util.keystr(path)}"
        values = as_array(leaf, name)
        if not jnp.issubdtype(values.dtype, jnp.floating):
            raise TypeError(f"{name} must hold floating-point numbers; got {values.dtype}: give it as floats")
        return values

    return structure.unflatten([array(path, leaf) for path, leaf in leaves])


def widest_dtype(theta: Any) -> Any:
    """The dtype of x: the widest of the leaves'."""
    return max((leaf.dtype for leaf in jax.tree.leaves(theta)), key=lambda dtype: jnp.finfo(dtype).bits)


def vector(values: Any, theta: Any, name: str = "theta") -> Array:
    """A tree like theta as x (n,). ValueError: another structure or other shapes; `name` says whose.

    >>> vector({"a": 1.0, "b": [2.0, 3.0]}, parameters({"a": 0.0, "b": [0.0, 0.0]}))
    Array([1., 2., 3.], dtype=float64)
    """
    (leaves, structure), (wanted, wanted_structure) = jax.tree.flatten(values), jax.tree.flatten(theta)
    if structure != wanted_structure or [*map(jnp.shape, leaves)] != [leaf.shape for leaf in wanted]:
        raise ValueError(f"{name} must be like theta, {_form(theta)}; got {_form(values)}")
    flat = [jnp.ravel(jnp.asarray(leaf, widest_dtype(theta))) for leaf in leaves]
    return flat[0] if len(flat) == 1 else jnp.concatenate(flat)


def tree(x: Array, theta: Any) -> Any:
    """x (n,) as a tree with the shapes and dtypes of theta.

    >>> tree(jnp.array([1.0, 2.0]), parameters({"a": 0.0, "b": 0.0}))
    {'a': Array(1., dtype=float64), 'b': Array(2., dtype=float64)}
    """
    leaves, structure = jax.tree.flatten(theta)
    ends = np.cumsum([leaf.size for leaf in leaves])[:-1]
    parts = [x] if not len(ends) else jnp.split(x, ends)
    shaped = [jnp.reshape(x, leaf.shape).astype(leaf.dtype) for x, leaf in zip(parts, leaves, strict=True)]
    return structure.unflatten(shaped)


def objective(
    theta: Any,
    *,
    cost: Callable[[Any], Any],
    gradient: Callable[[Any], Any] | None = None,
    hessian: Callable[[Any], Any] | None = None,
    hessian_product: Callable[[Any, Any], Any] | None = None,
    proximal: Callable[[Any, Array], Any] = lambda theta, step: theta,
) -> Objective:
    """The functions of trees like theta as functions of x, with missing derivatives from autodiff.

    Called, they raise TypeError if the cost is no floating-point scalar, ValueError if a derivative is not like theta.

    >>> objective(jnp.zeros(2), cost=lambda t: t[0] * t[1]).gradient(jnp.array([2.0, 3.0]))
    Array([3., 2.], dtype=float64)
    """
    dtype = widest_dtype(theta)

    def value(x: Array) -> Array:
        return _scalar(cost(tree(x, theta)), dtype)

    if gradient is None:
        g = jax.grad(value)

        def point(x: Array) -> Point:
            return Point(x, *jax.value_and_grad(value)(x))
    else:

        def g(x: Array) -> Array:
            return vector(gradient(tree(x, theta)), theta, "the gradient")

        def point(x: Array) -> Point:
            return Point(x, value(x), g(x))

    def matrix(x: Array) -> Array:
        if hessian is None:
            return jax.vmap(lambda v: _directional_derivative(g, x, v))(jnp.eye(x.size, dtype=x.dtype))
        return _matrix(hessian(tree(x, theta)), theta, dtype)

    def product(x: Array, v: Array) -> Array:
        if hessian_product is not None:
            return vector(hessian_product(tree(x, theta), tree(v, theta)), theta, "the Hessian product")
        return _directional_derivative(g, x, v) if hessian is None else multiplied(matrix(x), v)

    def prox(x: Array, step: Array) -> Array:
        return vector(proximal(tree(x, theta), step), theta, "the prox of theta")

    return Objective(point, partial(line, point), lambda point: matrix(point.x), product, value, g, prox)


def _directional_derivative(g: Callable[[Array], Array], x: Array, v: Array) -> Array:
    """Hv, the derivative of the gradient g along v."""
    try:
        return jax.jvp(g, (x,), (v,))[1]
    except TypeError:  # g has a hand-written reverse-mode rule, through which forward mode cannot go
        return jax.grad(lambda x: inner(g(x), v))(x)


def _scalar(value: Any, dtype: Any) -> Array:
    value = jnp.asarray(value)
    if value.shape != () or not jnp.issubdtype(value.dtype, jnp.floating):
        hint = ": sum it over the examples" if value.shape else ""
        raise TypeError(f"the cost must be one floating-point number; got shape {value.shape} of {value.dtype}{hint}")
    return value.astype(dtype)


def _matrix(H: Any, theta: Any, dtype: Any) -> Array:
    """The blocks ∂²f/∂a∂b of all pairs of leaves, of shape a.shape + b.shape, as one matrix."""
    leaves = jax.tree.leaves(theta)
    blocks = jax.tree.leaves(H)
    wanted = [a.shape + b.shape for a in leaves for b in leaves]
    if [jnp.shape(block) for block in blocks] != wanted:
        got = ", ".join(str(jnp.shape(block)) for block in blocks)
        raise ValueError(f"the Hessian must have the shapes {', '.join(map(str, wanted))}; got {got}")
    pairs = ((a.size, b.size) for a in leaves for b in leaves)
    flat = [jnp.reshape(jnp.asarray(H, dtype), size) for H, size in zip(blocks, pairs, strict=True)]
    n = len(leaves)
    return flat[0] if n == 1 else jnp.block([flat[row * n : (row + 1) * n] for row in range(n)])


def _form(values: Any) -> str:
    """The tree as text, with shapes for leaves."""
    return str(jax.tree.map(lambda leaf: f"shape {jnp.shape(leaf)}", values)).replace("'", "")


def tree_where(condition: Array, yes: Any, no: Any) -> Any:
    """`jnp.where` on every leaf of two trees of one structure; condition is a scalar.

    >>> tree_where(jnp.array(False), (1.0, 2.0), (3.0, 4.0))[0]
    Array(3., dtype=float64, weak_type=True)
    """
    return jax.tree.map(lambda a, b: jnp.where(condition, a, b), yes, no)
