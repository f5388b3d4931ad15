"""The doctor's reports on right derivatives, on wrong ones, and on inputs that cannot be examined."""

from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jax_course import logistic, verify
from jax_course.verify import Kind

rng = np.random.default_rng(0)
X, Y = rng.standard_normal((30, 4)), np.arange(30) % 2 * 1.0
THETA = np.array([0.3, -0.5, 0.7, 0.1])


def kinds(report):
    return {finding.kind for finding in report.findings}


def affine(params, x):
    return jnp.sum((x @ params["weights"] + params["bias"][None, :]) ** 2)


def affine_gradient(params, x):
    residual = 2 * (x @ params["weights"] + params["bias"][None, :])
    return {"weights": x.T @ residual, "bias": residual.sum(axis=0)}


AFFINE = {"weights": rng.standard_normal((4, 3)), "bias": np.zeros(3)}


def test_a_right_gradient_of_a_tree():
    report = verify.derivatives(affine, AFFINE, X, gradient=affine_gradient)
    assert report.ok is True
    assert report.raise_if_wrong() is report
    assert not report.findings
    verify.assert_derivatives(affine, AFFINE, X, gradient=affine_gradient)


def test_everything_a_model_exports():
    report = verify.model(logistic, THETA, X, Y, penalty=0.3)
    assert report.ok is True
    assert {witness.derivative for witness in report.witnesses} == {"gradient", "hessian", "hessian_product"}
    assert "positive definite, rank 4 of 4" in report.notes[0]


@pytest.mark.parametrize("precision", [np.float64, np.float32, jnp.bfloat16])
def test_right_in_any_precision_of_the_inputs(precision):
    with jax.enable_x64(precision == np.float64):
        theta, data = (jnp.asarray(values.astype(precision)) for values in (THETA, X))
        assert verify.model(logistic, theta, data, Y, penalty=0.3).ok


def test_settings_are_restored_exceptions_included():
    with jax.enable_x64(False), jax.numpy_dtype_promotion("strict"), jax.default_matmul_precision("bfloat16"):
        assert verify.derivatives(affine, AFFINE, X, gradient=affine_gradient).ok
        with pytest.raises(ValueError, match="nothing to examine"):
            verify.derivatives(affine, AFFINE, X)
        with pytest.raises(ValueError, match="the cost raised ZeroDivisionError"):
            verify.derivatives(lambda p: 1 / 0, THETA, gradient=lambda p: p)
        assert jnp.ones(1).dtype == np.float32
        with pytest.raises(ValueError, match="promotion"):
            jnp.add(jnp.ones(1), jnp.ones(1, int))


def test_the_place_is_named_in_the_readers_own_words():
    def wrong(params, x):
        gradient = affine_gradient(params, x)
        return gradient | {"weights": gradient["weights"].at[2, 1].multiply(1.1)}

    finding = verify.derivatives(affine, AFFINE, X, gradient=wrong).findings[0]
    assert (finding.kind, finding.location) == (Kind.ENTRY, "weights[2, 1]")
    np.testing.assert_allclose(finding.hand, 1.1 * finding.reference)
    assert "`weights` (1 of 12 entries)" in finding.sentence


def test_leaves_with_different_mistakes_get_a_finding_each():
    def wrong(params, x):
        gradient = affine_gradient(params, x)
        return {"weights": -gradient["weights"], "bias": gradient["bias"] / len(x)}

    report = verify.derivatives(affine, AFFINE, X, gradient=wrong)
    leaves = {finding.leaf: finding for finding in report.findings}
    assert leaves["weights"].kind is Kind.SIGN
    assert leaves["bias"].kind is Kind.FACTOR
    assert "averaged where the cost sums (m = 30)" in leaves["bias"].sentence


def test_a_factor_that_depends_on_m_is_told_from_one_that_does_not():
    def gradient(factor):
        return lambda theta, X, y: factor(len(y)) * logistic.gradient(theta, X, y)

    thirty = verify.derivatives(logistic.cost, THETA, X, Y, gradient=gradient(lambda m: 30.0)).findings[0].sentence
    m = verify.derivatives(logistic.cost, THETA, X, Y, gradient=gradient(float)).findings[0].sentence
    assert "as the examples get fewer: every example counted m times (m = 30)" in m
    assert "fewer" not in thirty
    half = verify.derivatives(logistic.cost, THETA, X, Y, gradient=gradient(lambda m: 0.5)).findings[0].sentence
    assert "a factor 2 is missing" in half


