"""The number of programs that are compiled: what fits of data of many sizes cost."""

from contextlib import contextmanager
from functools import partial

import jax
import numpy as np
import pytest

from jax_course import Status, inputs, kernel, lasso, linear, logistic, padding, ridge, softmax, verify

COMPILED = "/jax/core/compile/backend_compile_duration"


@contextmanager
def counted_programs():
    """A list with an entry for each program that is compiled, or read from the persistent cache, in the block."""
    programs = []

    def count(event, duration_secs, **_):
        programs.extend([event] * (event == COMPILED))

    jax.monitoring.register_event_duration_secs_listener(count)
    try:
        yield programs
    finally:
        jax.monitoring.unregister_event_duration_listener(count)


def test_the_door_compiles_nothing_for_another_number_of_rows():
    def problems(m):
        X, y = np.ones((m, 3)) * np.arange(m)[:, None], np.arange(m) % 2
        inputs.regression_problem(X, y)
        inputs.binary_problem(X, y, weights=y + 1)
        inputs.classification_problem(X, y)

    problems(33)
    with counted_programs() as programs:
        problems(35)
    assert programs == []


def test_an_examination_of_a_small_model_compiles_nothing():
    X, y, theta = np.arange(60.0).reshape(20, 3) / 60, np.arange(20) % 2, np.array([0.5, -1.0, 2.0])
    examined = []
    with counted_programs() as programs:
        for gradient in (logistic.gradient, lambda *given, penalty: logistic.gradient(*given, penalty=penalty) ** 3):
            functions = {"gradient": gradient, "hessian": logistic.hessian, "hessian_product": logistic.hessian_product}
            examined.append(verify.derivatives(logistic.cost, theta, X, y, penalty=0.5, **functions).ok)
    assert examined == [True, False]
    assert programs == []


def data(m):
    """X with a bias, y, two classes that overlap, and three."""
    rng = np.random.Generator(np.random.PCG64(0))
    X = np.column_stack([np.ones(m), rng.normal(size=(m, 2))])
    z = X @ np.array([0.5, 1.0, -1.0])
    three = np.argmax(X @ np.array([[0.2, 0, 0], [1, -1, 0], [0, 1, -1]]) + rng.gumbel(size=(m, 3)), axis=1)
    return X, z + rng.normal(size=m), (z + rng.logistic(size=m) > 0) * 1, three


FITS = {
    "linear": lambda X, y, two, three: linear.fit(X, y),
    "ridge": lambda X, y, two, three: ridge.fit(X, y, penalty=1.0),
    "lasso": lambda X, y, two, three: lasso.fit(X, y, penalty=1.0),
    "lasso with a bias": lambda X, y, two, three: lasso.fit(X, y, penalty=[0.0, 1.0, 1.0]),
    "logistic": lambda X, y, two, three: logistic.fit(X, two),
    "softmax": lambda X, y, two, three: softmax.fit(X, three),
}


def test_all_numbers_of_rows_from_500_to_1500_fall_into_eight_buckets_of_at_most_13_percent_padding():
    sizes = np.arange(padding.LEAST_ROWS, 20_000)
    buckets = np.array([padding.bucket(int(m)) for m in sizes])
    assert (buckets >= sizes).all()
    assert (buckets - sizes <= 0.13 * buckets).all()
    assert len(set(buckets[(sizes >= 500) & (sizes <= 1500)])) == 8
    assert padding.bucket(1000) == 1000


@pytest.mark.parametrize("fit", FITS.values(), ids=FITS)
def test_a_new_number_of_rows_in_a_bucket_that_was_met_compiles_nothing(fit):
    fit(*data(70))
    with counted_programs() as programs:
        for m in (64, 66, 69):
            fit(*data(m))
    assert programs == []


@pytest.mark.parametrize(("model", "theta"), [(logistic, np.zeros(3)), (softmax, np.zeros((3, 2)))])
def test_an_interval_of_another_number_of_rows_compiles_one_program(model, theta):
    model.predict_interval(theta, data(70)[0], np.eye(3))
    with counted_programs() as programs:
        model.predict_interval(theta, data(72)[0], np.eye(3))
    assert len(programs) == 1


