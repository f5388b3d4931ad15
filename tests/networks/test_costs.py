"""The costs as last layers: δ and curvature against autodiff, values by hand, and what is refused."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jax_course import linear, logistic, softmax, verify
from jax_course.networks import costs
from tests.cases import COSTS, M

every_cost = pytest.mark.parametrize("name", COSTS)


def problem(name, dtype, seed=0):
    make, width, targets = COSTS[name]
    rng = np.random.default_rng(seed)
    z, u = (jnp.asarray(3 * rng.standard_normal((M, width)), dtype) for _ in range(2))
    y = targets(rng)
    y = jnp.asarray(y) if y.dtype.kind == "i" else jnp.asarray(y, dtype)
    cost = make()
    return cost, z, cost.targets(y, z), u


@every_cost
def test_delta_and_curvature_are_those_of_the_cost(name, precision):
    cost, z, y, u = problem(name, precision.dtype)
    for hand, reference in (
        (cost.delta(z, y), jax.grad(cost.value)(z, y)),
        (cost.curvature_product(z, y, u), jax.jvp(lambda z: jax.grad(cost.value)(z, y), (z,), (u,))[1]),
    ):
        assert (hand.shape, hand.dtype) == (z.shape, precision.dtype)
        np.testing.assert_allclose(hand, reference, atol=precision.tolerance * np.max(np.abs(reference)))


@every_cost
def test_the_doctor_finds_it_right(name):
    cost, z, y, _ = problem(name, np.float64)
    report = verify.derivatives(
        cost.value, z, y, gradient=cost.delta, hessian_product=lambda z, y, u: cost.curvature_product(z, y, u)
    )
    assert report.ok, report


def test_they_are_the_costs_of_the_models():
    """With z = Xθ: the sums of chapters 3, 8 and 9."""
    rng = np.random.default_rng(0)
    X, theta, y = rng.standard_normal((M, 3)), rng.standard_normal(3), rng.standard_normal(M)
    z, labels, K = (X @ theta)[:, None], np.arange(M) % 2, rng.standard_normal((3, 4))
    close = np.testing.assert_allclose
    close(costs.squared_error().value(z, y), linear.cost(theta, X, y), rtol=1e-14)
    close(costs.binary_cross_entropy().value(z, labels), logistic.cost(theta, X, labels), rtol=1e-14)
    close(costs.cross_entropy().value(X @ K, jnp.arange(M) % 4), softmax.cost(K, X, np.arange(M) % 4), rtol=1e-14)
    close(costs.binary_cross_entropy().prediction(jnp.asarray(z)), logistic.predict(theta, X), rtol=1e-14)
    close(costs.cross_entropy().prediction(jnp.asarray(X @ K)), softmax.predict(K, X), rtol=1e-14)


@pytest.mark.parametrize("size", [40.0, 1e4])
def test_far_out_they_are_finite_and_exact(size):
    z = jnp.array([[size], [-size]])
    binary = costs.binary_cross_entropy()
    for y, value in ((jnp.array([1.0, 0.0]), 2 * np.log1p(np.exp(-size))), (jnp.array([0.0, 1.0]), 2 * size)):
        np.testing.assert_allclose(binary.value(z, y), value, rtol=1e-14, atol=1e-300)
        assert np.all(np.isfinite(binary.delta(z, y)))
    several = jnp.concatenate([z, -z, 0 * z], axis=1)
    y = jnp.array([1, 0])
    np.testing.assert_allclose(costs.cross_entropy().value(several, y), 4 * size, rtol=1e-14)
    np.testing.assert_allclose(costs.cross_entropy().delta(several, y)[0], [1, -1, 0], atol=1e-15)


@pytest.mark.parametrize(
    ("make", "width", "y", "error", "message"),
    [
        (costs.squared_error, 1, np.zeros((M, 1)), ValueError, r"y must have shape \(12,\), .*; got shape \(12, 1\)"),
        (costs.squared_error, 3, np.zeros((M, 2)), ValueError, r"y must have shape \(12, 3\), that of the predictions"),
        (costs.squared_error, 3, np.zeros((M, 3), np.float32), TypeError, "y must have the dtype of X, float64"),
        (costs.cross_entropy, 3, np.zeros(M), TypeError, "y must hold class numbers 0…K−1, integers; got float64"),
        (costs.binary_cross_entropy, 1, np.zeros(M - 1), ValueError, r"y must have shape \(12,\)"),
    ],
)
def test_labels_that_do_not_fit_are_refused(make, width, y, error, message):
    with pytest.raises(error, match=message):
        make().targets(y, jnp.zeros((M, width)))


def test_widths_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match=r"binary_cross_entropy needs a last layer of width 1, .*; got 2"):
        costs.binary_cross_entropy().width(2)
    with pytest.raises(ValueError, match="cross_entropy needs a last layer with a width for each of K ≥ 2 classes"):
        costs.cross_entropy().width(1)


def test_a_class_beyond_the_last_is_nan():
    z = jnp.zeros((2, 3))
    assert jnp.isnan(costs.cross_entropy().value(z, jnp.array([0, 3], jnp.int32)))
