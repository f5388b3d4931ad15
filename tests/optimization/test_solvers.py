"""The solvers on functions whose minima are known, against scipy's evaluations, and on starts that lead nowhere."""

import functools
import inspect
import itertools
from typing import Any, cast

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

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
# Of BFGS and of L-BFGS-B in SciPy 1.17, to a gradient norm of 1e-8.
EVALUATIONS_OF_SCIPY = {
    "rosenbrock": (41, 46),
    "rosenbrock from 0": (26, 27),
    "beale": (18, 17),
    "booth": (8, 10),
    "himmelblau": (11, 10),
    "himmelblau from 0": (18, 17),
    "brown badly scaled": (27, 28),
    "styblinski-tang": (10, 10),
    "styblinski-tang from 1": (10, 10),
    "helical valley": (37, 34),
    "powell singular": (67, 61),
    "wood": (108, 113),
    "rosenbrock 100": (571, 49),
    "rosenbrock 100 from 0": (297, 31),
    "chained rosenbrock 100": (665, 635),
    "chained rosenbrock 100 from 0": (653, 621),
}


def bowl_and_saddle(t):
    """A saddle at 0, minima at (0, ±√2), not finite for t₀ > 3."""
    return jnp.where(t[0] > 3, jnp.inf, t[0] ** 2 - t[1] ** 2 + 0.25 * t[1] ** 4)


def valley_upside_down(t):
    """The values of a valley, with slopes that autodiff takes for those of a hill."""
    return 2 * jax.lax.stop_gradient(rosenbrock(t)) - rosenbrock(t)


PLANE = {
    "bowl and saddle": bowl_and_saddle,
    "falls for ever": lambda t: -jnp.sum(t**2),
    "hill": lambda t: jnp.exp(-jnp.sum(t**2)),
    "valley": rosenbrock,
    "valley upside down": valley_upside_down,
    "steep": lambda t: 1e12 * jnp.sum((t - 1 / 3) ** 2),  # its gradient is a multiple of 1e-4, no number in between
}
SIZE = 100  # costs of fewer parameters are given some more, whose minimum lies at 0, so that one program has them all
COSTS = {label: (cost, 2) for label, cost in PLANE.items()}
COSTS |= {label: (problem.cost, len(problem.start)) for label, problem in PROBLEMS.items()}
IN_FLOAT32 = ("bowl and saddle", "rosenbrock", "rosenbrock from 0", "brown badly scaled", "powell singular")
IN_FLOAT32 += tuple(label for label in PROBLEMS if label.startswith(("rosenbrock 100", "chained")))  # the hard ones


def numbered(labels):
    """One cost for all labels, and their numbers; its parameters are a tree."""
    different = list(dict.fromkeys(COSTS[label] for label in labels))
    ends = np.array([end for _, end in different], np.int32)

    values = [lambda theta, cost=cost, end=end: cost(theta[:end]) for cost, end in different]
    value_and_g = list(map(jax.value_and_grad, values))

    @jax.custom_jvp
    def value(theta, number):
        return jax.lax.switch(number, values, theta)

    @value.defjvp
    def value_and_derivative(primals, tangents):
        value, gradient = jax.lax.switch(primals[1], value_and_g, primals[0])
        return value, gradient @ tangents[0]

    @jax.jit
    def cost(theta, number):
        theta = jnp.concatenate([theta["a"][None], theta["b"][0].ravel()])
        too_many = jnp.where(np.arange(SIZE, dtype=np.int32) < jnp.asarray(ends)[number], 0, theta)
        return value(theta, number) + 0.5 * too_many @ too_many

    return cost, {label: different.index(COSTS[label]) for label in labels}


def padded(theta, dtype):
    """A tree of SIZE parameters."""
    theta = np.append(theta, np.zeros(SIZE - len(theta))).astype(dtype)
    return {"a": theta[0], "b": [theta[1:].reshape(33, 3)]}


def flat(theta):
    return np.concatenate([np.reshape(theta["a"], 1), np.ravel(theta["b"][0])])


@functools.cache
def program(name, labels):
    """A solver for all these costs, and their numbers."""
    cost, numbers = numbered(labels)

    @jax.jit
    def solve(start, number, tolerance, max_steps):
        return SOLVERS[name](lambda t: cost(t, number), start, tolerance=tolerance, max_steps=max_steps)

    return solve, numbers


@functools.cache
def value_and_gradient(labels):
    cost, numbers = numbered(labels)
    value_and_g = jax.jit(jax.value_and_grad(cost))

    def labelled(theta, label):
        value, g = jax.device_get(value_and_g(theta, numbers[label]))
        return value, flat(g)

    return labelled


