"""Tables of any library become X and y, and new data the columns of the old."""

import datetime
import json
import re
from decimal import Decimal
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from sklearn.compose import make_column_transformer
from sklearn.preprocessing import OneHotEncoder

from jax_course import data

TABLE = {
    "age": [30, 41, 25, 58],
    "smoker": [True, False, False, True],
    "city": ["Rome", "Oslo", "Rome", "Bonn"],
    "dose": [0.5, 1.5, 2.5, 0.25],
    "ill": ["no", "yes", "no", "yes"],
}
NAMES = ["age", "smoker", "city=Bonn", "city=Oslo", "city=Rome", "dose"]
X = [[30, 1, 0, 0, 1, 0.5], [41, 0, 0, 1, 0, 1.5], [25, 0, 0, 0, 1, 2.5], [58, 1, 1, 0, 0, 0.25]]
LIBRARIES = {
    "a dict of lists": lambda table: table,
    "a dict of arrays": lambda table: {name: np.array(values) for name, values in table.items()},
    "pandas": pd.DataFrame,
    "pandas with its own types": lambda table: pd.DataFrame(table).convert_dtypes(),
    "pandas with pyarrow's types": lambda table: pd.DataFrame(table).convert_dtypes(dtype_backend="pyarrow"),
    "pandas with categories": lambda table: pd.DataFrame(table).astype({"city": "category", "ill": "category"}),
    "polars": pl.DataFrame,
    "polars with categories": lambda table: pl.DataFrame(table).with_columns(
        pl.col("city", "ill").cast(pl.Categorical)
    ),
    "pyarrow": pa.table,
    "pyarrow's record batch": lambda table: pa.table(table).to_batches()[0],
    "pyarrow with a dictionary": lambda table: pa.table({**table, "city": pa.array(table["city"]).dictionary_encode()}),
}


def frame(table, **settings):
    return data.frame(table, target="ill", **settings)


@pytest.mark.parametrize("made", LIBRARIES.values(), ids=LIBRARIES.keys())
def test_a_table_of_any_library_becomes_the_same_design(made):
    found = frame(made(TABLE))
    assert found.names == NAMES
    np.testing.assert_array_equal(found.X, X)
    assert np.asarray(found.y).tolist() == [0, 1, 0, 1]
    assert found.classes is not None
    assert found.classes.tolist() == ["no", "yes"]
    assert (found.rows.tolist(), found.dropped) == ([0, 1, 2, 3], 0)
    assert (found.X.dtype, found.y.dtype) == (np.float64, np.int32)
    assert (
        repr(found) == "Frame(X (4, 6): age, smoker, city=Bonn, city=Oslo, city=Rome, …; y: 2 classes; 0 rows dropped)"
    )


@pytest.mark.parametrize("made", LIBRARIES.values(), ids=LIBRARIES.keys())
def test_new_data_become_the_columns_of_the_old_in_any_order(made):
    transform = frame(TABLE, bias=True, reference="first").transform
    new = {"other": [0, 1], "ill": ["no", "no"], "dose": [1.0, 2.0], "city": ["Bonn", "Rome"]}
    new |= {"smoker": [False, True], "age": [1, 2]}
    assert transform.names == ["bias", "age", "smoker", "city=Oslo", "city=Rome", "dose"]
    np.testing.assert_array_equal(transform.apply(made(new)), [[1, 1, 0, 0, 0, 1], [1, 2, 1, 0, 1, 2]])


def test_categories_are_those_of_scikit_learn():
    table = pd.DataFrame(TABLE)
    found = frame(table, reference="first", unseen="ignore")
    columns = (
        (OneHotEncoder(drop="first", handle_unknown="ignore"), ["city"]),
        ("passthrough", ["age", "smoker", "dose"]),
    )
    peer = make_column_transformer(*columns).fit(table)
    ours = np.asarray(found.X)[:, [2, 3, 0, 1, 4]]
    np.testing.assert_array_equal(ours, np.asarray(peer.transform(table), float))


def test_a_target_of_numbers_stays_numbers():
    found = data.frame(TABLE, target="age")
    np.testing.assert_array_equal(found.y, [30.0, 41, 25, 58])
    assert found.y.dtype == np.float64
    assert found.classes is None
    truth = data.frame(TABLE, target="smoker")
    assert np.asarray(truth.y).tolist() == [1, 0, 0, 1]
    assert truth.classes is not None
    assert truth.classes.tolist() == [False, True]


