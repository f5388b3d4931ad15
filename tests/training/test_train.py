"""Training against steps done by hand, against plain loops, and against itself after a crash."""

import signal
import subprocess
import sys
import time
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jax_course import linear, logistic
from jax_course.checkpoint import CheckpointError
from jax_course.early_stopping import early_stopping
from jax_course.optimization import optimizers
from jax_course.training.train import NotTrained, each_epoch, load, save, train
from tests.training.test_checkpoint import as_bytes

KEY = jax.random.key(0)
HALF = optimizers.sgd(0.5)


def residuals(theta, X, y):
    """Gradient of ½ Σ (θ − y)²."""
    return jnp.sum(theta - y)


def squares(theta, X, y):
    return jnp.sum((theta - y) ** 2) / 2


def squares_of_theta(theta, X, y):
    return jnp.sum(theta["w"] ** 2)


def one(theta, X, y):
    return jnp.ones(())


# Steps.


def test_two_steps_by_hand():
    """0 → 2 → 3, half of the way to 4 each."""
    four = jnp.array([4.0, 4.0])
    assert train(residuals, HALF, 0.0, four, four, key=KEY, epochs=1, batch_size=1).theta == 3.0


def test_a_short_last_batch_by_hand(precision):
    """Batches of 2 and 1, all examples 6: 0 → 3 → 4.5. Divided by 2, the last step would end at 3.75."""
    six = jnp.full(3, 6, precision.dtype)
    theta = jnp.zeros((), precision.dtype)
    got = train(residuals, HALF, theta, six, six, key=KEY, epochs=1, batch_size=2, cost=squares)
    assert got.theta == 4.5
    assert got.history["cost"] == [3 * 1.5**2 / 2]
    assert got.history["gradient_norm"] == [3 * 1.5]
    assert {got.theta.dtype, *(values.dtype for values in got.history.values())} == {np.dtype(precision.dtype)}


def when(theta, X, y):
    """For SGD with rate 1: writes into theta the step at which each example was looked at, and how often."""
    rows = X["row"]
    seen = {"often": jnp.zeros_like(theta["often"]).at[rows].add(1.0), "clock": jnp.ones(())}
    seen["step"] = jnp.zeros_like(theta["step"]).at[rows].add(theta["clock"])
    return jax.tree_util.tree_map(lambda one: -one * len(rows), seen)


ONE = optimizers.sgd(1.0)
STEPS = {"step": lambda theta, X, y: theta["step"]}


