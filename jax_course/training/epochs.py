"""An epoch as a compiled program: every example once, in a given order, batch by batch. Course 7.7.

One program runs any number of epochs, one repeats an epoch up to the first value that is not finite. Both are cached by
what their functions compute, so that the next call with equal functions compiles nothing.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jax import Array, lax

from jax_course.compile_cache import cached_by_value
from jax_course.training.fingerprints import fingerprint_function

# Bytes of examples fetched at once: their cache misses overlap, and they stay in the cache. An epoch of 200,000
# examples of 20 features, in batches of 1, takes two to three times as long with 2**10, up to twice with 2**26.
GATHERED = 2**20
RECORDED = ("cost", "gradient_norm")

Function = Callable[..., Any]  # its arguments: theta, X, y


class Recipe(NamedTuple):
    """All that the programs are compiled for: the functions and the batch size."""

    gradient: Function
    optimizer: optax.GradientTransformation
    cost: Function | None
    metrics: dict[str, Function]
    batch_size: int
    random: bool  # whether the gradient takes a key


class Penalty(NamedTuple):
    """Σ δ² θ² over the parameters, as trees like theta whose leaves broadcast against those of theta."""

    delta2: Any  # for all examples together
    share: Any  # 2δ²/m: times θ, the gradient of one example's share


class Round(NamedTuple):
    """Epochs first … last − 1 of a block of epochs, whose orders were drawn at once."""

    orders: Any  # (epochs of a block, m), or (epochs of a block, 0): the order in which the examples are given
    key: Array | None  # that of the whole run
    block: Any
    first: Any
    last: Any


class Programs(NamedTuple):
    """The compiled functions `_begin`, `_run` and `_replay`, without their first argument, the recipe."""

    begin: Callable
    run: Callable
    replay: Callable


def programs(recipe: Recipe) -> Programs:
    """The compiled functions of a recipe, from the cache if an equal recipe was compiled before."""
    compiled = _compiled(recipe)
    return Programs(*(partial(compiled, part) for part in (_begin, _run, _replay)))


@cached_by_value
def _compiled(recipe: Recipe) -> Callable:
    compiled = {part: jax.jit(partial(part, recipe)) for part in (_begin, _run, _replay)}
    return lambda part, *arguments: compiled[part](*arguments)


def fingerprint_recipe(recipe: Recipe, theta: Any, X: Any, y: Any, key: Array | None) -> dict[str, str]:
    """The fingerprints, by name, of the functions of a recipe on batches of these data."""
    rows = len(jax.tree.leaves(X)[0])
    batch = jax.tree.map(lambda a: jax.ShapeDtypeStruct((min(rows, recipe.batch_size), *a.shape[1:]), a.dtype), (X, y))
    init, update = recipe.optimizer
    costs = {} if recipe.cost is None else {"the cost": recipe.cost}
    costs |= {f"the metric {name!r}": metric for name, metric in recipe.metrics.items()}
    state = jax.eval_shape(init, theta)
    optimizer = fingerprint_function(init, theta), fingerprint_function(update, theta, state, theta)
    return {
        "the gradient": fingerprint_function(partial(_gradient, recipe), theta, *batch, key),
        "the optimizer or its settings": " ".join(optimizer),
        **{name: fingerprint_function(function, theta, X, y) for name, function in costs.items()},
    }


def _begin(recipe: Recipe, theta: Any, X: Any, y: Any, penalty: Penalty | None, key: Array | None) -> tuple[Any, Any]:
    """The optimizer's first state, and a history of no epochs."""
    return recipe.optimizer.init(theta), _empty(recipe, 0, theta, X, y, penalty, key)