def test_a_categorical_keeps_its_order_and_only_what_occurs():
    sizes = pd.Categorical(["L", "S", "L", "S"], ["S", "M", "L"])
    found = data.frame({"size": sizes, "y": [1, 2, 3, 4]}, target="y", reference="first")
    assert found.names == ["size=L"]
    enum = pl.DataFrame({"size": pl.Series(["L", "S"], dtype=pl.Enum(["S", "M", "L"])), "y": [1, 2]})
    assert data.frame(enum, target="y").names == ["size=S", "size=L"]


def test_numbers_declared_as_categories_are_categories():
    table = pd.DataFrame({"zone": pd.Categorical([10, 2, 10, None]), "y": [1.0, 2.0, 3.0, 4.0]})
    found = data.frame(table, target="y", missing="drop")
    assert found.names == ["zone=2", "zone=10"]
    np.testing.assert_array_equal(found.transform.apply({"zone": [2, 10]}), [[1, 0], [0, 1]])


@pytest.mark.parametrize(
    "declared",
    [
        lambda names: pd.Series(names, dtype="category"),
        lambda names: pl.Series(names, dtype=pl.Categorical),
        lambda names: pa.chunked_array([pa.array(names).dictionary_encode()]),
    ],
)
def test_as_many_categories_as_rows_are_taken_where_they_are_declared(declared):
    names = [f"person {i}" for i in range(60, 0, -1)]
    found = data.frame({"name": declared(names), "y": range(60)}, target="y")
    assert found.names == [f"name={name}" for name in sorted(names)]
    np.testing.assert_array_equal(np.argmax(found.X, axis=1), np.argsort(np.argsort(names)))


def test_intervals_are_categories_by_their_text():
    ages = pd.DataFrame({"age": [10, 30, 12], "y": [1, 2, 3]})
    cut = ages.assign(age=pd.cut(ages.age, [0, 20, 40]))
    assert data.frame(cut, target="y").names == ["age=(0, 20]", "age=(20, 40]"]


def test_a_reference_by_name_leaves_that_category_out():
    found = frame(TABLE, reference={"city": "Rome"})
    assert found.names == ["age", "smoker", "city=Bonn", "city=Oslo", "dose"]
    np.testing.assert_array_equal(found.X, np.delete(X, 4, axis=1))


def test_unseen_categories_are_zeros_where_that_was_asked_for():
    new = {**TABLE, "city": ["Paris", "Oslo", "Rome", "Nice"]}
    transformed = frame(TABLE, unseen="ignore").transform.apply(new)
    np.testing.assert_array_equal(np.asarray(transformed)[:, 2:5], [[0, 0, 0], [0, 1, 0], [0, 0, 1], [0, 0, 0]])
    with pytest.raises(ValueError, match=r"column 'city' must hold categories .*; row 0 holds 'Paris'"):
        frame(TABLE, reference="first").transform.apply(new)


GAPS = {
    **TABLE,
    "age": [30, None, 25, 58],
    "city": ["Rome", "Oslo", None, "Bonn"],
    "smoker": [True, None, None, True],
}


@pytest.mark.parametrize("made", [LIBRARIES[name] for name in ("a dict of lists", "pandas", "polars", "pyarrow")])
def test_gaps_are_refused_by_column_and_row_or_dropped_and_counted(made):
    with pytest.raises(ValueError, match=r"column 'age' has no value in row 1 .*; rows with gaps: 2; missing='drop'"):
        frame(made(GAPS))
    found = frame(made(GAPS), missing="drop")
    assert found.names == ["age", "smoker", "city=Bonn", "city=Rome", "dose"]
    np.testing.assert_array_equal(found.X, np.delete(X, 3, axis=1)[[0, 3]])
    assert (found.rows.tolist(), found.dropped) == ([0, 3], 2)
    assert np.asarray(found.y).tolist() == [0, 1]
    with pytest.raises(ValueError, match=r"column 'age' has no value in row 1 .*: drop or fill them first"):
        found.transform.apply(made(GAPS))


def test_a_target_of_truth_values_with_gaps_keeps_their_kind():
    found = data.frame(pd.DataFrame(GAPS).convert_dtypes(), target="smoker", missing="drop")
    assert found.classes is not None
    assert found.classes.dtype == bool


