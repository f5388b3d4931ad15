"""Line searches on functions of one number: steep, flat, far, infinite, noisy."""

from functools import cache

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jax_course.optimization.line_search import C1, Trial, backtracking, strong_wolfe

FUNCTIONS = {
    "parabola": lambda a: (a - 3) ** 2,
    "minimum far away": lambda a: (a - 3e4) ** 2 * 1e-8,
    "minimum very near": lambda a: (a - 3e-7) ** 2 * 1e10,
    "exponential": lambda a: jnp.exp(a) - 10 * a,
    "steep wall": lambda a: jnp.exp(1e3 * a) - 2e3 * a,
    "not a number beyond 0.2": lambda a: jnp.where(a > 0.2, jnp.nan, 3 * a**2 - a),
    "infinite beyond 0.01": lambda a: jnp.where(a > 0.01, jnp.inf, (a - 0.003) ** 2),
    "logarithm": lambda a: a - jnp.log(a + 1e-3),
    "Moré and Thuente 1": lambda a: -a / (a**2 + 2),
    "Moré and Thuente 2": lambda a: (a + 0.004) ** 5 - 2 * (a + 0.004) ** 4,
    "waves": lambda a: jnp.cos(5 * a + 1) + 0.1 * a,
}


FLAT_START = "Moré and Thuente 2"  # its slope at 0 is below the rounding of the others in float32


def trial_at_zero(function, dtype=np.float64):
    zero = jnp.zeros((), dtype)
    return Trial(zero, *jax.value_and_grad(function)(zero))


def search(function, **options):
    """A start and the step from there."""

    def along(alpha):
        return (*jax.value_and_grad(function)(alpha), 2 * alpha)

    start = trial_at_zero(function, options.pop("dtype", np.float64))
    return start, strong_wolfe(along, start, jnp.zeros_like(start.value), **options)


@cache
def searches(dtype):
    """Both searches on the function of a number, in one program, and the slope at the step of one of them."""

    @jax.jit
    def program(number, c2):
        def function(alpha):
            return jax.lax.switch(number, list(FUNCTIONS.values()), alpha)

        start, step = search(function, c2=c2, dtype=dtype)
        return start, step, jax.grad(function)(step.taken.alpha), backtracking(function, start)

    def results(name, c2):
        return jax.device_get(program(list(FUNCTIONS).index(name), c2))

    return results


@pytest.mark.parametrize("name", [name for name in FUNCTIONS if name != FLAT_START])
@pytest.mark.parametrize("c2", [0.9, 0.1])
def test_both_conditions_hold(name, c2, width):
    start, step, again, _ = searches(width.dtype)(name, np.array(c2, width.dtype))
    assert step.taken.alpha.dtype == width.dtype
    assert bool(step.success)
    alpha, value, slope = (float(x) for x in step.taken)
    rounding = 20 * float(np.finfo(width.dtype).eps) * abs(float(start.value))
    assert value <= float(start.value) + C1 * alpha * float(start.slope) + rounding
    assert abs(slope) <= c2 * abs(float(start.slope)) * (1 + 1e-6)
    np.testing.assert_allclose(slope, float(again), rtol=1e-5, atol=1e-15)
    assert float(step.extra) == 2 * alpha
    assert int(step.evaluations) <= 20


def test_a_start_that_is_nearly_flat():
    _, step, _, _ = searches(np.float64)(FLAT_START, np.array(0.1))
    assert bool(step.success)
    np.testing.assert_allclose(float(step.taken.alpha), 1.596, rtol=1e-6)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_backtracking_descends_enough(name, width):
    start, _, _, step = searches(width.dtype)(name, np.array(0.1, width.dtype))
    assert bool(step.success)
    assert float(step.taken.value) <= float(start.value) + C1 * float(step.taken.alpha) * float(start.slope)
    assert float(step.taken.alpha) == 0.5 ** (int(step.evaluations) - 1)


def test_a_minimum_below_rounding_is_found_by_slopes():
    """f changes by 1e-20 beside 78: only the slopes tell."""

    def function(a):
        return 78.3 + 0.01 * (a - 1e-9) ** 2

    _, step = jax.jit(lambda: search(function, c2=0.1))()
    assert bool(step.success)
    np.testing.assert_allclose(float(step.taken.alpha), 1e-9, rtol=0.1)


def test_what_has_no_step_says_so():
    def uphill(a):
        return a**2 + a

    def up_at_once(a):
        value = jnp.where(a > 0, jnp.nan, -a)
        return value, jnp.where(a > 0, jnp.nan, -1.0), None

    @jax.jit
    def ends():
        start, step = search(uphill)
        no_step = strong_wolfe(up_at_once, Trial(*map(jnp.asarray, (0.0, 0.0, -1.0))), None)
        return step, backtracking(uphill, start), no_step, search(lambda a: -a)[1]

    *stay, endless = ends()
    for step in (*stay, endless):
        assert not bool(step.success)
    assert [float(step.taken.alpha) for step in stay] == [0, 0, 0]
    assert float(endless.taken.value) < 0


def test_under_vmap_each_line_has_its_own_step():
    def step_towards(minimum):
        def along(a):
            return (a - minimum) ** 2, 2 * (a - minimum), None

        start = Trial(jnp.zeros_like(minimum), minimum**2, -2 * minimum)
        return strong_wolfe(along, start, None, c2=0.1).taken.alpha

    minima = np.array([1e-3, 1.0, 50.0])
    np.testing.assert_allclose(jax.jit(jax.vmap(step_towards))(minima), minima, rtol=0.2)


def test_slopes_alone_find_the_minimum_of_a_convex_function():
    def step_towards(minimum):
        def along(a):
            return jnp.zeros_like(a), jnp.sinh(a - minimum), a

        zero = jnp.zeros_like(minimum)
        return strong_wolfe(along, Trial(zero, zero, jnp.sinh(-minimum)), zero, c2=0.1)

    minima = np.array([1e-3, 0.3, 1.0, 50.0])
    step = jax.jit(jax.vmap(step_towards))(minima)
    assert step.success.all()
    assert np.all(np.abs(np.sinh(step.extra - minima)) <= 0.1 * np.sinh(minima))
    assert int(step.evaluations.max()) <= 20
