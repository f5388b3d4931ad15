r"""Data: problems with known parameters, small real tables, and the preparation of data for a fit (course 2).

Random numbers are NumPy's `Generator(PCG64)`, whose stream is fixed: no release of JAX or NumPy changes a problem.
Results are JAX arrays in the default precision: float32, or float64 in 64-bit mode.

Shapes: X (m, d) without the column of ones; y (m,), class numbers as int32; theta (1 + d,) or (1 + d, K), the
parameters for `features.with_bias(X)`.
"""

from jax_course.data.frames import Frame, frame
from jax_course.data.labels import Labels, balanced_weights, encode
from jax_course.data.preparation import Standardization, one_hot, split, standardize
from jax_course.data.problems import (
    Problem,
    ill_conditioned,
    line,
    plane,
    polynomial,
    separable,
    three_classes,
    two_classes,
)
from jax_course.data.tables import TABLES, Table, table
from jax_course.data.transforms import Term, Transform

__all__ = [
    "TABLES",
    "Frame",
    "Labels",
    "Problem",
    "Standardization",
    "Table",
    "Term",
    "Transform",
    "balanced_weights",
    "encode",
    "frame",
    "ill_conditioned",
    "line",
    "one_hot",
    "plane",
    "polynomial",
    "separable",
    "split",
    "standardize",
    "table",
    "three_classes",
    "two_classes",
]


def __dir__() -> list[str]:
    return __all__
