"""Derivatives of fits and solvers by what they were fitted to, against differences of the fits and closed forms."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jax_course import Status, gamma, huber, kernel, lasso, linear, linear_cost, logistic, poisson, ridge, softmax
from jax_course.optimization import (
    accelerated_proximal_gradient,
    bfgs,
    gradient_descent,
    lbfgs,
    newton,
    newton_cg,
    nonlinear_cg,
    projected_gradient,
    proximal_gradient,
    soft_threshold,
    trace,
)

RNG = np.random.default_rng(3)
M, D = 18, 3
X, E = RNG.standard_normal((M, D)), RNG.standard_normal(M)
Y = X @ [1.0, -2.0, 0.5] + 0.5 * E
BINARY, CLASSES = (E > 0) * 1.0, np.arange(M) % 3
W = 0.5 + RNG.random(M)
HALF = np.where(np.arange(M) % 2, 3 * W, 1.0)
COUNTS, OFFSET = np.exp(0.5 * Y), 0.3 * E
PENALTIES, FACTORS = np.array([9.0, 2.0, 0.3]), np.array([0.2, 1.0, 2.0])

# Each fit as a function of what it can be differentiated by.
FITS = {
    "linear": (lambda X, y, w: linear.fit(X, y, weights=w), (X, Y, W)),
    "ridge": (lambda X, y, w, p: ridge.fit(X, y, weights=w, penalty=p), (X, Y, W, 0.3)),
    "ridge, free bias": (lambda X, y, p: ridge.fit(X, y, penalty=p * np.array([0.0, 1.0, 2.0])), (X, Y, 0.3)),
    "lasso": (lambda X, y, p: lasso.fit(X, y, penalty=p), (X, Y, 15.0)),
    "lasso, free bias": (lambda X, y, p: lasso.fit(X, y, penalty=p * np.array([0.0, 1.0, 1.0])), (X, Y, 15.0)),
    "lasso path": (lambda X, y, p: lasso.path(X, y, p * np.array([20.0, 9.0, 4.0])), (X, Y, 1.0)),
    "kernel": (lambda X, y, s, p: kernel.fit(X, y, scale=s, penalty=p), (X, Y, 6.0, 0.3)),
    "kernel with bias": (lambda X, y, s, p: kernel.fit_with_bias(X, y, scale=s, penalty=p), (X, Y, 6.0, 0.3)),
    "kernel on centers": (
        lambda X, y, s, p: kernel.fit_on_centers(X, y, centers=X[:4], scale=s, penalty=p),
        (X, Y, 6.0, 0.3),
    ),
    "logistic": (lambda X, w, p: logistic.fit(X, BINARY, weights=w, penalty=p), (X, W, 0.3)),
    "logistic without penalty": (lambda X, w: logistic.fit(X, BINARY, weights=w), (X, W)),
    "logistic, free bias": (
        lambda X, p: logistic.fit(X, BINARY, penalty=p * np.array([0.0, 1.0, 2.0])),
        (X, 0.3),
    ),
    "poisson": (lambda X, y, w, o: poisson.fit(X, y, weights=w, offset=o), (X, COUNTS, W, OFFSET)),
    "gamma": (lambda X, y, w, o, p: gamma.fit(X, y, weights=w, offset=o, penalty=p), (X, COUNTS, W, OFFSET, 0.3)),
    "huber": (
        lambda X, y, w, o, t: huber.fit(X, y, weights=w, offset=o, threshold=t),
        (X, Y, W, OFFSET, 0.35),  # no residual crosses it within the differences
    ),
    "softmax, free bias": (
        lambda X, p: softmax.fit(X, CLASSES, classes=3, penalty=p * np.array([0.0, 1.0, 2.0])[:, None]),
        (X, 0.3),
    ),
    "softmax": (lambda X, w, p: softmax.fit(X, CLASSES, classes=3, weights=w, penalty=p), (X, W, 0.3)),
    "softmax without penalty": (lambda X, w: softmax.fit(X, CLASSES, classes=3, weights=w), (X, W)),
}
FORMULAS = {
    "ridge path": (lambda X, y, p, f: ridge.path(X, y, p * PENALTIES, factors=f), (X, Y, 1.0, FACTORS)),
    "leave one out": (lambda X, y, p, f: ridge.leave_one_out(X, y, p * PENALTIES, factors=f), (X, Y, 1.0, FACTORS)),
    "cross-validation": (
        lambda X, y, p, f: ridge.generalized_cross_validation(X, y, p * PENALTIES, factors=f),
        (X, Y, 1.0, FACTORS),
    ),
    "degrees of freedom": (lambda X, p, f: ridge.degrees_of_freedom(X, p * PENALTIES, factors=f), (X, 1.0, FACTORS)),
    "budget": (lambda X, y, p, f: ridge.budget(X, y, p * PENALTIES, factors=f), (X, Y, 1.0, FACTORS)),
    "constrained": (lambda X, y, b, f: ridge.constrained(X, y, budget=b, factors=f), (X, Y, 1.5, FACTORS)),
    "kernel leave one out": (
        lambda X, y, s, p: kernel.leave_one_out(X[:, :1], y, scales=s * np.array([0.5, 5.0]), penalties=p * PENALTIES),
        (X, Y, 1.0, 1.0),
    ),
    "leave one out, weights": (
        lambda X, y, p, f, w: ridge.leave_one_out(X, y, p * PENALTIES, factors=f, weights=w),
        (X, Y, 1.0, FACTORS, HALF),
    ),
    "cross-validation, weights": (
        lambda X, y, p, f, w: ridge.generalized_cross_validation(X, y, p * PENALTIES, factors=f, weights=w),
        (X, Y, 1.0, FACTORS, HALF),
    ),
    "degrees of freedom, weights": (
        lambda X, p, w: ridge.degrees_of_freedom(X, p * PENALTIES, weights=w),
        (X, 1.0, HALF),
    ),
    "constrained, weights": (lambda X, y, b, w: ridge.constrained(X, y, budget=b, weights=w), (X, Y, 1.5, 3 * W)),
}
EVERYTHING = FITS | FORMULAS


def scalar(fit, *arguments):
    """A number that depends on all entries of theta and on the cost."""
    found = fit(*arguments)
    leaves = jax.tree.leaves((found.theta, found.cost) if hasattr(found, "status") else found)
    return sum(jnp.sum(np.cos(1.0 + np.arange(leaf.size)).reshape(leaf.shape) * leaf) for leaf in leaves)


def difference(f, arguments, directions, h=1e-3):
    """The derivative along the directions, by a formula of sixth order."""

    def at(step):
        return float(f(*(a + step * d for a, d in zip(arguments, directions, strict=True))))

    return sum(c * (at(k * h) - at(-k * h)) for k, c in ((1, 45), (2, -9), (3, 1))) / (60 * h)


def directions_like(*arguments):
    """A direction for each argument; those of a test do not depend on the tests before it."""
    rng = np.random.default_rng(5)
    return tuple(np.asarray(rng.standard_normal(np.shape(a))) for a in arguments)


def derivatives(f, arguments, directions):
    """The gradients, by reverse mode, and the derivative along the directions, by forward mode; traced once."""
    _, push = jax.linearize(f, *arguments)
    return jax.linear_transpose(push, *arguments)(1.0), push(*directions)


@pytest.mark.parametrize("name", EVERYTHING)
def test_gradients_and_forward_derivatives_are_those_of_the_fit(name):
    fit, arguments = EVERYTHING[name]
    f, arguments = partial(scalar, fit), tuple(map(jnp.asarray, arguments))
    directions = directions_like(*arguments)
    # a fit is a small program outside of jit and a large one inside
    found = derivatives if name in FITS else jax.jit(derivatives, static_argnums=0)
    gradients, along = found(f, arguments, directions)
    by_reverse_mode = sum(np.sum(np.asarray(g) * d) for g, d in zip(gradients, directions, strict=True))
    np.testing.assert_allclose(by_reverse_mode, difference(f, arguments, directions), rtol=1e-7)
    np.testing.assert_allclose(along, by_reverse_mode, rtol=1e-11)


@pytest.mark.parametrize("name", ["ridge", "lasso", "kernel", "logistic", "softmax", "leave one out", "constrained"])
def test_second_derivatives_are_those_of_the_gradient(name):
    fit, arguments = EVERYTHING[name]
    by = 2 if name in FORMULAS else len(arguments) - 1

    def f(p):
        return scalar(fit, *arguments[:by], p, *arguments[by + 1 :])

    def twice(p):
        return jax.jvp(jax.grad(f), (p,), (1.0,))[1]

    # in one program where it is small: of the rest, the programs that the test above compiles are most
    first, second = (jax.jit(jax.grad(f)), jax.jit(twice)) if name in ("ridge", *FORMULAS) else (jax.grad(f), twice)
    np.testing.assert_allclose(second(arguments[by]), difference(first, (arguments[by],), (1.0,)), rtol=1e-6)


def test_a_gradient_under_jit_and_vmap_is_that_outside():
    def slope(p):
        return jax.grad(lambda p: scalar(lambda p: logistic.fit(X, BINARY, penalty=p), p))(p)

    penalties = jnp.array([0.3, 2.0])
    alone = [slope(p) for p in penalties]
    np.testing.assert_allclose(jax.vmap(slope)(penalties), alone, rtol=1e-12)
    np.testing.assert_allclose(jax.jit(jax.vmap(slope))(penalties), alone, rtol=1e-12)


def test_that_of_a_ridge_is_the_closed_form():
    H = X.T @ X + 0.7 * np.eye(D)
    expected = -np.linalg.solve(H, np.linalg.solve(H, X.T @ Y))
    for jacobian in (jax.jacfwd, jax.jacrev):
        np.testing.assert_allclose(jacobian(lambda p: ridge.fit(X, Y, penalty=p).theta)(0.7), expected, rtol=1e-12)


def test_more_parameters_than_a_hessian_is_formed_for_go_by_products(monkeypatch):
    monkeypatch.setattr(linear_cost, "LARGEST_HESSIAN", 10)
    monkeypatch.setattr(linear_cost, "spd_inverse_product", None)  # is not asked
    wide, y = np.random.default_rng(0).standard_normal((4, 11)), np.array([1.0, -1.0, 2.0, 0.5])

    def theta(p):
        return ridge.fit(wide, y, penalty=p).theta

    expected = -wide.T @ np.linalg.matrix_power(np.linalg.inv(wide @ wide.T + 0.7 * np.eye(4)), 2) @ y
    np.testing.assert_allclose(jax.jvp(theta, (0.7,), (1.0,))[1], expected, rtol=1e-8)


def test_the_shortest_of_many_minimisers_is_differentiated_as_it_turns_with_the_data():
    rng = np.random.default_rng(6)
    wide, y = rng.standard_normal((4, 7)), rng.standard_normal(4)

    def f(wide, y):
        return scalar(linear.fit, wide, y)

    assert linear.fit(wide, y).status == Status.RANK_DEFICIENT
    directions = directions_like(wide, y)
    gradients = jax.grad(f, argnums=(0, 1))(wide, y)
    along = sum(float(jnp.sum(g * d)) for g, d in zip(gradients, directions, strict=True))
    np.testing.assert_allclose(along, difference(f, (wide, y), directions), rtol=1e-7)


def test_second_derivatives_of_the_shortest_minimiser_are_nan():
    wide, y = np.array([[1.0, 2.0]]), np.array([3.0])
    assert np.isnan(jax.jit(jax.hessian(lambda t: jnp.sum(linear.fit(t * wide, y).theta)))(1.0))


TWICE = np.concatenate([X, X[:, :1]], axis=1)  # a column and its copy
KNOT = float(lasso.largest_penalty(X, Y))


@pytest.mark.parametrize(
    ("fit", "arguments"),
    [
        (lambda X: linear.fit(X, Y), (TWICE,)),
        (lambda p: ridge.fit(TWICE, Y, penalty=p), (0.0,)),
        (lambda t: logistic.fit(t * X, (X[:, 0] > 0) * 1.0), (1.0,)),
        (lambda w: logistic.fit(X, BINARY, weights=w, max_steps=1), (W,)),
        (lambda p: lasso.fit(X, Y, penalty=p), (KNOT,)),
        (lambda p: kernel.fit(np.zeros((2, 1)), np.ones(2), scale=1.0, penalty=p), (0.0,)),
        (lambda p: bfgs(lambda t: jnp.sum((t - p) ** 2) * 1e-3 + jnp.sum(t**4), jnp.ones(2), max_steps=1), (1.0,)),
        (lambda p: newton(lambda t: jnp.sum((t[0] - p) ** 2), jnp.ones(2)), (1.0,)),
    ],
)
def test_what_has_no_derivative_is_nan_in_both_modes(fit, arguments):
    gradients, along = derivatives(partial(scalar, fit), arguments, tuple(map(np.ones_like, arguments)))
    assert np.all(np.isnan(gradients))
    assert np.isnan(along)


def test_dependent_columns_have_derivatives_by_the_targets():
    (directions,) = directions_like(Y)
    f = partial(scalar, lambda y: linear.fit(TWICE, y))
    np.testing.assert_allclose(jax.grad(f)(Y) @ directions, difference(f, (Y,), (directions,)), rtol=1e-7)


CENTER = jnp.array([1.3, -0.7, 0.4])
SOLVERS = [gradient_descent, nonlinear_cg, newton, newton_cg, bfgs, lbfgs]


def quartic(p, theta):
    return jnp.sum(jnp.array([1.0, 2.0, 0.5]) * (theta["a"] - p) ** 2) + jnp.sum(theta["a"] ** 4)


@partial(jax.jit, static_argnums=0)
def value_and_jacobians(f, p):
    """f(p) and its Jacobian, by forward and by reverse mode, p and f(p) of shape (3,)."""
    value, push = jax.linearize(f, p)
    pull = jax.linear_transpose(push, p)
    return value, jax.vmap(push, out_axes=1)(np.eye(3)), jax.vmap(lambda row: pull(row)[0])(np.eye(3))


@pytest.mark.parametrize("solve", SOLVERS)
def test_a_minimum_is_differentiated_by_what_the_cost_closes_over(solve):
    def theta(p):
        return solve(partial(quartic, p), {"a": jnp.zeros(3)}).theta["a"]

    t, by_columns, by_rows = value_and_jacobians(theta, CENTER)
    a = np.array([1.0, 2.0, 0.5])
    expected = np.diag(2 * a / (2 * a + 12 * t**2))
    np.testing.assert_allclose(by_columns, expected, atol=1e-7)
    np.testing.assert_allclose(by_rows, expected, atol=1e-7)


def test_hand_derived_derivatives_are_taken_where_they_are_given():
    def theta(p):
        return newton(
            lambda t: (t - p) ** 4 + (t - p) ** 2,
            0.0,
            gradient=lambda t: 4 * (t - p) ** 3 + 2 * (t - p),
            hessian=lambda t: 12 * (t - p) ** 2 + 2.0,
        ).theta

    np.testing.assert_allclose(jax.grad(theta)(1.5), 1, rtol=1e-12)


@pytest.mark.parametrize("solve", [proximal_gradient, accelerated_proximal_gradient])
def test_a_term_without_gradient_is_differentiated_through_its_prox(solve):
    def theta(p, delta):
        def cost(t):
            return jnp.sum((t - p) ** 2) + 0.5 * t[0] * t[1]

        return solve(
            cost, jnp.zeros(3), proximal=lambda t, step: soft_threshold(t, step * delta), tolerance=1e-12
        ).theta

    by_p, by_delta = jax.jit(jax.jacrev(theta, argnums=(0, 1)))(CENTER, 0.9)
    H = np.array([[2.0, 0.5], [0.5, 2.0]])  # of the two that are not 0, 1.0 and −0.4 about
    np.testing.assert_allclose(by_p[:2, :2], 2 * np.linalg.inv(H), rtol=1e-9)
    np.testing.assert_allclose(by_delta[:2], -np.linalg.solve(H, np.sign(CENTER[:2])), rtol=1e-9)
    assert not np.any(by_p[2])


def test_at_a_bound_of_the_set_the_minimum_follows_the_bound():
    def theta(p, bound):
        return projected_gradient(
            lambda t: jnp.sum((t - p) ** 2), jnp.zeros(2), projection=lambda t: jnp.minimum(t, bound)
        ).theta

    by_p, by_bound = jax.jit(jax.jacrev(theta, argnums=(0, 1)))(jnp.array([0.5, 3.0]), 1.0)
    np.testing.assert_allclose(by_p, np.diag([1.0, 0.0]), atol=1e-12)
    np.testing.assert_allclose(by_bound, [0.0, 1.0], atol=1e-12)


def test_the_start_has_no_influence():
    assert jax.grad(lambda start: bfgs(lambda t: (t - 2.0) ** 2, start).theta)(0.5) == 0


def test_the_points_of_a_run_are_not_differentiated():
    with pytest.raises(TypeError, match=r"trace cannot be differentiated: .* Solvers and fits can: their derivatives"):
        jax.grad(lambda p: trace(gradient_descent, lambda t: (t - p) ** 2, 0.5, max_steps=3).theta[-1])(1.0)
