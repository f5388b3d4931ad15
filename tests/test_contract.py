"""What every model of the registry must keep to."""

import inspect
import re
from functools import cache, partial

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jax_course import data, features, linear, logistic, ridge, softmax, verify
from tests.cases import MODELS, PRECISIONS, D, K, M

SEEDS = range(5)
SOURCE = re.compile(r"(Course|N&W|[A-Z][\w&.\- ]* \(\d{4}\)) \d+(\.\d+)?")  # "N&W 7.4", "Bishop (2006) 3.3"


def models(*names):
    """A test of these models."""
    return pytest.mark.parametrize("model", [pytest.param(MODELS[name], id=name) for name in names])


PENALISED = models(*(name for name, model in MODELS.items() if "penalty" in model.hyper))
REPRESENTATIVES = [name for name, model in MODELS.items() if not model.hyper or name in ("ridge, free bias", "huber")]
ONE_OF_EACH_MODULE = models(*REPRESENTATIVES)
EXAMINED = (linear, logistic, softmax)  # by the doctor in tests/verify
SMOOTH_ONES = [name for name, model in MODELS.items() if "hessian" in model.verbs]
SMOOTH = models(*SMOOTH_ONES)
FIRST = {model.module: name for name, model in reversed(MODELS.items())}  # of each module
SUMS = models(  # with one kernel on each example, other examples are other parameters
    *(name for name in FIRST.values() if MODELS[name].theta_shape[0] != M)
)
RICHEST = {model.module: name for name, model in sorted(MODELS.items(), key=lambda named: len(named[1].hyper))}


def leading(model):
    """The positional arguments of every verb."""
    of_data = dict.fromkeys(model.verbs, "theta X y") | {"predict": "theta X", "fit": "X y"}
    return of_data | ({"hessian_product": "theta X y v"} if "hessian" in model.verbs else {})


RICHEST_SMOOTH = [name for name in RICHEST.values() if name in SMOOTH_ONES]


def needed(model):
    """The settings without which no verb of the model can be called."""
    return {name: value for name, value in model.hyper.items() if name == "threshold"}


def relative_error(hand, reference):
    """The largest error, in units of the largest entry of the reference."""
    hand, reference = np.asarray(hand, np.float64), np.asarray(reference, np.float64)
    assert hand.shape == reference.shape
    return np.max(np.abs(hand - reference)) / np.max(np.abs(reference))


def test_signatures(model):
    for verb, expected in leading(model).items():
        parameters = inspect.signature(getattr(model.module, verb)).parameters
        positional = [name for name, p in parameters.items() if p.kind is p.POSITIONAL_OR_KEYWORD]
        assert positional == expected.split(), verb
        assert all(p.kind is p.KEYWORD_ONLY for name, p in parameters.items() if name not in positional), verb


def test_docstrings_name_their_source(model):
    public = [f for name, f in vars(model.module).items() if inspect.isfunction(f) and not name.startswith("_")]
    for function in public:
        if function.__module__ == model.module.__name__:
            assert SOURCE.search(function.__doc__ or ""), function.__name__
    assert "Shapes:" in model.module.__doc__


@SMOOTH
def test_derivatives_are_those_of_the_cost(model):
    check_derivatives(model, PRECISIONS["float64"])


@models(*RICHEST_SMOOTH)
def test_in_float32_derivatives_are_those_of_the_cost(model):
    with jax.enable_x64(False):
        check_derivatives(model, PRECISIONS["float32"])


def check_derivatives(model, precision):
    cost, gradient, hessian, product = (
        partial(getattr(model.module, verb), **model.hyper)
        for verb in ("cost", "gradient", "hessian", "hessian_product")
    )

    @jax.jit
    def hand_and_reference(theta, X, y, v):
        by_autodiff, H = jax.hessian(cost)(theta, X, y), hessian(theta, X, y)
        if H.shape != by_autodiff.shape:  # that of each of several targets
            H = jnp.einsum("ij,kl->ikjl", H, jnp.eye(theta.shape[1], dtype=H.dtype))
        return {
            "gradient": (gradient(theta, X, y), jax.grad(cost)(theta, X, y)),
            "hessian": (H, by_autodiff),
            "hessian_product": (product(theta, X, y, v), jnp.tensordot(by_autodiff, v, v.ndim)),
        }

    for seed in SEEDS:
        v = model.problem(seed + 100, precision.dtype)[0]
        for verb, (hand, reference) in hand_and_reference(*model.problem(seed, precision.dtype), v).items():
            assert relative_error(hand, reference) < precision.tolerance, (verb, seed)


