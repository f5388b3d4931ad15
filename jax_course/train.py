r"""Training: an optimizer that looks at a few examples at a time. Course 7.7–7.8.

    order        a fresh permutation of the m examples for every epoch, or none
    B            the next batch_size examples in that order; the last batch has those that are left over
    g            Σ_{i ∈ B} ∇C_i(θ) / |B|                   so that the learning rate does not depend on the batch size
    g ← g + 2δ²θ/m                                         the batch's share of Σ δ²θ², if there is a penalty δ²
    θ ← θ + s    (s, state) = update(g, state, θ)          with the update of an optimizer, ours or optax's

batch_size = m is descent on all the data (batch), 1 is online learning, anything between is mini-batch.

A penalty inside `gradient` counts once per batch, m / batch_size times in an epoch: every batch size has another
minimiser. Give it as `penalty=`: it counts once in an epoch, and every batch size has the minimiser of the cost of all
examples plus Σ δ²θ².

Shapes: theta is any pytree of floating-point arrays; X and y are any pytrees of arrays whose first axis is that of the
m examples (y may be None). `gradient(theta, X, y)` is a sum over the examples it is given, as everywhere in this
package. penalty, the course's δ²: a number, or a tree like theta of numbers and of arrays that broadcast against its
leaves; a 0 spares a bias (`networks.decay(theta, penalty)` spares them all).

A gradient with a keyword parameter `key`, `gradient(theta, X, y, *, key)`, gets another random key at every step: noise
on the data, dropout. They follow from the run's key and the number of the epoch.

The order depends on the key and the number of the epoch alone, so that a run can be taken up again:
`train(…, checkpoint=path)` keeps it in a file and goes on from there, `save(path, training)` and
`load(path, like=train(…, epochs=0))` write and read it, and a `Training` for theta goes on from memory.
NumPy draws it on the host: `jax.random.permutation` sorts, and takes longer than an epoch of a linear model.
"""

import os
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import jax
import numpy as np
import optax
from jax import Array

from jax_course import checkpoint as files
from jax_course import fingerprints, training_input
from jax_course.checkpoint import CheckpointError, save
from jax_course.checkpoint import load as load
from jax_course.checks import whole
from jax_course.epochs import (
    RECORDED,
    Function,
    Penalty,
    Programs,
    Recipe,
    Round,
    fingerprints_of,
    form,
    map_leaves,
    programs,
)
from jax_course.progress import bar
from jax_course.training_input import words

__all__ = ["NotTrained", "Stop", "Training", "each_epoch", "train"]


def __dir__() -> list[str]:
    return __all__


BLOCK = 2**16  # examples whose order is drawn at once: the epochs that run as one program if nothing is done after each

keystr, leaves_with_path = jax.tree_util.keystr, jax.tree_util.tree_leaves_with_path


class Stop(NamedTuple):
    """Where the first value came up that is not finite; epoch and step, of the whole run, are counted from 1."""

    leaf: str  # "theta['w']", or what is recorded: "cost"
    epoch: int
    step: int
    examples: np.ndarray  # the rows of X that this step looked at

    def __str__(self) -> str:
        rows = ", ".join(map(str, self.examples[:5])) + (", …" if len(self.examples) > 5 else "")
        return (
            f"{self.leaf} is not finite after step {self.step} (epoch {self.epoch}, rows {rows} of X). theta is the "
            "last finite one: look for NaN, infinity or overflow in these rows, or take a smaller learning rate."
        )


class NotTrained(RuntimeError):
    """What `Training.check` raises. `training` is what was reached."""

    def __init__(self, training: "Training"):
        super().__init__(f"NOT_FINITE: {training.stop}")
        self.training = training


