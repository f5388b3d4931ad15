"""Maps of a source's batches, and means and deviations of all rows: against the same done in memory."""

import warnings
from functools import partial
from itertools import pairwise
from typing import Any

import jax
import numpy as np
import pyarrow as pa
import pytest
from pyarrow import csv, parquet

from jax_course import Status, data, features, linear, scale
from jax_course.scale.batches import DataError, place_of

M, STARTS = 1200, (0, 500, 500, 1000, 1001)
RNG = np.random.Generator(np.random.PCG64(5))
X = np.stack([5 + RNG.normal(size=M), 1000 + 30 * RNG.normal(size=M)], axis=1)
Y = 40 + X @ np.array([1.0, -0.1]) + RNG.normal(size=M)
PHI = np.concatenate([np.ones((M, 1)), X], axis=1)


def batches(X, y=Y, starts=STARTS):
    """Batches of unequal length, one of them empty."""
    return [(X[a:b], y[a:b]) for a, b in pairwise((*starts, len(X)))]


def all_rows(source):
    return np.concatenate([X for X, _ in source])


def written(path, X, y):
    table = pa.table({f"x{j}": X[:, j] for j in range(X.shape[1])} | {"price": y})
    (csv.write_csv if path.suffix == ".csv" else parquet.write_table)(table, path)
    return path


def quadratic(X):
    return np.concatenate([np.ones_like(X[:, :1]), X, X**2], axis=1)


# Maps.


@pytest.mark.parametrize("kind", ["parquet", "csv"])
def test_a_table_with_a_column_of_ones_is_fitted_with_an_intercept(kind, tmp_path):
    files = [written(tmp_path / f"{i}.{kind}", X[part], Y[part]) for i, part in enumerate((slice(700), slice(700, M)))]
    source = scale.from_table(*files, target="price", rows=500).map(features.with_bias)
    found = scale.fit_linear(source).check()
    np.testing.assert_allclose(found.theta, linear.fit(PHI, Y).theta, rtol=1e-10)
    assert found.theta[0] > 20


def test_every_source_takes_maps_and_several_one_after_another():
    listed = scale.mapped(batches(X), features.with_bias)
    named = scale.Batches("prices", lambda: iter(batches(X)), M)
    for source in (named, scale.skipping(named), scale.with_progress(named)):
        result = source.map(lambda X: X / 2).map(lambda X: 2 * X).map(features.with_bias)
        assert (result.name, result.rows) == ("prices", M)
        np.testing.assert_array_equal(all_rows(result), all_rows(listed))
    np.testing.assert_array_equal(all_rows(listed), PHI)


@pytest.mark.parametrize("x64", [True, False])
def test_features_by_jax_have_the_precision_of_the_caller_in_the_thread_that_reads(x64):
    with jax.enable_x64(x64):
        rows = X.astype(float if x64 else np.float32)
        polynomial = partial(features.polynomial, degree=2)
        source = scale.mapped(batches(rows, Y.astype(rows.dtype)), lambda X: X - 5).map(polynomial)
        total, count = scale.fold(source, lambda X, y, w: w @ X)
        dtypes = {X.dtype for X, _ in source}
        expected = np.sum(np.asarray(polynomial(rows - 5), float), axis=0)
    assert count == M
    assert dtypes == {rows.dtype} == {total.dtype}
    np.testing.assert_allclose(total, expected, rtol=1e-12 if x64 else 1e-5)


def test_batches_of_any_length_are_mapped_with_one_length_and_keep_their_rows():
    seen = []

    def noted(X):
        seen.append(X.shape)
        return quadratic(X)

    source = scale.mapped(batches(X), noted)
    assert [len(X) for X, _ in source] == [500, 500, 1, 199]
    assert set(seen) == {(500, 2)}
    np.testing.assert_array_equal(all_rows(source), quadratic(X))


def test_maps_keep_the_bar(capfd):
    source = scale.with_progress(scale.Batches("prices", lambda: iter(batches(X)), M)).map(features.with_bias)
    assert scale.fit_linear(source).status == Status.CONVERGED
    shown = capfd.readouterr().err
    assert "prices, pass 2" in shown
    assert f"{M}/{M}" in shown