@models(*(name for name in REPRESENTATIVES if MODELS[name].module not in EXAMINED))
def test_the_doctor_finds_them_right(model):
    assert verify.model(model.module, *model.problem(0, np.float64), **model.hyper).ok


def test_dtypes_and_shapes_are_kept(model, precision):
    theta, X, y = model.problem(0, precision.dtype)
    module, hyper = model.module, model.hyper
    classes = {"classes": K} if "classes" in inspect.signature(module.fit).parameters else {}
    of_kernels = {"centers": X, "scale": hyper["scale"]} if "scale" in hyper else {}
    shapes = {"cost": (), "gradient": theta.shape, "subgradient": theta.shape, "hessian": model.hessian_shape}
    results = {
        "predict": (jax.eval_shape(partial(module.predict, **of_kernels), theta, X), (M, *theta.shape[1:])),
    }
    if precision.x64 and precision.dtype == np.float32:  # where it could be promoted
        fitted = jax.eval_shape(partial(module.fit, **hyper, **classes), X, y).theta
        results["fit"] = fitted, theta.shape
    for verb in model.verbs:
        results[verb] = jax.eval_shape(partial(getattr(module, verb), **hyper), theta, X, y), shapes[verb]
    if "hessian" in model.verbs:
        product = jax.eval_shape(partial(module.hessian_product, **hyper), theta, X, y, theta)
        results["hessian_product"] = product, theta.shape
    for verb, (value, shape) in results.items():
        assert value.shape == shape, verb
        assert value.dtype == precision.dtype, verb


@SUMS
def test_a_cost_is_a_sum_over_the_examples(model):
    """So that batches, devices and chunks of a file are one fold."""

    @jax.jit
    def whole_and_sum(theta, X, y):
        functions = [partial(getattr(model.module, verb), **needed(model)) for verb in model.verbs]
        return [(of(theta, X, y), of(theta, X[:5], y[:5]) + of(theta, X[5:], y[5:])) for of in functions]

    for whole, total in whole_and_sum(*model.problem(0, np.float64)):
        np.testing.assert_allclose(total, whole, rtol=1e-12, atol=1e-12)


REPEATED = np.array([1, 2, 0, 1, 1, 3, 1, 0, 2, 1, 0, 0])  # M examples again, for which the fit is compiled


@ONE_OF_EACH_MODULE
def test_an_example_of_weight_two_is_two_examples_and_one_of_weight_zero_is_none(model):
    hyper = {"penalty": 0.2} if "penalty" in inspect.signature(model.module.fit).parameters else {}
    hyper |= needed(model)

    def derivatives(theta, X, y, v, **weights):
        functions = [getattr(model.module, verb) for verb in ("cost", "gradient", "hessian")]
        found = [function(theta, X, y, **hyper, **weights) for function in functions]
        return [*found, model.module.hessian_product(theta, X, y, v, **hyper, **weights)]

    @jax.jit
    def weighted_and_repeated(theta, X, y, v, counts, repeated):
        of_all = partial(derivatives, theta, X, y, v)
        twice = of_all(weights=np.full(M, 2))
        of_repeated = derivatives(theta, repeated[0], repeated[1], v)
        return (of_all(weights=counts), of_repeated), (of_all(weights=2.0), twice)

    cost = jax.jit(partial(model.module.cost, **hyper))

    for seed in SEEDS:
        theta, X, y = map(np.asarray, model.problem(seed, np.float64))
        counts = np.random.default_rng(seed).permutation(REPEATED)
        repeated = X.repeat(counts, axis=0), y.repeat(counts)
        v = np.asarray(model.problem(seed + 100, np.float64)[0])
        for pair in weighted_and_repeated(theta, X, y, v, counts, repeated):
            for found, expected in zip(*pair, strict=True):
                assert relative_error(found, expected) < 1e-12
        weighted = model.module.fit(X, y, **hyper, weights=counts).check()
        assert relative_error(weighted.theta, model.module.fit(*repeated, **hyper).theta) < 1e-9
        half = model.module.fit(X, y, **hyper, weights=counts / 2)
        assert relative_error(half.cost, cost(half.theta, X, y, weights=counts / 2)) < 1e-12


