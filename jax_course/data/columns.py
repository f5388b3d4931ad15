"""Labels and columns of tables, of any library, as NumPy arrays whose entries are of one kind.

pandas, polars and pyarrow are not imported: NumPy makes an array of whatever they hold, and a table is anything with
named columns. A table reads as `{name: Column}`.
"""

import datetime
import numbers
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, NamedTuple

import numpy as np
from jax.core import Tracer

NUMBERS, BOOLEANS, STRINGS, BYTES = "numbers", "truth values", "strings", "bytes"
DATES, DURATIONS, NOTHING = "dates or times", "durations", "nothing"
KINDS = {"b": BOOLEANS, "i": NUMBERS, "u": NUMBERS, "f": NUMBERS, "U": STRINGS, "T": STRINGS, "S": BYTES}
TIMES = {"M": DATES, "m": DURATIONS}


class Column(NamedTuple):
    """Entries (m,), their kind, which of them are missing; of a categorical its categories in order, else None."""

    kind: str
    values: np.ndarray
    missing: np.ndarray
    order: list | None

    @property
    def is_categorical(self) -> bool:
        """Whether its entries are categories: strings, or what was declared to be."""
        return self.order is not None or self.kind == STRINGS

    def rows(self, chosen: np.ndarray) -> "Column":
        """The column of the chosen rows."""
        return self._replace(values=self.values[chosen], missing=self.missing[chosen])

    def categories(self) -> list:
        """The different entries that are not missing: in the order of a categorical, else ascending."""
        present = set(self.values[~self.missing].tolist())
        return sorted(present) if self.order is None else [entry for entry in self.order if entry in present]

    def numbers(self, categories: Sequence) -> np.ndarray:
        """The position (m,) of each entry in `categories`; −1 where it is none of them."""
        position = {category: number for number, category in enumerate(categories)}
        return np.fromiter((position.get(entry, -1) for entry in self.values.tolist()), np.int32, len(self.values))


def read_table(df: Any, chosen: Sequence[str] | None = None) -> dict[str, Column]:
    """The columns of a pandas or polars frame, a pyarrow table, or a mapping of names to columns; all, or the chosen.

    Errors: TypeError: no table, or a column of several kinds; ValueError: a chosen column is missing, two columns have
    one name, or columns different lengths.
    """
    names = _names(df)
    keys = {str(key): key for key in names}
    if len(keys) < len(names):
        repeated = next(str(key) for i, key in enumerate(names) if str(key) in map(str, names[:i]))
        raise ValueError(f"df must have columns of different names; {repeated!r} occurs more than once")
    if missing := [name for name in chosen or () if name not in keys]:
        raise ValueError(f"df must have the columns of the training data; {', '.join(map(repr, missing))} is missing")
    columns = {name: read(df[keys[name]], f"column {name!r}") for name in (keys if chosen is None else chosen)}
    lengths = {name: len(column.values) for name, column in columns.items()}
    if len(set(lengths.values())) > 1:
        raise ValueError(f"df must have columns of one length; got {lengths}")
    return columns


def row_count(df: Any) -> int:
    """The number of rows of a table. ValueError: it has none, or no column.

    >>> row_count({"size": [1, 2, 4]})
    3
    """
    names = _names(df)
    count = len(df[names[0]]) if names else 0
    if not count:
        raise ValueError("df must have at least one row and one column; it has none")
    return count


def read(values: Any, name: str) -> Column:
    """The entries (m,) of a series, an array or a list. Missing are None, NaN, and the gaps of pandas, polars, pyarrow.

    Errors: TypeError: several kinds of entries, or values that cannot be read inside jit; ValueError: not one axis.

    >>> read(["b", None, "a"], "labels").categories()
    ['a', 'b']
    """
    if isinstance(values, Tracer):
        raise TypeError(f"inside jit {name} cannot be read: encode it outside")
    array = _array(values, name)
    order = _order(values)
    masked = np.ma.getmaskarray(values) if isinstance(values, np.ma.MaskedArray) else False
    if array.dtype.kind != "O":
        return Column(_kind(array.dtype), array, _missing(array) | masked, order)
    entries = array.tolist()
    missing = np.zeros(len(entries), bool) | masked
    if not set(map(type, entries)) <= {str, bool, int, bytes}:  # none of which can be a gap
        missing |= np.fromiter(map(_is_missing, entries), bool, len(entries))
    present = array[~missing].tolist() if missing.any() else entries
    types = {entry_type: _kind_of_type(entry_type) for entry_type in set(map(type, present))}
    if order is not None and set(types.values()) - {NUMBERS, BOOLEANS, STRINGS}:  # intervals, days: known by their text
        texts = [None if gap else str(entry) for entry, gap in zip(entries, missing, strict=True)]
        return Column(STRINGS, _objects(texts), missing, [str(category) for category in order])
    if len(kinds := sorted(set(types.values()))) > 1:
        first, second = (next(i for i, e in enumerate(entries) if types.get(type(e)) == kind) for kind in kinds[:2])
        raise TypeError(
            f"{name} must hold entries of one kind; row {first} holds {kinds[0]}, {entries[first]!r}, and row {second} "
            f"{kinds[1]}, {entries[second]!r}"
        )
    kind = kinds[0] if kinds else NOTHING
    return Column(kind, _converted(kind, array, missing), missing, order)


