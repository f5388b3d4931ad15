"""Least squares of tall and of wide data by Cholesky's factors against the orthogonal factorisation, and its limits."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jax_course import linear, ridge
from jax_course.inputs import values
from jax_course.linalg import normal_equations, penalized_least_squares, predictive_least_squares
from jax_course.linalg.normal_equations import LeastSquaresMethod
from jax_course.solution import Method, Status

ORTHOGONAL, NORMAL_EQUATIONS, HALF_PRECISION = LeastSquaresMethod


@pytest.fixture(autouse=True, scope="module")
def for_small_data():
    """As if small data were large."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setattr(normal_equations, "WORK", 0)
        monkeypatch.setattr(normal_equations, "MANY_COLUMNS", 8)
        jax.clear_caches()
        yield
    jax.clear_caches()


def problem(m, d, condition=1.0, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((m, d)) * np.geomspace(1, 1 / condition, d) @ np.linalg.qr(rng.standard_normal((d, d)))[0]
    return X, X @ rng.standard_normal(d) + 0.1 * rng.standard_normal(m)


def exactly(X, y, penalty, weights: np.ndarray | float = 1.0):
    """NumPy's solution for the augmented rows, columns of length 1."""
    root = np.sqrt(np.broadcast_to(weights, y.shape))
    rows = np.concatenate([root[:, None] * X, np.diag(np.sqrt(np.broadcast_to(penalty, X.shape[1])))])
    size = np.linalg.norm(rows, axis=0) if len(X) > X.shape[1] else np.ones(X.shape[1])
    return np.linalg.lstsq(rows / size, np.concatenate([root * y, np.zeros(X.shape[1])]))[0] / size


TALL = {
    "few columns": (*problem(400, 4), 0.0, NORMAL_EQUATIONS),
    "many columns": (*problem(400, 10), 0.0, HALF_PRECISION),
    "condition 100": (*problem(400, 10, 100), 0.0, HALF_PRECISION),
    "condition 1e5": (*problem(400, 10, 1e5), 0.0, NORMAL_EQUATIONS),
    "condition 1e9": (*problem(400, 10, 1e9), 0.0, ORTHOGONAL),
    "penalised": (*problem(400, 10, 1e9), 0.3, HALF_PRECISION),
    "by column": (*problem(400, 4), np.array([0.0, 1.0, 2.0, 1e3]), NORMAL_EQUATIONS),
    "units": (problem(400, 4)[0] * np.array([1e9, 1.0, 1e-9, 1e4]), problem(400, 4)[1], 0.0, NORMAL_EQUATIONS),
    "wide": (*problem(20, 90), 0.0, NORMAL_EQUATIONS),
    "wide, penalised": (*problem(20, 90), 0.7, NORMAL_EQUATIONS),
    "wide, one column spared": (*problem(20, 90), np.eye(90)[0] * -0.7 + 0.7, ORTHOGONAL),
}


@pytest.mark.parametrize("name", TALL)
def test_it_is_the_least_squares_solution_and_takes_the_way_that_the_condition_allows(name):
    X, y, penalty, method = TALL[name]
    delta2 = np.array(np.broadcast_to(penalty, X.shape[1]))
    solved = jax.device_get(penalized_least_squares(*map(jnp.asarray, (X, y, delta2, 1.0))))
    assert int(solved.method) == method
    expected = exactly(X, y, penalty)
    size = np.linalg.norm(X, axis=0)
    wide = X.shape[0] < X.shape[1]
    tolerance = 1e-6 if "1e9" in name and not wide and penalty == 0.0 else 1e-9
    np.testing.assert_allclose(
        size * solved.theta, size * expected, rtol=0, atol=tolerance * np.max(size * np.abs(expected))
    )
    residual = y - X @ solved.theta
    cost = residual @ residual + np.sum(penalty * solved.theta**2)
    np.testing.assert_allclose(solved.cost, cost, rtol=1e-9, atol=1e-20)
    assert int(solved.rank) == (X.shape[0] if name == "wide" else X.shape[1])
    at_start = np.linalg.norm(X.T @ y)
    assert np.linalg.norm(solved.gradient) <= (1e-9 if method == ORTHOGONAL else 1e-11) * at_start


@pytest.mark.parametrize("d", [4, 10])
def test_weights_count_examples(d):
    X, y = problem(400, d)
    weights = np.random.default_rng(1).integers(0, 4, 400)
    found = ridge.fit(X, y, penalty=0.5, weights=weights.astype(float)).check()
    repeated = ridge.fit(X.repeat(weights, axis=0), y.repeat(weights), penalty=0.5).check()
    np.testing.assert_allclose(found.theta, repeated.theta, rtol=1e-12)
    np.testing.assert_allclose(found.theta, exactly(X, y, 0.5, weights), rtol=1e-10)
    assert int(found.method) == (Method.NORMAL_EQUATIONS if d == 4 else Method.HALF_PRECISION)
    tripled = ridge.fit(X, y, penalty=0.5, weights=3.0).check()
    np.testing.assert_allclose(tripled.theta, exactly(X, y, 0.5, 3.0), rtol=1e-10)


def test_dependent_columns_are_left_to_the_orthogonal_factorisation():
    X, y = problem(400, 4)
    X = np.concatenate([X, X[:, :1]], axis=1)
    solved = linear.fit(X, y)
    assert int(solved.method) == Method.ORTHOGONAL
    assert "combinations of others" in str(solved)
    np.testing.assert_allclose(solved.theta, np.linalg.lstsq(X, y)[0], rtol=1e-9)


def test_in_float32_and_within_jit_and_vmap():
    X, y = problem(400, 4)
    with jax.enable_x64(False):
        solved = linear.fit(X.astype(np.float32), y.astype(np.float32)).check()
        assert solved.theta.dtype == np.float32
        assert int(solved.method) == Method.NORMAL_EQUATIONS
        np.testing.assert_allclose(solved.theta, exactly(X, y, 0.0), rtol=1e-5, atol=1e-5)

    @jax.jit
    def alone_and_both(X, y):
        return linear.fit(X, y).theta, jax.vmap(lambda y: linear.fit(X, y).theta)(jnp.stack([y, 2 * y]))

    alone, both = jax.device_get(alone_and_both(X, y))
    np.testing.assert_allclose(alone, exactly(X, y, 0.0), rtol=1e-11)
    np.testing.assert_allclose(both, np.stack([alone, 2 * alone]), rtol=1e-10)


def test_the_size_decides_what_is_tried(monkeypatch):
    monkeypatch.setattr(normal_equations, "WORK", 400 * 4 * 4 + 1)
    X, y = problem(400, 4)
    assert int(linear.fit(X, y).method) == Method.ORTHOGONAL


def test_predictions_have_their_digits_where_theta_has_them_not():
    """Columns that nearly depend, and a penalty that decides between them: θ itself needs the orthogonal factors."""
    X, y = problem(400, 10, condition=1e7)
    data, targets, delta2 = map(jnp.asarray, (X, y, np.full(10, 1e-9)))
    solved = jax.device_get(predictive_least_squares(data, targets, delta2))
    assert solved.method == NORMAL_EQUATIONS
    assert int(penalized_least_squares(data, targets, delta2, jnp.asarray(1.0)).method) == ORTHOGONAL
    np.testing.assert_allclose(X @ solved.theta, X @ exactly(X, y, 1e-9), rtol=0, atol=1e-9 * np.max(np.abs(y)))
    y_on_nothing = predictive_least_squares(*map(jnp.asarray, (0 * X, y, np.zeros(10))))
    assert int(y_on_nothing.rank) == 0


@pytest.mark.parametrize(("dtype", "digits"), [("float64", 1e-13), ("float32", 2e-6)])
def test_columns_far_from_dependent_need_no_step_and_have_their_digits(dtype, digits, monkeypatch):
    X, y = problem(400, 4)
    y = y + 3.0 * np.cos(np.arange(400.0))  # far from its fit
    theta = exactly(X, y, 0.0)
    monkeypatch.setattr(normal_equations, "residual_moments", lambda theta, *_: (jnp.nan * theta, jnp.nan))  # of a step
    X, y = jnp.asarray(X, dtype), jnp.asarray(y, dtype)
    one, zero = jnp.ones((), dtype), jnp.zeros(4, dtype)
    solved, accepted = normal_equations._double_precision.__wrapped__(X, y, zero, one)
    assert accepted
    np.testing.assert_allclose(solved.theta, theta, rtol=digits)
    residual = np.asarray(y, float) - np.asarray(X, float) @ theta
    np.testing.assert_allclose(solved.cost, residual @ residual, rtol=30 * digits)


def test_the_cost_of_a_close_fit_is_summed_from_the_residuals():
    X, y = problem(400, 4)
    y = 1e6 + (y - y.mean()) * 1e-3
    X[:, 0] = 1.0
    theta = exactly(X, y, 0.0)
    solved = penalized_least_squares(jnp.asarray(X), jnp.asarray(y), jnp.zeros(4), jnp.asarray(1.0))
    assert int(solved.method) == NORMAL_EQUATIONS
    np.testing.assert_allclose(solved.cost, np.sum((y - X @ theta) ** 2), rtol=1e-6)


@pytest.mark.parametrize("name", ["X", "y"])
@pytest.mark.parametrize("shape", [(400, 4), (20, 90)], ids=["tall", "wide"])
def test_data_that_is_not_finite_is_refused_without_a_read_for_it(shape, name, monkeypatch):
    data = dict(zip("Xy", problem(*shape), strict=True))
    monkeypatch.setattr(normal_equations, "_orthogonal", None)  # what would take long
    assert linear.fit(**data).status != Status.NOT_FINITE
    monkeypatch.setattr(values, "finite", None)  # nor is it looked for where nothing is amiss
    assert np.isfinite(linear.fit(**data).theta).all()
    monkeypatch.undo()
    data[name].flat[3] = np.inf
    with pytest.raises(ValueError, match=rf"{name} must be finite; {name}\[.*3\] is inf"):
        linear.fit(**data)
