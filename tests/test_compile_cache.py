"""What makes two functions one for a compiled program, and what does not."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax

from jax_course.compile_cache import cached_by_value, is_comparable, key_of
from jax_course.optimization import optimizers

FACTOR = 2.0


def scaled(x):
    return FACTOR * x


def adding(term):
    return lambda x: x + term


def same(a, b):
    return is_comparable(key_of(a)) and key_of(a) == key_of(b)


def test_functions_are_one_if_what_they_look_up_is_equal(monkeypatch):
    before = key_of(scaled)
    assert key_of(scaled) == before
    monkeypatch.setitem(globals(), "FACTOR", 3.0)
    assert key_of(scaled) != before
    assert same(adding(1.0), adding(1.0))
    assert not same(adding(1.0), adding(2.0))
    assert same(functools.partial(scaled, x=np.ones(3)), functools.partial(scaled, x=np.ones(3)))
    assert not same(functools.partial(scaled, x=np.ones(3)), functools.partial(scaled, x=np.zeros(3)))


def test_arrays_are_one_if_their_numbers_are():
    a, b = jnp.arange(3.0), jnp.arange(3.0)
    assert same(adding(a), adding(b))
    assert not same(adding(a), adding(-b))
    assert not same(adding(a), adding(b.astype(np.float32)))
    given_away = jnp.arange(3.0)
    given_away.delete()
    assert not same(adding(a), adding(given_away))
    keys = jax.random.key(0), jax.random.key(0)
    assert same(adding(keys[0]), adding(keys[0]))
    assert not same(adding(keys[0]), adding(keys[1]))  # cannot be read: not known to be the same


def test_what_libraries_made_anew_is_one_if_its_numbers_are():
    for make in (optimizers.adam, optax.adam, lambda rate: optimizers.sgd(optax.exponential_decay(rate, 10, 0.5))):
        assert same(make(0.1), make(0.1))
        assert not same(make(0.1), make(0.2))
    assert same(jax.grad(adding(1.0)), jax.grad(adding(1.0)))
    assert same(jax.jit(adding(1.0)), jax.jit(adding(1.0)))
    assert not same(jax.grad(adding(1.0)), jax.grad(adding(2.0)))


def test_what_cannot_be_compared_equals_nothing():
    class Odd:
        __slots__ = ()

    assert not is_comparable(key_of(adding(Odd())))
    traced = []
    jax.jit(lambda x: traced.append(is_comparable(key_of(adding(x)))) or x)(1.0)
    assert traced == [False]


def test_programs_are_kept_and_the_oldest_are_let_go():
    built = []

    @functools.partial(cached_by_value, size=2)
    def program(n):
        built.append(n)
        return lambda x: n * x

    assert [program(n)(2) for n in (1, 2, 1, 3, 1, 2)] == [2, 4, 2, 6, 2, 4]
    assert built == [1, 2, 3, 2]


def test_a_function_that_counts_its_calls_stays_one():
    calls = []

    def counting(x):
        calls.append(1)
        return x

    built = []

    @cached_by_value
    def program(function):
        built.append(1)
        return jax.jit(lambda x: function(x))

    for _ in range(3):
        program(counting)(1.0)
    assert len(built) == len(calls) == 1


def test_functions_with_other_rules_are_not_one():
    def with_rule(factor):
        function = jax.custom_vjp(scaled)
        function.defvjp(lambda x: (scaled(x), None), lambda _, g: (factor * g,))
        return function

    def with_tangent(factor):
        function = jax.custom_jvp(scaled)
        function.defjvps(lambda t, out, x: factor * t)
        return function

    for make in (with_rule, with_tangent):
        assert same(make(2.0), make(2.0))
        assert not same(make(2.0), make(3.0))
