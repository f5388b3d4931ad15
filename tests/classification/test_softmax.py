import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import optimize
from sklearn.linear_model import LogisticRegression

from jax_course import Status, data, logistic, softmax
from jax_course.classification import newton_fit
from tests import references
from tests.classification import literal

LOG3 = np.log(3.0)
M = 150  # examples in most fits here, of five columns and three classes, as the irises: they share their programs

cost, hessian = jax.jit(softmax.cost), jax.jit(softmax.hessian)


def status_of(solution):
    return Status(int(solution.status))


def with_bias(X):
    return np.column_stack([np.ones(len(X)), X])


def with_noise(problem):
    """A column of ones, the two features, and two columns that tell nothing."""
    noise = np.random.default_rng(0).standard_normal((len(problem.X), 2))
    return with_bias(np.concatenate([problem.X, noise], axis=1)), np.asarray(problem.y)


def three_classes():
    return with_noise(data.three_classes(m=M))


def test_values_by_hand():
    """At θ = 0 every π is 1/3; the Hessian's blocks are Σ x xᵀ times 2/9 on the diagonal and −1/9 off it."""
    theta, X, y = np.zeros((2, 3)), np.array([[1.0, 3.0], [1.0, 6.0]]), np.array([0, 2])
    of_theta = jax.jit(lambda *of: (softmax.predict(*of[:2]), softmax.cost(*of), softmax.gradient(*of)))
    pi, cost, gradient = of_theta(theta, X, y)
    np.testing.assert_allclose(pi, np.full((2, 3), 1 / 3), rtol=1e-15)
    np.testing.assert_allclose(cost, 2 * LOG3, rtol=1e-15)
    # Residuals (−2, 1, 1)/3 and (1, 1, −2)/3, weighted with 1 and 1, then with 3 and 6.
    np.testing.assert_allclose(gradient, [[-1 / 3, 2 / 3, -1 / 3], [0.0, 3.0, -3.0]], atol=1e-15)
    gram, blocks = np.array([[2.0, 9.0], [9.0, 45.0]]), np.full((3, 3), -1 / 9) + np.eye(3) / 3
    np.testing.assert_allclose(hessian(theta, X, y), np.einsum("jl,kn->jkln", gram, blocks), rtol=1e-14)
    # Logits log 1, log 2, log 5: π = 1/8, 2/8, 5/8.
    pi, cost, gradient = of_theta(np.log([[1.0, 2.0, 5.0]]), np.ones((1, 1)), np.array([1]))
    np.testing.assert_allclose(pi, [[0.125, 0.25, 0.625]], rtol=1e-15)
    np.testing.assert_allclose(cost, np.log(4), rtol=1e-15)
    np.testing.assert_allclose(gradient, [[0.125, -0.75, 0.625]], rtol=1e-15)


def test_the_hessian_is_the_literal_one():
    X, y = three_classes()
    theta = np.random.default_rng(0).standard_normal((5, 3))
    expected = literal.hessian(theta, X)
    found = np.asarray(hessian(theta, X, y)).reshape(15, 15)
    np.testing.assert_allclose(found, expected, atol=1e-12 * float(np.max(expected)))


LOGITS = [  # logits, and −log π of each class at 25 digits
    ([1000.0, 999.0, 998.0], [0.4076059644443804, 1.4076059644443804, 2.4076059644443804]),
    ([10000.0, -10000.0], [0.0, 20000.0]),
    ([-10000.0, -10000.0, -10001.0], [0.8619948040582511, 0.8619948040582511, 1.861994804058251]),
    ([0.0, -36.0, -37.0, -745.0], [3.1728275928179755e-16, 36.0, 37.0, 745.0]),
]


def test_cost_at_any_logits(precision):
    """Filled up to four classes with some that nothing is left of."""
    parts = softmax.cost, softmax.gradient, softmax.hessian
    of_each_class = jax.jit(jax.vmap(lambda theta, one, y: [part(theta, one, y) for part in parts], (None, None, 0)))
    for z, minus_log_pi in LOGITS:
        theta = np.array([[*z, *(4 - len(z)) * [min(z) - 2000]]], precision.dtype)
        values = of_each_class(theta, np.ones((1, 1), precision.dtype), np.arange(4)[:, None])
        assert all(value.dtype == precision.dtype for value in values)
        assert all(np.all(np.isfinite(value)) for value in values)
        costs = np.asarray(values[0])[: len(z)]
        np.testing.assert_allclose(costs, minus_log_pi, rtol=4 * np.finfo(precision.dtype).eps)


