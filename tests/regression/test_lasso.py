from functools import cache, partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from sklearn.linear_model import ElasticNet, lars_path

from jax_course import Status, data, lasso, linalg, linear
from jax_course.linalg import blocks
from jax_course.optimization import accelerated_proximal_gradient, soft_threshold
from jax_course.regression import working_set
from jax_course.regression.scaled_problem import scaled_problem, scales
from jax_course.regression.unpenalized_columns import count_unpenalized
from tests import references


def diabetes():
    table = data.table("diabetes")
    return np.insert(np.asarray(table.X), 0, 1, axis=1), np.asarray(table.y), np.append(0.0, np.ones(10))


def sparse(m=60, d=20, *, seed=0, correlation=0.0, dtype=np.float64):
    """Five of d parameters are not 0; correlation: what all columns share."""
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((m, d)) + correlation * rng.standard_normal((m, 1))
    y = X[:, :5] @ [3.0, -2.0, 1.5, 1.0, -1.0] + 0.5 * rng.standard_normal(m)
    return X.astype(dtype), y.astype(dtype)


@cache
def measures(factors):
    """A program: the cost at every theta, what bounds its distance from the least one, and what is proven to be 0."""

    @jax.jit
    @partial(jax.vmap, in_axes=(0, None, 0))
    def program(theta, X, y):
        return [part(theta, X, y, penalty=np.array(factors)) for part in MEASURES]

    return program


MEASURES = lasso.cost, lasso.duality_gap, lasso.screened


def measured(thetas, X, y, penalty):
    """As if every penalty were 1, or 0: their sizes are units of the columns. y: of all thetas, or of each."""
    penalty = np.broadcast_to(np.asarray(penalty, X.dtype), X.shape[1])
    unit = np.where(penalty > 0, penalty, 1).astype(X.dtype)
    program = measures(tuple((penalty > 0).astype(X.dtype)))
    return jax.device_get(program(np.asarray(thetas) * unit, X / unit, np.broadcast_to(y, (len(thetas), len(X)))))


def relative_gap(theta, X, y, penalty):
    cost, gap, _ = measured(np.asarray(theta)[None, :], X, y, penalty)
    return float(gap[0] / cost[0])


# Values.


def test_orthonormal_columns_are_thresholded():
    """XᵀX = I: θ_j = soft(x_jᵀy, penalty/2)."""
    X = np.kron(np.eye(15, 5), np.array([[1, 1, 1, 1], [1, -1, 1, -1], [1, 1, -1, -1], [1, -1, -1, 1]]) / 2)
    y = np.tile([3.5, -0.25, 1.125, -2.0], 15)
    expected = {
        1.0: [0.6875, 2.9375, 1.5625, 0.0],
        3.0: [0.0, 1.9375, 0.5625, 0.0],
        20.0: [0.0, 0.0, 0.0, 0.0],
    }
    for penalty, theta in expected.items():
        found = lasso.fit(X, y, penalty=penalty).check()
        np.testing.assert_allclose(found.theta, np.tile(theta, 5), rtol=1e-14, atol=1e-15)


@pytest.fixture(scope="module")
def diabetes_path():
    """The knots of scikit-learn's LARS, which halves the penalty and divides by m, and a path through all penalties."""
    X, y, factors = diabetes()
    alphas, _, coefs = lars_path(X[:, 1:], y - np.mean(y), method="lasso")
    between = np.sort([*alphas[:-1], *(alphas[1:] + alphas[:-1]) / 2])[1:]
    penalties = np.sort([*(2 * len(y) * between), *references.DIABETES_LASSO])[::-1]
    path = jax.device_get(lasso.path(X, y, penalties, factors=factors).check())
    return 2 * len(y) * alphas, coefs, penalties, path


@pytest.mark.parametrize("penalty", references.DIABETES_LASSO)
def test_diabetes_to_25_digits(penalty, diabetes_path):
    X, y, _ = diabetes()
    *_, penalties, path = diabetes_path
    theta, cost = (values[list(penalties).index(penalty)] for values in (path.theta, path.cost))
    expected = references.DIABETES_LASSO[penalty]
    np.testing.assert_array_equal(theta[1:] == 0, expected[1:] == 0)
    np.testing.assert_allclose(theta, expected, atol=1e-8 * np.max(np.abs(expected)))
    expected_cost = np.sum((y - X @ expected) ** 2) + penalty * np.sum(np.abs(expected[1:]))
    np.testing.assert_allclose(cost, expected_cost, rtol=1e-13)


