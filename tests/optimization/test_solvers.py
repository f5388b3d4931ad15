"""The solvers on functions whose minima are known, against scipy's evaluations, and on starts that lead nowhere."""

import functools
import inspect
import itertools
import warnings
from typing import Any, cast

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.optimize

from jax_course import linear, optimization
from jax_course.optimization import (
    ExactStep,
    FixedStep,
    Status,
    bfgs,
    gradient_descent,
    lbfgs,
    newton,
    newton_cg,
    nonlinear_cg,
    trace,
)
from jax_course.optimization.quasi_newton import Pairs, bfgs_update, two_loop_product
from jax_course.optimization.test_functions import PROBLEMS, rosenbrock

EXACT = {"bfgs": bfgs, "lbfgs": lbfgs, "newton": newton, "newton_cg": newton_cg}
SOLVERS: dict[str, Any] = {"gradient_descent": gradient_descent, "nonlinear_cg": nonlinear_cg, **EXACT}
DIMENSIONS = sorted({len(problem.start) for problem in PROBLEMS.values()})


def of_dimension(d):
    return {name: problem for name, problem in PROBLEMS.items() if len(problem.start) == d}


def evaluations_of_scipy(problem):
    """Of BFGS and L-BFGS, to a gradient norm of 1e-8."""
    both = jax.jit(jax.value_and_grad(problem.cost))
    start = np.array(problem.start)
    settings = {"BFGS": {"gtol": 1e-8, "norm": 2}, "L-BFGS-B": {"gtol": 1e-8 / len(start) ** 0.5, "ftol": 0}}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # BFGS looks beyond where the cost overflows
        for method, options in settings.items():
            options |= {"maxiter": 10**4} | ({"maxfun": 10**5} if method == "L-BFGS-B" else {})
            result = scipy.optimize.minimize(both, start, jac=True, method=method, options=options)
            yield result.nfev


@pytest.mark.parametrize("d", DIMENSIONS)
def test_known_minima_are_reached_with_half_as_many_evaluations_again_as_scipy_at_most(d):
    theirs = {label: tuple(evaluations_of_scipy(problem)) for label, problem in of_dimension(d).items()}
    for name in EXACT:
        for label, solution, g, _ in minima(name, d, float):
            assert np.linalg.norm(g) <= 1e-8, (name, label)
            assert PROBLEMS[label].distance(np.asarray(solution.theta)) < 5e-3, (name, label)
            of_bfgs, of_lbfgs = theirs[label]
            allowed = 1.5 * {"bfgs": of_bfgs, "lbfgs": of_lbfgs}.get(name, max(of_bfgs, of_lbfgs))
            assert int(solution.evaluations.function) <= allowed, (name, label)
            assert int(solution.evaluations.gradient) <= allowed, (name, label)


@pytest.mark.parametrize("d", DIMENSIONS)
def test_known_minima_are_reached_in_float32(d):
    with jax.enable_x64(False):
        for name in EXACT:
            for label, solution, g, g_at_start in minima(name, d, np.float32):
                assert np.linalg.norm(g) <= 1e-3 * max(1, np.linalg.norm(g_at_start)), (name, label)
                assert PROBLEMS[label].distance(np.asarray(solution.theta)) < 5e-2, (name, label)
                assert solution.theta.dtype == np.float32


def minima(name, d, dtype):
    """The label, the solution, its gradient and that at the start for all problems of a dimension, by one program."""
    problems = of_dimension(d)

    @jax.jit
    def solve(theta, which):
        def cost(t):
            return jax.lax.switch(which, [problem.cost for problem in problems.values()], t)

        solution = EXACT[name](cost, theta)
        return solution, jax.grad(cost)(solution.theta), jax.grad(cost)(theta)

    for which, (label, problem) in enumerate(problems.items()):
        solution, g, g_at_start = solve(jnp.asarray(problem.start, dtype), which)
        assert Status(int(solution.status)) is Status.CONVERGED, (name, label)
        # computed again by another program, whose rounding is another: as far as the start's gradient has digits
        rounding = 10 * np.finfo(dtype).eps * np.linalg.norm(g_at_start)
        np.testing.assert_allclose(solution.gradient_norm, np.linalg.norm(g), rtol=1e-3, atol=rounding)
        yield label, solution, g, g_at_start


