from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from jax_course.probability import intervals

CONFIDENCES = [1e-3, 0.1, 0.5, 0.9, 0.95, 0.99, 0.99999]


@pytest.mark.parametrize("nu", [1, 2, 3, 9, 30, 300, 1300, 1400, 1e5, 1e9])
def test_critical_values_of_student_are_those_of_scipy(nu):
    for confidence in CONFIDENCES:
        t = intervals.student(jnp.array(confidence), jnp.array(float(nu)))
        np.testing.assert_allclose(t, stats.t.isf((1 - confidence) / 2, nu), rtol=2e-11 if confidence >= 0.1 else 1e-9)
        t = intervals.student(jnp.float32(confidence), jnp.float32(nu))
        assert t.dtype == np.float32
        # float32 rounds 1 − confidence itself
        allowed = 3e-5 + 2e-8 / (1 - confidence)
        np.testing.assert_allclose(t, stats.t.isf((1 - np.float64(np.float32(confidence))) / 2, nu), rtol=allowed)


def test_critical_values_of_the_normal_are_those_of_scipy():
    normal = jax.jit(intervals.normal)
    for confidence in [*CONFIDENCES, 1 - 1e-12]:
        expected = stats.norm.isf((1 - confidence) / 2)
        np.testing.assert_allclose(normal(confidence), expected, rtol=1e-11)


def test_students_values_by_hand():
    """One degree of freedom: tan(π confidence/2); two: c √2 / √(1 − c²)."""
    for c in CONFIDENCES:
        t = [intervals.student(jnp.array(c), jnp.array(nu)) for nu in (1.0, 2.0)]
        np.testing.assert_allclose(t, [np.tan(np.pi * c / 2), c * np.sqrt(2 / (1 - c**2))], rtol=1e-10)


def difference(f, x, h):
    """f′(x) by a formula of eighth order."""
    return sum(c * (f(x + k * h) - f(x - k * h)) for k, c in ((1, 672), (2, -168), (3, 32), (4, -3))) / (840 * h)


@pytest.mark.parametrize(("dtype", "allowed"), [(np.float64, 1e-7), (np.float32, 1e-3)])
def test_derivatives_of_students_values_are_the_density_and_differences_of_scipys(dtype, allowed):
    slopes = jax.jit(jax.grad(intervals.student, (0, 1)))
    for nu in (1, 1.5, 2, 5, 10, 23, 30, 100, 1300, 1400, 1e4, 1e5):
        for c in (0.1, 0.5, 0.9, 0.95, 0.999):
            by_confidence, by_nu = slopes(dtype(c), dtype(nu))
            tail = (1 - float(dtype(c))) / 2
            t = stats.t.isf(tail, nu)
            np.testing.assert_allclose(by_confidence, 1 / (2 * stats.t.pdf(t, nu)), rtol=allowed / 10)
            expected = difference(partial(stats.t.isf, tail), nu, 0.02 * nu)
            np.testing.assert_allclose(by_nu, expected, rtol=allowed)
            assert by_confidence.dtype == by_nu.dtype == dtype


def test_derivatives_of_students_values_by_hand():
    """One degree of freedom: t = tan(π confidence/2), twice differentiated."""
    first, second = jax.grad(intervals.student), jax.jacfwd(jax.grad(intervals.student))
    for c in (0.1, 0.5, 0.9):
        t = np.tan(np.pi * c / 2)
        np.testing.assert_allclose(first(c, 1.0), np.pi / 2 * (1 + t**2), rtol=1e-12)
        np.testing.assert_allclose(second(c, 1.0), np.pi**2 / 2 * t * (1 + t**2), rtol=1e-12)


def test_derivatives_of_the_normals_values_are_the_density():
    slope = jax.jit(jax.grad(intervals.normal))
    for c in CONFIDENCES:
        np.testing.assert_allclose(slope(c), 1 / (2 * stats.norm.pdf(stats.norm.isf((1 - c) / 2))), rtol=1e-10)


def test_where_there_is_no_value_there_is_no_derivative():
    slopes = jax.jit(jax.grad(intervals.student, (0, 1)))
    assert np.all(np.isnan([slopes(0.9, 0.0), slopes(np.nan, 3.0)]))


@pytest.mark.parametrize("confidence", [0.0, 1.0, -0.5, np.nan])
def test_a_confidence_that_is_none_is_refused(confidence):
    with pytest.raises(ValueError, match="confidence must lie between 0 and 1; got"):
        intervals.level(confidence, jnp.zeros(1))
    assert jnp.isnan(jax.jit(lambda c: intervals.level(c, jnp.zeros(1)))(confidence))


def test_a_confidence_in_percent_is_refused_with_what_was_meant():
    with pytest.raises(ValueError, match=r"between 0 and 1; got 95: write 0\.95"):
        intervals.level(95, jnp.zeros(1))
    with pytest.raises(TypeError, match="confidence must be one number"):
        intervals.level([0.9, 0.95], jnp.zeros(1))


def test_no_degrees_of_freedom_give_no_interval():
    assert jnp.isnan(intervals.student(jnp.array(0.9), jnp.array(0.0)))
