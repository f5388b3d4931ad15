from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from jax_course import verify
from jax_course.probability import bernoulli, categorical

P = jnp.array([0.5, 0.125, 0.25, 0.125])
THROWS = np.array([2, 0, 0, 3, 0, 2])  # three 0, no 1, two 2, one 3


def test_values_by_hand():
    np.testing.assert_array_equal(categorical.pmf(THROWS, P), [0.25, 0.5, 0.5, 0.125, 0.5, 0.25])
    np.testing.assert_allclose(categorical.log_likelihood(THROWS, P), -10 * np.log(2), rtol=1e-15)
    np.testing.assert_array_equal(categorical.log_likelihood_gradient(THROWS, P), [6, 0, 8, 8])
    np.testing.assert_allclose(categorical.fit(THROWS, classes=4), [1 / 2, 0, 1 / 3, 1 / 6], rtol=1e-15)
    # H = ½ · 1 + 2 · ⅛ · 3 + ¼ · 2 bits
    np.testing.assert_allclose(categorical.entropy(P), 1.75 * np.log(2), rtol=1e-15)
    np.testing.assert_allclose(categorical.entropy_gradient(P), np.log([2.0, 8, 4, 8]) - 1, rtol=1e-15)


def test_values_are_those_of_scipy():
    p = np.random.default_rng(0).dirichlet(np.ones(7))
    np.testing.assert_allclose(categorical.entropy(p), stats.entropy(p), rtol=1e-14)
    expected = stats.multinomial.logpmf(np.eye(7), 1, p)
    np.testing.assert_allclose(categorical.log_pmf(jnp.arange(7), p), expected, rtol=1e-13)


@pytest.mark.parametrize("p", [0.0, 2.0**-50, 0.3, 0.5, 1.0])
def test_two_classes_are_a_bernoulli(p):
    both, x = jnp.array([1 - p, p]), jnp.array([0, 1, 1])
    np.testing.assert_array_equal(categorical.pmf(x, both), bernoulli.pmf(x, p))
    np.testing.assert_allclose(categorical.log_pmf(x, both), bernoulli.log_pmf(x, p), rtol=1e-15)
    np.testing.assert_allclose(categorical.entropy(both), bernoulli.entropy(p), rtol=1e-15)
    by_class = categorical.entropy_gradient(both)  # p₁ grows as p₀ shrinks: the −1 drops out
    np.testing.assert_allclose(by_class[1] - by_class[0], bernoulli.entropy_derivative(p), rtol=1e-14, atol=1e-15)
    np.testing.assert_array_equal(categorical.fit(x, classes=2)[1], bernoulli.fit(x))
    if 0 < p < 1:
        by_class = categorical.log_likelihood_gradient(x, both)
        expected = bernoulli.log_likelihood_derivative(x, p)
        np.testing.assert_allclose(by_class[1] - by_class[0], expected, rtol=1e-14, atol=1e-14)


def test_certainty_is_exact(precision):
    p, x = jnp.asarray([0.0, 1.0, 0.0], precision.dtype), jnp.arange(3)
    equal = np.testing.assert_array_equal
    equal(categorical.pmf(x, p), [0, 1, 0])
    equal(categorical.log_pmf(x, p), [-np.inf, 0, -np.inf])
    assert categorical.entropy(p) == 0
    assert not np.signbit(categorical.entropy(p))
    for gradient in (categorical.entropy_gradient, jax.grad(categorical.entropy)):
        equal(gradient(p), [np.inf, -1, np.inf])
    certain = jnp.array([1, 1])
    for gradient in (categorical.log_likelihood_gradient, jax.grad(categorical.log_likelihood, 1)):
        equal(gradient(certain, p), [0, 2, 0])
    equal(categorical.log_likelihood_gradient(x, p), [np.inf, 1, np.inf])


def test_derivatives_are_those_of_autodiff(precision):
    p = P.astype(precision.dtype)
    for hand, function in (
        (partial(categorical.log_likelihood_gradient, THROWS), partial(categorical.log_likelihood, THROWS)),
        (categorical.entropy_gradient, categorical.entropy),
    ):
        assert hand(p).dtype == precision.dtype
        np.testing.assert_allclose(hand(p), jax.grad(function)(p), rtol=precision.tolerance)


def test_the_doctor_finds_them_right():
    reports = [
        verify.derivatives(
            lambda p: categorical.log_likelihood(THROWS, p),
            P,
            gradient=lambda p: categorical.log_likelihood_gradient(THROWS, p),
        ),
        verify.derivatives(
            categorical.entropy, P, gradient=categorical.entropy_gradient, hessian=lambda p: -jnp.diag(1 / p)
        ),
    ]
    for report in reports:
        assert report.ok, report


def test_the_gradient_of_the_entropy_is_its_slope():
    """By differences, since autodiff is told the derivative; inside jit nobody looks at the sum."""
    entropy, h = jax.jit(categorical.entropy), 1e-6
    slopes = [(entropy(P + h * e) - entropy(P - h * e)) / (2 * h) for e in np.eye(4)]
    np.testing.assert_allclose(slopes, categorical.entropy_gradient(P), atol=1e-8)