class Training(NamedTuple):
    """theta and the optimizer's state after so many whole epochs, the history, and what the order depends on."""

    theta: Any
    state: Any
    history: dict[str, Any]  # NumPy arrays with a leading axis of epochs
    epochs: int
    key: Array | None
    m: int
    batch_size: int
    stop: Stop | None = None

    def __repr__(self) -> str:
        last = {name: values[-1:] for name, values in self.history.items()}
        numbers = [f", {name} {float(value[0]):.6g}" for name, value in last.items() if np.shape(value) == (1,)]
        ended = "" if self.stop is None else f", stopped: {self.stop}"
        return f"Training({self.epochs} epochs of {self.m} examples by {self.batch_size}{''.join(numbers)}{ended})"

    def check(self) -> "Training":
        """This training if everything stayed finite; otherwise `NotTrained`, saying what happened and what to try."""
        if self.stop is not None:
            raise NotTrained(self)
        return self


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
    """Train from `theta` on for so many epochs, or until something is not finite. Course 7.7.

    A penalty inside `gradient` counts once per batch. `penalty`, a number or a tree like theta, counts once an epoch,
    whatever the batch size: what is minimised is the cost of all examples plus Σ penalty θ².
    theta: where to start, or a `Training`, which goes on to so many epochs in all, as if it had not stopped. Its key,
    batch_size, m, kind of optimizer and what it recorded must be those of the call (ValueError); what the data, the
    gradient and the learning rate were, it does not know: those of the call are taken.
    key: what the orders are drawn from; None: every epoch takes the examples as they stand, which is faster.
    cost(theta, X, y): the sum over the examples, without the penalty. If given, cost(theta, X, y) + Σ penalty θ² over
    all the data, and the norm of its gradient, go into the history after every epoch; metrics: more functions by name,
    of any shape, to which nothing is added. progress: a bar on stderr (needs rich).
    checkpoint: a file that holds the run after every epoch, with fingerprints of what decides it, not the data. If it
    exists, the run goes on from there, to the same result bit for bit; CheckpointError if it is not of this run: other
    data, another start, penalty, gradient, optimizer or learning rate, cost, metric, key, batch_size or release of JAX.

    >>> train(lambda theta, X, y: jnp.sum(theta - y), optax.sgd(0.5), 0.0, jnp.ones(2), jnp.array([4.0, 4.0]),
    ...       key=jax.random.key(0), epochs=1, batch_size=1).theta
    Array(3., dtype=float64)
    """
    prepared = _prepared(gradient, optimizer, theta, X, y, key, epochs, batch_size, penalty, cost, metrics)
    run = start = prepared.start
    file = None if checkpoint is None else _File(checkpoint, _fingerprints(prepared))
    if file is not None:
        start = _taken_up(start, file, int(epochs))
    with bar(progress, int(epochs)) as show:
        for run in _runs(prepared, start, int(epochs), file, each=progress or file is not None):
            show(run)
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
    """The training after each of its epochs, one after the other: to look on, or to stop by a rule. Course 7.7.

    The arguments are those of `train`.

    >>> runs = each_epoch(lambda theta, X, y: jnp.sum(theta - y), optax.sgd(0.5), 0.0, jnp.ones(2),
    ...                   jnp.array([4.0, 4.0]), key=jax.random.key(0), epochs=3, batch_size=2)
    >>> [float(run.theta) for run in runs]
    [2.0, 3.0, 3.5]
    """
    prepared = _prepared(gradient, optimizer, theta, X, y, key, epochs, batch_size, penalty, cost, metrics)
    runs = _runs(prepared, prepared.start, int(epochs), None, each=True)
    next(runs)  # before the first epoch
    return runs


class _Prepared(NamedTuple):
    """The programs and what they are made for, the run before the epochs of this call, the data and the penalty."""

    recipe: Recipe
    compiled: Programs
    start: Training
    X: Any
    y: Any
    penalty: Penalty | None


class _File(NamedTuple):
    """A checkpoint, and the fingerprints of the run that it is of."""

    path: str | os.PathLike
    fingerprints: dict[str, str]


def _prepared(gradient, optimizer, theta, X, y, key, epochs, batch_size, penalty, cost, metrics) -> _Prepared:
    epochs, batch_size = int(whole(epochs, "epochs")), int(whole(batch_size, "batch_size"))
    run = theta if isinstance(theta, Training) else None
    theta = training_input.parameters(theta if run is None else run.theta)
    X, y = training_input.arrays(X, "X"), training_input.arrays(y, "y")
    random = training_input.takes_a_key(gradient)
    recipe = Recipe(gradient, optimizer, cost, dict(metrics or {}), batch_size, random)
    m = training_input.number_of_examples(X, y)
    training_input.check(recipe, m, key, epochs)
    factors = training_input.penalty(penalty, theta, m)
    compiled = programs(recipe)
    state, history = compiled.begin(theta, X, y, factors, key)
    start = Training(theta, state, map_leaves(np.asarray, history), 0, key, m, batch_size)
    if run is not None:
        refuse_to_go_on(run, start, epochs, m=(run.m, m))
        start = run
    return _Prepared(recipe, compiled, start, X, y, factors)


def _fingerprints(prepared: _Prepared) -> dict[str, str]:
    """By name, of all that decides the run."""
    recipe, _, start, X, y, penalty = prepared
    arrays = {"the data X": X, "the data y": y, "the start theta": start_of(start), "the penalty": penalty}
    prints = {name: fingerprints.of_arrays(tree) for name, tree in arrays.items()}
    return {"the release of JAX": jax.__version__} | prints | fingerprints_of(recipe, start.theta, X, y, start.key)


def start_of(run: Training) -> Any:
    """The arrays with which a run of this call begins."""
    return run.theta if run.epochs == 0 else (run.theta, run.state, run.epochs)


def _runs(prepared: _Prepared, run: Training, epochs: int, file: _File | None, *, each: bool) -> Iterator[Training]:
    """The run as it is, and after every round of epochs, to the last or to a stop."""
    yield run
    for todo in rounds(run, epochs, each=each):
        run = gone_on(prepared.compiled, run, prepared.X, prepared.y, prepared.penalty, todo)
        if file is not None and run.stop is None:
            save(file.path, run, file.fingerprints)
        yield run
        if run.stop is not None:
            return