def padded_end(name, labels, label, start, dtype: Any = np.float64, *, tolerance=1e-8, max_steps=10_000):
    """The solution of a solver, theta without the padding."""
    solve, numbers = program(name, labels)
    solution = jax.device_get(solve(padded(start, dtype), numbers[label], tolerance, max_steps))
    assert {leaf.dtype for leaf in (solution.theta["a"], *solution.theta["b"], solution.cost)} == {np.dtype(dtype)}
    found, too_many = np.split(flat(solution.theta), [len(start)])
    np.testing.assert_array_equal(too_many, 0)
    return solution._replace(theta=found)


@pytest.mark.parametrize("name", EXACT)
def test_known_minima_are_reached_with_half_as_many_evaluations_again_as_scipy_at_most(name):
    for label, solution, g, _ in minima(name, tuple(COSTS), tuple(PROBLEMS), np.float64):
        assert np.linalg.norm(g) <= 1e-8, label
        scipy = dict(zip(("bfgs", "lbfgs"), EVALUATIONS_OF_SCIPY[label], strict=True))
        allowed = 1.5 * scipy.get(name, max(scipy.values()))
        assert int(solution.evaluations.function) <= allowed, label
        assert int(solution.evaluations.gradient) <= allowed, label


@pytest.mark.parametrize("name", EXACT)
def test_known_minima_are_reached_in_float32(name):
    with jax.enable_x64(False):
        for label, _, g, g_at_start in minima(name, IN_FLOAT32, IN_FLOAT32[1:], np.float32):
            assert np.linalg.norm(g) <= 1e-3 * max(1, np.linalg.norm(g_at_start)), label


def minima(name, costs, labels, dtype):
    """The label, the solution, its gradient and that at the start, for problems whose minima are known."""
    eps, value_and_g = np.finfo(dtype).eps, value_and_gradient(costs)
    for label in labels:
        problem = PROBLEMS[label]
        _, g_at_start = value_and_g(padded(problem.start, dtype), label)
        rounding = 10 * eps * np.linalg.norm(g_at_start)
        tolerance = float(max(eps**0.5 / 2, rounding))
        solution = padded_end(name, costs, label, problem.start, dtype, tolerance=tolerance, max_steps=1000)
        assert Status(int(solution.status)) is Status.CONVERGED, label
        _, g = value_and_g(padded(solution.theta, dtype), label)
        # computed again by another program, whose rounding is another: as far as the start's gradient has digits
        np.testing.assert_allclose(solution.gradient_norm, np.linalg.norm(g), rtol=1e-3, atol=rounding)
        assert problem.distance(solution.theta) < (5e-3 if dtype is np.float64 else 5e-2), label
        yield label, solution, g, g_at_start


def test_the_functions_are_those_of_the_literature():
    value_and_g = value_and_gradient(tuple(COSTS))
    for label, problem in PROBLEMS.items():
        if problem.start_cost is not None:
            value, _ = value_and_g(padded(problem.start, np.float64), label)
            np.testing.assert_allclose(value, problem.start_cost, rtol=1e-14)
        for minimum in problem.minima:
            assert np.linalg.norm(value_and_g(padded(minimum, np.float64), label)[1]) < 0.1


def test_evaluations_are_counted_as_they_happen():
    counts = {"cost": 0, "gradient": 0}

    def cost(t):
        jax.debug.callback(lambda: counts.update(cost=counts["cost"] + 1))
        return rosenbrock(t)

    def gradient(t):
        jax.debug.callback(lambda: counts.update(gradient=counts["gradient"] + 1))
        return jax.grad(rosenbrock)(t)

    solution = bfgs(cost, np.array([-1.2, 1.0]), gradient=gradient)
    jax.effects_barrier()
    assert int(solution.evaluations.function) == counts["cost"]
    assert int(solution.evaluations.gradient) + int(solution.evaluations.hessian) == counts["gradient"]


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


@pytest.fixture(scope="module", params=SOLVERS)
def end(request):
    """The solutions of one solver."""
    labels = tuple(COSTS) if request.param in EXACT else tuple(PLANE)
    return functools.partial(padded_end, request.param, labels)


def test_every_start_ends_with_the_right_status(end):
    for label, (start, status) in ENDS.items():
        assert_ends(end("bowl and saddle", start), start, status, label)


@pytest.mark.parametrize("name", ["gradient_descent", "nonlinear_cg", "newton"])  # the others' minima lie above
def test_every_start_ends_with_the_right_status_in_float32(name):
    labels = IN_FLOAT32 if name in EXACT else IN_FLOAT32[:1]
    with jax.enable_x64(False):
        for label, (start, status) in ENDS.items():
            assert_ends(padded_end(name, labels, labels[0], start, np.float32, tolerance=2e-4), start, status, label)