def test_the_frequencies_are_the_likeliest():
    """Of all p that sum to 1: there the gradient has one value for every class that occurs, m."""
    p = categorical.fit(THROWS, classes=4)
    np.testing.assert_allclose(categorical.log_likelihood_gradient(THROWS, p), [6, 0, 6, 6], rtol=1e-14)
    best = categorical.log_likelihood(THROWS, p)
    for other in np.random.default_rng(0).dirichlet(np.ones(4), 20):
        assert categorical.log_likelihood(THROWS, other) < best


def test_the_entropy_is_largest_where_all_are_equal():
    np.testing.assert_allclose(categorical.entropy(np.full(8, 0.125)), 3 * np.log(2), rtol=1e-15)
    for p in np.random.default_rng(0).dirichlet(np.ones(8), 20):
        assert 0 < categorical.entropy(p) < 3 * np.log(2)


@pytest.mark.parametrize("kind", [np.int8, np.uint8, np.int64])
def test_class_numbers_may_be_of_any_whole_kind(kind):
    p = jnp.full(300, 1 / 300)
    np.testing.assert_allclose(categorical.pmf(np.array([0, 127], kind), p), 1 / 300)
    assert categorical.fit(np.array([0, 127], kind), classes=300)[127] == 0.5
    np.testing.assert_array_equal(categorical.pmf(np.array([True, False]), [0.25, 0.75]), [0.75, 0.25])


def test_jit_and_vmap_change_nothing_and_dtypes_are_kept(precision):
    x, p = jnp.stack([THROWS, THROWS[::-1] // 2]), jnp.stack([P, P[::-1]]).astype(precision.dtype)
    for function in (
        categorical.pmf,
        categorical.log_pmf,
        categorical.log_likelihood,
        categorical.log_likelihood_gradient,
    ):
        mapped = jax.jit(jax.vmap(function))(x, p)
        for i in range(2):
            assert function(x[i], p[i]).dtype == mapped.dtype == precision.dtype
            np.testing.assert_allclose(mapped[i], function(x[i], p[i]), rtol=precision.tolerance)
    for function in (categorical.entropy, categorical.entropy_gradient):
        assert function(p[0]).dtype == precision.dtype
        np.testing.assert_allclose(jax.jit(jax.vmap(function))(p)[0], function(p[0]), rtol=precision.tolerance)
    fitted = jax.jit(jax.vmap(partial(categorical.fit, classes=4)))(x)
    assert fitted.dtype == jnp.result_type(float)
    np.testing.assert_array_equal(fitted[1], categorical.fit(x[1], classes=4))


@pytest.mark.parametrize(
    ("p", "sentence"),
    [
        ([0.5, 0.6, -0.1], r"p must lie between 0 and 1; got -0\.1"),
        ([0.5, np.nan], "p must lie between 0 and 1; got nan"),
        ([0.5, 0.25], r"p must sum to 1; got a sum of 0\.75: divide p by it"),
        ([1.0, 1e-12], "p must sum to 1"),
        ([[0.5, 0.5]], r"p must have shape \(m,\), m at least 1; got shape \(1, 2\)"),
    ],
)
def test_what_is_no_distribution_is_refused(p, sentence):
    calls = [partial(f, jnp.array([0, 1])) for f in (categorical.pmf, categorical.log_likelihood_gradient)]
    for call in (*calls, categorical.entropy, categorical.entropy_gradient):
        with pytest.raises(ValueError, match=sentence):
            call(np.asarray(p))


def test_sums_that_are_1_to_rounding_are_taken():
    for K in (3, 10, 1000):
        for dtype in (np.float64, np.float32):
            p = jax.nn.softmax(jnp.asarray(np.random.default_rng(K).standard_normal(K), dtype))
            assert categorical.entropy(p) > 0


def test_in_jit_what_is_out_of_range_is_nan():
    p = jnp.array([0.5, -0.5, 1.0])
    assert jnp.isnan(jax.jit(categorical.entropy)(p))
    np.testing.assert_array_equal(np.isnan(jax.jit(categorical.log_pmf)(jnp.arange(3), p)), [False, True, False])
    for number in (-1, 4):
        x = jnp.array([0, number])
        np.testing.assert_array_equal(np.isnan(jax.jit(categorical.pmf)(x, P)), [False, True])
        assert np.isnan(jax.jit(categorical.log_likelihood_gradient)(x, P)).all()
        assert np.isnan(jax.jit(partial(categorical.fit, classes=4))(x)).all()


@pytest.mark.parametrize("number", [-1, 4])
def test_what_is_no_class_is_refused(number):
    x = jnp.array([0, number])
    for call in (lambda x: categorical.log_pmf(x, P), lambda x: categorical.fit(x, classes=4)):
        with pytest.raises(ValueError, match=f"x must hold class numbers 0…3; got {number}"):
            call(x)


def test_other_shapes_and_dtypes_are_refused():
    with pytest.raises(TypeError, match="x must hold class numbers 0…K−1, integers; got float64"):
        categorical.pmf(np.zeros(2), P)
    with pytest.raises(ValueError, match=r"x must have shape \(m,\), m at least 1; got shape \(0,\)"):
        categorical.fit(np.zeros(0, int), classes=2)
    with pytest.raises(ValueError, match="classes must be at least 1; got 0"):
        categorical.fit(THROWS, classes=0)
    with pytest.raises(TypeError, match="classes must be a whole number"):
        categorical.fit(THROWS, classes=2.5)  # pyright: ignore[reportArgumentType]