def steps_of(m, batch_size, *, epochs, key: jax.Array | None = KEY, width=1):
    """The step, within its epoch, at which each example was looked at: (epochs, m)."""
    X = {"row": jnp.arange(m), "ballast": jnp.zeros((m, width))}
    theta = {"often": jnp.zeros(m), "step": jnp.zeros(m), "clock": jnp.zeros(())}
    got = train(when, ONE, theta, X, None, key=key, epochs=epochs, batch_size=batch_size, metrics=STEPS)
    np.testing.assert_array_equal(got.theta["often"], np.full(m, epochs))
    epoch_steps = -(-m // batch_size)
    assert int(got.theta["clock"]) == epochs * epoch_steps
    steps = np.diff(got.history["step"], axis=0, prepend=0) - epoch_steps * np.arange(epochs)[:, None]
    return steps.astype(int)


@pytest.mark.parametrize(
    ("m", "batch_size", "width"),
    [
        (7, 1, 1),
        (7, 3, 1),
        (7, 6, 1),
        (7, 7, 1),
        (23, 2, 2**14),
    ],  # the last: three chunks of 4 batches that share one, 1 short
)
def test_every_example_is_seen_once_per_epoch_in_batches_of_the_size(m, batch_size, width):
    for steps in steps_of(m, batch_size, epochs=3, width=width):
        sizes = np.bincount(steps)
        assert sizes.tolist() == [batch_size] * (m // batch_size) + [m % batch_size] * (m % batch_size > 0)


@pytest.mark.parametrize("batch_size", [1, 3, 7])
def test_without_a_key_the_examples_come_as_they_stand(batch_size):
    for steps in steps_of(7, batch_size, epochs=3, key=None):
        np.testing.assert_array_equal(steps, np.arange(7) // batch_size)


def test_the_order_depends_on_the_epoch_and_the_key_alone():
    steps = steps_of(7, 1, epochs=20)
    assert len(np.unique(steps, axis=0)) > 15
    np.testing.assert_array_equal(steps_of(7, 1, epochs=5), steps[:5])
    np.testing.assert_array_equal(steps_of(7, 1, epochs=5, key=jax.random.PRNGKey(0)), steps[:5])
    assert (steps_of(7, 1, epochs=5, key=jax.random.key(1)) != steps[:5]).any()


def test_all_orders_are_equally_likely():
    """6 orders of 3 examples, 1000 of each expected: χ² with 5 degrees of freedom exceeds 20.5 once in a thousand."""
    counts = np.unique(steps_of(3, 1, epochs=6000), axis=0, return_counts=True)[1]
    assert len(counts) == 6
    assert np.sum((counts - 1000) ** 2 / 1000) < 20.5


def test_epochs_of_many_examples_have_orders_of_their_own():
    """Beyond 65,536 examples an epoch is a block of its own."""
    y = jnp.arange(70_000.0)
    first = {"first": lambda theta, X, y: theta}
    # A rate of 1 and the gradient θ − y leave the last example looked at.
    got = train(residuals, ONE, 0.0, y, y, key=KEY, epochs=3, batch_size=1, metrics=first).history["first"]
    assert len(set(got)) == 3


# Against plain loops.

RNG = np.random.default_rng(0)
X = RNG.standard_normal((7, 2))
Y = (RNG.random(7) < 0.5) * 1.0
THETA = {"w": np.array([0.3, -0.2]), "b": np.array(0.1)}
ADAM = optimizers.adam(0.1)


def classify(theta, X, y):
    """Logistic regression with a bias of its own, in the dtype of theta."""
    rest = logistic.sigmoid(X @ theta["w"] + theta["b"]) - y
    return {"w": rest @ X, "b": jnp.sum(rest)}


def classification_cost(theta, X, y):
    z = X @ theta["w"] + theta["b"]
    return jnp.sum(logistic.softplus(z) - y * z)


def plain_loop(optimizer, batches, theta):
    """The course's recipe, step by step."""
    theta = jax.tree_util.tree_map(jnp.asarray, theta)
    state = optimizer.init(theta)

    @jax.jit
    def step(theta, state, X, y):
        mean = jax.tree_util.tree_map(lambda g: g / len(y), classify(theta, X, y))
        updates, state = optimizer.update(mean, state, theta)
        return optax.apply_updates(theta, updates), state

    for rows in batches:
        theta, state = step(theta, state, X[rows], Y[rows])
    return theta


def test_it_is_the_plain_loop_of_optax():
    batches = [np.flatnonzero(s == k) for s in steps_of(7, 3, epochs=3) for k in range(max(s) + 1)]
    with jax.numpy_dtype_promotion("standard"):  # optax mixes precisions
        expected = plain_loop(optax.adam(0.1), batches, THETA)
    for optimizer in (ADAM, optax.adam(0.1)):
        with jax.numpy_dtype_promotion("standard"):
            got = train(classify, optimizer, THETA, X, Y, key=KEY, epochs=3, batch_size=3).check()
        for leaf in THETA:
            np.testing.assert_allclose(got.theta[leaf], expected[leaf], rtol=1e-12)


def test_the_history_is_taken_after_every_epoch_over_all_the_data(precision):
    theta, X_, Y_ = jax.tree_util.tree_map(lambda a: jnp.asarray(a, precision.dtype), (THETA, X, Y))
    metrics = {"theta": lambda theta, X, y: theta}
    run = partial(
        train, classify, ADAM, theta, X_, Y_, key=KEY, batch_size=3, cost=classification_cost, metrics=metrics
    )
    got = run(epochs=3)
    assert got.epochs == 3
    assert got.state.count == 9
    for e in range(3):
        then = {name: values[e] for name, values in got.history["theta"].items()}
        z = X @ then["w"] + then["b"]
        rest = 1 / (1 + np.exp(-z)) - Y
        norm = np.linalg.norm([*(rest @ X), np.sum(rest)])
        np.testing.assert_allclose(got.history["cost"][e], np.sum(np.logaddexp(0, z) - Y * z), rtol=precision.tolerance)
        np.testing.assert_allclose(got.history["gradient_norm"][e], norm, rtol=10 * precision.tolerance)
        np.testing.assert_array_equal(then["w"], run(epochs=e + 1).theta["w"])
    assert got.theta["w"].dtype == got.history["cost"].dtype == got.history["gradient_norm"].dtype == precision.dtype


def test_leaves_of_several_precisions_keep_them():
    theta = {"w": jnp.asarray(THETA["w"], jnp.bfloat16), "b": jnp.asarray(0.1, jnp.float32)}

    def gradient(theta, X, y):
        g = classify({"w": theta["w"].astype(X.dtype), "b": theta["b"].astype(X.dtype)}, X, y)
        return {name: g[name].astype(theta[name].dtype) for name in g}

    def cost(theta, X, y):
        return jnp.sum(theta["b"])

    got = train(gradient, ADAM, theta, X, Y, key=KEY, epochs=2, batch_size=3, cost=cost).check()
    assert (got.theta["w"].dtype, got.theta["b"].dtype) == (jnp.bfloat16, jnp.float32)


# A penalty.


def test_a_penalty_counts_once_an_epoch_by_hand(precision):
    """A step takes η 2p θ/m = θ/4 away, whatever the batch: 1 → 0.75 → 0.5625 for two batches of one example."""
    two, theta = jnp.ones(2, precision.dtype), jnp.ones((), precision.dtype)
    nothing = partial(train, lambda theta, X, y: 0 * theta, HALF, theta, two, None, key=KEY, epochs=1, penalty=0.5)
    got = nothing(batch_size=1, cost=lambda theta, X, y: 0 * theta)
    assert got.theta == 0.5625
    assert got.history["cost"] == [0.5 * 0.5625**2]
    assert got.history["gradient_norm"] == [2 * 0.5 * 0.5625]
    assert {got.theta.dtype, *(values.dtype for values in got.history.values())} == {np.dtype(precision.dtype)}
    assert nothing(batch_size=2).theta == 0.75


@pytest.mark.parametrize("batch_size", [1, 2, 3])
def test_every_batch_size_has_the_minimiser_of_the_penalised_cost(batch_size):
    """½ · 3 (θ − 6)² + 1.5 θ² is least, 27, at 3; inside the gradient the penalty of batches of one would give 1.5."""
    six = jnp.full(3, 6.0)
    got = train(
        residuals, HALF, 0.0, six, six, key=KEY, epochs=2, batch_size=batch_size, penalty=1.5, cost=squares
    ).check()
    assert (got.theta, got.history["cost"][-1], got.history["gradient_norm"][-1]) == (3.0, 27.0, 0.0)


def test_adam_reaches_the_minimum_of_logistic_regression_with_every_batch_size():
    """The minimum is that of Newton's method, step by step in NumPy."""
    penalty, w = np.array([1.0, 0.0]), np.zeros(2)
    for _ in range(20):
        p = 1 / (1 + np.exp(-X @ w))
        H = X.T @ ((p * (1 - p))[:, None] * X) + np.diag(2 * penalty)
        w -= np.linalg.solve(H, X.T @ (p - Y) + 2 * penalty * w)
    least = np.sum(np.logaddexp(0, X @ w) - Y * (X @ w)) + penalty @ w**2
    for batch_size in (1, 3, 7):
        got = train(
            *(logistic.gradient, optimizers.adam(0.01), jnp.zeros(2), X, Y),
            key=KEY, epochs=2000, batch_size=batch_size, penalty=penalty, cost=logistic.cost,
        )  # fmt: skip
        assert least - 1e-12 < got.history["cost"][-1] < 1.002 * least


def test_a_penalty_is_that_of_decayed_weights():
    """optax adds 2 p θ/m to the mean gradient; a tree of penalties spares the bias and weighs the entries of w."""
    theta = jax.tree_util.tree_map(jnp.asarray, THETA)
    penalty = {"w": np.array([0.3, 1.0]), "b": 0.0}

    def decayed(g: Any, theta: Any) -> Any:
        return {"w": g["w"] + 2 * penalty["w"] / 7 * theta["w"], "b": g["b"]}

    run = partial(train, classify, theta=theta, X=X, y=Y, key=KEY, epochs=3, batch_size=3)
    expected = run(optimizer=optax.chain(optax.stateless(decayed), ADAM))
    got = run(optimizer=ADAM, penalty=penalty, cost=classification_cost)
    for leaf in THETA:
        np.testing.assert_allclose(got.theta[leaf], expected.theta[leaf], rtol=1e-12)
    w, b = (np.asarray(got.theta[leaf]) for leaf in ("w", "b"))
    z = X @ w + b
    rest = 1 / (1 + np.exp(-z)) - Y
    cost = np.sum(np.logaddexp(0, z) - Y * z) + penalty["w"] @ w**2
    norm = np.linalg.norm([*(rest @ X + 2 * penalty["w"] * w), np.sum(rest)])
    np.testing.assert_allclose(got.history["cost"][-1], cost, rtol=1e-12)
    np.testing.assert_allclose(got.history["gradient_norm"][-1], norm, rtol=1e-10)


def test_a_penalty_keeps_leaves_of_several_precisions():
    theta = {"w": jnp.ones(2, jnp.bfloat16), "b": jnp.ones((), jnp.float32)}
    got = train(lambda theta, X, y: theta, HALF, theta, X, Y, key=KEY, epochs=1, batch_size=7, penalty=0.5,
                cost=lambda theta, X, y: jnp.sum(theta["b"]))  # fmt: skip
    assert (got.theta["w"].dtype, got.theta["b"].dtype) == (jnp.bfloat16, jnp.float32)


def test_a_penalty_of_zero_changes_nothing_and_another_one_compiles_nothing():
    traced = []

    def counted(theta, X, y):
        traced.append(1)
        return classify(theta, X, y)

    run = partial(run_for, 2, gradient=counted)
    plain, before = run(), len(traced)
    assert as_bytes(run(penalty=0)) == as_bytes(run(penalty={"w": np.zeros(2), "b": 0.0})) == as_bytes(plain)
    assert len(traced) == before
    first, before = run(penalty=1.0), len(traced)
    assert as_bytes(run(penalty=2.0)) != as_bytes(first) == as_bytes(run(penalty={"w": 1.0, "b": 1.0}))
    assert len(traced) == before


@pytest.mark.parametrize(
    ("penalty", "error", "said"),
    [
        ({"w": 1.0}, ValueError, "penalty must be a number, or a tree like theta"),
        ([1.0, 2.0], ValueError, "penalty must be a number, or a tree like theta"),
        (
            {"w": np.ones(3), "b": 0.0},
            ValueError,
            r"penalty\['w'\] must be a number or .* its leaf .*\(2,\); got \(3,\)",
        ),
        ({"w": 1.0, "b": -1.0}, ValueError, r"penalty\['b'\] must be finite and at least 0; got -1"),
        (np.nan, ValueError, "must be finite and at least 0; got nan"),
        (1j, TypeError, "must hold real numbers; got complex"),
        ("much", TypeError, "must be an array of numbers"),
    ],
)
def test_what_is_no_penalty_is_refused(penalty, error, said):
    with pytest.raises(error, match=said):
        run_for(1, penalty=penalty)


def test_theta_may_be_given_as_numbers_and_no_epochs_leave_it():
    got = train(
        residuals,
        HALF,
        1.5,
        X,
        Y,
        key=KEY,
        epochs=0,
        batch_size=1,
        metrics={"pair": lambda theta, X, y: y[:2]},
    )
    assert (got.theta, got.epochs, got.check()) == (1.5, 0, got)
    assert got.history["pair"].shape == (0, 2)


# Programs.


def test_a_second_call_traces_nothing():
    """Not even with an optimizer that was made anew."""
    traced = []

    def counted(theta, X, y):
        traced.append(1)
        return residuals(theta, X, y)

    for make in (lambda: optimizers.adam(0.1), lambda: optax.chain(optax.clip(1.0), optax.sgd(0.1))):
        run = partial(train, counted, X=X, y=Y, batch_size=3, cost=squares)
        run(optimizer=make(), theta=0.0, key=KEY, epochs=2)
        before = len(traced)
        run(optimizer=make(), theta=1.0, key=jax.random.key(5), epochs=9)
        run(optimizer=make(), theta=1.0, key=KEY, epochs=2, metrics={})
        assert len(traced) == before
        run(optimizer=make(), theta=1.0, key=KEY, epochs=2, metrics={"new": squares})
        assert len(traced) > before


def test_another_learning_rate_is_another_optimizer():
    def end(rate):
        return train(residuals, optimizers.sgd(rate), 0.0, X, Y, key=KEY, epochs=1, batch_size=len(Y)).theta

    assert end(0.5) != end(0.25) == 0.25 * jnp.mean(Y)


def test_a_function_that_changed_is_not_mistaken_for_the_one_before():
    def scaled(theta, X, y):
        return scale * residuals(theta, X, y)

    run = partial(train, scaled, HALF, 0.0, jnp.array([4.0]), jnp.array([4.0]), key=KEY, epochs=1, batch_size=1)
    scale = 1.0
    assert run().theta == 2.0
    scale = 0.5
    assert run().theta == 1.0


# What is not finite.


def stop_of(training):
    """The stop, which must be there."""
    assert training.stop is not None
    return training.stop


def test_it_stops_at_the_first_step_that_is_not_finite_and_keeps_the_theta_before():
    """θ ← θ − 3θ doubles: |θ| = 2ᵏ after k steps, and 3θ overflows first in step 1024, the fourth of epoch 103."""

    def gradient(theta, X, y):
        return {"calm": jnp.zeros(1), "wild": 3 * theta["wild"] * len(X)}

    theta = {"calm": jnp.ones(1), "wild": jnp.ones(())}
    got = train(gradient, ONE, theta, jnp.ones(10), None, key=KEY, epochs=200, batch_size=1, metrics={"one": one})
    stop = stop_of(got)
    assert (stop.leaf, stop.step, stop.epoch, got.epochs) == ("theta['wild']", 1024, 103, 102)
    assert abs(got.theta["wild"]) == 2.0**1023
    assert got.state.count == 1023
    assert len(got.history["one"]) == 102
    with pytest.raises(
        NotTrained, match=r"^NOT_FINITE: theta\['wild'\] is not finite after step 1024 \(epoch 103, "
    ) as e:
        got.check()
    assert e.value.training is got


@pytest.mark.parametrize(("batch_size", "key"), [(1, KEY), (3, KEY), (3, None), (7, KEY)])
def test_it_names_the_example(batch_size, key):
    y = jnp.asarray(Y).at[4].set(jnp.nan)
    step = steps_of(7, batch_size, epochs=1, key=key)[0]
    got = train(residuals, HALF, 0.0, X, y, key=key, epochs=2, batch_size=batch_size)
    stop = stop_of(got)
    assert (stop.leaf, stop.step, got.epochs) == ("theta", step[4] + 1, 0)
    assert set(stop.examples) == set(np.flatnonzero(step == step[4]))
    assert np.isfinite(got.theta)
    assert f"rows {stop.examples[0]}" in str(stop)


def test_a_cost_that_is_not_finite_stops_too():
    got = train(
        residuals,
        HALF,
        0.0,
        X,
        Y,
        key=KEY,
        epochs=4,
        batch_size=3,
        cost=lambda theta, X, y: jnp.log(theta * 0 - 1),
    )
    stop = stop_of(got)
    assert (stop.leaf, stop.step, stop.epoch, got.epochs) == ("cost", 3, 1, 0)
    assert np.isfinite(got.theta)
    assert got.theta != 0.0


def test_an_optimizer_may_handle_what_is_not_finite():
    y = jnp.asarray(Y).at[4].set(jnp.nan)
    with jax.numpy_dtype_promotion("standard"):
        got = train(residuals, optax.apply_if_finite(optax.sgd(0.5), 10), 0.0, X, y, key=KEY, epochs=2, batch_size=1)
    assert got.check().epochs == 2


# Files.


def run_for(epochs, checkpoint=None, **changes):
    arguments = {"gradient": classify, "cost": classification_cost, "optimizer": ADAM, "theta": THETA, "X": X, "y": Y}
    return train(**arguments | {"key": KEY, "batch_size": 3} | changes, epochs=epochs, checkpoint=checkpoint)


def test_a_run_that_is_taken_up_ends_as_if_it_had_not_been_interrupted(tmp_path):
    whole = run_for(5)
    for path in (tmp_path / "a", str(tmp_path / "b.npz")):
        run_for(2, path)
        assert as_bytes(load(path, run_for(0))) == as_bytes(run_for(2))
        assert as_bytes(run_for(5, path)) == as_bytes(whole)
        assert as_bytes(run_for(5, path)) == as_bytes(whole)
    save(tmp_path / "a", whole)
    assert as_bytes(load(tmp_path / "a", run_for(0))) == as_bytes(whole)


def one_bit_more(array):
    return np.nextafter(array, np.inf)


def half_classify(theta, X, y):
    return jax.tree_util.tree_map(lambda g: g / 2, classify(theta, X, y))


@pytest.mark.parametrize(
    ("changes", "name"),
    [
        ({"X": one_bit_more(X)}, "the data X"),
        ({"y": 1 - Y}, "the data y"),
        ({"theta": {**THETA, "b": one_bit_more(THETA["b"])}}, "the start theta"),
        ({"gradient": half_classify}, "the gradient"),
        ({"gradient": lambda theta, X, y: classify(theta, X + np.ones((1, 2)), y)}, "the gradient"),
        ({"optimizer": optimizers.adam(one_bit_more(0.1))}, "the optimizer or its settings"),
        ({"penalty": 0.1}, "the penalty"),
        ({"cost": squares_of_theta}, "the cost"),
        ({"metrics": {"one": lambda theta, X, y: 2 * one(theta, X, y)}}, "the metric 'one'"),
        ({"X": 2 * X, "penalty": 0.1}, "the data X, the penalty"),
    ],
)
def test_a_checkpoint_does_not_go_on_with_what_would_be_another_run(tmp_path, changes, name):
    path = tmp_path / "run.npz"
    run_for(2, path, metrics={"one": one})
    content = path.read_bytes()
    with pytest.raises(CheckpointError, match=f"checkpoint of another run, which differs in {name}; to go on from it"):
        run_for(4, path, **{"metrics": {"one": one}} | changes)
    assert path.read_bytes() == content


def test_a_checkpoint_of_another_release_of_jax_is_refused_by_its_name(tmp_path, monkeypatch):
    run_for(2, tmp_path / "run.npz")
    monkeypatch.setattr(jax, "__version__", "0.0.1")
    with pytest.raises(
        CheckpointError, match=rf"the release of JAX \({version('jax')} in the file, 0.0.1 in this call\)"
    ):
        run_for(4, tmp_path / "run.npz")


def test_a_file_without_fingerprints_is_refused_and_what_it_holds_goes_on_from_memory(tmp_path):
    path = tmp_path / "run.npz"
    save(path, run_for(2))
    with pytest.raises(CheckpointError, match=r"holds no fingerprints of its run.* load it and give .* as theta"):
        run_for(5, path)
    assert as_bytes(run_for(5, theta=load(path, run_for(0)))) == as_bytes(run_for(5))


def test_a_penalised_run_is_taken_up_too(tmp_path):
    run_for(2, tmp_path / "run.npz", penalty=0.5)
    assert as_bytes(run_for(5, tmp_path / "run.npz", penalty=0.5)) == as_bytes(run_for(5, penalty=0.5))


# From a training in memory.


@pytest.mark.parametrize("key", [KEY, None])
def test_a_training_goes_on_as_if_it_had_not_stopped(key):
    started = run_for(2, key=key)
    assert as_bytes(run_for(5, theta=started, key=key)) == as_bytes(run_for(5, key=key))
    assert as_bytes(run_for(2, theta=started, key=key)) == as_bytes(started)


def test_epochs_one_after_the_other_go_on_from_a_training():
    runs = list(each_epoch(classify, ADAM, run_for(2, cost=None), X, Y, key=KEY, epochs=4, batch_size=3))
    assert [run.epochs for run in runs] == [3, 4]
    assert as_bytes(runs[-1]) == as_bytes(run_for(4, cost=None))


def test_a_training_may_go_on_at_another_learning_rate_and_in_a_file(tmp_path):
    started = run_for(2)
    slower = partial(run_for, theta=started, optimizer=optimizers.adam(0.01))
    assert as_bytes(slower(4)) != as_bytes(run_for(4))
    assert slower(4).state.count == 12
    assert slower(3, tmp_path / "run.npz").epochs == 3
    assert as_bytes(slower(4, tmp_path / "run.npz")) == as_bytes(slower(4))
    with pytest.raises(CheckpointError, match="another run, which differs in the start theta"):
        slower(5, tmp_path / "run.npz", theta=run_for(3))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"epochs": 1}, "epochs, counted from the start, must be at least the 2 of theta; got 1"),
        ({"batch_size": 2}, "this call cannot continue: batch_size must be 2; got 3"),
        ({"key": jax.random.key(1)}, r"key must be \[0, 1\]; got \[0, 0\]"),
        ({"X": X[:6], "y": Y[:6]}, "m must be 6; got 7"),
        ({"optimizer": HALF}, "state must be .*; got .*squares"),
        ({"cost": None}, r"history must be \{\}; got .*cost: float64\[0\]"),
    ],
)
def test_a_training_that_the_call_cannot_go_on_with_is_refused(changes, said):
    with pytest.raises(ValueError, match=said):
        run_for(**{"epochs": 4, "theta": run_for(2)} | changes)


