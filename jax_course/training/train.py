r"""Training on mini-batches: one step of an optimizer for every batch of examples. Course 7.7–7.8.

    order        a fresh permutation of the m examples for every epoch, or none
    B            the next batch_size examples in that order; the last batch has those that are left over
    g            Σ_{i ∈ B} ∇C_i(θ) / |B|                   so that the learning rate does not depend on the batch size
    g ← g + 2δ²θ/m                                         the batch's share of Σ δ²θ², if there is a penalty δ²
    θ ← θ + s    (s, state) = update(g, state, θ)          with the update of an optimizer, ours or optax's

batch_size = m is descent on all the data (batch), 1 is online learning, anything between is mini-batch. The data are
arrays in memory; `scale.train` does the same for data that are read in pieces, from files.

A penalty inside `gradient` counts once per batch, m / batch_size times in an epoch: every batch size has another
minimiser. Give it as `penalty=`: it counts once in an epoch, and every batch size has the minimiser of the cost of all
examples plus Σ δ²θ².

Shapes: theta is any pytree of floating-point arrays; X and y are any pytrees of arrays whose first axis is that of the
m examples (y may be None). `gradient(theta, X, y)` is a sum over the examples it is given, as everywhere in this
package. penalty, the course's δ²: a number, or a tree like theta of numbers and of arrays that broadcast against its
leaves; a 0 spares a bias (`networks.decay(theta, penalty)` spares them all).

A gradient with a keyword parameter `key`, `gradient(theta, X, y, *, key)`, gets another random key at every step: noise
on the data, dropout. They follow from the run's key and the number of the epoch.

The order depends on the key and the number of the epoch alone, so that a run can be continued:
`train(…, checkpoint=path)` keeps it in a file and continues from there, `save(path, training)` and
`load(path, like=train(…, epochs=0))` write and read it, and a `Training` in place of theta is continued from memory.
NumPy draws the order on the host: `jax.random.permutation` sorts, which takes longer than an epoch of a linear model.

Inside `jax.jit` and `jax.vmap` (keys, starts, learning rates, penalties, data) a run is what it is outside, but there
nothing stops: from a value on that is not finite, theta and the history are NaN.
"""

import os
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import jax
import numpy as np
import optax
from jax import Array

from jax_course import inputs
from jax_course.inputs.shapes import whole
from jax_course.progress import bar
from jax_course.tiers import is_traced
from jax_course.training import inputs as training_input
from jax_course.training.checkpoint import load as load
from jax_course.training.checkpoint import save
from jax_course.training.epochs import Function, Penalty, Programs, Recipe, fingerprint_recipe, programs
from jax_course.training.fingerprints import fingerprint_arrays
from jax_course.training.record import NotTrained, Stop, Training
from jax_course.training.resume import continued_from_file, continued_from_memory, initial_arrays
from jax_course.training.rounds import advance, rounds

__all__ = ["NotTrained", "Stop", "Training", "each_epoch", "train"]


def __dir__() -> list[str]:
    return __all__


def train(
    gradient: Function,
    optimizer: optax.GradientTransformation,
    theta: Any,
    X: Any,
    y: Any,
    *,
    key: Array | None,
    epochs: int,
    batch_size: int,
    penalty: Any = 0.0,
    cost: Function | None = None,
    metrics: Mapping[str, Function] | None = None,
    progress: bool = False,
    checkpoint: str | os.PathLike | None = None,
) -> Training:
    """Train `theta` on arrays in memory, until `epochs` are done or a value is not finite. Course 7.7.

    For data that are read in pieces, from files: `scale.train`.
    gradient(theta, X, y): a sum over examples, a tree like theta. X, y: trees of arrays (m, …); y may be None.
    penalty, a number or a tree like theta, counts once an epoch, whatever the batch size: the minimiser is that of the
    cost of all examples plus Σ penalty θ². A penalty inside `gradient` would count once per batch.
    theta: the start, or a `Training`, which continues to `epochs` in all as if it had not stopped. Its key, batch_size,
    m, kind of optimizer and recorded names must be those of the call (ValueError); data, gradient and learning rate are
    not compared, those of the call are used.
    key: a random key from which the orders are drawn; None takes the examples in the given order, which is faster.
    cost(theta, X, y): the sum over the examples, without the penalty. If given, cost(theta, X, y) + Σ penalty θ² over
    all the data, and the norm of its gradient, go into the history after every epoch. metrics: further functions of
    (theta, X, y) by name, of any shape, recorded without the penalty. progress: a bar on stderr (needs rich).
    checkpoint: a file that keeps the run after every epoch, with fingerprints of all that decides it, not the data. If
    it exists, the run continues from it, to the same result bit for bit; CheckpointError if it is another run: other
    data, another start, penalty, gradient, optimizer or learning rate, cost, metric, key, batch_size or release of JAX.

    >>> train(lambda theta, X, y: jnp.sum(theta - y), optax.sgd(0.5), 0.0, jnp.ones(2), jnp.array([4.0, 4.0]),
    ...       key=jax.random.key(0), epochs=1, batch_size=1).theta
    Array(3., dtype=float64)
    """
    if checkpoint is not None and is_traced():
        raise TypeError("checkpoint must be left out inside jit, vmap and derivatives: nothing is computed there yet")
    prepared = _prepare(gradient, optimizer, theta, X, y, key, epochs, batch_size, penalty, cost, metrics)
    run = start = prepared.start
    prints = {} if checkpoint is None else _fingerprints(prepared)
    if checkpoint is not None:
        run = start = continued_from_file(checkpoint, start, prints, int(epochs), "m")
    with bar(progress, int(epochs), "epoch") as show:
        show(start.epochs)
        for run in _runs(prepared, start, int(epochs), each=progress or checkpoint is not None):
            if checkpoint is not None and run.stop is None:
                save(checkpoint, run, prints)
            show(run.epochs)
    return run


