"""The transform of a table into a design X: which columns, which categories. Plain data, saved as JSON."""

import json
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from jax import Array

from jax_course import inputs
from jax_course.data import columns
from jax_course.data.columns import BOOLEANS, NUMBERS, STRINGS, Column

CATEGORY = "categories"
FORMAT, VERSION = "jax_course.data.Transform", 1


class Term(NamedTuple):
    """A column of the table: its name; "numbers", "truth values" or "categories"; its categories, all strings, numbers
    or truth values; the one of them that has no column in X, or None."""

    name: str
    kind: str
    categories: tuple = ()
    reference: str | float | bool | None = None

    @property
    def shown(self) -> list:
        """The categories that have a column in X."""
        return [category for category in self.categories if self.reference is None or category != self.reference]

    @property
    def names(self) -> list[str]:
        """The names of its columns in X."""
        return [f"{self.name}={category}" for category in self.shown] if self.kind == CATEGORY else [self.name]


class Transform(NamedTuple):
    """The columns of a table that enter X, a bias or none, and "refuse" or "ignore" for a category that did not occur:
    so that new data become X as the training data did by `data.frame`."""

    terms: tuple[Term, ...]
    bias: bool
    unseen: str

    @property
    def names(self) -> list[str]:
        """The names of the columns of X."""
        return ["bias"] * self.bias + [name for term in self.terms for name in term.names]

    def apply(self, df: Any) -> Array:
        """X (n, d) of new data: the columns are found by name, in any order, and others are left aside.

        Errors: ValueError: a column or a value is missing, a column holds another kind than that of the training data,
        a number is infinite, or a category did not occur; TypeError: df is no table.
        """
        table = columns.read_table(df, [term.name for term in self.terms])
        refuse_infinite(table)
        refuse_gaps(table, ": drop or fill them first")
        for term in self.terms:
            _same_kind(term, table[term.name])
        return design(self, table, columns.row_count(df))

    def to_json(self) -> str:
        """The transform as JSON.

        >>> Transform((Term("size", "numbers"),), True, "refuse").to_json()[:60]
        '{"format": "jax_course.data.Transform", "version": 1, "bias"'
        """
        terms = [term._asdict() for term in self.terms]
        content = {"format": FORMAT, "version": VERSION, "bias": self.bias, "unseen": self.unseen, "terms": terms}
        return json.dumps(content, ensure_ascii=False, allow_nan=False)

    @classmethod
    def from_json(cls, text: str) -> "Transform":
        """The transform that `to_json` wrote. ValueError: the text is another one, or of another version.

        >>> transform = Transform((Term("city", "categories", ("Oslo", "Rome"), "Oslo"),), True, "refuse")
        >>> Transform.from_json(transform.to_json()) == transform
        True
        """
        try:
            content = json.loads(text)
        except ValueError as error:
            raise ValueError(f"a transform must be the JSON that to_json wrote; got another text: {error}") from None
        if not isinstance(content, dict) or (content.get("format"), content.get("version")) != (FORMAT, VERSION):
            raise ValueError(f"a transform must be JSON of the format {FORMAT!r}, version {VERSION}; got {text[:60]!r}")
        terms = content.get("terms")
        if not (isinstance(terms, list) and all(map(_is_term, terms))):
            raise ValueError(f"a transform must have terms, each a name, a kind and categories; got {terms!r}")
        if type(content.get("bias")) is not bool or content.get("unseen") not in ("refuse", "ignore"):
            raise ValueError("a transform must have bias, true or false, and unseen, 'refuse' or 'ignore'; it has not")
        made = (Term(t["name"], t["kind"], tuple(t["categories"]), t["reference"]) for t in terms)
        return cls(tuple(made), content["bias"], content["unseen"])


