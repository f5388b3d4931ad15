"""The fit inside jit, whose stages share one loop, against the stages outside."""

from typing import Any

import jax
import numpy as np
import pytest

from jax_course import Status, logistic, softmax

M, D, K = 40, 4, 3
RNG = np.random.default_rng(3)
NOISE = RNG.standard_normal((M, D))
GROUP = np.repeat([0.0, 1.0], M // 2)
LABELS = RNG.integers(0, 2, M)


INSIDE: dict[object, Any] = {
    logistic: jax.jit(lambda X, y, penalty: logistic.fit(X, y, penalty=penalty)),
    softmax: jax.jit(lambda X, y, penalty: softmax.fit(X, y, classes=K, penalty=penalty)),
}
OUTSIDE: dict[object, Any] = {
    logistic: lambda X, y, penalty: logistic.fit(X, y, penalty=penalty),
    softmax: lambda X, y, penalty: softmax.fit(X, y, classes=K, penalty=penalty),
}


def classes(model, y):
    """Class numbers, of the third class too for softmax regression."""
    return np.where(np.arange(M) % 5 == 0, 2, y) if model is softmax else y


def with_columns(*columns):
    return np.column_stack([*columns, NOISE])[:, :D]


FREE, HELD, ONE_HELD = np.zeros((D, 1)), np.ones((D, 1)), np.eye(D)[:, 1:2]
EASY = with_columns(np.ones(M))
BELOW = np.where(GROUP == 1, 1, LABELS)  # all of group 1 are of class 1
CASES = [
    ("well-conditioned", EASY, LABELS, FREE, Status.CONVERGED),
    ("with a penalty", EASY, LABELS, HELD, Status.CONVERGED),
    ("far from 0", with_columns(np.ones(M), NOISE[:, 3] + 1e4), LABELS, FREE, Status.CONVERGED),
    ("dependent columns", with_columns(NOISE[:, 0] + NOISE[:, 1]), LABELS, FREE, Status.RANK_DEFICIENT),
    ("twice the same column, a penalty on one", EASY[:, [0, 1, 1, 2]], LABELS, ONE_HELD, Status.CONVERGED),
    ("a column of zeros", with_columns(np.zeros(M)), LABELS, FREE, Status.RANK_DEFICIENT),
    ("separable by a group", with_columns(np.ones(M), GROUP), BELOW, FREE, Status.SEPARABLE),
    ("separable by a column with a penalty", with_columns(np.ones(M), GROUP), BELOW, HELD, Status.CONVERGED),
]  # fmt: skip


@pytest.mark.parametrize("model", [logistic, softmax])
@pytest.mark.parametrize(("name", "X", "y", "penalty", "status"), CASES, ids=[case[0] for case in CASES])
def test_a_fit_inside_jit_ends_as_outside(name, X, y, penalty, status, model):
    penalty = penalty * np.ones(K) if model is softmax else penalty[:, 0]
    y = BELOW + (GROUP == 1) * (np.arange(M) % 2) if model is softmax and y is BELOW else classes(model, y)
    inside, outside = (jax.device_get(fit[model](X, y, penalty)) for fit in (INSIDE, OUTSIDE))
    assert Status(int(inside.status)) is Status(int(outside.status)) is status
    assert int(inside.method) == int(outside.method)
    if status in (Status.CONVERGED, Status.RANK_DEFICIENT):
        np.testing.assert_allclose(inside.theta, outside.theta, rtol=1e-7, atol=1e-9 * np.abs(outside.theta).max())
        np.testing.assert_allclose(inside.cost, outside.cost, rtol=1e-12)


def test_complete_separation_ends_a_fit_inside_jit_early():
    X, y = NOISE, (NOISE[:, 0] > 0) * 1
    solution = INSIDE[logistic](X, y, np.zeros(D))
    assert Status(int(solution.status)) is Status.SEPARABLE
    assert int(solution.steps) < 20


def test_what_is_not_finite_shows_in_the_status_inside_jit():
    X = np.where(np.arange(M * D).reshape(M, D) == 7, np.nan, NOISE)
    assert Status(int(INSIDE[logistic](X, LABELS, np.zeros(D)).status)) is Status.NOT_FINITE


def test_a_batch_inside_jit_ends_as_its_members():
    """An easy problem, one that is separated, and one whose columns depend on each other."""
    designs = np.stack([EASY, NOISE, with_columns(NOISE[:, 0] + NOISE[:, 1])])
    labels = np.stack([LABELS, (NOISE[:, 0] > 0) * 1, LABELS])
    one = INSIDE[logistic]
    batch = jax.device_get(jax.jit(jax.vmap(logistic.fit))(designs, labels))
    for i in range(3):
        alone = jax.device_get(one(designs[i], labels[i], np.zeros(D)))
        assert batch.status[i] == alone.status == (Status.CONVERGED, Status.SEPARABLE, Status.RANK_DEFICIENT)[i]
        assert batch.steps[i] == alone.steps
        if i != 1:
            np.testing.assert_allclose(batch.theta[i], alone.theta, rtol=1e-9)