def each_epoch(
    gradient: Function,
    optimizer: optax.GradientTransformation,
    theta: Any,
    X: Any,
    y: Any,
    *,
    key: Array | None,
    epochs: int,
    batch_size: int,
    penalty: Any = 0.0,
    cost: Function | None = None,
    metrics: Mapping[str, Function] | None = None,
) -> Iterator[Training]:
    """Train as `train` does and yield the `Training` after each epoch: to observe it, or to stop early. Course 7.7.

    The arguments and the errors are those of `train`; bad arguments are refused at once, not at the first epoch.

    >>> runs = each_epoch(lambda theta, X, y: jnp.sum(theta - y), optax.sgd(0.5), 0.0, jnp.ones(2),
    ...                   jnp.array([4.0, 4.0]), key=jax.random.key(0), epochs=3, batch_size=2)
    >>> [float(run.theta) for run in runs]
    [2.0, 3.0, 3.5]
    """
    prepared = _prepare(gradient, optimizer, theta, X, y, key, epochs, batch_size, penalty, cost, metrics)
    return _runs(prepared, prepared.start, int(epochs), each=True)


class _Prepared(NamedTuple):
    """The compiled programs, their recipe and their arguments, and the run before the epochs of this call."""

    recipe: Recipe
    compiled: Programs
    start: Training
    X: Any
    y: Any
    penalty: Penalty | None


def _prepare(gradient, optimizer, theta, X, y, key, epochs, batch_size, penalty, cost, metrics) -> _Prepared:
    epochs, batch_size = int(whole(epochs, "epochs")), int(whole(batch_size, "batch_size"))
    run = theta if isinstance(theta, Training) else None
    if not all(map(inputs.is_concrete, jax.tree.leaves(run))):
        raise TypeError("theta is a traced Training, which cannot be continued: give its theta, for a new run")
    theta = training_input.parameters(theta if run is None else run.theta)
    X, y = training_input.arrays(X, "X"), training_input.arrays(y, "y")
    random = training_input.takes_a_key(gradient)
    recipe = Recipe(gradient, optimizer, cost, dict(metrics or {}), batch_size, random)
    m = training_input.number_of_examples(X, y)
    training_input.check(recipe, m, key, epochs)
    factors = training_input.penalty(penalty, theta, m)
    compiled = programs(recipe)
    state, history = compiled.begin(theta, X, y, factors, key)
    history = jax.tree.map(lambda a: np.zeros(a.shape, a.dtype), history)  # of no epochs
    start = Training(theta, state, history, 0, key, m, batch_size)
    if run is not None:
        start = continued_from_memory(run, start, epochs, "m")
    return _Prepared(recipe, compiled, start, X, y, factors)


def _fingerprints(prepared: _Prepared) -> dict[str, str]:
    """The fingerprints, by name, of all that decides the run."""
    recipe, _, start, X, y, penalty = prepared
    arrays = {"the data X": X, "the data y": y, "the start theta": initial_arrays(start), "the penalty": penalty}
    prints = {name: fingerprint_arrays(tree) for name, tree in arrays.items()}
    return {"the release of JAX": jax.__version__} | prints | fingerprint_recipe(recipe, start.theta, X, y, start.key)


def _runs(prepared: _Prepared, run: Training, epochs: int, *, each: bool) -> Iterator[Training]:
    """The run after every round of epochs, to the last or to a stop."""
    for todo in rounds(run, epochs, each=each):
        run = advance(prepared.compiled, run, prepared.X, prepared.y, prepared.penalty, todo)
        yield run
        if run.stop is not None:
            return
