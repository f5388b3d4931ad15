"""Fits and training on several devices and several hosts, and on data larger than memory.

A cost is a sum over examples: over rows spread over devices, over batches of a file, over mini-batches.
"""

from jax_course.scale.batches import Batches, DataError, mapped
from jax_course.scale.classifiers import fit_logistic, fit_softmax
from jax_course.scale.files import from_npy, from_table
from jax_course.scale.fold import fold
from jax_course.scale.least_squares import fit_linear, fit_ridge
from jax_course.scale.local_processes import rehearse
from jax_course.scale.sharding import Spread, mesh_of, shard, spread_parameters
from jax_course.scale.standardization import standardize
from jax_course.scale.training import train
from jax_course.scale.wrappers import Skipping, skipping, with_progress

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
    "with_progress",
]


def __dir__() -> list[str]:
    return __all__
