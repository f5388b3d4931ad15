"""HC0 to HC3 against statsmodels, in which an example of weight w is w rows."""

import jax
import numpy as np
import pytest
import statsmodels.api as sm

from jax_course import linear

KINDS = {
    "HC0": linear.covariance_hc0,
    "HC1": linear.covariance_hc1,
    "HC2": linear.covariance_hc2,
    "HC3": linear.covariance_hc3,
}
M = 30
RNG = np.random.default_rng(0)
X = np.column_stack([np.ones(M), RNG.standard_normal((M, 2)) * [1e3, 1e-3]])
Y = X @ [1.0, 1e-3, 2e3] + RNG.standard_normal(M) * (1 + np.abs(X[:, 1]) / 1e3)
COUNTS = RNG.integers(0, 4, M)


@jax.jit
def covariances(theta, X, y, weights):
    return {name: covariance(theta, X, y, weights=weights) for name, covariance in KINDS.items()}


@pytest.mark.parametrize("weights", [np.ones(M, int), COUNTS], ids=["rows", "counts"])
def test_robust_covariances_are_those_of_statsmodels(weights):
    theta = linear.fit(X, Y, weights=weights).theta
    found = covariances(theta, X, Y, weights)
    for name, covariance in found.items():
        peer = sm.OLS(Y.repeat(weights), X.repeat(weights, axis=0)).fit(cov_type=name)
        units = np.outer(peer.bse, peer.bse)
        np.testing.assert_allclose(covariance / units, peer.cov_params() / units, atol=1e-10, err_msg=name)


def test_an_example_whose_leverage_is_one_has_no_error_of_its_own():
    """The last row alone has the second column. With weight 0 it is none, and the other rows do not know it."""
    alone = np.array([[1.0, 0], [1, 0], [1, 0], [1, 1]])
    given = np.array([1.0, 4]), alone, np.array([0.0, 1, 2, 5])
    for name in ("HC2", "HC3"):
        with pytest.raises(ValueError, match=r"leverage of 1: without it .*; use covariance_hc1"):
            KINDS[name](*given)
    within = covariances(*given, np.ones(4))
    assert all(np.isnan(within[name]).all() for name in ("HC2", "HC3"))
    np.testing.assert_allclose(within["HC0"], np.array([[2.0, -2], [-2, 2]]) / 9, atol=1e-15)
    np.testing.assert_allclose(within["HC1"], 2 * within["HC0"], rtol=1e-15)
    extreme = np.array([[1.0, -1], [1, 1], [1, 0], [1, 1e9]])
    ours = covariances(np.zeros(2), extreme, np.ones(4), np.array([1.0, 1, 1, 0]))
    alike = covariances(np.zeros(2), extreme[[0, 1, 2, 2]], np.ones(4), np.array([1.0, 1, 1, 0]))
    for name, covariance in ours.items():
        np.testing.assert_allclose(covariance, alike[name], rtol=1e-12, atol=1e-14, err_msg=name)


def test_dependent_columns_and_too_few_rows_are_refused():
    for function in KINDS.values():
        with pytest.raises(ValueError, match="the columns of X depend on each other"):
            function(np.zeros(2), np.ones((5, 2)), np.arange(5.0))
    with pytest.raises(ValueError, match="HC1 needs more rows than columns in X"):
        linear.covariance_hc1(np.zeros(2), np.eye(2), np.ones(2))