def test_a_transform_is_the_same_after_json():
    sizes = pd.Categorical([1, 2, 1, 2])
    flags = pd.Categorical([True, False, True, True])
    found = frame({**TABLE, "größe": sizes, "flag": flags}, bias=True, reference={"city": "Oslo"}, unseen="ignore")
    text = found.transform.to_json()
    assert json.loads(text)["version"] == 1
    assert data.Transform.from_json(text) == found.transform
    new = {**TABLE, "größe": [2, 2, 1, 1], "flag": [True, False, True, False]}
    np.testing.assert_array_equal(data.Transform.from_json(text).apply(new), found.transform.apply(new))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda content: "no JSON", "must be the JSON that to_json wrote"),
        (lambda content: [], "JSON of the format 'jax_course.data.Transform', version 1"),
        (lambda content: {**content, "version": 2}, "JSON of the format 'jax_course.data.Transform', version 1"),
        (lambda content: {**content, "terms": [{"name": "age"}]}, "must have terms"),
        (lambda content: {**content, "terms": [content["terms"][0] | {"kind": "code"}]}, "must have terms"),
        (lambda content: {**content, "terms": [content["terms"][2] | {"reference": "Nice"}]}, "must have terms"),
        (lambda content: {**content, "terms": [content["terms"][2] | {"categories": [1, "a"]}]}, "must have terms"),
        (lambda content: {**content, "bias": 1}, "must have bias, true or false"),
        (lambda content: {**content, "unseen": "guess"}, "and unseen, 'refuse' or 'ignore'"),
    ],
)
def test_json_that_is_no_transform_is_refused(change, message):
    changed = change(json.loads(frame(TABLE).transform.to_json()))
    with pytest.raises(ValueError, match=message):
        data.Transform.from_json(changed if isinstance(changed, str) else json.dumps(changed))


DAYS = [datetime.date(2020, 1, day) for day in (1, 2, 3, 4)]
DATES = r"column 'day' must hold numbers, truth values or categories; got dates or times: make a number of them first"


@pytest.mark.parametrize(
    "day",
    [
        DAYS,
        np.array(DAYS, "M8[D]"),
        pd.Series(pd.to_datetime(DAYS)),
        pd.Series(pd.to_datetime(DAYS)).dt.tz_localize("UTC"),
        pl.Series(DAYS),
        pl.Series([datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC)] * 4),
        pa.chunked_array([pa.array(DAYS)]),
        pl.Series([datetime.time(1)] * 4),
    ],
)
def test_dates_are_refused_with_what_to_do(day):
    with pytest.raises(TypeError, match=DATES):
        frame({**TABLE, "day": day})


