"""Whatever comes: the right answer, or an error that says what was expected."""

import contextlib
import inspect
import traceback
from functools import cache, partial
from pathlib import Path
from types import ModuleType

import chex
import hypothesis.extra.numpy as arrays
import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import jax_course
from jax_course import Status, gamma, huber, kernel, lasso, linear, logistic, poisson, ridge, softmax
from tests.cases import MODELS, D, K, M

PACKAGE = str(Path(jax_course.__file__).parent)
MODULES = {
    name: module
    for name in jax_course.__all__
    if isinstance(module := getattr(jax_course, name), ModuleType) and name not in ("exercises", "linalg")
}
REGISTERED = list(dict.fromkeys(model.module for model in MODELS.values()))
OF_CLASSES = [model for model in REGISTERED if hasattr(model, "predict_class")]
ON_COLUMNS = [model for model in REGISTERED if model is not kernel]  # theta has an entry for each column of X
NEEDED = {  # hyperparameters
    ridge: {"penalty": 1.0},
    lasso: {"penalty": 1.0},
    kernel: {"penalty": 1.0, "scale": 1.0},
    huber: {"threshold": 1.0},
}
# what modules of this package call of each other, with what was checked before
UNCHECKED = {"scale.rehearse"}

JUNK = {
    "None": None,
    "text": "text",
    "an object": object(),
    "a function": len,
    "a dict": {},
    "nothing": np.zeros(0),
    "no rows": np.zeros((0, 2)),
    "three axes": np.zeros((2, 2, 2)),
    "complex": np.ones((2, 2), complex),
    "strings": np.array(["a", "b"]),
    "objects": np.array([None, 1], object),
    "ragged": [[1.0], [2.0, 3.0]],
    "dates": np.array(["2024-01-01", "2024-01-02"], "datetime64[D]"),
    "a gap": np.ma.masked_array([1.0, 2.0], [False, True]),
}


def public_functions():
    for name, module in MODULES.items():
        for function in getattr(module, "__all__", vars(module)):
            value = getattr(module, function)
            own = function in getattr(module, "__all__", ()) or getattr(value, "__module__", "") == module.__name__
            if inspect.isfunction(value) and own and not function.startswith("_"):
                yield f"{name}.{function}", value


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    ("name", "function"), [pytest.param(*f, id=f[0]) for f in public_functions() if f[0] not in UNCHECKED]
)
def test_junk_for_all_arguments_is_refused_as_what_it_is(name, function):
    parameters = inspect.signature(function).parameters.values()
    needed = [p for p in parameters if p.default is p.empty and p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)]
    for junk in JUNK.values():
        positional = [junk for p in needed if p.kind is not p.KEYWORD_ONLY]
        # or it is no junk to this function, or the function asks for an extra
        with contextlib.suppress(TypeError, ValueError, FileNotFoundError, ImportError):
            function(*positional, **{p.name: junk for p in needed if p.kind is p.KEYWORD_ONLY})


@pytest.mark.parametrize("junk", JUNK.values(), ids=JUNK)
def test_junk_for_one_argument_of_a_model_is_refused_by_the_argument_s_name(model, junk):
    theta, X, y = model.problem(0, np.float64)
    arguments = {"theta": theta, "X": X, "y": y}
    calls: dict[str, tuple[tuple[str, ...], dict]] = {v: (("theta", "X", "y"), model.hyper) for v in model.verbs}
    calls["fit"] = (("X", "y"), model.hyper)
    calls["predict"] = (("theta", "X"), {"centers": X, "scale": 1.0} if "scale" in model.hyper else {})
    for verb, (names, hyper) in calls.items():
        function = getattr(model.module, verb)
        for name in (*names, *hyper):
            positional = [junk if n == name else arguments[n] for n in names]
            with pytest.raises((TypeError, ValueError)) as refused:
                function(*positional, **(hyper | {name: junk} if name in hyper else hyper))
            where = traceback.extract_tb(refused.value.__traceback__)[-1].filename
            assert where.startswith(PACKAGE), (verb, name, where, refused.value)
            assert name in str(refused.value) or "X" in str(refused.value), (verb, name, refused.value)


def containers(X, y):
    names = [f"x{j}" for j in range(X.shape[1])]
    return {
        "lists": (X.tolist(), y.tolist()),
        "tuples of arrays": (tuple(X), tuple(y)),
        "pandas": (pd.DataFrame(X, columns=names), pd.Series(y)),
        "pandas, other rows": (pd.DataFrame(X, columns=names, index=range(7, 7 + len(X))), pd.Series(y)),
        "polars": (pl.DataFrame(X, schema=names), pl.Series(y)),
        "in the order of Fortran": (np.asfortranarray(X), y),
        "a view": (np.repeat(X, 2, axis=0)[::2], np.repeat(y, 2)[::2]),
        "big-endian": (X.astype(">f8"), y.astype(y.dtype.newbyteorder(">"))),
        "read-only": (_frozen(X), _frozen(y)),
        "JAX": (jnp.asarray(X), jnp.asarray(y)),
    }


