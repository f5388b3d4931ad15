"""Networks trained: real data, the same bits again, noise, precision, clipping, decay, and what goes wrong by name."""

from functools import cache, partial

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from sklearn.model_selection import train_test_split

from jax_course import data
from jax_course.early_stopping import early_stopping
from jax_course.networks import costs, decay, layers, mlp, network
from jax_course.optimization import optimizers
from jax_course.training.train import each_epoch, load, train
from tests.training.test_checkpoint import as_bytes

KEY = jax.random.key(0)


@cache
def scaled(name, test=0.2):
    """(X_train, y_train), (X_test, y_test), in units of the training examples."""
    table = data.table(name)
    (X, y), (X_test, y_test) = data.split(table.X, table.y, test=test)
    to_units = data.standardize(X)
    return jax.tree.map(np.asarray, ((to_units(X), y), (to_units(X_test), y_test)))


def share_right(net, theta, X, y):
    predicted = np.asarray(jax.jit(net.predict)(theta, X))
    return np.mean((predicted > 0.5 if predicted.ndim == 1 else np.argmax(predicted, axis=1)) == np.asarray(y))


def flat(tree):
    return np.concatenate([np.ravel(leaf) for leaf in jax.tree.leaves(tree)])


def in_float32(theta):
    return jax.tree.map(lambda leaf: jnp.asarray(np.asarray(leaf, np.float32)), theta)


@pytest.fixture(scope="module")
def digits():
    table = data.table("digits")
    return np.asarray(table.X / 16, np.float32), np.asarray(table.y)


DIGITS = mlp([512, 10], "relu", costs.cross_entropy())


