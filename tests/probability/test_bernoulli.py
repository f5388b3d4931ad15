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

ENDS = np.array([0.0, 1.0])
TOSSES = np.array([1, 0, 0, 1, 1, 0, 1, 1])  # five heads, three tails


OF_OUTCOMES = (
    bernoulli.pmf,
    bernoulli.log_pmf,
    bernoulli.log_likelihood,
    bernoulli.log_likelihood_derivative,
)
OF_P = bernoulli.entropy, bernoulli.entropy_derivative


@jax.jit
def every_value(x, p):
    """What the module says of these outcomes, by the name of the function."""
    values = {function.__name__: function(x, p) for function in OF_OUTCOMES}
    return values | {function.__name__: function(p) for function in OF_P} | {"fit": bernoulli.fit(x)}


def test_values_by_hand():
    """Course 5.4: heads, tails, heads at p = ¼ have the probability ¼ ¾ ¼."""
    value = jax.tree.map(np.asarray, every_value(np.array([1, 0, 1]), 0.25))
    np.testing.assert_array_equal(value["pmf"], [0.25, 0.75, 0.25])
    np.testing.assert_allclose(np.exp(value["log_likelihood"]), 3 / 64, rtol=1e-15)
    assert value["log_likelihood_derivative"] == pytest.approx(4 - 4 / 3 + 4, rel=1e-15)
    assert value["fit"] == np.array(2 / 3)
    # H(¼) = ¼ log 4 + ¾ log 4/3, whose derivative is log 3
    np.testing.assert_allclose(value["entropy"], np.log(4) - 0.75 * np.log(3), rtol=1e-15)
    np.testing.assert_allclose(value["entropy_derivative"], np.log(3), rtol=1e-15)


def test_values_are_those_of_scipy():
    p = np.linspace(0.01, 0.99, 25)

    @jax.jit
    def values(p):
        return [(bernoulli.pmf(x, p), bernoulli.log_pmf(x, p)) for x in (0, 1)], bernoulli.entropy(p)

    masses, entropy = values(p)
    for x, (pmf, log_pmf) in enumerate(masses):
        np.testing.assert_allclose(pmf, stats.bernoulli.pmf(x, p), rtol=1e-14)
        np.testing.assert_allclose(log_pmf, stats.bernoulli.logpmf(x, p), rtol=1e-13)
    np.testing.assert_allclose(entropy, stats.bernoulli.entropy(p), rtol=1e-13)


@jax.jit
def near_the_ends(p):
    x = jnp.array([1, 0])
    derivatives = [bernoulli.log_likelihood_derivative(x[i : i + 1], p) for i in range(2)]
    return bernoulli.log_pmf(x, p), bernoulli.entropy(p), bernoulli.entropy_derivative(p), *derivatives


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
    expected = [log_p, log_1_minus_p], entropy, slope, 1 / p, -1 / (1 - p)
    for value, digits in zip(near_the_ends(p), expected, strict=True):
        np.testing.assert_allclose(value, digits, rtol=5e-16)


def test_both_ends_are_exact(width):
    @jax.jit
    def values(p, tails):
        return {
            "pmf": bernoulli.pmf(1, p),
            "log_pmf": [bernoulli.log_pmf(x, p) for x in (1, 0)],
            "entropy": bernoulli.entropy(p),
            "entropy_derivative": bernoulli.entropy_derivative(p),
            "log_likelihood": bernoulli.log_likelihood(tails, p[0]),
        }

    value, equal = values(ENDS.astype(width.dtype), np.zeros(3, width.dtype)), np.testing.assert_array_equal
    equal(value["pmf"], [0, 1])
    equal(value["log_pmf"], [[-np.inf, 0], [0, -np.inf]])
    equal(value["entropy"], [0, 0])
    equal(np.signbit(value["entropy"]), [False, False])
    equal(value["entropy_derivative"], [np.inf, -np.inf])
    equal(value["log_likelihood"], 0)


def test_no_derivative_is_nan_at_the_ends():
    """By hand and by autodiff: ±∞ for what cannot happen, ±1 for what must."""

    @jax.jit
    def derivatives(p):
        def likelihood_derivative(p):
            return bernoulli.log_likelihood_derivative(jnp.zeros(2), p)

        by_hand = [bernoulli.log_likelihood_derivative(x, p) for x in (1, 0)]
        by_autodiff = [jax.vmap(jax.grad(partial(bernoulli.log_pmf, x)))(p) for x in (1, 0)]
        entropy = jax.grad(bernoulli.entropy)
        twice = [jax.vmap(jax.grad(function))(p) for function in (entropy, likelihood_derivative)]
        return by_hand, by_autodiff, jax.vmap(entropy)(p), twice

    by_hand, by_autodiff, entropy, twice = derivatives(ENDS)
    for slopes in (by_hand, by_autodiff):
        np.testing.assert_array_equal(slopes, [[np.inf, 1], [-1, -np.inf]])
    np.testing.assert_array_equal(entropy, [np.inf, -np.inf])
    np.testing.assert_array_equal(twice, [[-np.inf, -np.inf], [-2, -np.inf]])


def test_derivatives_are_those_of_autodiff(width):
    @jax.jit
    def hand_and_reference(p, tosses):
        likelihood = partial(bernoulli.log_likelihood, tosses)
        by_hand = jax.vmap(partial(bernoulli.log_likelihood_derivative, tosses))(p)
        return (
            (by_hand, jax.vmap(jax.grad(likelihood))(p)),
            (bernoulli.entropy_derivative(p), jax.vmap(jax.grad(bernoulli.entropy))(p)),
            (
                bernoulli.log_likelihood_derivative(jnp.array([1, 0, 1, 0]), p),
                1 / (p - jnp.array([0.0, 1, 0, 1], p.dtype)),
            ),
        )

    for hand, reference in hand_and_reference(np.array([0.01, 0.3, 0.5, 0.9], width.dtype), TOSSES):
        np.testing.assert_allclose(hand, reference, rtol=width.tolerance)


