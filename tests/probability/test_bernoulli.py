from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from jax_course import verify
from jax_course.probability import bernoulli

ENDS = jnp.array([0.0, 1.0])
TOSSES = np.array([1, 0, 0, 1, 1, 0, 1, 1])  # five heads, three tails


def test_values_by_hand():
    """Course 5.4: heads, tails, heads at p = ¼ have the probability ¼ ¾ ¼."""
    x = jnp.array([1, 0, 1])
    np.testing.assert_array_equal(bernoulli.pmf(x, 0.25), [0.25, 0.75, 0.25])
    np.testing.assert_allclose(jnp.exp(bernoulli.log_likelihood(x, 0.25)), 3 / 64, rtol=1e-15)
    assert bernoulli.log_likelihood_derivative(x, 0.25) == pytest.approx(4 - 4 / 3 + 4, rel=1e-15)
    assert bernoulli.fit(TOSSES) == 5 / 8
    # H(¼) = ¼ log 4 + ¾ log 4/3, whose derivative is log 3
    np.testing.assert_allclose(bernoulli.entropy(0.25), np.log(4) - 0.75 * np.log(3), rtol=1e-15)
    np.testing.assert_allclose(bernoulli.entropy_derivative(0.25), np.log(3), rtol=1e-15)


def test_values_are_those_of_scipy():
    p = np.linspace(0.01, 0.99, 25)
    for x in (0, 1):
        np.testing.assert_allclose(bernoulli.pmf(x, p), stats.bernoulli.pmf(x, p), rtol=1e-14)
        np.testing.assert_allclose(bernoulli.log_pmf(x, p), stats.bernoulli.logpmf(x, p), rtol=1e-13)
    np.testing.assert_allclose(bernoulli.entropy(p), stats.bernoulli.entropy(p), rtol=1e-13)


@pytest.mark.parametrize(
    ("p", "log_p", "log_1_minus_p", "entropy", "slope"),
    [
        (1e-300, -690.77552789821370518, -1e-300, 6.9177552789821372252e-298, 690.77552789821370518),
        (0.3, -1.2039728043259360296, -0.35667494393873236305, 0.61086430205489345362, 0.84729786038720366658),
        (
            1 - 2.0**-40,
            -9.0949470177334182822e-13,
            -27.725887222397812377,
            2.6126042232497054674e-11,
            -27.725887222396902882,
        ),
    ],
)
def test_probabilities_near_the_ends_keep_their_digits(p, log_p, log_1_minus_p, entropy, slope):
    """Against 60 digits for the same float64 p."""
    close = partial(np.testing.assert_allclose, rtol=5e-16)
    close(bernoulli.log_pmf(jnp.array([1, 0]), p), [log_p, log_1_minus_p])
    close(bernoulli.entropy(p), entropy)
    close(bernoulli.entropy_derivative(p), slope)
    close(bernoulli.log_likelihood_derivative(jnp.array([1]), p), 1 / p)
    close(bernoulli.log_likelihood_derivative(jnp.array([0]), p), -1 / (1 - p))


def test_both_ends_are_exact(precision):
    p = ENDS.astype(precision.dtype)
    equal = np.testing.assert_array_equal
    equal(bernoulli.pmf(1, p), [0, 1])
    equal(bernoulli.log_pmf(1, p), [-np.inf, 0])
    equal(bernoulli.log_pmf(0, p), [0, -np.inf])
    equal(bernoulli.entropy(p), [0, 0])
    equal(np.signbit(bernoulli.entropy(p)), [False, False])
    equal(bernoulli.entropy_derivative(p), [np.inf, -np.inf])
    equal(bernoulli.log_likelihood(jnp.zeros(3, precision.dtype), p[0]), 0)