def _is_term(term: Any) -> bool:
    """Whether what was read from JSON has all that a term has."""
    if not isinstance(term, dict) or set(term) != set(Term._fields):
        return False
    name, kind, categories, reference = (term[field] for field in Term._fields)
    if not isinstance(name, str) or not isinstance(categories, list):
        return False
    if kind != CATEGORY:
        return kind in (NUMBERS, BOOLEANS) and not categories and reference is None
    kinds = set(map(_kind, categories))
    return len(kinds) == 1 and None not in kinds and (reference is None or reference in categories)


def _kind(category: Any) -> str | None:
    kinds = {BOOLEANS: bool, NUMBERS: int | float, STRINGS: str}  # a bool is an int, too
    return next((kind for kind, types in kinds.items() if isinstance(category, types)), None)


def _same_kind(term: Term, column: Column) -> None:
    """Refuse a column of another kind than in the training data."""
    expected = _kind(term.categories[0]) if term.kind == CATEGORY else term.kind
    if column.kind != expected or (term.kind != CATEGORY and column.order is not None):
        got = f"{CATEGORY}, {column.kind}" if column.order is not None else column.kind
        raise ValueError(f"column {term.name!r} must hold {expected}, as in the training data; got {got}: convert it")


def design(transform: Transform, table: dict[str, Column], m: int) -> Array:
    """X (m, d) of columns that were read and have no gap.

    >>> design(Transform((), True, "refuse"), {}, 2)
    Array([[1.],
           [1.]], dtype=float64)
    """
    X = np.zeros((m, len(transform.names)), jnp.result_type(float))
    begin = int(transform.bias)
    X[:, :begin] = 1
    for term in transform.terms:
        column = table[term.name]
        if term.kind == CATEGORY:
            category = column.numbers(term.categories)
            if transform.unseen == "refuse":
                _refuse_unseen(term, column, category)
            shown = {name: begin + number for number, name in enumerate(term.shown)}
            # where each category stands in X; the last entry is for −1, no category
            place = np.array([*(shown.get(name, -1) for name in term.categories), -1])[category]
            rows = np.flatnonzero(place >= 0)
            X[rows, place[rows]] = 1
        else:
            X[:, begin] = column.values
        begin += len(term.names)
    return inputs.as_array(X, "X")


def _refuse_unseen(term: Term, column: Column, category: np.ndarray) -> None:
    if (category < 0).any():
        row = int(np.argmin(category))
        raise ValueError(
            f"column {term.name!r} must hold categories of the training data; row {row} holds {column.values[row]!r}: "
            "data.frame(…, unseen='ignore') makes a transform that gives such rows zeros"
        )


def refuse_gaps(table: dict[str, Column], hint: str) -> None:
    """Refuse a table with a gap, and say where the first one is and how many there are.

    >>> refuse_gaps({"age": columns.read([3, None], "age")}, ": fill them")
    Traceback (most recent call last):
    ValueError: column 'age' has no value in row 1 (rows are counted from 0); rows with gaps: 1: fill them
    """
    gaps = [column.missing for column in table.values()]
    for name, column in table.items():
        if column.missing.any():
            raise ValueError(
                f"column {name!r} has no value in row {int(np.argmax(column.missing))} (rows are counted from 0); "
                f"rows with gaps: {int(np.any(gaps, axis=0).sum())}{hint}"
            )


def refuse_infinite(table: dict[str, Column]) -> None:
    """Refuse a table with a number that is infinite, or becomes so in the default precision, and say in which row.

    >>> refuse_infinite({"age": columns.read([3, float("inf")], "age")})
    Traceback (most recent call last):
    ValueError: column 'age' must hold finite float64 numbers; row 1 holds inf
    """
    dtype = jnp.result_type(float)
    for name, column in table.items():
        if column.kind == NUMBERS:
            with np.errstate(over="ignore"):
                infinite = np.isinf(column.values.astype(dtype)) & ~column.missing
            if infinite.any():
                row = int(np.argmax(infinite))
                raise ValueError(
                    f"column {name!r} must hold finite {dtype} numbers; row {row} holds {column.values[row]}"
                )