def _names(df: Any) -> list:
    """The names of the columns, as df knows them."""
    if isinstance(df, Mapping):
        return list(df)
    kind = type(df)  # its own attributes: a column may be called "collect"
    attribute = next((name for name in ("column_names", "columns") if hasattr(kind, name)), None)  # pyarrow's, others'
    if hasattr(kind, "collect") or attribute is None:
        hint = ": collect it first, df.collect()" if hasattr(kind, "collect") else ""
        raise TypeError(
            "df must be a table with named columns: a pandas or polars frame, a pyarrow table, or a dict of columns; "
            f"got {kind.__name__}{hint}"
        )
    return list(getattr(df, attribute))


def _array(values: Any, name: str) -> np.ndarray:
    """An array (m,); entries of lists stay as they are, for NumPy would make strings of numbers beside strings."""
    if hasattr(values, "dtype") or hasattr(values, "__array__"):
        array = np.asarray(values)
    elif isinstance(values, str | bytes | Mapping) or not hasattr(values, "__iter__"):
        raise TypeError(f"{name} must be an array or a list, an entry for each example; got {type(values).__name__}")
    else:
        array = _objects(list(values))
    if array.ndim != 1:
        hint = f": write np.ravel({name})" if array.ndim == 2 and array.shape[1] == 1 else ""
        raise ValueError(f"{name} must have shape (m,), an entry for each example; got shape {array.shape}{hint}")
    return array


def _objects(entries: list) -> np.ndarray:
    return np.fromiter(entries, object, len(entries))


def _order(values: Any) -> list | None:
    """The categories of a pandas categorical or a polars Enum as they are ordered; those of a polars Categorical or a
    pyarrow dictionary, which have the order in which they were met, ascending."""
    dtype = getattr(values, "dtype", getattr(values, "type", None))
    if type(dtype).__name__ in ("Categorical", "DictionaryType"):
        return sorted({entry for entry in np.asarray(values).tolist() if not _is_missing(entry)})
    categories = getattr(dtype, "categories", None)
    return None if categories is None else np.asarray(categories).tolist()


def _kind(dtype: np.dtype) -> str:
    return KINDS.get(dtype.kind) or TIMES.get(dtype.kind) or str(dtype)


def _kind_of_type(entry: type) -> str:
    if issubclass(entry, datetime.timedelta | np.timedelta64):  # which NumPy has among its integers
        return DURATIONS
    kinds = {
        BOOLEANS: bool | np.bool_,
        NUMBERS: numbers.Real | Decimal,
        STRINGS: str,
        BYTES: bytes,
        DATES: datetime.date | datetime.time | np.datetime64,
    }
    return next((kind for kind, types in kinds.items() if issubclass(entry, types)), entry.__name__)


def _missing(array: np.ndarray) -> np.ndarray:
    if array.dtype.kind in "Mm":
        return np.isnat(array)
    return np.isnan(array) if array.dtype.kind in "fc" else np.zeros(len(array), bool)


def _is_missing(entry: Any) -> bool:
    """None, pandas' NA, and what differs from itself: NaN, and the NaT of pandas and NumPy."""
    if entry is None or type(entry).__name__ == "NAType":
        return True
    return isinstance(entry, numbers.Number | np.generic | datetime.datetime) and bool(entry != entry)


def _converted(kind: str, array: np.ndarray, missing: np.ndarray) -> np.ndarray:
    """Numbers and truth values as arrays of their own dtype; numbers that are missing are NaN."""
    if kind == NUMBERS:
        known = np.array(array[~missing].tolist())
        known = known if known.dtype.kind in "iuf" else known.astype(float)  # Decimal, Fraction, huge whole numbers
        if not missing.any():
            return known
        filled = np.full(len(array), np.nan)
        filled[~missing] = known
        return filled
    return array.astype(bool) if kind == BOOLEANS and not missing.any() else array
