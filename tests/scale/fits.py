"""A program of one process or several: fits of rows spread over all devices, and their results as numbers to FILE.

python fits.py FILE SHAPE        SHAPE: of the data, as in 1003x4
"""

import sys

import jax
import numpy as np

from jax_course import linear, logistic, ridge, softmax
from jax_course.scale import shard


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


if __name__ == "__main__":
    jax.config.update("jax_enable_x64", True)
    file, shape = sys.argv[1:]
    m, d = map(int, shape.split("x"))
    data = problem(m, d)
    number, count = jax.process_index(), jax.process_count()
    mine = slice(m * number // count, m * (number + 1) // count)
    found = jax.tree.map(np.asarray, results(*(a[mine] for a in data)))
    if number == 0:
        np.savez(file, **found)
