import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.spatial.distance import cdist
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import RBF
from sklearn.kernel_ridge import KernelRidge

from jax_course import Status, features, kernel, ridge
from jax_course.regression import kernel_fit
from jax_course.regression.kernel_fit import kernel_product
from jax_course.solution import Method

# Solved with 80 digits: X, y, X_new, scale; penalty, theta, predictions, variances.
SIX = {
    "X": [[0.0], [0.5], [1.0], [1.5], [2.0], [3.0]],
    "y": [0.0, 0.48, 0.84, 1.0, 0.91, 0.14],
    "X_new": [[-0.5], [0.25], [1.75], [2.5], [10.0]],
    "scale": 1.0,
}
FIVE = {
    "X": [[0.0, 0.0], [1.0, 0.0], [0.0, 1.0], [1.0, 1.0], [0.5, 0.25]],
    "y": [1.0, -1.0, 0.5, 2.0, 0.75],
    "X_new": [[0.5, 0.5], [0.9, 0.1], [-1.0, 2.0]],
    "scale": 0.5,
}
SOLVED = [
    (
        SIX,
        0.001,
        [
            -0.8269646596458481,
            1.1266176796864986,
            -0.2829432721060306,
            0.40491339856304925,
            0.6447609486792739,
            -0.13662577135637208,
        ],
        [-0.2507429683034082, 0.23524108723425205, 0.9936975020327277, 0.5339116925555091, -7.163122636460227e-23],
        [0.1613537175579054, 0.002041828685970905, 0.0016124389761316734, 0.03641691910744177, 1.0],
    ),
    (
        SIX,
        1.0,
        [
            -0.10862487469235525,
            0.12693663722612425,
            0.22749828165336686,
            0.27710379112920763,
            0.29991716522025735,
            -0.001969150101780302,
        ],
        [-0.0082673159465568, 0.21893732187311463, 0.6927997927828781, 0.36007630806190005, -1.032354771109463e-24],
        [0.6918849360994765, 0.3447227347799569, 0.3432471846851534, 0.4825777201515919, 1.0],
    ),
    (
        FIVE,
        1e-06,
        [0.686319394396892, -1.9090244070267823, -0.03394051007590104, 2.0520751299967666, 1.0070715558498522],
        [1.1813597281399677, -0.6052001450151059, -0.00047306136363061264],
        [0.11836258246665302, 0.025892624821509436, 0.9996434025683978],
    ),
    (
        FIVE,
        0.1,
        [0.6871232613778252, -1.6085411182735538, 0.02611836380800925, 1.8595406902542126, 0.7926283228596056],
        [1.0542165525925167, -0.5002045138607244, 0.0006130733940742167],
        [0.20795951075051144, 0.09438408887064918, 0.9996796627396668],
    ),
]


def problem(m=40, d=2, dtype: type = np.float64):
    rng = np.random.default_rng(0)
    X = rng.uniform(-2, 2, (m, d))
    return X.astype(dtype), (np.sin(X).sum(axis=1) + 0.1 * rng.standard_normal(m)).astype(dtype)


def literal_kernel(X, centers, scale):
    return np.exp(-cdist(X, centers, "sqeuclidean") / scale)


@functools.cache
def kernel_of_many(dtype):
    X, _ = problem(600, 3, dtype)
    return literal_kernel(X, X, 2.0)


@jax.jit
def fitted(X, y, X_new, scale, penalty):
    """The fit, and what it says of new points."""
    solution = kernel.fit(X, y, scale=scale, penalty=penalty)
    predictions = kernel.predict(solution.theta, X_new, centers=X, scale=scale)
    return solution, predictions, kernel.predict_variance(X_new, centers=X, scale=scale, penalty=penalty)