def test_the_functions_are_those_of_the_literature():
    for problem in PROBLEMS.values():
        if problem.at_start is not None:
            np.testing.assert_allclose(problem.cost(np.array(problem.start)), problem.at_start, rtol=1e-14)
        for minimum in problem.minima:
            assert np.linalg.norm(jax.grad(problem.cost)(jnp.array(minimum))) < 0.1


def test_evaluations_are_counted_as_they_happen():
    counts = {"cost": 0, "gradient": 0}

    def cost(t):
        jax.debug.callback(lambda: counts.update(cost=counts["cost"] + 1))
        return rosenbrock(t)

    def gradient(t):
        jax.debug.callback(lambda: counts.update(gradient=counts["gradient"] + 1))
        return jax.grad(rosenbrock)(t)

    solution = bfgs(cost, jnp.array([-1.2, 1.0]), gradient=gradient)
    jax.effects_barrier()
    assert int(solution.evaluations.function) == counts["cost"]
    assert int(solution.evaluations.gradient) + int(solution.evaluations.hessian) == counts["gradient"]


def bowl_and_saddle(t):
    """A saddle at 0, minima at (0, ±√2), not finite for t₀ > 3."""
    return jnp.where(t[0] > 3, jnp.inf, t[0] ** 2 - t[1] ** 2 + 0.25 * t[1] ** 4)


ENDS = {
    "not a number": ((np.nan, 1.0), Status.NOT_FINITE),
    "infinite": ((np.inf, 1.0), Status.NOT_FINITE),
    "cost infinite": ((4.0, 1.0), Status.NOT_FINITE),
    "at the saddle": ((0.0, 0.0), Status.SADDLE),
    "led to the saddle": ((1.0, 0.0), Status.SADDLE),
    "at the minimum": ((0.0, 2**0.5), Status.CONVERGED),
    "beside the saddle": ((1.0, 1e-3), Status.CONVERGED),
    "beside infinity": ((2.9, 0.1), Status.CONVERGED),
}


@pytest.mark.parametrize("name", SOLVERS)
def test_every_start_ends_with_the_right_status(name, width):
    solve = jax.jit(lambda start: SOLVERS[name](bowl_and_saddle, start))
    for label, (start, status) in ENDS.items():
        start = jnp.asarray(start, width.dtype)
        solution = solve(start)
        assert Status(int(solution.status)) is status, label
        if status is Status.CONVERGED:
            np.testing.assert_allclose(np.abs(solution.theta), [0, 2**0.5], atol=1e-3)
        if status is Status.NOT_FINITE:
            np.testing.assert_array_equal(solution.theta, start)


@pytest.mark.parametrize("name", SOLVERS)
def test_what_has_no_minimum_is_told(name):
    costs = [lambda t: -jnp.sum(t**2), lambda t: jnp.exp(-jnp.sum(t**2)), rosenbrock]

    @jax.jit
    def solve(start, which, max_steps):
        return SOLVERS[name](lambda t: jax.lax.switch(which, costs, t), start, max_steps=max_steps)

    assert Status(int(solve(jnp.ones(2), 0, 1000).status)) is Status.UNBOUNDED
    assert Status(int(solve(jnp.zeros(2), 1, 1000).status)) is Status.SADDLE
    few = solve(jnp.array([-1.2, 1.0]), 2, 2)
    assert Status(int(few.status)) is Status.OUT_OF_STEPS
    assert int(few.steps) == 2