@pytest.mark.parametrize("weights", [1.0, np.linspace(0.0, 2.0, 100)], ids=["alike", "each its own"])
@pytest.mark.parametrize("name", ["linear", "ridge", "logistic", "softmax"])
def test_a_padded_fit_is_that_of_its_examples(name, weights, monkeypatch):
    """Against the fit without padding, its cost and its gradient's norm included."""
    X, y, two, three = data(100)
    of_name = {"linear": (linear, y), "ridge": (ridge, y), "logistic": (logistic, two), "softmax": (softmax, three)}
    module, y = of_name[name]
    padded = module.fit(X, y, weights=weights)
    monkeypatch.setattr(padding, "LEAST_ROWS", 1000)
    plain = module.fit(X, y, weights=weights)
    np.testing.assert_allclose(padded.theta, plain.theta, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(padded.cost, plain.cost, rtol=1e-13)
    assert (padded.status, padded.method, padded.steps) == (plain.status, plain.method, plain.steps)


def test_padding_hides_no_separation_and_no_dependent_column():
    X, y, two, three = data(100)
    separated = [logistic.fit(X, X[:, 1] > 0), softmax.fit(X, np.digitize(X[:, 1], [-0.5, 0.5]))]
    assert [Status(int(found.status)) for found in separated] == [Status.SEPARABLE] * 2
    twice = X[:, [0, 1, 1]]
    for found in (linear.fit(twice, y), logistic.fit(twice, two), softmax.fit(twice, three)):
        assert Status(int(found.status)) is Status.RANK_DEFICIENT
        np.testing.assert_allclose(found.theta[1], found.theta[2], rtol=1e-8)


def test_small_data_that_a_caller_placed_or_that_is_wide_are_left_as_they_are():
    placed = jax.device_put(np.ones((100, 3)), jax.devices()[0])
    wide, y = jax.numpy.ones((70, 71)), jax.numpy.ones(70)
    assert padding.padded_rows(placed)[0] is placed
    assert padding.padded_rows(wide, y) == (wide, y)


INSIDE_JIT = {  # the most equations; measured 1,126, 1,179, 395, and of classifiers 1,369 and 1,486
    "linear": (lambda X, y, two, three: linear.fit(X, y), 1200),
    "lasso": (lambda X, y, two, three: lasso.fit(X, y, penalty=1.0), 1300),
    "kernel": (lambda X, y, two, three: kernel.fit(X, y, scale=1.0, penalty=1.0), 450),
    "logistic": (lambda X, y, two, three: logistic.fit(X, two), 1500),
    "softmax": (lambda X, y, two, three: softmax.fit(X, three, classes=3), 1600),
}


@pytest.mark.parametrize("model", INSIDE_JIT)
def test_a_fit_inside_jit_is_a_small_program(model):
    """Which XLA compiles in 3 s; a stage that stands in it twice would be seen."""
    fit, most = INSIDE_JIT[model]
    assert equations(jax.make_jaxpr(fit)(*data(60)).jaxpr) <= most


def test_a_penalty_known_inside_jit_leaves_separation_out():
    X, _, two, three = data(60)
    for fit, y in ((logistic.fit, two), (partial(softmax.fit, classes=3), three)):
        known, other = (jax.make_jaxpr(partial(fit, penalty=penalty))(X, y) for penalty in (1.0, 0.0))
        assert equations(known.jaxpr) < 0.9 * equations(other.jaxpr)


def equations(jaxpr):
    """Those of all branches and bodies too."""
    inner = [
        getattr(part, "jaxpr", part)
        for equation in jaxpr.eqns
        for value in equation.params.values()
        for part in (value if isinstance(value, tuple | list) else [value])
    ]
    return len(jaxpr.eqns) + sum(equations(part) for part in inner if hasattr(part, "eqns"))