VERBS = {"cost", "gradient", "hessian", "hessian_product", "fit"}
PREDICTIONS = {"predict", "predict_class"}  # of each row by itself: nothing is counted


def statistics_of(module):
    """The functions of a model that are neither its verbs nor its fit, by what they take."""
    named = {name: getattr(module, name) for name in module.__all__ if name not in VERBS | PREDICTIONS}
    return {name: f for name, f in named.items() if inspect.isfunction(f) and "X" in inspect.signature(f).parameters}


@pytest.mark.parametrize("module", [linear, ridge, logistic, softmax])
def test_all_that_is_said_of_a_fit_counts_an_example_of_weight_two_as_two(module):
    """Errors, intervals, variances, paths, leaving one out: weights are repeated rows, and 0 is none."""
    model = MODELS[FIRST[module]]
    theta, X, y = map(np.asarray, model.problem(2, np.float64))
    others = {"sigma": 0.7, "X_new": X[:2], "penalties": np.array([0.2, 3.0]), "budget": 0.01}

    @jax.jit
    def found(X, y, weights):
        given = {"theta": theta, "X": X, "y": y, **others}
        return {
            name: f(**{p: given[p] for p in inspect.signature(f).parameters if p in given}, weights=weights)
            for name, f in statistics_of(module).items()
        }

    counts = np.append(REPEATED[:-1], 6)  # of sum 18: not as many as there are rows
    for seed in SEEDS:
        shuffled = np.random.default_rng(seed).permutation(counts)
        repeated = X.repeat(shuffled, axis=0), y.repeat(shuffled)
        weighted = found(X, y, shuffled.astype(float))
        assert len(weighted) >= 4
        chex.assert_trees_all_close(weighted, found(*repeated, 1.0), rtol=1e-12, atol=1e-14)
        chex.assert_trees_all_close(found(X, y, 2.0 * shuffled), found(*repeated, 2.0), rtol=1e-12, atol=1e-14)


@ONE_OF_EACH_MODULE
@pytest.mark.parametrize(
    ("weights", "error", "message"),
    [
        (np.ones(M - 1), ValueError, r"weights must be a scalar or have shape \(12,\), .*; got shape \(11,\)"),
        (np.ones((M, 1)), ValueError, r"got shape \(12, 1\)"),
        (np.ones(M) * 1j, TypeError, "weights must hold real numbers; got complex128"),
        (np.array([1.0] * 11 + [-1.0]), ValueError, "weights must be finite and at least 0; got -1.0"),
        (np.array([1.0] * 11 + [np.nan]), ValueError, "weights must be finite and at least 0; got nan"),
        (np.zeros(M), ValueError, "weights must not all be 0: no example would count"),
        (0.0, ValueError, "weights must not all be 0"),
    ],
)
def test_weights_that_are_none_are_refused(model, weights, error, message):
    _, X, y = model.problem(1, np.float64)
    with pytest.raises(error, match=message):
        model.module.fit(X, y, weights=weights, **needed(model))


@SMOOTH
def test_fit_ends_where_the_gradient_vanishes(model):
    assert_fit_ends_where_the_gradient_vanishes(model, np.float64, 1e-10, 1e-11)


@models(*RICHEST_SMOOTH)
def test_in_float32_fit_ends_where_the_gradient_vanishes(model):
    with jax.enable_x64(False):
        assert_fit_ends_where_the_gradient_vanishes(model, np.float32, 1e-5, 1e-4)


@cache
def cost_and_gradient(module):
    def both(theta, X, y, **hyper):
        return module.cost(theta, X, y, **hyper), module.gradient(theta, X, y, **hyper)

    return jax.jit(both)


