"""Early stopping: training ends once the cost on held-out examples falls no more. Course 6.3, 7.7."""

from collections.abc import Iterable

from jax_course.inputs.shapes import whole
from jax_course.training.record import Training

__all__ = ["early_stopping"]


def __dir__() -> list[str]:
    return __all__


def early_stopping(runs: Iterable[Training], *, metric: str, patience: int) -> Training:
    """The run with the least value of a metric, once that has not fallen for `patience` epochs. Course 7.7.

    runs: those of `each_epoch`. metric: a name in the history, such as that of the cost on examples held out of X.
    patience: epochs, at least 1. A run with a value that is not finite ends it, and its `stop` is in the result.
    ValueError: no such metric in the history, patience below 1, or no runs.

    >>> import jax, optax
    >>> from jax_course.train import each_epoch
    >>> runs = each_epoch(lambda theta, X, y: jnp.sum(theta - y), optax.sgd(0.5), 0.0, jnp.ones(2),
    ...                   jnp.array([4.0, 4.0]), key=jax.random.key(0), epochs=99, batch_size=2,
    ...                   metrics={"held out": lambda theta, X, y: (theta - 3.2) ** 2})
    >>> early_stopping(runs, metric="held out", patience=4).epochs
    2
    """
    if whole(patience, "patience") < 1:
        raise ValueError(f"patience must be at least 1; got {patience}")
    best = None
    for run in runs:
        if metric not in run.history:
            raise ValueError(
                f"metric must be one of those recorded, {', '.join(run.history) or 'nothing'}; got {metric!r}"
            )
        if run.stop is not None:
            return run if best is None else best._replace(stop=run.stop)
        if best is None or run.history[metric][-1] < best.history[metric][-1]:
            best = run
        elif run.epochs - best.epochs >= patience:
            break
    if best is None:
        raise ValueError("runs must hold at least one epoch; it is empty")
    return best
