"""Derivatives of fits: those of the minimiser, or refused with a sentence."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jax_course import linear, logistic, ridge
from jax_course.optimization import gradient_descent, lbfgs, newton, proximal_gradient

X = np.random.default_rng(0).standard_normal((12, 2))
y = X @ np.array([1.0, -2.0]) + np.cos(np.arange(12.0))


def minimum(solve, p):
    """Of (θ − p)² + p θ⁴, where dθ/dp = (2 − 4θ³) / (2 + 12 p θ²)."""
    return solve(lambda theta: (theta - p) ** 2 + p * theta**4, 0.5).theta


def test_forward_mode_through_newton_is_that_of_the_minimum():
    p = 1.3
    theta, slope = jax.jit(lambda p: jax.jvp(lambda p: minimum(newton, p), (p,), (1.0,)))(p)
    np.testing.assert_allclose(slope, (2 - 4 * theta**3) / (2 + 12 * p * theta**2), rtol=1e-10)


def test_forward_mode_through_a_ridge_is_that_of_the_closed_form():
    def fitted(penalty):
        return ridge.fit(X, y, penalty=penalty).theta

    H = X.T @ X + 0.7 * np.eye(2)
    expected = -np.linalg.solve(H, np.linalg.solve(H, X.T @ y))
    np.testing.assert_allclose(jax.jvp(fitted, (0.7,), (1.0,))[1], expected, rtol=1e-10)
    np.testing.assert_allclose(jax.jacfwd(fitted)(0.7), expected, rtol=1e-10)


@pytest.mark.parametrize("solve", [gradient_descent, lbfgs, proximal_gradient])
@pytest.mark.parametrize("derivative", [lambda f: jax.jvp(f, (1.3,), (1.0,)), lambda f: jax.jit(jax.grad(f))(1.3)])
def test_a_method_whose_steps_autodiff_would_follow_is_refused(solve, derivative):
    settings = {"proximal": lambda theta, step: theta} if solve is proximal_gradient else {}
    with pytest.raises(TypeError, match=f"{solve.__name__} cannot be differentiated: .* Use newton with jax.jvp, or"):
        derivative(lambda p: minimum(lambda *task: solve(*task, **settings), p))


@pytest.mark.parametrize(
    ("name", "fit"),
    [
        ("linear.fit", lambda p: linear.fit(X, p * y)),
        ("logistic.fit", lambda p: logistic.fit(X, np.arange(12) % 2, penalty=p)),
        ("newton", lambda p: newton(lambda theta: jnp.sum((theta - p) ** 2), 0.0)),
    ],
)
def test_reverse_mode_through_a_fit_says_what_to_do(name, fit):
    with pytest.raises(TypeError, match=rf"{name} has no reverse mode: .* Use jax.jvp or jax.jacfwd, or differentiate"):
        jax.grad(lambda p: jnp.sum(fit(p).theta))(1.3)