def test_the_path_is_that_of_least_angles(diabetes_path):
    X, y, factors = diabetes()
    knots, coefs, penalties, path = diabetes_path
    np.testing.assert_allclose(lasso.largest_penalty(X, y, factors=factors), knots[0], rtol=1e-12)
    expected = np.array([[np.interp(p, knots[::-1], c[::-1]) for c in coefs] for p in penalties])
    np.testing.assert_allclose(path.theta[:, 1:], expected, atol=1e-8 * np.max(np.abs(expected)))


def test_the_elastic_net_is_a_lasso_with_more_examples():
    X, y = sparse(40)
    p, delta2 = 8.0, 5.0
    more, zeros = np.sqrt(delta2) * np.eye(20), np.zeros(20)
    theta = lasso.fit(np.concatenate([X, more]), np.concatenate([y, zeros]), penalty=p).check().theta
    alpha = p / (2 * 40) + delta2 / 40
    peer = ElasticNet(alpha=alpha, l1_ratio=p / 80 / alpha, fit_intercept=False, tol=1e-14, max_iter=100_000)  # pyright: ignore[reportArgumentType]
    np.testing.assert_allclose(theta, peer.fit(X, y).coef_, atol=1e-8)


@jax.jit
def literal_fit(X, y, penalty):
    return accelerated_proximal_gradient(
        partial(linear.cost, X=X, y=y),
        np.zeros(20),
        gradient=partial(linear.gradient, X=X, y=y),
        proximal=lambda u, eta: soft_threshold(u, eta * penalty),
        tolerance=1e-9,
        max_steps=100_000,
    )


@pytest.mark.parametrize("correlation", [0.0, 3.0])
def test_it_is_where_the_literal_iteration_ends(correlation):
    X, y = sparse(correlation=correlation)
    literal = np.asarray(literal_fit(X, y, 20.0).check().theta)
    fitted = np.asarray(lasso.fit(X, y, penalty=20.0).check().theta)
    np.testing.assert_allclose(fitted, literal, atol=1e-8)
    np.testing.assert_array_equal(fitted == 0, literal == 0)


# The subgradient and the gap.


def test_where_no_parameter_is_0_the_subgradient_is_the_gradient(precision):
    X, y = sparse(dtype=precision.dtype)
    theta = np.random.default_rng(1).standard_normal(20).astype(precision.dtype)
    both = jax.jit(
        lambda *given: [function(*given, penalty=0.7) for function in (lasso.subgradient, jax.grad(lasso.cost))]
    )
    hand, reference = both(theta, X, y)
    assert hand.dtype == precision.dtype
    np.testing.assert_allclose(hand, reference, atol=precision.tolerance * np.max(np.abs(reference)))


def test_at_0_the_subgradient_is_the_shortest():
    X, y = sparse()
    theta = np.where(np.arange(20) < 5, 1.0, 0.0)
    p = np.linspace(0, 200, 20)
    shortest = np.asarray(jax.jit(lasso.subgradient)(theta, X, y, penalty=p))
    smooth = 2 * X.T @ (X @ theta - y)
    slopes = np.linspace(-1, 1, 2001)  # of |θ_j| at 0
    for j in range(5, 20):
        candidates = smooth[j] + p[j] * slopes
        assert abs(abs(shortest[j]) - np.min(np.abs(candidates))) <= p[j] / 1000
    step = 1e-6  # and the cost falls along it
    cost = jax.jit(lasso.cost)
    moved = cost(theta - step * shortest, X, y, penalty=p)
    expected = float(cost(theta, X, y, penalty=p)) - step * np.sum(shortest**2)
    np.testing.assert_allclose(moved, expected, atol=1e-3 * step * np.sum(shortest**2))