def test_a_row_that_is_not_finite_has_its_number_through_maps(tmp_path):
    bad = X.copy()
    bad[1100, 1] = np.nan
    file = written(tmp_path / "prices.parquet", bad, Y)
    source = scale.from_table(file, target="price", rows=500).map(features.with_bias).map(quadratic)
    for failing in (scale.fit_linear, scale.standardize):
        with pytest.raises(DataError, match=r"prices\.parquet, row 1100: all numbers must be finite"):
            failing(source)
    np.testing.assert_array_equal(all_rows(scale.skipping(source)), quadratic(np.delete(PHI, 1100, axis=0)))


def test_an_error_names_the_file_among_several(tmp_path):
    bad = X.copy()
    bad[1100, 1] = np.nan
    files = [written(tmp_path / f"{i}.csv", bad[part], Y[part]) for i, part in enumerate((slice(700), slice(700, M)))]
    source = scale.from_table(*files, target="price", rows=500).map(features.with_bias)
    with pytest.raises(DataError, match=r"^\S*1\.csv, row 400: all numbers must be finite"):
        scale.fit_linear(source)


def test_what_a_map_raises_is_told_with_file_and_row(tmp_path):
    files = [written(tmp_path / f"{i}.parquet", X[part], Y[part]) for i, part in enumerate((slice(700), slice(700, M)))]
    tables = scale.from_table(*files, target="price", rows=500)

    def failing(X):
        if X[0, 0] == at:
            raise OverflowError("too large")
        return X

    at = X[700, 0]
    with pytest.raises(OverflowError, match=r"too large\nin the map failing, from \S*1\.parquet, row 0 on"):
        scale.fit_linear(tables.map(features.with_bias).map(lambda Phi: Phi[:, 1:]).map(failing))
    assert place_of(tables, 699).endswith("0.parquet, row 699")
    assert place_of(tables, 701).endswith("1.parquet, row 1")


def test_behind_rows_that_are_skipped_a_place_is_that_of_the_file():
    bad = X.copy()
    bad[[3, 510]] = np.nan
    skipping = scale.skipping(scale.Batches("prices", lambda: iter(batches(bad))))
    assert [place_of(skipping.map(quadratic), row) for row in (2, 3, 507, 509)] == [
        "prices, row 2",
        "prices, row 4",
        "prices, row 508",
        "prices, row 511",
    ]


@pytest.mark.parametrize(
    ("function", "sentence"),
    [
        (lambda X: X[1:], r"shape \(500, n\), a row for each row of X; <lambda> gives float64 of shape \(499, 2\)"),
        (lambda X: X[:, 0], r"gives float64 of shape \(500,\)"),
        (lambda X: X.astype(int), r"floating-point numbers .* gives int64"),
        (lambda X: None, r"gives object of shape \(\)"),
        (lambda X: X - X.mean(axis=0), r"depend on its own row of X alone; .*scale\.standardize\(source\)"),
        (np.sort, None),
        (lambda X: np.multiply(X, 2, out=X), r"read-only\nin the map <lambda>, from prices, row 0 on"),
    ],
    ids=["rows", "axis", "whole numbers", "nothing", "mean of the batch", "each row sorted", "written into"],
)
def test_a_map_gives_a_row_for_each_row_by_that_row_alone(function, sentence):
    rows = X.copy()
    source = scale.Batches("prices", lambda: iter(batches(rows))).map(function)
    if sentence is None:
        np.testing.assert_array_equal(all_rows(source), function(X))
    else:
        with pytest.raises(ValueError, match=sentence):
            scale.fit_linear(source)
    np.testing.assert_array_equal(rows, X)


def test_a_source_of_one_pass_and_batches_that_are_no_pairs_are_refused():
    weighted: Any = [(X[:2], Y[:2]), (X, Y, Y)]
    no_function: Any = features.with_bias(X)
    for changed in (scale.skipping, scale.with_progress, lambda source: scale.mapped(source, features.with_bias)):
        with pytest.raises(TypeError, match="iterable more than once"):
            changed(iter(batches(X)))
        with pytest.raises(TypeError, match=r"from list, row 2 on: a batch must be a pair \(X, y\); got 3 arrays"):
            scale.fit_linear(changed(weighted))
    with pytest.raises(TypeError, match=r"a map must be a function of X, .*got Array"):
        scale.mapped(batches(X), no_function)


