"""The progress bar of what takes long, on stderr."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from jax_course.tiers import is_traced


@contextmanager
def bar(progress: bool, total: int, unit: str) -> Iterator[Callable[[int], None]]:
    """A function that shows how many of all are done, or does nothing. ModuleNotFoundError: rich is not installed.

    unit: what is counted, "epoch". TypeError: inside jit, vmap or a derivative, where nothing is done yet.
    """
    if not progress:
        yield lambda done: None
        return
    if is_traced():
        raise TypeError("progress must be left out inside jit, vmap and derivatives: nothing is computed there yet")
    try:
        from rich.console import Console
        from rich.progress import Progress
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            "the progress bar is drawn by rich, which is not installed: pip install 'jax-course[experiments]'"
        ) from error
    with Progress(console=Console(stderr=True)) as shown:
        task = shown.add_task("", total=total)
        yield lambda done: shown.update(task, completed=done, description=f"{unit} {done} of {total}")
