"""The status at the end of a run: rounding, failure and a wrong gradient are distinguished."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jax_course.optimization import NotSolved, Status, bfgs, gradient_descent, lbfgs, newton, nonlinear_cg

CURVATURES = np.array([1.0, 10.0, 100.0])


def poisson(seed):
    """X, weights and counts of a problem whose weights are of very different size."""
    rng = np.random.default_rng(seed)
    m = int(rng.integers(5, 40))
    X = np.concatenate([np.ones((40, 1)), rng.standard_normal((40, 3)) * 10 ** rng.uniform(-1, 1, 3)], axis=1)
    w = np.where(np.arange(40) < m, rng.exponential(size=40) * 10 ** rng.uniform(-2, 4), 0)
    rates = np.exp(np.clip(X @ (rng.standard_normal(4) * 0.3 / np.abs(X).max(axis=0)), -5, 5))
    return X, w, rng.poisson(rates).astype(float)


@pytest.mark.parametrize(("solve", "seed"), [(lbfgs, 341), (nonlinear_cg, 341)])
def test_where_no_descent_can_be_seen_beside_rounding_it_has_converged(solve, seed):
    @jax.jit
    def fitted(X, w, y):
        def cost(theta):
            return jnp.sum(w * (jnp.exp(X @ theta) - y * (X @ theta)))

        found = solve(cost, jnp.zeros(4))
        return found, jax.hessian(cost)(found.theta), jax.grad(cost)(found.theta)

    found, H, g = fitted(*poisson(seed))
    assert found.status == Status.CONVERGED
    assert g @ np.linalg.solve(H, g) / 2 <= 1e-13 * abs(found.cost)


@pytest.mark.parametrize(
    ("solve", "wrong"),
    [
        *((solve, lambda theta: -slope(theta)) for solve in (newton, bfgs, gradient_descent, nonlinear_cg)),
        (bfgs, lambda theta: slope(theta) + 5.0),
    ],
)
def test_a_gradient_that_is_not_that_of_the_cost_is_named(solve, wrong):
    """It points uphill, or is not 0 at the minimum."""
    with pytest.raises(NotSolved, match=r"WRONG_GRADIENT: .*verify.derivatives\(cost, theta, gradient=...\)"):
        solve(bowl, jnp.ones(3), gradient=wrong).check()


def bowl(theta):
    return jnp.sum((CURVATURES * theta - 1) ** 2) + 3


def slope(theta):
    return 2 * CURVATURES * (CURVATURES * theta - 1)