@pytest.mark.parametrize("solve", [gradient_descent, bfgs, newton])
def test_what_is_no_gradient_is_told(solve):
    wrong = solve(rosenbrock, jnp.zeros(2), gradient=lambda t: -jax.grad(rosenbrock)(t))
    assert Status(int(wrong.status)) is Status.NO_DESCENT
    np.testing.assert_array_equal(wrong.theta, np.zeros(2))


@pytest.mark.parametrize("solve", [bfgs, lbfgs, newton_cg, nonlinear_cg])
def test_what_rounding_leaves_of_a_gradient_is_converged(solve):
    """Near the minimum the gradient is a multiple of 1e-4: no number in between."""
    solution = solve(lambda t: 1e12 * jnp.sum((t - 1 / 3) ** 2), jnp.zeros(3), tolerance=1e-12)
    assert Status(int(solution.status)) is Status.CONVERGED
    np.testing.assert_allclose(solution.theta, 1 / 3, rtol=1e-15)


def test_a_fixed_step_diverges_beyond_the_bound_and_keeps_the_last_finite_theta():
    """Course 7.5: stable if and only if η < 2/λ_max; here λ_max = 4."""

    def cost(t):
        return t[0] ** 2 + 2 * t[1] ** 2

    def end(eta):
        return gradient_descent(cost, jnp.ones(2), line_search=eta, max_steps=3000)

    assert Status(int(end(0.49).status)) is Status.CONVERGED
    beyond = end(0.6)
    assert Status(int(beyond.status)) in (Status.NOT_FINITE, Status.OUT_OF_STEPS)
    assert np.all(np.isfinite(beyond.theta))
    assert int(beyond.steps) < 3000


def quadratic(d):
    rng = np.random.default_rng(d)
    A = rng.standard_normal((2 * d, d))
    H, b = jnp.asarray(A.T @ A), jnp.asarray(rng.standard_normal(d))
    return (lambda t: 0.5 * t @ H @ t - b @ t), jnp.linalg.solve(H, b)


@pytest.mark.parametrize("solve", [bfgs, nonlinear_cg])
def test_with_exact_steps_d_steps_end_a_quadratic(solve):
    cost, minimum = quadratic(8)
    on_the_way = trace(solve, cost, jnp.zeros(8), line_search=ExactStep(), max_steps=8, tolerance=0.0)
    np.testing.assert_allclose(on_the_way.theta[8], minimum, rtol=1e-9)
    assert float(jnp.linalg.norm(on_the_way.theta[7] - minimum)) > 1e-5


def test_exact_steps_of_steepest_descent_meet_at_right_angles():
    cost, _ = quadratic(3)
    theta = trace(gradient_descent, cost, jnp.zeros(3), line_search=ExactStep(), max_steps=5).theta
    s = np.diff(theta, axis=0)
    for before, after in itertools.pairwise(s):
        assert abs(before @ after) < 1e-12 * np.linalg.norm(before) * np.linalg.norm(after)


def test_limited_memory_that_forgets_nothing_is_bfgs_step_by_step():
    start = jnp.array([-1.2, 1.0, 0.5, 2.0])
    full = trace(bfgs, rosenbrock, start, max_steps=25)
    limited = trace(lbfgs, rosenbrock, start, memory=25, max_steps=25)
    chex.assert_trees_all_close(full.theta, limited.theta, rtol=1e-6)
    forgetful = trace(lbfgs, rosenbrock, start, memory=3, max_steps=25)
    chex.assert_trees_all_close(forgetful.theta[:4], full.theta[:4], rtol=1e-9)
    assert float(jnp.max(jnp.abs(forgetful.theta[8] - full.theta[8]))) > 1e-4