def _frozen(array):
    array = array.copy()
    array.flags.writeable = False
    return array


RICHEST = {model.module: name for name, model in sorted(MODELS.items(), key=lambda named: len(named[1].hyper))}


@pytest.mark.parametrize("name", RICHEST.values())
def test_the_same_numbers_give_the_same_bits_whatever_holds_them_and_jit_changes_nothing(name):
    model = MODELS[name]
    theta, X, y = map(np.asarray, model.problem(0, np.float64))
    verbs = {verb: partial(getattr(model.module, verb), **model.hyper) for verb in model.verbs}
    expected = {verb: function(theta, X, y) for verb, function in verbs.items()}
    jitted = jax.jit(lambda *problem: {verb: function(*problem) for verb, function in verbs.items()})(theta, X, y)
    chex.assert_trees_all_close(jitted, expected, rtol=1e-13, atol=1e-13)
    fit = partial(model.module.fit, **{key: value for key, value in model.hyper.items() if key != "weights"})
    fitted = fit(X, y).theta
    for name, (X_held, y_held) in containers(X, y).items():
        theta_held = jnp.asarray(theta) if name == "JAX" else theta
        for verb, function in verbs.items():
            np.testing.assert_array_equal(
                function(theta_held, X_held, y_held), expected[verb], err_msg=f"{name}, {verb}"
            )
        np.testing.assert_array_equal(fit(X_held, y_held).theta, fitted, err_msg=name)


@pytest.mark.parametrize("kind", [pd, pl], ids=["pandas", "polars"])
def test_a_frame_with_text_or_gaps_is_refused(kind):
    y = np.arange(3.0)
    with pytest.raises(TypeError, match="X must be an array of numbers"):
        linear.fit(kind.DataFrame({"a": [1.0, 2.0, 3.0], "b": ["x", "y", "z"]}), y)
    with pytest.raises((TypeError, ValueError), match=r"X must be (finite|an array of numbers)"):
        linear.fit(kind.DataFrame({"a": [1.0, None, 3.0], "b": [1.0, 2.0, 3.0]}), y)


# Numbers of every size: subnormal, huge, equal, 0.
ANY = st.floats(allow_nan=False, allow_infinity=False)
TAME = st.floats(-1e3, 1e3).map(lambda x: 0.0 if abs(x) < 1e-3 else x)
ROWS, COLUMNS = M, D  # for which the fits above are compiled


def tables(elements):
    return arrays.arrays(np.float64, (ROWS, COLUMNS), elements=elements)


def vectors(elements, n):
    return arrays.arrays(np.float64, n, elements=elements)


LABELS = arrays.arrays(np.int64, ROWS, elements=st.integers(0, 1)).filter(lambda y: 0 < y.sum() < ROWS)


def softplus(z):
    return np.where(z > 0, z, 0) + np.log1p(np.exp(-abs(z)))


def literally(model, theta, X, y):
    """The cost in extended precision, and how large the numbers are that it is a sum of."""
    theta, X, y = (np.asarray(a, np.longdouble) for a in (theta, X, y))
    if model is softmax:
        Z, label = X @ theta, y.astype(int)
        own = np.take_along_axis(Z, label[:, None], axis=1)
        other = np.take_along_axis(Z, 1 - label[:, None], axis=1)
        return np.sum(softplus(other - own)), np.sum(np.abs(X) @ np.abs(theta)) + ROWS
    z, size = X @ theta, np.abs(X) @ np.abs(theta)
    if model is logistic:
        return np.sum(softplus((1 - 2 * y) * z)), np.sum(size) + ROWS
    if model is poisson:
        return np.sum(np.exp(z) - y * z), np.sum(np.exp(z) * (1 + size) + np.abs(y) * size)
    if model is gamma:
        return np.sum(z + y * np.exp(-z)), np.sum(size + np.abs(y) * np.exp(-z) * (1 + size))
    if model is huber:
        r = np.abs(y - z)
        return np.sum(np.where(r <= 1, r**2 / 2, r - 0.5)), np.sum(size + np.abs(y)) + ROWS
    penalty = {lasso: np.sum(np.abs(theta)), ridge: np.sum(theta**2)}.get(model, 0)
    return np.sum((y - z) ** 2) + penalty, np.sum((size + np.abs(y)) ** 2) + penalty