def test_a_training_that_stopped_does_not_go_on():
    stopped = run_for(2, X=np.full_like(X, np.nan))
    with pytest.raises(
        ValueError, match=r"begin anew with its theta, the last finite one. theta.* is not finite after"
    ):
        run_for(4, theta=stopped)


def test_a_run_without_a_key_is_taken_up_too_and_not_by_one_with(tmp_path):
    run_for(2, tmp_path / "a", key=None)
    assert as_bytes(run_for(5, tmp_path / "a", key=None)) == as_bytes(run_for(5, key=None))
    assert as_bytes(run_for(5).theta) != as_bytes(run_for(5, key=None).theta)
    with pytest.raises(CheckpointError, match=r"tree\.key must be"):
        run_for(6, tmp_path / "a")


def test_it_is_taken_up_in_the_middle_of_a_block_of_large_epochs(tmp_path):
    y = jnp.arange(40_000.0)
    run = partial(train, residuals, ONE, 0.0, y, y, key=KEY, batch_size=1000)
    run(epochs=1, checkpoint=tmp_path / "a")
    assert run(epochs=3, checkpoint=tmp_path / "a").theta == run(epochs=3).theta


LONG = """
import sys
import conftest
from tests.training.test_train import run_for
run_for(30_000, sys.argv[1])
"""


