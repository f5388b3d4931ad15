"""The same pure functions over several devices and several hosts, and over data larger than memory.

A cost is a sum over examples, so that rows spread over devices, batches of a file and mini-batches are one fold.
"""

from jax_course.scale.batches import Batches, DataError, Skipping, from_npy, from_table, mapped, skipping, watched
from jax_course.scale.classifiers import fit_logistic, fit_softmax
from jax_course.scale.fold import fold
from jax_course.scale.least_squares import fit_linear, fit_ridge
from jax_course.scale.rehearsal import rehearse
from jax_course.scale.sharding import Spread, mesh_of, shard, spread_parameters
from jax_course.scale.standardization import standardize
from jax_course.scale.training import train

__all__ = [
    "Batches",
    "DataError",
    "Skipping",
    "Spread",
    "fit_linear",
    "fit_logistic",
    "fit_ridge",
    "fit_softmax",
    "fold",
    "from_npy",
    "from_table",
    "mapped",
    "mesh_of",
    "rehearse",
    "shard",
    "skipping",
    "spread_parameters",
    "standardize",
    "train",
    "watched",
]


def __dir__() -> list[str]:
    return __all__
