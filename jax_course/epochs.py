"""An epoch as a compiled program: every example once, in a given order, batch by batch. Course 7.7.

One program runs any number of epochs, one runs up to the first step that goes wrong. They are kept for the next call
with functions that compute the same.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jax import Array, lax

from jax_course import fingerprints
from jax_course.functions import kept

GATHERED = 2**20  # bytes of examples fetched at once: their cache misses overlap, and they stay in the cache
RECORDED = ("cost", "gradient_norm")

leaves_of, map_leaves = jax.tree_util.tree_leaves, jax.tree_util.tree_map
Function = Callable[..., Any]  # of theta, X, y


class Recipe(NamedTuple):
    """What the programs are made for."""

    gradient: Function
    optimizer: optax.GradientTransformation
    cost: Function | None
    metrics: dict[str, Function]
    batch_size: int
    random: bool  # whether the gradient takes a key


class Penalty(NamedTuple):
    """Σ δ² θ² over the parameters, as trees like theta whose leaves broadcast against those of theta."""

    delta2: Any  # of all examples together
    share: Any  # 2δ²/m: with θ it is the gradient of one example's share


class Round(NamedTuple):
    """Epochs first … last − 1 of a block of epochs, whose orders were drawn at once."""

    orders: Any  # (epochs of a block, m), or (epochs of a block, 0): as the examples stand
    key: Array | None  # of the whole run
    block: Any
    first: Any
    last: Any


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


def fingerprints_of(recipe: Recipe, theta: Any, X: Any, y: Any, key: Array | None) -> dict[str, str]:
    """The fingerprints of the functions of a recipe, on batches of these data."""
    rows = len(leaves_of(X)[0])
    batch = map_leaves(lambda a: jax.ShapeDtypeStruct((min(rows, recipe.batch_size), *a.shape[1:]), a.dtype), (X, y))
    init, update = recipe.optimizer
    costs = {} if recipe.cost is None else {"the cost": recipe.cost}
    costs |= {f"the metric {name!r}": metric for name, metric in recipe.metrics.items()}
    state = jax.eval_shape(init, theta)
    optimizer = fingerprints.of_function(init, theta), fingerprints.of_function(update, theta, state, theta)
    return {
        "the gradient": fingerprints.of_function(partial(_gradient, recipe), theta, *batch, key),
        "the optimizer or its settings": " ".join(optimizer),
        **{name: fingerprints.of_function(function, theta, X, y) for name, function in costs.items()},
    }


def _begin(recipe: Recipe, theta: Any, X: Any, y: Any, penalty: Penalty | None, key: Array | None) -> tuple[Any, Any]:
    """The optimizer's first state, and a history of no epochs."""
    return recipe.optimizer.init(theta), _empty(recipe, 0, theta, X, y, penalty, key)


def _run(recipe: Recipe, theta: Any, state: Any, X: Any, y: Any, penalty: Penalty | None, todo: Round) -> Any:
    """The epochs of a round: ((theta, state), the epoch it got to, whether all is finite, records).

    After an epoch that ends with something not finite comes no other, and theta is the one before it. Nothing needs to
    be looked at within an epoch: a parameter that is not finite stays so, whatever is added to it.
    """

    step = partial(_step, recipe, penalty)

    def epoch(loop):
        done, _, before, records = loop
        key = _key(recipe, todo, done)
        *after, key = _epoch(step, (*before, key), (X, y), todo.orders[done], recipe.batch_size)
        record = _record(recipe, after[0], X, y, penalty, key)
        finite = jnp.all(_are_finite([after[0], *(record[name] for name in RECORDED if name in record)]))
        records = map_leaves(lambda all_epochs, one: all_epochs.at[done].set(one), records, record)
        carry = lax.cond(finite, lambda: tuple(after), lambda: before)
        return done + finite.astype(done.dtype), finite, carry, records

    records = _empty(recipe, len(todo.orders), theta, X, y, penalty, todo.key)
    loop = todo.first, jnp.array(True), (theta, state), records
    done, finite, carry, records = lax.while_loop(lambda loop: (loop[0] < todo.last) & loop[1], epoch, loop)
    return carry, done, finite, records


def _replay(recipe: Recipe, theta: Any, state: Any, X: Any, y: Any, penalty: Penalty | None, todo: Round) -> Any:
    """The first epoch of a round up to the last finite theta.

    Returns ((theta, state), the steps to there, which leaves of theta the next one left finite).
    """

    def guarded(loop, batch):
        before, steps, were_finite = loop
        after = _step(recipe, penalty, before, batch)
        finite = jnp.where(jnp.all(were_finite), _are_finite(after[0]), were_finite)
        good = jnp.all(finite)
        return lax.cond(good, lambda: after, lambda: before), steps + good.astype(steps.dtype), finite

    carry = theta, state, _key(recipe, todo, todo.first)
    start = carry, jnp.zeros((), jnp.int32), jnp.ones(len(leaves_of(theta)), bool)
    (theta, state, _), steps, finite = _epoch(guarded, start, (X, y), todo.orders[todo.first], recipe.batch_size)
    return (theta, state), steps, finite


