import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jax_course.optimization import NotSolved, Solution, Status, newton


def rosenbrock(theta):
    return (1 - theta[0]) ** 2 + 100 * (theta[1] - theta[0] ** 2) ** 2


def minimise(cost, theta, tolerance=1e-9, **settings):
    derivatives = {"gradient": jax.grad(cost), "hessian": jax.hessian(cost)}
    return newton(cost, np.array(theta), tolerance=tolerance, **derivatives, **settings)


def test_one_full_step_ends_a_quadratic():
    A, b = np.array([[3.0, 1.0], [1.0, 2.0]]), np.array([1.0, 4.0])
    solution = minimise(lambda t: 0.5 * t @ A @ t - b @ t, [10.0, -7.0], max_steps=1)
    np.testing.assert_allclose(solution.theta, np.linalg.solve(A, b), rtol=1e-14)
    assert Status(int(solution.status)) is Status.CONVERGED


@pytest.mark.parametrize("start", [(-1.2, 1.0), (0.0, 0.0), (5.0, -3.0)])
def test_rosenbrock(start):
    solution = minimise(rosenbrock, start).check()
    np.testing.assert_allclose(solution.theta, 1, rtol=1e-6, atol=1e-12)


def test_convergence_is_quadratic_with_full_steps_at_the_end():
    def cost(t):
        return jnp.exp(t[0]) + jnp.exp(-2 * t[0]) + t[1] ** 4 + t[1] ** 2

    optimum = np.array([np.log(2.0) / 3, 0.0])
    errors = [np.linalg.norm(np.asarray(minimise(cost, [1.0, 0.5], max_steps=n).theta) - optimum) for n in (2, 3, 4)]
    assert errors[1] < 2 * errors[0] ** 2
    assert errors[2] < 2 * errors[1] ** 2


def test_a_saddle_and_a_maximum_are_left_downhill():
    def cost(t):
        return t[0] ** 2 - t[1] ** 2 + 0.25 * t[1] ** 4

    solution = minimise(cost, [1.0, 1e-3]).check()
    np.testing.assert_allclose(np.abs(solution.theta), [0, 2**0.5], rtol=1e-6, atol=1e-9)


def test_directions_without_curvature_are_left_alone():
    solution = minimise(lambda t: (t[0] + t[1] - 2) ** 2, [0.0, 0.0]).check()
    np.testing.assert_allclose(solution.theta, 1, rtol=1e-12)


def test_a_step_that_overflows_is_shortened():
    """The gradient is finite at the start, the square of its norm is not."""

    def cost(t):
        return jnp.exp(t[0] ** 2) - 3 * t[0] + t[1] ** 2

    solution = minimise(cost, [-25.0, 1.0], max_steps=2000).check()
    theta, other = np.asarray(solution.theta)
    assert abs(2 * theta * np.exp(theta**2) - 3) < 1e-9
    assert abs(other) < 1e-9


def test_the_status_is_that_of_the_end():
    def ended(solution):
        return Status(int(solution.status))

    assert ended(minimise(rosenbrock, [-1.2, 1.0], max_steps=3)) is Status.OUT_OF_STEPS
    assert ended(minimise(rosenbrock, [-1.2, 1.0], max_steps=0)) is Status.OUT_OF_STEPS
    assert ended(minimise(rosenbrock, [1.0, 1.0], max_steps=0)) is Status.CONVERGED
    assert ended(minimise(rosenbrock, [np.nan, 1.0])) is Status.NOT_FINITE
    assert ended(minimise(rosenbrock, [np.inf, 1.0])) is Status.NOT_FINITE


def test_the_last_finite_theta_is_kept():
    def gradient(t):
        return jnp.where(t < 0.5, jnp.nan, 2 * t)

    def hessian(t):
        return 2 * jnp.eye(1)

    solution = newton(lambda t: jnp.sum(t**2), np.ones(1), gradient=gradient, hessian=hessian, tolerance=1e-9)
    assert Status(int(solution.status)) is Status.NOT_FINITE
    assert 0.5 <= np.asarray(solution.theta) < 1  # it went as far as the gradient is a number


def test_a_function_that_is_flat_to_rounding_does_not_loop():
    solution = minimise(lambda t: 1e16 + jnp.sum((t - 1) ** 2), [0.0], tolerance=0.0)
    assert int(solution.steps) < 5


@jax.jit
@functools.partial(jax.vmap, in_axes=(0, None, None))
def several(start, tolerance, max_steps):
    derivatives = {"gradient": jax.grad(rosenbrock), "hessian": jax.hessian(rosenbrock)}
    return newton(rosenbrock, start, tolerance=tolerance, max_steps=max_steps, **derivatives)


def test_several_at_once_in_either_precision(width):
    starts, tolerance = np.array([[-1.2, 1.0], [0.0, 0.0]], width.dtype), 1e-9 if width.tolerance == 1e-12 else 1e-3
    np.testing.assert_allclose(several(starts, tolerance, 100).check().theta, np.ones((2, 2)), rtol=1e-4)


def test_float32_stays_so_in_64_bit_mode():
    found = jax.eval_shape(several, jax.ShapeDtypeStruct((2, 2), np.float32), 1e-3, 100)
    assert found.theta.dtype == found.cost.dtype == np.float32


def test_check_says_what_happened_and_what_to_try():
    solution = minimise(rosenbrock, [-1.2, 1.0], max_steps=3)
    with pytest.raises(NotSolved, match=r"OUT_OF_STEPS: .*max_steps.*cost .*, gradient norm .*, 3 steps") as error:
        solution.check()
    assert error.value.solution is solution
    assert error.value.status is Status.OUT_OF_STEPS
    assert "Converged" in str(minimise(rosenbrock, [-1.2, 1.0]))


def test_of_many_solutions_the_worst_decides():
    both = several(np.array([[1.0, 1.0], [np.nan, 0.0]]), 1e-9, 20)
    with pytest.raises(NotSolved, match="NOT_FINITE"):
        both.check()
    assert isinstance(both, Solution)


def test_every_status_has_a_sentence():
    assert all(status.sentence.endswith(".") and len(status.sentence) > 40 for status in Status)
    assert [int(status) for status in Status] == list(range(len(Status)))