def assert_ends(solution, start, status, label):
    assert Status(int(solution.status)) is status, label
    if status is Status.CONVERGED:
        np.testing.assert_allclose(np.abs(solution.theta), [0, 2**0.5], atol=1e-3)
    if status is Status.NOT_FINITE:
        np.testing.assert_array_equal(solution.theta, np.array(start, solution.theta.dtype))


def test_what_has_no_minimum_is_told(end):
    assert Status(int(end("falls for ever", [1, 1], max_steps=1000).status)) is Status.UNBOUNDED
    assert Status(int(end("hill", [0, 0], max_steps=1000).status)) is Status.SADDLE
    few = end("valley", [-1.2, 1.0], max_steps=2)
    assert Status(int(few.status)) is Status.OUT_OF_STEPS
    assert int(few.steps) == 2


def test_what_is_no_gradient_is_told(end):
    wrong = end("valley upside down", [0, 0])
    assert Status(int(wrong.status)) is Status.WRONG_GRADIENT
    np.testing.assert_array_equal(wrong.theta, np.zeros(2))


@pytest.mark.parametrize("end", ["bfgs", "lbfgs", "newton_cg", "nonlinear_cg"], indirect=True)
def test_what_rounding_leaves_of_a_gradient_is_converged(end):
    solution = end("steep", [0, 0], tolerance=1e-12)
    assert Status(int(solution.status)) is Status.CONVERGED
    np.testing.assert_allclose(solution.theta, 1 / 3, rtol=1e-15)


def test_a_fixed_step_diverges_beyond_the_bound_and_keeps_the_last_finite_theta():
    """Course 7.5: stable if and only if η < 2/λ_max; here λ_max = 4."""

    def cost(t):
        return t[0] ** 2 + 2 * t[1] ** 2

    def end(eta):
        return gradient_descent(cost, np.ones(2), line_search=eta, max_steps=3000)

    assert Status(int(end(0.49).status)) is Status.CONVERGED
    beyond = end(0.6)
    assert Status(int(beyond.status)) in (Status.NOT_FINITE, Status.OUT_OF_STEPS)
    assert np.all(np.isfinite(beyond.theta))
    assert int(beyond.steps) < 3000


def quadratic(d):
    rng = np.random.default_rng(d)
    A = rng.standard_normal((2 * d, d))
    H, b = A.T @ A, rng.standard_normal(d)
    return (lambda t: 0.5 * t @ H @ t - b @ t), np.linalg.solve(H, b)


@pytest.mark.parametrize("solve", [bfgs, nonlinear_cg])
def test_with_exact_steps_d_steps_end_a_quadratic(solve):
    cost, minimum = quadratic(8)
    trajectory = trace(solve, cost, np.zeros(8), line_search=ExactStep(), max_steps=8, tolerance=0.0)
    *_, before, last = np.asarray(trajectory.theta)
    np.testing.assert_allclose(last, minimum, rtol=1e-9)
    assert np.linalg.norm(before - minimum) > 1e-5


def test_exact_steps_of_steepest_descent_meet_at_right_angles():
    cost, _ = quadratic(3)
    theta = trace(gradient_descent, cost, np.zeros(3), line_search=ExactStep(), max_steps=5).theta
    s = np.diff(theta, axis=0)
    for before, after in itertools.pairwise(s):
        assert abs(before @ after) < 1e-12 * np.linalg.norm(before) * np.linalg.norm(after)


def test_limited_memory_that_forgets_nothing_is_bfgs_step_by_step():
    start = np.array([-1.2, 1.0, 0.5, 2.0])
    full, limited, forgetful = (
        np.asarray(trace(solve, rosenbrock, start, max_steps=25, **memory).theta)
        for solve, memory in ((bfgs, {}), (lbfgs, {"memory": 25}), (lbfgs, {"memory": 3}))
    )
    np.testing.assert_allclose(full, limited, rtol=1e-6)
    np.testing.assert_allclose(forgetful[:4], full[:4], rtol=1e-9)
    assert np.max(np.abs(forgetful[8] - full[8])) > 1e-4


def test_newton_ends_least_squares_in_one_step():
    rng = np.random.default_rng(0)
    X, y = rng.standard_normal((20, 4)), rng.standard_normal(20)
    cost, gradient, hessian = (functools.partial(f, X=X, y=y) for f in (linear.cost, linear.gradient, linear.hessian))
    solution = newton(cost, np.zeros(4), gradient=gradient, hessian=hessian, max_steps=1)
    np.testing.assert_allclose(solution.theta, np.linalg.lstsq(X, y)[0], rtol=1e-12)


