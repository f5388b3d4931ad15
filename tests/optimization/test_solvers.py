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
SIZES = 4, 100  # the problems with fewer parameters than four are given some more, so that they share a program
HARD_IN_FLOAT32 = "rosenbrock", "rosenbrock from 0", "brown badly scaled", "powell singular"


def problems_of(size, names=tuple(PROBLEMS)):
    before = max((other for other in SIZES if other < size), default=0)
    return {name: PROBLEMS[name] for name in names if before < len(PROBLEMS[name].start) <= size}


def padded(theta, size, dtype):
    return jnp.asarray(np.append(theta, np.zeros(size - len(theta))), dtype)


@functools.cache
def numbered(size, names=tuple(PROBLEMS)):
    """One cost for all problems of a size and their numbers; the parameters too many have their minimum at 0."""
    of_each = {name: (problem.cost, len(problem.start)) for name, problem in problems_of(size, names).items()}
    different = list(dict.fromkeys(of_each.values()))
    ends = np.array([end for _, end in different], np.int32)

    def first(cost, end):
        return lambda theta: cost(theta[:end])

    @jax.jit
    def cost(theta, number):
        too_many = jnp.where(np.arange(size, dtype=np.int32) < jnp.asarray(ends)[number], 0, theta)
        return jax.lax.switch(number, list(itertools.starmap(first, different)), theta) + 0.5 * too_many @ too_many

    return cost, {name: different.index(one) for name, one in of_each.items()}


@functools.cache
def value_and_gradient(size, names=tuple(PROBLEMS)):
    return jax.jit(jax.value_and_grad(numbered(size, names)[0]))


@pytest.mark.parametrize("size", SIZES)
def test_known_minima_are_reached_with_half_as_many_evaluations_again_as_scipy_at_most(size):
    for name in EXACT:
        for label, solution, g, _ in minima(name, size, float):
            assert np.linalg.norm(g) <= 1e-8, (name, label)
            of_bfgs, of_lbfgs = EVALUATIONS_OF_SCIPY[label]
            allowed = 1.5 * {"bfgs": of_bfgs, "lbfgs": of_lbfgs}.get(name, max(of_bfgs, of_lbfgs))
            assert int(solution.evaluations.function) <= allowed, (name, label)
            assert int(solution.evaluations.gradient) <= allowed, (name, label)


@pytest.mark.parametrize("size", SIZES)
def test_known_minima_are_reached_in_float32(size):
    names = HARD_IN_FLOAT32 if size == 4 else tuple(PROBLEMS)
    with jax.enable_x64(False):
        for name in EXACT:
            for label, solution, g, g_at_start in minima(name, size, np.float32, names):
                assert np.linalg.norm(g) <= 1e-3 * max(1, np.linalg.norm(g_at_start)), (name, label)
                assert solution.theta.dtype == np.float32


def minima(name, size, dtype, names=tuple(PROBLEMS)):
    """The label, the solution, its gradient and that at the start for all problems of a size, by one program."""
    cost, numbers = numbered(size, names)
    solve = jax.jit(lambda theta, number: EXACT[name](lambda t: cost(t, number), theta))
    for label, number in numbers.items():
        problem, start = PROBLEMS[label], padded(PROBLEMS[label].start, size, dtype)
        solution = jax.device_get(solve(start, number))
        assert Status(int(solution.status)) is Status.CONVERGED, (name, label)
        g, g_at_start = (value_and_gradient(size, names)(theta, number)[1] for theta in (solution.theta, start))
        # computed again by another program, whose rounding is another: as far as the start's gradient has digits
        rounding = 10 * np.finfo(dtype).eps * np.linalg.norm(g_at_start)
        np.testing.assert_allclose(solution.gradient_norm, np.linalg.norm(g), rtol=1e-3, atol=rounding)
        found, too_many = np.split(solution.theta, [len(problem.start)])
        assert problem.distance(found) < (5e-3 if dtype is float else 5e-2), (name, label)
        np.testing.assert_array_equal(too_many, 0)
        yield label, solution, g, g_at_start


@pytest.mark.parametrize("size", SIZES)
def test_the_functions_are_those_of_the_literature(size):
    _, numbers = numbered(size)
    for label, number in numbers.items():
        problem = PROBLEMS[label]
        if problem.at_start is not None:
            value, _ = value_and_gradient(size)(padded(problem.start, size, float), number)
            np.testing.assert_allclose(value, problem.at_start, rtol=1e-14)
        for minimum in problem.minima:
            assert np.linalg.norm(value_and_gradient(size)(padded(minimum, size, float), number)[1]) < 0.1


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


COSTS = {
    "bowl and saddle": bowl_and_saddle,
    "falls for ever": lambda t: -jnp.sum(t**2),
    "hill": lambda t: jnp.exp(-jnp.sum(t**2)),
    "valley": rosenbrock,
    "steep": lambda t: 1e12 * jnp.sum((t - 1 / 3) ** 2),  # its gradient is a multiple of 1e-4, no number in between
}


@jax.jit
def cost_in_the_plane(t, number):
    return jax.lax.switch(number, list(COSTS.values()), t)


@pytest.fixture(scope="module", params=SOLVERS)
def end(request):
    """Where a solver ends, by one program for all that it is tried on; sign -1 gives it what is no gradient."""

    @jax.jit
    def program(start, number, sign, tolerance, max_steps):
        def cost(t):
            return cost_in_the_plane(t, number)

        def gradient(t):
            return sign * jax.grad(cost)(t)

        return SOLVERS[request.param](cost, start, gradient=gradient, tolerance=tolerance, max_steps=max_steps)

    def run(label, start, *, sign=1.0, tolerance=1e-8, max_steps=10_000):
        numbers = list(COSTS).index(label), sign, tolerance, max_steps
        return jax.device_get(program(np.array(start, float), *numbers))

    return run


