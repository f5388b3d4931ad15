import jax
import jax.numpy as jnp
import numpy as np
import pytest
import statsmodels.api as sm

from jax_course import logistic, softmax
from tests import references

K = 3


def three_classes(m=200):
    rng = np.random.default_rng(0)
    X = np.concatenate([np.ones((m, 1)), rng.standard_normal((m, 2)) * [1.0, 100.0]], axis=1)
    Z = X @ np.array([[0.0, 0.5, -0.5], [0.0, 1.0, 2.0], [0.0, 0.01, -0.02]])
    return X, np.argmax(Z + rng.gumbel(size=Z.shape), axis=1)


def test_logistic_errors_and_intervals_are_those_of_statsmodels():
    X, y = references.SPECTOR_X, references.SPECTOR_Y
    theta = logistic.fit(X, y).check().theta
    peer = sm.Logit(y, X).fit(disp=0, tol=1e-14, maxiter=100)
    np.testing.assert_allclose(logistic.covariance(theta, X), peer.cov_params(), rtol=1e-10)
    np.testing.assert_allclose(logistic.standard_errors(theta, X), peer.bse, rtol=1e-10)
    interval = logistic.confidence_interval(theta, X, confidence=0.9)
    np.testing.assert_allclose(np.stack(interval, axis=1), peer.conf_int(0.1), rtol=1e-10)
    expected = sm.GLM(y, X, family=sm.families.Binomial()).fit(tol=1e-14).get_prediction(X).summary_frame(alpha=0.1)
    band = logistic.predict_interval(theta, X, X, confidence=0.9)
    np.testing.assert_allclose(band.lower, expected["mean_ci_lower"], rtol=1e-9)
    np.testing.assert_allclose(band.upper, expected["mean_ci_upper"], rtol=1e-9)


def test_softmax_errors_and_intervals_are_those_of_statsmodels():
    X, y = three_classes()
    theta = softmax.fit(X, y).check().theta
    peer = sm.MNLogit(y, X).fit(disp=0, tol=1e-14, maxiter=100, method="newton")
    np.testing.assert_allclose(softmax.standard_errors(theta, X)[:, 1:], peer.bse, rtol=1e-10)
    interval = softmax.confidence_interval(theta, X, confidence=0.9)
    theirs = peer.conf_int(0.1).reshape(K - 1, 3, 2)
    np.testing.assert_allclose(interval.lower[:, 1:].T, theirs[..., 0], rtol=1e-9)
    np.testing.assert_allclose(interval.upper[:, 1:].T, theirs[..., 1], rtol=1e-9)


def test_the_covariances_are_inverse_hessians():
    X, y = three_classes()
    theta = softmax.fit(X, y).theta
    H = np.asarray(softmax.hessian(theta, X, y)).reshape(3 * K, 3 * K)
    cov = np.asarray(softmax.covariance(theta, X)).reshape(3 * K, 3 * K)
    np.testing.assert_allclose(H @ cov @ H, H, rtol=1e-9, atol=1e-9 * np.max(np.abs(H)))
    np.testing.assert_allclose(np.asarray(softmax.covariance(theta, X)).sum(axis=1), 0, atol=1e-12)
    theta = logistic.fit(X, y > 0).theta
    identity = np.asarray(logistic.hessian(theta, X, (y > 0) * 1.0)) @ logistic.covariance(theta, X)
    np.testing.assert_allclose(identity, np.eye(3), atol=1e-9)


def test_two_classes_have_the_intervals_of_logistic_regression():
    X, y = three_classes()
    of_two, of_one = softmax.fit(X, (y > 0) * 1).theta, logistic.fit(X, y > 0).theta
    np.testing.assert_allclose(softmax.standard_errors(of_two, X)[:, 1], logistic.standard_errors(of_one, X), rtol=1e-9)
    ours, theirs = softmax.predict_interval(of_two, X, X[:9]), logistic.predict_interval(of_one, X, X[:9])
    np.testing.assert_allclose(ours.lower[:, 1], theirs.lower, rtol=1e-8)
    np.testing.assert_allclose(ours.upper[:, 1], theirs.upper, rtol=1e-8)


def test_the_deviation_of_a_probability_is_that_of_the_delta_method():
    X, y = three_classes()
    theta, x = softmax.fit(X, y).theta, jnp.asarray(X[:1])

    def eta(theta):
        pi = softmax.predict(theta, x)[0]
        return jnp.log(pi / (1 - pi))

    slopes = jax.jacobian(eta)(theta)
    deviation = jnp.sqrt(jnp.einsum("cjk,jkln,cln->c", slopes, softmax.covariance(theta, X), slopes))
    interval = softmax.predict_interval(theta, X, x, confidence=0.6826894921370859)  # one deviation
    for end, sign in zip(interval, (-1, 1), strict=True):
        np.testing.assert_allclose(jnp.log(end / (1 - end))[0], eta(theta) + sign * deviation, rtol=1e-9)


def test_another_reference_class():
    X, y = three_classes()
    theta = softmax.fit(X, y).theta
    errors = np.stack([softmax.standard_errors(theta, X, reference=r) for r in range(K)])
    np.testing.assert_allclose(errors[0, :, 2], errors[2, :, 0], rtol=1e-12)
    with pytest.raises(ValueError, match="reference must be a class 0…2; got 3"):
        softmax.confidence_interval(theta, X, reference=3)


def test_a_weight_of_two_is_two_examples():
    X, y = three_classes()
    counts = np.arange(200) % 3
    again = X.repeat(counts, axis=0)
    for model, labels in ((logistic, (y > 0) * 1), (softmax, y)):
        theta = model.fit(X, labels, weights=counts).theta
        np.testing.assert_allclose(
            model.covariance(theta, X, weights=counts), model.covariance(theta, again), rtol=1e-9, atol=1e-15
        )
        band, same = (
            model.predict_interval(theta, X, X[:3], weights=counts),
            model.predict_interval(theta, again, X[:3]),
        )
        np.testing.assert_allclose(band.upper, same.upper, rtol=1e-9)


def test_far_from_the_examples_the_ends_are_probabilities_still(precision):
    X, y = three_classes()
    X, far = jnp.asarray(X, precision.dtype), jnp.asarray([[1.0, 50.0, 5000.0], [1.0, 0.0, 0.0]], precision.dtype)
    for model, labels in ((logistic, (y > 0) * 1), (softmax, y)):
        theta = model.fit(X, labels).theta
        interval = jax.jit(model.predict_interval)(theta, X, far)
        assert interval.lower.dtype == precision.dtype
        assert np.all(np.asarray(interval.lower) >= 0)
        assert np.all(np.asarray(interval.upper) <= 1)
        assert np.all(np.asarray(interval.lower) <= np.asarray(interval.upper))


def test_where_the_hessian_is_singular_there_is_no_interval():
    X = np.ones((5, 2))
    for model, theta in ((logistic, np.zeros(2)), (softmax, np.zeros((2, K)))):
        with pytest.raises(ValueError, match="the Hessian is singular: columns of X depend on each other"):
            model.covariance(theta, X)
        assert np.isnan(jax.jit(model.covariance)(theta, X)).all()
        with pytest.raises(ValueError, match="every π is 0 or 1"):
            model.standard_errors(theta + 1e4 * np.arange(theta.size).reshape(theta.shape), np.eye(2))
