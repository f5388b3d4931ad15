from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import statsmodels.api as sm

from jax_course import logistic, softmax
from jax_course.probability import intervals
from tests import references
from tests.classification import literal

M, D, K = 200, 3, 3
FUNCTIONS = "covariance", "standard_errors", "confidence_interval", "predict_interval"
COMPILED = {(model, name): jax.jit(getattr(model, name)) for model in (logistic, softmax) for name in FUNCTIONS}


def three_classes():
    rng = np.random.default_rng(0)
    X = np.concatenate([np.ones((M, 1)), rng.standard_normal((M, 2)) * [1.0, 100.0]], axis=1)
    Z = X @ np.array([[0.0, 0.5, -0.5], [0.0, 1.0, 2.0], [0.0, 0.01, -0.02]])
    return X, np.argmax(Z + rng.gumbel(size=Z.shape), axis=1)


X, Y = three_classes()
FIRST = X[:3]
FITTED = {logistic: literal.minimum((D,), X, Y > 0), softmax: literal.minimum((D, K), X, Y)}


def interval(model, name, *data, confidence=0.9, **others):
    return np.stack(COMPILED[model, name](*data, confidence=confidence, **others))


def test_logistic_errors_and_intervals_are_those_of_statsmodels():
    X, y = references.SPECTOR_X, references.SPECTOR_Y
    theta = literal.minimum((4,), X, y)
    peer = sm.Logit(y, X).fit(disp=0, tol=1e-14, maxiter=100)
    np.testing.assert_allclose(COMPILED[logistic, "covariance"](theta, X), peer.cov_params(), rtol=1e-10)
    np.testing.assert_allclose(COMPILED[logistic, "standard_errors"](theta, X), peer.bse, rtol=1e-10)
    found = interval(logistic, "confidence_interval", theta, X)
    np.testing.assert_allclose(found.T, peer.conf_int(0.1), rtol=1e-10)
    expected = sm.GLM(y, X, family=sm.families.Binomial()).fit(tol=1e-14).get_prediction(X).summary_frame(alpha=0.1)
    lower, upper = interval(logistic, "predict_interval", theta, X, X)
    np.testing.assert_allclose(lower, expected["mean_ci_lower"], rtol=1e-9)
    np.testing.assert_allclose(upper, expected["mean_ci_upper"], rtol=1e-9)


def test_softmax_errors_and_intervals_are_those_of_statsmodels():
    theta = FITTED[softmax]
    peer = sm.MNLogit(Y, X).fit(disp=0, tol=1e-14, maxiter=100, method="newton")
    errors = np.asarray(COMPILED[softmax, "standard_errors"](theta, X))
    np.testing.assert_allclose(errors[:, 1:], peer.bse, rtol=1e-10)
    found = interval(softmax, "confidence_interval", theta, X)
    np.testing.assert_allclose(found[:, :, 1:].T, peer.conf_int(0.1).reshape(K - 1, D, 2), rtol=1e-9)


def test_the_covariances_are_inverse_hessians():
    H, cov = literal.hessian(FITTED[softmax], X), np.asarray(COMPILED[softmax, "covariance"](FITTED[softmax], X))
    np.testing.assert_allclose(cov.sum(axis=1), 0, atol=1e-12)
    cov = cov.reshape(D * K, D * K)
    np.testing.assert_allclose(H @ cov @ H, H, rtol=1e-9, atol=1e-9 * np.max(np.abs(H)))
    H, cov = literal.hessian(FITTED[logistic], X), np.asarray(COMPILED[logistic, "covariance"](FITTED[logistic], X))
    np.testing.assert_allclose(H @ cov, np.eye(3), atol=1e-9)


def test_two_classes_have_the_intervals_of_logistic_regression():
    theta = FITTED[logistic]
    pair = np.stack([-theta / 2, theta / 2], axis=1)
    errors, expected = COMPILED[softmax, "standard_errors"](pair, X), COMPILED[logistic, "standard_errors"](theta, X)
    np.testing.assert_allclose(np.asarray(errors)[:, 1], expected, rtol=1e-9)
    found, expected = (interval(m, "predict_interval", at, X, FIRST) for m, at in ((softmax, pair), (logistic, theta)))
    np.testing.assert_allclose(found[:, :, 1], expected, rtol=1e-8)


def test_a_class_that_hardly_occurs_costs_the_others_no_digits():
    theta = FITTED[logistic]
    rare = np.append(-23.0, np.zeros(D - 1))  # π = 1e-10: a variance of 1e10 / M beside those of the other two
    errors = np.asarray(COMPILED[softmax, "standard_errors"](np.stack([-theta / 2, theta / 2, rare], axis=1), X))
    np.testing.assert_allclose(errors[:, 1], COMPILED[logistic, "standard_errors"](theta, X), rtol=1e-9)