def test_updates_are_those_of_the_book():
    """N&W 6.17 as it is printed, and Algorithm 7.4 against the matrix that the same pairs make."""
    rng = np.random.default_rng(1)
    S, Y = rng.standard_normal((2, 3, 5))
    Y += 3 * S
    H, identity = 0.7 * np.eye(5), np.eye(5)
    for s, y in zip(S, Y, strict=True):
        rho = 1 / (y @ s)
        book = (identity - rho * np.outer(s, y)) @ H @ (identity - rho * np.outer(y, s)) + rho * np.outer(s, s)
        ours = np.asarray(jax.jit(bfgs_update)(H, s, y))
        np.testing.assert_allclose(ours, book, rtol=1e-12, atol=1e-14)
        np.testing.assert_array_equal(ours, ours.T)
        np.testing.assert_allclose(ours @ y, s, rtol=1e-10)
        H = ours
    rows = np.array([2, 0, 1])  # of a ring of three, in which five pairs came: the third lies in row 2
    S[rows], Y[rows] = S.copy(), Y.copy()
    pairs = Pairs(*map(jnp.asarray, (S, Y, 1 / np.sum(S * Y, axis=1), np.int32(5), 0.7)))
    g = rng.standard_normal(5)
    np.testing.assert_allclose(jax.jit(two_loop_product)(pairs, g), H @ g, rtol=1e-12)


TREE = {"a": np.array(-1.2), "b": [np.array([[1.0, 0.5], [2.0, -1.0]])]}
BOTH = jax.tree_util.tree_map(lambda leaf: np.stack([leaf, 0.5 * leaf]), TREE)


def cost_of_tree(t):
    return rosenbrock(jnp.concatenate([t["a"][None], t["b"][0].ravel(), t["a"][None]])) + jnp.sum(t["b"][0] ** 4)


@pytest.mark.parametrize("name", ["nonlinear_cg", "newton"])
def test_several_trees_at_once_end_where_the_gradient_vanishes(name):
    @jax.jit
    @jax.vmap
    def ends(start):
        solution = SOLVERS[name](cost_of_tree, start)
        return solution, jax.grad(cost_of_tree)(solution.theta)

    many, gradients = ends(BOTH)
    assert jax.tree_util.tree_structure(many.check().theta) == jax.tree_util.tree_structure(TREE)
    for g in jax.tree_util.tree_leaves(gradients):
        assert np.max(np.abs(g)) < 1e-8


@pytest.mark.parametrize("name", SOLVERS)
def test_trees_in_float32_stay_so_in_64_bit_mode(name):
    starts = jax.tree_util.tree_map(np.float32, BOTH)
    found = jax.eval_shape(jax.vmap(functools.partial(SOLVERS[name], cost_of_tree)), starts)
    like = jax.tree_util.tree_map(lambda leaf: (leaf.shape, leaf.dtype), (found.theta, found.cost, found.gradient_norm))
    assert like == jax.tree_util.tree_map(
        lambda leaf: (leaf.shape, leaf.dtype), (starts, *np.zeros((2, 2), np.float32))
    )


def test_hand_derived_derivatives_of_a_tree_are_used():
    """The cost gives autodiff nothing to work with."""
    target = {"w": np.array([[1.0, 2.0], [3.0, 4.0]]), "b": np.array(5.0)}
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

    start = jax.tree_util.tree_map(np.zeros_like, target)
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
    for solve in (newton, newton_cg):
        np.testing.assert_allclose(solve(cost, np.array([-1.2, 1.0])).check().theta, 1, rtol=1e-6)

    @jax.jit
    def with_curvature(start, curvature, tolerance):
        return bfgs(lambda t: cost(t) + curvature * (t[0] ** 2 + t[1] ** 2), start, tolerance=tolerance)

    np.testing.assert_allclose(with_curvature(np.array([-1.2, 1.0]), 0.0, 1e-8).check().theta, 1, rtol=1e-6)
    saddle = with_curvature(np.zeros(2), -1000.0, 10.0)
    assert Status(int(saddle.status)) is Status.SADDLE


def test_a_gradient_that_autodiff_cannot_look_into_is_enough():
    def gradient(t):
        return jax.pure_callback(lambda t: 2 * (np.asarray(t) - 3), jax.ShapeDtypeStruct(t.shape, t.dtype), t)

    solution = lbfgs(lambda t: jnp.sum((t - 3) ** 2), np.zeros(2), gradient=gradient).check()
    np.testing.assert_allclose(solution.theta, 3, rtol=1e-6)
    assert int(solution.evaluations.hessian) == 0