def test_newton_ends_least_squares_in_one_step():
    rng = np.random.default_rng(0)
    X, y = jnp.asarray(rng.standard_normal((20, 4))), jnp.asarray(rng.standard_normal(20))
    cost, gradient, hessian = (functools.partial(f, X=X, y=y) for f in (linear.cost, linear.gradient, linear.hessian))
    solution = newton(cost, jnp.zeros(4), gradient=gradient, hessian=hessian, max_steps=1)
    np.testing.assert_allclose(solution.theta, linear.fit(X, y).theta, rtol=1e-12)


def test_updates_are_those_of_the_book():
    """N&W 6.17 as it is printed, and Algorithm 7.4 against the matrix that the same pairs make."""
    rng = np.random.default_rng(1)
    S, Y = rng.standard_normal((2, 3, 5))
    Y += 3 * S
    H, identity = 0.7 * np.eye(5), np.eye(5)
    for s, y in zip(S, Y, strict=True):
        rho = 1 / (y @ s)
        book = (identity - rho * np.outer(s, y)) @ H @ (identity - rho * np.outer(y, s)) + rho * np.outer(s, s)
        ours = np.asarray(bfgs_update(*map(jnp.asarray, (H, s, y))))
        np.testing.assert_allclose(ours, book, rtol=1e-12, atol=1e-14)
        np.testing.assert_array_equal(ours, ours.T)
        np.testing.assert_allclose(ours @ y, s, rtol=1e-10)
        H = ours
    rows = np.array([2, 0, 1])  # of a ring of three, in which five pairs came: the third lies in row 2
    S, Y = (jnp.zeros((3, 5)).at[rows].set(pairs) for pairs in (S, Y))
    pairs = Pairs(S, Y, 1 / jnp.sum(S * Y, axis=1), jnp.asarray(5, jnp.int32), jnp.asarray(0.7))
    g = rng.standard_normal(5)
    np.testing.assert_allclose(two_loop_product(pairs, jnp.asarray(g)), H @ g, rtol=1e-12)


TREE = {"a": np.array(-1.2), "b": [np.array([[1.0, 0.5], [2.0, -1.0]])]}


def cost_of_tree(t):
    return rosenbrock(jnp.concatenate([t["a"][None], t["b"][0].ravel(), t["a"][None]])) + jnp.sum(t["b"][0] ** 4)


@pytest.mark.parametrize("name", ["nonlinear_cg", *EXACT])
def test_any_tree_in_every_precision_under_jit_and_vmap(name, precision):
    theta = jax.tree_util.tree_map(lambda leaf: jnp.asarray(leaf, precision.dtype), TREE)
    starts = jax.tree_util.tree_map(lambda leaf: jnp.stack([leaf, 0.5 * leaf]), theta)
    many = jax.jit(jax.vmap(lambda theta: SOLVERS[name](cost_of_tree, theta)))(starts).check()
    assert jax.tree_util.tree_structure(many.theta) == jax.tree_util.tree_structure(theta)
    gradients = jax.vmap(jax.grad(cost_of_tree))(many.theta)
    for found, g in zip(*map(jax.tree_util.tree_leaves, (many.theta, gradients)), strict=True):
        assert found.dtype == precision.dtype
        assert np.max(np.abs(g)) < (1e-8 if precision.dtype == np.float64 else 1e-2)


def test_hand_derived_derivatives_of_a_tree_are_used():
    """The cost gives autodiff nothing to work with."""
    target = {"w": jnp.array([[1.0, 2.0], [3.0, 4.0]]), "b": jnp.array(5.0)}
    minus = functools.partial(jax.tree_util.tree_map, jnp.subtract)

    def cost(t):
        flat = jnp.concatenate([jnp.ravel(leaf) for leaf in jax.tree_util.tree_leaves(minus(t, target))])
        return jnp.sum(jax.lax.stop_gradient(flat) ** 2)

    def gradient(t):
        return jax.tree_util.tree_map(lambda r: jax.lax.stop_gradient(2 * r), minus(t, target))

    def hessian(t):
        return jax.hessian(lambda t: sum(jnp.sum(leaf**2) for leaf in jax.tree_util.tree_leaves(t)))(t)

    def hessian_product(t, v):
        return jax.tree_util.tree_map(lambda v: 2 * v, v)

    start = jax.tree_util.tree_map(jnp.zeros_like, target)
    for solution in (
        newton(cost, start, gradient=gradient, hessian=hessian, max_steps=1),
        newton_cg(cost, start, gradient=gradient, hessian_product=hessian_product),
    ):
        chex.assert_trees_all_close(solution.check().theta, target, rtol=1e-9)