def test_no_derivative_is_nan_at_the_ends():
    """By hand and by autodiff: ±∞ for what cannot happen, ±1 for what must."""
    for x, expected in ((1, [np.inf, 1]), (0, [-1, -np.inf])):
        np.testing.assert_array_equal(bernoulli.log_likelihood_derivative(x, ENDS), expected)
        np.testing.assert_array_equal(jax.vmap(jax.grad(partial(bernoulli.log_pmf, x)))(ENDS), expected)
    np.testing.assert_array_equal(jax.vmap(jax.grad(bernoulli.entropy))(ENDS), [np.inf, -np.inf])
    np.testing.assert_array_equal(jax.vmap(jax.grad(jax.grad(bernoulli.entropy)))(ENDS), [-np.inf, -np.inf])
    twice = jax.vmap(jax.grad(lambda p: bernoulli.log_likelihood_derivative(jnp.zeros(2), p)))(ENDS)
    np.testing.assert_array_equal(twice, [-2, -np.inf])


def test_derivatives_are_those_of_autodiff(precision):
    p = jnp.asarray([0.01, 0.3, 0.5, 0.9], precision.dtype)
    for hand, function in (
        (partial(bernoulli.log_likelihood_derivative, TOSSES), partial(bernoulli.log_likelihood, TOSSES)),
        (bernoulli.entropy_derivative, bernoulli.entropy),
    ):
        by_hand = jax.vmap(hand)(p)
        assert by_hand.dtype == precision.dtype
        np.testing.assert_allclose(by_hand, jax.vmap(jax.grad(function))(p), rtol=precision.tolerance)
    of_each = bernoulli.log_likelihood_derivative(jnp.array([1, 0, 1, 0]), p)
    np.testing.assert_allclose(of_each, 1 / (np.asarray(p) - np.array([0, 1, 0, 1])), rtol=precision.tolerance)


def test_the_doctor_finds_them_right():
    p = jnp.array(0.3)
    reports = [
        verify.derivatives(
            lambda p: bernoulli.log_likelihood(TOSSES, p),
            p,
            gradient=lambda p: bernoulli.log_likelihood_derivative(TOSSES, p),
        ),
        verify.derivatives(
            # by autodiff the entropy answers with its derivative: the witnesses of differences judge that one
            bernoulli.entropy,
            p,
            gradient=bernoulli.entropy_derivative,
            hessian=lambda p: -1 / (p * (1 - p)),
        ),
    ]
    for report in reports:
        assert report.ok, report


def test_the_derivative_of_the_entropy_is_its_slope():
    """By differences, since autodiff is told the derivative."""
    p, h = np.linspace(0.05, 0.95, 19), 1e-5
    slope = (bernoulli.entropy(p + h) - bernoulli.entropy(p - h)) / (2 * h)
    np.testing.assert_allclose(slope, bernoulli.entropy_derivative(p), atol=1e-7)


def test_the_mean_is_the_likeliest():
    """Course 5.4: there the derivative is 0, and every other p is less likely."""
    p = bernoulli.fit(TOSSES)
    assert abs(bernoulli.log_likelihood_derivative(TOSSES, p)) < 1e-13
    others = jnp.delete(jnp.linspace(0, 1, 41), 25)
    likelihoods = jax.vmap(partial(bernoulli.log_likelihood, TOSSES))(others)
    assert jnp.max(likelihoods) < bernoulli.log_likelihood(TOSSES, p)
    for certain in (jnp.zeros(3), jnp.ones(3)):
        assert bernoulli.log_likelihood(certain, bernoulli.fit(certain)) == 0


@given(st.floats(0, 1))
@settings(max_examples=20, deadline=None)
def test_the_entropy_is_symmetric_and_largest_at_one_half(p):
    """Course 5.5. It is −E[log P] too."""
    p = p if p == 0 or p > 1e-300 else 0.0  # numbers below are taken for 0
    H = bernoulli.entropy(p)
    assert 0 <= H <= np.log(2) * (1 + 1e-15)
    q = max(p, 1 - p)  # from a half on, 1 − q is exact
    np.testing.assert_allclose(bernoulli.entropy(1 - q), bernoulli.entropy(q), rtol=1e-13)
    expected = -sum(P * bernoulli.log_pmf(x, p) for x, P in ((0, 1 - p), (1, p)) if P > 0)
    np.testing.assert_allclose(H, expected, rtol=1e-13)


