import builtins

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jax_course import data, features

PROBLEMS = {
    "line": (data.line, (1,)),
    "plane": (data.plane, (2,)),
    "polynomial": (lambda **settings: data.polynomial([1.0, 0.0, -2.0], **settings), (1,)),
    "two classes": (data.two_classes, (2,)),
    "three classes": (data.three_classes, (2,)),
    "separable": (data.separable, (2,)),
    "ill-conditioned": (data.ill_conditioned, (10,)),
}


@pytest.mark.parametrize(("make", "features_shape"), PROBLEMS.values(), ids=PROBLEMS.keys())
def test_problems_have_the_shapes_asked_for_and_depend_on_the_seed_only(make, features_shape):
    first, again, other = make(m=50, seed=3), make(m=50, seed=3), make(m=50, seed=4)
    assert first.X.shape == (50, *features_shape)
    assert first.y.shape == (50,)
    assert first.theta.shape[0] >= first.X.shape[1] + 1
    chex.assert_trees_all_equal(first, again)
    assert not np.array_equal(first.X, other.X)


def test_the_random_stream_is_fixed():
    """NumPy promises that PCG64's stream stays; these numbers were drawn once."""
    np.testing.assert_allclose(data.line(m=2, noise=0.0).X[:, 0], [1.91088506, 0.80936014], atol=1e-6)


def test_data_comes_in_the_default_precision():
    assert data.line().X.dtype == np.float64
    with jax.enable_x64(False):
        assert data.line().X.dtype == np.float32
        assert data.two_classes().y.dtype == np.int32


def test_noise_has_the_size_said():
    problem = data.line(m=20_000, noise=0.5)
    residual = problem.y - features.with_bias(problem.X) @ problem.theta
    np.testing.assert_allclose([residual.mean(), residual.std()], [0.0, 0.5], atol=0.01)


def test_the_separable_pair_is_separated_by_its_gap():
    problem = data.separable(gap=0.7)
    signed = np.asarray(problem.X).sum(axis=1) / np.sqrt(2) * (2 * np.asarray(problem.y) - 1)
    assert np.min(signed) >= 0.35 - 1e-12


def test_the_condition_is_the_one_asked_for():
    np.testing.assert_allclose(np.linalg.cond(data.ill_conditioned(condition=1e8).X), 1e8, rtol=1e-6)
    with pytest.raises(ValueError, match="1 ≤ d ≤ m; got d = 9, m = 4"):
        data.ill_conditioned(m=4, d=9)


@pytest.mark.parametrize(
    ("name", "shape", "classes"),
    [
        ("diabetes", (442, 10), 0),
        ("breast_cancer", (569, 30), 2),
        ("iris", (150, 4), 3),
        ("wine", (178, 13), 3),
        ("digits", (1797, 64), 10),
    ],
)
def test_tables(name, shape, classes):
    table = data.table(name)
    assert table.X.shape == shape
    assert len(table.features) == shape[1]
    assert len(table.classes) == classes
    assert table.X.dtype == np.float64
    if classes:
        assert table.y.dtype == np.int32
        assert set(np.unique(table.y)) == set(range(classes))
    else:
        assert (table.y.dtype, table.y.min(), table.y.max()) == (np.float64, 25, 346)


def test_a_table_that_does_not_exist_is_refused():
    with pytest.raises(ValueError, match=r"the tables are breast_cancer, .*; got 'boston'"):
        data.table("boston")


def test_without_scikit_learn_the_error_says_what_to_install(monkeypatch):
    real_import = builtins.__import__

    def without(name, *args, **kwargs):
        if name.startswith("sklearn"):
            raise ModuleNotFoundError(name)
        return real_import(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(ModuleNotFoundError, match=r"pip install 'jax-course\[experiments\]'"):
        data.table("iris")


def test_split_loses_and_repeats_nothing():
    X, y = jnp.arange(20.0).reshape(10, 2), jnp.arange(10)
    (X_train, y_train), (X_test, y_test) = data.split(X, y, test=0.3, seed=1)
    assert (len(X_train), len(X_test)) == (7, 3)
    assert sorted([*map(int, y_train), *map(int, y_test)]) == list(range(10))
    np.testing.assert_array_equal(X_train[:, 0], 2 * np.asarray(y_train))
    assert not np.array_equal(y_test, data.split(X, y, test=0.3, seed=2)[1][1])
    with pytest.raises(ValueError, match="both parts non-empty"):
        data.split(X, y, test=0.0)
    with pytest.raises(ValueError, match="a value for each of the 10 rows"):
        data.split(X, y[:-1])


def test_standardize_keeps_the_training_statistics():
    train = jnp.array([[1.0, 7.0, 0.1], [3.0, 7.0, 0.1], [5.0, 7.0, 0.1]])
    to_units = data.standardize(train)
    np.testing.assert_allclose(to_units(train).mean(axis=0), np.zeros(3), atol=1e-15)
    np.testing.assert_allclose(to_units(train).std(axis=0), [1.0, 0.0, 0.0], rtol=1e-14)
    test = jnp.array([[9.0, 7.0, 0.2]])
    np.testing.assert_allclose(to_units(test)[0, 0], 6 / np.sqrt(8 / 3), rtol=1e-15)
    np.testing.assert_allclose(to_units.inverse(to_units(test)), test, rtol=1e-15)
    with pytest.raises(ValueError, match=r"X must be finite; X\[0, 1\] is nan"):
        data.standardize(train.at[0, 1].set(jnp.nan))


@pytest.mark.parametrize("unit", [1e-200, 1e-3, 1e200])
def test_standardize_in_any_units_and_far_from_zero(unit):
    X = jnp.asarray(np.random.default_rng(0).standard_normal((50, 2))) * unit
    np.testing.assert_allclose(data.standardize(X)(X).std(axis=0), np.ones(2), rtol=1e-13)
    far = (X / unit + 1e6).astype(np.float32)
    np.testing.assert_allclose(
        data.standardize(far)(far).mean(axis=0), np.zeros(2), atol=0.04
    )  # the mean itself is rounded to 1/16


def test_what_cannot_be_made_is_refused():
    to_units = data.standardize(jnp.arange(6.0).reshape(3, 2))
    for call, message in (
        (lambda: to_units(jnp.ones((3, 1))), r"must have the 2 columns of the training data; got shape \(3, 1\)"),
        (lambda: data.line(seed=-1), "seed must be a whole number, at least 0; got -1"),
        (lambda: data.polynomial([]), r"theta must hold the coefficients .*; got shape \(0,\)"),
        (lambda: data.ill_conditioned(condition=0.0), "condition must be at least 1 and finite; got 0"),
    ):
        with pytest.raises(ValueError, match=message):
            call()


def test_one_hot_refuses_what_is_no_class():
    chex.assert_trees_all_equal(data.one_hot(jnp.array([1, 0]), 2), jnp.array([[0.0, 1.0], [1.0, 0.0]]))
    for y in ([0, 3], [-1, 0]):
        with pytest.raises(ValueError, match=r"class numbers 0…2; got .* data.encode"):
            data.one_hot(jnp.array(y), 3)
    with pytest.raises(ValueError, match=r"integers of shape .* data.encode"):
        data.one_hot(jnp.array([0.0, 1.0]), 2)
