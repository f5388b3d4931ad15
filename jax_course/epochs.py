"""An epoch as a compiled program: every example once, in a given order, batch by batch. Course 7.7.

One program runs any number of epochs, one runs up to the first step that goes wrong. They are kept for the next call
with functions that compute the same.
"""

from collections.abc import Callable
from functools import partial
from math import prod
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jax import Array, lax

from jax_course.functions import kept

GATHERED = 2**20  # bytes of examples fetched at once: their cache misses overlap, and they stay in the cache
RECORDED = ("cost", "gradient_norm")

leaves_of, map_leaves = jax.tree_util.tree_leaves, jax.tree_util.tree_map
Function = Callable[[Any, Any, Any], Any]  # of theta, X, y


class Recipe(NamedTuple):
    """What the programs are made for."""

    gradient: Function
    optimizer: optax.GradientTransformation
    cost: Function | None
    metrics: dict[str, Function]
    batch_size: int


class Programs(NamedTuple):
    """The compiled functions of a recipe: `_begin`, `_run` and `_replay`, without their first argument."""

    begin: Callable
    run: Callable
    replay: Callable


def programs(recipe: Recipe) -> Programs:
    """The compiled functions of a recipe, the same ones for recipes that compute the same."""
    compiled = _compiled(recipe)
    return Programs(*(partial(compiled, part) for part in (_begin, _run, _replay)))


@kept
def _compiled(recipe: Recipe) -> Callable:
    compiled = {part: jax.jit(partial(part, recipe)) for part in (_begin, _run, _replay)}
    return lambda part, *arguments: compiled[part](*arguments)


def _begin(recipe: Recipe, theta: Any, X: Any, y: Any) -> tuple[Any, Any]:
    """The optimizer's first state, and a history of no epochs."""
    return recipe.optimizer.init(theta), _empty(recipe, 0, theta, X, y)


def _run(recipe: Recipe, theta: Any, state: Any, X: Any, y: Any, orders: Array, first: Array, last: Array) -> Any:
    """Epochs first … last − 1 of these orders: ((theta, state), the epoch it got to, whether all is finite, records).

    After an epoch that ends with something not finite comes no other, and theta is the one before it. Nothing needs to
    be looked at within an epoch: a parameter that is not finite stays so, whatever is added to it.
    """

    def epoch(loop):
        done, _, before, records = loop
        after = _epoch(partial(_step, recipe), before, (X, y), orders[done], recipe.batch_size)
        record = _record(recipe, after[0], X, y)
        finite = jnp.all(_are_finite([after[0], *(record[name] for name in RECORDED if name in record)]))
        records = map_leaves(lambda all_epochs, one: all_epochs.at[done].set(one), records, record)
        carry = lax.cond(finite, lambda: after, lambda: before)
        return done + finite.astype(done.dtype), finite, carry, records

    loop = first, jnp.array(True), (theta, state), _empty(recipe, len(orders), theta, X, y)
    done, finite, carry, records = lax.while_loop(lambda loop: (loop[0] < last) & loop[1], epoch, loop)
    return carry, done, finite, records


def _replay(recipe: Recipe, theta: Any, state: Any, X: Any, y: Any, order: Array) -> Any:
    """An epoch up to the last finite theta: ((theta, state), the steps to there, which leaves the next left finite)."""

    def guarded(loop, batch):
        before, steps, were_finite = loop
        after = _step(recipe, before, batch)
        finite = jnp.where(jnp.all(were_finite), _are_finite(after[0]), were_finite)
        good = jnp.all(finite)
        return lax.cond(good, lambda: after, lambda: before), steps + good.astype(steps.dtype), finite

    start = (theta, state), jnp.zeros((), jnp.int32), jnp.ones(len(leaves_of(theta)), bool)
    return _epoch(guarded, start, (X, y), order, recipe.batch_size)


def _epoch(step: Callable, carry: Any, data: Any, order: Array, batch_size: int) -> Any:
    """step(carry, batch) → carry, over all batches of the data in this order."""

    def chunk(carry, rows):
        batches = map_leaves(lambda a: a.at[rows].get(mode="promise_in_bounds", unique_indices=True), data)
        return lax.scan(lambda carry, batch: (step(carry, batch), None), carry, batches)

    m, first = len(order), 0
    if batch_size == m:
        return step(carry, data)
    for shape in _chunks(m, batch_size, sum(a.nbytes for a in leaves_of(data)) // m):
        rows = order[first : first + prod(shape)].reshape(shape)
        carry, _ = lax.scan(chunk, carry, rows)
        first += prod(shape)
    return carry


def _chunks(m: int, batch_size: int, bytes_each: int) -> list[tuple[int, int, int]]:
    """An epoch in parts of (chunks, batches, examples): full chunks, the full batches left over, the short batch."""
    batches = m // batch_size
    in_chunk = min(batches, max(1, GATHERED // (batch_size * max(1, bytes_each))))
    parts = (batches // in_chunk, in_chunk, batch_size), (1, batches % in_chunk, batch_size), (1, 1, m % batch_size)
    return [part for part in parts if prod(part)]


def _step(recipe: Recipe, carry: Any, batch: Any) -> Any:
    (theta, state), (X, y) = carry, batch
    size = len(leaves_of(X)[0])
    mean = map_leaves(lambda g: g / jnp.asarray(size, g.dtype), _gradient(recipe, theta, X, y))
    step, state = recipe.optimizer.update(mean, state, theta)
    return optax.apply_updates(theta, step), state


def _record(recipe: Recipe, theta: Any, X: Any, y: Any) -> dict[str, Any]:
    """What goes into the history after an epoch."""
    record = {name: metric(theta, X, y) for name, metric in recipe.metrics.items()}
    if recipe.cost is not None:
        cost = jnp.asarray(recipe.cost(theta, X, y))
        if cost.shape != ():
            raise ValueError(f"cost(theta, X, y) must be a scalar; got shape {cost.shape}: sum it over the examples")
        g = _gradient(recipe, theta, X, y)
        with jax.numpy_dtype_promotion("standard"):  # the leaves may differ in precision
            record |= {"cost": cost, "gradient_norm": jnp.sqrt(sum(jnp.sum(jnp.abs(a) ** 2) for a in leaves_of(g)))}
    return map_leaves(jnp.asarray, record)


def _empty(recipe: Recipe, epochs: int, theta: Any, X: Any, y: Any) -> dict[str, Any]:
    """Room for the records of so many epochs."""
    record = jax.eval_shape(partial(_record, recipe), theta, X, y)
    return map_leaves(lambda a: jnp.zeros((epochs, *a.shape), a.dtype), record)


def _gradient(recipe: Recipe, theta: Any, X: Any, y: Any) -> Any:
    gradient = map_leaves(jnp.asarray, recipe.gradient(theta, X, y))
    if _form(gradient) != _form(theta):
        raise ValueError(f"gradient(theta, X, y) must be like theta, {_form(theta)}; got {_form(gradient)}")
    return gradient


def _form(tree: Any) -> str:
    """The tree with dtypes and shapes for leaves, as it is written."""
    return str(map_leaves(lambda a: f"{a.dtype}{list(a.shape)}", tree)).replace("'", "")


def _are_finite(tree: Any) -> Array:
    """Of every leaf, whether it is finite everywhere."""
    return jnp.stack([jnp.all(jnp.isfinite(leaf)) for leaf in leaves_of(tree)])
