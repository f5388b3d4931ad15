"""When to stop: where what was held out is predicted no better any more. Course 6.3, 7.7."""

from collections.abc import Iterable

from jax_course.checks import whole
from jax_course.train import Training

__all__ = ["early_stopping"]


def __dir__() -> list[str]:
    return __all__


def early_stopping(runs: Iterable[Training], *, by: str, patience: int) -> Training:
    """Of these runs the one whose `by` is least, once that has not fallen for `patience` epochs. Course 7.7.

    `by` is a name in the history, say of the cost on examples held out of X. A run that stops being finite ends it: its
    `stop` is that of what is returned.

    >>> import jax, optax
    >>> from jax_course.train import each_epoch
    >>> runs = each_epoch(lambda theta, X, y: jnp.sum(theta - y), optax.sgd(0.5), 0.0, jnp.ones(2),
    ...                   jnp.array([4.0, 4.0]), key=jax.random.key(0), epochs=99, batch_size=2,
    ...                   metrics={"held out": lambda theta, X, y: (theta - 3.2) ** 2})
    >>> early_stopping(runs, by="held out", patience=4).epochs
    2
    """
    if whole(patience, "patience") < 1:
        raise ValueError(f"patience must be at least 1; got {patience}")
    best = None
    for run in runs:
        if by not in run.history:
            raise ValueError(f"by must be one of what is recorded, {', '.join(run.history) or 'nothing'}; got {by!r}")
        if run.stop is not None:
            return run if best is None else best._replace(stop=run.stop)
        if best is None or run.history[by][-1] < best.history[by][-1]:
            best = run
        elif run.epochs - best.epochs >= patience:
            break
    if best is None:
        raise ValueError("runs must hold at least one epoch; it is empty")
    return best
