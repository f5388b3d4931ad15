"""A program of one process or several: fits of rows spread over devices, and their results as numbers to FILE.

python fits.py FILE        in one process also fits of all rows at once, fits of parameters that are spread, and traffic
"""

import re
import sys
from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from jax_course import linear, logistic, ridge, softmax
from jax_course.networks import Network, costs, mlp
from jax_course.optimization import optimizers
from jax_course.scale import mesh_of, shard, spread_parameters
from jax_course.scale.sharding import Spread
from jax_course.train import each_epoch, train

SMALL, LARGE = (1005, 5), (40_003, 60)  # the second by blocks, by L-BFGS from the minimum for a part

Spreading = Callable[[np.ndarray, np.ndarray], Spread]


def problem(m: int, d: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """X, and targets of each kind."""
    rng = np.random.Generator(np.random.PCG64(7))
    X = np.concatenate([np.ones((m, 1)), rng.normal(size=(m, d - 1))], axis=1)
    z = X @ rng.normal(size=d)
    y = z + rng.normal(size=m)
    labels = np.argmax(X @ rng.normal(size=(d, 4)) + rng.gumbel(size=(m, 4)), axis=1).astype(np.int32)
    return X, y, (z > rng.logistic(size=m)).astype(float), labels


def at_once(X: np.ndarray, y: np.ndarray) -> Spread:
    """All rows on one device."""
    return Spread(jnp.asarray(X), jnp.asarray(y), jnp.ones(()))


def linear_fits(spread: Spreading, X: np.ndarray, y: np.ndarray) -> dict[str, jax.Array]:
    """Least squares."""
    given = spread(X, y)
    found = {"linear": linear.fit(*given[:2], weights=given.weights).check().theta}
    found["ridge"] = ridge.fit(*given[:2], weights=given.weights, penalty=3.0).check().theta
    found["hessian"] = linear.hessian(found["linear"], *given[:2], weights=given.weights)
    return found


def logistic_fit(spread: Spreading, X: np.ndarray, y: np.ndarray) -> dict[str, jax.Array]:
    """Two classes."""
    given = spread(X, y)
    return {"logistic": logistic.fit(*given[:2], weights=given.weights, penalty=0.5).check().theta}


def softmax_fit(spread: Spreading, X: np.ndarray, y: np.ndarray, penalty: Any = 0.5) -> dict[str, jax.Array]:
    """Four classes."""
    given = spread(X, y)
    fitted = softmax.fit(*given[:2], weights=given.weights, penalty=penalty, classes=4).check()
    return {"softmax": fitted.theta, "softmax_cost": fitted.cost}


def trained(spread: Spreading, X: np.ndarray, classes: np.ndarray) -> dict[str, jax.Array]:
    """The parameters of a network after two epochs in random order, on as many rows as the devices divide."""
    even, net = spread(X, classes), network()
    settings = {"key": jax.random.key(1), "epochs": 2, "batch_size": 100}
    given = net.gradient, optimizers.adam(1e-2), net.init(jax.random.key(0), X.shape[1]), even.X, even.y
    in_one_program, (*_, one_by_one) = train(*given, **settings), each_epoch(*given, **settings)
    return {"network": ravel_pytree(in_one_program.theta)[0], "epochs": ravel_pytree(one_by_one.theta)[0]}


def stepped(
    spread: Spreading, X: np.ndarray, classes: np.ndarray, place: Callable = lambda theta: theta
) -> dict[str, jax.Array]:
    """The gradient of a network on all rows."""
    given, net = spread(X, classes), network()
    theta = place(net.init(jax.random.key(0), X.shape[1]))
    return {"gradient": ravel_pytree(jax.jit(net.gradient)(theta, given.X, given.y, weights=given.weights))[0]}


def network() -> Network:
    """A network of one hidden layer."""
    return mlp([8, 4], "tanh", costs.cross_entropy())


def all_fits(spread: Spreading, mine: Callable[[np.ndarray], np.ndarray]) -> dict[str, jax.Array]:
    """Everything, on the rows of this process."""
    X, y, truth, classes = problem(*SMALL)
    found = linear_fits(spread, mine(X), mine(y)) | logistic_fit(spread, mine(X), mine(truth))
    found |= softmax_fit(spread, mine(X), mine(classes)) | stepped(spread, mine(X), mine(classes))
    even = slice(len(X) // 40 * 40)
    return found | trained(spread, mine(X[even]), mine(classes[even]))


def fits_of_spread_parameters(mesh: Mesh) -> dict[str, jax.Array]:
    """Fits whose parameters are spread too: by classes, by units."""
    X, _, _, classes = problem(*SMALL)
    spread, place = partial(shard, mesh=mesh), partial(spread_parameters, mesh=mesh)
    found = softmax_fit(spread, X, classes, place(np.full((X.shape[1], 4), 0.5)))
    where = place(np.zeros(4)).sharding.spec[0]
    return found | stepped(spread, X, classes, place) | {"placed": where}


def traffic(mesh: Mesh) -> list[str]:
    """The collectives of derivatives, computed by blocks and not: shape, size, kind, kind, …"""
    sharding = NamedSharding(mesh, PartitionSpec("rows"))
    lines = []
    for m, d in ((1600, 4), (16_000, 200), (80_000, 20)):
        X, y = (jax.ShapeDtypeStruct(shape, float, sharding=sharding) for shape in ((m, d), (m,)))
        theta = jax.ShapeDtypeStruct((d,), float)
        for function, size in ((linear.hessian, d * d), (logistic.hessian, d * d), (logistic.gradient, d)):
            compiled = jax.jit(function).lower(theta, X, y).compile().as_text() or ""
            moved = re.findall(r"= (\S+) (all-\w+|collective-\w+|reduce-scatter)\(", compiled)
            kinds = " ".join(kind for _, kind in moved)
            lines.append(f"{moved[0][0].split('[')[1].split(']')[0]} {size} {kinds}")
    return lines


def on_explicit_axes(X: np.ndarray, y: np.ndarray) -> Spread:
    """All rows on a mesh as `jax.make_mesh` makes it."""
    mesh = jax.make_mesh((5,), ("rows",), devices=jax.devices()[:5])
    rows = NamedSharding(mesh, PartitionSpec("rows"))
    return Spread(jax.device_put(X, rows), jax.device_put(y, rows), jnp.ones(()))


def refused_inside_jit(X: np.ndarray, y: np.ndarray) -> str:
    """The sentence that a fit inside jit says of explicit axes."""
    given = on_explicit_axes(X, y)
    try:
        jax.jit(lambda X, y: linear.fit(X, y).theta)(given.X, given.y)
    except TypeError as error:
        return str(error)
    return ""


def in_one_process() -> dict[str, Any]:
    """The results, by the kind of arrays that are spread."""
    whole, devices, parameters = mesh_of(), partial(shard, mesh=None), mesh_of(parameters=4)
    few, numbers, truths, _ = problem(*SMALL)
    X, _, truth, _ = problem(*LARGE)
    found: dict[str, dict[str, Any]] = {
        "at once": all_fits(at_once, np.asarray),
        "devices": all_fits(devices, np.asarray),
    }
    found |= {"many": logistic_fit(devices, X, truth), "parameters": fits_of_spread_parameters(parameters)}
    found["explicit"] = linear_fits(on_explicit_axes, few, numbers) | logistic_fit(on_explicit_axes, few, truths)
    found["refused"] = {"sentence": refused_inside_jit(few, numbers)}
    named = {f"{name}/{fit}": value for name, fits in found.items() for fit, value in fits.items()}
    return named | {"traffic": np.array(traffic(whole))}


def in_several() -> dict[str, Any]:
    """The results of few rows and of many."""
    number, count = jax.process_index(), jax.process_count()

    def mine(a: np.ndarray) -> np.ndarray:
        return a[len(a) * number // count : len(a) * (number + 1) // count]

    X, y, _, classes = problem(*LARGE)
    many = linear_fits(shard, mine(X), mine(y)) | softmax_fit(shard, mine(X), mine(classes))
    found = {"processes": all_fits(shard, mine), "many": many}
    return {f"{name}/{fit}": value for name, fits in found.items() for fit, value in fits.items()}


if __name__ == "__main__":
    jax.config.update("jax_enable_x64", True)
    found = in_one_process() if jax.process_count() == 1 else in_several()
    if jax.process_index() == 0:
        np.savez(sys.argv[1], **jax.tree.map(np.asarray, found))
