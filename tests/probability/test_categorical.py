from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from jax_course import verify
from jax_course.probability import bernoulli, categorical

P = np.array([0.5, 0.125, 0.25, 0.125])
THROWS = np.array([2, 0, 0, 3, 0, 2])  # three 0, no 1, two 2, one 3


OF_CLASSES = (
    categorical.pmf,
    categorical.log_pmf,
    categorical.log_likelihood,
    categorical.log_likelihood_gradient,
)
OF_P = categorical.entropy, categorical.entropy_gradient


@jax.jit
def every_value(x, p):
    """What the module says of these classes, by the name of the function."""
    values = {function.__name__: function(x, p) for function in OF_CLASSES}
    return values | {function.__name__: function(p) for function in OF_P} | {"fit": categorical.fit(x, classes=4)}


def test_values_by_hand():
    value = every_value(THROWS, P)
    np.testing.assert_array_equal(value["pmf"], [0.25, 0.5, 0.5, 0.125, 0.5, 0.25])
    np.testing.assert_allclose(value["log_likelihood"], -10 * np.log(2), rtol=1e-15)
    np.testing.assert_array_equal(value["log_likelihood_gradient"], [6, 0, 8, 8])
    np.testing.assert_allclose(value["fit"], [1 / 2, 0, 1 / 3, 1 / 6], rtol=1e-15)
    # H = ½ · 1 + 2 · ⅛ · 3 + ¼ · 2 bits
    np.testing.assert_allclose(value["entropy"], 1.75 * np.log(2), rtol=1e-15)
    np.testing.assert_allclose(value["entropy_gradient"], np.log([2.0, 8, 4, 8]) - 1, rtol=1e-15)


def test_values_are_those_of_scipy():
    p = np.random.default_rng(0).dirichlet(np.ones(4))
    classes = np.array([0, 1, 2, 3, 0, 1])
    value = every_value(classes, p)
    np.testing.assert_allclose(value["entropy"], stats.entropy(p), rtol=1e-14)
    expected = stats.multinomial.logpmf(np.eye(4)[classes], 1, p)
    np.testing.assert_allclose(value["log_pmf"], expected, rtol=1e-13)


@jax.jit
def two_class_pairs(x, p):
    """The same by both modules."""
    both = jnp.stack([1 - p, p])
    by_class = categorical.entropy_gradient(both), categorical.log_likelihood_gradient(x, both)
    along = [
        class_1 - class_0 for class_0, class_1 in by_class
    ]  # p₁ grows as p₀ shrinks: the −1 of the entropy drops out
    return {
        "pmf": (categorical.pmf(x, both), bernoulli.pmf(x, p)),
        "log_pmf": (categorical.log_pmf(x, both), bernoulli.log_pmf(x, p)),
        "entropy": (categorical.entropy(both), bernoulli.entropy(p)),
        "fit": (categorical.fit(x, classes=2)[1], bernoulli.fit(x)),
        "entropy gradient": (along[0], bernoulli.entropy_derivative(p)),
        "likelihood gradient": (along[1], bernoulli.log_likelihood_derivative(x, p)),
    }


@pytest.mark.parametrize("p", [0.0, 2.0**-50, 0.3, 0.5, 1.0])
def test_two_classes_are_a_bernoulli(p):
    pairs = two_class_pairs(np.array([0, 1, 1]), p)
    for name in ("pmf", "fit"):
        np.testing.assert_array_equal(*pairs[name])
    for name in ("log_pmf", "entropy"):
        np.testing.assert_allclose(*pairs[name], rtol=1e-15)
    np.testing.assert_allclose(*pairs["entropy gradient"], rtol=1e-14, atol=1e-15)
    if 0 < p < 1:
        np.testing.assert_allclose(*pairs["likelihood gradient"], rtol=1e-14, atol=1e-14)


def test_certainty_is_exact(width):
    @jax.jit
    def values(x, certain, p):
        likelihoods = categorical.log_likelihood_gradient, jax.grad(categorical.log_likelihood, 1)
        return {
            "pmf": categorical.pmf(x, p),
            "log_pmf": categorical.log_pmf(x, p),
            "entropy": categorical.entropy(p),
            "entropy gradients": [
                function(p) for function in (categorical.entropy_gradient, jax.grad(categorical.entropy))
            ],
            "likelihood gradients": [function(certain, p) for function in likelihoods],
            "likelihood gradient": categorical.log_likelihood_gradient(x, p),
        }

    p, equal = np.array([0, 1, 0, 0], width.dtype), np.testing.assert_array_equal
    value = values(np.arange(3), np.array([1, 1]), p)
    equal(value["pmf"], [0, 1, 0])
    equal(value["log_pmf"], [-np.inf, 0, -np.inf])
    equal(value["entropy"], 0)
    assert not np.signbit(categorical.entropy(p))
    equal(value["entropy gradients"], [[np.inf, -1, np.inf, np.inf]] * 2)
    equal(value["likelihood gradients"], [[0, 2, 0, 0]] * 2)
    equal(value["likelihood gradient"], [np.inf, 1, np.inf, 0])


def test_derivatives_are_those_of_autodiff(width):
    @jax.jit
    def hand_and_reference(x, p):
        by_x = partial(categorical.log_likelihood, x)
        return (
            (categorical.log_likelihood_gradient(x, p), jax.grad(by_x)(p)),
            (categorical.entropy_gradient(p), jax.grad(categorical.entropy)(p)),
        )

    for hand, reference in hand_and_reference(THROWS, P.astype(width.dtype)):
        np.testing.assert_allclose(hand, reference, rtol=width.tolerance)


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


