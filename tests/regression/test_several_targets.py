"""Several targets y (m, t): each is fitted as if alone, and what is made of X is made once."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from sklearn.kernel_ridge import KernelRidge
from sklearn.linear_model import LinearRegression, Ridge

from jax_course import Status, data, kernel, lasso, linear, logistic, ridge
from jax_course.regression import kernel_fit
from jax_course.solution import Method
from tests.cases import FREE_BIAS

T = 3


def problem(m, d, seed=0):
    rng = np.random.default_rng(seed)
    return rng.standard_normal((m, d)), rng.standard_normal((m, T))


def dependent(m, d):
    X, Y = problem(m, d)
    X[:, -1] = X[:, 0] + X[:, 1]
    return X, Y


FITS = {
    "orthogonal": (linear.fit, problem(12, 3), Status.CONVERGED, Method.ORTHOGONAL),
    "normal equations": (linear.fit, problem(2700, 20), Status.CONVERGED, Method.NORMAL_EQUATIONS),
    "in half precision": (linear.fit, problem(800, 192), Status.CONVERGED, Method.HALF_PRECISION),
    "by rows": (linear.fit, problem(60, 400), Status.RANK_DEFICIENT, Method.NORMAL_EQUATIONS),
    "least norm": (linear.fit, dependent(12, 3), Status.RANK_DEFICIENT, Method.ORTHOGONAL),
    "a free bias": (
        lambda X, y: ridge.fit(X, y, penalty=FREE_BIAS),
        problem(12, 3),
        Status.CONVERGED,
        Method.ORTHOGONAL,
    ),
    "kernel": (
        lambda X, y: kernel.fit(X, y, scale=3.0, penalty=0.1),
        problem(12, 3),
        Status.CONVERGED,
        Method.CHOLESKY,
    ),
    "kernel, least norm": (
        lambda X, y: kernel.fit(X, y, scale=3.0),
        (np.ones((12, 3)), problem(12, 3)[1]),
        Status.RANK_DEFICIENT,
        Method.CHOLESKY,
    ),
    "kernels on centers": (
        lambda X, y: kernel.fit_on_centers(X, y, centers=X[:5], scale=3.0, penalty=0.1),
        problem(12, 3),
        Status.CONVERGED,
        Method.ORTHOGONAL,
    ),
}
ALL = pytest.mark.parametrize(("fit", "data", "status", "method"), FITS.values(), ids=FITS)


@ALL
def test_each_target_is_fitted_as_if_it_were_alone(fit, data, status, method):
    X, Y = data
    found, alone = fit(X, Y).check(), [fit(X, y) for y in Y.T]
    assert (found.status, found.method) == (status, method)
    expected = np.stack([each.theta for each in alone], axis=1)
    np.testing.assert_allclose(found.theta, expected, rtol=0, atol=1e-12 * np.max(np.abs(expected)))
    np.testing.assert_allclose(found.cost, sum(float(each.cost) for each in alone), rtol=1e-9, atol=1e-9)
    assert found.gradient_norm.shape == found.status.shape == ()


def test_one_column_is_a_target_too():
    X, Y = problem(12, 3)
    theta = linear.fit(X, Y[:, :1]).theta
    np.testing.assert_allclose(theta[:, 0], linear.fit(X, Y[:, 0]).theta, rtol=1e-12)


@pytest.mark.parametrize("iterative", ["conjugate_gradient_fit", "block_fit"])
def test_kernels_by_conjugate_gradients_fit_each_target_as_if_it_were_alone(iterative):
    X, Y = problem(30, 2)
    settings = jnp.asarray(2.0), jnp.asarray(1.0)

    def fit(y):
        return jax.tree.leaves(getattr(kernel_fit, iterative)(X, jnp.asarray(y), *settings))[0]

    expected = KernelRidge(1, kernel="rbf", gamma=0.5).fit(X, Y).dual_coef_
    np.testing.assert_allclose(fit(Y), expected, rtol=1e-8)
    np.testing.assert_allclose(fit(Y)[:, 1], fit(Y[:, 1]), rtol=1e-8)


def test_agrees_with_scikit_learn():
    table = data.table("diabetes")
    X, Y = np.asarray(table.X), np.stack([table.y, np.sqrt(table.y), np.asarray(table.X[:, 2])], axis=1)
    with_bias, free_bias = np.insert(X, 0, 1, axis=1), np.append(0, np.full(10, 0.3))
    peers = LinearRegression().fit(X, Y), Ridge(alpha=0.3).fit(X, Y)
    for peer, found in zip(peers, (linear.fit(with_bias, Y), ridge.fit(with_bias, Y, penalty=free_bias)), strict=True):
        expected = np.column_stack([peer.intercept_, peer.coef_]).T
        np.testing.assert_allclose(found.check().theta, expected, rtol=0, atol=1e-10 * np.max(np.abs(expected)))
    machine = KernelRidge(1, kernel="rbf", gamma=2.0).fit(X[:90], Y[:90])
    theta = kernel.fit(X[:90], Y[:90], scale=0.5, penalty=1.0).check().theta
    np.testing.assert_allclose(theta, machine.dual_coef_, rtol=1e-8)
    predicted = kernel.predict(theta, X[90:100], centers=X[:90], scale=0.5)
    np.testing.assert_allclose(predicted, machine.predict(X[90:100]), rtol=1e-9)


FACTORISATIONS = {"cholesky", "qr", "geqrf", "svd", "eigh", "triangular_solve"}


def factorisations(jaxpr, in_loop=False):
    """The name and the axes of each factorisation in a program, and whether it stands in a loop."""
    for equation in jaxpr.eqns:
        name = equation.primitive.name
        if name in FACTORISATIONS:
            yield name, equation.invars[0].aval.ndim, in_loop
        for parameter in jax.tree.leaves(
            list(equation.params.values()), is_leaf=lambda p: hasattr(p, "jaxpr") or hasattr(p, "eqns")
        ):
            inner = getattr(parameter, "jaxpr", parameter)
            if hasattr(inner, "eqns"):
                yield from factorisations(inner, in_loop or name == "scan")


@pytest.mark.parametrize("name", ["orthogonal", "normal equations", "by rows", "kernel"])
def test_what_is_factored_is_factored_once(name):
    fit, (X, Y), *_ = FITS[name]
    found = list(factorisations(jax.make_jaxpr(fit)(X, Y).jaxpr))
    assert found
    assert found == list(factorisations(jax.make_jaxpr(fit)(X, Y[:, 0]).jaxpr))


@pytest.mark.parametrize("name", ["orthogonal", "a free bias", "kernel"])
@pytest.mark.parametrize("derivative", [jax.jacfwd, jax.jacrev])
def test_derivatives_of_a_fit_are_those_of_each_target(name, derivative):
    fit, (X, Y), *_ = FITS[name]

    @jax.jit
    def both(X, Y):
        of_all = derivative(lambda X, Y: fit(X, Y).theta, argnums=(0, 1))(X, Y)
        return of_all, derivative(lambda X, y: fit(X, y).theta, argnums=(0, 1))(X, Y[:, 1])

    (by_X, by_Y), (by_X_alone, by_y_alone) = both(X, Y)
    np.testing.assert_allclose(by_X[:, 1], by_X_alone, rtol=0, atol=1e-12 * np.max(np.abs(by_X_alone)))
    np.testing.assert_allclose(by_Y[:, 1, :, 1], by_y_alone, rtol=0, atol=1e-12 * np.max(np.abs(by_y_alone)))
    assert not np.any(by_Y[:, 1, :, 0])


@pytest.mark.parametrize("name", ["least norm", "kernel, least norm"])
def test_of_least_norm_the_derivative_by_the_targets_is_that_of_each(name):
    fit, (X, Y), *_ = FITS[name]
    at_once = jax.jit(jax.grad(lambda Y: jnp.sum(fit(X, Y).theta ** 2)))(Y)
    alone = jax.jit(jax.grad(lambda y: jnp.sum(fit(X, y).theta ** 2)))(Y[:, 2])
    np.testing.assert_allclose(at_once[:, 2], alone, rtol=0, atol=1e-9 * np.max(np.abs(alone)))


def test_nan_in_one_target_is_refused_by_its_place_and_in_jit_is_the_status_of_all():
    X, Y = problem(12, 3)
    Y[4, 1] = np.nan
    for fit in (FITS["orthogonal"][0], FITS["kernel"][0]):
        with pytest.raises(ValueError, match=r"y must be finite; y\[4, 1\] is nan"):
            fit(X, Y)
    assert jax.jit(linear.fit)(X, Y).status == Status.NOT_FINITE


REFUSED = {
    r"y must have shape \(12,\), a value per row of X, or \(12, t\) of t targets; got shape \(11, 3\)": (
        lambda X, Y: linear.fit(X, Y[1:])
    ),
    r"y must have shape \(12,\), a value per row of X; got shape \(12, 3\): give one target at a time, y\[:, 0\]": (
        lambda X, Y: lasso.fit(X, Y, penalty=1.0)
    ),
    r"y must have shape \(12,\), .*; got shape \(12, 3\): give one target": lambda X, Y: logistic.fit(X, Y),
    r"y must have shape \(12,\), a value per row of X; got shape \(12, 3\)": (
        lambda X, Y: linear.cost(np.ones(3), X, Y)
    ),
    r"y must have shape \(12, 2\), a column per column of theta; got shape \(12, 3\)": (
        lambda X, Y: ridge.cost(np.ones((3, 2)), X, Y)
    ),
    r"theta must have shape \(3,\), one parameter per column of X, or \(3, t\) of t targets; got shape \(4, 2\)": (
        lambda X, Y: linear.predict(np.ones((4, 2)), X)
    ),
    r"theta must have shape \(12,\), one per center, or \(12, t\) of t targets; got shape \(3, 2\)": (
        lambda X, Y: kernel.cost(np.ones((3, 2)), X, Y, scale=1.0)
    ),
    r"penalty must be a scalar or have shape \(3,\), the same for all targets; got shape \(1, 3\): for one per": (
        lambda X, Y: ridge.fit(X, Y, penalty=np.ones((1, 3)))
    ),
    r"theta must have shape \(3,\), one parameter per column of X; got shape \(3, 3\)": (
        lambda X, Y: linear.standard_errors(np.ones((3, 3)), X, Y)
    ),
}


@pytest.mark.parametrize(("message", "call"), REFUSED.items(), ids=range(len(REFUSED)))
def test_what_does_not_fit_several_targets_is_refused(message, call):
    with pytest.raises(ValueError, match=message):
        call(*problem(12, 3))