def digits_run(digits, seed):
    """The share of test examples that are right, and theta; split, start and order are those of the seed."""
    X, X_test, y, y_test = train_test_split(*digits, test_size=0.2, stratify=digits[1], random_state=seed)
    epochs = 15
    schedule = optax.cosine_decay_schedule(2e-3, epochs * -(-len(y) // 32))
    theta = in_float32(DIGITS.init(jax.random.key(seed), 64))
    with jax.numpy_dtype_promotion("standard"):  # optax multiplies the schedule's float64 with float32
        run = train(DIGITS.gradient, optax.adamw(schedule, weight_decay=0.1), theta, X, y, key=jax.random.key(seed),
                    epochs=epochs, batch_size=32).check()  # fmt: skip
    return share_right(DIGITS, run.theta, X_test, y_test), run.theta


@pytest.fixture(scope="module")
def digits_runs(digits):
    return {seed: digits_run(digits, seed) for seed in (2, 3)}


def test_digits_are_read_with_every_seed(digits_runs):
    """Of ten seeds: the experiment `digits_network`."""
    accuracies = [share for share, _ in digits_runs.values()]
    assert np.mean(accuracies) >= 0.98
    assert min(accuracies) >= 0.97


def test_the_same_seed_gives_the_same_bits(digits, digits_runs):
    again = digits_run(digits, 3)[1]
    assert as_bytes(again) == as_bytes(digits_runs[3][1])
    assert as_bytes(again) != as_bytes(digits_runs[2][1])


def test_breast_cancer_is_told_by_a_hidden_layer():
    (X, y), (X_test, y_test) = scaled("breast_cancer")
    net = mlp([16, 1], "tanh", costs.binary_cross_entropy())
    optimizer = optax.chain(optax.add_decayed_weights(1e-3), optimizers.adam(0.01))
    theta = net.init(KEY, X.shape[1])
    run = train(net.gradient, optimizer, theta, X, y.astype(float), key=KEY, epochs=60, batch_size=32).check()
    assert share_right(net, run.theta, X_test, y_test) >= 0.95


def test_diabetes_is_stopped_before_it_overfits():
    (X, y), (X_test, y_test) = scaled("diabetes", test=0.3)
    mean, scale = y.mean(), y.std()
    y, y_test = (y - mean) / scale, (y_test - mean) / scale
    net = mlp([32, 1], "tanh", costs.squared_error())
    held_out = {"held out": lambda theta, *_: net.cost(theta, X_test, y_test)}
    arguments = {"key": KEY, "epochs": 300, "batch_size": 32, "metrics": held_out}
    runs = each_epoch(net.gradient, optimizers.adam(0.01), net.init(KEY, X.shape[1]), X, y, **arguments)
    best = early_stopping(runs, metric="held out", patience=30)
    last = train(net.gradient, optimizers.adam(0.01), net.init(KEY, X.shape[1]), X, y, **arguments)
    least, final = (np.asarray(run.history["held out"])[-1] for run in (best, last))
    assert 1 - least / np.sum((y_test - y_test.mean()) ** 2) > 0.4  # least squares: 0.48 to 0.52
    assert best.epochs < 270
    assert final > 1.5 * least


# Noise.


def noisy(key):
    """A network with two layers of dropout."""
    first, second = jax.random.split(key)
    return network(
        layers.dropout(0.2, first), layers.linear(8), layers.relu(), layers.dropout(0.5, second), layers.linear(3),
        cost=costs.cross_entropy(),
    )  # fmt: skip


def noisy_gradient(theta, X, y, *, key):
    return noisy(key).gradient(theta, X, y)


def noisy_run(X, y, epochs, **more):
    arguments = {"key": KEY, "epochs": epochs, "batch_size": 30} | more
    return train(noisy_gradient, optimizers.adam(0.02), noisy(KEY).init(KEY, 4), X, y, **arguments)


def test_dropout_draws_another_mask_at_every_step():
    """Each step moves theta by the mask it drew: of ten steps no two are alike, also with all data in every batch."""

    def gradient(theta, X, y, *, key):
        return layers.dropout(0.5, key).forward((), jnp.ones((1, 50)))[0][0]

    X = np.zeros((4, 1))
    for batch_size in (4, 2, 3):
        runs = each_epoch(gradient, optax.sgd(1.0), jnp.zeros(50), X, None, key=KEY, epochs=10, batch_size=batch_size)
        thetas = np.array([np.zeros(50), *(np.asarray(run.theta) for run in runs)])
        steps = np.diff(thetas, axis=0)
        assert len(np.unique(steps, axis=0)) == 10
        assert len({round(abs(value), 6) for value in steps.ravel()}) <= {4: 2, 2: 3, 3: 4}[batch_size]


def test_a_network_with_dropout_is_taken_up_to_the_same_bits(tmp_path):
    (X, y), (X_test, y_test) = scaled("iris")
    whole = noisy_run(X, y, 40)
    noisy_run(X, y, 17, checkpoint=tmp_path / "run")
    assert as_bytes(noisy_run(X, y, 40, checkpoint=tmp_path / "run")) == as_bytes(whole)
    assert as_bytes(noisy_run(X, y, 40, key=jax.random.key(1)).theta) != as_bytes(whole.theta)
    quiet = mlp([8, 3], "relu", costs.cross_entropy())
    without = (whole.theta[1], (), whole.theta[4])
    assert share_right(quiet, without, X_test, y_test) >= 0.9


def test_dropout_is_right_about_its_own_cost_at_every_key():
    (X, y), _ = scaled("iris")
    theta = noisy(KEY).init(KEY, 4)

    @jax.jit
    def hand_and_reference(key, theta):
        return noisy(key).gradient(theta, X, y), jax.grad(noisy(key).cost)(theta, X, y)

    for seed in range(3):
        chex.assert_trees_all_close(*hand_and_reference(jax.random.key(seed), theta), rtol=0, atol=1e-11)


def test_autodiff_of_a_cost_with_a_key_gets_one_too():
    def cost(theta, X, y, *, key):
        return noisy(key).cost(theta, X, y)

    (X, y), _ = scaled("iris")
    theta = noisy(KEY).init(KEY, 4)
    auto = train(jax.grad(cost), optimizers.adam(0.02), theta, X, y, key=KEY, epochs=3, batch_size=30)
    chex.assert_trees_all_close(auto.theta, noisy_run(X, y, 3).theta, rtol=1e-9, atol=1e-11)


def test_a_step_that_fails_with_a_key_is_named():
    def gradient(theta, X, y, *, key):
        return jnp.where(jnp.any(X > 5), jnp.nan, jax.random.normal(key))

    X = jnp.arange(8.0)
    run = train(gradient, optax.sgd(0.1), 0.0, X, None, key=KEY, epochs=2, batch_size=1)
    assert run.stop is not None
    assert run.stop.examples[0] in (6, 7)


# What a network is trained with.


def test_bfloat16_inside_and_float32_parameters_train():
    (X, y), (X_test, y_test) = scaled("iris")
    half = partial(layers.computed_in, jnp.bfloat16)
    net = network(half(layers.linear(16)), layers.tanh(), half(layers.linear(3)), cost=costs.cross_entropy())
    theta = in_float32(net.init(KEY, 4))
    data32 = X.astype(np.float32), y
    run = train(net.gradient, optimizers.adam(0.02), theta, *data32, key=KEY, epochs=60, batch_size=16).check()
    assert {leaf.dtype for leaf in jax.tree.leaves(run.theta)} == {jnp.dtype("float32")}
    assert share_right(net, run.theta, X_test.astype(np.float32), y_test) >= 0.9


def test_a_clipped_step_is_no_longer_than_the_rate_times_the_bound():
    (X, y), _ = scaled("iris")
    net = mlp([8, 3], "relu", costs.cross_entropy())
    theta = jax.tree.map(lambda leaf: 30 * np.asarray(leaf), net.init(KEY, 4))
    for bound in (1e-3, None):
        clip = optax.identity() if bound is None else optax.clip_by_global_norm(bound)
        run = train(net.gradient, optax.chain(clip, optax.sgd(0.1)), theta, X, y, key=KEY, epochs=1, batch_size=len(X))
        length = np.linalg.norm(flat(run.theta) - flat(theta))
        if bound is None:
            assert length > 1e-3
        else:
            np.testing.assert_allclose(length, 0.1 * bound, rtol=1e-10)


def test_decayed_weights_are_the_penalty_of_the_cost():
    """optax adds 2 p θ/m to the mean gradient, which is that of C + p‖θ‖²; a tree spares the biases."""
    (X, y), _ = scaled("iris")
    net = mlp([8, 3], "tanh", costs.cross_entropy())
    theta, p, m = net.init(KEY, 4), 0.7, len(X)
    ours = partial(net.gradient, penalty=decay(theta, p))
    chained = optax.chain(
        optax.add_decayed_weights(2 * p / m, mask=lambda theta: jax.tree.map(lambda leaf: leaf.ndim > 1, theta)),
        optax.sgd(0.1),
    )
    settings = {"key": KEY, "epochs": 5, "batch_size": m}
    one = train(ours, optax.sgd(0.1), theta, X, y, **settings).theta
    other = train(net.gradient, chained, theta, X, y, **settings).theta
    chex.assert_trees_all_close(one, other, rtol=1e-12, atol=1e-12)
    assert not np.allclose(
        one[0].weights, train(net.gradient, optax.sgd(0.1), theta, X, y, **settings).theta[0].weights
    )


def test_a_network_is_taken_up_to_the_same_bits(tmp_path):
    (X, y), _ = scaled("iris")
    net = network(layers.rbf(5), layers.residual(layers.linear(5)), layers.linear(3), cost=costs.cross_entropy())
    run = partial(train, net.gradient, optimizers.adam(0.01), net.init(KEY, 4), X, y, key=KEY, batch_size=20)
    run(epochs=3, checkpoint=tmp_path / "a")
    assert as_bytes(run(epochs=7, checkpoint=tmp_path / "a")) == as_bytes(run(epochs=7))
    assert as_bytes(load(tmp_path / "a", run(epochs=0))) == as_bytes(run(epochs=7))


def test_nan_in_a_batch_is_named_by_step_and_leaf():
    (X, y), _ = scaled("iris")
    X = X.copy()
    X[77, 2] = np.nan
    net = mlp([8, 3], "tanh", costs.cross_entropy())
    run = train(net.gradient, optax.sgd(0.1), net.init(KEY, 4), X, y, key=KEY, epochs=5, batch_size=10)
    assert run.stop is not None
    assert 77 in run.stop.examples
    assert run.stop.leaf == "theta[0].bias"
    assert 1 <= run.stop.step <= 12
    chex.assert_tree_all_finite(run.theta)
