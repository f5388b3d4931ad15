from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import statsmodels.api as sm

from jax_course import data, linear
from jax_course.linalg import inverse_root
from tests import references


def diabetes():
    table = data.table("diabetes")
    X, y = np.insert(np.asarray(table.X), 0, 1, axis=1), np.asarray(table.y)
    return X, y, linear.fit(X, y).theta


@pytest.fixture(scope="module")
def peer():
    X, y, _ = diabetes()
    return sm.OLS(y, X).fit()


@jax.jit
def found(theta, X, y, X_new, confidence):
    """What there is to say of a fit and of new rows."""
    given = theta, X, y
    interval = partial(linear.confidence_interval, *given, confidence=confidence)
    return {
        "covariance": linear.covariance(*given),
        "errors": linear.standard_errors(*given),
        "errors by m": linear.standard_errors(*given, variance=linear.noise_variance),
        "interval": interval(),
        "interval by m": interval(variance=linear.noise_variance),
        "mean": linear.mean_interval(*given, X_new, confidence=confidence),
        "new": linear.predict_interval(*given, X_new, confidence=confidence),
        "variance": linear.unbiased_noise_variance(*given),
        "hessian": linear.hessian(*given),
    }


COUNTS = np.random.default_rng(0).integers(0, 4, 442)  # 442 patients, as many weights


def test_weights_are_those_of_a_gaussian_model_of_statsmodels_by_frequencies():
    X, y, _ = diabetes()
    peer = sm.GLM(y, X, freq_weights=COUNTS).fit(use_t=True)
    theta = linear.fit(X, y, weights=COUNTS).theta

    @jax.jit
    def found(theta, X, y, w):
        functions = (
            linear.unbiased_noise_variance,
            linear.covariance,
            linear.standard_errors,
            linear.confidence_interval,
        )
        return [function(theta, X, y, weights=w) for function in functions]

    variance, covariance, errors, interval = found(theta, X, y, COUNTS)
    np.testing.assert_allclose(variance, peer.scale, rtol=1e-12)
    np.testing.assert_allclose(covariance, peer.cov_params(), rtol=1e-10, atol=1e-10)
    np.testing.assert_allclose(errors, peer.bse, rtol=1e-10)
    np.testing.assert_allclose(np.stack(interval, axis=1), peer.conf_int(), rtol=1e-10)


def band_width(X, y, weights, confidence):
    theta = linear.fit(X, y, weights=weights).theta
    band = linear.predict_interval(theta, X, y, X[:3], weights=weights, confidence=confidence)
    return jnp.sum(band.upper - band.lower)


def test_a_band_is_differentiated_by_data_weights_and_confidence():
    """Also where a weight is 0."""
    rng = np.random.default_rng(0)
    weights = np.append(0.0, rng.uniform(0.5, 2, 8))
    given = rng.standard_normal((9, 2)), rng.standard_normal(9), weights, 0.9
    directions = rng.standard_normal((9, 2)), rng.standard_normal(9), np.append(1.0, rng.standard_normal(8)), 0.05
    value, h = jax.jit(band_width), 1e-4

    def at(step):
        return float(value(*(a + step * d for a, d in zip(given, directions, strict=True))))

    expected = (-25 * at(0) + 48 * at(h) - 36 * at(2 * h) + 16 * at(3 * h) - 3 * at(4 * h)) / (12 * h)
    gradients = jax.jit(jax.grad(band_width, (0, 1, 2, 3)))(*given)
    along = sum(np.sum(g * d) for g, d in zip(jax.device_get(gradients), directions, strict=True))
    np.testing.assert_allclose(along, expected, rtol=1e-8)
    np.testing.assert_allclose(jax.jit(partial(jax.jvp, band_width))(given, directions)[1], along, rtol=1e-11)