def assert_fit_ends_where_the_gradient_vanishes(model, dtype, bound, tolerance):
    _, X, y = model.problem(1, dtype)
    solution = model.module.fit(X, y, **model.hyper).check()
    origin = np.zeros(model.theta_shape, dtype)
    cost_and_start = cost_and_gradient(model.module)
    _, start = cost_and_start(origin, X, y, **model.hyper)
    cost, _ = cost_and_start(solution.theta, X, y, **model.hyper)
    assert np.asarray(solution.gradient_norm) <= bound * np.linalg.norm(start)
    np.testing.assert_allclose(solution.cost, cost, rtol=tolerance)


def test_a_second_call_does_not_trace(model):
    theta, X, y = model.problem(1, np.float64)
    gradient = jax.jit(getattr(model.module, model.verbs[1]))
    gradient(theta, X, y, **model.hyper)
    fitted = model.module.fit(X, y, **model.hyper).theta
    assert (fitted.shape, fitted.dtype) == (theta.shape, np.float64)
    # as easy or as difficult as X: what data are the first to need is compiled for them
    others = jnp.asarray(np.asarray(theta) + 1), jnp.asarray(1.5 * np.asarray(X))
    with jax.no_tracing(True):
        gradient(*others, y, **model.hyper)
        model.module.fit(others[1], y, **model.hyper)


def fit_of(model):
    """The fit, told how many classes there are, as it must be inside jit."""
    classes = {"classes": K} if "classes" in inspect.signature(model.module.fit).parameters else {}
    return partial(model.module.fit, **model.hyper, **classes)


@ONE_OF_EACH_MODULE
def test_fit_inside_jit_and_vmap(model):
    """NaN shows in the status, and leaves the problems beside it alone."""
    _, X, y = map(np.asarray, model.problem(1, np.float64))
    spoilt = X.copy()
    spoilt[0, 0] = np.nan
    problems, fits = (np.stack([X, 2 * X, spoilt]), np.stack([y] * 3)), jax.vmap(fit_of(model))
    if model.module not in (ridge, logistic):  # whose methods are those of linear and softmax
        assert jax.eval_shape(fits, *problems).theta.shape == (3, *model.theta_shape)
        return
    expected, several = fit_of(model)(X, y), jax.jit(fits)(*problems)
    each = [jax.tree.map(lambda leaf, i=i: np.asarray(leaf)[i], several) for i in range(3)]
    np.testing.assert_allclose(each[0].theta, expected.theta, rtol=1e-9, atol=1e-12)
    both = jax.tree.map(lambda leaf: np.asarray(leaf)[:2], several)
    assert both.check() is both
    for failed in (each[2], several):
        with pytest.raises(RuntimeError, match="NOT_FINITE"):
            failed.check()


def test_many_problems_at_once_are_those_of_a_loop(model):
    """vmap = loop and jit = no jit: of every verb and of the fit."""
    problems = [[np.asarray(a) for a in model.problem(seed, np.float64)] for seed in (1, 3)]
    verbs = {verb: names.split() for verb, names in leading(model).items() if verb not in ("fit", "predict")}

    def evaluated(theta, X, y):
        given = {"theta": theta, "X": X, "y": y, "v": theta}
        found = {
            verb: getattr(model.module, verb)(*(given[name] for name in names), **model.hyper)
            for verb, names in verbs.items()
        }
        of_kernels = {"centers": X, "scale": model.hyper["scale"]} if "scale" in model.hyper else {}
        return found | {"predict": model.module.predict(theta, X, **of_kernels)}

    theta, X, y = map(np.stack, zip(*problems, strict=True))
    at_once, fits = jax.jit(jax.vmap(evaluated))(theta, X, y), jax.vmap(fit_of(model))(X, y)
    for i, (theta, X, y) in enumerate(problems):
        alone = fit_of(model)(X, y)
        expected = evaluated(theta, X, y) | {"theta": alone.theta, "minimum": alone.cost}
        found = jax.tree.map(lambda values, i=i: values[i], at_once | {"theta": fits.theta, "minimum": fits.cost})
        for name in expected:
            assert relative_error(found[name], expected[name]) < 1e-12, name
        assert fits.status[i] == alone.status


@ONE_OF_EACH_MODULE
def test_fit_reads_arrays_that_a_traced_function_closes_over(model):
    _, X, y = model.problem(1, np.float64)
    found = jax.eval_shape(lambda: fit_of(model)(X, y))
    assert found.theta.shape == model.theta_shape
    spoilt = X.at[7, 2].set(np.nan)
    with pytest.raises(ValueError, match=r"X must be finite; X\[7, 2\] is nan"):
        jax.eval_shape(lambda: fit_of(model)(spoilt, y))


