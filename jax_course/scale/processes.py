"""Processes that `jax.distributed.initialize` joined: reports, sums, and a fit that one of them leads.

    total = Σ over the processes of what each sums over its own rows          one all-reduce

One process leads a fit: it decides at which θ all sum next, and when the fit ends. Decisions of several processes could
differ by a rounding error, where their processors differ, and one would then wait for the others for ever.

An error in one process is raised in all of them, with its message. In a program of one process nothing is sent.
"""

import json
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.experimental import multihost_utils
from jax.sharding import Mesh, PartitionSpec

REPORT = 4096  # bytes of JSON that a process sends in an exchange
MESSAGE = 1000  # characters of an error; each takes four bytes at most
ENDED, FAILED = -1, -2  # in place of the number of a request

Result = TypeVar("Result")
Fit = Generator[tuple[int, Array], Any, Result]  # yields which sums it needs, and θ; is sent these sums


@contextmanager
def shared_errors() -> Iterator[None]:
    """What is raised here is raised in the others too, by the `exchange` that they wait in."""
    try:
        yield
    except Exception as error:
        if jax.process_count() > 1:
            _gathered({"error": f"{type(error).__name__}: {error}"[:MESSAGE]})
        raise


def exchange(report: Any) -> list[Any]:
    """What every process reports, in their order: plain data for JSON. RuntimeError: one of them reports an error."""
    if jax.process_count() == 1:
        return [report]
    reports = _gathered({"report": report})
    for number, one in enumerate(reports):
        if "error" in one:
            raise RuntimeError(f"process {number} failed, and this one ends with it: {one['error']}")
    return [one["report"] for one in reports]


def _gathered(content: dict[str, Any]) -> list[dict[str, Any]]:
    said = json.dumps(content, ensure_ascii=False).encode()
    padded = np.frombuffer(said.ljust(REPORT), np.uint8)
    return [json.loads(row.tobytes()) for row in multihost_utils.process_allgather(padded)]


def total(tree: Any) -> Any:
    """The sum of the trees of all processes, of the same arrays in each: one all-reduce.

    >>> total(jnp.array([1.0, 2.0]))
    Array([1., 2.], dtype=float64)
    """
    if jax.process_count() == 1:
        return tree
    mesh = Mesh(np.array(jax.devices()).reshape(jax.process_count(), -1), ("processes", "devices"))
    stacked = multihost_utils.host_local_array_to_global_array(
        jax.tree.map(lambda leaf: np.asarray(leaf)[None], tree), mesh, PartitionSpec("processes")
    )
    with jax.set_mesh(mesh):
        return jax.tree.map(lambda leaf: jnp.asarray(leaf.addressable_data(0)), _sum_of_rows(stacked))


@partial(jax.jit, out_shardings=PartitionSpec())
def _sum_of_rows(stacked: Any) -> Any:
    """Of each dtype one vector, so that one all-reduce sums all leaves."""
    leaves, structure = jax.tree.flatten(stacked)
    sums: list[Any] = [None] * len(leaves)
    for dtype in {leaf.dtype: None for leaf in leaves}:
        alike = [i for i, leaf in enumerate(leaves) if leaf.dtype == dtype]
        together = jnp.concatenate([leaves[i].reshape(len(leaves[i]), -1) for i in alike], axis=1)
        ends = np.cumsum([leaves[i][0].size for i in alike])[:-1]
        for i, part in zip(alike, jnp.split(jnp.sum(together, axis=0, dtype=dtype), ends), strict=True):
            sums[i] = part.reshape(leaves[i].shape[1:])
    return structure.unflatten(sums)


def broadcast(tree: Any, leader: int) -> Any:
    """The tree of the process of this number, in all of them: arrays of the same shapes and dtypes."""
    if jax.process_count() == 1:
        return tree
    sent = multihost_utils.broadcast_one_to_all(tree, is_source=jax.process_index() == leader)
    return jax.tree.map(jnp.asarray, sent)


def led_by(
    leader: int, fit: Fit[Result], answers: Sequence[Callable[[Array], Any]], like: tuple[Array, Result]
) -> Result:
    """The result of the fit that the process `leader` runs; every process answers its requests, and gets the result.

    fit: yields (number, theta) and is sent answers[number](theta), which all processes compute together.
    like: a theta and a result of the shapes and dtypes of those to come.
    """
    answer = None
    while True:
        number, theta, result = ENDED, *like
        error: Exception | None = None
        if jax.process_index() == leader:
            try:
                number, theta = fit.send(answer)
            except StopIteration as end:
                result = end.value
            except Exception as failure:
                number, error = FAILED, failure
        order, theta = broadcast((np.int32(number), theta), leader)
        if int(order) == FAILED:
            with shared_errors():
                if error is not None:
                    raise error
            exchange(None)
        if int(order) == ENDED:
            return broadcast(result, leader)
        answer = answers[int(order)](theta)