@pytest.mark.parametrize(("given", "penalty", "theta", "predictions", "variances"), SOLVED)
def test_agrees_with_80_digits(given, penalty, theta, predictions, variances):
    X, y, X_new, scale = (np.array(given[name]) for name in ("X", "y", "X_new", "scale"))
    solution, predicted, variance = fitted(X, y, X_new, scale, penalty)
    np.testing.assert_allclose(solution.check().theta, theta, rtol=1e-12)
    np.testing.assert_allclose(predicted, predictions, rtol=1e-12, atol=1e-15)
    np.testing.assert_allclose(variance, variances, rtol=1e-12)


@pytest.mark.parametrize(("scale", "penalty"), [(0.5, 1e-3), (5.0, 0.1), (100.0, 10.0)])
def test_the_fit_is_that_of_scikit_learn(scale, penalty):
    X, y = problem()
    peer = KernelRidge(kernel="rbf", gamma=1 / scale, alpha=penalty).fit(X, y)
    theta = kernel.fit(X, y, scale=scale, penalty=penalty).check().theta
    np.testing.assert_allclose(theta, peer.dual_coef_, rtol=1e-8)
    np.testing.assert_allclose(kernel.predict(theta, X + 0.1, centers=X, scale=scale), peer.predict(X + 0.1), rtol=1e-8)
    process = GaussianProcessRegressor(RBF(np.sqrt(scale / 2), "fixed"), alpha=penalty).fit(X, y)
    deviation = process.predict(X[:9] + 0.3, return_std=True)[1]
    variance = kernel.predict_variance(X[:9] + 0.3, centers=X, scale=scale, penalty=penalty)
    np.testing.assert_allclose(np.sqrt(variance), deviation, rtol=1e-8)


def test_on_centers_it_is_ridge_regression_on_their_features():
    X, y = problem()
    theta = kernel.fit_on_centers(X, y, scale=2.0, penalty=0.3, centers=X[:5]).check().theta
    Phi = literal_kernel(X, X[:5], 2.0)
    np.testing.assert_allclose(theta, np.linalg.solve(Phi.T @ Phi + 0.3 * np.eye(5), Phi.T @ y), rtol=1e-9)
    np.testing.assert_allclose(kernel.predict(theta, X, centers=X[:5], scale=2.0), Phi @ theta, rtol=1e-12)
    least_squares = kernel.fit_on_centers(X, y, scale=2.0, centers=X[:5]).theta
    np.testing.assert_allclose(least_squares, np.linalg.lstsq(Phi, y)[0], rtol=1e-9)


def test_the_hessian_is_the_formula_in_numpy():
    X, y = problem(12)
    K = literal_kernel(X, X, 2.0)
    hessian = kernel.hessian(np.zeros(12), X, y, scale=2.0, penalty=0.3)
    np.testing.assert_allclose(hessian, 2 * K @ (K + 0.3 * np.eye(12)), rtol=1e-12)


def test_derivatives_in_the_scale():
    X, y = problem(12)
    hyper = {"penalty": 0.3}

    def fit(scale):
        K = jnp.exp(-jnp.sum((X[:, None, :] - X[None, :, :]) ** 2, axis=2) / scale)
        return jnp.linalg.solve(K + 0.3 * jnp.eye(12), y)

    @jax.jit
    def hand_and_references(scale):
        theta = fit(scale)
        differentiated_fit = jax.jacfwd(lambda scale: kernel.fit(X, y, scale=scale, **hyper).theta)(scale)
        slope = kernel.scale_derivative(theta, X, scale=scale, **hyper), jax.jacfwd(fit)(scale), differentiated_fit
        cost = jax.grad(lambda scale: kernel.cost(fit(scale), X, y, scale=scale, **hyper))(scale)
        return slope, (kernel.cost_scale_derivative(theta, X, scale=scale, **hyper), cost)

    (slope, literal, differentiated_fit), (cost_slope, reference) = hand_and_references(2.0)
    np.testing.assert_allclose(slope, literal, rtol=1e-10)
    np.testing.assert_allclose(slope, differentiated_fit, rtol=1e-8)
    np.testing.assert_allclose(cost_slope, reference, rtol=1e-9)


