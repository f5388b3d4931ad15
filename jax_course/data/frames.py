"""Tables with named columns as a design X and a target y, and the transform that does it again to new data."""

from collections.abc import Mapping
from typing import Any, Literal, NamedTuple

import jax.numpy as jnp
import numpy as np
from jax import Array

from jax_course import inputs
from jax_course.data import columns
from jax_course.data.columns import BOOLEANS, NUMBERS, STRINGS, Column
from jax_course.data.labels import number_classes
from jax_course.data.transforms import CATEGORY, Term, Transform, design, refuse_gaps, refuse_infinite

# More different strings than this in fewer than twice as many rows are names, or numbers that a stray sign has made
# strings. A declared categorical is taken as it is.
MOST_STRINGS = 50


class Frame(NamedTuple):
    """A table as a fit takes it.

    X (m, d), the names of its columns, y (m,); classes, so that `classes[y]` are the labels, None where y holds
    numbers; the transform that makes X of new data; `rows` (m,), the numbers of the rows that are in X, and how many
    were dropped because of a gap.
    """

    X: Array
    y: Array
    names: list[str]
    classes: np.ndarray | None
    transform: Transform
    rows: np.ndarray
    dropped: int

    def __repr__(self) -> str:
        y = "numbers" if self.classes is None else f"{len(self.classes)} classes"
        names = ", ".join(self.names[:5]) + (", …" if len(self.names) > 5 else "")
        return f"Frame(X {self.X.shape}: {names}; y: {y}; {self.dropped} rows dropped)"


def frame(
    df: Any,
    *,
    target: str,
    bias: bool = False,
    reference: Literal["first"] | Mapping[str, Any] | None = None,
    missing: Literal["refuse", "drop"] = "refuse",
    unseen: Literal["refuse", "ignore"] = "refuse",
) -> Frame:
    """X and y of a table: a pandas or polars frame, a pyarrow table, or a dict of columns; y is the column `target`.

    Numbers stay one column, in the default precision; so do truth values, 0 and 1. Strings and categoricals become a
    column of 0 and 1 for each category that occurs, "city=Rome". A target of numbers stays as it is; one of strings,
    truth values or categories becomes class numbers.

    bias: a first column of ones, "bias".
    reference: a category of each column that gets no column of its own, so that with a bias the columns are not
    dependent: "first", or by name of the column, {"city": "Rome"}.
    missing: gaps are refused, or their rows dropped and counted; `Frame.rows` are the others.
    unseen: a category of new data that did not occur is refused, or ignored: its columns are all 0, as those of the
    reference.

    Errors: TypeError: no table, a column of dates, of several kinds, or of what is no number and no category;
    ValueError: a gap, an infinite number, a column with nearly as many strings as rows, an unknown name.

    >>> found = frame({"size": [1, 2, 4], "city": ["Rome", "Oslo", "Rome"], "price": [3.0, 5.0, 9.0]}, target="price")
    >>> found.names, found.X
    (['size', 'city=Oslo', 'city=Rome'], Array([[1., 0., 1.],
           [2., 1., 0.],
           [4., 0., 1.]], dtype=float64))
    >>> found.transform.apply({"city": ["Oslo"], "size": [3]})
    Array([[3., 1., 0.]], dtype=float64)
    """
    _one_of(missing, ("refuse", "drop"), "missing")
    _one_of(unseen, ("refuse", "ignore"), "unseen")
    table = columns.read_table(df)
    m = columns.row_count(df)
    if target not in table:
        raise ValueError(f"target must be a column of df, one of {', '.join(map(repr, table))}; got {target!r}")
    for name, column in table.items():
        _refuse_kind(name, column)
    refuse_infinite(table)
    refuse_gaps(table if missing == "refuse" else {}, "; missing='drop' leaves them out")
    rows = _whole_rows(table)
    table = {name: column.rows(rows) for name, column in table.items()}
    y, classes = _target(table.pop(target))
    _known_reference(reference, table)
    terms = tuple(_term(name, column, reference) for name, column in table.items())
    transform = Transform(terms, bool(bias), unseen)
    _different_names(transform.names)
    return Frame(design(transform, table, len(rows)), y, transform.names, classes, transform, rows, m - len(rows))


