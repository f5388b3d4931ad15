"""The arguments of `train`, checked: trees of arrays with an axis of examples, parameters, a penalty, a random key."""

import inspect
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from jax_course import inputs
from jax_course.inputs.arrays import as_array
from jax_course.training.epochs import RECORDED, Penalty, Recipe

keystr = jax.tree_util.keystr


def arrays(tree: Any, name: str) -> Any:
    """The tree with every leaf an array of numbers; TypeError where one is none."""
    return jax.tree.map_with_path(lambda path, leaf: as_array(leaf, name + keystr(path)), tree)


def parameters(theta: Any) -> Any:
    """theta with floating-point arrays for leaves, at least one; TypeError, ValueError otherwise."""
    theta = arrays(theta, "theta")
    if not jax.tree.leaves(theta):
        raise ValueError("theta must hold at least one array; it has no leaves")
    for leaf in jax.tree.leaves(theta):
        if not jnp.issubdtype(leaf.dtype, jnp.inexact):
            raise TypeError(f"theta must hold floating-point numbers; a leaf is {leaf.dtype}")
    return theta


def penalty(penalty: Any, theta: Any, m: int) -> Penalty | None:
    """The penalty of every leaf of theta, and of one example; None if it is 0 everywhere. TypeError, ValueError."""
    if hasattr(theta, "dtype"):
        penalty = _penalty_array(penalty, "penalty", theta)
    elif jax.tree.structure(penalty) == jax.tree.structure(0) and np.ndim(penalty) == 0:
        penalty = jax.tree.map(lambda _: penalty, theta)
    if jax.tree.structure(penalty) != jax.tree.structure(theta):
        raise ValueError(
            "penalty must be a number, or a tree like theta of numbers or arrays that broadcast against its leaves; "
            f"got {jax.tree.structure(penalty)} for theta {jax.tree.structure(theta)}"
        )
    penalty = jax.tree.map_with_path(_penalty_of_leaf, penalty, theta)
    if not any(not inputs.is_concrete(p) or p.any() for p in jax.tree.leaves(penalty)):
        return None
    delta2 = jax.tree.map(lambda p, t: p.astype(t.dtype), penalty, theta)
    return Penalty(delta2, jax.tree.map(lambda p, t: (2 * p / m).astype(t.dtype), penalty, theta))


def _penalty_array(penalty: Any, name: str, leaf: Array) -> Array:
    """The penalty as an array, which inside jit can still be read if the penalty can."""
    if not all(map(inputs.is_concrete, jax.tree.leaves(penalty))):
        return as_array(penalty, name, like=leaf)
    with jax.ensure_compile_time_eval():
        return as_array(penalty, name, like=leaf)


def _penalty_of_leaf(path: Any, penalty: Any, leaf: Array) -> Any:
    """The penalty of one leaf, in float64 where it can be read, with as many axes as the leaf, or none."""
    name = f"penalty{keystr(path)}"
    penalty = _penalty_array(penalty, name, leaf)
    if penalty.dtype.kind in "bc":
        raise TypeError(f"{name} must hold real numbers; got {penalty.dtype}")
    values = inputs.nonnegative(penalty, name)
    if inputs.is_concrete(values):
        values = np.asarray(values).astype(np.float64)
    axes = values.shape[::-1], leaf.shape[::-1]
    if values.ndim > leaf.ndim or any(
        length not in (1, leaf_length) for length, leaf_length in zip(*axes, strict=False)
    ):
        raise ValueError(
            f"{name} must be a number or broadcast against its leaf of theta, {leaf.shape}; got {values.shape}"
        )
    return values.reshape((1,) * (leaf.ndim - values.ndim) + values.shape) if values.ndim else values


def number_of_examples(X: Any, y: Any) -> int:
    """m, the length of the first axis of every leaf of X and y; ValueError if they differ or m is 0."""
    shapes = {f"X{keystr(path)}": leaf.shape for path, leaf in jax.tree.leaves_with_path(X)}
    first, shape = next(iter(shapes.items()), ("X", (0,)))
    if shape[:1] == (0,):
        raise ValueError("X must hold at least one example; it is empty")
    shapes |= {f"y{keystr(path)}": leaf.shape for path, leaf in jax.tree.leaves_with_path(y)}
    for name, leaf_shape in shapes.items():
        if leaf_shape == ():
            raise ValueError(f"{name} must have an axis of examples; got a number: write a list as jnp.asarray([…])")
        if leaf_shape[0] != shape[0]:
            raise ValueError(f"{name} must have as many examples as {first}, {shape[0]}; got {leaf_shape[0]}")
    return shape[0]


def takes_a_key(gradient: Any) -> bool:
    """Whether the gradient has a keyword parameter `key`."""
    try:
        parameters = inspect.signature(gradient).parameters
    except (TypeError, ValueError):  # not callable, or without a signature: the call itself raises
        return False
    return "key" in parameters and parameters["key"].kind is not inspect.Parameter.POSITIONAL_ONLY


def check(recipe: Recipe, m: int, key: Any, epochs: int) -> None:
    """Raise TypeError or ValueError for an unusable optimizer, batch_size, number of epochs, metric or key."""
    if not callable(getattr(recipe.optimizer, "update", None)):
        raise TypeError(f"optimizer must be a pair (init, update), as optax.sgd(0.1) is; got {recipe.optimizer!r}")
    if not 1 <= recipe.batch_size <= m:
        raise ValueError(f"batch_size must be between 1 and m = {m}; got {recipe.batch_size}")
    if epochs < 0:
        raise ValueError(f"epochs must be at least 0; got {epochs}")
    if recipe.metrics.keys() & set(RECORDED):
        raise ValueError(f"a metric must not be called {' or '.join(RECORDED)}: these names are taken")
    if key is not None:
        key_data(key)
    elif recipe.random:
        raise TypeError("gradient takes a key, so train needs one too: key=jax.random.key(0); got None")


def words(key: Any) -> np.ndarray:
    """The uint32 words of a random key, one axis; TypeError if it is none."""
    with jax.ensure_compile_time_eval():
        return np.asarray(key_data(key))


def key_data(key: Any) -> Any:
    """The words of a random key that may be traced."""
    typed = isinstance(key, Array) and jnp.issubdtype(key.dtype, jax.dtypes.prng_key)
    words = jax.random.key_data(key) if typed else key if isinstance(key, Array) else np.asarray(key)
    if words.dtype != np.uint32 or words.ndim != 1 or not words.size:
        raise TypeError(f"key must be a random key, as jax.random.key(0) is; got {key!r}")
    return words