def _key(recipe: Recipe, todo: Round, epoch: Array) -> Array | None:
    """The key that an epoch of the block begins with, if the gradient takes any."""
    if todo.key is None or not recipe.random:
        return None
    return jax.random.fold_in(jax.random.fold_in(todo.key, todo.block), epoch)


def _epoch(step: Callable, carry: Any, data: Any, order: Array, batch_size: int) -> Any:
    """step(carry, batch) → carry, over all batches of the data, in this order or as they stand.

    The step stands twice in the program, for the full batches and for the short one: each copy is compiled.
    """
    m = len(leaves_of(data)[0])
    full, short = divmod(m, batch_size)
    if m <= batch_size:
        return step(carry, data)
    if not order.size:
        carry = lax.fori_loop(0, full, lambda j, carry: step(carry, _rows(data, j * batch_size, batch_size)), carry)
        return step(carry, _rows(data, m - short, short)) if short else carry
    chunks, in_chunk = _chunks(full, batch_size * sum(a.nbytes for a in leaves_of(data)) // m)

    def examples(rows):
        return map_leaves(lambda a: a.at[rows].get(mode="promise_in_bounds"), data)

    def chunk(i, carry):
        begin = i * in_chunk
        # the last chunk is as long as the others and begins earlier; what it shares with the one before is passed over
        first = jnp.minimum(begin, full - in_chunk)
        batches = examples(lax.dynamic_slice_in_dim(order, first * batch_size, in_chunk * batch_size))
        batches = map_leaves(lambda a: a.reshape(in_chunk, batch_size, *a.shape[1:]), batches)

        def one(j, carry):
            return step(carry, map_leaves(partial(_row, j), batches))

        return lax.fori_loop(begin - first, in_chunk, one, carry)

    carry = lax.fori_loop(0, chunks, chunk, carry)
    return step(carry, examples(order[m - short :])) if short else carry


def _rows(data: Any, first: Any, count: int) -> Any:
    return map_leaves(lambda a: lax.dynamic_slice_in_dim(a, first, count, allow_negative_indices=False), data)


def _row(j: Array, a: Array) -> Array:
    return lax.dynamic_index_in_dim(a, j, keepdims=False, allow_negative_indices=False)


def _chunks(batches: int, bytes_each: int) -> tuple[int, int]:
    """So many chunks of so many batches, as equal as it goes."""
    chunks = -(-batches // max(1, GATHERED // max(1, bytes_each)))
    return chunks, -(-batches // chunks)


def _step(recipe: Recipe, penalty: Penalty | None, carry: Any, batch: Any) -> Any:
    (theta, state, key), (X, y) = carry, batch
    size = len(leaves_of(X)[0])
    now, key = (None, None) if key is None else jax.random.split(key)
    mean = map_leaves(lambda g: g / jnp.asarray(size, g.dtype), _gradient(recipe, theta, X, y, now))
    if penalty is not None:  # size examples have size · 2δ²/m · θ of its gradient, their mean has this
        mean = map_leaves(lambda g, share, t: g + share * t, mean, penalty.share, theta)
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
                squares = map_leaves(lambda p, t: jnp.sum(jnp.real(p) * jnp.abs(t) ** 2), penalty.delta2, theta)
                cost = cost + sum(leaves_of(squares))
                g = map_leaves(lambda g, p, t: g + 2 * p * t, g, penalty.delta2, theta)
            record |= {"cost": cost, "gradient_norm": jnp.sqrt(sum(jnp.sum(jnp.abs(a) ** 2) for a in leaves_of(g)))}
    return map_leaves(jnp.asarray, record)


def _empty(
    recipe: Recipe, epochs: int, theta: Any, X: Any, y: Any, penalty: Penalty | None, key: Array | None
) -> dict[str, Any]:
    """Room for the records of so many epochs."""
    record = jax.eval_shape(partial(_record, recipe), theta, X, y, penalty, key)
    return map_leaves(lambda a: jnp.zeros((epochs, *a.shape), a.dtype), record)


def _gradient(recipe: Recipe, theta: Any, X: Any, y: Any, key: Array | None) -> Any:
    random = {"key": key} if recipe.random else {}
    gradient = map_leaves(jnp.asarray, recipe.gradient(theta, X, y, **random))
    if form(gradient) != form(theta):
        raise ValueError(f"gradient(theta, X, y) must be like theta, {form(theta)}; got {form(gradient)}")
    return gradient


def form(tree: Any) -> str:
    """The tree with dtypes and shapes for leaves, as it is written."""
    return str(map_leaves(lambda a: f"{a.dtype}{list(a.shape)}", tree)).replace("'", "")


def _are_finite(tree: Any) -> Array:
    """Of every leaf, whether it is finite everywhere."""
    return jnp.stack([jnp.all(jnp.isfinite(leaf)) for leaf in leaves_of(tree)])