@pytest.mark.parametrize("factors", [np.ones(20), np.append([0.0, 0.0], np.ones(18))], ids=["all", "two free"])
def test_the_gap_bounds_what_is_left_and_screens_no_parameter_that_is_used(factors):
    X, y = sparse(correlation=1.0)
    p = 30.0 * factors
    best = jax.device_get(lasso.fit(X, y, penalty=p).check())
    rng = np.random.default_rng(2)
    thetas = [best.theta + size * rng.standard_normal(20) * (rng.random(20) < 0.5) for size in np.logspace(-8, 2, 21)]
    costs, gaps, zeros = measured(np.stack([best.theta, *thetas]), X, y, p)
    assert gaps[0] <= 1e-8 * costs[0]
    assert np.all(costs - best.cost <= gaps * (1 + 1e-6) + 1e-12 * best.cost)
    assert not np.any(zeros & (best.theta != 0)[None, :])
    assert np.sum(zeros[1:]) > 30
    assert np.sum(zeros[0]) == np.sum(best.theta == 0)


# Certified everywhere.


def collinear(m, d):
    """Columns that nearly repeat each other, in units sixteen powers of ten apart."""
    rng = np.random.default_rng(3)
    X = rng.standard_normal((m, 3)) @ rng.standard_normal((3, d)) + 1e-3 * rng.standard_normal((m, d))
    scale = 10.0 ** rng.integers(-8, 9, d)
    return X * scale, X[:, 0] + 0.1 * rng.standard_normal(m), scale


@pytest.mark.parametrize("shape", [(60, 20), (30, 200)])
@pytest.mark.parametrize("share", [0.9, 0.1, 1e-3])
def test_wide_and_collinear_designs_are_certified(shape, share):
    X, y, scale = collinear(*shape)
    p = share * np.max(2 * np.abs(X.T @ y) / scale) * scale
    solution = lasso.fit(X, y, penalty=p, max_steps=100_000).check()
    assert relative_gap(solution.theta, X, y, p) <= 1e-8


def test_the_residual_and_the_gram_matrix_carry_it_to_the_same_end(monkeypatch):
    X, y = sparse(30, 200)
    gram_fit = lasso.fit(X, y, penalty=9.0).check()
    monkeypatch.setattr(working_set, "GRAM", 0)
    monkeypatch.delattr(working_set, "_on_the_gram")
    residual_fit = lasso.fit(X, y, penalty=9.0).check()
    np.testing.assert_allclose(residual_fit.theta, gram_fit.theta, atol=1e-8)


@pytest.mark.parametrize(
    ("correlation", "share", "unit", "on_few"),
    [(0.0, 0.1, 1.0, True), (1.0, 0.1, 1e-90, True), (0.0, 1e-3, 1.0, False), (0.0, 1e-3, 1e-90, False)],
)
def test_a_working_set_leads_where_all_columns_lead_or_says_that_it_does_not(
    correlation, share, unit, on_few, monkeypatch
):
    monkeypatch.setattr(working_set, "WORK", 0)
    monkeypatch.setattr(working_set, "WORKING_SET", 32)
    X, y = sparse(128, 64, correlation=correlation)
    X = X * unit
    penalties = np.array([[0.5], [share]]) * np.max(2 * np.abs(X.T @ y)) * np.ones((1, X.shape[1]))
    problem = scaled_problem(*map(jnp.asarray, (X, y, penalties)))
    found, solved = working_set._on_a_working_set(problem, 10_000)
    assert bool(solved) == on_few
    last = scaled_problem(*map(jnp.asarray, (X, y, penalties[1:])))
    expected = np.asarray(working_set._on_the_gram(last, 10_000).theta) * unit
    thetas = [np.asarray(lasso.fit(X, y, penalty=penalties[1]).check().theta)]
    if on_few:
        path = np.asarray(lasso.path(X, y, penalties[:, 0]).check().theta)
        np.testing.assert_allclose(np.asarray(found.theta) * unit, path * unit, atol=1e-7)
        assert relative_gap(path[0], X, y, penalties[0]) <= 1e-8
        thetas.append(path[1])
    for theta in thetas:
        np.testing.assert_allclose(theta * unit, expected[0], atol=1e-7)
        assert relative_gap(theta, X, y, penalties[1]) <= 1e-8