ENTROPY = jax.jit(categorical.entropy)


def test_the_gradient_of_the_entropy_is_its_slope():
    """By differences, since autodiff is told the derivative; inside jit nobody looks at the sum."""
    h = 1e-6
    above, below = (np.array([ENTROPY(P + step * e) for e in np.eye(4)]) for step in (h, -h))
    np.testing.assert_allclose((above - below) / (2 * h), every_value(THROWS, P)["entropy_gradient"], atol=1e-8)


def test_the_frequencies_are_the_likeliest():
    """Of all p that sum to 1: there the gradient has one value for every class that occurs, m."""
    best = every_value(THROWS, every_value(THROWS, P)["fit"])
    np.testing.assert_allclose(best["log_likelihood_gradient"], [6, 0, 6, 6], rtol=1e-14)
    for other in np.random.default_rng(0).dirichlet(np.ones(4), 20):
        assert np.asarray(every_value(THROWS, other)["log_likelihood"]) < np.asarray(best["log_likelihood"])


def test_the_entropy_is_largest_where_all_are_equal():
    np.testing.assert_allclose(ENTROPY(np.full(4, 0.25)), 2 * np.log(2), rtol=1e-15)
    for p in np.random.default_rng(0).dirichlet(np.ones(4), 20):
        assert 0 < ENTROPY(p) < 2 * np.log(2)


@pytest.mark.parametrize("kind", [np.int8, np.uint8, np.int64])
def test_class_numbers_may_be_of_any_whole_kind(kind):
    pmf, fitted = jax.jit(lambda x, p: (categorical.pmf(x, p), categorical.fit(x, classes=300)))(
        np.array([0, 127], kind), np.full(300, 1 / 300)
    )
    np.testing.assert_allclose(pmf, 1 / 300)
    assert np.asarray(fitted)[127] == 0.5


def test_truth_values_are_classes():
    np.testing.assert_array_equal(categorical.pmf(np.array([True, False]), [0.25, 0.75]), [0.75, 0.25])


def test_jit_and_vmap_change_nothing():
    x, p = np.stack([THROWS, THROWS[::-1] // 2]), np.stack([P, P[::-1]])
    mapped = jax.jit(jax.vmap(every_value))(x, p)
    for i in range(2):
        for name, value in every_value(x[i], p[i]).items():
            np.testing.assert_allclose(np.asarray(mapped[name])[i], value, rtol=1e-12)
    for name, eager in (
        ("log_likelihood_gradient", categorical.log_likelihood_gradient(x[1], p[1])),
        ("entropy", categorical.entropy(p[1])),
        ("fit", categorical.fit(x[1], classes=4)),
    ):
        np.testing.assert_allclose(np.asarray(mapped[name])[1], eager, rtol=1e-12)


def test_dtypes_are_kept(precision):
    p = P.astype(precision.dtype)
    for function in OF_CLASSES:
        assert jax.eval_shape(function, THROWS, p).dtype == precision.dtype
    for function in OF_P:
        assert jax.eval_shape(function, p).dtype == precision.dtype
    assert jax.eval_shape(partial(categorical.fit, classes=4), THROWS).dtype == jnp.result_type(float)


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
    calls = [partial(f, np.array([0, 1])) for f in (categorical.pmf, categorical.log_likelihood_gradient)]
    for call in (*calls, categorical.entropy, categorical.entropy_gradient):
        with pytest.raises(ValueError, match=sentence):
            call(np.asarray(p))


def test_sums_that_are_1_to_rounding_are_taken():
    for dtype in (np.float64, np.float32):
        eps = np.finfo(dtype).eps
        p = np.full(1000, (1 + 100 * eps) / 1000, dtype)  # as a thousand roundings may leave it
        assert abs(np.sum(p, dtype=np.float64) - 1) > 50 * eps
        assert np.asarray(categorical.pmf(np.array([0]), p)) > 0


def test_in_jit_what_is_out_of_range_is_nan():
    @jax.jit
    def values(x, p):
        fitted = categorical.fit(x, classes=4)
        return categorical.pmf(x, p), categorical.log_likelihood_gradient(x, p), fitted

    p = np.array([0.5, -0.5, 1.0])
    assert np.isnan(ENTROPY(p))
    np.testing.assert_array_equal(np.isnan(jax.jit(categorical.log_pmf)(np.arange(3), p)), [False, True, False])
    for number in (-1, 4):
        pmf, gradient, fitted = values(np.array([0, number]), P)
        np.testing.assert_array_equal(np.isnan(pmf), [False, True])
        assert np.isnan([gradient, fitted]).all()


@pytest.mark.parametrize("number", [-1, 4])
def test_what_is_no_class_is_refused(number):
    x = np.array([0, number])
    for call in (lambda x: categorical.log_pmf(x, P), lambda x: categorical.fit(x, classes=4)):
        with pytest.raises(ValueError, match=f"x must hold class numbers 0…3; got {number}"):
            call(x)


def test_other_shapes_and_dtypes_are_refused():
    with pytest.raises(TypeError, match=r"x must hold class numbers .* got float64: number them by data.encode"):
        categorical.pmf(np.zeros(2), P)
    with pytest.raises(ValueError, match=r"x must have shape \(m,\), m at least 1; got shape \(0,\)"):
        categorical.fit(np.zeros(0, int), classes=2)
    with pytest.raises(ValueError, match="classes must be at least 1; got 0"):
        categorical.fit(THROWS, classes=0)
    with pytest.raises(TypeError, match="classes must be a whole number"):
        categorical.fit(THROWS, classes=2.5)  # pyright: ignore[reportArgumentType]