def test_two_classes_are_logistic_regression():
    """θ = θ₂ − θ₁. Course 9.3."""
    X, y = with_noise(data.two_classes(m=100))
    pair = np.random.default_rng(0).standard_normal((5, 2))

    @jax.jit
    def functions(pair, X, y):
        theta, of_logistic, of_softmax = pair[:, 1] - pair[:, 0], [], []
        for model, at, found in ((logistic, theta, of_logistic), (softmax, pair, of_softmax)):
            found += [model.predict(at, X), *(f(at, X, y) for f in (model.cost, model.gradient, model.hessian))]
        return of_logistic, of_softmax

    (pi, cost, g, H), (pi_2, cost_2, g_2, H_2) = functions(pair, X, y)
    np.testing.assert_allclose(np.asarray(pi_2)[:, 1], pi, rtol=1e-13)
    np.testing.assert_allclose(cost_2, cost, rtol=1e-14)
    np.testing.assert_allclose(np.asarray(g_2)[:, 1], g, rtol=1e-11)
    np.testing.assert_allclose(np.asarray(H_2)[:, 1, :, 1], H, rtol=1e-12)
    fitted = np.asarray(softmax.fit(X, y).check().theta)
    np.testing.assert_allclose(fitted[:, 1] - fitted[:, 0], logistic.fit(X, y).check().theta, rtol=1e-11)


def test_agrees_with_50_digits():
    table = data.table("iris")
    X = np.column_stack([table.X, np.ones(150)])
    solution = softmax.fit(X, table.y, penalty=np.array([[0.5], [0.5], [0.5], [0.5], [0.0]])).check()
    np.testing.assert_allclose(solution.theta, references.IRIS_SOFTMAX_THETA, rtol=1e-12)
    np.testing.assert_allclose(solution.cost, references.IRIS_SOFTMAX_COST, rtol=1e-14)


def test_agrees_with_scikit_learn_and_scipy():
    table = data.table("iris")
    X, y = np.asarray(table.X), np.asarray(table.y)
    X, penalty = with_bias((X - X.mean(axis=0)) / X.std(axis=0)), 0.5 * (np.arange(5)[:, None] > 0)
    theta = np.asarray(softmax.fit(X, y, penalty=penalty).check().theta)
    peer = LogisticRegression(C=1.0, solver="lbfgs", tol=1e-12, max_iter=10_000).fit(X[:, 1:], y)
    expected = np.concatenate([peer.intercept_[None], peer.coef_.T])
    np.testing.assert_allclose(theta, expected - expected.mean(axis=1, keepdims=True), atol=2e-5)
    found = optimize.minimize(
        jax.jit(jax.value_and_grad(lambda flat: softmax.cost(flat.reshape(theta.shape), X, y, penalty=penalty))),
        np.zeros(theta.size),
        jac=True,
        method="L-BFGS-B",
        options={"ftol": 1e-15, "gtol": 1e-8, "maxiter": 2000},
    )
    np.testing.assert_allclose(theta, found.x.reshape(theta.shape), atol=1e-5)


def test_without_a_penalty_the_least_norm_is_chosen_on_purpose():
    X, y = three_classes()
    theta, shift = np.asarray(softmax.fit(X, y).check().theta), np.array([[1.0], [-2.0], [3.0], [0.5], [0.0]])
    np.testing.assert_allclose(theta.sum(axis=1), np.zeros(5), atol=1e-12)
    np.testing.assert_allclose(cost(theta + shift, X, y), cost(theta, X, y), rtol=1e-14)
    product = jax.jit(softmax.hessian_product)(theta, X, y, np.tile(shift, (1, 3)))
    np.testing.assert_allclose(product, np.zeros((5, 3)), atol=1e-10)


def test_dependent_columns_give_the_least_norm_and_say_so():
    X, y = three_classes()
    twice = softmax.fit(X[:, [0, 2, 2, 1, 3]], y).check()
    assert status_of(twice) is Status.RANK_DEFICIENT
    theta, once = np.asarray(twice.theta), literal.minimum((4, 3), X[:, [0, 2, 1, 3]], y)
    np.testing.assert_allclose(theta[2], once[1] / 2, rtol=1e-9)
    np.testing.assert_allclose(theta[2], theta[1], rtol=1e-12)