def test_a_run_that_is_killed_ends_as_if_it_had_not_been(tmp_path):
    path = tmp_path / "run.npz"
    start = run_for(0)
    child = subprocess.Popen([sys.executable, "-c", LONG, path], cwd=Path(__file__).parents[2])
    try:
        while child.poll() is None and not (path.exists() and load(path, start).epochs >= 20):
            time.sleep(0.01)
    finally:
        child.send_signal(signal.SIGKILL)
        child.wait()
    assert child.returncode == -signal.SIGKILL
    reached = load(path, start)
    assert reached.epochs >= 20
    assert as_bytes(reached) == as_bytes(run_for(reached.epochs))
    assert as_bytes(run_for(reached.epochs + 7, path)) == as_bytes(run_for(reached.epochs + 7))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (
            {"theta": 0.0, "gradient": residuals, "cost": squares},
            r"tree\.theta must be float64 .* it holds nothing",
        ),
        ({"theta": {**THETA, "w": np.zeros(3)}, "X": np.zeros((7, 3))}, r"\['w'\] must be .*\(3,\); it holds .*\(2,\)"),
        ({"optimizer": optimizers.momentum(0.1)}, r"tree\.state\.squares.* must be nothing; it holds float64"),
        (jax.tree_util.tree_map(np.float32, {"theta": THETA, "X": X, "y": Y}), "must be float32 .* it holds float64"),
        ({"metrics": {"one": one}}, r"tree\.history\['one'\] must be .* it holds nothing"),
        ({"key": jax.random.key(1)}, r"another run: key must be \[0, 1\]; it has \[0, 0\]"),
        ({"key": jax.random.PRNGKey(0)}, r"tree\.key must be uint32 of shape \(2,\); it holds key<fry>"),
        ({"batch_size": 2}, "another run: batch_size must be 2; it has 3"),
        ({"X": X[:6], "y": Y[:6]}, "another run: m must be 6; it has 7"),
        ({"epochs": 1}, "has 2 epochs behind it, more than the 1 asked for"),
    ],
)
def test_a_checkpoint_of_another_run_is_refused_and_kept(tmp_path, changes, said):
    path = tmp_path / "run.npz"
    run_for(2, path)
    content = path.read_bytes()
    with pytest.raises(CheckpointError, match=said):
        run_for(**{"epochs": 4} | changes, checkpoint=path)
    assert path.read_bytes() == content


