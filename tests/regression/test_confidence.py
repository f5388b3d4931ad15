import jax
import jax.numpy as jnp
import numpy as np
import pytest
import statsmodels.api as sm

from jax_course import data, features, linear
from jax_course.linalg import inverse_root
from tests import references


def diabetes():
    table = data.table("diabetes")
    X = np.asarray(features.with_bias(table.X))
    return X, np.asarray(table.y), linear.fit(X, table.y).theta


@pytest.fixture(scope="module")
def peer():
    X, y, _ = diabetes()
    return sm.OLS(y, X).fit()


def test_errors_and_intervals_are_those_of_statsmodels(peer):
    X, y, theta = diabetes()
    np.testing.assert_allclose(linear.covariance(theta, X, y), peer.cov_params(), rtol=1e-10, atol=1e-10)
    np.testing.assert_allclose(linear.standard_errors(theta, X, y), peer.bse, rtol=1e-10)
    for confidence in (0.5, 0.95, 0.999):
        interval = linear.confidence_interval(theta, X, y, confidence=confidence)
        np.testing.assert_allclose(np.stack(interval, axis=1), peer.conf_int(1 - confidence), rtol=1e-10)


def test_bands_are_those_of_statsmodels(peer):
    X, y, theta = diabetes()
    X_new = X[:7] * 1.5
    frame = peer.get_prediction(X_new).summary_frame(alpha=0.1)
    mean = linear.mean_interval(theta, X, y, X_new, confidence=0.9)
    new = linear.predict_interval(theta, X, y, X_new, confidence=0.9)
    for ours, theirs in zip(
        [*mean, *new], ("mean_ci_lower", "mean_ci_upper", "obs_ci_lower", "obs_ci_upper"), strict=True
    ):
        np.testing.assert_allclose(ours, frame[theirs], rtol=1e-10)


def test_the_other_convention_divides_by_m():
    X, y, theta = diabetes()
    m, d = X.shape
    by_m = linear.standard_errors(theta, X, y, variance=linear.noise_variance)
    np.testing.assert_allclose(by_m, linear.standard_errors(theta, X, y) * np.sqrt((m - d) / m), rtol=1e-13)
    width = [
        interval.upper - interval.lower
        for interval in (
            linear.confidence_interval(theta, X, y, variance=linear.noise_variance),
            linear.confidence_interval(theta, X, y),
        )
    ]
    np.testing.assert_allclose(width[0] / width[1], np.sqrt((m - d) / m), rtol=1e-10)


def test_standard_errors_are_the_certified_ones():
    for X, y, certified, digits in (
        (references.LONGLEY_X, references.LONGLEY_Y, references.LONGLEY_STANDARD_ERRORS, 1e-11),
        (references.NORRIS_X[:, None], references.NORRIS_Y, references.NORRIS_STANDARD_ERRORS, 1e-12),
    ):
        Phi = features.with_bias(X)
        np.testing.assert_allclose(linear.standard_errors(linear.fit(Phi, y).theta, Phi, y), certified, rtol=digits)


def test_the_covariance_is_the_inverse_hessian_of_the_likelihood():
    X, y, theta = diabetes()
    sigma2 = linear.unbiased_noise_variance(theta, X, y)
    expected = np.linalg.inv(linear.hessian(theta, X, y) / (2 * sigma2))
    np.testing.assert_allclose(linear.covariance(theta, X, y), expected, rtol=1e-8, atol=1e-12)


def test_a_band_by_hand():
    """Points at x = −1, 0, 1, y = 0, 3, 0: θ = (1, 0), residuals −1, 2, −1, σ² = 6, h = ⅓ + x²/2; ν = 1."""
    X, y = jnp.array([[1.0, -1], [1, 0], [1, 1]]), jnp.array([0.0, 3, 0])
    theta = linear.fit(X, y).theta
    X_new = jnp.array([[1.0, 0], [1, 2]])
    mean = linear.mean_interval(theta, X, y, X_new, confidence=0.5)
    new = linear.predict_interval(theta, X, y, X_new, confidence=0.5)
    np.testing.assert_allclose(mean.upper, 1 + np.sqrt([2.0, 14]), rtol=1e-12)
    np.testing.assert_allclose(new.lower, 1 - np.sqrt([8.0, 20]), rtol=1e-12)


