from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import integrate, stats

from jax_course import verify
from jax_course.linalg import spd_factor
from jax_course.probability import gaussian
from jax_course.probability.gaussian import Gaussian
from tests.cases import PRECISIONS

LOG_2PI = np.log(2 * np.pi)
FUNCTIONS = [gaussian.pdf, gaussian.log_pdf, gaussian.log_likelihood, gaussian.hessian_x]
FUNCTIONS += [gaussian.gradient_x, gaussian.gradient_mean, gaussian.gradient_covariance]


def problem(dtype=np.float64, m=6, d=3, seed=0):
    rng = np.random.default_rng(seed)
    A = rng.standard_normal((d, d))
    values = 2 * rng.standard_normal((m, d)), rng.standard_normal(d), A @ A.T + 0.5 * np.eye(d)
    return tuple(value.astype(dtype) for value in values)


def scalars(dtype=np.float64):
    return np.array([[0.5, -2.0, 3.0], [1.0, 7.0, 0.0]], dtype), np.array(1.5, dtype), np.array(2.25, dtype)


@jax.jit
def every_value(x, mean, covariance):
    """What the module says of one Gaussian, by the name of the function."""
    values = {function.__name__: function(x, mean, covariance) for function in FUNCTIONS}
    return values | {"entropy": gaussian.entropy(covariance)}


# Values.


def test_values_by_hand():
    """Course 4.1, 4.4: Σ⁻¹ of [[5, 4], [4, 5]], det 9, is [[5, −4], [−4, 5]]/9; r = (3, −3) gives rᵀΣ⁻¹r = 18."""
    covariance = np.array([[5.0, 4.0], [4.0, 5.0]])
    value = every_value(np.array([[4.0, -1.0]]), np.array([1.0, 2.0]), covariance)
    close = partial(np.testing.assert_allclose, rtol=1e-14)
    close(value["log_pdf"], [-LOG_2PI - np.log(3) - 9])
    close(value["pdf"], [np.exp(-9) / (6 * np.pi)], rtol=1e-13)
    close(value["gradient_x"], [[-3.0, 3.0]])
    close(value["gradient_mean"], [[3.0, -3.0]])
    inverse = np.array([[5.0, -4.0], [-4.0, 5.0]]) / 9
    close(value["hessian_x"], -inverse)
    close(value["gradient_covariance"], [(np.array([[9.0, -9.0], [-9.0, 9.0]]) - inverse) / 2])
    close(value["entropy"], LOG_2PI + 1 + np.log(3))  # H = ½ log((2πe)² 9)


def test_values_by_hand_in_one_dimension():
    """σ² = 4, x two standard deviations from μ."""
    value = jax.tree.map(np.asarray, every_value(7.0, 3.0, 4.0))
    np.testing.assert_allclose(value["pdf"], np.exp(-2) / np.sqrt(8 * np.pi), rtol=1e-14)
    assert value["gradient_x"] == -1
    assert value["gradient_mean"] == 1
    assert value["hessian_x"] == -0.25
    assert value["gradient_covariance"] == 0.375
    np.testing.assert_allclose(value["entropy"], np.log(8 * np.pi * np.e) / 2, rtol=1e-15)


def test_densities_are_those_of_scipy():
    x, mean, covariance = problem()
    peer = stats.multivariate_normal(mean, covariance)  # pyright: ignore[reportArgumentType]
    value = every_value(x, mean, covariance)
    np.testing.assert_allclose(value["log_pdf"], peer.logpdf(x), rtol=1e-12)
    np.testing.assert_allclose(value["pdf"], peer.pdf(x), rtol=1e-11)
    np.testing.assert_allclose(value["log_likelihood"], np.sum(peer.logpdf(x)), rtol=1e-12)
    np.testing.assert_allclose(value["entropy"], peer.entropy(), rtol=1e-13)
    x, mean, variance = scalars()
    expected = stats.norm.logpdf(x, mean, np.sqrt(variance))
    np.testing.assert_allclose(jax.jit(gaussian.log_pdf)(x, mean, variance), expected, rtol=1e-13)