def test_a_damaged_checkpoint_is_refused_and_kept(tmp_path):
    path = tmp_path / "run.npz"
    content = bytearray(run_for(2, path) and path.read_bytes())
    place = content.index(np.asarray(load(path, run_for(0)).theta["w"]).tobytes())
    content[place] ^= 1
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match="damaged"):
        run_for(4, path)
    assert path.read_bytes() == content


def test_a_stop_leaves_the_last_good_checkpoint(tmp_path):
    """θ ← θ − 3θ doubles: 3θ overflows in step 1024, of the fourth of 10 steps of epoch 103."""
    ten, path = jnp.ones(10), tmp_path / "run.npz"
    run = partial(train, lambda theta, X, y: 3 * theta, ONE, 1.0, ten, None, key=KEY, batch_size=1, checkpoint=path)
    run(epochs=102)
    content = path.read_bytes()
    got = run(epochs=104)
    assert (stop_of(got).step, got.epochs) == (1024, 102)
    assert path.read_bytes() == content


def test_a_path_that_cannot_be_written_shows_before_the_work(tmp_path):
    with pytest.raises(FileNotFoundError):
        run_for(10**9, tmp_path / "nowhere" / "run.npz")


# One epoch after the other.


def each_of(epochs, **metrics):
    """θ goes half of the way to 4 in each epoch: 2, 3, 3.5, …"""
    data = jnp.zeros((), jnp.float64), jnp.ones(2), jnp.full(2, 4.0)
    return each_epoch(residuals, HALF, *data, key=KEY, epochs=epochs, batch_size=2, cost=squares, metrics=metrics)


