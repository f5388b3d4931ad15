"""The fit of many examples against Newton's method, against the literal gradient, and where there is no minimum."""

import functools
import itertools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jax_course import logistic, losses, softmax
from jax_course.classification import newton_fit, preconditioned_lbfgs, subsample
from jax_course.linalg import spd_factor
from jax_course.linear_cost import LinearCost
from jax_course.solution import Method, Status
from tests.classification import literal

# programs of its own, made with the thresholds that hold when it is first called
SUBSAMPLE: Any = newton_fit.subsample_stage
ALL_EXAMPLES: Any = newton_fit.all_examples_stage


def both_stages(loss, data, max_steps):
    start = SUBSAMPLE.__wrapped__(loss, data, max_steps)
    return ALL_EXAMPLES.__wrapped__(loss, data, start, max_steps)


FOR_FEW = jax.jit(both_stages, static_argnums=0)


@pytest.fixture
def for_few_examples(monkeypatch):
    """As if a hundred examples were many, with a part of them to begin with."""
    monkeypatch.setattr(preconditioned_lbfgs, "WORK", 0)
    monkeypatch.setattr(subsample, "SUBSAMPLE", 16)
    monkeypatch.setattr(newton_fit, "quasi_newton_stage", FOR_FEW)


def binary(seed, m=150, d=3, columns=None):
    rng = np.random.default_rng(seed)
    X = np.concatenate([np.ones((m, 1)), rng.standard_normal((m, d - 1))], axis=1)
    y = (rng.random(m) < 1 / (1 + np.exp(-(X @ rng.standard_normal(d))))).astype(float)
    return X if columns is None else X * columns, y


def several(seed, m=150, d=3, K=3):
    rng = np.random.default_rng(seed)
    X = np.concatenate([np.ones((m, 1)), rng.standard_normal((m, d - 1))], axis=1)
    return X, np.argmax(X @ rng.standard_normal((d, K)) + rng.gumbel(size=(m, K)), axis=1).astype(np.int32)


FREE_BIAS = np.array([0.0, 1.0, 1.0])
PROBLEMS = {
    "logistic": (logistic, *binary(0), 0.0),
    "logistic, penalised": (logistic, *binary(1), 2.0),
    "logistic, bias free": (logistic, *binary(2), FREE_BIAS),
    "logistic, units": (logistic, *binary(3, columns=np.array([1.0, 1e4, 1e-4])), 0.0),
    "softmax": (softmax, *several(0), 0.0),
    "softmax, penalised": (softmax, *several(1), 0.5),
    "softmax, bias free": (softmax, *several(2), FREE_BIAS[:, None]),
    "softmax, no part": (softmax, *several(6, m=400, d=12, K=5), 0.5),
    "softmax, no part, bias free": (softmax, *several(7, m=400, d=12, K=5), np.arange(12)[:, None] > 0),
    "softmax, penalties by class": (softmax, *several(3), np.array([[0.5, 1.0, 2.0]])),
}


@pytest.mark.usefixtures("for_few_examples")
@pytest.mark.parametrize("name", PROBLEMS)
def test_it_ends_where_newton_s_method_does(name):
    model, X, y, penalty = PROBLEMS[name]
    penalty = np.asarray(penalty, float)
    weights = np.random.default_rng(5).integers(0, 4, len(y)).astype(float) if "no part" not in name else 1.0
    found = model.fit(X, y, penalty=penalty, weights=weights).check()
    assert int(found.method) == Method.QUASI_NEWTON
    theta = np.asarray(found.theta)
    at_start = float(np.linalg.norm(literal.gradient(np.zeros_like(theta), X, y, penalty, weights)))
    norm = np.linalg.norm(literal.gradient(theta, X, y, penalty, weights))
    assert norm <= 1.1e-10 * at_start
    np.testing.assert_allclose(found.gradient_norm, norm, atol=1e-12 * at_start)
    np.testing.assert_allclose(found.cost, literal.cost(theta, X, y, penalty, weights), rtol=1e-12)
    expected = literal.minimum(theta.shape, X, y, penalty, weights)
    size = np.sqrt(np.mean(X**2, axis=0)).reshape(-1, *(1,) * (expected.ndim - 1))
    np.testing.assert_allclose(size * theta, size * expected, rtol=1e-7, atol=1e-8 * np.max(size * expected))


@pytest.mark.usefixtures("for_few_examples")
def test_in_float32_it_reaches_what_rounding_allows():
    X, y = binary(6)
    with jax.enable_x64(False):
        found = logistic.fit(
            X.astype(np.float32), y.astype(np.float32), penalty=1.0, weights=np.ones(150, "f4")
        ).check()
        assert int(found.method) == Method.QUASI_NEWTON
        assert found.theta.dtype == np.float32
    np.testing.assert_allclose(found.theta, literal.minimum((3,), X, y, 1.0), rtol=1e-4, atol=1e-4)


NONE = {
    "separable": lambda X, y: (X, (X[:, 1] > 0) * 1.0),
    "quasi-completely separable": lambda X, y: (
        np.round(X),
        (np.round(X[:, 1]) + (y - 0.5) * (np.round(X[:, 1]) == 0) > 0) * 1.0,
    ),
    "a column twice": lambda X, y: (X[:, [0, 1, 1]], y),
}