def test_which_of_two_means_is_likelier():
    """Course 5.1: Σ(x − 1)² = 0.5 and Σ(x − 2.5)² = 7.25 for the points 1, 0.5, 1.5."""
    x = np.array([1.0, 0.5, 1.5])
    likelihood = jax.jit(gaussian.log_likelihood)
    at_1, at_25 = (np.asarray(likelihood(x, mean, 1.0)) for mean in (1.0, 2.5))
    np.testing.assert_allclose(at_1, -1.5 * LOG_2PI - 0.25, rtol=1e-15)
    np.testing.assert_allclose(at_1 - at_25, 3.375, rtol=1e-14)
    assert gaussian.fit(x).mean == 1


def test_a_density_integrates_to_one():
    """Course 4.1, 4.4."""
    pdf = jax.jit(gaussian.pdf)
    total, _ = integrate.quad(lambda t: np.asarray(pdf(t, 1.0, 0.3)), -9, 11, points=[1])
    np.testing.assert_allclose(total, 1, rtol=1e-9)
    line = np.linspace(-12, 12, 121)  # the trapezoidal rule is exact beyond rounding for so smooth a function
    grid = np.stack(np.meshgrid(line, line), axis=-1)
    density = pdf(grid, np.array([0.3, -0.2]), np.array([[2.0, 0.7], [0.7, 1.0]]))
    np.testing.assert_allclose(np.sum(density) * 0.2**2, 1, rtol=1e-13)


def test_independent_coordinates_multiply():
    """Course 4.5: N(x₁) N(x₂) = N(x; μ, σ²I), whose normaliser has det(σ²I) = σ²ᵈ (slip E 5)."""
    x, mean, _ = problem()
    log_pdf = jax.jit(gaussian.log_pdf)
    marginals = [np.asarray(log_pdf(x[:, j], mean[j], 1.7)) for j in range(3)]
    together = every_value(x, mean, 1.7 * np.eye(3))["log_pdf"]
    np.testing.assert_allclose(together, np.sum(marginals, axis=0), rtol=1e-14)


ENTROPY = jax.jit(gaussian.entropy)


