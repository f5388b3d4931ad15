"""The start and the end of the fits of streams: first rows, checkpoints, the result as a `Solution`."""

import os
import warnings
from collections.abc import Iterable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from jax_course import inputs
from jax_course.scale import processes
from jax_course.scale.batches import DataError, Pair, name_of
from jax_course.scale.fold import common_kind, validated
from jax_course.solution import Evaluations, Method, Solution, Status
from jax_course.training.checkpoint import CheckpointError, load, save
from jax_course.training.fingerprints import as_numbers, fingerprint_arrays

FIRST_BYTES = 2**25  # of X, that a fit of a stream begins with and a checkpoint compares; a window of `train`

File = str | os.PathLike | None


class Start(NamedTuple):
    """The data that a fit of a stream begins with."""

    rows: Pair  # the first rows of this process
    leader: int  # the first process that has rows
    columns: int
    dtype: Any  # of X
    data: np.ndarray  # the fingerprint of the first rows of all processes


def begin(source: Iterable[Pair], checkpoint: File, *settings: Any) -> Start:
    """Connect the processes, read the first rows, and compare the settings, arrays and numbers, of all processes.

    DataError, ValueError: the rows or the settings of two processes do not fit together. UserWarning: two processes
    begin with the same rows, or float64 is computed in float32.
    """
    processes.connect()
    several = jax.process_count() > 1
    with processes.shared_errors():
        rows = _first_rows(source)
        # the dtype that JAX computes in, with a warning if it is narrower
        kind = None if rows is None else [rows[0].shape[1], str(inputs.as_array(rows[0][:1], "X").dtype)]
        compared = (rows, getattr(source, "rows", None)) if several or checkpoint is not None else None
        prints = {"data": fingerprint_arrays(compared), "settings": fingerprint_arrays(settings)}
    reports = processes.exchange({"kind": kind} | prints)
    columns, dtype = common_kind(source, [report["kind"] for report in reports])
    if len({report["settings"] for report in reports}) > 1:
        raise ValueError("all processes must fit with the same settings: penalty, classes and number of passes")
    data = [report["data"] for report in reports if report["kind"] is not None]
    if len(set(data)) < len(data):
        warnings.warn(
            "two processes begin with the same rows: each must read rows of its own, as in "
            "files[jax.process_index() :: jax.process_count()]",
            UserWarning,
            stacklevel=inputs.level_of_the_caller(),
        )
    leader = next(number for number, report in enumerate(reports) if report["kind"] is not None)
    prints = [as_numbers(report["data"]) for report in reports]
    together = as_numbers(fingerprint_arrays(prints)) if several else prints[0]
    rows = (np.zeros((0, columns)), np.zeros(0)) if rows is None else rows
    return Start(rows, leader, columns, jnp.dtype(dtype), together)


def first_rows(source: Iterable[Pair]) -> Pair:
    """The first `FIRST_BYTES` of a source, or all of it. DataError: it has no rows."""
    rows = _first_rows(source)
    if rows is None:
        raise DataError(f"{name_of(source)} must hold at least one row; it holds none")
    return rows


def _first_rows(source: Iterable[Pair]) -> Pair | None:
    batches, size = [], 0
    for X, y in validated(source):
        batches.append((X, y))
        size += X.nbytes
        if size >= FIRST_BYTES:
            break
    return joined(batches) if batches else None


def joined(batches: list[Pair]) -> Pair:
    """The rows of the batches as one batch."""
    Xs, ys = zip(*batches, strict=True)
    return np.concatenate(Xs), np.concatenate(ys)


def load_fit(checkpoint: File, template: Any) -> Any:
    """The state of a fit in a checkpoint; None if there is no such file.

    template: a state of the same shapes and dtypes, with the fingerprint of the data as `data`. CheckpointError: the
    file is damaged, or of another problem or other data.
    """
    if checkpoint is None or not os.path.exists(checkpoint):
        return None
    reached = load(checkpoint, template)
    if not np.array_equal(reached.data, template.data):
        raise CheckpointError(
            f"{checkpoint} is a checkpoint of a fit of other data: the first rows differ, or their number, or how they "
            "are spread over processes"
        )
    return reached


def save_fit(checkpoint: File, reached: Any) -> None:
    """Write the state of a fit to its checkpoint, unless that is None."""
    if checkpoint is not None:
        save(checkpoint, reached)


def solution(theta: Array, cost: Array, norm: Array, passes: int, status: Status, method: Method) -> Solution:
    """A `Solution` whose steps and evaluations are passes."""
    steps, *codes = (jnp.array(number, jnp.int32) for number in (passes, int(status), int(method)))
    return Solution(theta, cost, norm, steps, codes[0], Evaluations(passes, passes, passes), codes[1])