def test_a_missing_penalty_shows_at_zero_too():
    report = verify.derivatives(
        logistic.cost,
        np.zeros(4),
        X,
        Y,
        gradient=lambda theta, X, y, penalty: logistic.gradient(theta, X, y),
        penalty=0.1,
    )
    assert kinds(report) == {Kind.PENALTY}
    assert "beside it" in report.findings[0].sentence


def test_structure_and_shape_are_findings():
    def without_bias(params, x):
        return {"weights": affine_gradient(params, x)["weights"]}

    def transposed(params, x):
        return affine_gradient(params, x) | {"weights": affine_gradient(params, x)["weights"].T}

    report = verify.derivatives(affine, AFFINE, X, gradient=without_bias)
    assert kinds(report) == {Kind.SHAPE}
    assert "expected {bias: (3,), weights: (4, 3)}; got {weights: (4, 3)}" in report.findings[0].sentence
    assert kinds(verify.derivatives(affine, AFFINE, X, gradient=transposed)) == {Kind.TRANSPOSE}


def test_a_gradient_that_raises_is_a_finding():
    report = verify.derivatives(affine, AFFINE, X, gradient=lambda params, x: params["no such"])
    assert report.ok is False
    assert "raised KeyError" in report.findings[0].sentence


def test_what_cannot_be_examined_is_refused():
    def total(p):
        return jnp.sum(p)

    with pytest.raises(ValueError, match=r"must return one number; it returned an array of shape \(4,\)"):
        verify.derivatives(lambda p: p, THETA, gradient=total)
    with pytest.raises(TypeError, match="parameters must be floating-point arrays; p is int"):
        verify.derivatives(total, np.arange(3), gradient=total)
    with pytest.raises(TypeError, match="no parameters"):
        verify.derivatives(total, {}, gradient=total)
    with pytest.raises(TypeError, match="must return a floating-point number; it returned int"):
        verify.derivatives(lambda p: jnp.sum(p > 0), THETA, gradient=total)


def test_nan_in_the_cost_is_undecided():
    report = verify.derivatives(lambda p: jnp.sum(jnp.log(p)), -np.ones(2), gradient=lambda p: 1 / p)
    assert report.ok is None
    assert kinds(report) == {Kind.NONFINITE}
    with pytest.raises(verify.WrongDerivative):
        verify.assert_derivatives(lambda p: jnp.sum(jnp.log(p)), -np.ones(2), gradient=lambda p: 1 / p)


def test_kinks():
    """Course 12.4: max(0, z) at 0 has the subgradients 0 … 1; jnp.maximum's autodiff takes ½."""

    def cost(w):
        return jnp.sum(jnp.maximum(w, 0))

    point = np.array([0.0, 1.0, -1.0])
    report = verify.derivatives(cost, point, gradient=lambda w: (w > 0) * 1.0)
    assert report.ok is True
    assert kinds(report) == {Kind.KINK}
    assert "one-sided derivatives differ (0 and 1); yours is the subgradient 0" in report.findings[0].sentence
    outside = verify.derivatives(cost, point, gradient=lambda w: jnp.where(w == 0, 1.5, (w > 0) * 1.0))
    assert outside.ok is False
    assert verify.derivatives(lambda w: jnp.sum(jnp.abs(w)), point, gradient=jnp.sign).ok is True


def test_kinks_that_meet():
    """A sum of kinks, of relu(z·θ_o) at z = 0: each derivative is right, their sum not between those of the cost."""
    weights = np.array([[1.0, -1.0, 0.5], [0.4, -0.3, 2.0]])
    delta = np.array([1.0, -2.0, 0.5])

    def cost(z):
        return jnp.maximum(z @ weights, 0) @ delta

    def gradient_with(slope_at_0):
        def gradient(z):
            return weights @ (delta * jnp.where(z @ weights > 0, 1.0, jnp.where(z @ weights < 0, 0.0, slope_at_0)))

        return gradient

    for slope in (0.0, 1.0):
        report = verify.derivatives(cost, np.zeros(2), gradient=gradient_with(slope))
        assert (report.ok, kinds(report)) == (True, {Kind.KINK})
        assert "the derivative jumps around the point" in report.findings[0].sentence
    assert verify.derivatives(cost, np.zeros(2), gradient=gradient_with(1.2)).ok is False