@pytest.mark.parametrize("shares", [[0.02], np.geomspace(0.5, 0.02, 10)], ids=["fit", "path"])
def test_columns_correlated_with_their_neighbours_need_no_more_than_a_working_set(shares, monkeypatch):
    """The slopes at 0 name neighbours of the columns that are used: those are found only as others enter."""
    monkeypatch.setattr(working_set, "WORKING_SET", 32)
    monkeypatch.setattr(working_set, "ENTERING", 8)
    rng = np.random.default_rng(0)
    X = rng.standard_normal((256, 128))
    for j in range(1, 128):
        X[:, j] = 0.9 * X[:, j - 1] + np.sqrt(1 - 0.9**2) * X[:, j]
    theta = np.where(np.arange(128) % 16 == 5, rng.standard_normal(128), 0)
    y = X @ theta + 0.5 * rng.standard_normal(256)
    penalties = np.max(2 * np.abs(X.T @ y)) * np.outer(shares, np.ones(128))
    problem = scaled_problem(*map(jnp.asarray, (X, y, penalties)))
    found, solved = working_set._on_a_working_set(problem, 10_000)
    assert bool(solved)
    np.testing.assert_allclose(found.theta, working_set._on_the_gram(problem, 10_000).theta, atol=1e-8)


def test_one_read_of_a_large_problem_gives_the_scales_of_its_columns(monkeypatch):
    """All are ordinary; or the square of one vanishes or overflows, and then it is read again."""
    monkeypatch.setattr(blocks, "ONE_READ", 2**12)  # that count as large
    X, column_scale = np.full((256, 64), 0.25) * np.geomspace(1e-3, 1e3, 64), jax.jit(linalg.column_scale)
    assert linalg.is_large(jnp.asarray(X))
    one_read = jax.jit(scales)
    assert one_read.lower(X).as_text().count("stablehlo.case") == 1
    for factor in (1.0, 0.0, 1e-200, 1e200):
        changed = X * np.where(np.arange(64) == 3, factor, 1)
        np.testing.assert_array_equal(one_read(changed), column_scale(changed))


def test_duplicated_columns_share_one_prediction():
    X, y = sparse(d=10)
    twice = jax.device_get(lasso.fit(np.concatenate([X, X], axis=1), y, penalty=9.0).check())
    once = jax.device_get(lasso.fit(np.concatenate([X, 0 * X], axis=1), y, penalty=9.0).check())
    np.testing.assert_allclose(np.sum(twice.theta.reshape(2, 10), axis=0), once.theta[:10], atol=1e-7)
    np.testing.assert_allclose(twice.cost, once.cost, rtol=1e-8)


def test_a_path_begins_where_nothing_is_used_and_holds_the_fits():
    X, y = sparse(30, 200)
    largest = float(lasso.largest_penalty(X, y))
    penalties = largest * np.logspace(0, -3, 100)
    path = jax.device_get(lasso.path(X, y, penalties).check())
    assert np.all(path.theta[0] == 0)
    assert np.sum(path.theta[1] != 0) == 1
    for i in (0, 33, 99):
        alone = lasso.fit(X, y, penalty=penalties[i]).check()
        np.testing.assert_allclose(path.theta[i], alone.theta, atol=2e-6)
        np.testing.assert_allclose(path.cost[i], alone.cost, rtol=2e-8)
    unit = penalties[:, None]  # J(θ; y, p) = p² J(θ/p; y/p, 1)
    costs, gaps, _ = measured(path.theta / unit, X, y / unit, 1.0)
    assert np.all(gaps <= 1e-8 * costs)
    assert np.all(np.diff(np.sum(np.abs(path.theta), axis=1)) > -1e-9)


def test_without_any_penalty_it_is_least_squares():
    X, y = sparse()
    np.testing.assert_allclose(lasso.fit(X, y).check().theta, np.linalg.lstsq(X, y)[0], rtol=1e-12)


