"""Training on a stream: against `train` on all rows at once, and what survives when it is stopped."""

import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jax_course import linear, scale
from jax_course.checkpoint import CheckpointError
from jax_course.optimization import optimizers
from jax_course.scale.batches import DataError
from jax_course.train import train

RNG = np.random.Generator(np.random.PCG64(0))
X = np.concatenate([np.ones((103, 1)), RNG.normal(size=(103, 2))], axis=1)
Y = X @ np.array([1.0, -2.0, 0.5]) + 0.1 * RNG.normal(size=103)
THETA = np.zeros(3)
KEY = jax.random.key(5)


def batches(X=X, y=Y, size=17):
    return [(X[i : i + size], y[i : i + size]) for i in range(0, len(X), size)]


def run(source=None, *, gradient=linear.gradient, **settings):
    settings = {
        "key": KEY,
        "epochs": 3,
        "batch_size": 10,
        "optimizer": optimizers.adam(0.05),
        "theta": THETA,
        **settings,
    }
    return scale.train(gradient, source=batches() if source is None else source, **settings)


def at_once(gradient=linear.gradient, **settings):
    settings = {"key": KEY, "epochs": 3, "batch_size": 10, **settings}
    return train(gradient, optimizers.adam(0.05), THETA, X, Y, **settings)


def twice(theta, X, y):
    return 2 * linear.gradient(theta, X, y)


def noisy(theta, X, y, *, key):
    return linear.gradient(theta, X, y) + jax.random.normal(key, theta.shape)


@pytest.mark.parametrize("gradient", [linear.gradient, noisy])
def test_a_window_of_all_rows_is_train(gradient):
    streamed, expected = run(gradient=gradient), at_once(gradient=gradient)
    for ours, theirs in zip(jax.tree.leaves(streamed[:2]), jax.tree.leaves(expected[:2]), strict=True):
        np.testing.assert_array_equal(ours, theirs)
    assert (streamed.epochs, streamed.m) == (expected.epochs, expected.m) == (3, 103)


@pytest.mark.parametrize("window", [10, 11, 40, 100])
def test_rows_as_they_stand_need_no_window(window):
    """103 rows leave a last window that is shorter than a batch."""
    np.testing.assert_allclose(run(key=None, window=window).theta, at_once(key=None).theta, rtol=1e-13)


def test_every_row_is_seen_once_an_epoch_within_its_window_in_an_order_of_its_own():
    rows = np.arange(60.0)[:, None]

    def seen(theta, X, y):
        return {"next": -jnp.ones(()), "rows": -jnp.zeros(60).at[theta["next"].astype(int)].set(X[0, 0])}

    def orders(**settings):
        theta = {"next": 0.0, "rows": np.zeros(60)}
        settings = {"key": KEY, "epochs": 1, "batch_size": 1, "window": 20, **settings}
        return np.asarray(scale.train(seen, optax.sgd(1.0), theta, batches(rows, rows[:, 0]), **settings).theta["rows"])

    order = orders()
    for k in range(3):
        assert sorted(order[20 * k : 20 * k + 20]) == list(range(20 * k, 20 * k + 20))
    shifts = {tuple(order[20 * k : 20 * k + 20] - 20 * k) for k in range(3)}
    assert len(shifts) == 3
    assert tuple(range(20)) not in shifts
    np.testing.assert_array_equal(order, orders())
    assert (order != orders(key=jax.random.key(6))).any()


def test_a_run_that_is_taken_up_ends_as_if_it_had_not_been_interrupted(tmp_path):
    path = tmp_path / "run.npz"
    expected = run(epochs=5, window=40)
    run(epochs=2, window=40, checkpoint=path)
    again = run(epochs=5, window=40, checkpoint=path)
    for ours, theirs in zip(jax.tree.leaves(again[:2]), jax.tree.leaves(expected[:2]), strict=True):
        np.testing.assert_array_equal(ours, theirs)
    assert again.m == 103
    with pytest.raises(CheckpointError, match=r"differs in the window \(40 in the file, 50 in this call\)"):
        run(epochs=5, window=50, checkpoint=path)
    with pytest.raises(CheckpointError, match="more than the 3 asked for"):
        run(window=40, checkpoint=path)
    with pytest.raises(OSError, match="nowhere"):
        run(checkpoint=tmp_path / "nowhere" / "run.npz")


@pytest.mark.parametrize(
    ("changes", "name"),
    [
        ({"source": batches(X + 1e-9)}, "the first rows of X"),
        ({"source": batches(y=-Y)}, "the first rows of y"),
        ({"gradient": twice}, "the gradient"),
        ({"optimizer": optimizers.adam(0.06)}, "the optimizer or its settings"),
        ({"theta": np.ones(3)}, "the start theta"),
        ({"penalty": 1.0}, "the penalty"),
    ],
)
def test_a_checkpoint_does_not_go_on_with_what_would_be_another_run(tmp_path, changes, name):
    path = tmp_path / "run.npz"
    run(window=40, checkpoint=path)
    with pytest.raises(CheckpointError, match=f"another run, which differs in {name};"):
        run(**{"window": 40, "checkpoint": path, "epochs": 4} | changes)