def rounds(run: Training, epochs: int, *, each: bool) -> Iterator[Round]:
    """The epochs from the run's on, in rounds of a block each, or of one epoch each."""
    size = max(1, BLOCK // run.m)
    for block in range(run.epochs // size, -(-epochs // size)):
        end = min(size, epochs - block * size)
        orders = np.empty((size, 0), np.int32)  # as they stand
        if run.key is not None and run.batch_size < run.m:
            orders = np.tile(np.arange(run.m, dtype=np.int32), (size, 1))
            seed = [*words(run.key).tolist(), block]
            np.random.Generator(np.random.PCG64(seed)).permuted(orders[:end], axis=1, out=orders[:end])
        for first in range(max(0, run.epochs - block * size), end, 1 if each else size):
            yield Round(orders, run.key, *map(np.int32, (block, first, first + 1 if each else end)))


def gone_on(compiled: Programs, run: Training, X: Any, y: Any, penalty: Penalty | None, todo: Round) -> Training:
    """The run after the epochs of a round, or at its stop; `compiled` are `epochs.programs` of its recipe."""
    (theta, state), done, finite, records = compiled.run(run.theta, run.state, X, y, penalty, todo)
    done, records = np.int32(done), map_leaves(np.asarray, records)
    history = map_leaves(lambda past, new: np.concatenate([past, new[todo.first : done]]), run.history, records)
    run = run._replace(theta=theta, state=state, history=history, epochs=run.epochs + int(done - todo.first))
    if finite:
        return run
    unfit = [name for name in RECORDED if name in records and not np.isfinite(records[name][done])]
    return _stopped(compiled, run, X, y, penalty, todo._replace(first=done), unfit)


def _stopped(
    compiled: Programs, run: Training, X: Any, y: Any, penalty: Penalty | None, todo: Round, unfit: list[str]
) -> Training:
    """The run at the last finite theta of an epoch after which something, or one of the records, is not finite."""
    (theta, state), steps, finite = compiled.replay(run.theta, run.state, X, y, penalty, todo)
    leaves = [f"theta{keystr(path)}" for path, _ in leaves_with_path(theta)]
    unfit = [name for name, is_finite in zip(leaves, np.asarray(finite), strict=True) if not is_finite] + unfit
    unfit.append("theta")  # at the brink of overflow, where a program that rounds otherwise stays finite
    in_epoch = -(-run.m // run.batch_size)
    step = min(int(steps), in_epoch - 1)  # a record is taken after the last one
    order = todo.orders[todo.first] if todo.orders.size else np.arange(run.m)
    examples = order[step * run.batch_size : (step + 1) * run.batch_size]
    stop = Stop(unfit[0], run.epochs + 1, run.epochs * in_epoch + step + 1, examples)
    return run._replace(theta=theta, state=state, stop=stop)


def _taken_up(start: Training, file: _File, epochs: int) -> Training:
    """The run in the file; or its start, put there now so that a path which cannot be written shows before the work."""
    if not os.path.exists(file.path):
        save(file.path, start, file.fingerprints)
        return start
    like = start._replace(history=_no_epochs(start.history))
    run, came = files.load_with_fingerprints(file.path, like)
    refuse_another_run(file.path, run, start, epochs, m=(run.m, start.m))
    files.refuse_another_run(file.path, came, file.fingerprints)
    return run


def refuse_another_run(
    path: str | os.PathLike, run: Training, start: Training, epochs: int, **pairs: tuple[Any, Any]
) -> None:
    """CheckpointError where the run from the file did not begin like `start`; pairs: what came, what was expected."""
    for name, came, expected in _differences(run, start, pairs):
        raise CheckpointError(f"{path} is a checkpoint of another run: {name} must be {expected}; it has {came}")
    if run.epochs > epochs:
        raise CheckpointError(f"{path} has {run.epochs} epochs behind it, more than the {epochs} asked for")


def refuse_to_go_on(run: Training, start: Training, epochs: int, **pairs: tuple[Any, Any]) -> None:
    """ValueError where a call that would begin at `start` cannot go on from a run given as theta."""
    if run.stop is not None:
        raise ValueError(
            f"theta is a training that stopped; begin anew with its theta, the last finite one. {run.stop}"
        )
    pairs["state"] = form(run.state), form(start.state)
    pairs["history"] = form(_no_epochs(run.history)), form(_no_epochs(start.history))
    for name, came, expected in _differences(run, start, pairs):
        raise ValueError(
            f"theta is a training that this call does not go on with: {name} must be {expected}; got {came}"
        )
    if run.epochs > epochs:
        raise ValueError(f"epochs, counted from the start, must be at least the {run.epochs} of theta; got {epochs}")


def _differences(run: Training, start: Training, pairs: dict[str, tuple[Any, Any]]) -> Iterator[tuple[str, Any, Any]]:
    """Name, what came and what was expected."""
    of_run = {"batch_size": (run.batch_size, start.batch_size), "key": (_listed(run.key), _listed(start.key))}
    return ((name, came, expected) for name, (came, expected) in (pairs | of_run).items() if came != expected)


def _no_epochs(history: dict[str, Any]) -> dict[str, Any]:
    return map_leaves(lambda values: values[:0], history)


def _listed(key: Array | None) -> list[int] | None:
    return None if key is None else words(key).tolist()