def _run(recipe: Recipe, theta: Any, state: Any, X: Any, y: Any, penalty: Penalty | None, todo: Round) -> Any:
    """The epochs of a round: ((theta, state), the epoch reached, whether all is finite, records).

    An epoch that ends with a value not finite is the last, and theta is the one before it. Values need not be checked
    within an epoch: a parameter that is not finite stays so, whatever is added to it.
    """

    step = partial(_step, recipe, penalty)

    def epoch(loop):
        done, _, previous, records = loop
        key = _key(recipe, todo, done)
        *updated, key = _epoch(step, (*previous, key), (X, y), todo.orders[done], recipe.batch_size)
        record = _record(recipe, updated[0], X, y, penalty, key)
        finite = jnp.all(_are_finite([updated[0], *(record[name] for name in RECORDED if name in record)]))
        records = jax.tree.map(lambda all_epochs, one: all_epochs.at[done].set(one), records, record)
        carry = lax.cond(finite, lambda: tuple(updated), lambda: previous)
        return done + finite.astype(done.dtype), finite, carry, records

    records = _empty(recipe, len(todo.orders), theta, X, y, penalty, todo.key)
    loop = todo.first, jnp.array(True), (theta, state), records
    done, finite, carry, records = lax.while_loop(lambda loop: (loop[0] < todo.last) & loop[1], epoch, loop)
    return carry, done, finite, records


def _replay(recipe: Recipe, theta: Any, state: Any, X: Any, y: Any, penalty: Penalty | None, todo: Round) -> Any:
    """The first epoch of a round up to the last finite theta.

    Returns ((theta, state), the number of steps, for each leaf of theta whether the next step left it finite).
    """

    def guarded(loop, batch):
        previous, steps, were_finite = loop
        updated = _step(recipe, penalty, previous, batch)
        finite = jnp.where(jnp.all(were_finite), _are_finite(updated[0]), were_finite)
        good = jnp.all(finite)
        return lax.cond(good, lambda: updated, lambda: previous), steps + good.astype(steps.dtype), finite

    carry = theta, state, _key(recipe, todo, todo.first)
    start = carry, jnp.zeros((), jnp.int32), jnp.ones(len(jax.tree.leaves(theta)), bool)
    (theta, state, _), steps, finite = _epoch(guarded, start, (X, y), todo.orders[todo.first], recipe.batch_size)
    return (theta, state), steps, finite


def _key(recipe: Recipe, todo: Round, epoch: Array) -> Array | None:
    """The key with which an epoch of the block begins; None for a gradient that takes no key."""
    if todo.key is None or not recipe.random:
        return None
    return jax.random.fold_in(jax.random.fold_in(todo.key, todo.block), epoch)


