import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jax_course.optimization import NotSolved, Solution, Status, newton


def rosenbrock(theta):
    return (1 - theta[0]) ** 2 + 100 * (theta[1] - theta[0] ** 2) ** 2


def minimise(cost, theta, tolerance=1e-9, **settings):
    derivatives = {"gradient": jax.grad(cost), "hessian": jax.hessian(cost)}
    return newton(cost, jnp.asarray(theta), tolerance=tolerance, **derivatives, **settings)


def test_one_full_step_ends_a_quadratic():
    A, b = jnp.array([[3.0, 1.0], [1.0, 2.0]]), jnp.array([1.0, 4.0])
    solution = minimise(lambda t: 0.5 * t @ A @ t - b @ t, [10.0, -7.0], max_steps=1)
    chex.assert_trees_all_close(solution.theta, jnp.linalg.solve(A, b), rtol=1e-14)
    assert Status(int(solution.status)) is Status.CONVERGED


@pytest.mark.parametrize("start", [(-1.2, 1.0), (0.0, 0.0), (5.0, -3.0)])
def test_rosenbrock(start):
    solution = minimise(rosenbrock, start).check()
    chex.assert_trees_all_close(solution.theta, jnp.ones(2), atol=1e-12)


def test_convergence_is_quadratic_with_full_steps_at_the_end():
    def cost(t):
        return jnp.exp(t[0]) + jnp.exp(-2 * t[0]) + t[1] ** 4 + t[1] ** 2

    optimum = jnp.array([jnp.log(2.0) / 3, 0.0])
    errors = [float(jnp.linalg.norm(minimise(cost, [1.0, 0.5], max_steps=n).theta - optimum)) for n in (2, 3, 4)]
    assert errors[1] < 2 * errors[0] ** 2
    assert errors[2] < 2 * errors[1] ** 2


def test_a_saddle_and_a_maximum_are_left_downhill():
    def cost(t):
        return t[0] ** 2 - t[1] ** 2 + 0.25 * t[1] ** 4

    solution = minimise(cost, [1.0, 1e-3]).check()
    chex.assert_trees_all_close(jnp.abs(solution.theta), jnp.array([0.0, jnp.sqrt(2.0)]), atol=1e-9)


def test_directions_without_curvature_are_left_alone():
    solution = minimise(lambda t: (t[0] + t[1] - 2) ** 2, [0.0, 0.0]).check()
    chex.assert_trees_all_close(solution.theta, jnp.ones(2), rtol=1e-12)


def test_a_step_that_overflows_is_shortened():
    def cost(t):
        return jnp.exp(t[0] ** 2) - 3 * t[0]

    solution = minimise(cost, [-25.0], max_steps=2000).check()
    assert abs(2 * solution.theta[0] * jnp.exp(solution.theta[0] ** 2) - 3) < 1e-9


def test_every_status_is_reached():
    def ended(solution):
        return Status(int(solution.status))

    assert ended(minimise(rosenbrock, [-1.2, 1.0], max_steps=3)) is Status.OUT_OF_STEPS
    assert ended(minimise(rosenbrock, [-1.2, 1.0], max_steps=0)) is Status.OUT_OF_STEPS
    assert ended(minimise(rosenbrock, [1.0, 1.0], max_steps=0)) is Status.CONVERGED
    assert ended(minimise(rosenbrock, [np.nan, 1.0])) is Status.NOT_FINITE
    assert ended(minimise(rosenbrock, [np.inf, 1.0])) is Status.NOT_FINITE
    assert ended(minimise(lambda t: -jnp.sum(t**2), [1.0])) is Status.UNBOUNDED
    assert ended(minimise(lambda t: t[0] ** 2 - t[1] ** 2, [1.0, 0.0])) is Status.SADDLE
    assert ended(minimise(lambda t: -jnp.sum(t**2), [0.0])) is Status.SADDLE

    def uphill(theta):
        return -jax.grad(rosenbrock)(theta)

    wrong = newton(rosenbrock, jnp.zeros(2), gradient=uphill, hessian=jax.hessian(rosenbrock), tolerance=1e-9)
    assert ended(wrong) is Status.NO_DESCENT


def test_the_last_finite_theta_is_kept():
    def gradient(t):
        return jnp.where(t < 0.5, jnp.nan, 2 * t)

    def hessian(t):
        return 2 * jnp.eye(1)

    solution = newton(lambda t: jnp.sum(t**2), jnp.ones(1), gradient=gradient, hessian=hessian, tolerance=1e-9)
    assert Status(int(solution.status)) is Status.NOT_FINITE
    assert solution.theta[0] == 1


def test_a_function_that_is_flat_to_rounding_does_not_loop():
    solution = minimise(lambda t: 1e16 + jnp.sum((t - 1) ** 2), [0.0], tolerance=0.0)
    assert solution.steps < 5


def test_in_every_precision_under_jit_and_vmap(precision):
    starts = jnp.asarray([[-1.2, 1.0], [0.0, 0.0]], precision.dtype)
    tolerance = 1e-9 if precision.tolerance == 1e-12 else 1e-3
    solution = jax.jit(jax.vmap(lambda start: minimise(rosenbrock, start, tolerance=tolerance)))(starts)
    assert solution.check().theta.dtype == precision.dtype
    np.testing.assert_allclose(solution.theta, np.ones((2, 2)), rtol=1e-4)


def test_check_says_what_happened_and_what_to_try():
    solution = minimise(rosenbrock, [-1.2, 1.0], max_steps=3)
    with pytest.raises(NotSolved, match=r"OUT_OF_STEPS: .*max_steps.*cost .*, gradient norm .*, 3 steps") as error:
        solution.check()
    assert error.value.solution is solution
    assert error.value.status is Status.OUT_OF_STEPS
    assert "Converged" in str(minimise(rosenbrock, [-1.2, 1.0]))


def test_of_many_solutions_the_worst_decides():
    both = jax.vmap(lambda start: minimise(rosenbrock, start, max_steps=20))(jnp.array([[1.0, 1.0], [jnp.nan, 0.0]]))
    with pytest.raises(NotSolved, match="NOT_FINITE"):
        both.check()
    assert isinstance(both, Solution)


def test_every_status_has_a_sentence():
    assert all(status.sentence.endswith(".") and len(status.sentence) > 40 for status in Status)
    assert [int(status) for status in Status] == list(range(len(Status)))
