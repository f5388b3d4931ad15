"""NumPy arrays, which arrive as a copy that NumPy makes."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.sparse
from jax.experimental.sparse import BCOO

from jax_course import linear, logistic, softmax
from jax_course.inputs import arrays

SIZE = 2**17  # 1 MB of float64


def values(shape=(SIZE // 4, 4), seed=3):
    return np.random.Generator(np.random.PCG64(seed)).normal(size=shape)


@pytest.mark.parametrize("dtype", ["float64", "float32", "float16", "int64", "int8", "bool"])
def test_a_large_array_is_what_jax_makes_of_it(dtype):
    X = (10 * values((8 * SIZE // 4, 4))).astype(dtype)
    ours, theirs = arrays.as_array(X, "X"), jnp.asarray(X)
    assert (ours.dtype, ours.weak_type) == (theirs.dtype, False)
    np.testing.assert_array_equal(ours, theirs)


def test_columns_in_fortran_order_slices_and_reversed_rows_arrive_in_place():
    X = values()
    for view in (np.asfortranarray(X), np.concatenate([X, X])[::2], X[::-1], np.broadcast_to(X[:1], X.shape)):
        np.testing.assert_array_equal(arrays.as_array(view, "X"), view)


def test_what_becomes_of_the_callers_array_later_does_not_matter():
    kept = values()
    X = arrays.aligned_empty(kept.shape, kept.dtype)  # which JAX would take as it lies
    X[:] = kept
    taken = arrays.as_array(X, "X")
    X[:] = 0
    np.testing.assert_array_equal(taken, kept)


def test_without_64_bits_large_values_are_narrowed_as_by_jax():
    X = values()
    X[0, 0] = 1e300
    with jax.enable_x64(False), pytest.warns(UserWarning, match="computed in float32"):
        taken = arrays.as_array(X, "X")
    assert taken.dtype == jnp.float32
    assert taken[0, 0] == jnp.inf
    np.testing.assert_array_equal(taken[1:], X[1:].astype(np.float32))


def test_inside_jit_a_large_array_can_be_closed_over():
    X, theta = values(), jnp.arange(4.0)
    inside = jax.jit(lambda theta: linear.predict(theta, X))(theta)
    np.testing.assert_allclose(inside, X @ np.arange(4.0), rtol=1e-12)


@pytest.mark.parametrize("few", [arrays.HOST_CHECK_BYTES, 0])
def test_many_values_are_refused_like_few(few, monkeypatch):
    """Few are looked at by NumPy, many by a compiled program."""
    monkeypatch.setattr(arrays, "HOST_CHECK_BYTES", few)
    X, y = np.arange(12.0).reshape(6, 2), np.array([0, 1, 0, 1, 1, 0])
    broken = X.copy()
    broken[3, 1] = np.nan
    refusals = {
        r"X\[3, 1\] is nan": lambda: linear.fit(broken, y),
        "labels 0 and 1; got 0, 2": lambda: logistic.fit(X, 2 * y),
        "at least two classes; all are 0": lambda: logistic.fit(X, y, weights=1 - y),
        "class numbers 0…2; got -1, 0": lambda: softmax.fit(X, y - 1, classes=3),
        "class numbers 0…1; got 0, 4294967298": lambda: softmax.fit(X, y * (2**32 + 2), classes=2),
        "must not all be 0": lambda: logistic.fit(X, y, weights=0.0),
        "penalty must be finite and at least 0; got -1.0": lambda: logistic.fit(X, y, penalty=np.array([1.0, -1.0])),
        r"broadcast against theta, shape \(2,\); got shape \(3,\)": lambda: logistic.fit(X, y, penalty=np.ones(3)),
    }
    for message, call in refusals.items():
        with pytest.raises(ValueError, match=message):
            call()
    assert softmax.fit(X, np.array([0, 1, 2, 0, 1, 2], np.int8), penalty=1.0).check().theta.shape == (2, 3)


SPARSE = scipy.sparse.csr_matrix(np.eye(200, 40))
SPARSE_ONES = {
    "csr_matrix": (SPARSE, "toarray"),
    "csc_matrix": (SPARSE.tocsc(), "toarray"),
    "coo_array": (scipy.sparse.coo_array(SPARSE), "toarray"),
    "BCOO": (BCOO.from_scipy_sparse(SPARSE), "todense"),
}


@pytest.mark.parametrize(("kind", "dense"), [(kind, dense) for kind, (_, dense) in SPARSE_ONES.items()])
def test_a_sparse_design_is_refused_with_what_to_do(kind, dense):
    X, y, w = SPARSE_ONES[kind][0], np.arange(200) % 2, np.ones((200, 40))
    message = (
        rf"X must be a dense array, sparse ones are not taken; got {kind}: convert it with X\.{dense}\(\); one too "
        r"large for that is fitted in batches of dense rows by jax_course\.scale, or by its products X @ theta"
    )
    for fit in (linear.fit, logistic.fit, softmax.fit):
        with pytest.raises(TypeError, match=message):
            fit(X, y)
    with pytest.raises(TypeError, match=rf"weights must be a dense array, .*; got {kind}: convert it .*{dense}\(\)$"):
        linear.fit(w, y, weights=X)


def test_a_sparse_design_is_refused_inside_jit():
    with pytest.raises(TypeError, match=r"X must be a dense array, .*; got BCOO"):
        jax.eval_shape(linear.fit, SPARSE_ONES["BCOO"][0], np.ones(200))
