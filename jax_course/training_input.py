"""What `train` takes: trees of arrays with an axis of examples, parameters, an optimizer, a random key."""

import inspect
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from jax_course import boundary
from jax_course.arrays import numbers
from jax_course.epochs import RECORDED, Penalty, Recipe, leaves_of, map_leaves

keystr, leaves_with_path = jax.tree_util.keystr, jax.tree_util.tree_leaves_with_path


def arrays(tree: Any, name: str) -> Any:
    """Every leaf as an array of numbers."""
    return jax.tree_util.tree_map_with_path(lambda path, leaf: numbers(leaf, name + keystr(path)), tree)


def parameters(theta: Any) -> Any:
    """theta with floating-point arrays for leaves, at least one."""
    theta = arrays(theta, "theta")
    if not leaves_of(theta):
        raise ValueError("theta must hold at least one array; it has no leaves")
    for leaf in leaves_of(theta):
        if not jnp.issubdtype(leaf.dtype, jnp.inexact):
            raise TypeError(f"theta must hold floating-point numbers; a leaf is {leaf.dtype}")
    return theta


def penalty(penalty: Any, theta: Any, m: int) -> Penalty | None:
    """The penalty for every leaf of theta, and its share in a step; None where it is 0 everywhere."""
    if hasattr(theta, "dtype"):
        penalty = numbers(penalty, "penalty", like=theta)
    elif jax.tree.structure(penalty) == jax.tree.structure(0) and np.ndim(penalty) == 0:
        penalty = map_leaves(lambda _: penalty, theta)
    if jax.tree.structure(penalty) != jax.tree.structure(theta):
        raise ValueError(
            "penalty must be a number, or a tree like theta of numbers or arrays that broadcast against its leaves; "
            f"got {jax.tree.structure(penalty)} for theta {jax.tree.structure(theta)}"
        )
    penalty = jax.tree_util.tree_map_with_path(_penalty_of_leaf, penalty, theta)
    if not any(p.any() for p in leaves_of(penalty)):
        return None
    delta2 = map_leaves(lambda p, t: p.astype(t.dtype), penalty, theta)
    return Penalty(delta2, map_leaves(lambda p, t: (2 * p / m).astype(t.dtype), penalty, theta))


def _penalty_of_leaf(path: Any, penalty: Any, leaf: Array) -> np.ndarray:
    """In float64, with as many axes as the leaf, or none."""
    name = f"penalty{keystr(path)}"
    penalty = numbers(penalty, name, like=leaf)
    if penalty.dtype.kind in "bc":
        raise TypeError(f"{name} must hold real numbers; got {penalty.dtype}")
    values = np.asarray(boundary.nonnegative(penalty, name)).astype(np.float64)
    axes = values.shape[::-1], leaf.shape[::-1]
    if values.ndim > leaf.ndim or any(
        of_penalty not in (1, of_leaf) for of_penalty, of_leaf in zip(*axes, strict=False)
    ):
        raise ValueError(
            f"{name} must be a number or broadcast against its leaf of theta, {leaf.shape}; got {values.shape}"
        )
    return values.reshape((1,) * (leaf.ndim - values.ndim) + values.shape) if values.ndim else values


def number_of_examples(X: Any, y: Any) -> int:
    """m, the same for every leaf of X and y."""
    shapes = {f"X{keystr(path)}": leaf.shape for path, leaf in leaves_with_path(X)}
    first, shape = next(iter(shapes.items()), ("X", (0,)))
    if shape[:1] == (0,):
        raise ValueError("X must hold at least one example; it is empty")
    shapes |= {f"y{keystr(path)}": leaf.shape for path, leaf in leaves_with_path(y)}
    for name, its_shape in shapes.items():
        if its_shape == ():
            raise ValueError(f"{name} must have an axis of examples; got a number: write a list as jnp.asarray([…])")
        if its_shape[0] != shape[0]:
            raise ValueError(f"{name} must have as many examples as {first}, {shape[0]}; got {its_shape[0]}")
    return shape[0]


def takes_a_key(gradient: Any) -> bool:
    """Whether the gradient has a keyword parameter `key`."""
    try:
        parameters = inspect.signature(gradient).parameters
    except (TypeError, ValueError):  # not callable, or compiled: the call will tell
        return False
    return "key" in parameters and parameters["key"].kind is not inspect.Parameter.POSITIONAL_ONLY


def check(recipe: Recipe, m: int, key: Any, epochs: int) -> None:
    """Refuse what no training can be made of."""
    if not callable(getattr(recipe.optimizer, "update", None)):
        raise TypeError(f"optimizer must be a pair (init, update), as optax.sgd(0.1) is; got {recipe.optimizer!r}")
    if not 1 <= recipe.batch_size <= m:
        raise ValueError(f"batch_size must be between 1 and m = {m}; got {recipe.batch_size}")
    if epochs < 0:
        raise ValueError(f"epochs must be at least 0; got {epochs}")
    if recipe.metrics.keys() & set(RECORDED):
        raise ValueError(f"a metric must not be called {' or '.join(RECORDED)}: these names are taken")
    if key is not None:
        words(key)
    elif recipe.random:
        raise TypeError("gradient takes a key, so train needs one too: key=jax.random.key(0); got None")


def words(key: Any) -> np.ndarray:
    """The numbers of a random key."""
    typed = isinstance(key, Array) and jnp.issubdtype(key.dtype, jax.dtypes.prng_key)
    words = np.asarray(jax.random.key_data(key) if typed else key)
    if words.dtype != np.uint32 or words.ndim != 1 or not words.size:
        raise TypeError(f"key must be a random key, as jax.random.key(0) is; got {key!r}")
    return words