def test_leaving_one_out_is_leaving_one_out():
    X, y = problem(10)
    scales, penalties = [0.5, 3.0], [1e-3, 0.1, 2.0]
    errors = kernel.leave_one_out(X, y, scales=scales, penalties=penalties)

    def error(i, scale, penalty):
        rest = np.arange(10) != i
        K = literal_kernel(X[rest], X[rest], scale) + penalty * np.eye(9)
        return y[i] - literal_kernel(X[i : i + 1], X[rest], scale) @ np.linalg.solve(K, y[rest])

    expected = [[np.mean([error(i, s, p) ** 2 for i in range(10)]) for p in penalties] for s in scales]
    np.testing.assert_allclose(errors, expected, rtol=1e-9)
    assert np.all(np.isfinite(kernel.leave_one_out(X.repeat(2, axis=0), y.repeat(2), scales=[50.0], penalties=[0.0])))


def test_a_bias_is_not_penalised():
    X, y = problem()
    A = literal_kernel(X, X, 2.0) + 0.3 * np.eye(40)
    augmented = np.block([[A, np.ones((40, 1))], [np.ones((1, 40)), np.zeros((1, 1))]])
    expected = np.linalg.solve(augmented, np.append(y, 0))
    solution = kernel.fit_with_bias(X, y, scale=2.0, penalty=0.3).check()
    np.testing.assert_allclose(np.append(solution.theta.weights, solution.theta.bias), expected, rtol=1e-9)
    moved = kernel.fit_with_bias(X, y + 1000, scale=2.0, penalty=0.3)
    np.testing.assert_allclose(moved.theta.bias, solution.theta.bias + 1000, rtol=1e-12)
    np.testing.assert_allclose(moved.theta.weights, solution.theta.weights, rtol=1e-8)
    assert solution.gradient_norm < 1e-10
    assert (
        Status(int(kernel.fit_with_bias(np.ones((3, 1)), np.ones(3), scale=1.0, penalty=0.0).status))
        is not Status.CONVERGED
    )


@pytest.mark.parametrize("penalty", [0.0, 1e-3])
def test_equal_points_share_their_weight(penalty):
    """Without a penalty no θ is unique: the shortest gives equal points equal weights."""
    X, y = problem(8)
    solution = kernel.fit(X.repeat(2, axis=0), y.repeat(2), scale=0.2, penalty=penalty)
    expected = Status.CONVERGED if penalty else Status.RANK_DEFICIENT
    assert Status(int(solution.status)) is expected
    np.testing.assert_allclose(*np.reshape(solution.theta, (8, 2)).T, rtol=1e-7)
    alone = kernel.fit(X, y, scale=0.2, penalty=penalty / 2).theta
    np.testing.assert_allclose(2 * np.asarray(solution.theta)[::2], alone, rtol=1e-7)


def test_far_from_the_origin_no_digit_is_lost():
    X, y = problem()
    X = np.round(X * 2**20) / 2**20
    near, far = (kernel.fit(X + shift, y, scale=1.0, penalty=0.1).theta for shift in (0.0, 2.0**20))
    np.testing.assert_array_equal(near, far)


@pytest.mark.parametrize("penalty", [5e-5, 1e-1, 10.0])
def test_many_points_are_fitted_without_the_kernel_in_memory(monkeypatch, penalty, width):
    """Without the kernel in memory: as near to (K + δ²I)θ = y as rounding allows, in few steps."""
    monkeypatch.setattr(kernel, "LARGEST_EXACT", 500)
    monkeypatch.setattr(kernel_fit, "PRECONDITIONER_POINTS", 256)
    X, y = problem(600, 3, width.dtype)
    solution = jax.device_get(kernel.fit(X, y, scale=2.0, penalty=penalty).check())
    assert solution.method == Method.CONJUGATE_GRADIENTS
    assert 1 < solution.steps < 70  # a processor's rounding in float32 moves it: one takes 64, others fewer than 60
    K, theta, eps = kernel_of_many(width.dtype), solution.theta.astype(float), np.finfo(width.dtype).eps
    rounding = eps * np.linalg.norm(K @ np.abs(theta))
    delta2 = max(penalty, 600 * eps)  # less than the rounding of K is none
    enough = 1e-10 if width.dtype == np.float64 else 1e-5
    assert np.linalg.norm(y - K @ theta - delta2 * theta) <= max(enough * np.linalg.norm(y), rounding)
    predictions = kernel.predict(solution.theta, X[:50], centers=X, scale=2.0)
    np.testing.assert_allclose(predictions, K[:50] @ theta, rtol=0, atol=max(1e-12, 100 * rounding))