def test_weights_that_leave_no_freedom_are_refused_and_nan_in_jit():
    X, y, theta = np.random.default_rng(0).standard_normal((5, 2)), np.ones(5), np.zeros(2)
    few = np.array([1.0, 1.0, 0.0, 0.0, 0.0])
    message = r"needs more rows than columns in X; got shape \(5, 2\), weights of sum 2"
    for function in (linear.unbiased_noise_variance, linear.confidence_interval):
        for place in (lambda f: f, jax.jit):  # which closes over the weights
            with pytest.raises(ValueError, match=message):
                place(lambda X, y, f=function: f(theta, X, y, weights=few))(X, y)
    functions = linear.noise_variance, linear.confidence_interval
    within = jax.jit(lambda w: [function(theta, X, y, weights=w) for function in functions])
    variance, interval = within(few)
    assert np.isfinite(variance)
    assert np.isnan(interval).all()
    assert all(np.isnan(leaf).all() for leaf in jax.tree.leaves(within(-few)))


def test_rows_as_many_as_columns_have_an_interval_where_they_count_twice():
    """y = 1, 3 twice: θ = 2, Σ r² = 4, ν = 3."""
    given = np.array([2.0]), np.ones((2, 1)), np.array([1.0, 3.0])
    np.testing.assert_allclose(linear.standard_errors(*given, weights=2.0), np.sqrt(4 / 3 / 4), rtol=1e-14)
    assert np.array_equal(
        linear.confidence_interval(np.ones(1), np.ones((1, 1)), np.ones(1), weights=2.0), np.ones((2, 1))
    )


def diabetes_confidence(confidence=0.95):
    X, y, theta = diabetes()
    return jax.device_get(found(theta, X, y, X[:7] * 1.5, confidence))


def test_errors_and_intervals_are_those_of_statsmodels(peer):
    ours = diabetes_confidence()
    np.testing.assert_allclose(ours["covariance"], peer.cov_params(), rtol=1e-10, atol=1e-10)
    np.testing.assert_allclose(ours["errors"], peer.bse, rtol=1e-10)
    for confidence in (0.5, 0.95, 0.999):
        interval = diabetes_confidence(confidence)["interval"]
        np.testing.assert_allclose(np.stack(interval, axis=1), peer.conf_int(1 - confidence), rtol=1e-10)


def test_bands_are_those_of_statsmodels(peer):
    X, _, _ = diabetes()
    frame = peer.get_prediction(X[:7] * 1.5).summary_frame(alpha=0.1)
    ours = diabetes_confidence(0.9)
    for end, theirs in zip(
        [*ours["mean"], *ours["new"]], ("mean_ci_lower", "mean_ci_upper", "obs_ci_lower", "obs_ci_upper"), strict=True
    ):
        np.testing.assert_allclose(end, frame[theirs], rtol=1e-10)


def test_the_other_convention_divides_by_m():
    X, _, _ = diabetes()
    m, d = X.shape
    ours = diabetes_confidence()
    np.testing.assert_allclose(ours["errors by m"], ours["errors"] * np.sqrt((m - d) / m), rtol=1e-13)
    width = [interval.upper - interval.lower for interval in (ours["interval by m"], ours["interval"])]
    np.testing.assert_allclose(width[0] / width[1], np.sqrt((m - d) / m), rtol=1e-10)


def test_standard_errors_are_the_certified_ones():
    for X, y, certified, digits in (
        (references.LONGLEY_X, references.LONGLEY_Y, references.LONGLEY_STANDARD_ERRORS, 1e-11),
        (references.NORRIS_X[:, None], references.NORRIS_Y, references.NORRIS_STANDARD_ERRORS, 1e-12),
    ):
        Phi = np.insert(X, 0, 1, axis=1)
        errors = jax.jit(linear.standard_errors)(linear.fit(Phi, y).theta, Phi, y)
        np.testing.assert_allclose(errors, certified, rtol=digits)


