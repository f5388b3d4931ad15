"""Labels of any kind become class numbers, and come back."""

from decimal import Decimal
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.utils.class_weight import compute_sample_weight

from jax_course import data, inputs, logistic

LABELS = {
    "strings": (["b", "a", "b"], ["a", "b"]),
    "an array of strings": (np.array(["b", "a", "b"]), ["a", "b"]),
    "truth values": ([True, False, True], [False, True]),
    "-1 and 1": (np.array([1, -1, 1], np.int8), [-1, 1]),
    "1 and 2": (np.array([2.0, 1.0, 2.0]), [1.0, 2.0]),
    "whole numbers and others": ([2, 0.5, 2], [0.5, 2.0]),
    "decimals": ([Decimal("2"), Decimal("0.5"), Decimal("2")], [0.5, 2.0]),
    "bytes": (np.array([b"b", b"a", b"b"]), [b"a", b"b"]),
    "an array of JAX": (jnp.array([5, 3, 5]), [3, 5]),
    "pandas' strings": (pd.Series(["b", "a", "b"]), ["a", "b"]),
    "pandas' numbers that may be missing": (pd.Series([7, 4, 7], dtype="Int64"), [4, 7]),
    "pandas' truth values that may be missing": (pd.Series([True, False, True], dtype="boolean"), [False, True]),
    "a categorical in its order": (pd.Categorical(["low", "high", "low"], ["high", "low", "none"]), ["high", "low"]),
    "a categorical of numbers": (pd.Series([9, 3, 9], dtype="category"), [3, 9]),
    "polars' strings": (pl.Series(["b", "a", "b"]), ["a", "b"]),
    "polars' categories": (pl.Series(["b", "a", "b"], dtype=pl.Categorical), ["a", "b"]),
    "polars' Enum in its order": (pl.Series(["low", "high", "low"], dtype=pl.Enum(["high", "low"])), ["high", "low"]),
    "pyarrow's strings": (pa.array(["b", "a", "b"]), ["a", "b"]),
    "pyarrow's dictionary": (pa.chunked_array([pa.array(["b", "a", "b"]).dictionary_encode()]), ["a", "b"]),
}


@pytest.mark.parametrize(("labels", "classes"), LABELS.values(), ids=LABELS.keys())
def test_labels_of_any_kind_are_numbered_and_come_back(labels, classes):
    y, found = data.encode(labels)
    assert isinstance(y, jax.Array)
    assert y.dtype == np.int32
    assert np.asarray(y).tolist() == [1, 0, 1]
    assert isinstance(found, np.ndarray)
    assert found.dtype.kind in "USbif"
    assert found.tolist() == classes
    assert found[y].tolist() == np.asarray(labels).tolist()  # pyright: ignore[reportCallIssue, reportArgumentType]


def test_the_classes_of_numbers_keep_their_dtype():
    assert data.encode(np.array([1, -1], np.int8)).classes.dtype == np.int8
    assert data.encode([True, False]).classes.dtype == bool


def test_fits_take_what_encode_returns():
    X = np.eye(4)
    assert np.asarray(inputs.binary_problem(X, data.encode([-1, 1, 1, -1]).y).y).tolist() == [0, 1, 1, 0]
    assert np.asarray(inputs.classification_problem(X, data.encode(list("bcab")).y).y).tolist() == [1, 2, 0, 1]


def test_new_labels_get_the_numbers_of_the_training_data():
    classes = data.encode(["cat", "dog", "owl"]).classes
    y, same = data.encode(pd.Series(["owl", "cat"]), classes=classes)
    assert np.asarray(y).tolist() == [2, 0]
    assert same.tolist() == classes.tolist()
    assert data.encode(["owl"], classes=["cat", "dog", "owl"]).classes.dtype == classes.dtype
    with pytest.raises(ValueError, match=r"among the classes 'cat', 'dog', 'owl'; labels\[1\] is 'cow'"):
        data.encode(["owl", "cow"], classes=classes)
    with pytest.raises(ValueError, match="classes must be different numbers, as the labels are"):
        data.encode([1, 2], classes=classes)


WRONG: Any = "yes"


@pytest.mark.parametrize(
    ("labels", "error", "message"),
    [
        (["a", None, "b"], ValueError, r"labels must not be missing; labels\[1\] is None: drop the examples"),
        ([1.0, 2.0, np.nan], ValueError, r"labels\[2\] is nan"),
        (["a", np.nan], ValueError, r"labels\[1\] is nan"),
        (pd.Series([True, None], dtype="boolean"), ValueError, r"labels\[1\] is <NA>"),
        (pd.Series(["a", None], dtype="category"), ValueError, r"labels\[1\] is nan"),
        (pl.Series([1, None]), ValueError, r"labels\[1\] is nan"),
        (pa.array(["a", None]), ValueError, r"labels\[1\] is None"),
        (np.ma.array([1, 2], mask=[False, True]), ValueError, r"labels must not be missing; labels\[1\]"),
        (
            np.ma.array(np.array(["a", "b"], object), mask=[False, True]),
            ValueError,
            r"must not be missing; labels\[1\]",
        ),
        (["a", 1], TypeError, "of one kind; row 1 holds numbers, 1, and row 0 strings, 'a'"),
        ([True, 0, 1], TypeError, "of one kind; row 1 holds numbers, 0, and row 0 truth values, True"),
        (np.array(["2020-01-01"], "M8[D]"), TypeError, "strings, truth values or numbers; got dates or times"),
        ([[1, 0], [0, 1]], TypeError, "strings, truth values or numbers; got list"),
        (np.eye(2), ValueError, r"labels must have shape \(m,\), an entry for each example; got shape \(2, 2\)"),
        (np.ones((2, 1)), ValueError, r"got shape \(2, 1\): write np.ravel\(labels\)"),
        ([], ValueError, "labels must hold at least one label"),
        (WRONG, TypeError, "labels must be an array or a list, an entry for each example; got str"),
    ],
)
def test_what_is_no_label_is_refused_by_row(labels, error, message):
    with pytest.raises(error, match=message):
        data.encode(labels)


def test_inside_jit_labels_are_refused():
    with pytest.raises(TypeError, match="inside jit labels cannot be read"):
        jax.jit(lambda y: data.encode(y).y)(jnp.array([0, 1]))


@pytest.mark.parametrize("labels", [[0, 1, 1, 1], [3, 5, 5, 9, 9, 9], ["a", "b", "a"]])
def test_balanced_weights_are_those_of_scikit_learn(labels):
    weights = data.balanced_weights(np.array(labels))
    np.testing.assert_allclose(weights, compute_sample_weight("balanced", labels), rtol=1e-15)
    np.testing.assert_allclose(np.sum(weights), len(labels), rtol=1e-15)


def test_with_balanced_weights_a_fit_to_names_is_that_of_scikit_learn():
    X = np.random.default_rng(1).standard_normal((60, 2))
    names = np.where(X[:, 0] + X[:, 1] > 1, "yes", "no")
    y, classes = data.encode(names)
    theta = logistic.fit(X, y, penalty=1.0, weights=data.balanced_weights(y)).check().theta
    peer = LogisticRegression(C=0.5, class_weight="balanced", fit_intercept=False, solver="newton-cholesky", tol=1e-12)
    np.testing.assert_allclose(theta, peer.fit(X, names).coef_[0], rtol=1e-8)
    assert list(classes[logistic.predict_class(theta, X)]) == list(peer.predict(X))


def test_in_float32_weights_are_float32():
    with jax.enable_x64(False):
        assert data.balanced_weights([0, 1, 1]).dtype == np.float32
        assert data.encode(["a"]).y.dtype == np.int32