def test_the_doctor_finds_them_right():
    p = np.array(0.3)
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
    above, below = (np.asarray(ENTROPY(p + step)) for step in (h, -h))
    np.testing.assert_allclose((above - below) / (2 * h), jax.jit(bernoulli.entropy_derivative)(p), atol=1e-7)


def test_the_mean_is_the_likeliest():
    """Course 5.4: there the derivative is 0, and every other p is less likely."""

    @jax.jit
    def at_the_fit(x, others):
        p = bernoulli.fit(x)
        likelihoods = jax.vmap(bernoulli.log_likelihood, (None, 0))(x, others)
        return bernoulli.log_likelihood_derivative(x, p), bernoulli.log_likelihood(x, p), likelihoods

    derivative, best, others = map(np.asarray, at_the_fit(TOSSES * 1.0, np.delete(np.linspace(0, 1, 41), 25)))
    assert abs(derivative) < 1e-13
    assert np.max(others) < best
    for certain in (np.zeros(8), np.ones(8)):
        assert np.asarray(at_the_fit(certain, np.full(40, 0.5))[1]) == 0


ENTROPY, LOG_PMF = jax.jit(bernoulli.entropy), jax.jit(bernoulli.log_pmf)


@given(st.floats(0, 1))
@settings(max_examples=20, deadline=None)
def test_the_entropy_is_symmetric_and_largest_at_one_half(p):
    """Course 5.5. It is −E[log P] too."""
    p = p if p == 0 or p > 1e-300 else 0.0  # numbers below are taken for 0
    H = np.asarray(ENTROPY(p))
    assert 0 <= H <= np.log(2) * (1 + 1e-15)
    q = max(p, 1 - p)  # from a half on, 1 − q is exact
    np.testing.assert_allclose(ENTROPY(1 - q), ENTROPY(q), rtol=1e-13)
    expected = -sum(P * np.asarray(LOG_PMF(x, p)) for x, P in ((0, 1 - p), (1, p)) if P > 0)
    np.testing.assert_allclose(H, expected, rtol=1e-13)


@pytest.mark.parametrize("kind", [bool, np.int32, np.uint8, float])
def test_outcomes_may_be_of_any_kind(kind):
    x = np.array([1, 0, 1, 1]).astype(kind)
    np.testing.assert_array_equal(bernoulli.pmf(x, 0.25), [0.25, 0.75, 0.25, 0.25])
    assert bernoulli.fit(x) == 0.75


def test_jit_and_vmap_change_nothing():
    x, p = np.array([[1, 0, 1], [0, 0, 1]]), np.array([0.3, 0.9])
    mapped = jax.jit(jax.vmap(every_value))(x, p)
    for i in range(2):
        for name, value in every_value(x[i], p[i]).items():
            np.testing.assert_allclose(np.asarray(mapped[name])[i], value, rtol=1e-12)
    for name, eager in (
        ("log_likelihood_derivative", bernoulli.log_likelihood_derivative(x[1], p[1])),
        ("entropy", bernoulli.entropy(p[1])),
        ("fit", bernoulli.fit(x[1])),
    ):
        np.testing.assert_allclose(np.asarray(mapped[name])[1], eager, rtol=1e-12)


def test_dtypes_are_kept(precision):
    x, p = np.array([1, 0, 1]), np.array([0.3, 0.5, 0.9], precision.dtype)
    for function in OF_OUTCOMES:
        for arguments in ((x, p), (x, p[0])):
            assert jax.eval_shape(function, *arguments).dtype == precision.dtype
        assert jax.eval_shape(partial(function, p=0.25), x.astype(precision.dtype)).dtype == precision.dtype
    for function in OF_P:
        assert jax.eval_shape(function, p).dtype == precision.dtype
    assert jax.eval_shape(bernoulli.fit, p).dtype == precision.dtype


CALLS = *(partial(function, np.array([0, 1])) for function in OF_OUTCOMES), *OF_P
IN_JIT = jax.jit(lambda p: [call(p) for call in CALLS])


@pytest.mark.parametrize("p", [-0.1, 1.1, np.nan, np.inf])
def test_what_is_no_probability_is_refused_and_nan_in_jit(p):
    for call in CALLS:
        with pytest.raises(ValueError, match=f"p must lie between 0 and 1; got {p}"):
            call(p)
    assert all(np.isnan(value).all() for value in IN_JIT(p))


@jax.jit
def functions_in_jit(x):
    derivatives = (
        function(x, 0.3) for function in (bernoulli.pmf, bernoulli.log_pmf, bernoulli.log_likelihood_derivative)
    )
    return *derivatives, bernoulli.fit(x)


@pytest.mark.parametrize("outcome", [2, -1, 0.5, np.nan])
def test_what_is_no_outcome_is_refused_and_nan_in_jit(outcome):
    x = np.array([0.0, outcome])
    for call in (lambda x: bernoulli.pmf(x, 0.3), lambda x: bernoulli.log_pmf(x, 0.3), bernoulli.fit):
        with pytest.raises(ValueError, match=f"x must hold the outcomes 0 and 1; got {float(outcome)}"):
            call(x)
    pmf, log_pmf, derivative, fitted = functions_in_jit(x)
    np.testing.assert_array_equal(np.isnan([pmf, log_pmf]), [[False, True]] * 2)
    assert np.isnan([derivative, fitted]).all()


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
