r"""Rows over the devices of a mesh, parameters too: the functions of this package then run spread, without a change.

    Σ over examples = Σ over devices Σ over the rows there

JAX's compiler splits every program where its inputs lie. A device works on the rows that it has, and what travels is
what a sum over examples comes to: d numbers for a gradient, d² for a Hessian, whatever the number of rows.

A device must have as many rows as every other. What is missing is filled with rows whose weight is 0: sums do not
notice them at all. `fit`, `cost`, `gradient` and `hessian` of the models take the weights.

    X, y, weights = shard(X, y)
    logistic.fit(X, y, weights=weights, penalty=1.0)

In a program of several processes (`python -m jax_course.scale`, or `jax.distributed.initialize` on several hosts) each
process gives the rows that it has, and no other process ever holds them.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.experimental import multihost_utils
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

from jax_course import boundary, checks
from jax_course.typing import ArrayLike

ROWS, PARAMETERS = "rows", "parameters"  # the axes of a mesh


class Spread(NamedTuple):
    """X (m', d), y (m',) or None, and weights: (m',), or a scalar where no row had to be filled in."""

    X: Array
    y: Any
    weights: Array


def mesh_of(devices: int | None = None, *, parameters: int = 1) -> Mesh:
    """A mesh of so many devices, all there are by default, with axes `rows` and `parameters`, so many along the latter.

    >>> dict(mesh_of(1).shape)
    {'rows': 1, 'parameters': 1}
    """
    there = jax.devices()
    count = len(there) if devices is None else int(checks.whole(devices, "devices"))
    if not 1 <= count <= len(there):
        raise ValueError(f"devices must be 1…{len(there)}, so many JAX has; got {devices}")
    if not 1 <= checks.whole(parameters, "parameters") <= count or count % parameters:
        raise ValueError(f"parameters must divide the number of devices, {count}; got {parameters}")
    shape = count // parameters, parameters
    return jax.make_mesh(shape, (ROWS, PARAMETERS), (AxisType.Auto,) * 2, devices=there[:count])


def shard(X: ArrayLike, y: ArrayLike | None = None, *, weights: ArrayLike = 1.0, mesh: Mesh | None = None) -> Spread:
    """The rows of X (m, d), y (m,) and weights (a scalar or (m,)) over the axis `rows` of a mesh, in their order.

    mesh: `mesh_of()` by default. The rows filled in have the weight 0. In several processes: the rows of this one,
    which come after those of the processes before it.

    >>> shard(jnp.ones((3, 2)), jnp.arange(3.0)).weights
    Array(1., dtype=float64)
    """
    mesh = mesh_of() if mesh is None else _checked(mesh)
    X = boundary.finite(checks.design(X), "X")
    w = boundary.nonnegative(checks.example_weights(weights, X), "weights")
    each = [X] if y is None else [X, checks.one_per_row(y, X)]
    counts, rows = _counts_and_rows(len(X), mesh)
    lies = NamedSharding(mesh, PartitionSpec(ROWS))
    if w.ndim or np.any(counts != rows):
        w = _placed(_filled(jnp.broadcast_to(w, (len(X),)), rows, jnp.zeros_like(X[:1, 0])), lies)
    spread = [_placed(_filled(a, rows, a[:1]), lies) for a in each]
    return Spread(spread[0], None if y is None else spread[1], w)


def spread_parameters(theta: Any, mesh: Mesh) -> Any:
    """Every leaf spread over the axis `parameters` of a mesh by its last axis: the classes, or the units of a layer.

    Leaves whose last axis the devices do not divide, and scalars, lie on all of them.

    >>> spread_parameters(jnp.zeros((2, 4)), mesh_of(1)).shape
    (2, 4)
    """
    parts = _checked(mesh).shape[PARAMETERS]

    def place(leaf: ArrayLike) -> Array:
        leaf = jnp.asarray(leaf)
        splits = leaf.ndim > 0 and leaf.shape[-1] % parts == 0
        spec = (*(None,) * (leaf.ndim - 1), PARAMETERS) if splits else ()
        return jax.device_put(leaf, NamedSharding(mesh, PartitionSpec(*spec)))

    return jax.tree.map(place, theta)


def _checked(mesh: Mesh) -> Mesh:
    if not isinstance(mesh, Mesh) or {ROWS, PARAMETERS} - set(mesh.axis_names):
        got = f"axes {', '.join(mesh.axis_names)}" if isinstance(mesh, Mesh) else type(mesh).__name__
        raise ValueError(f"mesh must have the axes rows and parameters, as mesh_of() gives it; got {got}")
    if AxisType.Explicit in mesh.axis_types:
        raise ValueError(
            "mesh must leave the placing to the compiler (AxisType.Auto); got an axis of AxisType.Explicit"
        )
    return mesh


def _counts_and_rows(m: int, mesh: Mesh) -> tuple[np.ndarray, int]:
    """How many rows each process has, and how many all of them hold once filled up."""
    processes = len({device.process_index for device in mesh.devices.flat})
    if mesh.shape[ROWS] % processes:
        raise ValueError(f"the axis rows must have parts for each of {processes} processes; got {mesh.shape[ROWS]}")
    counts = np.array([m])
    if processes > 1:
        counts = np.asarray(multihost_utils.process_allgather(counts)).reshape(-1)
    parts = mesh.shape[ROWS] // processes
    return counts, -(-int(np.max(counts)) // parts) * parts


def _filled(a: Array, rows: int, row: Array) -> Array:
    """With this row repeated at the end until there are so many."""
    missing = rows - len(a)
    return jnp.concatenate([a, jnp.repeat(row, missing, axis=0)]) if missing else a


def _placed(a: Array, lies: NamedSharding) -> Array:
    return jax.make_array_from_process_local_data(lies, np.asarray(a))