def test_fit_of_arrays_that_a_traced_function_closes_over():
    _, X, y = MODELS["logistic"].problem(1, np.float64)
    found = jax.jit(lambda: logistic.fit(X, y))()
    np.testing.assert_allclose(found.theta, logistic.fit(X, y).theta, rtol=1e-9, atol=1e-12)


BAD_SHAPES = {
    "targets (m, 1)": lambda theta, X, y: (theta, X, y[:, None]),
    "too few targets": lambda theta, X, y: (theta, X, y[:-1]),
    "too few parameters": lambda theta, X, y: (theta[:-1], X, y),
    "a parameter too deep": lambda theta, X, y: (theta[..., None], X, y),
    "X is a vector": lambda theta, X, y: (theta, X[:, 0], y),
    "no examples": lambda theta, X, y: (theta, X[:0], y[:0]),
    "no features": lambda theta, X, y: (theta[:0], X[:, :0], y),
}


@pytest.mark.parametrize("bad", BAD_SHAPES.values(), ids=BAD_SHAPES.keys())
def test_bad_shapes_are_refused_under_jit_too(model, bad):
    arguments = bad(*map(np.asarray, model.problem(0, np.float64)))
    for verb in model.verbs:
        function = partial(getattr(model.module, verb), **model.hyper)
        for call in (function, partial(jax.eval_shape, function)):
            with pytest.raises(ValueError, match=r"must have .*; got shape") as error:
                call(*arguments)
            assert str(error.value).split()[0] in ("theta", "X", "y")


def test_a_mixture_of_precisions_is_refused(model):
    theta, X, y = model.problem(0, np.float64)
    with pytest.raises(TypeError, match="theta must have the dtype of X, float32; got float64"):
        getattr(model.module, model.verbs[1])(theta, X.astype(np.float32), y, **model.hyper)


def test_whole_numbers_in_X_are_refused(model):
    theta, X, y = model.problem(0, np.float64)
    for call in (partial(model.module.cost, theta), model.module.fit):
        with pytest.raises(TypeError, match="X must hold floating-point numbers; got int"):
            call(X.astype(int), y, **model.hyper)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_values_that_are_not_finite_are_refused_before_any_work(model, value):
    _, X, y = model.problem(0, np.float64)
    with pytest.raises(ValueError, match=r"X must be finite; X\[7, 2\] is"):
        model.module.fit(X.at[7, 2].set(value), y, **model.hyper)


@PENALISED
def test_a_negative_penalty_is_refused(model):
    _, X, y = model.problem(0, np.float64)
    with pytest.raises(ValueError, match=r"penalty must be finite and at least 0; got -0\.1"):
        model.module.fit(X, y, **model.hyper | {"penalty": -0.1})


@PENALISED
def test_a_penalty_of_another_shape_is_refused(model):
    theta, X, y = model.problem(0, np.float64)
    with pytest.raises(ValueError, match=r"penalty must be a scalar.*got shape"):
        model.module.cost(theta, X, y, **model.hyper | {"penalty": jnp.ones(D + 4)})


@models(*RICHEST.values())
def test_float64_data_without_64_bit_mode_warns_once_and_is_computed_in_float32(model):
    _, X, y = model.problem(1, np.float64)
    X, y = np.asarray(X), np.asarray(y)
    with jax.enable_x64(False), pytest.warns(UserWarning, match="jax_enable_x64") as caught:
        solution = jax.eval_shape(lambda: fit_of(model)(X, y))  # it closes over X and y, which are read as if called
    assert len(caught) == 1
    assert caught[0].filename == __file__
    assert solution.theta.dtype == np.float32


