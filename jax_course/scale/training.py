r"""Training on more examples than memory holds: a window of rows at a time, in an order of its own. Course 7.7.

    window k     the next rows of the source, as many as `window` says; the last one has those that are left over
    θ, state     of an epoch of `train` on window k, with the k-th key folded from the run's

An epoch is one pass, the next window read while one is trained on. Rows change places within a window only: if the file
is sorted, by class or by date, it must be shuffled once before, or the windows be large. A window that holds all rows
makes this `train`, bit for bit; no key, which takes the rows as they stand, does so to rounding, whatever the window.
"""

import os
from collections.abc import Iterable, Iterator
from typing import Any

import jax
import numpy as np
import optax
from jax import Array

from jax_course import checkpoint as files
from jax_course import fingerprints, training_input
from jax_course.checks import whole
from jax_course.epochs import Function, Penalty, Programs, Recipe, fingerprints_of, programs
from jax_course.scale.batches import DataError, Pair, name_of
from jax_course.scale.fold import ahead, alike, count_rows
from jax_course.scale.start import FIRST, first_rows
from jax_course.train import Training, gone_on, refuse_another_run, refuse_to_go_on, rounds, start_of


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
    """Train from `theta` on for so many passes over the source, or until something is not finite. Course 7.7.

    gradient, optimizer, key, batch_size, penalty, a `Training` for theta, and `stop` in the result: as in
    `jax_course.train`; a penalty makes a pass that counts the rows, where the source does not know their number.
    window: rows that are in memory at a time, rounded up to whole batches; by default 32 MB of them.
    checkpoint: a file that holds the run after every pass. If it exists, the run goes on from there, to the same result
    bit for bit; CheckpointError if it is not of this run, as in `jax_course.train`. Of the data, what is compared is
    the first 32 MB, and the number of rows where the source knows it.

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
        refuse_to_go_on(run, start, epochs)
        start = run
    run, prints = start, {}
    if checkpoint is not None:
        prints = _fingerprints(recipe, start, source, factors, rows)
        run = _taken_up(start, checkpoint, prints, epochs)
    while run.epochs < epochs and run.stop is None:
        run = _pass(compiled, run, source, factors, rows)
        if checkpoint is not None and run.stop is None:
            files.save(checkpoint, run, prints)
    return run


def _fingerprints(
    recipe: Recipe, start: Training, source: Iterable[Pair], penalty: Penalty | None, window: int
) -> dict[str, str]:
    """By name, of what decides the run."""
    X, y = first_rows(source)
    X, y = training_input.arrays(X, "X"), training_input.arrays(y, "y")
    data = {"the first rows of X": X, "the first rows of y": y}
    arrays = data | {"the start theta": start_of(start), "the penalty": penalty}
    prints = {name: fingerprints.of_arrays(tree) for name, tree in arrays.items()}
    sizes = {"the number of rows": str(getattr(source, "rows", None)), "the window": str(window)}
    functions = fingerprints_of(recipe, start.theta, X, y, start.key)
    return {"the release of JAX": jax.__version__} | sizes | prints | functions


def _pass(compiled: Programs, run: Training, source: Iterable[Pair], penalty: Penalty | None, rows: int) -> Training:
    """The run after one more epoch, or at its stop."""
    before, steps = 0, 0
    theta, state = run.theta, run.state
    for number, pair in enumerate(ahead(_windows(source, rows))):
        X, y = (training_input.arrays(a, name) for a, name in zip(pair, "Xy", strict=True))
        here = run._replace(theta=theta, state=state, key=_key(run.key, number), m=len(X))
        after = here
        for todo in rounds(here, here.epochs + 1, each=True):
            after = gone_on(compiled, here, X, y, penalty, todo)
        theta, state = after.theta, after.state
        in_epoch = -(-len(X) // run.batch_size)
        if after.stop is not None:
            examples, step = after.stop.examples + before, after.stop.step - run.epochs * in_epoch
            stop = after.stop._replace(examples=examples, step=run.epochs * _steps(run) + steps + step)
            return run._replace(theta=theta, state=state, stop=stop)
        before, steps = before + len(X), steps + in_epoch
    if not before:
        raise DataError(f"{name_of(source)} must hold at least one row; it holds none")
    return run._replace(theta=theta, state=state, epochs=run.epochs + 1, m=before)


def _steps(run: Training) -> int:
    """Of an epoch, once there was one."""
    return -(-run.m // run.batch_size)


def _key(key: Array | None, window: int) -> Array | None:
    return key if key is None or window == 0 else jax.random.fold_in(key, window)


def _whole_batches(source: Iterable[Pair], window: int | None, batch_size: int) -> int:
    if window is None:
        X, _ = next(alike(source), (np.empty((1, 1)), None))
        window = max(1, FIRST * len(X) // X.nbytes)
    elif whole(window, "window") < 1:
        raise ValueError(f"window must be at least 1 row; got {window}")
    return -(-int(window) // max(1, batch_size)) * max(1, batch_size)


def _windows(source: Iterable[Pair], rows: int) -> Iterator[Pair]:
    """The rows of the source in arrays of so many, the last one with those that are left over."""
    waiting, size = [], 0
    for X, y in alike(source):
        waiting.append((X, y))
        size += len(X)
        while size >= rows:
            X, y = _together(waiting)
            yield X[:rows], y[:rows]
            waiting, size = [(X[rows:], y[rows:])], size - rows
    if size:
        yield _together(waiting)


def _together(pairs: list[Pair]) -> Pair:
    Xs, ys = zip(*pairs, strict=True)
    return np.concatenate(Xs), np.concatenate(ys)


def _taken_up(start: Training, checkpoint: str | os.PathLike, prints: dict[str, str], epochs: int) -> Training:
    """The run in the file; or its start, put there now so that a path which cannot be written shows before the work."""
    if not os.path.exists(checkpoint):
        files.save(checkpoint, start, prints)
        return start
    run, came = files.load_with_fingerprints(checkpoint, start)
    refuse_another_run(checkpoint, run, start, epochs)
    files.refuse_another_run(checkpoint, came, prints)
    return run
