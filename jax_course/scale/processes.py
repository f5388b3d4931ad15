"""Processes that `jax.distributed.initialize` joined: reports, sums, and a fit that one of them leads.

    total = Σ over the processes of what each sums over its own rows          one all-reduce

One process leads a fit: it decides at which θ all sum next, and when the fit ends. Decisions of several processes could
differ by a rounding error, where their processors differ, and one would then wait for the others for ever.

An error in one process is raised in all of them, with its message. In a program of one process nothing is sent.

Every process must take part in the same collectives in the same order, or the others wait for it. So `connect`,
`exchange`, `total`, `broadcast` and `led_by` are called by all processes alike; code that may fail in one process alone
stands inside `shared_errors`, which takes part in the next `exchange` on its behalf, and must contain no collective.
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

REPORT_BYTES = 2**14  # of JSON that a process sends in an exchange
ERROR_LENGTH = 1000  # characters; one takes at most 12 bytes of JSON
ENDED, FAILED = -1, -2  # in place of the number of a request

Result = TypeVar("Result")
Fit = Generator[tuple[int, Array], Any, Result]  # yields the number of the sums it needs, and θ; is sent the sums


def connect() -> None:
    """Connect the processes, before any of them reads a file.

    All must reach the first collective within 30 s of each other, or gloo fails; for later ones they wait longer.
    """
    exchange(None)


@contextmanager
def shared_errors() -> Iterator[None]:
    """Raise an error of the block in the other processes too, in the `exchange` that they wait in."""
    try:
        yield
    except Exception as error:
        if jax.process_count() > 1:
            _gathered({"error": f"{type(error).__name__}: {error}"[:ERROR_LENGTH]})
        raise


def exchange(report: Any) -> list[Any]:
    """The reports of all processes, in their order. RuntimeError: one of them had an error.

    report: plain data for JSON, short in every process.
    """
    if jax.process_count() == 1:
        return [report]
    messages = _gathered({"report": report})
    for number, message in enumerate(messages):
        if "error" in message:
            raise RuntimeError(f"process {number} failed, and this one ends with it: {message['error']}")
    return [message["report"] for message in messages]


def _gathered(message: dict[str, Any]) -> list[dict[str, Any]]:
    """The messages of all processes."""
    padded = np.frombuffer(json.dumps(message).encode().ljust(REPORT_BYTES), np.uint8)
    return [json.loads(row.tobytes()) for row in multihost_utils.process_allgather(padded)]


def total(tree: Any) -> Any:
    """The sum of a pytree over all processes, by one all-reduce. Its arrays have the same shapes in each.

    >>> total(jnp.array([1.0, 2.0]))
    Array([1., 2.], dtype=float64)
    """
    if jax.process_count() == 1:
        return tree
    devices = sorted(jax.devices(), key=lambda device: device.process_index)
    mesh = Mesh(np.array(devices).reshape(jax.process_count(), -1), ("processes", "devices"))
    stacked = multihost_utils.host_local_array_to_global_array(
        jax.tree.map(lambda leaf: np.asarray(leaf)[None], tree), mesh, PartitionSpec("processes")
    )
    with jax.set_mesh(mesh):
        return jax.tree.map(lambda leaf: jnp.asarray(leaf.addressable_data(0)), _sum_of_rows(stacked))


@partial(jax.jit, out_shardings=PartitionSpec())
def _sum_of_rows(stacked: Any) -> Any:
    """The sum of every leaf over its first axis. Leaves of one dtype are joined, so that one all-reduce serves all."""
    leaves, structure = jax.tree.flatten(stacked)
    sums: list[Any] = [None] * len(leaves)
    for dtype in {leaf.dtype: None for leaf in leaves}:
        numbers = [i for i, leaf in enumerate(leaves) if leaf.dtype == dtype]
        joined = jnp.concatenate([leaves[i].reshape(len(leaves[i]), -1) for i in numbers], axis=1)
        ends = np.cumsum([leaves[i][0].size for i in numbers])[:-1]
        for i, part in zip(numbers, jnp.split(jnp.sum(joined, axis=0, dtype=dtype), ends), strict=True):
            sums[i] = part.reshape(leaves[i].shape[1:])
    return structure.unflatten(sums)


def broadcast(tree: Any, leader: int) -> Any:
    """The leader's pytree, in all processes. Each gives one of the same shapes and dtypes."""
    if jax.process_count() == 1:
        return tree
    received = multihost_utils.broadcast_one_to_all(tree, is_source=jax.process_index() == leader)
    return jax.tree.map(jnp.asarray, received)


def led_by(
    leader: int, fit: Fit[Result], answers: Sequence[Callable[[Array], Any]], template: tuple[Array, Result]
) -> Result:
    """The result of a fit that the process `leader` runs; all processes compute the sums it asks for.

    fit: yields (number, theta) and is sent answers[number](theta).
    template: a theta and a result with the shapes and dtypes of those of the fit.
    """
    answer = None
    while True:
        number, theta, result = ENDED, *template
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