@pytest.mark.parametrize("kind", [bool, np.int32, np.uint8, float])
def test_outcomes_may_be_of_any_kind(kind):
    x = np.array([1, 0, 1, 1]).astype(kind)
    np.testing.assert_array_equal(bernoulli.pmf(x, 0.25), [0.25, 0.75, 0.25, 0.25])
    assert bernoulli.fit(x) == 0.75


def test_jit_and_vmap_change_nothing_and_dtypes_are_kept(precision):
    x, p = jnp.asarray([[1, 0, 1], [0, 0, 1]]), jnp.asarray([0.3, 0.9], precision.dtype)
    functions = bernoulli.pmf, bernoulli.log_pmf, bernoulli.log_likelihood, bernoulli.log_likelihood_derivative
    for function in functions:
        mapped = jax.jit(jax.vmap(function))(x, p)
        for i in range(2):
            assert function(x[i], p[i]).dtype == mapped.dtype == precision.dtype
            np.testing.assert_allclose(mapped[i], function(x[i], p[i]), rtol=precision.tolerance)
        assert function(x[0].astype(precision.dtype), 0.25).dtype == precision.dtype
    for function in (bernoulli.entropy, bernoulli.entropy_derivative):
        assert function(p).dtype == precision.dtype
        np.testing.assert_allclose(jax.jit(jax.vmap(function))(p), function(p), rtol=precision.tolerance)
    np.testing.assert_allclose(jax.jit(jax.vmap(bernoulli.fit))(x.astype(precision.dtype)), [2 / 3, 1 / 3], rtol=1e-6)
    assert bernoulli.fit(x[0].astype(precision.dtype)).dtype == precision.dtype


@pytest.mark.parametrize("p", [-0.1, 1.1, np.nan, np.inf])
def test_what_is_no_probability_is_refused_and_nan_in_jit(p):
    calls = [partial(f, jnp.array([0, 1])) for f in (bernoulli.pmf, bernoulli.log_pmf, bernoulli.log_likelihood)]
    calls += [partial(bernoulli.log_likelihood_derivative, jnp.array([0, 1]))]
    for call in (*calls, bernoulli.entropy, bernoulli.entropy_derivative):
        with pytest.raises(ValueError, match=f"p must lie between 0 and 1; got {p}"):
            call(p)
        assert np.isnan(jax.jit(call)(p)).all()


@pytest.mark.parametrize("outcome", [2, -1, 0.5, np.nan])
def test_what_is_no_outcome_is_refused_and_nan_in_jit(outcome):
    x = np.array([0, outcome])
    for call in (lambda x: bernoulli.pmf(x, 0.3), lambda x: bernoulli.log_pmf(x, 0.3), bernoulli.fit):
        with pytest.raises(ValueError, match=f"x must hold the outcomes 0 and 1; got {float(outcome)}"):
            call(x)
        assert np.isnan(np.ravel(jax.jit(call)(x))[-1])
    assert not np.isnan(jax.jit(bernoulli.log_pmf)(x, 0.3)[0])
    assert np.isnan(jax.jit(bernoulli.log_likelihood_derivative)(x, 0.3))


def test_other_shapes_and_dtypes_are_refused():
    with pytest.raises(ValueError, match=r"p must be a scalar or have the shape of x, \(3, 1\); got shape \(3,\)"):
        bernoulli.pmf(np.zeros((3, 1)), np.full(3, 0.5))
    with pytest.raises(ValueError, match=r"x must have shape \(m,\), m at least 1; got shape \(2, 2\)"):
        bernoulli.fit(np.zeros((2, 2)))
    with pytest.raises(ValueError, match=r"got shape \(0,\)"):
        bernoulli.fit(np.zeros(0))
    with pytest.raises(TypeError, match="p must have the dtype of x, float32; got float64"):
        bernoulli.pmf(np.zeros(2, np.float32), np.full(2, 0.5))
    with pytest.raises(TypeError, match="x must hold real numbers; got complex128"):
        bernoulli.fit(np.zeros(2, complex))
