r"""Training on more examples than memory holds: a window of rows at a time, shuffled. Course 7.7.

    window k     the next `window` rows of the source; the last one has the rest
    θ, state     after an epoch of `train` on window k, with the k-th key folded from that of the run

An epoch is one pass; the next window is read while one is trained on. Rows are shuffled within a window only: a file
that is sorted, by class or by date, must be shuffled once before, or the windows be large. With a window of all rows
the result is that of `train` bit for bit. Without a key rows keep their order, and the result is that of `train` to
rounding, whatever the window.
"""

import os
from collections.abc import Iterable, Iterator
from typing import Any

import jax
import numpy as np
import optax
from jax import Array

from jax_course.inputs.shapes import whole
from jax_course.scale.batches import DataError, Pair, name_of
from jax_course.scale.fold import count_rows, prefetch, validated
from jax_course.scale.start import FIRST_BYTES, first_rows, joined
from jax_course.training import checkpoint as files
from jax_course.training import inputs as training_input
from jax_course.training.epochs import Function, Penalty, Programs, Recipe, fingerprint_recipe, programs
from jax_course.training.fingerprints import fingerprint_arrays
from jax_course.training.record import Training
from jax_course.training.resume import continued_from_file, continued_from_memory, initial_arrays
from jax_course.training.rounds import advance, rounds


def train(
    gradient: Function,
    optimizer: optax.GradientTransformation,
    theta: Any,
    source: Iterable[Pair],
    *,
    key: Array | None,
    epochs: int,
    batch_size: int,
    penalty: Any = 0.0,
    window: int | None = None,
    checkpoint: str | os.PathLike | None = None,
) -> Training:
    """Train `theta` on data read in pieces, until `epochs` passes are done or a value is not finite. Course 7.7.

    For arrays in memory, also those sharded over processes: `jax_course.train`.
    gradient, optimizer, key, batch_size, penalty, a `Training` for theta, and `stop` in the result: as in
    `jax_course.train`. With a penalty, a pass counts the rows first, if the source does not know their number.
    window: rows in memory at a time, rounded up to whole batches; by default 32 MB of X.
    checkpoint: a file that holds the run after every pass. If it exists, the run goes on from there, to the same result
    bit for bit; CheckpointError if it is not of this run, as in `jax_course.train`. Of the data the first 32 MB are
    compared, and the number of rows if the source knows it.

    >>> source = [(np.ones((2, 1)), np.array([4.0, 4.0]))]
    >>> train(lambda theta, X, y: jnp.sum(theta - y), optax.sgd(0.5), 0.0, source,
    ...       key=None, epochs=1, batch_size=1).theta
    Array(3., dtype=float64)
    """
    if jax.process_count() > 1:
        raise ValueError(
            f"scale.train trains on the rows of one process, and this program has {jax.process_count()}: "
            "jax_course.train trains on those of all, spread by scale.shard"
        )
    epochs, batch_size = int(whole(epochs, "epochs")), int(whole(batch_size, "batch_size"))
    run = theta if isinstance(theta, Training) else None
    theta = training_input.parameters(theta if run is None else run.theta)
    recipe = Recipe(gradient, optimizer, None, {}, batch_size, training_input.takes_a_key(gradient))
    rows = _whole_batches(source, window, batch_size)
    training_input.check(recipe, rows, key, epochs)
    factors = training_input.penalty(penalty, theta, 1)
    if factors is not None:
        factors = training_input.penalty(penalty, theta, max(1, count_rows(source)))
    compiled = programs(recipe)
    start = Training(theta, optimizer.init(theta), {}, 0, key, 0, batch_size)
    if run is not None:
        start = continued_from_memory(run, start, epochs)
    run, prints = start, {}
    if checkpoint is not None:
        prints = _fingerprints(recipe, start, source, factors, rows)
        run = continued_from_file(checkpoint, start, prints, epochs)
    while run.epochs < epochs and run.stop is None:
        run = _pass(compiled, run, source, factors, rows)
        if checkpoint is not None and run.stop is None:
            files.save(checkpoint, run, prints)
    return run


def _fingerprints(
    recipe: Recipe, start: Training, source: Iterable[Pair], penalty: Penalty | None, window: int
) -> dict[str, str]:
    """The fingerprints, by name, of everything that decides the run."""
    X, y = first_rows(source)
    X, y = training_input.arrays(X, "X"), training_input.arrays(y, "y")
    data = {"the first rows of X": X, "the first rows of y": y}
    arrays = data | {"the start theta": initial_arrays(start), "the penalty": penalty}
    prints = {name: fingerprint_arrays(tree) for name, tree in arrays.items()}
    sizes = {"the number of rows": str(getattr(source, "rows", None)), "the window": str(window)}
    functions = fingerprint_recipe(recipe, start.theta, X, y, start.key)
    return {"the release of JAX": jax.__version__} | sizes | prints | functions


def _pass(compiled: Programs, run: Training, source: Iterable[Pair], penalty: Penalty | None, rows: int) -> Training:
    """The run after one more epoch, or at its stop."""
    rows_before, steps = 0, 0
    theta, state = run.theta, run.state
    for number, pair in enumerate(prefetch(_windows(source, rows))):
        X, y = (training_input.arrays(a, name) for a, name in zip(pair, "Xy", strict=True))
        before = run._replace(theta=theta, state=state, key=_key(run.key, number), m=len(X))
        after = before
        for todo in rounds(before, before.epochs + 1, each=True):
            after = advance(compiled, before, X, y, penalty, todo)
        theta, state = after.theta, after.state
        in_epoch = -(-len(X) // run.batch_size)
        if after.stop is not None:
            examples, step = after.stop.examples + rows_before, after.stop.step - run.epochs * in_epoch
            stop = after.stop._replace(examples=examples, step=run.epochs * _steps(run) + steps + step)
            return run._replace(theta=theta, state=state, stop=stop)
        rows_before, steps = rows_before + len(X), steps + in_epoch
    if not rows_before:
        raise DataError(f"{name_of(source)} must hold at least one row; it holds none")
    return run._replace(theta=theta, state=state, epochs=run.epochs + 1, m=rows_before)


def _steps(run: Training) -> int:
    """The steps of an epoch; known after the first."""
    return -(-run.m // run.batch_size)


def _key(key: Array | None, window: int) -> Array | None:
    return key if key is None or window == 0 else jax.random.fold_in(key, window)


def _whole_batches(source: Iterable[Pair], window: int | None, batch_size: int) -> int:
    """The rows of a window, a multiple of batch_size."""
    if window is None:
        X, _ = next(validated(source), (np.empty((1, 1)), None))
        window = max(1, FIRST_BYTES * len(X) // X.nbytes)
    elif whole(window, "window") < 1:
        raise ValueError(f"window must be at least 1 row; got {window}")
    return -(-int(window) // max(1, batch_size)) * max(1, batch_size)


def _windows(source: Iterable[Pair], rows: int) -> Iterator[Pair]:
    """The rows of the source in arrays of this number of rows; the last one has the rest."""
    waiting, size = [], 0
    for X, y in validated(source):
        waiting.append((X, y))
        size += len(X)
        while size >= rows:
            X, y = joined(waiting)
            yield X[:rows], y[:rows]
            waiting, size = [(X[rows:], y[rows:])], size - rows
    if size:
        yield joined(waiting)