def test_the_covariance_is_the_inverse_hessian_of_the_likelihood():
    ours = diabetes_confidence()
    expected = np.linalg.inv(ours["hessian"] / (2 * ours["variance"]))
    np.testing.assert_allclose(ours["covariance"], expected, rtol=1e-8, atol=1e-12)


def test_a_band_by_hand():
    """Points at x = −1, 0, 1, y = 0, 3, 0: θ = (1, 0), residuals −1, 2, −1, σ² = 6, h = ⅓ + x²/2; ν = 1."""
    X, y = np.array([[1.0, -1], [1, 0], [1, 1]]), np.array([0.0, 3, 0])
    ours = found(np.array([1.0, 0]), X, y, np.array([[1.0, 0], [1, 2]]), 0.5)
    np.testing.assert_allclose(ours["mean"].upper, 1 + np.sqrt([2.0, 14]), rtol=1e-12)
    np.testing.assert_allclose(ours["new"].lower, 1 - np.sqrt([8.0, 20]), rtol=1e-12)


def fitted_band(X, y):
    return linear.predict_interval(linear.fit(X, y).theta, X, y, X[:4])


def test_bands_of_many_fits_inside_jit_and_vmap(width):
    X = np.random.default_rng(0).standard_normal((20, 3)).astype(width.dtype)
    Y = np.random.default_rng(1).standard_normal((5, 20)).astype(width.dtype)
    found = jax.jit(jax.vmap(fitted_band, in_axes=(None, 0)))(X, Y)
    for i, y in enumerate(Y.astype(float)):
        exact = sm.OLS(y, X.astype(float)).fit().get_prediction(X[:4].astype(float)).conf_int(obs=True)
        for end, expected in zip(found, exact.T, strict=True):
            np.testing.assert_allclose(np.asarray(end)[i], expected, rtol=100 * width.tolerance)


def test_bands_keep_the_dtype(precision):
    found = jax.eval_shape(fitted_band, *(jax.ShapeDtypeStruct(shape, precision.dtype) for shape in ((20, 3), (20,))))
    assert all(end.dtype == precision.dtype for end in found)


def test_an_inverse_root_is_one():
    X = np.random.default_rng(0).standard_normal((9, 4)) * [1, 1e6, 1e-6, 1]
    W = np.asarray(jax.jit(inverse_root)(X))
    np.testing.assert_allclose(W.T @ X.T @ X @ W, np.eye(4), atol=1e-12)


def test_dependent_columns_are_refused_and_nan_in_jit():
    X, y = np.ones((5, 2)), np.arange(5.0)
    functions = linear.covariance, linear.standard_errors, linear.confidence_interval
    for function in functions[:2]:
        with pytest.raises(ValueError, match="the columns of X depend on each other"):
            function(np.zeros(2), X, y)
    within = jax.jit(lambda *given: [function(*given) for function in functions])(np.zeros(2), X, y)
    assert all(np.isnan(leaf).all() for leaf in jax.tree.leaves(within))


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
    X = np.insert(rng.standard_normal((9, 1)), 0, 1, axis=1)
    X_new, truth = np.array([[1.0, 0.0], [1.0, 5.0]]), np.ones(2)
    Y = (X @ truth)[None, :] + rng.standard_normal((10_000, 9))
    Y_new = (X_new @ truth)[None, :] + rng.standard_normal((10_000, 2))

    @jax.jit
    @jax.vmap
    def held(y, y_new):
        theta = linear.fit(X, y).theta
        theta_interval = linear.confidence_interval(theta, X, y)
        mean, new = (band(theta, X, y, X_new) for band in (linear.mean_interval, linear.predict_interval))
        pairs = ((theta_interval, truth), (mean, X_new @ truth), (new, y_new))
        return jnp.stack([(interval.lower < value) & (value < interval.upper) for interval, value in pairs])

    np.testing.assert_allclose(np.mean(np.asarray(held(Y, Y_new)), axis=0), 0.95, atol=0.005)