def test_epochs_one_after_the_other_are_those_of_train():
    rng = np.random.default_rng(0)
    X, y = rng.standard_normal((20, 3)), rng.integers(0, 2, 20) * 1.0
    arguments = logistic.gradient, optimizers.adam(0.1), jnp.zeros(3), X, y
    settings = {"key": KEY, "epochs": 5, "batch_size": 8, "cost": logistic.cost}
    runs = list(each_epoch(*arguments, **settings))
    whole = train(*arguments, **settings)
    assert [run.epochs for run in runs] == [1, 2, 3, 4, 5]
    np.testing.assert_array_equal(runs[-1].theta, whole.theta)
    np.testing.assert_array_equal(runs[-1].history["cost"], whole.history["cost"])
    assert next(iter(each_of(9))).epochs == 1  # nobody runs the others


def test_it_stops_early_at_the_best_of_what_was_held_out():
    """|θ − 3.2| is 1.2, 0.2, 0.3, 0.55, … after the epochs."""
    best = early_stopping(each_of(50, held_out=lambda theta, X, y: jnp.abs(theta - 3.2)), metric="held_out", patience=3)
    assert (best.epochs, float(best.theta)) == (2, 3.0)
    np.testing.assert_allclose(best.history["held_out"], [1.2, 0.2], rtol=1e-12)
    unstopped = early_stopping(each_of(6), metric="cost", patience=1)
    assert unstopped.epochs == 6


