"""A run is continued: from a file, or from a `Training` in memory. A run that began otherwise is refused."""

import os
from collections.abc import Iterator, Mapping
from typing import Any

import jax

from jax_course.training import checkpoint as files
from jax_course.training.checkpoint import CheckpointError
from jax_course.training.epochs import form
from jax_course.training.inputs import words
from jax_course.training.record import Training


def initial_arrays(run: Training) -> Any:
    """The arrays that the epochs of this call start from."""
    return run.theta if run.epochs == 0 else (run.theta, run.state, run.epochs)


def continued_from_file(
    path: str | os.PathLike, start: Training, fingerprints: Mapping[str, str], epochs: int, *fields: str
) -> Training:
    """The run in the file; or `start`, saved now so that a path which cannot be written shows before the work.

    CheckpointError: the file is damaged, has more epochs, or differs from `start` in the fingerprints, key, batch_size
    or one of the fields.
    """
    if not os.path.exists(path):
        files.save(path, start, fingerprints)
        return start
    like = start._replace(history=_no_epochs(start.history))
    run, came = files.load_with_fingerprints(path, like)
    for name, got, expected in _differences(run, start, fields):
        raise CheckpointError(f"{path} is a checkpoint of another run: {name} must be {expected}; it has {got}")
    if run.epochs > epochs:
        raise CheckpointError(f"{path} has {run.epochs} epochs behind it, more than the {epochs} asked for")
    files.refuse_other_fingerprints(path, came, fingerprints)
    return run


def continued_from_memory(run: Training, start: Training, epochs: int, *fields: str) -> Training:
    """The run given as theta.

    ValueError: it stopped, has more epochs, or differs from `start` in the kind of state, the recorded names, key,
    batch_size or one of the fields.
    """
    if run.stop is not None:
        raise ValueError(
            f"theta is a training that stopped; begin anew with its theta, the last finite one. {run.stop}"
        )
    for name, got, expected in _differences(run, start, (*fields, "state", "history")):
        raise ValueError(f"theta is a training that this call cannot continue: {name} must be {expected}; got {got}")
    if run.epochs > epochs:
        raise ValueError(f"epochs, counted from the start, must be at least the {run.epochs} of theta; got {epochs}")
    return run


def _differences(run: Training, start: Training, fields: tuple[str, ...]) -> Iterator[tuple[str, Any, Any]]:
    """The name and both values of each field that differs."""
    for name in (*fields, "batch_size", "key"):
        came, expected = _comparable(name, getattr(run, name)), _comparable(name, getattr(start, name))
        if came != expected:
            yield name, came, expected


def _comparable(name: str, value: Any) -> Any:
    """The value of a field for ==: a key as its words, trees as their structure, dtypes and shapes."""
    if name == "key":
        return None if value is None else words(value).tolist()
    if name == "history":
        value = _no_epochs(value)
    return form(value) if name in ("history", "state") else value


def _no_epochs(history: dict[str, Any]) -> dict[str, Any]:
    return jax.tree.map(lambda values: values[:0], history)
