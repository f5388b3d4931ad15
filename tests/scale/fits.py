"""A program of one process or several: fits of rows spread over all devices, and their results as numbers to FILE.

python fits.py FILE SHAPE        SHAPE: of the data, as in 1003x4
"""

import sys

import jax
import numpy as np
from jax.flatten_util import ravel_pytree

from jax_course import linear, logistic, ridge, softmax
from jax_course.networks import Network, costs, mlp
from jax_course.optimization import optimizers
from jax_course.scale import shard
from jax_course.train import train


def problem(m: int, d: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """X, and targets of each kind."""
    rng = np.random.Generator(np.random.PCG64(7))
    X = np.concatenate([np.ones((m, 1)), rng.normal(size=(m, d - 1))], axis=1)
    z = X @ rng.normal(size=d)
    y = z + rng.normal(size=m)
    labels = np.argmax(X @ rng.normal(size=(d, 4)) + rng.gumbel(size=(m, 4)), axis=1).astype(np.int32)
    return X, y, (z > rng.logistic(size=m)).astype(float), labels


def results(X: np.ndarray, y: np.ndarray, labels: np.ndarray, classes: np.ndarray) -> dict[str, jax.Array]:
    """Each fit on the rows of this process."""
    given = shard(X, y)
    found = {"linear": linear.fit(*given[:2], weights=given.weights).check().theta}
    found["ridge"] = ridge.fit(*given[:2], weights=given.weights, penalty=3.0).check().theta
    found["hessian"] = linear.hessian(found["linear"], *given[:2], weights=given.weights)
    given = shard(X, labels)
    found["logistic"] = logistic.fit(*given[:2], weights=given.weights, penalty=0.5).check().theta
    given = shard(X, classes)
    fitted = softmax.fit(*given[:2], weights=given.weights, penalty=0.5, classes=4).check()
    found |= {"softmax": fitted.theta, "softmax_cost": fitted.cost}
    return found


def trained(X: np.ndarray, classes: np.ndarray) -> jax.Array:
    """The parameters of a network after two epochs in random order, on as many rows as the devices divide."""
    even, net = shard(X, classes), network()
    settings = {"key": jax.random.key(1), "epochs": 2, "batch_size": 100}
    theta = net.init(jax.random.key(0), X.shape[1])
    return ravel_pytree(train(net.gradient, optimizers.adam(1e-2), theta, even.X, even.y, **settings).theta)[0]


def stepped(X: np.ndarray, classes: np.ndarray) -> jax.Array:
    """The parameters after a step of descent on all rows."""
    given, net = shard(X, classes), network()
    theta = net.init(jax.random.key(0), X.shape[1])
    g = net.gradient(theta, given.X, given.y, weights=given.weights)
    return ravel_pytree(jax.tree.map(lambda t, g: t - 1e-3 * g, theta, g))[0]


def network() -> Network:
    """Of one hidden layer."""
    return mlp([8, 4], "tanh", costs.cross_entropy())


if __name__ == "__main__":
    jax.config.update("jax_enable_x64", True)
    file, shape = sys.argv[1:]
    m, d = map(int, shape.split("x"))
    data = problem(m, d)
    number, count = jax.process_index(), jax.process_count()

    def mine(a: np.ndarray) -> np.ndarray:
        return a[len(a) * number // count : len(a) * (number + 1) // count]

    found = results(*map(mine, data))
    found["step"] = stepped(mine(data[0]), mine(data[3]))
    found["network"] = trained(*(mine(a[: m // 40 * 40]) for a in (data[0], data[3])))
    if number == 0:
        np.savez(file, **jax.tree.map(np.asarray, found))