def test_a_run_that_stops_being_finite_is_not_hidden_by_stopping_early():
    data = jnp.zeros((), jnp.float64), jnp.ones(2), jnp.full(2, 4.0)
    runs = each_epoch(residuals, optimizers.sgd(-1e60), *data, key=KEY, epochs=50, batch_size=2, cost=squares)
    stopped = early_stopping(runs, metric="cost", patience=100)
    with pytest.raises(NotTrained, match="is not finite after step"):
        stopped.check()


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: early_stopping(each_of(3), metric="loss", patience=1), ValueError, "one of those recorded, cost"),
        (
            lambda: early_stopping(each_of(3), metric="cost", patience=0),
            ValueError,
            "patience must be at least 1; got 0",
        ),
        (lambda: early_stopping(each_of(0), metric="cost", patience=1), ValueError, "at least one epoch; it is empty"),
        (lambda: each_of(-1), ValueError, "epochs must be at least 0; got -1"),
    ],
)
def test_what_cannot_be_stopped_is_refused(call, error, message):
    with pytest.raises(error, match=message):
        call()


# The bar.


def test_the_bar_shows_the_epochs_and_changes_nothing(capsys):
    assert as_bytes(run_for(4, progress=True)) == as_bytes(run_for(4))
    out, shown = capsys.readouterr()
    assert "epoch 4 of 4" in shown
    assert not out


def test_rich_is_needed_for_the_bar_only(monkeypatch):
    monkeypatch.setitem(sys.modules, "rich.progress", None)
    run_for(1)
    with pytest.raises(ModuleNotFoundError, match="drawn by rich, which is not installed: pip install 'jax-course"):
        run_for(1, progress=True)


# Refusals.


