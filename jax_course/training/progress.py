"""The progress bar of a training, on stderr."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def bar(progress: bool, epochs: int) -> Iterator[Callable[[Any], None]]:
    """A function that shows the progress of a run, or does nothing. ModuleNotFoundError: rich is not installed."""
    if not progress:
        yield lambda run: None
        return
    try:
        from rich.console import Console
        from rich.progress import Progress
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            "the progress bar is drawn by rich, which is not installed: pip install 'jax-course[experiments]'"
        ) from error
    with Progress(console=Console(stderr=True)) as shown:
        task = shown.add_task("", total=epochs)
        yield lambda run: shown.update(task, completed=run.epochs, description=f"epoch {run.epochs} of {epochs}")