OFFSET = 1.0


def test_a_second_call_does_not_retrace_but_a_changed_global_does(monkeypatch):
    traced = []

    def cost(t):
        traced.append(1)
        return jnp.sum((t - OFFSET) ** 2)

    for name, solve in SOLVERS.items():
        traced.clear()
        jax.eval_shape(lambda solve=solve: solve(cost, np.zeros(2), tolerance=1e-6, max_steps=100))
        once = len(traced)
        jax.eval_shape(lambda solve=solve: solve(cost, np.ones(2), tolerance=1e-9, max_steps=200))
        assert len(traced) == once, name

    def found(cost):
        return gradient_descent(cost, np.zeros(2), line_search=0.5).theta

    np.testing.assert_allclose(found(cost), 1.0, rtol=1e-6)
    once = len(traced)
    found(cost)
    assert len(traced) == once
    monkeypatch.setitem(globals(), "OFFSET", 2.0)
    np.testing.assert_allclose(found(cost), 2.0, rtol=1e-6)
    np.testing.assert_allclose(found(lambda t: jnp.sum((t - OFFSET) ** 2)), 2.0, rtol=1e-6)


def test_inside_a_program_the_data_may_be_an_argument():
    @jax.jit
    def nearest(points):
        return bfgs(lambda t: jnp.sum((t[None, :] - points) ** 2), np.zeros(2)).theta

    points = np.array([[1.0, 2.0], [3.0, 6.0]])
    np.testing.assert_allclose(nearest(points), [2, 4], rtol=1e-9)
    np.testing.assert_allclose(nearest(points + 1), [3, 5], rtol=1e-9)


@pytest.mark.parametrize("end", ["gradient_descent", "lbfgs", "newton"], indirect=True)
def test_a_trajectory_holds_every_point(end, request):
    start = np.array([-1.2, 1.0])
    solve = SOLVERS[request.node.callspec.params["end"]]
    trajectory = jax.device_get(trace(solve, rosenbrock, start, max_steps=40))
    steps = int(trajectory.solution.steps)
    assert trajectory.theta.shape == (41, 2)
    np.testing.assert_array_equal(trajectory.theta[0], start)
    np.testing.assert_array_equal(trajectory.theta[steps], trajectory.solution.theta)
    np.testing.assert_array_equal(trajectory.theta[steps:], np.tile(trajectory.theta[steps], (41 - steps, 1)))
    costs = 100 * (trajectory.theta[:, 1] - trajectory.theta[:, 0] ** 2) ** 2 + (1 - trajectory.theta[:, 0]) ** 2
    np.testing.assert_allclose(trajectory.cost, costs, rtol=1e-6, atol=1e-24)
    assert np.all(np.diff(trajectory.cost) <= 0)
    np.testing.assert_allclose(end("valley", start, max_steps=40).theta, trajectory.solution.theta, rtol=1e-6)


def test_a_fixed_step_is_the_step_of_the_course():
    start = np.array([1.0, -2.0])
    trajectory = trace(gradient_descent, lambda t: jnp.sum(t**2), start, line_search=0.1, max_steps=4)
    np.testing.assert_allclose(np.asarray(trajectory.theta)[:, 0], 0.8 ** np.arange(5), rtol=1e-14)
    same = trace(bfgs, rosenbrock, np.zeros(2), line_search=FixedStep(1e-3), max_steps=1)
    np.testing.assert_allclose(np.asarray(same.theta)[1], [2e-3, 0])  # the gradient at 0 is (-2, 0)


@pytest.mark.parametrize("solve", [bfgs, lbfgs])
def test_where_the_cost_curves_down_a_fixed_step_still_goes_down(solve):
    solution = solve(lambda t: jnp.cos(t[0]), np.array([0.1]), line_search=0.5)
    np.testing.assert_allclose(solution.check().theta, np.pi, atol=1e-7)


def test_what_is_small_is_measured_by_the_gradient_at_the_start(width):
    @jax.jit
    def halved(start, curvature):
        return gradient_descent(lambda t: 0.5 * curvature * t[0] ** 2, start, line_search=0.5 / curvature)

    eps = np.finfo(width.dtype).eps
    for curvature in (1.0, 1e12):
        solution = halved(np.ones(1, width.dtype), curvature)
        smallest = max(eps**0.5 / 2 / curvature, 10 * eps)
        assert int(solution.check().steps) == np.ceil(-np.log2(smallest))  # each halves the gradient


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
