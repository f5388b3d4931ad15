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
    cost = make()
    return cost, z, cost.targets(y if y.dtype.kind == "i" else y.astype(dtype), z), u


@every_cost
def test_delta_and_curvature_are_those_of_the_cost(name, width):
    cost, z, y, u = problem(name, width.dtype)

    @jax.jit
    def hand_and_reference(z, y, u):
        gradient, product = jax.jvp(lambda z: jax.grad(cost.value)(z, y), (z,), (u,))
        return (cost.delta(z, y), gradient), (cost.curvature_product(z, y, u), product)

    for hand, reference in hand_and_reference(z, y, u):
        np.testing.assert_allclose(hand, reference, atol=width.tolerance * np.max(np.abs(reference)))


@every_cost
def test_dtypes_and_shapes_are_kept(name, precision):
    cost, z, y, u = problem(name, precision.dtype)
    value = jax.eval_shape(cost.value, z, y)
    assert (value.shape, value.dtype) == ((), precision.dtype)
    for function, arguments in ((cost.delta, (z, y)), (cost.curvature_product, (z, y, u))):
        result = jax.eval_shape(function, *arguments)
        assert (result.shape, result.dtype) == (z.shape, precision.dtype)


def test_the_doctor_finds_the_binary_one_right():
    """By differences, since autodiff is told the derivatives of σ and of softplus."""
    cost, z, y, _ = problem("binary_cross_entropy", np.float64)
    report = verify.derivatives(
        cost.value, z, y, gradient=cost.delta, hessian_product=lambda z, y, u: cost.curvature_product(z, y, u)
    )
    assert report.ok, report


def test_they_are_the_costs_of_the_models():
    """With z = Xθ: the sums of chapters 3, 8 and 9."""
    rng = np.random.default_rng(0)
    X, theta, y = rng.standard_normal((M, 3)), rng.standard_normal(3), rng.standard_normal(M)
    labels, classes, K = np.arange(M) % 2 * 1.0, np.arange(M) % 4, rng.standard_normal((3, 4))

    @jax.jit
    def cost_and_model(X, theta, K, y, labels, classes):
        z, Z = (X @ theta)[:, None], X @ K
        return (
            (costs.squared_error().value(z, y), linear.cost(theta, X, y)),
            (costs.binary_cross_entropy().value(z, labels), logistic.cost(theta, X, labels)),
            (costs.cross_entropy().value(Z, classes), softmax.cost(K, X, classes)),
            (costs.binary_cross_entropy().prediction(z), logistic.predict(theta, X)),
            (costs.cross_entropy().prediction(Z), softmax.predict(K, X)),
        )

    for of_cost, of_model in cost_and_model(X, theta, K, y, labels, classes):
        np.testing.assert_allclose(of_cost, of_model, rtol=1e-14)


def value_and_delta(cost):
    return jax.jit(lambda z, y: (cost.value(z, y), cost.delta(z, y)))


BINARY, SEVERAL = value_and_delta(costs.binary_cross_entropy()), value_and_delta(costs.cross_entropy())


@pytest.mark.parametrize("size", [40.0, 1e4])
def test_far_out_they_are_finite_and_exact(size):
    z = np.array([[size], [-size]])
    for y, expected in ((np.array([1.0, 0.0]), 2 * np.log1p(np.exp(-size))), (np.array([0.0, 1.0]), 2 * size)):
        value, delta = BINARY(z, y)
        np.testing.assert_allclose(value, expected, rtol=1e-14, atol=1e-300)
        assert np.all(np.isfinite(delta))
    value, delta = SEVERAL(np.concatenate([z, -z, 0 * z], axis=1), np.array([1, 0]))
    np.testing.assert_allclose(value, 4 * size, rtol=1e-14)
    np.testing.assert_allclose(np.asarray(delta)[0], [1, -1, 0], atol=1e-15)


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
        make().targets(y, jnp.asarray(np.zeros((M, width))))


def test_widths_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match=r"binary_cross_entropy needs a last layer of width 1, .*; got 2"):
        costs.binary_cross_entropy().width(2)
    with pytest.raises(ValueError, match="cross_entropy needs a last layer with a width for each of K ≥ 2 classes"):
        costs.cross_entropy().width(1)


def test_a_class_beyond_the_last_is_nan():
    assert np.isnan(SEVERAL(np.zeros((2, 3)), np.array([0, 3]))[0])