@pytest.mark.usefixtures("for_few_examples")
@pytest.mark.parametrize(
    ("name", "status"),
    [
        ("separable", Status.SEPARABLE),
        ("quasi-completely separable", Status.SEPARABLE),
        ("a column twice", Status.RANK_DEFICIENT),
    ],
)
def test_where_there_is_no_minimum_or_several_newton_s_method_says_so(name, status):
    for seed in range(5):
        found = logistic.fit(*NONE[name](*binary(seed)), weights=np.ones(150))
        assert int(found.status) == status
        assert int(found.method) == Method.NEWTON


def difficult(kind, rng, m, d):
    """A design with a column of ones."""
    X = rng.standard_normal((m, d))
    if kind == "heavy tails":
        X = rng.standard_t(1.2, (m, d))
    if kind == "lengths":
        X *= rng.lognormal(0, 3, (m, 1))
    if kind == "grid":
        X = np.round(X)
    if kind == "offset":
        X += 10
    if kind == "units":
        X *= 10.0 ** rng.integers(-4, 5, d)
    if kind == "dependent":
        X[:, -1] = X[:, 1] - 2
    X[:, 0] = 1
    return X


@functools.cache
def judged_by_newton(model):
    """Data that are easily told to separable, and what Newton's method in float64 says of them."""
    judged, shape = {}, (3,) if model is logistic else (3, 3)
    for kind, seed in itertools.product(
        ("plain", "heavy tails", "lengths", "grid", "offset", "units", "dependent"), range(12, 24)
    ):
        rng = np.random.default_rng(seed)
        X = difficult(kind, rng, 150, 3)
        Z = X / np.sqrt(np.mean(X**2, axis=0)) @ rng.standard_normal(shape) * rng.choice([1, 5, 20, 100])
        y = (Z + rng.logistic(size=150) > 0) * 1.0 if model is logistic else np.argmax(Z + rng.gumbel(size=Z.shape), 1)
        if len(np.unique(y)) == max(2, *shape[1:], 0):
            y = y if model is logistic else y.astype(np.int32)
            data = jnp.asarray(X), jnp.asarray(y), jnp.ones(150), jnp.zeros(shape)
            found = newton_fit.complete_fit(model.LOSS, data, 100)
            judged[kind, seed] = X, y, jax.device_get(found)
    return judged


@pytest.mark.usefixtures("for_few_examples")
@pytest.mark.parametrize("model", [logistic, softmax])
@pytest.mark.parametrize("way", ["quasi_newton_stage", "newton_stage"])
def test_nothing_is_trusted_that_newton_s_method_finds_to_have_no_minimum(way, model, width):
    """From easily told to separable: the two agree about each that is trusted, and most that have a minimum are."""
    with jax.enable_x64(True):
        judged = judged_by_newton(model)
    trusted = 0
    for label, (X, y, by_newton) in judged.items():
        data = X, y, np.ones(150), np.zeros_like(by_newton.theta)
        stage = getattr(newton_fit, way)
        found, is_trusted = stage(model.LOSS, tuple(cast(a, width.dtype) for a in data), 100)
        if is_trusted:
            trusted += 1
            assert int(by_newton.status) == Status.CONVERGED, label
            size = np.max(np.abs(by_newton.theta))
            tolerance = 1e-6 if width.dtype == np.float64 else 2e-2
            np.testing.assert_allclose(found.theta, by_newton.theta, rtol=0, atol=tolerance * size)
    converged = sum(int(found.status) == Status.CONVERGED for _, _, found in judged.values())
    # rounding in float32 is soon as large as the curvature that proves a minimum to the plain way
    assert trusted > (0.4 if (way, width.dtype) == ("newton_stage", np.float32) else 0.6) * converged > 10


def cast(a, dtype):
    return a.astype(dtype) if a.dtype.kind == "f" else a


@pytest.mark.usefixtures("for_few_examples")
@pytest.mark.parametrize("model", [logistic, softmax])
def test_float32_in_64_bit_mode_stays_float32(model):
    X, y = (binary if model is logistic else several)(0)
    X, y, w = X.astype(np.float32), y.astype(np.float32 if model is logistic else np.int32), np.ones(150, np.float32)
    for weights in (w, w[0]):
        delta2 = np.zeros((3,) if model is logistic else (3, 3), np.float32)
        stage = functools.partial(newton_fit.quasi_newton_stage, model.LOSS)
        found, _ = jax.eval_shape(stage, (X, y, weights, delta2), 100)
        assert found.theta.dtype == found.cost.dtype == found.gradient_norm.dtype == np.float32


@pytest.mark.usefixtures("for_few_examples")
def test_the_order_of_the_examples_does_not_matter():
    (X, y), weights = binary(7), np.ones(150)
    expected = logistic.fit(X, y, weights=weights).theta
    for order in (np.argsort(y, kind="stable"), np.argsort(X[:, 1])):
        found = logistic.fit(X[order], y[order], weights=weights).check()
        np.testing.assert_allclose(found.theta, expected, rtol=1e-8)


