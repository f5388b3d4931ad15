"""The losses as costs of linear models: by the chain rule they are the formulas of the lecture."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jax_course import logistic, losses, scores, softmax
from jax_course.linear_cost import LinearCost

M, D, K = 12, 3, 4
RNG = np.random.default_rng(0)
X, W = RNG.standard_normal((M, D)), RNG.uniform(0.5, 2, M)


@pytest.mark.parametrize(
    ("model", "shape", "y"),
    [(logistic, (D,), np.arange(M) % 2 * 1.0), (softmax, (D, K), (np.arange(M) % K).astype(np.int32))],
)
def test_the_chain_rule_gives_the_cost_gradient_and_hessian_of_the_model(model, shape, y):
    theta, penalty = RNG.standard_normal(shape), RNG.uniform(0, 2, shape)

    @jax.jit
    def pairs(theta, X, y, w, penalty):
        cost, given = LinearCost(model.LOSS, X, y, w, penalty), (theta, X, y)
        return (
            (cost.value(theta), model.cost(*given, penalty=penalty, weights=w)),
            (cost.gradient(theta), model.gradient(*given, penalty=penalty, weights=w)),
            (cost.hessian(theta), model.hessian(*given, weights=w)),
        )

    for chained, literal in pairs(theta, X, y, W, penalty):
        np.testing.assert_allclose(chained, literal, rtol=1e-12, atol=1e-12)


def test_the_bounds_on_the_curvature_hold_in_every_direction():
    Z, U = (jnp.asarray(scale * RNG.standard_normal((50, K))) for scale in (2, 1))
    U = U - jnp.mean(U, axis=1, keepdims=True)  # one number added to all scores changes nothing
    loss = losses.cross_entropy()
    curvature = np.sum(U * loss.curvature_product(Z, jnp.zeros(50, int), U), axis=1) / np.sum(U**2, axis=1)
    assert np.all(np.asarray(loss.min_variance(Z)) <= curvature * (1 + 1e-12))
    pi = np.asarray(scores.probabilities(Z))
    trace = np.sum(pi * (1 - pi), axis=1) / (K - 1)  # the mean over the K − 1 directions in which there is curvature
    np.testing.assert_allclose(loss.mean_variance(Z), trace, rtol=1e-12)


def test_the_loss_of_a_network_alone_says_that_it_cannot_be_fitted_as_a_classifier():
    with pytest.raises(TypeError, match="no derivatives for the fit of a linear classifier"):
        losses.squared_error().margin(X[:, 0], X[:, 0])