def _epoch(step: Callable, carry: Any, data: Any, order: Array, batch_size: int) -> Any:
    """step(carry, batch) → carry, over all batches of the data, in this order or, if it is empty, as given.

    The step is compiled twice, for the full batches and for the short one.
    """
    m = len(jax.tree.leaves(data)[0])
    full, short = divmod(m, batch_size)
    if m <= batch_size:
        return step(carry, data)
    if not order.size:
        carry = lax.fori_loop(0, full, lambda j, carry: step(carry, _rows(data, j * batch_size, batch_size)), carry)
        return step(carry, _rows(data, m - short, short)) if short else carry
    chunks, chunk_length = _chunks(full, batch_size * sum(a.nbytes for a in jax.tree.leaves(data)) // m)

    def examples(rows):
        return jax.tree.map(lambda a: a.at[rows].get(mode="promise_in_bounds"), data)

    def chunk(i, carry):
        begin = i * chunk_length
        # the last chunk is as long as the others and begins earlier; batches shared with the one before are skipped
        first = jnp.minimum(begin, full - chunk_length)
        batches = examples(lax.dynamic_slice_in_dim(order, first * batch_size, chunk_length * batch_size))
        batches = jax.tree.map(lambda a: a.reshape(chunk_length, batch_size, *a.shape[1:]), batches)

        def one(j, carry):
            return step(carry, jax.tree.map(partial(_row, j), batches))

        return lax.fori_loop(begin - first, chunk_length, one, carry)

    carry = lax.fori_loop(0, chunks, chunk, carry)
    return step(carry, examples(order[m - short :])) if short else carry


def _rows(data: Any, first: Any, count: int) -> Any:
    return jax.tree.map(lambda a: lax.dynamic_slice_in_dim(a, first, count, allow_negative_indices=False), data)


def _row(j: Array, a: Array) -> Array:
    return lax.dynamic_index_in_dim(a, j, keepdims=False, allow_negative_indices=False)


def _chunks(batches: int, bytes_each: int) -> tuple[int, int]:
    """The number of chunks, and of batches in each: at most GATHERED bytes, of nearly equal length."""
    chunks = -(-batches // max(1, GATHERED // max(1, bytes_each)))
    return chunks, -(-batches // chunks)


def _step(recipe: Recipe, penalty: Penalty | None, carry: Any, batch: Any) -> Any:
    (theta, state, key), (X, y) = carry, batch
    size = len(jax.tree.leaves(X)[0])
    now, key = (None, None) if key is None else jax.random.split(key)
    mean = jax.tree.map(lambda g: g / jnp.asarray(size, g.dtype), _gradient(recipe, theta, X, y, now))
    if penalty is not None:  # size examples have size · 2δ²/m · θ of its gradient, their mean has this
        mean = jax.tree.map(lambda g, share, t: g + share * t, mean, penalty.share, theta)
    step, state = recipe.optimizer.update(mean, state, theta)
    return optax.apply_updates(theta, step), state, key


def _record(recipe: Recipe, theta: Any, X: Any, y: Any, penalty: Penalty | None, key: Array | None) -> dict[str, Any]:
    """The history's entries for an epoch; cost and gradient are those of the whole cost, with the penalty."""
    record = {name: metric(theta, X, y) for name, metric in recipe.metrics.items()}
    if recipe.cost is not None:
        cost = jnp.asarray(recipe.cost(theta, X, y))
        if cost.shape != ():
            raise ValueError(f"cost(theta, X, y) must be a scalar; got shape {cost.shape}: sum it over the examples")
        g = _gradient(recipe, theta, X, y, key)
        with jax.numpy_dtype_promotion("standard"):  # the leaves may differ in precision
            if penalty is not None:
                squares = jax.tree.map(lambda p, t: jnp.sum(jnp.real(p) * jnp.abs(t) ** 2), penalty.delta2, theta)
                cost = cost + sum(jax.tree.leaves(squares))
                g = jax.tree.map(lambda g, p, t: g + 2 * p * t, g, penalty.delta2, theta)
            record |= {
                "cost": cost,
                "gradient_norm": jnp.sqrt(sum(jnp.sum(jnp.abs(a) ** 2) for a in jax.tree.leaves(g))),
            }
    return jax.tree.map(jnp.asarray, record)


def _empty(
    recipe: Recipe, epochs: int, theta: Any, X: Any, y: Any, penalty: Penalty | None, key: Array | None
) -> dict[str, Any]:
    """Zeros with the shapes and dtypes of the records of a number of epochs."""
    record = jax.eval_shape(partial(_record, recipe), theta, X, y, penalty, key)
    return jax.tree.map(lambda a: jnp.zeros((epochs, *a.shape), a.dtype), record)


def _gradient(recipe: Recipe, theta: Any, X: Any, y: Any, key: Array | None) -> Any:
    random = {"key": key} if recipe.random else {}
    gradient = jax.tree.map(jnp.asarray, recipe.gradient(theta, X, y, **random))
    if form(gradient) != form(theta):
        raise ValueError(f"gradient(theta, X, y) must be like theta, {form(theta)}; got {form(gradient)}")
    return gradient


def form(tree: Any) -> str:
    """The tree as text, with dtypes and shapes for leaves."""
    return str(jax.tree.map(lambda a: f"{a.dtype}{list(a.shape)}", tree)).replace("'", "")


def _are_finite(tree: Any) -> Array:
    """Whether each leaf is finite everywhere, (number of leaves,)."""
    return jnp.stack([jnp.all(jnp.isfinite(leaf)) for leaf in jax.tree.leaves(tree)])