def test_every_start_ends_with_the_right_status(end):
    for label, (start, status) in ENDS.items():
        assert_ends(end("bowl and saddle", start), start, status, label)


@pytest.mark.parametrize("name", ["gradient_descent", "nonlinear_cg", "newton"])  # the others' minima lie above
def test_every_start_ends_with_the_right_status_in_float32(name):
    with jax.enable_x64(False):
        solve = jax.jit(lambda start: SOLVERS[name](lambda t: cost_in_the_plane(t, 0), start))
        for label, (start, status) in ENDS.items():
            assert_ends(jax.device_get(solve(np.array(start, np.float32))), start, status, label)


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
    wrong = end("valley", [0, 0], sign=-1.0)
    assert Status(int(wrong.status)) is Status.NO_DESCENT
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
    on_the_way = trace(solve, cost, np.zeros(8), line_search=ExactStep(), max_steps=8, tolerance=0.0)
    *_, before, last = np.asarray(on_the_way.theta)
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


def cost_of_tree(t):
    return rosenbrock(jnp.concatenate([t["a"][None], t["b"][0].ravel(), t["a"][None]])) + jnp.sum(t["b"][0] ** 4)


@pytest.mark.parametrize("name", ["nonlinear_cg", *EXACT])
def test_any_tree_under_jit_and_vmap(name):
    assert_trees_end_where_the_gradient_vanishes(name, np.float64, 1e-8)


def test_trees_in_float32_end_as_far_as_rounding_allows():
    with jax.enable_x64(False):
        assert_trees_end_where_the_gradient_vanishes("nonlinear_cg", np.float32, 1e-2)


def assert_trees_end_where_the_gradient_vanishes(name, dtype, bound):
    starts = jax.tree_util.tree_map(lambda leaf: np.stack([leaf, 0.5 * leaf]).astype(dtype), TREE)

    @jax.jit
    @jax.vmap
    def ends(start):
        solution = SOLVERS[name](cost_of_tree, start)
        return solution, jax.grad(cost_of_tree)(solution.theta)

    many, gradients = ends(starts)
    assert jax.tree_util.tree_structure(many.check().theta) == jax.tree_util.tree_structure(TREE)
    for found, g in zip(*map(jax.tree_util.tree_leaves, (many.theta, gradients)), strict=True):
        assert found.dtype == dtype
        assert np.max(np.abs(g)) < bound


@pytest.mark.parametrize("name", SOLVERS)
def test_a_tree_in_float32_stays_so_in_64_bit_mode(name):
    theta = jax.tree_util.tree_map(lambda leaf: np.array(leaf, np.float32), TREE)
    found = jax.eval_shape(functools.partial(SOLVERS[name], cost_of_tree), theta)
    assert jax.tree_util.tree_map(lambda leaf: leaf.dtype, (found.theta, found.cost, found.gradient_norm)) == (
        jax.tree_util.tree_map(lambda leaf: np.dtype(np.float32), (theta, 0, 0))
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
    on_the_way = jax.device_get(trace(solve, rosenbrock, start, max_steps=40))
    steps = int(on_the_way.solution.steps)
    assert on_the_way.theta.shape == (41, 2)
    np.testing.assert_array_equal(on_the_way.theta[0], start)
    np.testing.assert_array_equal(on_the_way.theta[steps], on_the_way.solution.theta)
    np.testing.assert_array_equal(on_the_way.theta[steps:], np.tile(on_the_way.theta[steps], (41 - steps, 1)))
    costs = 100 * (on_the_way.theta[:, 1] - on_the_way.theta[:, 0] ** 2) ** 2 + (1 - on_the_way.theta[:, 0]) ** 2
    np.testing.assert_allclose(on_the_way.cost, costs, rtol=1e-6, atol=1e-24)
    assert np.all(np.diff(on_the_way.cost) <= 0)
    np.testing.assert_allclose(end("valley", start, max_steps=40).theta, on_the_way.solution.theta, rtol=1e-6)


def test_a_fixed_step_is_the_step_of_the_course():
    start = np.array([1.0, -2.0])
    on_the_way = trace(gradient_descent, lambda t: jnp.sum(t**2), start, line_search=0.1, max_steps=4)
    np.testing.assert_allclose(np.asarray(on_the_way.theta)[:, 0], 0.8 ** np.arange(5), rtol=1e-14)
    same = trace(bfgs, rosenbrock, np.zeros(2), line_search=FixedStep(1e-3), max_steps=1)
    np.testing.assert_allclose(np.asarray(same.theta)[1], [2e-3, 0])  # the gradient at 0 is (-2, 0)


@pytest.mark.parametrize("solve", [bfgs, lbfgs])
def test_where_the_cost_curves_down_a_fixed_step_still_goes_down(solve):
    solution = solve(lambda t: jnp.cos(t[0]), np.array([0.1]), line_search=0.5)
    np.testing.assert_allclose(solution.check().theta, np.pi, atol=1e-7)


def test_what_is_small_is_measured_by_the_gradient_at_the_start():
    solution = gradient_descent(lambda t: 5e11 * t[0] ** 2, np.array([1.0]), line_search=0.5e-12)
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