@given(st.floats(1e-3, 1e3), st.integers(0, 100))
@settings(max_examples=15, deadline=None)
def test_the_entropy_is_affine_in_the_log_determinant(a, seed):
    """Course 5.5 (slips E 5, E 6): det(aΣ) = aᵈ det Σ, hence H(aΣ) = H(Σ) + d/2 log a, which may be negative."""
    _, _, covariance = problem(seed=seed)
    H, scaled = (np.asarray(ENTROPY(factor * covariance)) for factor in (1.0, a))
    log_det = np.linalg.slogdet(covariance)[1]
    np.testing.assert_allclose(H, 1.5 * (1 + LOG_2PI) + log_det / 2, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(scaled - H, 1.5 * np.log(a), rtol=1e-9, atol=1e-12)


def test_the_entropy_is_the_mean_of_minus_the_log_density():
    _, mean, covariance = problem()

    @jax.jit
    def log_densities(key, mean, covariance):
        return gaussian.log_pdf(gaussian.sample(key, mean, covariance, 20_000), mean, covariance)

    surprise = -np.asarray(log_densities(jax.random.key(1), mean, covariance))
    error = np.mean(surprise) - np.asarray(ENTROPY(covariance))
    assert abs(error) < 5 * np.std(surprise) / np.sqrt(20_000)


# Digits.


HILBERT = 1 / (np.arange(10.0)[:, None] + np.arange(10.0)[None, :] + 1)  # condition 1.6e13


@jax.jit
def nearly_singular(x, mean, covariance):
    by_hand = gaussian.gradient_mean(x, mean, covariance), gaussian.gradient_covariance(x, mean, covariance)
    by_autodiff = jax.grad(gaussian.log_pdf, (1, 2))(x, mean, covariance)
    return gaussian.log_pdf(x, mean, covariance), gaussian.entropy(covariance), by_hand, by_autodiff


@pytest.mark.parametrize(
    ("x", "log_density"),
    [(np.full(10, 4.0), -748.54752395312502284), (1e-5 * (-1.0) ** np.arange(10), -2042.3525604721043965)],
    ids=["40 standard deviations", "65, in the narrow directions"],
)
def test_a_nearly_singular_covariance_keeps_its_digits(x, log_density):
    """Against 60 digits for the same float64 entries: √cond ε is 9e-10, one Cholesky factor has six digits here."""
    log_pdf, entropy, *_ = nearly_singular(x, np.zeros(10), HILBERT)
    np.testing.assert_allclose(log_pdf, log_density, rtol=1e-10)
    np.testing.assert_allclose(entropy, -46.443054202400160661, rtol=1e-14)


def test_a_nearly_singular_covariance_keeps_the_digits_of_its_derivatives():
    x = 1e-5 * (-1.0) ** np.arange(10)
    expected = [331.71433992898078197, -28723.577094932665068, 613127.80055612961168, -5584965.8845370916501]
    expected += [26685765.977895078622, -73471310.511583598666, 120705466.76376894697, -116785032.46277490755]
    expected += [61374749.721268697448, -13509648.521081565015]  # Σ⁻¹x to 60 digits
    *_, by_hand, by_autodiff = nearly_singular(x, np.zeros(10), HILBERT)
    for mean_slope, _ in (by_hand, by_autodiff):
        np.testing.assert_allclose(mean_slope, expected, atol=1e-10 * np.max(np.abs(expected)))
    np.testing.assert_allclose(by_autodiff[1], by_hand[1], atol=1e-12 * np.max(np.abs(by_hand[1])))


def test_two_almost_equal_coordinates():
    """r = 1 − 2⁻⁴⁰, condition 2⁴¹: in x = (1, −1) 2⁻²⁰a the quadratic form is 2a², in (1, 1)a it is 2a²/(1 + r)."""
    r = 1 - 2.0**-40
    covariance, log_det = np.array([[1.0, r], [r, 1.0]]), -40 * np.log(2) + np.log1p(r)
    x = np.array([[30 * 2.0**-20, -30 * 2.0**-20], [40.0, 40.0]])
    expected = -LOG_2PI - (log_det + np.array([1800, 3200 / (1 + r)])) / 2
    np.testing.assert_allclose(jax.jit(gaussian.log_pdf)(x, np.zeros(2), covariance), expected, rtol=1e-15)


def test_units_cost_no_digits():
    """Standard deviations 2⁻²⁰, 1 and 2²⁰, condition 2e24; against 60 digits."""
    scale = 2.0 ** np.array([-20, 0, 20])
    correlation = np.array([[1.0, 0.5, 0.25], [0.5, 1.0, -0.25], [0.25, -0.25, 1.0]])
    covariance = scale[:, None] * correlation * scale[None, :]
    x = scale * np.array([[40.0, 0.0, 0.0], [30.0, -30.0, 10.0]])
    expected = [-1335.8024668604955706, -2069.135800193828904]
    log_pdf, entropy = jax.jit(lambda x, mean, S: (gaussian.log_pdf(x, mean, S), gaussian.entropy(S)))(
        x, np.zeros(3), covariance
    )
    np.testing.assert_allclose(log_pdf, expected, rtol=1e-15)
    np.testing.assert_allclose(entropy, 3.9691335271622372979, rtol=1e-15)


@pytest.mark.parametrize("sigma", [1e-150, 1.0, 1e150])
def test_one_dimension_at_forty_standard_deviations(sigma):
    log_density = gaussian.log_pdf(1 + 40 * sigma if sigma == 1 else 40 * sigma, 1.0 * (sigma == 1), sigma**2)
    np.testing.assert_allclose(log_density, -800 - LOG_2PI / 2 - np.log(sigma), rtol=1e-15)


def test_an_ill_conditioned_covariance_in_float32():
    r = 1 - 2.0**-18  # ε of float32 is 2⁻²³
    x, covariance = np.array([30 * 2.0**-9, -30 * 2.0**-9], np.float32), np.array([[1, r], [r, 1]], np.float32)
    log_density = jax.jit(gaussian.log_pdf)(x, np.zeros(2, np.float32), covariance)
    assert log_density.dtype == np.float32
    np.testing.assert_allclose(log_density, -LOG_2PI - (-18 * np.log(2) + np.log1p(r) + 1800) / 2, rtol=3e-7)


# Derivatives.


@jax.jit
def hand_and_reference(x, mean, covariance):
    """By x, μ, Σ and twice by x; all but the last of every example."""

    def of_x(x):
        return jnp.sum(gaussian.log_pdf(x, mean, covariance))

    one = x.reshape(-1, *mean.shape)[0]
    return {
        "x": (gaussian.gradient_x(x, mean, covariance), jax.grad(of_x)(x)),
        "mean": (gaussian.gradient_mean(x, mean, covariance), jax.jacobian(gaussian.log_pdf, 1)(x, mean, covariance)),
        "covariance": (
            gaussian.gradient_covariance(x, mean, covariance),
            jax.jacobian(gaussian.log_pdf, 2)(x, mean, covariance),
        ),
        "x twice": (gaussian.hessian_x(x, mean, covariance), jax.hessian(of_x)(one)),
    }


@pytest.mark.parametrize(
    ("arguments", "name"),
    [(problem, "float64"), (problem, "float32"), (scalars, "float64")],
    ids=["many dimensions", "many dimensions in float32", "one"],
)
def test_derivatives_are_those_of_autodiff(arguments, name):
    precision = PRECISIONS[name]
    with jax.enable_x64(precision.x64):
        pairs = hand_and_reference(*arguments(precision.dtype))
    for hand, reference in pairs.values():
        tolerance, scale = 10 * precision.tolerance, np.max(np.abs(reference))
        np.testing.assert_allclose(hand, reference, rtol=tolerance, atol=tolerance * scale)


@pytest.mark.parametrize("arguments", [problem, scalars], ids=["many dimensions", "one"])
def test_dtypes_and_shapes_are_kept(arguments, precision):
    x, mean, covariance = arguments(precision.dtype)
    examples = x.shape[: x.ndim - mean.ndim]
    shapes = {"pdf": examples, "log_pdf": examples, "log_likelihood": (), "gradient_x": x.shape}
    shapes |= {"gradient_mean": x.shape, "hessian_x": covariance.shape, "entropy": ()}
    shapes |= {"gradient_covariance": examples + covariance.shape}
    values = jax.eval_shape(every_value, x, mean, covariance)
    assert {name: value.shape for name, value in values.items()} == shapes
    assert {value.dtype for value in values.values()} == {np.dtype(precision.dtype)}
    draws = jax.eval_shape(partial(gaussian.sample, m=7), jax.random.key(0), mean, covariance)
    assert (draws.shape, draws.dtype) == ((7, *mean.shape), precision.dtype)
    for function in (gaussian.fit, gaussian.fit_unbiased):
        fitted = jax.eval_shape(function, x)
        assert {value.dtype for value in fitted} == {np.dtype(precision.dtype)}


def symmetric_part(A):
    return (A + A.T) / 2


def test_the_doctor_finds_the_derivative_by_the_covariance_right():
    """By differences, since autodiff goes through a factor that is told to be constant.

    One in a single entry would leave no covariance: all d² entries, through the symmetric part.
    """
    x, mean, covariance = problem()
    report = verify.derivatives(
        lambda A: gaussian.log_likelihood(x, mean, symmetric_part(A)),
        covariance,
        gradient=lambda A: jnp.sum(gaussian.gradient_covariance(x, mean, symmetric_part(A)), axis=0),
    )
    assert report.ok, report


def test_the_doctor_finds_them_right_in_one_dimension():
    x, mean, variance = scalars()
    report = verify.derivatives(
        lambda p: gaussian.log_likelihood(x, *p),
        (mean, variance),
        gradient=lambda p: (
            jnp.sum(gaussian.gradient_mean(x, *p)),
            jnp.sum(gaussian.gradient_covariance(x, *p)),
        ),
    )
    assert report.ok, report


# Fits.


def test_fits_by_hand():
    X = np.array([[1.0, 2.0], [3.0, 2.0], [5.0, 8.0]])
    fits = jax.jit(lambda X: (gaussian.fit(X), gaussian.fit_unbiased(X)))(X)
    expected = np.array([[8.0, 12.0], [12.0, 24.0]])
    for (mean, covariance), divisor in zip(fits, (3, 2), strict=True):
        np.testing.assert_allclose(mean, [3.0, 4.0], rtol=1e-15)
        np.testing.assert_allclose(covariance, expected / divisor, rtol=1e-15)
    # Course 4.3: cov(X, Y) = E[XY] − E[X]E[Y]
    np.testing.assert_allclose(np.asarray(fits[0].covariance)[0, 1], np.mean([2, 6, 40]) - 3 * 4, rtol=1e-14)


def test_covariances_are_those_of_numpy(width):
    X = problem(width.dtype, m=40)[0] + width.dtype(100)
    for ddof, covariance in enumerate(jax.jit(lambda X: (gaussian.covariance(X), gaussian.unbiased_covariance(X)))(X)):
        exact = np.cov(np.asarray(X, np.float64).T, ddof=ddof)
        np.testing.assert_allclose(covariance, exact, rtol=width.tolerance, atol=width.tolerance)


def test_at_the_fit_the_likelihood_is_stationary():
    """Course 5.1: the derivatives by μ and Σ vanish, and every other Gaussian is less likely."""
    X = problem()[0]
    fitted, unbiased = jax.jit(lambda X: (gaussian.fit(X), gaussian.fit_unbiased(X)))(X)
    best = every_value(X, *fitted)
    for name in ("gradient_mean", "gradient_covariance"):
        assert np.max(np.abs(np.sum(best[name], axis=0))) < 1e-12
    for other in (unbiased, Gaussian(jnp.asarray(np.asarray(fitted.mean) + 0.1), fitted.covariance)):
        assert every_value(X, *other)["log_likelihood"] < best["log_likelihood"]


# NIST StRD, Michelso: the speed of light in air, in hundredths of 1000 km/s above 299.
MICHELSON = """
85 74 90 107 93 85 95 98 98 88 100 98 93 65 76 81 100 100 96 96 96 94 96 94 88 80 85 88 90 84 83 79 81 88 88 83 80 79 76
80 88 88 88 86 72 72 62 86 97 95 88 91 85 87 84 84 85 84 84 84 89 81 81 82 80 77 76 74 75 76 91 92 89 86 88 72 84 85 85
78 89 84 78 81 76 81 79 81 82 85 87 87 81 74 81 94 95 80 81 87
"""
NUM_ACC = {2: 1.2, 3: 1000000.2, 4: 10000000.2}
CERTIFIED = {
    "NumAcc1": (np.array([10000001.0, 10000003.0, 10000002.0]), 10000002, 1, 1e-15),
    **{
        f"NumAcc{n}": (np.append(start, np.tile([start - 0.1, start + 0.1], 500)), start, 0.1, digits)
        for (n, start), digits in zip(NUM_ACC.items(), (1e-14, 1e-8, 1e-7), strict=True)
    },
    "Michelso": (
        (29900 + np.array(MICHELSON.split(), float)) / 100,
        299.852400000000,
        0.0790105478190518,
        2e-14 * 299.85 / 0.079,
    ),
}


@jax.jit
def of_all_and_of_the_column(X):
    return gaussian.fit_unbiased(X), gaussian.fit_unbiased(X[:, None])


@pytest.mark.parametrize("name", CERTIFIED)
def test_certified_means_and_deviations(name):
    """NIST StRD: as many digits of the deviation as the decimal data keep in float64."""
    X, mean, deviation, rounding = CERTIFIED[name]
    fitted, as_column = of_all_and_of_the_column(X)
    np.testing.assert_allclose(fitted.mean, mean, rtol=3e-16)
    np.testing.assert_allclose(np.sqrt(fitted.covariance), deviation, rtol=rounding)
    np.testing.assert_allclose(np.sqrt(as_column.covariance), [[deviation]], rtol=rounding)


# Samples.


def test_samples_have_the_mean_and_the_covariance():
    """100 000 draws, within five standard errors: √(Σ_ii/m), and √((Σ_iiΣ_jj + Σ_ij²)/m)."""
    _, mean, covariance = problem()
    m, variances = 100_000, np.diagonal(covariance)
    x = np.asarray(jax.jit(partial(gaussian.sample, m=m))(jax.random.key(0), mean, covariance))
    assert np.all(np.abs(np.mean(x, axis=0) - mean) < 5 * np.sqrt(variances / m))
    error = np.sqrt((variances[:, None] * variances[None, :] + covariance**2) / m)
    assert np.all(np.abs(np.cov(x.T, ddof=0) - covariance) < 5 * error)
    # whitened by it, they are standard normal in every direction
    r = x[:2_000] - mean[None, :]
    distances = np.einsum("md,de,me->m", r, np.linalg.inv(covariance), r)
    assert stats.kstest(distances, stats.chi2(3).cdf).pvalue > 1e-3


def test_samples_in_one_dimension(width):
    _, mean, variance = scalars(width.dtype)
    x = jax.jit(partial(gaussian.sample, m=2_000))(jax.random.key(0), mean, variance)
    assert stats.kstest(np.asarray(x), stats.norm(1.5, 1.5).cdf).pvalue > 1e-3


def test_a_key_gives_one_sample_and_another_key_another():
    _, mean, covariance = problem()
    draw = jax.jit(partial(gaussian.sample, mean=mean, covariance=covariance, m=5))
    one, again, other = (np.asarray(draw(jax.random.key(seed))) for seed in (3, 3, 4))
    np.testing.assert_array_equal(one, again)
    assert not np.any(one == other)
    assert jax.eval_shape(lambda key: gaussian.sample(key, mean, covariance, 0), jax.random.key(3)).shape == (0, 3)


# The contract.


def test_jit_and_vmap_change_nothing():
    x, mean, covariance = problem()
    batch = np.stack([x, 2 * x]), np.stack([mean, -mean]), np.stack([covariance, 3 * covariance])
    mapped = jax.jit(jax.vmap(every_value))(*batch)
    close = partial(np.testing.assert_allclose, rtol=1e-11, atol=1e-12)
    for i in range(2):
        for name, alone in every_value(*(values[i] for values in batch)).items():
            close(np.asarray(mapped[name])[i], alone)
    close(np.asarray(mapped["gradient_covariance"])[0], gaussian.gradient_covariance(x, mean, covariance))


def test_shapes_of_one_example_many_and_none():
    def shapes(function, points, mean, covariance):
        return jax.eval_shape(function, points, mean, covariance).shape

    x, mean, covariance = problem()
    for examples in ((), (6,), (2, 3), (0,)):
        points = x[0] if not examples else x[: np.prod(examples)].reshape(*examples, 3)
        assert shapes(gaussian.log_pdf, points, mean, covariance) == examples
        assert shapes(gaussian.gradient_x, points, mean, covariance) == (*examples, 3)
        assert shapes(gaussian.gradient_covariance, points, mean, covariance) == (*examples, 3, 3)
        for function in (gaussian.log_pdf, gaussian.gradient_covariance):
            assert shapes(function, points, np.zeros(()), np.ones(())) == (*examples, 3)
    assert shapes(gaussian.hessian_x, x, np.zeros(()), np.ones(())) == ()
    assert jax.jit(gaussian.log_likelihood)(x[:0], mean, covariance) == 0


def test_fits_and_entropies_in_jit_and_vmap():
    X = np.stack([problem(seed=seed)[0] for seed in range(2)])
    mapped = jax.jit(jax.vmap(lambda X: (gaussian.fit(X), gaussian.fit_unbiased(X))))(X)
    for function, fitted in zip((gaussian.fit, gaussian.fit_unbiased), mapped, strict=True):
        np.testing.assert_allclose(np.asarray(fitted.covariance)[1], function(X[1]).covariance, rtol=1e-13)
    covariances = np.asarray(mapped[0].covariance)
    slopes = jax.jit(jax.vmap(jax.grad(gaussian.entropy)))(covariances)
    np.testing.assert_allclose(np.asarray(slopes)[1], np.linalg.inv(covariances[1]) / 2, rtol=1e-11)


def test_whole_and_bare_numbers_take_the_dtype_of_the_others():
    x = np.zeros(3, np.float32)
    for arguments, dtype in (
        ((x, 0, 1.0), np.float32),
        ((0.5, 0, x[0] + np.float32(2)), np.float32),
        (([[0, 1]], [0, 0], [[1, 0], [0, 1]]), np.float64),
    ):
        assert jax.eval_shape(partial(gaussian.log_pdf, *arguments)).dtype == dtype
    assert gaussian.fit([1, 2, 6]).mean == 3


# Refusals.


I2 = np.eye(2)


def entropy_of_the_last(x, mean, covariance):
    return gaussian.entropy(covariance)


def sample_of_four(x, mean, covariance):
    return gaussian.sample(jax.random.key(0), mean, covariance, 4)


SAMPLE = jax.jit(sample_of_four)


@pytest.mark.parametrize(
    ("covariance", "sentence"),
    [
        (
            [[1.0, 0.5, 0.0], [0.5, 1.0, 0.25], [0.0, 0.75, 1.0]],
            r"covariance must be symmetric; \[1, 2\] is 0\.25 and \[2, 1\] is 0\.75",
        ),
        ([[1.0, 2.0], [2.0, 1.0]], "positive definite; the smallest eigenvalue of its correlation matrix is -1$"),
        ([[1.0, 1.0], [1.0, 1.0]], "positive definite; the smallest eigenvalue .*: singular to rounding$"),
        ([[1.0, 1.0], [1.0, 1 + 2.0**-52]], "the smallest eigenvalue .*: singular to rounding$"),
        ([[4e20, 4.0], [4.0, 1e-20]], "the smallest eigenvalue of its correlation matrix is -1$"),
        ([[1.0, 0.0], [0.0, -2.0]], r"positive definite; its variance covariance\[1, 1\] is -2\.0"),
        ([[1.0, 0.0], [0.0, 0.0]], r"positive definite; its variance covariance\[1, 1\] is 0\.0"),
        ([[1.0, np.nan], [np.nan, 1.0]], r"covariance must be finite; covariance\[0, 1\] is nan"),
        (-4.0, r"covariance must be positive and finite; got -4\.0"),
        (0.0, "covariance must be positive and finite"),
    ],
)
def test_what_is_no_covariance_is_refused_and_nan_in_jit(covariance, sentence):
    covariance = np.asarray(covariance)
    if covariance.shape == (2, 2):
        covariance = np.pad(covariance, (0, 1))
        covariance[2, 2] = 1
    mean = np.zeros(covariance.shape[1:])
    x = np.zeros((6, *mean.shape))
    for call in (*FUNCTIONS, entropy_of_the_last, sample_of_four):
        with pytest.raises(ValueError, match=sentence):
            call(x, mean, covariance)
    values = every_value(x, mean, covariance), SAMPLE(x, mean, covariance)
    assert all(np.isnan(value).all() for value in jax.tree.leaves(values))


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_asymmetry_that_is_rounding_is_none(dtype):
    """A covariance computed as a product is symmetric to rounding only; its middle is taken."""
    A = np.random.default_rng(0).standard_normal((3, 3)) * np.array([[1e-3], [1.0], [1e3]])
    covariance = (A @ A.T).astype(dtype)
    covariance[0, 1] = np.nextafter(covariance[0, 1], np.inf, dtype=dtype)
    assert np.any(covariance != covariance.T)
    log_pdf = partial(jax.jit(gaussian.log_pdf), np.ones(3, dtype), np.zeros(3, dtype))
    assert np.asarray(log_pdf(covariance)) == np.asarray(log_pdf(covariance.T))
    covariance[0, 1] *= 1.001
    with pytest.raises(ValueError, match="covariance must be symmetric"):
        gaussian.entropy(covariance)


@pytest.mark.parametrize(
    ("x", "mean", "covariance", "sentence"),
    [
        (np.zeros((4, 2)), np.zeros(3), I2, r"covariance must have shape \(3, 3\), .*; got shape \(2, 2\)"),
        (
            np.zeros((4, 2)),
            np.zeros(2),
            np.ones(2),
            r"covariance must have shape \(d, d\).*got shape \(2,\).*jnp\.diag",
        ),
        (np.zeros((4, 2)), np.zeros(2), np.ones((2, 3)), r"covariance must have shape \(d, d\).*got shape \(2, 3\)"),
        (np.zeros((4, 2)), 0.0, I2, r"mean must have shape \(2,\) .*; got shape \(\)"),
        (np.zeros((4, 2)), np.zeros(2), 1.0, r"mean must have shape \(\) .*; got shape \(2,\)"),
        (np.zeros((4, 3)), np.zeros(2), I2, r"x must have shape \(m, 2\), .*; got shape \(4, 3\)"),
        (0.0, np.zeros(2), I2, r"x must have shape \(m, 2\), .*; got shape \(\)"),
    ],
)
def test_wrong_shapes_are_refused_in_jit_too(x, mean, covariance, sentence):
    for function in (gaussian.log_pdf, jax.jit(gaussian.gradient_covariance)):
        with pytest.raises(ValueError, match=sentence):
            function(x, mean, covariance)


def test_mixed_and_other_dtypes_are_refused():
    x, mean, covariance = problem()
    with pytest.raises(TypeError, match="covariance must have the dtype of x, float64; got float32"):
        gaussian.log_pdf(x, mean, covariance.astype(np.float32))
    with pytest.raises(TypeError, match="mean must hold real numbers; got complex128"):
        gaussian.log_pdf(x, mean.astype(complex), covariance)
    with pytest.raises(TypeError, match="covariance must be float32 or float64; got float16"):
        gaussian.entropy(covariance.astype(np.float16))
    with pytest.raises(TypeError, match="X must be float32 or float64; got float16"):
        gaussian.fit(x.astype(np.float16))
    with pytest.raises(TypeError, match="m must be a whole number"):
        gaussian.sample(jax.random.key(0), mean, covariance, 2.5)  # pyright: ignore[reportArgumentType]


def test_fits_refuse_what_is_no_sample():
    with pytest.raises(ValueError, match=r"X must be finite; X\[1, 0\] is nan"):
        gaussian.fit(np.array([[1.0], [np.nan]]))
    with pytest.raises(ValueError, match=r"X must have shape \(m, d\), .*; got shape \(0, 2\)"):
        gaussian.mean(np.zeros((0, 2)))
    with pytest.raises(ValueError, match="needs at least two examples; got X of shape \\(1, 2\\)"):
        gaussian.fit_unbiased(np.zeros((1, 2)))


def test_a_sample_in_a_plane_has_no_density():
    """Two examples in three dimensions: their covariance is an answer, their density is none."""
    X = problem(m=2)[0]
    with pytest.raises(ValueError, match="singular to rounding"):
        gaussian.log_pdf(X, *jax.jit(gaussian.fit)(X))
    assert jax.jit(lambda X: spd_factor(gaussian.covariance(X)).rcond)(X) < 1e-15