@cache
def jitted_cost(model):
    return jax.jit(model.cost)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("model", ON_COLUMNS)
@settings(deadline=None, max_examples=25, derandomize=True)
@given(X=tables(ANY), theta=vectors(ANY, (COLUMNS, 2)), y=vectors(ANY, ROWS), labels=LABELS)
def test_the_cost_of_any_numbers_is_the_formula_as_far_as_they_reach(model, dtype, X, theta, y, labels):
    with np.errstate(over="ignore"):
        X, theta, y = (np.asarray(a, dtype) for a in (X, theta, y))
    y = labels.astype(dtype if model is logistic else np.int64) if model in OF_CLASSES else y
    theta = theta if model is softmax else theta[:, 0]
    hyper = {name: dtype(value) for name, value in NEEDED.get(model, {}).items()}
    found = float(jitted_cost(model)(theta, X, y, **hyper))
    if not all(np.isfinite(np.asarray(a, np.float64)).all() for a in (X, theta, y)):
        return  # what float32 cannot hold
    limits = np.finfo(dtype)
    with np.errstate(over="ignore", invalid="ignore"):
        expected, size = literally(model, theta, X, y)
        # to a CPU numbers below `tiny` may be 0, whatever they are multiplied by
        flushed, _ = literally(model, *(np.where(np.abs(a) < limits.tiny, 0, a) for a in (theta, X, y)))
    if 16 * (size + np.sum(np.asarray(theta, np.longdouble) ** 2)) < limits.max:  # the penalty is of θ²
        allowed = 32 * limits.eps * size + 64 * limits.tiny
        assert min(abs(found - float(expected)), abs(found - float(flushed))) <= allowed
    elif np.isfinite(found):  # no wrong number where it cannot be held
        assert min(abs(found - expected), abs(found - flushed)) <= 32 * limits.eps * size + 64 * limits.tiny


@cache
def jitted_gradient(model):
    return jax.jit(model.gradient)


@pytest.mark.parametrize("model", REGISTERED)
@settings(deadline=None, max_examples=25, derandomize=True)
@given(X=tables(TAME) | tables(TAME | ANY), y=vectors(TAME, ROWS) | vectors(TAME | ANY, ROWS), labels=LABELS)
def test_a_fit_of_any_numbers_ends_with_a_minimum_or_says_what_it_is(model, X, y, labels):
    """What is called CONVERGED has a gradient of rounding; no other status hides a NaN in what was well-behaved."""
    hyper = NEEDED.get(model, {"classes": K} if model is softmax else {})
    y = {poisson: np.abs(y), gamma: np.abs(y) + 1e-3}.get(model, y)
    y = {logistic: labels, softmax: 2 * labels + np.arange(ROWS) % 2}.get(model, y)
    found = model.fit(X, y, **hyper)
    status = Status(int(found.status))
    tame = max(np.max(np.abs(X)), np.max(np.abs(y))) <= 1e3
    if status is Status.CONVERGED:
        assert np.isfinite(found.theta).all()
        assert np.isfinite(found.cost)
    if tame:
        assert status in (Status.CONVERGED, Status.RANK_DEFICIENT, Status.SEPARABLE)
        assert np.isfinite(found.theta).all()
    if tame and model in (linear, ridge):
        at, size = np.asarray(jitted_gradient(model)(found.theta, X, y, **hyper)), np.abs(found.theta)
        scale = 2 * np.abs(X).T @ (np.abs(X) @ size + np.abs(y)) + 2 * size
        assert (np.abs(at) <= 1e-10 * scale + 1e-100).all()  # refinement may leave 1e-173 of a theta that is 0


@pytest.mark.parametrize("model", ON_COLUMNS)
@settings(deadline=None, max_examples=25, derandomize=True)
@given(X=tables(st.floats(width=32)), labels=LABELS)
def test_nan_and_infinity_are_refused_wherever_they_are(model, X, labels):
    y, hyper = labels if model in OF_CLASSES else labels * 1.0, NEEDED.get(model, {})
    if np.isfinite(X).all():
        return
    row, column = np.argwhere(~np.isfinite(X))[0]
    with pytest.raises(ValueError, match=rf"X must be finite; X\[{row}, {column}\] is -?(nan|inf)"):
        model.fit(X, y, **hyper)
    theta = np.ones(COLUMNS if model is not softmax else (COLUMNS, 2))
    assert not np.isfinite(jitted_cost(model)(theta, X, y, **hyper))


def test_the_registry_holds_every_model():
    assert set(REGISTERED) == {module for module in MODULES.values() if {"cost", "fit"} <= set(dir(module))}
    assert M > 1