def test_separable_classes_are_never_called_converged(width):
    """Six examples, 25 times each, beside columns that tell nothing of the classes."""
    x = np.tile([-3.0, -2.0, 0.0, 0.5, 2.0, 3.0], 25)
    signs = [np.append(np.tile(np.repeat([1.0, -1.0], n), 12 // n), 0).repeat(6) for n in (12, 6, 3)]
    X = np.stack([np.ones(M), x, *signs], axis=1).astype(width.dtype)
    all_three, partly, absent = (np.tile(y, 25) for y in ([0, 0, 1, 1, 2, 2], [0, 0, 1, 2, 1, 2], [0, 1, 0, 1, 0, 1]))
    assert status_of(softmax.fit(X, all_three)) is Status.SEPARABLE
    assert status_of(softmax.fit(X, partly)) is Status.SEPARABLE  # class 0 from the others, which overlap
    softmax.fit(X, all_three, penalty=1e-3).check()
    assert status_of(softmax.fit(X, absent, classes=3)) is Status.SEPARABLE  # a class without examples drifts away


def test_real_tables_are_told_apart():
    iris = data.table("iris")
    X, y = with_bias(iris.X), np.asarray(iris.y)
    assert status_of(softmax.fit(X, y)) is Status.SEPARABLE
    assert status_of(softmax.fit(X[50:], y[50:] - 1)) is Status.CONVERGED


def test_digits_are_fitted_to_a_tiny_gradient():
    table = data.table("digits")
    X, y = np.asarray(table.X)[:600], np.asarray(table.y)[:600]
    X = with_bias((X - X.mean(axis=0)) / np.where(X.std(axis=0) > 0, X.std(axis=0), 1))
    solution = softmax.fit(X, y, penalty=1.0).check()
    start = np.linalg.norm(literal.gradient(np.zeros(solution.theta.shape), X, y))
    assert float(solution.gradient_norm) <= 1e-10 * start
    assert np.mean(np.asarray(jax.jit(softmax.predict_class)(solution.theta, X)) == y) > 0.98


@pytest.mark.parametrize(
    ("y", "error", "message"),
    [
        ([0, 1, 5, 1], ValueError, r"class numbers 0…2; got 0, 1, 5: number .* data.encode\(y\)$"),
        ([0, 1, -1, 1], ValueError, "class numbers 0…2; got -1, 0, 1"),
        ([0, 1, 2, 3], ValueError, r"got 0, 1, 2, 3: .* data.encode\(y\), and give classes=4"),
        ([2, 2, 2, 2], ValueError, "at least two classes; all are 2"),
        ([0.0, 1.0, 2.0, 1.0], TypeError, r"integers; got float64: .* data.encode\(y\)"),
    ],
)
def test_labels_that_are_none_are_refused(y, error, message):
    with pytest.raises(error, match=message):
        softmax.fit(np.eye(4), np.array(y), classes=3)


@pytest.mark.parametrize(
    ("y", "weights", "message"),
    [
        ([-1, 0, 1, 1], 1.0, r"class numbers 0…K−1; got -1, 0, 1: number them .* data.encode"),
        ([1, 2, 3, 1], 1.0, "from 0; they are numbered from 1 to 3: give y - 1, or .*encode"),
        ([0, 2, 0, 2], 1.0, "class 1 has no example; y holds 0, 2: number them .* or give classes=3"),
        (
            [75001, 75002, 75003, 75001],
            1.0,
            r"class 0 has no example; y holds 75001, 75002, 75003: .* data.encode\(y\)$",
        ),
        ([0, 1, 2, 0], [1, 1, 0, 1], "class 2 has examples of weight 0 only: give classes=3"),
    ],
)
@pytest.mark.parametrize("container", [np.asarray, jnp.asarray])
def test_a_class_without_examples_is_named(y, weights, message, container):
    with pytest.raises(ValueError, match=message):
        softmax.fit(np.eye(4), container(np.array(y)), weights=np.asarray(weights, float))


def test_the_number_of_classes_comes_from_the_labels_or_must_be_given(monkeypatch):
    X, y = three_classes()
    monkeypatch.setattr(newton_fit, "newton_stage", lambda loss, data, max_steps: (data.penalty.shape, np.True_))
    assert softmax.fit(X, y, penalty=1.0) == (5, 3)
    assert softmax.fit(X, y, classes=4, penalty=1.0) == (5, 4)
    with pytest.raises(ValueError, match="inside jit the number of classes must be given"):
        jax.jit(softmax.fit)(X, y)


def test_theta_of_one_class_is_refused():
    with pytest.raises(ValueError, match=r"theta must have shape .* K ≥ 2 classes"):
        softmax.cost(np.zeros((5, 1)), *three_classes())


def test_a_class_number_beyond_K_is_not_silent():
    X, y = three_classes()
    assert np.isnan(cost(np.zeros((5, 2)), X, y))
