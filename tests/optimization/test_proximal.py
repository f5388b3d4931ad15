"""Proximal methods: the lasso against scikit-learn and its own conditions, bounds against scipy."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.optimize
from sklearn.linear_model import Lasso

from jax_course import linear
from jax_course.optimization import (
    Status,
    accelerated_proximal_gradient,
    projected_gradient,
    proximal_gradient,
    soft_threshold,
    trace,
)

RNG = np.random.default_rng(7)
X = RNG.standard_normal((40, 8)) @ (np.eye(8) + 0.4)
Y = X @ np.array([3.0, 0, 0, -2, 0, 0, 0, 1]) + 0.1 * RNG.standard_normal(40)
PENALTY = 20.0
BOTH = {"proximal_gradient": proximal_gradient, "accelerated": accelerated_proximal_gradient}


def lasso(dtype):
    """Σ (y − Xθ)² and the prox of PENALTY ‖θ‖₁."""
    data = {"X": jnp.asarray(X, dtype), "y": jnp.asarray(Y, dtype)}
    cost = functools.partial(linear.cost, **data)
    return cost, functools.partial(linear.gradient, **data), lambda theta, step: soft_threshold(theta, PENALTY * step)


@pytest.mark.parametrize("name", BOTH)
def test_the_lasso_is_that_of_scikit_learn(name, width):
    cost, gradient, proximal = lasso(width.dtype)
    solution = BOTH[name](cost, np.zeros(8, width.dtype), proximal=proximal, gradient=gradient).check()
    theirs = Lasso(alpha=PENALTY / (2 * len(X)), fit_intercept=False, tol=1e-14, max_iter=10**6).fit(X, Y)
    np.testing.assert_allclose(solution.theta, theirs.coef_, atol=1e-8 if width.dtype == np.float64 else 1e-4)
    assert np.sum(np.asarray(solution.theta) != 0) == np.sum(theirs.coef_ != 0) < 8
    assert solution.theta.dtype == width.dtype
    np.testing.assert_allclose(solution.cost, np.sum((Y - X @ np.asarray(solution.theta)) ** 2), rtol=1e-6)


def test_the_conditions_of_the_lasso_hold():
    """2Xᵀ(y − Xθ) is ±PENALTY where θ is not 0, and within that where it is."""
    cost, _, proximal = lasso(float)
    theta = np.asarray(accelerated_proximal_gradient(cost, np.zeros(8), proximal=proximal).check().theta)
    g = 2 * X.T @ (X @ theta - Y)
    active = theta != 0
    np.testing.assert_allclose(g[active], -PENALTY * np.sign(theta[active]), rtol=1e-7)
    assert np.all(np.abs(g[~active]) < PENALTY)


def test_bounds_are_those_of_scipy():
    theirs = scipy.optimize.lsq_linear(X, Y, bounds=(-1, 1), tol=1e-14)
    cost, gradient, _ = lasso(float)
    solution = projected_gradient(cost, np.zeros(8), projection=lambda t: jnp.clip(t, -1, 1), gradient=gradient)
    np.testing.assert_allclose(solution.check().theta, theirs.x, atol=1e-8)


def test_momentum_takes_the_root_of_the_steps():
    H = np.geomspace(1, 1e4, 10)
    steps = {
        name: int(solve(lambda t: 0.5 * jnp.sum(H * t**2), np.ones(10), proximal=unchanged, max_steps=10**5).steps)
        for name, solve in BOTH.items()
    }
    assert steps["proximal_gradient"] > 5000
    assert steps["accelerated"] < steps["proximal_gradient"] / 10


def unchanged(theta, step):
    return theta


def test_without_h_it_is_gradient_descent():
    """h = 0: every step is −η∇f, and G is the gradient."""
    trajectory = trace(proximal_gradient, lambda t: 2 * jnp.sum(t**2), np.ones(3), proximal=unchanged, max_steps=1)
    eta = (1 - np.asarray(trajectory.theta)[1]) / 4
    np.testing.assert_allclose(eta, eta[0], rtol=1e-12)
    np.testing.assert_allclose(trajectory.gradient_norm, 4 * 3**0.5, rtol=1e-6)
    assert 0.125 < eta[0] <= 0.25


def test_a_step_never_raises_the_cost_above_its_parabola():
    """A curvature that grows: the first η is a thousand times too long further out."""
    solution = proximal_gradient(lambda t: jnp.sum(t**4), np.full(2, 10.0), proximal=unchanged, tolerance=1e-6)
    np.testing.assert_allclose(solution.check().theta, 0, atol=0.01)


def test_ends(width):
    @jax.jit
    def solve(start):
        return accelerated_proximal_gradient(lambda t: jnp.sum((t - 3) ** 2), start, proximal=unchanged, max_steps=50)

    statuses = [Status(int(solve(np.array([value], width.dtype)).status)) for value in (np.nan, 3.0, 10.0)]
    assert statuses == [Status.NOT_FINITE, Status.CONVERGED, Status.CONVERGED]


def test_a_prox_of_another_shape_is_refused():
    with pytest.raises(ValueError, match="the prox of theta must be like theta, shape \\(2,\\); got shape \\(\\)"):
        proximal_gradient(lambda t: jnp.sum(t**2), np.ones(2), proximal=lambda t, step: t[0])