@pytest.mark.parametrize(
    ("changes", "error", "said"),
    [
        ({"y": Y[:6]}, ValueError, "y must have as many examples as X, 7; got 6"),
        ({"X": {"a": X, "b": X[:5]}}, ValueError, r"X\['b'\] must have as many examples as X\['a'\], 7; got 5"),
        ({"y": 1.0}, ValueError, "y must have an axis of examples; got a number"),
        ({"y": [0.0, 1.0]}, ValueError, r"y\[0\] must have an axis .* write a list as jnp.asarray"),
        ({"X": None}, ValueError, "at least one example"),
        ({"X": X[:0], "y": Y[:0]}, ValueError, "at least one example"),
        ({"X": "iris"}, TypeError, "X must be an array of numbers"),
        ({"theta": 0}, TypeError, "theta must hold floating-point numbers"),
        ({"theta": {}}, ValueError, "theta must hold at least one array"),
        ({"batch_size": 0}, ValueError, "batch_size must be between 1 and m = 7; got 0"),
        ({"batch_size": 8}, ValueError, "batch_size must be between 1 and m = 7; got 8"),
        ({"batch_size": 2.0}, TypeError, "batch_size must be a whole number; got 2.0"),
        ({"epochs": -1}, ValueError, "epochs must be at least 0; got -1"),
        ({"epochs": 1.5}, TypeError, "epochs must be a whole number; got 1.5"),
        (
            {"key": None, "gradient": lambda theta, X, y, *, key: theta},
            TypeError,
            "gradient takes a key, so train needs one too",
        ),
        ({"key": 0}, TypeError, r"key must be a random key, as jax.random.key\(0\) is; got 0"),
        ({"key": jax.random.split(KEY)}, TypeError, "key must be a random key"),
        ({"key": jnp.zeros(2)}, TypeError, "key must be a random key"),
        ({"optimizer": 0.1}, TypeError, r"optimizer must be a pair \(init, update\), .* got 0.1"),
        ({"gradient": lambda theta, X, y: theta - y}, ValueError, r"must be like theta, float64\[\]; got float64\[3\]"),
        ({"gradient": lambda theta, X, y: {"w": theta}}, ValueError, r"like theta, float64\[\]; got {w: float64"),
        ({"gradient": lambda theta, X, y: jnp.float32(1)}, ValueError, r"like theta, float64\[\]; got float32\[\]"),
        (
            {"cost": lambda theta, X, y: (theta - y) ** 2},
            ValueError,
            r"must be a scalar; got shape \(7,\): sum it over",
        ),
        ({"metrics": {"cost": squares}}, ValueError, "must not be called cost or gradient_norm"),
    ],
)
def test_what_cannot_be_trained_on_is_refused(changes, error, said):
    arguments = {"gradient": residuals, "optimizer": HALF, "theta": 0.0, "X": X, "y": Y, "key": KEY}
    with pytest.raises(error, match=said):
        train(**arguments | {"epochs": 1, "batch_size": 3} | changes)


MEMBERS = {
    "key": jax.random.split(jax.random.key(3), 3),
    "theta": np.array([[0.0, 1.0], [2.0, -1.0], [0.5, 0.5]]),
    "rate": np.array([0.02, 0.1, 0.05]),
    "penalty": np.array([0.0, 3.0, 0.2]),
}


def member(i):
    return {name: values[i] for name, values in MEMBERS.items()}


def run_of(key, theta, rate, penalty, epochs=3):
    rng = np.random.default_rng(8)
    X, y = rng.standard_normal((10, 2)), rng.standard_normal(10)
    return train(linear.gradient, optimizers.momentum(rate, 0.5), theta, X, y, key=key, epochs=epochs, batch_size=4,
                 penalty=penalty, cost=linear.cost)  # fmt: skip


@pytest.fixture(scope="module")
def at_once():
    return jax.jit(jax.vmap(lambda members: run_of(**members)))


def test_runs_under_vmap_and_jit_are_those_of_a_loop(at_once):
    """Over keys, starts, learning rates and penalties together."""
    several = at_once(MEMBERS)
    for i in (0, 1):
        alone = run_of(**member(i))
        np.testing.assert_allclose(several.theta[i], alone.theta, rtol=1e-12)
        for name, values in alone.history.items():
            np.testing.assert_allclose(several.history[name][i], values, rtol=1e-12)
    np.testing.assert_array_equal(several.epochs, 3)
    assert several.check() is several
    assert repr(several).startswith("Training([3 3 3] epochs")


def test_a_run_that_is_not_finite_is_nan_under_vmap_and_leaves_the_others_alone(at_once):
    several = at_once(MEMBERS | {"rate": np.array([0.02, 1e200, 0.05])})
    np.testing.assert_array_equal(np.isnan(several.theta), [[False] * 2, [True] * 2, [False] * 2])
    np.testing.assert_array_equal(np.isnan(several.history["cost"])[:, -1], [False, True, False])
    assert several.epochs[1] < 3
    np.testing.assert_array_equal(several.theta[0], at_once(MEMBERS).theta[0])
    with pytest.raises(NotTrained, match="NOT_FINITE: theta is NaN: a value of a run inside jit or vmap was not"):
        several.check()


def test_a_run_is_differentiated_by_its_learning_rate():
    """Forward: the steps are the function, and their number is given."""
    rate = 0.05

    @jax.jit
    def theta(rate):
        return run_of(**member(0) | {"rate": rate}).theta

    slope = jax.jit(lambda rate: jax.jvp(theta, (rate,), (1.0,))[1])(rate)
    np.testing.assert_allclose(slope, (theta(rate + 1e-6) - theta(rate - 1e-6)) / 2e-6, rtol=1e-7)


@pytest.mark.parametrize("changes", [{"progress": True}, {"checkpoint": "run.npz"}])
def test_what_looks_at_each_epoch_is_refused_inside_jit(changes):
    with pytest.raises(TypeError, match=f"{next(iter(changes))} must be left out inside jit, vmap and derivatives"):
        jax.eval_shape(lambda theta: run_for(1, theta=theta, **changes), THETA)


def test_a_traced_training_is_not_continued():
    training = run_of(**member(0))
    with pytest.raises(TypeError, match="theta is a traced Training, which cannot be continued: give its theta"):
        jax.eval_shape(lambda theta: run_for(1, theta=training._replace(theta=theta)), training.theta)