def test_many_points_go_the_way_that_is_cheap_and_safe(monkeypatch):
    monkeypatch.setattr(kernel, "ITERATIVE_POINTS", 150)
    monkeypatch.setattr(kernel_fit, "PRECONDITIONER_POINTS", 250)  # read where a program for so many points is compiled

    def chosen_method(penalty, points):
        X, y = problem(points, 3)
        solution = kernel.fit(X, y, scale=0.5, penalty=penalty)
        theta = np.asarray(solution.theta)
        np.testing.assert_allclose(literal_kernel(X, X, 0.5) @ theta + penalty * theta, y, rtol=0, atol=1e-9)
        return Method(int(solution.method))

    assert chosen_method(0.1, 200) is Method.CONJUGATE_GRADIENTS
    assert chosen_method(1e-14, 200) is Method.CHOLESKY  # below the rounding of K: may be singular
    monkeypatch.setattr(kernel_fit, "PRECONDITIONER_POINTS", 8)
    assert chosen_method(1e-5, 201) is Method.CHOLESKY  # hardly preconditioned, it takes too many steps


def test_equal_points_among_many_share_their_weight_without_a_penalty(monkeypatch):
    monkeypatch.setattr(kernel, "ITERATIVE_POINTS", 10)
    X, y = problem(8)
    solution = kernel.fit(X.repeat(2, axis=0), y.repeat(2), scale=0.2)
    assert Status(int(solution.status)) is Status.RANK_DEFICIENT
    np.testing.assert_allclose(*np.reshape(solution.theta, (8, 2)).T, rtol=1e-7)


def test_float32_is_regular_where_the_penalty_makes_it_so():
    X, y = problem(400, 1, np.float32)
    solution = kernel.fit(X, y, scale=1.0, penalty=0.005)
    assert Status(int(solution.status)) is Status.CONVERGED
    theta = np.asarray(solution.theta)
    left = literal_kernel(X, X, 1.0) @ theta + 0.005 * theta - y
    assert np.linalg.norm(left) < 1e-4 * np.linalg.norm(y)


def test_a_product_by_blocks_is_the_product(monkeypatch):
    monkeypatch.setattr("jax_course.regression.kernel_fit.BLOCK", 1000)
    X, y = problem(301)
    blockwise = jax.jit(kernel_product)(y, X, X, 0.7)
    np.testing.assert_allclose(blockwise, literal_kernel(X, X, 0.7) @ y, rtol=1e-12)


def test_float32_has_the_digits_that_the_condition_leaves(width):
    X, y = problem(dtype=width.dtype)
    solution, _, variance = fitted(X, y, np.concatenate([X, 100 + X]), 2.0, 0.1)
    theta, variance = np.asarray(solution.check().theta), np.asarray(variance)
    X, y = X.astype(float), y.astype(float)
    exact = np.linalg.solve(literal_kernel(X, X, 2.0) + 0.1 * np.eye(40), y)
    condition = 300
    np.testing.assert_allclose(theta, exact, atol=condition * width.tolerance * np.max(np.abs(exact)))
    assert np.all((variance >= 0) & (variance <= 1))
    np.testing.assert_allclose(variance[40:], 1, rtol=1e-6)


