"""Poisson and gamma regression, whose means are exponentials: values by hand, other libraries, and no minimum."""

import jax
import numpy as np
import pytest
import statsmodels.api as sm
from sklearn.linear_model import GammaRegressor, PoissonRegressor

from jax_course import Status, gamma, poisson

RNG = np.random.default_rng(0)
M = 60
RAW = RNG.standard_normal((M, 3))
X = np.column_stack([np.ones(M), RAW])
OFFSET, W = RNG.uniform(-1, 2, M), RNG.uniform(0.5, 2, M)
MEAN = np.exp(X @ [0.5, 0.4, -0.3, 0.0] + OFFSET)
COUNTS, AMOUNTS = RNG.poisson(MEAN) * 1.0, MEAN * RNG.gamma(2.0, 0.5, M)
FREE_BIAS = np.array([0.0, 1.0, 1.0, 1.0])
FAMILIES = {
    poisson: (COUNTS, sm.families.Poisson(), PoissonRegressor),
    gamma: (AMOUNTS, sm.families.Gamma(sm.families.links.Log()), GammaRegressor),
}
BOTH = pytest.mark.parametrize("model", FAMILIES)


def status_of(solution):
    return Status(int(solution.status))


@pytest.mark.parametrize(
    ("model", "cost", "gradient", "hessian"),
    [
        # means 2 and 4: of counts 3 and 1 the cost is 6 − 3 log 2 − log 4, the residuals −1 and 3
        (poisson, 6 - 5 * np.log(2), [2.0, 3.0], [[6.0, 4.0], [4.0, 4.0]]),
        # amounts 3 and 1: log 2 + 3/2 + log 4 + 1/4; 1 − y/μ is −½ and ¾
        (gamma, 3 * np.log(2) + 1.75, [0.25, 0.75], [[1.75, 0.25], [0.25, 0.25]]),
    ],
)
def test_values_by_hand(model, cost, gradient, hessian):
    theta, X, y = np.log([1.0, 2.0]), np.array([[1.0, 0.0], [1.0, 1.0]]), np.array([3.0, 1.0])
    functions = model.cost, model.gradient, model.hessian

    @jax.jit
    def values(offset):
        return [f(theta, X, y, offset=offset) for f in functions], model.predict(theta, X, offset=offset)

    found, mean = values(np.log(2.0))
    np.testing.assert_allclose(mean, [2.0, 4.0], rtol=1e-15)
    for value, expected in zip(found, (cost, gradient, hessian), strict=True):
        np.testing.assert_allclose(value, expected, rtol=1e-14)


@BOTH
def test_a_fit_with_offsets_and_weights_is_that_of_statsmodels(model):
    y, family, _ = FAMILIES[model]
    peer = sm.GLM(y, X, family=family, offset=OFFSET, freq_weights=W).fit(tol=1e-14)
    found = model.fit(X, y, offset=OFFSET, weights=W).check()
    np.testing.assert_allclose(found.theta, peer.params, rtol=1e-8)
    np.testing.assert_allclose(model.predict(found.theta, X, offset=OFFSET), peer.fittedvalues, rtol=1e-8)
    np.testing.assert_allclose(found.cost, model.cost(found.theta, X, y, offset=OFFSET, weights=W), rtol=1e-12)


@BOTH
def test_a_penalised_fit_is_that_of_scikit_learn_whose_cost_is_a_mean(model):
    y, _, peer_of = FAMILIES[model]
    peer = peer_of(alpha=2 * 3.0 / np.sum(W), tol=1e-12, solver="newton-cholesky").fit(RAW, y, sample_weight=W)
    found = model.fit(X, y, weights=W, penalty=3.0 * FREE_BIAS).check()
    np.testing.assert_allclose(found.theta, np.append(peer.intercept_, peer.coef_), rtol=1e-8)


@BOTH
@pytest.mark.parametrize("shift", [-20.0, 20.0])
def test_an_offset_of_any_size_moves_the_bias_alone(model, shift):
    """People instead of millions of people: 20 is the logarithm of 5e8."""
    y = FAMILIES[model][0]
    near, far = (model.fit(X, y, offset=OFFSET + o).check().theta for o in (0.0, shift))
    np.testing.assert_allclose(far, near - np.array([shift, 0, 0, 0]), rtol=1e-12, atol=1e-12)


def test_a_group_without_an_event_has_no_minimum_whatever_the_unit_of_the_exposure():
    """The mean of the group falls without end; a wrong CONVERGED would give −20 or so for its parameter."""
    group = np.arange(M) < 9
    design, y = np.column_stack([X, group]), np.where(group, 0.0, COUNTS)
    for offset in (OFFSET, OFFSET + 18, OFFSET - 18):
        assert status_of(poisson.fit(design, y, offset=offset)) is Status.SEPARABLE
    assert status_of(jax.jit(poisson.fit)(design, y)) is Status.SEPARABLE
    poisson.fit(design, y, penalty=0.1).check()
    with pytest.raises(RuntimeError, match="no minimum"):
        poisson.fit(design, y).check()


def test_counts_that_are_all_zero_have_a_minimum_only_if_no_direction_lowers_all_means():
    zeros = np.zeros(M)
    assert status_of(poisson.fit(X, zeros)) is Status.SEPARABLE
    found = poisson.fit(RAW, zeros).check()  # columns of both signs, no column of ones
    np.testing.assert_allclose(RAW.T @ np.exp(RAW @ np.asarray(found.theta)), 0, atol=1e-9)


@pytest.mark.parametrize(
    ("model", "y", "message"),
    [
        (poisson, -1.0, "y must be finite and at least 0; got -1.0"),
        (gamma, 0.0, "y must be positive and finite; got 0.0"),
    ],
)
def test_targets_that_the_model_cannot_have_are_refused(model, y, message):
    wrong = np.where(np.arange(M) == 7, y, 1.0)
    with pytest.raises(ValueError, match=message):
        model.fit(X, wrong)
    assert status_of(jax.jit(model.fit)(X, wrong)) is Status.NOT_FINITE


@BOTH
@pytest.mark.parametrize(
    ("offset", "error", "message"),
    [
        (np.ones(M - 1), ValueError, r"offset must be a scalar or have shape \(60,\), .*; got shape \(59,\)"),
        (np.full(M, np.nan), ValueError, r"offset must be finite; offset\[0\] is nan"),
        (1j, TypeError, "offset must hold real numbers; got complex128"),
        ("time", TypeError, "offset must be an array of numbers; got str"),
    ],
)
def test_an_offset_that_is_none_is_refused(model, offset, error, message):
    with pytest.raises(error, match=message):
        model.fit(X, FAMILIES[model][0], offset=offset)


@BOTH
def test_a_fit_in_float32_has_its_digits(model):
    y = FAMILIES[model][0]
    expected = model.fit(X, y, offset=OFFSET).theta
    with jax.enable_x64(False):
        found = model.fit(*(a.astype(np.float32) for a in (X, y)), offset=OFFSET.astype(np.float32)).check()
        assert found.theta.dtype == np.float32
    np.testing.assert_allclose(found.theta, expected, atol=1e-5)
