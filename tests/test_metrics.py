"""Metrics against scikit-learn, with weights, inside jit and vmap, and what they refuse."""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from sklearn import metrics as peer

from jax_course import metrics

M, K = 60, 3
RNG = np.random.default_rng(0)
WEIGHTS = RNG.integers(0, 4, M).astype(float)
Y = RNG.integers(0, 2, M)
CLASSES = RNG.integers(0, K, M)
SCORES = np.round(RNG.standard_normal(M) + Y, 1)  # many are equal
PI = 1 / (1 + np.exp(-SCORES))
PIS = np.asarray(RNG.dirichlet(np.ones(K), M))
NUMBERS, FITTED = RNG.standard_normal(M) + 1e3, RNG.standard_normal(M) + 1e3
OTHERS = np.where(RNG.random(M) < 0.6, CLASSES, RNG.integers(0, K, M))


def brier_of_classes(y, pi, sample_weight=None):
    """scikit-learn has it from 1.7 on."""
    return np.average(np.sum((pi - np.eye(K)[y]) ** 2, axis=1), weights=sample_weight)


CASES: dict[str, Any] = {
    "accuracy": (metrics.accuracy, peer.accuracy_score, CLASSES, OTHERS),
    "accuracy of truth values": (metrics.accuracy, peer.accuracy_score, Y > 0, SCORES > 0.5),
    "confusion": (metrics.confusion, peer.confusion_matrix, CLASSES, OTHERS),
    "log_loss": (metrics.log_loss, peer.log_loss, Y, PI),
    "log_loss of classes": (metrics.log_loss, peer.log_loss, CLASSES, PIS),
    "brier": (metrics.brier, peer.brier_score_loss, Y, PI),
    "brier of classes": (metrics.brier, brier_of_classes, CLASSES, PIS),
    "r_squared": (metrics.r_squared, peer.r2_score, NUMBERS, FITTED),
    "roc_auc": (metrics.roc_auc, peer.roc_auc_score, Y, SCORES),
}
EACH = pytest.mark.parametrize(("ours", "theirs", "y", "predicted"), CASES.values(), ids=CASES)


@EACH
def test_a_metric_is_that_of_scikit_learn(ours, theirs, y, predicted):
    np.testing.assert_allclose(ours(y, predicted), theirs(y, predicted), rtol=1e-12)
    weighted = theirs(y, predicted, sample_weight=WEIGHTS)
    np.testing.assert_allclose(ours(y, predicted, weights=WEIGHTS), weighted, rtol=1e-12)


@EACH
def test_weight_two_is_two_examples_and_weight_zero_is_none(ours, theirs, y, predicted):
    counts = WEIGHTS.astype(int)
    np.testing.assert_allclose(
        ours(y, predicted, weights=counts), ours(y.repeat(counts), predicted.repeat(counts, axis=0)), rtol=1e-12
    )


@EACH
def test_jit_and_vmap_give_the_value_of_a_call(ours, theirs, y, predicted):
    if ours is metrics.confusion:
        ours = partial(ours, classes=K)
    subsets = np.stack([WEIGHTS, np.ones(M), np.arange(M) % 2])
    each = [ours(y, predicted, weights=w) for w in subsets]
    np.testing.assert_allclose(jax.vmap(lambda w: ours(y, predicted, weights=w))(subsets), each, rtol=1e-12)
    batched = jax.jit(jax.vmap(lambda y, p, w: ours(y, p, weights=w), in_axes=(None, None, 0)))
    np.testing.assert_allclose(batched(y, predicted, subsets), each, rtol=1e-12)


@EACH
def test_in_float32_a_metric_stays_float32(ours, theirs, y, predicted):
    with jax.enable_x64(False):
        y, predicted = (a.astype(np.float32) if a.dtype == np.float64 else a for a in (y, predicted))
        value = ours(y, predicted, weights=WEIGHTS.astype(np.float32))
    assert value.dtype == np.float32
    np.testing.assert_allclose(value, theirs(y, predicted, sample_weight=WEIGHTS), rtol=1e-3, atol=1e-5)


def test_an_example_of_weight_zero_is_none_even_where_its_value_is_infinite():
    certain, w = np.array([0.0, 0.5]), np.array([0.0, 2.0])
    value, slope = jax.value_and_grad(lambda pi: metrics.log_loss(np.array([1, 1]), pi, weights=w))(certain)
    np.testing.assert_allclose(value, np.log(2), rtol=1e-15)
    np.testing.assert_allclose(slope, [0.0, -2.0], rtol=1e-15)
    assert metrics.log_loss([1, 1], certain) == np.inf


def test_a_tiny_probability_keeps_its_digits():
    np.testing.assert_allclose(metrics.log_loss([0], [1e-20]), 1e-20, rtol=1e-15)