def test_dtypes_are_kept(precision):
    X, y = problem(dtype=precision.dtype)
    found = jax.eval_shape(functools.partial(fitted, scale=2.0, penalty=0.1), X, y, X)
    assert all(value.dtype == precision.dtype for value in (found[0].theta, *found[1:]))


def test_inside_jit_and_vmap_and_without_a_second_trace():
    X, y = problem()
    fit = jax.jit(jax.vmap(lambda y, scale: kernel.fit(X, y, scale=scale, penalty=0.1)))
    several = fit(np.stack([y, 2 * y, np.nan * y]), np.array([1.0, 2.0, 1.0]))
    assert np.asarray(several.status).tolist() == [Status.CONVERGED, Status.CONVERGED, Status.NOT_FINITE]
    alone = np.asarray(kernel.fit(X, y, scale=2.0, penalty=0.1).theta)
    np.testing.assert_allclose(np.asarray(several.theta)[1], 2 * alone, rtol=1e-9)
    with jax.no_tracing(True):
        kernel.fit(X + 1, y, scale=3.0, penalty=0.2)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda X, y: kernel.fit(X, y, scale=0.0, penalty=1.0), ValueError, "scale must be positive and finite; got 0"),
        (
            lambda X, y: kernel.fit(X, y, scale=-1.0, penalty=1.0),
            ValueError,
            "scale must be positive and finite; got -1",
        ),
        (lambda X, y: kernel.fit(X, y, scale=1.0, penalty=-1.0), ValueError, "penalty must be finite and at least 0"),
        (lambda X, y: kernel.fit(X, y, scale=1.0, penalty=np.ones(3)), ValueError, "penalty must be a scalar"),
        (
            lambda X, y: kernel.fit_on_centers(X, y, scale=1.0, centers=np.ones((2, 3))),
            ValueError,
            r"centers must have shape \(n, 2\), a row per center; got shape \(2, 3\)",
        ),
        (
            lambda X, y: kernel.predict(y, X, centers=X[:, :1], scale=1.0),
            ValueError,
            r"centers must have shape \(n, 2\), the columns of X; got shape \(40, 1\)",
        ),
        (
            lambda X, y: kernel.predict(y[:3], X, centers=X, scale=1.0),
            ValueError,
            r"theta must have shape \(40,\), one per center; got shape \(3,\)",
        ),
        (
            lambda X, y: kernel.leave_one_out(X, y, scales=[1.0, 0.0], penalties=[1.0]),
            ValueError,
            "scales must be positive and finite; got 0",
        ),
        (
            lambda X, y: kernel.leave_one_out(X, y, scales=[], penalties=[1.0]),
            ValueError,
            r"scales must have shape \(n,\), at least one",
        ),
        (
            lambda X, y: kernel.predict_variance(X, centers=np.ones((3, 2)), scale=1.0, penalty=0.0),
            ValueError,
            "singular to rounding: give a larger penalty",
        ),
        (
            lambda X, y: kernel.fit(np.full((2, 2), np.nan), y[:2], scale=1.0),
            ValueError,
            r"X must be finite; X\[0, 0\] is nan",
        ),
    ],
)
def test_what_is_no_kernel_is_refused(call, error, message):
    with pytest.raises(error, match=message):
        call(*problem())


def test_the_features_of_the_training_points_are_the_kernel():
    X, y = problem(12)

    @jax.jit
    def both(X, y):
        K = features.rbf(X, centers=X, scale=2.0)
        theta = kernel.fit(X, y, scale=2.0, penalty=0.3).theta
        costs = ridge.cost(theta, K, y) + 0.3 * theta @ K @ theta, kernel.cost(theta, X, y, scale=2.0, penalty=0.3)
        return K, theta, costs

    K, theta, costs = jax.device_get(both(X, y))
    np.testing.assert_allclose(K @ theta + 0.3 * theta, y, rtol=1e-12)
    assert costs[0] == pytest.approx(costs[1], rel=1e-12)