def test_the_deviation_of_a_probability_is_that_of_the_delta_method():
    theta = FITTED[softmax]

    def eta(theta):
        pi = softmax.predict(theta, FIRST)
        return jnp.log(pi / (1 - pi))

    at, slopes = jax.jit(lambda theta: (eta(theta), jax.jacobian(eta)(theta)))(theta)
    cov = np.asarray(COMPILED[softmax, "covariance"](theta, X))
    deviation = np.sqrt(np.einsum("icjk,jkln,icln->ic", slopes, cov, slopes))
    one_deviation = 0.6826894921370859
    lower, upper = interval(softmax, "predict_interval", theta, X, FIRST, confidence=one_deviation)
    np.testing.assert_allclose(np.log(lower / (1 - lower)), at - deviation, rtol=1e-9)
    np.testing.assert_allclose(np.log(upper / (1 - upper)), at + deviation, rtol=1e-9)


def test_another_reference_class():
    theta = FITTED[softmax]
    against_0 = np.asarray(COMPILED[softmax, "standard_errors"](theta, X))
    against_2 = np.asarray(jax.jit(partial(softmax.standard_errors, reference=2))(theta, X))
    np.testing.assert_allclose(against_0[:, 2], against_2[:, 0], rtol=1e-12)
    with pytest.raises(ValueError, match="reference must be a class 0…2; got 3"):
        jax.jit(partial(softmax.confidence_interval, reference=3))(theta, X)


@pytest.mark.parametrize("model", [logistic, softmax])
def test_a_weight_of_two_is_two_examples(model):
    counts = np.append(np.arange(M - 2) % 3, [1, 1])  # as many as there are examples
    again = X.repeat(counts, axis=0)

    @jax.jit
    def covariance_and_band(X, weights):
        functions = (
            partial(model.covariance, weights=weights),
            partial(model.predict_interval, X_new=FIRST, weights=weights),
        )
        return [function(FITTED[model], X) for function in functions]

    with_counts, repeated = covariance_and_band(X, counts), covariance_and_band(again, np.ones(M, int))
    for found, expected in zip(with_counts, repeated, strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-15)


@pytest.mark.parametrize("model", [logistic, softmax])
def test_a_covariance_is_differentiated_by_weights_also_where_one_is_0(model):
    weights, h = np.append(0.0, np.ones(M - 1)), 1e-4

    @jax.jit
    def size(weights):
        return jnp.sum(model.covariance(FITTED[model], X, weights=weights) ** 2)

    at = [float(size(np.append(k * h, weights[1:]))) for k in range(5)]
    expected = np.dot([-25, 48, -36, 16, -3], at) / (12 * h)
    np.testing.assert_allclose(jax.jit(jax.grad(size))(weights)[0], expected, rtol=1e-7)


FAR = np.array([[1.0, 50.0, 5000.0], [1.0, 0.0, 0.0], [1.0, -50.0, -5000.0]])


@pytest.mark.parametrize("model", [logistic, softmax])
def test_far_from_the_examples_the_ends_are_probabilities_still(model, width):
    theta, examples, far = (a.astype(width.dtype) for a in (FITTED[model], X, FAR))
    lower, upper = interval(model, "predict_interval", theta, examples, far)
    assert np.all(lower >= 0)
    assert np.all(upper <= 1)
    assert np.all(lower <= upper)


@pytest.mark.parametrize("model", [logistic, softmax])
def test_intervals_keep_the_dtype(model, precision):
    data = [a.astype(precision.dtype) for a in (FITTED[model], X, FAR)]
    for name, function in ((name, getattr(model, name)) for name in FUNCTIONS):
        for end in jax.tree.leaves(jax.eval_shape(function, *data[: 3 if name == "predict_interval" else 2])):
            assert end.dtype == precision.dtype, name


def test_where_the_hessian_is_singular_there_is_no_interval(monkeypatch):
    monkeypatch.setattr(intervals, "inverse_root", jax.jit(intervals.inverse_root))  # many programs otherwise
    X = np.ones((5, 2))
    for model, theta in ((logistic, np.zeros(2)), (softmax, np.zeros((2, K)))):
        with pytest.raises(ValueError, match="the Hessian is singular: columns of X depend on each other"):
            model.covariance(theta, X)
        assert np.isnan(jax.jit(model.covariance)(theta, X)).all()
        with pytest.raises(ValueError, match="every π is 0 or 1"):
            model.standard_errors(theta + 1e4 * np.arange(theta.size).reshape(theta.shape), np.eye(5, 2))