def _one_of(value: str, choices: tuple[str, str], name: str) -> None:
    if value not in choices:
        raise ValueError(f"{name} must be {choices[0]!r} or {choices[1]!r}; got {value!r}")


def _whole_rows(table: dict[str, Column]) -> np.ndarray:
    """The numbers of the rows without a gap; refused where there is none."""
    gaps = np.stack([column.missing for column in table.values()])
    if gaps.any(axis=0).all():
        worst = list(table)[int(np.argmax(gaps.sum(axis=1)))]
        raise ValueError(
            f"df must have a row without a gap; each of its {gaps.shape[1]} rows has one, column {worst!r} in "
            f"{gaps.sum(axis=1).max()}: leave it out"
        )
    return np.flatnonzero(~gaps.any(axis=0))


def _target(column: Column) -> tuple[Array, np.ndarray | None]:
    """y, and the classes where it holds class numbers."""
    if column.kind == NUMBERS and not column.is_categorical:
        return inputs.as_array(column.values.astype(jnp.result_type(float)), "y"), None
    return number_classes(column)


def _term(name: str, column: Column, reference: str | Mapping[str, Any] | None) -> Term:
    """How a column enters X."""
    if not column.is_categorical:
        return Term(name, column.kind)
    categories = column.categories()
    if column.order is None and len(categories) > max(MOST_STRINGS, len(column.values) // 2):
        raise ValueError(
            f"column {name!r} must hold numbers or categories; it holds {len(categories)} different strings in "
            f"{len(column.values)} rows, {categories[0]!r}, {categories[1]!r}, …: make numbers of them, leave the "
            "column out, or declare it as categorical"
        )
    if reference is None or isinstance(reference, str):
        return Term(name, CATEGORY, tuple(categories), categories[0] if reference else None)
    left_out = reference.get(name)
    return Term(name, CATEGORY, tuple(categories), next((c for c in categories if c == left_out), None))


def _known_reference(reference: str | Mapping[str, Any] | None, table: dict[str, Column]) -> None:
    """Refuse a reference that is no category of a column."""
    if reference is None or reference == "first":
        return
    if not isinstance(reference, Mapping):
        raise ValueError(f"reference must be 'first', or a dict of columns and their categories; got {reference!r}")
    categories = {name: column.categories() for name, column in table.items() if column.is_categorical}
    for name, category in reference.items():
        if name not in categories:
            known = ", ".join(map(repr, categories)) or "none"
            raise ValueError(f"reference must name columns with categories, {known}; got {name!r}")
        if category not in categories[name]:
            listed = ", ".join(map(repr, categories[name][:5])) + (", …" if len(categories[name]) > 5 else "")
            raise ValueError(f"reference of {name!r} must be one of its categories, {listed}; got {category!r}")


def _different_names(names: list[str]) -> None:
    """Refuse a design without a column, or with two columns of one name."""
    if not names:
        raise ValueError("X must have at least one column; df has none beside the target and categories left out")
    if repeated := [name for i, name in enumerate(names) if name in names[:i]]:
        raise ValueError(f"X must have columns of different names; {repeated[0]!r} occurs twice: rename one of df")


def _refuse_kind(name: str, column: Column) -> None:
    """Refuse a column of dates, and of what is no number and no category."""
    hints = {
        columns.DATES: "make a number of them first, such as the days since a fixed date, or a category, such as the "
        "month",
        columns.DURATIONS: "make a number of them first, in a unit, such as days",
        columns.BYTES: "decode them",
    }
    if column.kind not in (NUMBERS, BOOLEANS, STRINGS, columns.NOTHING):  # nothing but gaps is refused as such
        hint = hints.get(column.kind, "make numbers or strings of them, or leave the column out")
        raise TypeError(f"column {name!r} must hold numbers, truth values or categories; got {column.kind}: {hint}")