def test_intervals_in_all_precisions_and_inside_jit_and_vmap(precision):
    X = jnp.asarray(np.random.default_rng(0).standard_normal((20, 3)), precision.dtype)
    Y = jnp.asarray(np.random.default_rng(1).standard_normal((5, 20)), precision.dtype)

    def band(y):
        return linear.predict_interval(linear.fit(X, y).theta, X, y, X[:4])

    bands, alone = jax.jit(jax.vmap(band))(Y), band(Y[2])
    assert bands.lower.dtype == precision.dtype
    np.testing.assert_allclose(bands.upper[2], alone.upper, rtol=100 * precision.tolerance)
    exact = sm.OLS(np.asarray(Y[2], float), np.asarray(X, float)).fit().get_prediction(np.asarray(X[:4], float))
    np.testing.assert_allclose(alone.lower, exact.conf_int(obs=True)[:, 0], rtol=100 * precision.tolerance)


def test_an_inverse_root_is_one():
    X = np.random.default_rng(0).standard_normal((9, 4)) * [1, 1e6, 1e-6, 1]
    W = np.asarray(inverse_root(jnp.asarray(X)))
    np.testing.assert_allclose(W.T @ X.T @ X @ W, np.eye(4), atol=1e-12)


def test_dependent_columns_are_refused_and_nan_in_jit():
    X, y = np.ones((5, 2)), np.arange(5.0)
    for function in (linear.covariance, linear.standard_errors, linear.confidence_interval):
        with pytest.raises(ValueError, match="the columns of X depend on each other"):
            function(np.zeros(2), X, y)
        leaves = jax.tree.leaves(jax.jit(function)(np.zeros(2), X, y))
        assert all(np.isnan(leaf).all() for leaf in leaves)


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"confidence": 95}, ValueError, "confidence must lie between 0 and 1; got 95"),
        (
            {"X_new": np.ones((3, 2))},
            ValueError,
            r"X_new must have shape \(n, 3\), the columns of X; got shape \(3, 2\)",
        ),
        ({"X_new": np.ones((3, 3), np.float32)}, TypeError, "X_new must have the dtype of X, float64; got float32"),
        ({"X": np.eye(3), "y": np.ones(3)}, ValueError, "an interval needs more rows than columns in X"),
    ],
)
def test_what_gives_no_band_is_refused(change, error, message):
    rng = np.random.default_rng(0)
    given = {"theta": np.zeros(3), "X": rng.standard_normal((8, 3)), "y": np.ones(8), "X_new": np.ones((2, 3))} | change
    for function in (linear.mean_interval, linear.predict_interval):
        with pytest.raises(error, match=message):
            function(**given)


def test_the_bands_hold_the_truth_as_often_as_they_promise():
    """10,000 data sets at once: 95 ± 0.5 %, on the data and off them."""
    rng = np.random.default_rng(0)
    X = np.asarray(features.with_bias(rng.standard_normal((9, 1))))
    X_new, truth = np.array([[1.0, 0.0], [1.0, 5.0]]), np.ones(2)
    Y = (X @ truth)[None, :] + rng.standard_normal((10_000, 9))
    Y_new = (X_new @ truth)[None, :] + rng.standard_normal((10_000, 2))

    @jax.jit
    @jax.vmap
    def held(y, y_new):
        theta = linear.fit(X, y).theta
        of_theta = linear.confidence_interval(theta, X, y)
        mean, new = (band(theta, X, y, X_new) for band in (linear.mean_interval, linear.predict_interval))
        pairs = ((of_theta, truth), (mean, X_new @ truth), (new, y_new))
        return jnp.stack([(interval.lower < value) & (value < interval.upper) for interval, value in pairs])

    np.testing.assert_allclose(np.mean(np.asarray(held(Y, Y_new)), axis=0), 0.95, atol=0.005)