def test_a_backward_rule_by_hand_is_enough():
    @jax.custom_vjp
    def cost(t):
        return rosenbrock(t)

    cost.defvjp(lambda t: (rosenbrock(t), t), lambda t, cotangent: (cotangent * jax.grad(rosenbrock)(t),))
    for solve in (bfgs, newton, newton_cg):
        np.testing.assert_allclose(solve(cost, jnp.array([-1.2, 1.0])).check().theta, 1, rtol=1e-6)
    saddle = bfgs(lambda t: cost(t) - 1000 * t[0] ** 2 - 1000 * t[1] ** 2, jnp.zeros(2), tolerance=10.0)
    assert Status(int(saddle.status)) is Status.SADDLE


def test_a_gradient_that_autodiff_cannot_look_into_is_enough():
    def gradient(t):
        return jax.pure_callback(lambda t: 2 * (np.asarray(t) - 3), jax.ShapeDtypeStruct(t.shape, t.dtype), t)

    solution = lbfgs(lambda t: jnp.sum((t - 3) ** 2), jnp.zeros(2), gradient=gradient).check()
    np.testing.assert_allclose(solution.theta, 3, rtol=1e-6)
    assert int(solution.evaluations.hessian) == 0


OFFSET = 1.0


def test_a_second_call_does_not_retrace_but_a_changed_global_does(monkeypatch):
    traced = []

    def cost(t):
        traced.append(1)
        return jnp.sum((t - OFFSET) ** 2)

    for name, solve in {"bfgs": bfgs, "newton": newton}.items():
        traced.clear()
        solve(cost, jnp.zeros(2), tolerance=1e-6, max_steps=100)
        once = len(traced)
        solve(cost, jnp.ones(2), tolerance=1e-9, max_steps=200)
        assert len(traced) == once, name
    monkeypatch.setitem(globals(), "OFFSET", 2.0)
    np.testing.assert_allclose(bfgs(cost, jnp.zeros(2)).theta, 2.0, rtol=1e-6)
    np.testing.assert_allclose(bfgs(lambda t: jnp.sum((t - OFFSET) ** 2), jnp.zeros(2)).theta, 2.0, rtol=1e-6)


def test_inside_a_program_the_data_may_be_an_argument():
    @jax.jit
    def nearest(points):
        return bfgs(lambda t: jnp.sum((t[None, :] - points) ** 2), jnp.zeros(2)).theta

    points = jnp.array([[1.0, 2.0], [3.0, 6.0]])
    np.testing.assert_allclose(nearest(points), [2, 4], rtol=1e-9)
    np.testing.assert_allclose(nearest(points + 1), [3, 5], rtol=1e-9)


def test_a_trajectory_holds_every_point():
    start = jnp.array([-1.2, 1.0])
    for name in ("gradient_descent", "lbfgs", "newton"):
        solve = SOLVERS[name]
        on_the_way = trace(solve, rosenbrock, start, max_steps=40)
        steps = int(on_the_way.solution.steps)
        chex.assert_shape(on_the_way.theta, (41, 2))
        np.testing.assert_array_equal(on_the_way.theta[0], start)
        np.testing.assert_array_equal(on_the_way.theta[steps], on_the_way.solution.theta)
        np.testing.assert_array_equal(on_the_way.theta[steps:], np.tile(on_the_way.theta[steps], (41 - steps, 1)))
        np.testing.assert_allclose(on_the_way.cost, jax.vmap(rosenbrock)(on_the_way.theta), rtol=1e-6, atol=1e-24)
        assert np.all(np.diff(on_the_way.cost) <= 0), name
        alone = solve(rosenbrock, start, max_steps=40)
        np.testing.assert_allclose(alone.theta, on_the_way.solution.theta, rtol=1e-6)


