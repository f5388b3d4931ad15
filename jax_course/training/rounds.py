"""A run from round to round: the order of the examples is drawn, compiled epochs run, a value not finite ends it.

Inside `jax.jit` and `jax.vmap` no value can be read: there the order of a key that is traced is drawn when the program
runs, by a callback to the host, and a run that is not finite goes on with NaN.
"""

from collections.abc import Iterator
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from jax_course import inputs
from jax_course.training.epochs import RECORDED, Penalty, Programs, Round
from jax_course.training.inputs import key_data, words
from jax_course.training.record import Stop, Training

# Examples whose order is drawn at once, and whose epochs run as one call of a program if nothing is done after each.
# 2,000 epochs of 200 examples take twice as long with 2**12; 2**20 needs 4 MiB for orders that may never be used.
BLOCK = 2**16


def rounds(run: Training, epochs: int, *, each: bool) -> Iterator[Round]:
    """The epochs that the run still lacks, in rounds: one epoch each, or all of a block.

    The orders of a block are drawn on the host from the key and the number of the block.
    """
    size = max(1, BLOCK // run.m)
    for block in range(run.epochs // size, -(-epochs // size)):
        end = min(size, epochs - block * size)
        orders = np.empty((size, 0), np.int32)  # the order in which they are given
        if run.key is not None and run.batch_size < run.m:
            orders = _orders(run.key, run.m, block, size, end)
        for first in range(max(0, run.epochs - block * size), end, 1 if each else size):
            yield Round(orders, run.key, *map(np.int32, (block, first, first + 1 if each else end)))


def _orders(key: Any, m: int, block: int, size: int, end: int) -> Any:
    """The orders of a block of `size` epochs, of which `end` are drawn, (size, m)."""
    if inputs.is_concrete(key):
        return _drawn(words(key), m, block, size, end)
    draw = partial(_drawn, m=m, block=block, size=size, end=end)
    shape = jax.ShapeDtypeStruct((size, m), np.int32)
    return jax.pure_callback(draw, shape, key_data(key), vmap_method="sequential")


def _drawn(words: Any, m: int, block: int, size: int, end: int) -> np.ndarray:
    orders = np.tile(np.arange(m, dtype=np.int32), (size, 1))
    seed = [*np.asarray(words).tolist(), block]
    np.random.Generator(np.random.PCG64(seed)).permuted(orders[:end], axis=1, out=orders[:end])
    return orders


def advance(compiled: Programs, run: Training, X: Any, y: Any, penalty: Penalty | None, todo: Round) -> Training:
    """The run after the epochs of a round, or at its stop; `compiled` are `epochs.programs` of its recipe."""
    found = (theta, state), done, finite, records = compiled.run(run.theta, run.state, X, y, penalty, todo)
    if not all(map(inputs.is_concrete, jax.tree.leaves(found))):
        return _advanced_in_a_trace(run, todo, *found)
    done, records = np.int32(done), jax.tree.map(np.asarray, records)
    history = jax.tree.map(lambda past, new: np.concatenate([past, new[todo.first : done]]), run.history, records)
    run = run._replace(theta=theta, state=state, history=history, epochs=run.epochs + int(done - todo.first))
    if finite:
        return run
    unfit = [name for name in RECORDED if name in records and not np.isfinite(records[name][done])]
    return _stopped(compiled, run, X, y, penalty, todo._replace(first=done), unfit)


def _advanced_in_a_trace(
    run: Training, todo: Round, carry: tuple[Any, Any], done: Array, finite: Array, records: Any
) -> Training:
    """The run after the epochs of a round: from a value on that is not finite, theta and history are NaN."""
    reached = jnp.arange(todo.first, todo.last) < done

    def known(new: Array) -> Array:
        epochs = new[todo.first : todo.last]
        return _nan_unless(jnp.reshape(reached, (-1,) + (1,) * (epochs.ndim - 1)), epochs)

    theta = jax.tree.map(partial(_nan_unless, finite), carry[0])
    history = jax.tree.map(lambda past, new: jnp.concatenate([past, known(new)]), run.history, records)
    return run._replace(theta=theta, state=carry[1], history=history, epochs=run.epochs + done - todo.first)


def _nan_unless(known: Array, values: Array) -> Array:
    return jnp.where(known, values, jnp.nan) if jnp.issubdtype(values.dtype, jnp.inexact) else values


def _stopped(
    compiled: Programs, run: Training, X: Any, y: Any, penalty: Penalty | None, todo: Round, unfit: list[str]
) -> Training:
    """The run at the last finite theta of an epoch that ends with a value not finite; unfit: records that are not."""
    (theta, state), steps, finite = compiled.replay(run.theta, run.state, X, y, penalty, todo)
    leaves = [f"theta{jax.tree_util.keystr(path)}" for path, _ in jax.tree.leaves_with_path(theta)]
    unfit = [name for name, is_finite in zip(leaves, np.asarray(finite), strict=True) if not is_finite] + unfit
    unfit.append("theta")  # at the brink of overflow, where a program that rounds differently stays finite
    epoch_steps = -(-run.m // run.batch_size)
    step = min(int(steps), epoch_steps - 1)  # a record is taken after the last one
    order = todo.orders[todo.first] if todo.orders.size else np.arange(run.m)
    examples = order[step * run.batch_size : (step + 1) * run.batch_size]
    stop = Stop(unfit[0], run.epochs + 1, run.epochs * epoch_steps + step + 1, examples)
    return run._replace(theta=theta, state=state, stop=stop)
