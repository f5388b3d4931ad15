"""What the fits of streams begin and end with: first rows, checkpoints, and the result as a `Solution`."""

import os
import warnings
from collections.abc import Iterable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from jax_course import arrays, fingerprints
from jax_course.checkpoint import CheckpointError, load, save
from jax_course.optimization.solution import Evaluations, Method, Solution, Status
from jax_course.scale import processes
from jax_course.scale.batches import DataError, Pair, name_of
from jax_course.scale.fold import alike, one_kind

FIRST = 2**25  # bytes: what a fit of a stream begins with

File = str | os.PathLike | None


class Start(NamedTuple):
    """The first rows of this process, if it has any; the number of the first process that has some, which leads the
    fit; the columns and the dtype of X; and the fingerprint of the data of all processes."""

    rows: Pair
    leader: int
    columns: int
    dtype: Any
    data: np.ndarray


def begin(source: Iterable[Pair], checkpoint: File, *settings: Any) -> Start:
    """The start of a fit with these settings, arrays and numbers, which must be the same in all processes."""
    several = jax.process_count() > 1
    with processes.shared_errors():
        rows = _rows(source)
        # what JAX makes of it, with a warning where that is less
        kind = None if rows is None else [rows[0].shape[1], str(arrays.numbers(rows[0][:1], "X").dtype)]
        compared = (rows, getattr(source, "rows", None)) if several or checkpoint is not None else None
        mine = {"kind": kind, "data": fingerprints.of_arrays(compared), "set": fingerprints.of_arrays(settings)}
    reports = processes.exchange(mine)
    columns, dtype = one_kind(source, [report["kind"] for report in reports])
    if len({report["set"] for report in reports}) > 1:
        raise ValueError("all processes must fit with the same settings: penalty, classes and number of passes")
    data = [report["data"] for report in reports if report["kind"] is not None]
    if len(set(data)) < len(data):
        warnings.warn(
            "two processes begin with the same rows: each must read rows of its own, as in "
            "files[jax.process_index() :: jax.process_count()]",
            UserWarning,
            stacklevel=arrays.level_of_the_caller(),
        )
    leader = next(number for number, report in enumerate(reports) if report["kind"] is not None)
    prints = [fingerprints.as_numbers(report["data"]) for report in reports]
    together = fingerprints.as_numbers(fingerprints.of_arrays(prints)) if several else prints[0]
    rows = (np.zeros((0, columns)), np.zeros(0)) if rows is None else rows
    return Start(rows, leader, columns, jnp.dtype(dtype), together)


def first_rows(source: Iterable[Pair]) -> Pair:
    """The first rows of a source, `FIRST` bytes of them, or all."""
    rows = _rows(source)
    if rows is None:
        raise DataError(f"{name_of(source)} must hold at least one row; it holds none")
    return rows


def _rows(source: Iterable[Pair]) -> Pair | None:
    some, size = [], 0
    for X, y in alike(source):
        some.append((X, y))
        size += X.nbytes
        if size >= FIRST:
            break
    if not some:
        return None
    Xs, ys = zip(*some, strict=True)
    return np.concatenate(Xs), np.concatenate(ys)


def resumed(checkpoint: File, like: Any) -> Any:
    """What the file holds, where there is one; None where there is none. `like` and it have a fingerprint as `data`."""
    if checkpoint is None or not os.path.exists(checkpoint):
        return None
    reached = load(checkpoint, like)
    if not np.array_equal(reached.data, like.data):
        raise CheckpointError(
            f"{checkpoint} is a checkpoint of a fit of other data: the first rows differ, or their number, or how they "
            "are spread over processes"
        )
    return reached


def keep(checkpoint: File, reached: Any) -> None:
    """Write the file, where one is wanted."""
    if checkpoint is not None:
        save(checkpoint, reached)


def solution(theta: Array, cost: Array, norm: Array, passes: int, status: Status, method: Method) -> Solution:
    """With the passes as steps and as evaluations."""
    steps, code, way = (jnp.array(number, jnp.int32) for number in (passes, int(status), int(method)))
    return Solution(theta, cost, norm, steps, code, Evaluations(passes, passes, passes), way)