# Means and deviations.


def assert_of_all_rows(found, X, eps):
    """The mean and the deviation, to the last digit or two, by NumPy in a higher precision."""
    longer = X.astype(np.longdouble)
    np.testing.assert_allclose(found.mean, np.mean(longer, axis=0).astype(float), rtol=4 * eps)
    np.testing.assert_allclose(found.scale, np.std(longer, axis=0).astype(float), rtol=4 * eps)


def test_means_and_deviations_are_those_of_all_rows_and_can_be_mapped():
    rows = np.concatenate([X, np.full((M, 1), 0.1), np.full((M, 1), -7.0)], axis=1)
    found, expected = scale.standardize(batches(rows)), data.standardize(rows)
    assert isinstance(found, data.Standardization)
    for ours, theirs in zip(found, expected, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-14)
        np.testing.assert_array_equal(ours[2:], theirs[2:])
    source = scale.mapped(batches(rows), found)
    np.testing.assert_allclose(all_rows(source), expected(rows), rtol=1e-9, atol=1e-12)
    np.testing.assert_array_equal(all_rows(source)[:, 2:], 0)
    np.testing.assert_allclose(found(rows[:2]), expected(rows[:2]), rtol=1e-12)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_no_digit_is_lost_to_an_offset_to_order_or_to_many_rows(dtype):
    m = 40_000
    sawtooth = np.arange(m) % 7
    rows = np.stack(
        [
            1e6 + sawtooth,  # far from 0
            np.arange(m) / 8,  # sorted: the first rows are far from the mean
            np.where(np.arange(m) < m - 40, 3, -4e3),  # constant at first
            1e-30 * sawtooth,  # squares that underflow in float32
            1e30 * sawtooth,  # squares that overflow in float32
            np.arange(m) % 10 < 1,  # squares whose sum is rounded the same way again and again
        ],
        axis=1,
    ).astype(dtype)
    found = scale.standardize(batches(rows, rows[:, 0], range(0, m, 20_000)))
    assert found.mean.dtype == found.scale.dtype == dtype
    assert_of_all_rows(found, rows, np.finfo(dtype).eps)


def test_one_pass_is_enough_where_the_first_rows_tell_and_a_sorted_file_takes_another():
    class Counted:
        def __init__(self, *parts):
            self.parts, self.read = parts, 0

        def __iter__(self):
            for part in self.parts:
                self.read += len(part)
                yield part, part[:, 0]

    constant = np.full((600, 1), 0.1)
    mixed = Counted(*(np.concatenate([X[part], constant], axis=1) for part in (slice(600), slice(600, M))))
    scale.standardize(mixed)
    assert mixed.read == M + 600
    late = Counted(X[:20], X[20:] + 1e4)
    assert_of_all_rows(scale.standardize(late), np.concatenate(late.parts), 2.0**-52)
    assert late.read == 2 * M + 20


def test_a_fit_in_standard_units_predicts_as_one_in_the_units_of_the_file():
    source = scale.Batches("prices", lambda: iter(batches(X)), M)
    to_units = scale.standardize(source)
    theta = scale.fit_linear(source.map(to_units).map(features.with_bias)).check().theta
    there, here = (np.asarray(features.with_bias(a)) for a in (to_units(X), X))
    np.testing.assert_allclose(there @ theta, here @ linear.fit(PHI, Y).theta, rtol=1e-10)


def test_without_rows_or_in_half_precision_there_is_no_deviation():
    with pytest.raises(DataError, match="at least one row"):
        scale.standardize([])
    with pytest.raises(TypeError, match="float32 or float64; X is float16"):
        scale.standardize(batches(X.astype(np.float16)))


def test_a_stream_that_was_narrowed_says_so_once():
    with jax.enable_x64(False), warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        assert scale.standardize(batches(X)).mean.dtype == np.float32
    assert ["float64 data is computed in float32" in str(one.message) for one in said] == [True]
