r"""Rows and parameters spread over the devices of a mesh. The functions of this package then run on all devices.

    Σ over examples = Σ over devices Σ over the rows of a device

JAX's compiler splits every program as its inputs are spread. A device computes with its own rows. Devices exchange only
sums over examples: d numbers for a gradient, d² for a Hessian, whatever the number of rows.

All devices must have the same number of rows. They are padded with rows of weight 0, which change no sum. `fit`,
`cost`, `gradient` and `hessian` of the models take the weights.

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

from jax_course import inputs
from jax_course.inputs.types import ArrayLike

ROWS, PARAMETERS = "rows", "parameters"  # the axes of a mesh


class Spread(NamedTuple):
    """X (m', d), y (m',) or None, and weights: (m',), or a scalar if no row was padded."""

    X: Array
    y: Any
    weights: Array


def mesh_of(devices: int | None = None, *, parameters: int = 1) -> Mesh:
    """A mesh of this number of devices, by default all, with the axes `rows` and `parameters`.

    parameters: the number of devices along that axis. ValueError: it does not divide the number of devices.

    >>> dict(mesh_of(1).shape)
    {'rows': 1, 'parameters': 1}
    """
    available = jax.devices()
    count = len(available) if devices is None else int(inputs.whole(devices, "devices"))
    if not 1 <= count <= len(available):
        raise ValueError(f"devices must be 1…{len(available)}, so many JAX has; got {devices}")
    if not 1 <= inputs.whole(parameters, "parameters") <= count or count % parameters:
        raise ValueError(f"parameters must divide the number of devices, {count}; got {parameters}")
    shape = count // parameters, parameters
    return jax.make_mesh(shape, (ROWS, PARAMETERS), (AxisType.Auto,) * 2, devices=available[:count])


def shard(X: ArrayLike, y: ArrayLike | None = None, *, weights: ArrayLike = 1.0, mesh: Mesh | None = None) -> Spread:
    """X (m, d), y (m,) and weights (a scalar or (m,)) spread by rows, in their order, over the axis `rows` of a mesh.

    mesh: `mesh_of()` by default. Padded rows have the weight 0. In a program of several processes each gives its own
    rows; they follow those of the processes before it.
    ValueError: X or the weights are not finite, shapes do not match, or the mesh lacks an axis.

    >>> shard(jnp.ones((3, 2)), jnp.arange(3.0)).weights
    Array(1., dtype=float64)
    """
    mesh = mesh_of() if mesh is None else _checked(mesh)
    X = inputs.finite(inputs.design(X), "X")
    w = inputs.nonnegative(inputs.example_weights(weights, X), "weights")
    each = [X] if y is None else [X, inputs.one_per_row(y, X)]
    counts, rows = _counts_and_rows(len(X), mesh)
    sharding = NamedSharding(mesh, PartitionSpec(ROWS))
    if w.ndim or np.any(counts != rows):
        w = _placed(_padded(jnp.broadcast_to(w, (len(X),)), rows, jnp.zeros_like(X[:1, 0])), sharding)
    spread = [_placed(_padded(a, rows, a[:1]), sharding) for a in each]
    return Spread(spread[0], None if y is None else spread[1], w)


def spread_parameters(theta: Any, mesh: Mesh) -> Any:
    """A pytree whose leaves are spread by their last axis, the classes or the units, over the axis `parameters`.

    Scalars, and leaves whose last axis the number of devices does not divide, are copied to all devices.
    ValueError: the mesh lacks an axis.

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
    """The number of rows of each process, and the number that each has after padding."""
    processes = len({device.process_index for device in mesh.devices.flat})
    if mesh.shape[ROWS] % processes:
        raise ValueError(f"the axis rows must have parts for each of {processes} processes; got {mesh.shape[ROWS]}")
    counts = np.array([m])
    if processes > 1:
        counts = np.asarray(multihost_utils.process_allgather(counts)).reshape(-1)
    parts = mesh.shape[ROWS] // processes
    return counts, -(-int(np.max(counts)) // parts) * parts


def _padded(a: Array, rows: int, row: Array) -> Array:
    """The array with copies of a row appended, up to this number of rows."""
    missing = rows - len(a)
    return jnp.concatenate([a, jnp.repeat(row, missing, axis=0)]) if missing else a


def _placed(a: Array, sharding: NamedSharding) -> Array:
    return jax.make_array_from_process_local_data(sharding, np.asarray(a))
