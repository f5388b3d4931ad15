"""Programs compiled cheaply first, and well when their work has paid for it."""

import os
import subprocess
import sys
import threading

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jax_course import tiers
from jax_course.tiers import compiled

X = np.array([[0.0, -0.0, 1.5], [np.nan, np.inf, -np.inf], [5e-324, 1e308, -745.0]])


@pytest.fixture(autouse=True)
def _programs_are_optimised():
    """As outside of the tests."""
    before = jax.config.read("jax_disable_most_optimizations")
    jax.config.update("jax_disable_most_optimizations", False)
    yield
    jax.config.update("jax_disable_most_optimizations", before)


@pytest.fixture
def options_used(monkeypatch):
    """The compiler options of the program that ran, call by call; a program is named by its options."""
    used = []
    plain = jax.jit

    def jit(function, **keywords):
        program = plain(function, **keywords)

        def run(*arguments):
            result = program(*arguments)
            used.append(keywords.get("compiler_options"))  # which the compiler knows
            return result

        return run

    monkeypatch.setattr(jax, "jit", jit)
    return used


def test_a_shape_is_compiled_cheaply_until_its_calls_have_paid(options_used, monkeypatch):
    monkeypatch.setattr(tiers, "CALLS", 2)
    double = compiled(lambda x: 2 * x)
    for size in (3, 3, 3, 3, 2):
        np.testing.assert_array_equal(double(np.ones(size)), np.full(size, 2.0))
    cheap = options_used[0]
    assert cheap in tiers.CHEAP_OPTIONS[:2]
    assert options_used == [cheap, cheap, None, None, cheap]


def test_large_work_is_optimised_at_once(options_used):
    double = compiled(lambda x: 2 * x, operations=lambda x: 2 * tiers.WORK)
    double(np.ones(3))
    assert options_used == [None]


def test_where_nothing_is_optimised_there_is_one_program(options_used, monkeypatch):
    monkeypatch.setattr(tiers, "CALLS", 1)
    jax.config.update("jax_disable_most_optimizations", True)
    double = compiled(lambda x: 2 * x, operations=lambda x: 2 * tiers.WORK)
    for _ in range(3):
        double(np.ones(3))
    assert len(options_used) == 3
    assert set(map(str, options_used)) == {str(options_used[0])} != {"None"}


def test_a_second_call_traces_nothing(monkeypatch):
    monkeypatch.setattr(tiers, "CALLS", 2)
    traced = []
    double = compiled(lambda x, n: traced.append(n) or n * x, static_argnums=1)
    for _ in range(4):  # the two programs are compiled of one trace
        double(np.ones(3), 2)
    assert traced == [2]


def test_a_batch_outside_jit_is_one_program_compiled_cheaply(options_used):
    def scaled(x, n, factor):
        return {"product": n * factor * x, "size": len(x)}

    work = []
    product = compiled(scaled, static_argnums=1, operations=lambda x, n, factor: work.append(x.shape) or tiers.WORK / 5)
    x = np.arange(6.0).reshape(2, 3)
    for _ in range(3):
        found = jax.vmap(lambda row: product(row, 2, 3))(x)
        np.testing.assert_array_equal(found["product"], 6 * x)
    np.testing.assert_array_equal(found["size"], [3, 3])
    assert work == [(3,)]  # counted once, for one member; 2 calls of 2 members cost WORK
    cheap = options_used[0]
    assert cheap in tiers.CHEAP_OPTIONS[:2]
    assert options_used == [cheap, cheap, None]


def test_batches_in_batches_and_in_other_transformations_compute_the_same():
    square = compiled(lambda x, factor: jnp.sum(factor * x**2))
    x, factors = np.arange(6.0).reshape(2, 3), np.array([1.0, 2.0])
    both = jax.vmap(jax.vmap(square, in_axes=(0, None)), in_axes=(None, 0))
    expected = factors[:, None] * np.sum(x**2, axis=1)
    np.testing.assert_array_equal(both(x, factors), expected)
    np.testing.assert_array_equal(jax.jit(both)(x, factors), expected)
    slopes = jax.vmap(jax.grad(square), in_axes=(0, None))(x, 1.0)
    np.testing.assert_array_equal(slopes, 2 * x)
    tangent = jax.jvp(jax.vmap(square, in_axes=(0, None)), (x, 1.0), (np.ones_like(x), 0.0))[1]
    np.testing.assert_array_equal(tangent, 2 * np.sum(x, axis=1))


def test_inside_a_trace_it_is_part_of_the_program_of_the_caller():
    square = compiled(lambda x: jnp.sum(x**2))
    x = np.arange(3.0)
    known = jax.jit(lambda y: y + square(x))  # x is known while the caller is traced
    assert float(known(1.0)) == 6.0
    assert float(jax.jit(square)(x)) == 5.0
    np.testing.assert_array_equal(jax.grad(square)(x), 2 * x)
    np.testing.assert_array_equal(jax.vmap(square)(np.stack([x, x])), [5.0, 5.0])
    with jax.disable_jit():
        assert float(square(x)) == 5.0


def test_options_that_the_compiler_does_not_know_are_left_out(monkeypatch):
    monkeypatch.setattr(tiers, "CHEAP_OPTIONS", ({"xla_no_such_option": True}, None))
    double = compiled(lambda x: 2 * x)
    for _ in range(2):
        np.testing.assert_array_equal(double(np.ones(3)), np.full(3, 2.0))


def test_an_error_of_the_function_is_raised():
    def refuse(x):
        raise ValueError("not this")

    with pytest.raises(ValueError, match="not this"):
        compiled(refuse)(np.ones(3))


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_cheap_programs_keep_nan_and_infinity(dtype):
    def compared(x):
        a, b = x[:, :, None], x[:, None, :]
        exact = jnp.maximum(a, b), jnp.minimum(a, b), a < b, a == b, a != b, jnp.isnan(x), jnp.isfinite(x), x.max(1)
        slope = jax.grad(lambda x: jnp.sum(jnp.maximum(x, 0)) + jnp.max(x))(x[0])
        return *exact, slope, jnp.where(x > 0, jnp.log(x), x), jnp.sqrt(x), a / b

    with np.errstate(over="ignore"):
        x = X.astype(dtype)
    for cheap, well in zip(compiled(compared)(x), jax.jit(compared)(x), strict=True):
        np.testing.assert_allclose(cheap, well, rtol=4 * np.finfo(dtype).eps)


def test_both_precisions_and_several_threads_share_a_function():
    double = compiled(lambda x: 2 * x)
    for x64 in (True, False):
        with jax.enable_x64(x64):
            assert double(np.ones(3)).dtype == (np.float64 if x64 else np.float32)
    found = []
    threads = [threading.Thread(target=lambda: found.append(double(np.ones(4)))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    np.testing.assert_array_equal(found, np.full((4, 4), 2.0))


def test_programs_are_kept_on_disk_from_the_call_on(tmp_path):
    script = "import jax, sys, jax_course as c; jax.jit(lambda x: x + 1)(1.0); c.cache_programs(sys.argv[1])\n"
    environment = {name: value for name, value in os.environ.items() if not name.startswith("JAX_")}
    run = [sys.executable, "-c", script + "jax.jit(lambda x: x * 3 + 2)(1.0)", str(tmp_path / "programs")]
    subprocess.run(run, env=environment, check=True, timeout=120)
    assert len(list((tmp_path / "programs").iterdir())) >= 1
