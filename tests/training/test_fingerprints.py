"""Fingerprints: alike for the same content, in every process, and for nothing else."""

import os
import subprocess
import sys
from functools import partial
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jax_course.training.fingerprints import fingerprint_arrays, fingerprint_function

X = np.arange(6.0).reshape(2, 3)
FAR = np.float64(0.1)


def inner(rate, theta):
    """Constants inside of a loop, of a branch, of a jitted function and of one with its own derivative."""

    def body(i, theta):
        return jax.lax.cond(jnp.sum(theta) > 0, jax.jit(lambda: rate * theta), lambda: jax.nn.relu(theta) - 1)

    return jax.lax.fori_loop(0, 3, body, theta)


def closed_over(A, theta):
    return jax.jit(lambda theta: A @ theta)(theta)


def test_arrays_with_another_bit_shape_dtype_or_place_are_others():
    others = [X, one_bit_more(X), X.T, X.astype(np.float32), X.reshape(-1), [X], {"X": X}, {"Y": X}, None]
    others += [jax.random.key(0), jax.random.key(1), jnp.ones(2, jnp.bfloat16), np.ones(2, np.uint16), -X, 1.0, 1]
    assert len({fingerprint_arrays(tree) for tree in others}) == len(others)
    assert (
        fingerprint_arrays(jnp.asarray(X)) == fingerprint_arrays(X.copy()) == fingerprint_arrays(np.asfortranarray(X))
    )


def one_bit_more(values):
    return np.nextafter(values, np.inf)


@pytest.mark.parametrize(("function", "value"), [(inner, FAR), (closed_over, X)])
def test_a_constant_with_another_bit_makes_another_function(function, value):
    one = fingerprint_function(partial(function, value), np.zeros(3))
    assert one == fingerprint_function(partial(function, value.copy()), np.ones(3))
    assert one != fingerprint_function(partial(function, one_bit_more(value)), np.zeros(3))


def test_names_fingerprint_functions_do_not_count_and_their_operations_do():
    def another_name(z):
        return jnp.tanh(2 * z)

    functions = [
        lambda x: jnp.tanh(2 * x),
        lambda x: 2 * jnp.tanh(x),
        lambda x: jnp.sinh(2 * x),
        lambda x: jnp.tanh(3 * x),
    ]
    prints = [fingerprint_function(function, np.zeros(2)) for function in functions]
    assert len(set(prints)) == 4
    assert fingerprint_function(another_name, np.zeros(2)) == prints[0]
    assert fingerprint_function(another_name, np.zeros(3)) != prints[0]
    swapped = [fingerprint_function(f, np.zeros(2), np.zeros(2)) for f in (jnp.subtract, lambda x, y: y - x)]
    assert swapped[0] != swapped[1]


def several():
    """Fingerprints of functions that contain objects with addresses."""
    optimizer = optax.chain(optax.clip_by_global_norm(1.0), optax.scale_by_learning_rate(0.1))
    theta = {"w": np.zeros(3), "b": np.zeros(())}
    key = jax.random.key(3)

    def host(x):
        return jax.pure_callback(lambda x: np.asarray(x), jax.ShapeDtypeStruct((3,), np.float64), x)

    return [
        fingerprint_function(optimizer.update, theta, jax.eval_shape(optimizer.init, theta), theta),
        fingerprint_function(partial(inner, FAR), np.zeros(3)),
        fingerprint_function(partial(closed_over, X), np.zeros(3)),
        fingerprint_function(jax.grad(lambda x: jnp.sum(jax.nn.relu(jax.nn.gelu(x)))), np.zeros(3)),
        fingerprint_function(lambda x: x + jax.random.normal(key, (3,)), np.zeros(3)),
        fingerprint_function(host, np.zeros(3)),
    ]


def test_another_process_has_the_same_fingerprints():
    code = "import conftest; from tests.training.test_fingerprints import several; print(*several())"
    settings = {**os.environ, "PYTHONHASHSEED": "1"}
    root = Path(__file__).parents[2]
    child = subprocess.run(
        [sys.executable, "-c", code], cwd=root, env=settings, capture_output=True, text=True, check=True
    )
    assert child.stdout.split() == several()