@pytest.mark.usefixtures("for_few_examples")
def test_within_jit_and_vmap_without_weights_the_same_is_found(monkeypatch):
    X, y = binary(8)
    # a smaller program
    monkeypatch.setattr(newton_fit, "complete_fit", lambda *data: newton_fit.newton_stage(*data)[0])
    penalties = np.stack([np.zeros(3), np.full(3, 0.5), np.full(3, 2.0), FREE_BIAS])
    fit = jax.jit(jax.vmap(lambda X, y, penalty: logistic.fit(X, y, penalty=penalty), in_axes=(None, None, 0)))
    found = fit(X, y, penalties)
    assert np.all(np.asarray(found.method) == Method.QUASI_NEWTON)
    for theta, penalty in zip(np.asarray(found.theta), penalties, strict=True):
        np.testing.assert_allclose(theta, literal.minimum((3,), X, y, penalty), rtol=1e-8)


def test_many_examples_are_fitted_so_and_few_are_not():
    X, y = binary(9, m=9000, d=130)
    found = logistic.fit(X, y, penalty=1.0).check()
    assert int(found.method) == Method.QUASI_NEWTON
    assert "L-BFGS" in str(found)
    assert not preconditioned_lbfgs.is_worth_it(2000, jnp.asarray(X[0, :20]))
    few = logistic.fit(*binary(9), penalty=1.0, weights=np.ones(150)).check()
    assert int(few.method) == Method.NEWTON
    at_start = np.linalg.norm(literal.gradient(np.zeros(130), X, y, 1.0))
    assert np.linalg.norm(literal.gradient(np.asarray(found.theta), X, y, 1.0)) <= 1.1e-10 * at_start


@pytest.mark.parametrize("weights", [np.array(2.0), np.linspace(0.5, 1.5, 30_000)])
def test_the_subsample_stands_for_all_examples(weights):
    """Otherwise a penalty would weigh more beside it than beside all."""
    X = np.arange(30_000.0)[:, None]
    cost = LinearCost(logistic.LOSS, *map(jnp.asarray, (X, X[:, 0], weights, np.zeros(1))))
    part = subsample.subsample(cost)
    total = np.sum(np.broadcast_to(part.w, len(part.X)))
    assert len(part.X) < 10_000
    np.testing.assert_allclose(total, np.sum(np.broadcast_to(weights, len(X))), rtol=1e-3)


def test_sampling_noise_in_a_subsample_is_left_out_and_correlation_is_kept():
    rng = np.random.default_rng(0)
    independent = rng.standard_normal((300, 60))
    together = independent + 3 * rng.standard_normal((300, 1))
    shrinkage = jax.jit(lambda X, G: subsample._ledoit_wolf_shrinkage(X, jnp.ones(()), G))
    y, zero = np.arange(300) % 2 * 1.0, np.zeros(60)

    @jax.jit
    def factor(X, y, delta2, theta):
        return subsample.gram_preconditioner(LinearCost(logistic.LOSS, X, y, jnp.ones(()), delta2), theta)[0].L

    for X, mostly in ((independent, True), (together, False)):
        assert (float(shrinkage(X, X.T @ X)) > 0.5) == mostly
        L = np.asarray(factor(X, y, zero + 1, zero))
        assert np.array_equal(L, np.diag(np.diag(L))) == mostly  # the diagonal alone preconditions


@pytest.mark.usefixtures("for_few_examples")
@pytest.mark.parametrize("knows", [True, False])
def test_few_examples_of_several_classes_take_the_hessian_where_float32_knows_it(knows):
    """Less than half of the steps; where it does not, every class has the same metric as before."""
    X, y = several(8, m=400, d=12, K=5)
    X = X * np.geomspace(1, 100, 12)
    if not knows:
        X[:, -1] = X[:, -2]  # apart by their penalties alone
    found = softmax.fit(X, y, penalty=0.5).check()
    np.testing.assert_allclose(found.theta, literal.minimum((12, 5), X, y, 0.5), rtol=1e-7, atol=1e-9)
    assert (int(found.steps) < 25) == knows


def test_the_metric_of_all_parameters_is_the_hessian_and_holds_what_is_added_to_all_classes():
    X, y = several(9, m=400, d=5, K=3)
    theta, weights = np.random.default_rng(0).standard_normal((5, 3)), np.linspace(0.5, 2, 400)

    @jax.jit
    def preconditioner(A, delta2, theta, X, y, w):
        cost = LinearCost(losses.cross_entropy(), X, y, w, delta2)
        return subsample.hessian_preconditioner(cost, theta, spd_factor(A))

    metric, near = preconditioner(40 * np.eye(5), np.full((5, 3), 0.5), theta, X, y, weights)
    root = np.asarray(metric.L) / np.asarray(metric.scale)[:, None]
    assert near
    exact = literal.hessian(theta, X, 0.5, weights)
    np.testing.assert_allclose(root @ root.T, exact + np.kron(40 * np.eye(5), np.ones((3, 3)) / 3), atol=1e-3)