@pytest.mark.parametrize("positive_part", [lambda z: jnp.maximum(z, 0), jax.nn.relu])
def test_products_at_a_kink_of_the_gradient(positive_part):
    """Course 12.4: a unit of which an example leaves exactly 0 has the derivative 0 and the second derivative 0."""

    def cost(theta):
        return jnp.sum((positive_part(theta["bias"]) @ theta["weights"] - 1) ** 2)

    def gradient_of(theta):
        h = jnp.where(theta["bias"] > 0, theta["bias"], 0)
        r = 2 * (h @ theta["weights"] - 1)
        return {"bias": (theta["weights"] @ r) * (theta["bias"] > 0), "weights": jnp.outer(h, r)}

    def product(theta, v):
        return jax.jvp(gradient_of, (theta,), (v,))[1]

    theta = {"bias": np.array([0.0, 1.5, 0.0, -1.0]), "weights": np.random.default_rng(1).standard_normal((4, 2))}
    report = verify.derivatives(cost, theta, gradient=gradient_of, hessian_product=product)
    assert report.ok is True, report
    assert kinds(report) <= {Kind.KINK}
    wrong = verify.derivatives(cost, theta, hessian_product=lambda *a: jax.tree.map(lambda leaf: 2 * leaf, product(*a)))
    assert wrong.ok is False


def test_where_autodiff_is_off_the_readers_mistake_is_still_found():
    def softplus(z):  # autodiff takes a kink in |z| and max(z, 0) for its word, at z = 0
        return jnp.maximum(z, 0) + jnp.log1p(jnp.exp(-jnp.abs(z)))

    def cost(theta, X, y, *, penalty):
        z = X @ theta
        return jnp.sum(softplus(z) - y * z) + penalty * theta @ theta

    def gradient(theta, X, y, *, penalty):
        return logistic.gradient(theta, X, y, penalty=penalty)

    right = verify.derivatives(cost, np.zeros(4), X, Y, gradient=gradient, penalty=0.1)
    assert right.ok is True
    assert kinds(right) == {Kind.AUTODIFF}
    wrong = verify.derivatives(cost, np.zeros(4), X, Y, gradient=lambda *a, penalty: logistic.gradient(*a), penalty=0.1)
    assert wrong.ok is False
    assert kinds(wrong) == {Kind.AUTODIFF, Kind.PENALTY}


def test_autodiff_can_be_the_one_that_is_off():
    """JAX's second derivative of softplus at a logit of 40 is exactly 0."""
    report = verify.derivatives(
        jax.nn.softplus, 40.0, gradient=jax.nn.sigmoid, hessian=lambda z: jax.nn.sigmoid(z) * jax.nn.sigmoid(-z)
    )
    assert report.ok is True
    assert kinds(report) == {Kind.AUTODIFF}
    np.testing.assert_allclose(report.findings[0].hand, 4.248354255291589e-18)
    assert report.findings[0].reference == 0

    @jax.custom_vjp
    def cube(x):
        return x**3

    cube.defvjp(lambda x: (x**3, x), lambda x, g: (2 * x**2 * g,))  # its rule is wrong: 2x² for 3x²
    report = verify.derivatives(lambda x: jnp.sum(cube(x)), np.array([1.0, 2.0]), gradient=lambda x: 3 * x**2)
    assert report.ok is True
    assert kinds(report) == {Kind.AUTODIFF}
    assert "gives 2 where 3 is right" in report.findings[0].sentence


def numpy_cost(theta, X, y):
    z = X @ theta
    return np.sum(np.logaddexp(0, z) - y * z)


def numpy_gradient(theta, X, y):
    return X.T @ (1 / (1 + np.exp(-X @ theta)) - y)


def numpy_hessian(theta, X, y):
    pi = 1 / (1 + np.exp(-X @ theta))
    return (X.T * (pi * (1 - pi))) @ X


def numpy_product(theta, X, y, v):
    return numpy_hessian(theta, X, y) @ v


