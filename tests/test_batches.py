"""Many fits at once end, each where it ends alone; on as few threads as hang most easily, in a process of its own."""

import os
import subprocess
import sys

FITS = """
import jax
import numpy as np
from jax_course import linear, logistic, softmax
from jax_course.linalg import spd_solve
from jax_course.optimization import newton, optimizers
from jax_course.train import train

jax.config.update("jax_enable_x64", True)
rng = np.random.default_rng(0)
X = rng.standard_normal((60, 4))
truth, classes = np.digitize(X[:, 0] + rng.standard_normal(60), [0]), np.digitize(X[:, 1], [-0.5, 0.5])
penalties, starts = np.logspace(-3, 2, 8), rng.uniform(-1, 2, (64, 3))
cases = np.repeat(penalties, 5), np.tile((rng.integers(5, size=60) != np.arange(5)[:, None]) * 1.0, (8, 1))
squares = np.einsum("bij,bkj->bik", *[rng.standard_normal((40, 30, 40))] * 2)

def valley(theta):
    return ((1 - theta[:-1]) ** 2 + 5 * (theta[1:] - theta[:-1] ** 2) ** 2).sum()

def trained(key):  # the orders are drawn by a callback
    given = {"epochs": 3, "batch_size": 8, "key": key}
    return train(linear.gradient, optimizers.sgd(0.01), np.zeros(4), X, truth * 1.0, **given).theta

# what is computed for each of many, and these
CALLS = {
    "8 penalties x 5 folds": (lambda case: logistic.fit(X, truth, penalty=case[0], weights=case[1]).theta, cases),
    "classes": (lambda penalty: softmax.fit(X, classes, penalty=penalty, classes=3).theta, penalties),
    "newton": (lambda theta: newton(valley, theta).theta, starts),
    "train": (trained, jax.random.split(jax.random.key(0), 8)),
    "spd_solve": (lambda A: spd_solve(A, X[:30, 0]).x, squares),
}
for name, (compute, many) in CALLS.items():
    at_once = jax.jit(jax.vmap(compute))
    found = at_once(many)
    alone = jax.jit(compute)(jax.tree.map(lambda a: a[2], many))
    np.testing.assert_allclose(found[2], alone, rtol=1e-6, atol=1e-6 * np.abs(alone).max(), err_msg=name)
    for _ in range(19):
        np.testing.assert_array_equal(at_once(many), found, err_msg=name)
    print(name, flush=True)
"""


def test_many_fits_at_once_end_twenty_times_each_where_it_ends_alone():
    """XLA's pool has as many threads as NPROC says: two, each of which waited for the other."""
    settings = os.environ | {"NPROC": "2"}
    command = [sys.executable, "-c", FITS]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=settings, timeout=240)
    assert done.returncode == 0, (done.stdout, done.stderr)
    assert done.stdout.splitlines()[-1] == "spd_solve"
