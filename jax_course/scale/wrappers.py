"""Sources that wrap another: without the rows that are not finite, and with a progress bar."""

from collections.abc import Callable, Iterable, Iterator
from functools import partial

import numpy as np

from jax_course.scale.batches import Batches, Pair, mapped, name_of, numbered, place_of, refuse_an_iterator


class Skipping:
    """The rows of a source that hold neither NaN nor infinity; `skipped` counts the others in the last pass."""

    def __init__(self, source: Iterable[Pair]):
        refuse_an_iterator(source)
        self.source, self.skipped = source, 0
        self.name, self.rows = name_of(source), getattr(source, "rows", None)

    def __iter__(self) -> Iterator[Pair]:
        self.skipped = 0
        for _, X, y in numbered(self.source):
            finite = finite_rows(X, y)
            self.skipped += int(np.sum(~finite))
            yield (X, y) if finite.all() else (X[finite], y[finite])

    def map(self, function: Callable) -> Batches:
        """The source with function(X) in place of X, as by `mapped`."""
        return mapped(self, function)

    def place(self, row: int) -> str:
        """The place, in the wrapped source, of a row that is not left out."""
        for first, X, y in numbered(self.source):
            finite = np.flatnonzero(finite_rows(X, y))
            if row < len(finite):
                return place_of(self.source, first + int(finite[row]))
            row -= len(finite)
        return f"{self.name}, {row} rows behind the last"


def skipping(source: Iterable[Pair]) -> Skipping:
    """The source without the rows that hold NaN or infinity. TypeError: the source is an iterator.

    >>> finite = skipping([(np.array([[1.0], [np.nan]]), np.array([2.0, 3.0]))])
    >>> [len(X) for X, _ in finite], finite.skipped
    ([1], 1)
    """
    return Skipping(source)


def finite_rows(X: np.ndarray, y: np.ndarray) -> np.ndarray:
    """The rows of X (rows, d) and y (rows,) that hold neither NaN nor infinity: a bool for each."""
    return np.isfinite(X).all(axis=1) & np.isfinite(y)


class WithProgress:
    """A source whose passes are shown as a bar on stderr, with rows a second and the time left."""

    def __init__(self, source: Iterable[Pair]):
        refuse_an_iterator(source)
        self.source, self.passes = source, 0
        self.name, self.rows = name_of(source), getattr(source, "rows", None)
        self.place = partial(place_of, source)

    def __iter__(self) -> Iterator[Pair]:
        try:
            from rich.console import Console
            from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
        except ModuleNotFoundError as error:
            raise ModuleNotFoundError("the bar is drawn by rich: pip install 'jax-course[experiments]'") from error
        self.passes += 1
        columns = (
            *(TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TextColumn("rows")),
            *(TextColumn("{task.fields[speed]}"), TimeRemainingColumn()),
        )
        with Progress(*columns, console=Console(stderr=True)) as bar:
            task = bar.add_task(f"{self.name}, pass {self.passes}", total=self.rows, speed="")
            for _, X, y in numbered(self.source):
                yield X, y
                bar.advance(task, len(X))
                speed = bar.tasks[0].speed
                bar.update(task, speed=f"{speed:,.0f} a second" if speed else "")

    def map(self, function: Callable) -> Batches:
        """The source with function(X) in place of X, as by `mapped`."""
        return mapped(self, function)


def with_progress(source: Iterable[Pair]) -> WithProgress:
    """The source, each pass shown as a bar on stderr: `fit_logistic(with_progress(source))`.

    TypeError: the source is an iterator. ModuleNotFoundError, in the first pass: rich is not installed.

    >>> with_progress(Batches("rows.npy", lambda: iter(()), 10)).name
    'rows.npy'
    """
    return WithProgress(source)