def test_plain_numpy():
    hands = {"gradient": numpy_gradient, "hessian": numpy_hessian, "hessian_product": numpy_product}
    report = verify.derivatives(numpy_cost, THETA, X, Y, **hands)
    assert report.ok is True
    verdicts = {(w.derivative, w.name): w.verdict for w in report.witnesses}
    assert verdicts["gradient", "reverse-mode autodiff"] == "agrees"  # JAX's arrays in NumPy's functions
    assert verdicts["gradient", "central differences"] == "agrees"
    wrong = verify.derivatives(numpy_cost, THETA, X, Y, gradient=numpy_gradient, hessian=lambda theta, X, y: X.T @ X)
    assert wrong.ok is False
    assert kinds(wrong) == {Kind.CHAIN_RULE}
    assert "σ′(z) = σ(1 − σ) is missing" in wrong.findings[0].sentence
    alone = verify.derivatives(numpy_cost, THETA, X, Y, hessian=numpy_hessian)
    assert alone.ok is True


def test_plain_numpy_that_asks_for_truth_values():
    def cost(theta, X, y):
        return numpy_cost(theta, X, y) if theta[0] < 100 else 0.0

    report = verify.derivatives(cost, THETA, X, Y, gradient=numpy_gradient, hessian=numpy_hessian)
    assert report.ok is True
    verdicts = {(w.derivative, w.name): w.verdict for w in report.witnesses}
    assert verdicts["gradient", "reverse-mode autodiff"] == "abstains"
    alone = verify.derivatives(cost, THETA, X, Y, hessian=numpy_hessian)
    assert alone.headline == "UNDECIDED: hessian"


def test_the_complex_step_abstains_where_it_silently_fails():
    def verdict(cost):
        report = verify.derivatives(cost, THETA, gradient=jax.grad(cost))
        return next(witness.verdict for witness in report.witnesses if witness.name == "complex step")

    assert verdict(lambda p: jnp.sum(jnp.sin(p))) == "agrees"
    assert verdict(lambda p: jnp.sum(jax.nn.softplus(p))) == "abstains"


def test_gauss_newton_and_fisher_in_place_of_the_hessian():
    def cost(theta, X, y):
        return jnp.sum((jnp.exp(X @ theta) - y) ** 2)

    def gauss_newton(theta, X, y):
        J = jnp.exp(X @ theta)[:, None] * X
        return 2 * J.T @ J

    def fisher(theta, X, y):
        residual = logistic.predict(theta, X) - y
        return (X * (residual**2)[:, None]).T @ X

    assert kinds(verify.derivatives(cost, THETA, X, Y, hessian=gauss_newton)) == {Kind.EXPECTED}
    report = verify.derivatives(logistic.cost, THETA, X, Y, hessian=fisher)
    assert kinds(report) == {Kind.EXPECTED}
    assert "Fisher" in report.findings[0].sentence


def test_functions_that_branch_on_values_or_are_jitted():
    def cost(p):
        return jnp.sum(p**2) if float(p[0]) > 0 else jnp.sum(p**3)

    assert verify.derivatives(cost, THETA, gradient=lambda p: 2 * p).ok is True
    assert verify.derivatives(cost, THETA, gradient=lambda p: 3 * p).ok is False
    assert verify.derivatives(jax.jit(logistic.cost), THETA, X, Y, gradient=jax.jit(logistic.gradient)).ok is True


def test_large_problems():
    n = 3_000
    A = rng.standard_normal((20, n)) / 50

    def cost(p, A):
        return jnp.sum(jnp.tanh(A @ p) ** 2)

    def gradient(p, A):
        z = jnp.tanh(A @ p)
        return (2 * z * (1 - z**2)) @ A

    p = rng.standard_normal(n)
    assert verify.derivatives(cost, p, A, gradient=gradient).ok is True
    wrong = verify.derivatives(cost, p, A, gradient=lambda p, A: gradient(p, A).at[1234].multiply(1.001))
    assert [(f.kind, f.location) for f in wrong.findings] == [(Kind.ENTRY, "p[1234]")]


def test_a_layer():
    def forward(params, z):
        return jnp.maximum(z @ params, 0), (z, z @ params > 0)

    def backward(params, cache, delta):
        z, positive = cache
        return z.T @ (delta * positive), (delta * positive) @ params.T

    right = SimpleNamespace(forward=forward, backward=backward)
    assert verify.layer(right, rng.standard_normal((4, 3)), X).ok is True

    def without_mask(params, cache, delta):
        z, _ = cache
        return z.T @ delta, delta @ params.T

    report = verify.layer(SimpleNamespace(forward=forward, backward=without_mask), rng.standard_normal((4, 3)), X)
    assert report.ok is False
    assert "`params`, `z`" in report.findings[0].sentence
