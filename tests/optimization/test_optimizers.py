"""The optimizers against optax's, step by step, and against values computed by hand."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jax_course.optimization import optimizers
from tests.cases import OPTIMIZERS


def gradient(theta):
    """The gradient of a smooth convex cost of a dictionary of leaves."""
    return {"w": 3 * theta["w"] + jnp.sin(theta["w"]), "b": 0.1 * theta["b"]}


def path(optimizer, theta, steps=100):
    """All the points of so many steps."""

    def step(carry, _):
        theta, state = carry
        updates, state = optimizer.update(gradient(theta), state, theta)
        return (optax.apply_updates(theta, updates), state), theta

    return jax.lax.scan(step, (theta, optimizer.init(theta)), length=steps)[1]


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_a_hundred_steps_are_those_of_optax(name, width):
    theta = {"w": np.array([1.0, -2.0, 0.5], width.dtype), "b": np.array(3.0, width.dtype)}

    @jax.jit
    def both(theta):
        ours, theirs = OPTIMIZERS[name]
        with jax.numpy_dtype_promotion("standard"):  # optax's schedules mix precisions
            expected = path(theirs, theta)
        return path(ours, theta), expected

    got, expected = jax.device_get(both(theta))
    for leaf in theta:
        rounding = 100 * float(np.finfo(width.dtype).eps)
        np.testing.assert_allclose(got[leaf], expected[leaf], rtol=0, atol=rounding * np.abs(expected[leaf]).max())


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_an_optimizer_keeps_the_dtype(name, precision):
    theta = {"w": np.array([1.0, -2.0, 0.5], precision.dtype), "b": np.array(3.0, precision.dtype)}
    got = jax.eval_shape(lambda theta: path(OPTIMIZERS[name][0], theta), theta)
    assert {leaf: values.dtype for leaf, values in got.items()} == dict.fromkeys(theta, precision.dtype)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_an_optimizer_is_compiled_once_and_keeps_the_structure(name):
    ours, _ = OPTIMIZERS[name]
    theta = {"w": np.array([1.0, -2.0]), "b": np.array(3.0)}
    traced = []

    @jax.jit
    def step(theta, state):
        traced.append(1)
        updates, state = ours.update(gradient(theta), state, theta)
        return optax.apply_updates(theta, updates), state

    state = jax.jit(ours.init)(theta)
    for _ in range(3):
        theta, state = step(theta, state)
    assert len(traced) == 1
    assert int(state.count) == 3  # pyright: ignore[reportAttributeAccessIssue]


def only_step(optimizer, gradients):
    """The last of several steps, of one number."""

    def step(state, g):
        taken, state = optimizer.update(g, state)
        return state, taken

    steps = jax.jit(lambda gradients: jax.lax.scan(step, optimizer.init(jnp.zeros(())), gradients)[1])
    return float(np.asarray(steps(np.array(gradients)))[-1])


def test_steps_by_hand():
    """Two gradients, 2 and then 4."""
    g = [2.0, 4.0]
    np.testing.assert_allclose(only_step(optimizers.sgd(0.1), g), -0.4)
    first = -0.25 * 0.1 * 2
    second = 0.75 * first - 0.25 * 0.1 * 4
    np.testing.assert_allclose(only_step(optimizers.momentum(0.1, 0.75), g), second)
    np.testing.assert_allclose(only_step(optimizers.nesterov(0.1, 0.75), g), 0.75 * second - 0.25 * 0.1 * 4)
    np.testing.assert_allclose(only_step(optimizers.adagrad(0.1, epsilon=0.0, start=0.0), g), -0.1 * 4 / 20**0.5)
    np.testing.assert_allclose(only_step(optimizers.rmsprop(0.1, 0.5, epsilon=0.0), g), -0.1 * 4 / 9**0.5)
    u, s = (0.5 * 0.5 * 2 + 0.5 * 4) / 0.75, (0.5 * 0.5 * 4 + 0.5 * 16) / 0.75
    np.testing.assert_allclose(only_step(optimizers.adam(0.1, 0.5, 0.5, epsilon=0.0), g), -0.1 * u / s**0.5)


def test_the_steps_of_momentum_keep_their_size():
    """A constant gradient is followed at the rate η whatever α is: the course's form, not the heavy ball's."""
    for alpha in (0.0, 0.5, 0.99):
        np.testing.assert_allclose(only_step(optimizers.momentum(0.1, alpha), [3.0] * 3000), -0.3, rtol=1e-9)


def test_the_units_of_the_cost_do_not_matter_to_adagrad_and_adam():
    """E 12, E 13: Σ g² without the root would divide the step by the scale of the cost."""
    for optimizer in (optimizers.adagrad(0.1, epsilon=0.0, start=0.0), optimizers.adam(0.1, epsilon=0.0)):
        np.testing.assert_allclose(only_step(optimizer, [2.0, 4.0, -1.0]), only_step(optimizer, [2e3, 4e3, -1e3]))


def test_adam_forgets_and_adagrad_does_not():
    """E 13: after a burst of large gradients Adam's steps recover, Adagrad's stay small."""
    gradients = [1e3] * 5 + [1.0] * 3000
    assert abs(only_step(optimizers.adagrad(0.1), gradients)) < 1e-4
    assert abs(only_step(optimizers.adam(0.1, beta2=0.99), gradients)) > 0.09


def test_any_of_them_fits_a_chain_of_optax():
    optimizer = optax.chain(optax.clip_by_global_norm(1.0), optimizers.adam(0.1))
    theta = {"w": np.array([1.0, -2.0]), "b": np.array(3.0)}
    points = jax.jit(lambda theta: path(optimizer, theta, 300))(theta)
    assert abs(np.asarray(points["b"])[-1]) < 1.0