@pytest.mark.parametrize("use", ["bias", "split", "standardize", "cost", "data frame"])
def test_float64_is_not_narrowed_without_a_word_anywhere(use):
    """The warning names the line of the caller, whatever the depth it comes from."""

    class Frame:  # what the function asks of a data frame
        def __array__(self, dtype=None, copy=None):
            return np.ones((4, 2))

    X = np.ones((4, 2))
    run = {
        "bias": lambda: features.with_bias(X),
        "split": lambda: data.split(X, np.arange(4)),
        "standardize": lambda: data.standardize(X),
        "cost": lambda: linear.cost(jnp.zeros(2), X, np.zeros(4, np.float32)),
        "data frame": lambda: features.with_bias(Frame()),
    }
    with jax.enable_x64(False), pytest.warns(UserWarning, match="jax_enable_x64") as caught:
        run[use]()
    assert [warning.filename for warning in caught] == [__file__]


@pytest.mark.parametrize(
    ("X", "message"),
    [
        (np.array([[1, None]], object), "X must be an array of numbers; got ndarray of object"),
        (
            [["a"]],
            "X must be an array of numbers; got list of <U1: make X and y of a table by data.frame(df, target=…)",
        ),
        (None, "X must be an array of numbers; got NoneType"),
        ([[1.0, 2.0], [3.0]], "X must be an array of numbers; got list"),
        (np.ma.masked_array([[1.0]], mask=[[True]]), "X must hold a number everywhere; got a masked array"),
        (np.array([[1j]]), "X must hold floating-point numbers; got complex128: give its real and imaginary parts"),
        (np.array([[1.0]], np.longdouble), "X must hold float32 or float64; got float128"),
        (np.array([[1.0]], np.float16), "a fit needs float32 or float64; X is float16"),
    ],
)
def test_what_is_no_design_is_refused(X, message):
    with pytest.raises(TypeError, match=re.escape(message)):
        linear.fit(X, [1.0])


def test_bare_numbers_take_the_precision_of_the_design():
    X = np.eye(2, dtype=np.float32)
    assert jax.eval_shape(lambda: linear.fit(X, [1.0, 2.0])).theta.dtype == np.float32
    assert jax.eval_shape(lambda: ridge.cost([1.0, 2.0], X, [1.0, 2.0], penalty=[0.5, 0.5])).dtype == np.float32
    with pytest.raises(TypeError, match="y must have the dtype of X, float32; got float64"):
        linear.fit(X, np.array([1.0, 2.0]))


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"classes": 2.0}, TypeError, "classes must be a whole number; got 2.0"),
        ({"classes": 0}, ValueError, "classes must be at least 2; got 0"),
        ({"max_steps": "many"}, TypeError, "max_steps must be a whole number; got 'many'"),
        ({"penalty": "1"}, TypeError, "penalty must be an array of numbers; got str"),
        ({"penalty": True}, TypeError, "penalty must hold real numbers; got bool"),
        ({"penalty": np.ones(2)}, ValueError, r"write penalty\[:, None\] for one per column of X"),
    ],
)
def test_settings_that_are_none_are_refused(settings, error, message):
    with pytest.raises(error, match=message):
        softmax.fit(np.eye(4)[:, :2], [0, 1, 1, 0], **settings)


@jax.jit
def of_classes(y):
    theta, X = np.zeros((1, 300)), np.ones((3, 1))
    return softmax.cost(theta, X, y), softmax.gradient(theta, X, y)


@pytest.mark.parametrize("dtype", ["uint8", "int8", "uint64"])
def test_class_numbers_of_any_width_mean_the_same(dtype):
    """300 classes do not fit in eight bits: what lies beyond may not wrap round."""
    y = np.array([0, 1, 100], dtype)
    chex.assert_trees_all_equal(of_classes(y), of_classes(y.astype("int32")))
    np.testing.assert_array_equal(data.one_hot(y, 300), np.eye(300)[y.astype(int)])


def test_class_numbers_beyond_the_last_are_nan():
    for beyond in (np.array([0, 1, 2**32], "uint64"), np.array([0, 1, -1]), np.array([0, 1, 300])):
        cost, gradient = of_classes(beyond)
        assert np.isnan(softmax.cost(np.zeros((1, 300)), np.ones((3, 1)), beyond))  # numbers that can be read
        assert np.isnan(cost)
        assert np.all(np.isnan(gradient))


@pytest.mark.parametrize("source", ["Course 7.7", "N&W 7.4", "Bishop (2006) 3.3"])
def test_a_source_is_a_book_and_a_section(source):
    assert SOURCE.search(f"A step. {source}.")
    assert not SOURCE.search(source.rsplit(" ", 1)[0])
