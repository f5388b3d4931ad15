"""Small real tables that come with scikit-learn."""

from typing import NamedTuple

import jax.numpy as jnp
from jax import Array

TABLES = ("breast_cancer", "diabetes", "digits", "iris", "wine")


class Table(NamedTuple):
    """A real table: X (m, d), y (m,), and the names of its columns and of its classes (none for regression)."""

    X: Array
    y: Array
    features: tuple[str, ...]
    classes: tuple[str, ...]


def table(name: str) -> Table:
    """One of the small tables that come with scikit-learn: 'breast_cancer', 'diabetes', 'digits', 'iris' or 'wine'.

    diabetes is a regression (progression of the disease after a year, 25 to 346, features standardized by its authors);
    the others are classifications. Needs the extra `experiments`; reads no network.
    """
    if name not in TABLES:
        raise ValueError(f"the tables are {', '.join(TABLES)}; got {name!r}")
    try:
        from sklearn import datasets
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            "the tables come with scikit-learn, which is not installed: pip install 'jax-course[experiments]'"
        ) from error
    bunch = getattr(datasets, f"load_{name}")()
    classes = tuple(str(c) for c in bunch.get("target_names", ()))
    y = jnp.asarray(bunch.target, jnp.int32) if classes else jnp.asarray(bunch.target, jnp.result_type(float))
    return Table(
        jnp.asarray(bunch.data, jnp.result_type(float)), y, tuple(str(f) for f in bunch.feature_names), classes
    )
