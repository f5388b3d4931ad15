"""The losses as costs of linear models: by the chain rule they are the formulas of the lecture."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import statsmodels.api as sm

from jax_course import logistic, losses, regression_losses, scores, softmax
from jax_course.classification import newton_fit
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
    assert np.all(np.asarray(loss.min_curvature(Z, None)) <= curvature * (1 + 1e-12))
    pi = np.asarray(scores.probabilities(Z))
    trace = np.sum(pi * (1 - pi), axis=1) / (K - 1)  # the mean over the K − 1 directions in which there is curvature
    np.testing.assert_allclose(loss.mean_curvature(Z, None), trace, rtol=1e-12)


def test_the_loss_of_a_network_alone_says_that_it_cannot_be_fitted_as_a_classifier():
    with pytest.raises(TypeError, match="no derivatives for the fit of a linear classifier"):
        losses.squared_error().margin(X[:, 0], X[:, 0])


def test_a_bound_on_rounding_holds_where_predictions_are_large():
    """Counts of about 1,000: the slope is a difference of numbers of that size."""
    design = np.column_stack([np.ones(M), X[:, 1:]]).astype(np.float32)
    theta = np.array([6.0, 0.5, -0.5], np.float32)
    y = np.exp(design @ theta)  # at the minimum: rounding is all that is left of the gradient

    @jax.jit
    def gradient_and_bound(theta, X, y):
        cost = LinearCost(regression_losses.poisson(), X, y, jnp.ones((), X.dtype), jnp.zeros(D, X.dtype))
        return cost.gradient(theta), cost.rounded_gradient(theta)

    found, bound = gradient_and_bound(theta, design, y)
    exact = design.T.astype(float) @ (np.exp(design.astype(float) @ theta) - y)
    assert np.all(np.abs(np.asarray(found) - exact) <= np.asarray(bound))


def test_a_model_of_counts_is_a_loss_and_nothing_else():
    counts = RNG.poisson(np.exp(X @ [1.0, 0.5, -0.5] + 8))
    design = np.column_stack([np.ones(M), X])
    data = jnp.asarray(design), jnp.asarray(counts * 1.0), jnp.asarray(W), jnp.zeros(1 + D)
    found = newton_fit.fit(regression_losses.poisson(), data, 50).check()
    peer = sm.GLM(counts, design, family=sm.families.Poisson(), freq_weights=W).fit(tol=1e-14)
    np.testing.assert_allclose(found.theta, peer.params, rtol=1e-10)


def test_along_separating_scores_the_curvature_is_bounded_by_the_slope():
    """So no direction separates the classes where the curvature is large and the gradient small."""
    U, y = RNG.standard_normal((50, K)), np.arange(50) % K
    U[np.arange(50), y] = np.max(U, axis=1)  # all margins are ≥ 0
    one = np.where(y % 2 == 0, -1.0, 1.0)

    @jax.jit
    def sides(u, z, y, u_1, z_1, y_1):
        counts, binary, several = regression_losses.poisson(), losses.binary_cross_entropy(), losses.cross_entropy()
        cases = [(several, u, z, y), (binary, u_1, z_1, y_1), (counts, -jnp.abs(u_1), z_1, 0 * y_1)]
        return [
            (u * loss.curvature_product(z, y, u), u * loss.slope(z, y), loss.margin(u, y), u) for loss, u, z, y in cases
        ]

    for curved, slope, margins, u in sides(U, 3 * RNG.standard_normal((50, K)), y, one, U[:, 0], (y % 2) * 1.0):
        curved, slope, u = (np.asarray(a).reshape(50, -1) for a in (curved, slope, u))
        bound = np.sqrt(2) * np.linalg.norm(u, axis=1) * np.abs(np.sum(slope, axis=1))
        assert np.min(margins) >= 0
        assert np.all(np.sum(curved, axis=1) <= bound)