def test_a_fixed_step_is_the_step_of_the_course():
    on_the_way = trace(gradient_descent, lambda t: jnp.sum(t**2), jnp.array([1.0, -2.0]), line_search=0.1, max_steps=4)
    np.testing.assert_allclose(on_the_way.theta[:, 0], 0.8 ** np.arange(5), rtol=1e-14)
    same = trace(bfgs, rosenbrock, jnp.zeros(2), line_search=FixedStep(1e-3), max_steps=1)
    np.testing.assert_allclose(same.theta[1], -1e-3 * jax.grad(rosenbrock)(jnp.zeros(2)))


@pytest.mark.parametrize("solve", [bfgs, lbfgs])
def test_where_the_cost_curves_down_a_fixed_step_still_goes_down(solve):
    solution = solve(lambda t: jnp.cos(t[0]), jnp.array([0.1]), line_search=0.5)
    np.testing.assert_allclose(solution.check().theta, np.pi, atol=1e-7)


def test_what_is_small_is_measured_by_the_gradient_at_the_start():
    solution = gradient_descent(lambda t: 5e11 * t[0] ** 2, jnp.array([1.0]), line_search=0.5e-12)
    assert int(solution.check().steps) == np.ceil(-np.log2(10 * np.finfo(float).eps))  # each halves the gradient


REFUSED = {
    "the cost must be one floating-point number; got shape": lambda: bfgs(lambda t: t**2, jnp.ones(2)),
    "sum it over the examples": lambda: newton(lambda t: t**2, jnp.ones(2)),
    "the gradient must be like theta": lambda: bfgs(rosenbrock, jnp.ones(2), gradient=lambda t: jnp.ones((2, 1))),
    r"theta\['a'\] must hold floating-point": lambda: lbfgs(lambda t: t["a"] ** 2.0, {"a": 1}),
    "at least one parameter": lambda: newton_cg(lambda t: 0.0, {}),
    "the Hessian must have the shapes": lambda: newton(rosenbrock, jnp.ones(2), hessian=lambda t: jnp.ones(2)),
    "the Hessian product must be like": lambda: newton_cg(rosenbrock, jnp.ones(2), hessian_product=lambda t, v: v[0]),
    "memory must be at least 1": lambda: lbfgs(rosenbrock, jnp.ones(2), memory=0),
    "max_steps must be a whole number": lambda: bfgs(rosenbrock, jnp.ones(2), max_steps=cast(Any, 1.5)),
    "solver must be one of": lambda: trace(jax.jit(rosenbrock), rosenbrock, jnp.ones(2)),
}


@pytest.mark.parametrize("message", REFUSED)
def test_bad_input_is_refused_with_a_sentence(message):
    with pytest.raises((TypeError, ValueError), match=message):
        REFUSED[message]()


def test_every_solver_is_exported_with_one_signature():
    exported = {name: getattr(optimization, name) for name in optimization.__all__}
    solvers = {name: solve for name, solve in exported.items() if hasattr(solve, "task")}
    assert solvers.keys() - SOLVERS.keys() == {
        "proximal_gradient",
        "accelerated_proximal_gradient",
        "projected_gradient",
    }
    for solve in solvers.values():
        parameters = list(inspect.signature(solve).parameters.values())
        assert [parameter.name for parameter in parameters[:2]] == ["cost", "theta"]
        assert all(parameter.kind is parameter.KEYWORD_ONLY for parameter in parameters[2:])
        assert {"gradient", "tolerance", "max_steps"} <= {parameter.name for parameter in parameters}