def test_a_fit_of_a_stream_does_not_go_on_with_other_data(tmp_path):
    labels = (Y > 0) * 1.0
    fits = {
        "ridge": (partial(scale.fit_ridge, penalty=1.0), Y),
        "logistic": (partial(scale.fit_logistic, penalty=1.0), labels),
        "softmax": (partial(scale.fit_softmax, classes=2, penalty=1.0), labels),
    }
    for name, (fit, y) in fits.items():
        fitted = fit(batches(y=y), checkpoint=tmp_path / name)
        np.testing.assert_array_equal(fit(batches(y=y), checkpoint=tmp_path / name).theta, fitted.theta)
        for other in (batches(X + 1e-9, y), batches(y=1 - y)):
            with pytest.raises(CheckpointError, match="of a fit of other data: the first rows differ, or their number"):
                fit(other, checkpoint=tmp_path / name)


@pytest.mark.parametrize("key", [KEY, None])
def test_a_penalty_is_that_of_train(key):
    """Each window has its share of the penalty."""
    penalty = np.array([0.0, 5.0, 5.0])
    expected = at_once(key=key, penalty=penalty).theta
    assert not np.allclose(expected, at_once(key=key).theta, rtol=1e-3)
    window = 200 if key is not None else 40
    np.testing.assert_allclose(run(key=key, penalty=penalty, window=window).theta, expected, rtol=1e-13)


def test_a_training_in_memory_goes_on_as_if_it_had_not_stopped():
    started, expected = run(epochs=2, window=40), run(epochs=5, window=40)
    again = run(theta=started, epochs=5, window=40)
    for ours, theirs in zip(jax.tree.leaves(again[:2]), jax.tree.leaves(expected[:2]), strict=True):
        np.testing.assert_array_equal(ours, theirs)
    assert again.epochs == 5
    with pytest.raises(ValueError, match="batch_size must be 20; got 10"):
        run(theta=started, epochs=5, batch_size=20)


LONG = """
import conftest
import sys
from tests.scale.test_training import run
run(epochs=100_000, window=40, checkpoint=sys.argv[1])
"""


def epochs_in(path):
    """The epochs in a checkpoint that is being replaced again and again, atomically."""
    if not path.exists():
        return -1
    with np.load(path) as file:
        return int(file["tree.epochs"])


def test_a_run_that_is_killed_ends_as_if_it_had_not_been(tmp_path):
    path = tmp_path / "run.npz"
    child = subprocess.Popen([sys.executable, "-c", LONG, path], cwd=Path(__file__).parent.parent.parent)
    try:
        while child.poll() is None and epochs_in(path) < 20:
            time.sleep(0.01)
    finally:
        child.kill()
        child.wait()
    assert child.returncode == -signal.SIGKILL
    reached = epochs_in(path)
    assert reached >= 20
    np.testing.assert_array_equal(
        run(epochs=reached + 3, window=40, checkpoint=path).theta, run(epochs=reached + 3, window=40).theta
    )


def test_a_row_that_breaks_the_run_is_named():
    """Row 57 is finite, its square is not."""
    huge = X.copy()
    huge[57, 1] = 1e200
    stopped = run(batches(huge), window=40, key=None)
    assert stopped.stop is not None
    assert stopped.stop.epoch == 1
    assert 57 in stopped.stop.examples
    assert stopped.stop.step == 6
    assert np.isfinite(stopped.theta).all()


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"source": []}, DataError, "at least one row"),
        ({"source": iter(batches())}, TypeError, "iterable more than once"),
        ({"source": [(X, Y[:5])]}, DataError, "from list, row 0 on: a batch must be"),
        ({"window": 0}, ValueError, "window must be at least 1 row; got 0"),
        ({"window": 2.5}, TypeError, "window must be a whole number; got 2.5"),
        ({"batch_size": 0}, ValueError, "batch_size must be between 1"),
        ({"epochs": -1}, ValueError, "epochs must be at least 0"),
        ({"gradient": noisy, "key": None}, TypeError, "gradient takes a key"),
    ],
)
def test_what_cannot_be_trained_on_is_refused(settings, error, message):
    with pytest.raises(error, match=message):
        run(**settings)


def test_a_second_run_traces_nothing():
    traced = []

    def gradient(theta, X, y):
        traced.append(1)
        return linear.gradient(theta, X, y)

    run(gradient=gradient, window=40)
    before = len(traced)
    run(gradient=gradient, window=40, epochs=7)
    assert len(traced) == before