TABLE_OF_ARRAY: Any = np.ones((4, 2))
OTHER: Any = "second"


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: frame(TABLE_OF_ARRAY), TypeError, "df must be a table with named columns: .*; got ndarray"),
        (lambda: frame(pl.LazyFrame(TABLE)), TypeError, r"got LazyFrame: collect it first, df.collect\(\)"),
        (lambda: frame({}), ValueError, "at least one row and one column"),
        (lambda: frame(pd.DataFrame(TABLE)[:0]), ValueError, "at least one row and one column"),
        (lambda: data.frame(TABLE, target="sick"), ValueError, "one of 'age', 'smoker', .*; got 'sick'"),
        (lambda: data.frame({"y": [1, 2]}, target="y"), ValueError, "X must have at least one column"),
        (lambda: frame({**TABLE, "age": [1, 2]}), ValueError, "columns of one length; got {'age': 2, 'smoker': 4"),
        (
            lambda: frame(pd.concat([pd.DataFrame(TABLE)] * 2, axis=1)),
            ValueError,
            "columns of different names; 'age' occurs more than once",
        ),
        (lambda: frame({**TABLE, "city=Rome": [1, 2, 3, 4]}), ValueError, "'city=Rome' occurs twice: rename"),
        (lambda: frame({**TABLE, "bias": [1, 2, 3, 4]}, bias=True), ValueError, "'bias' occurs twice"),
        (
            lambda: frame({**TABLE, "age": [1, "?", 3, 4]}),
            TypeError,
            r"column 'age' .* one kind; row 0 holds numbers, 1",
        ),
        (
            lambda: frame({**TABLE, "age": [1, np.inf, 3, 4]}),
            ValueError,
            "'age' must hold finite float64 .* row 1 holds",
        ),
        (lambda: frame({**TABLE, "age": [1j] * 4}), TypeError, "'age' must hold .*; got complex: make numbers"),
        (lambda: frame({**TABLE, "age": [b"a"] * 4}), TypeError, "'age' must hold .*; got bytes: decode them"),
        (lambda: frame({**TABLE, "age": [[1]] * 4}), TypeError, "'age' must hold .*; got list: make numbers"),
        (
            lambda: frame({**TABLE, "age": np.array([1, 2, 3, 4], "m8[D]")}),
            TypeError,
            "'age' must hold .*; got durations: make a number of them first, in a unit, such as days",
        ),
        (lambda: frame({**TABLE, "age": [None] * 4}), ValueError, "'age' has no value in row 0 .* gaps: 4"),
        (lambda: frame({**TABLE, "age": [None] * 4}, missing="drop"), ValueError, "column 'age' in 4: leave it out"),
        (
            lambda: data.frame({"name": [f"person {i}" for i in range(99)], "y": range(99)}, target="y"),
            ValueError,
            "column 'name' must hold numbers or categories; it holds 99 different strings in 99 rows, 'person 0', 'per",
        ),
        (
            lambda: frame(TABLE, reference={"age": 30}),
            ValueError,
            "must name columns with categories, 'city'; got 'age'",
        ),
        (lambda: frame(TABLE, reference={"town": "Rome"}), ValueError, "columns with categories, 'city'; got 'town'"),
        (
            lambda: frame(TABLE, reference={"city": "Nice"}),
            ValueError,
            "of 'city' must be .*, 'Bonn', 'Oslo', 'Rome'; got",
        ),
        (lambda: frame(TABLE, reference=OTHER), ValueError, "reference must be 'first', or a dict .*; got 'second'"),
        (lambda: frame(TABLE, missing=OTHER), ValueError, "missing must be 'refuse' or 'drop'; got 'second'"),
        (lambda: frame(TABLE, unseen=OTHER), ValueError, "unseen must be 'refuse' or 'ignore'; got 'second'"),
    ],
)
def test_what_is_no_table_of_numbers_and_categories_is_refused_by_name(call, error, message):
    with pytest.raises(error, match=message):
        call()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"age": ["a", "b", "c", "d"]}, "column 'age' must hold numbers, as in the training data; got strings"),
        ({"age": [True] * 4}, "column 'age' must hold numbers, as in the training data; got truth values"),
        ({"age": pd.Categorical([1, 2, 1, 2])}, "column 'age' must hold numbers, .*; got categories, numbers"),
        ({"smoker": [0, 1, 0, 1]}, "column 'smoker' must hold truth values, as in the training data; got numbers"),
        ({"city": [1, 2, 3, 4]}, "column 'city' must hold strings, as in the training data; got numbers"),
        ({"age": DAYS}, "column 'age' must hold numbers, as in the training data; got dates or times"),
        ({"age": [1, 2, 3, np.inf]}, "column 'age' must hold finite float64 numbers; row 3 holds inf"),
    ],
)
def test_new_data_of_another_type_are_refused_by_name(change, message):
    with pytest.raises(ValueError, match=message):
        frame(TABLE).transform.apply({**TABLE, **change})


def test_columns_that_new_data_lack_are_named_and_others_are_not_read():
    transform = frame(TABLE).transform
    new = {name: values for name, values in TABLE.items() if name not in ("age", "city")}
    with pytest.raises(ValueError, match="must have the columns of the training data; 'age', 'city' is missing"):
        transform.apply(new)
    np.testing.assert_array_equal(transform.apply({**TABLE, "note": [1, "?", DAYS, None]}), X)


def test_numbers_of_other_libraries_are_numbers():
    prices = [Decimal("1.5"), Decimal("2"), Decimal("NaN")]
    found = data.frame({"price": prices, "y": [1, 2, 3]}, target="y", missing="drop")
    np.testing.assert_array_equal(found.X, [[1.5], [2.0]])


def test_names_that_are_numbers_are_texts():
    found = data.frame(pd.DataFrame([[1, 2], [3, 4]]), target="1", bias=True)
    assert found.names == ["bias", "0"]
    assert found.transform.apply(pd.DataFrame([[5]])).tolist() == [[1.0, 5.0]]


def test_a_column_may_have_the_name_of_an_attribute():
    table = pd.DataFrame({"collect": [1, 2], "columns": [3, 4], "column_names": [5, 6]})
    assert data.frame(table, target="columns").names == ["collect", "column_names"]


def test_in_float32_a_frame_is_float32_without_a_warning():
    with jax.enable_x64(False):
        found = data.frame({"a": [0.1, 0.2], "y": [1.0, 2.0]}, target="y")
        assert (found.X.dtype, found.y.dtype) == (np.float32, np.float32)
        with pytest.raises(ValueError, match=r"finite float32 numbers; row 1 holds 1e\+300"):
            data.frame({"a": [0.1, 1e300], "y": [1.0, 2.0]}, target="y")


def test_no_library_of_tables_is_imported():
    sources = [path.read_text() for path in Path(data.__file__).parent.glob("*.py")]
    assert len(sources) > 5
    assert [text for text in sources if re.search(r"(import|from) (pandas|polars|pyarrow)", text)] == []