def test_inside_jit_predictions_of_weight_zero_may_be_nan():
    share = jax.jit(metrics.r_squared)(np.array([1.0, 2, 3]), np.array([1.0, 2, np.nan]), weights=np.array([1.0, 1, 0]))
    assert share == 1


def test_the_share_explained_of_a_constant_is_nan():
    y, weights = np.array([7.0, *np.full(9, 0.1)]), np.array([0.0, *np.linspace(0.1, 0.9, 9)])
    assert np.isnan(metrics.r_squared(y, y + 0.1, weights=weights))


def test_labels_of_any_dtype_are_the_same_classes():
    for dtype in (bool, "uint8", "int64", "uint64", "float64"):
        assert metrics.accuracy(Y.astype(dtype), Y) == 1
        assert metrics.roc_auc(Y.astype(dtype), SCORES) == metrics.roc_auc(Y, SCORES)


X: Any = np.ones((2, 2))


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (
            lambda: metrics.accuracy([0, 1], [0, 1, 1]),
            ValueError,
            r"predicted must have shape \(2,\).*got shape \(3,\)",
        ),
        (lambda: metrics.accuracy([0, 1], [0.2, 0.7]), ValueError, "predicted must hold class numbers.*got 0.2"),
        (lambda: metrics.accuracy([0, -1], [0, 1]), ValueError, "y must hold class numbers.*got -1: .* data.encode"),
        (lambda: metrics.accuracy([], []), ValueError, r"y must have shape \(m,\).*got shape \(0,\)"),
        (lambda: metrics.accuracy([0], [0], weights=[0.0]), ValueError, "weights must not all be 0"),
        (lambda: metrics.accuracy([0, 1], [0, 1], weights=[1.0]), ValueError, r"shape \(2,\), one per example; got"),
        (lambda: metrics.accuracy([0], [0], weights=-1.0), ValueError, "weights must be finite and at least 0; got -1"),
        (lambda: metrics.confusion([0, 3], [0, 1], classes=3), ValueError, "y must hold class numbers 0…2; got 3"),
        (lambda: metrics.confusion([0], [0], classes=1), ValueError, "classes must be at least 2; got 1"),
        (lambda: jax.jit(metrics.confusion)(Y, Y), ValueError, "inside jit the number of classes must be given"),
        (lambda: metrics.log_loss([0, 2], [0.1, 0.2]), ValueError, "y must hold class numbers 0…1; got 2"),
        (lambda: metrics.log_loss([0, 1], [0.1, 3.0]), ValueError, r"between 0 and 1; pi\[1\] is 3.0"),
        (lambda: metrics.brier([0, 1], X), ValueError, r"sum to 1; pi\[0\] is \[1. 1.\]"),
        (lambda: metrics.brier([0, 1], X[:, :1]), ValueError, r"write pi\[:, 0\]"),
        (lambda: metrics.brier([0, 1], [0, 1]), TypeError, "pi must hold floating-point numbers; got int64"),
        (lambda: metrics.r_squared([0.0, 1.0], [np.nan, 1.0]), ValueError, r"predicted\[0\] is nan"),
        (lambda: metrics.r_squared([0.0], X[0]), ValueError, r"y must have shape \(2,\), that of the predictions"),
        (lambda: metrics.roc_auc([1, 1], [0.1, 0.2]), ValueError, "examples of both classes that count; all are 1"),
        (lambda: metrics.roc_auc([0, 1], [np.nan, 0.2]), ValueError, "one of them is NaN"),
        (lambda: metrics.roc_auc([0, 1], X), TypeError, r"scores must hold real numbers, shape \(m,\); got"),
    ],
)
def test_what_is_no_prediction_is_refused(call, error, message):
    with pytest.raises(error, match=message):
        call()


def test_inside_jit_what_would_be_refused_is_nan():
    @jax.jit
    def values(y, pi, pis, w):
        of_two = [metric(y, pi, weights=w) for metric in (metrics.log_loss, metrics.brier, metrics.roc_auc)]
        of_more = [metric(y, pis, weights=w) for metric in (metrics.log_loss, metrics.brier)]
        return jnp.stack([*of_two, *of_more, metrics.accuracy(y, y, weights=w)])

    y, pi, pis, w = np.array([0.0, 1, 1]), np.array([0.2, 0.3, 0.4]), np.full((3, 2), 0.5), np.ones(3)
    assert np.all(np.isfinite(values(y, pi, pis, w)))
    assert np.all(np.isnan(values(np.array([0, 1, 0.5]), pi, pis, w)))
    assert np.all(np.isnan(values(np.array([0, 1, -1]), pi, pis, w)))
    assert np.all(np.isnan(values(y, np.array([0.2, 0.3, np.nan]), 2 * pis, w)[:-1]))
    assert np.all(np.isnan(values(y, pi, pis, -w)))
    out_of_range = jax.jit(partial(metrics.confusion, classes=2))(np.array([0, 1, 2]), np.array([0, 1, 1]))
    assert np.all(np.isnan(out_of_range))