def test_free_columns_that_depend_on_each_other_have_the_least_norm():
    X, y = sparse(d=18)
    both = lasso.fit(np.insert(X, [0, 0], 1, axis=1), y, penalty=np.append(np.zeros(2), np.full(18, 9.0)))
    assert Status(int(both.status)) is Status.RANK_DEFICIENT
    centred = np.insert(X - np.mean(X, axis=0), [0, 0], 0, axis=1), y - np.mean(y)
    alone = np.asarray(lasso.fit(*centred, penalty=9.0).check().theta)[2:]
    bias = np.mean(y - X @ alone)
    np.testing.assert_allclose(both.theta, [bias / 2, bias / 2, *alone], atol=1e-9)


def test_nothing_to_fit_and_nothing_to_fit_it_with():
    X, y = sparse()

    def fitted(X, y, penalty):
        return np.asarray(lasso.fit(X, y, penalty=penalty).check().theta)

    assert not np.any(fitted(X, 0 * y, 1.0))
    X[:, 3] = 0
    assert fitted(X, y, 1.0)[3] == 0
    assert not np.any(fitted(0 * X, y, 1.0))
    assert not np.any(fitted(X, y, 1e300))


def test_float32_is_certified_to_its_own_digits():
    X, y = sparse(correlation=1.0)
    exact = lasso.fit(X, y, penalty=9.0).theta
    X, y = X.astype(np.float32), y.astype(np.float32)
    with jax.enable_x64(False):
        theta = np.asarray(lasso.fit(X, y, penalty=9.0).check().theta)
        assert relative_gap(theta, X, y, 9.0) <= 2e-5
    np.testing.assert_allclose(theta, exact, atol=1e-2)


def test_dtypes_are_kept(precision):
    X, y = sparse(dtype=precision.dtype)

    def found(X, y):
        path = lasso.path(X, y, [9.0, 3.0]).theta
        parts = lasso.cost, lasso.subgradient, lasso.duality_gap
        return [path, *(part(path[0], X, y, penalty=9.0) for part in parts)]

    assert all(value.dtype == precision.dtype for value in jax.eval_shape(found, X, y))


def test_too_few_sweeps_are_said():
    X, y, _ = collinear(60, 20)
    solution = lasso.fit(X, y, penalty=1e-6, max_steps=1)
    assert Status(int(solution.status)) is Status.OUT_OF_STEPS


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda X, y: lasso.fit(X, y, penalty=-1.0), ValueError, r"penalty must be finite and at least 0; got -1\.0"),
        (lambda X, y: lasso.path(X, y, []), ValueError, r"penalties must have shape \(n,\), n at least 1"),
        (lambda X, y: lasso.path(X, y, [1.0, 2.0]), ValueError, r"penalties must descend; got 1\.0 before 2\.0, at 0"),
        (lambda X, y: lasso.path(X, y, [1.0, 0.0]), ValueError, r"penalties must be above 0; got 0\.0"),
        (lambda X, y: lasso.path(X, y, [np.nan]), ValueError, "penalties must be finite and at least 0; got nan"),
        (lambda X, y: lasso.path(X, y, [True]), TypeError, "penalties must hold real numbers; got bool"),
        (lambda X, y: lasso.path(X, y, [1.0], factors=-1.0), ValueError, "factors must be finite and at least 0"),
        (lambda X, y: lasso.fit(X, y, max_steps="2"), TypeError, "max_steps must be a whole number"),  # pyright: ignore
    ],
)
def test_what_is_no_penalty_is_refused(call, error, message):
    with pytest.raises(error, match=message):
        call(*sparse())


def test_columns_without_a_penalty_are_counted_in_all_members():
    X, counts = jnp.ones((3, 4)), []

    def count(penalty):
        counts.append(count_unpenalized(penalty, X))
        return penalty

    some = np.array([[0.0, 5.0, 5.0, 5.0], [9.0, 9.0, 9.0, 9.0]])
    count(some[0])
    jax.vmap(count)(some)
    jax.vmap(count)(some[:, 1])
    jax.jit(count)(some[1])
    assert counts == [1, 4, 0, 4]


def test_a_penalty_that_is_known_inside_jit_compiles_no_elimination_of_columns():
    X, y = sparse()

    def program(penalty):
        return str(jax.make_jaxpr(partial(lasso.fit, penalty=penalty))(X, y))

    assert "name=qr" not in program(9.0)
    assert "name=qr" in program(np.append(0.0, np.full(19, 9.0)))
