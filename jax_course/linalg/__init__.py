"""The few expensive operations, in one place: here a formula is traded for speed or for digits, nowhere else.

Every form is tested against the literal one it stands for. All products ask for `Precision.HIGHEST`, because an
accelerator's default for float32 is not float32.
"""

from jax_course.linalg.blocks import is_large, product_and_transpose_product, residual_moments, sum_over_blocks
from jax_course.linalg.cholesky import Factored, SPDSolution, rank_tolerance, shortest_solution, spd_factor, spd_solve
from jax_course.linalg.distances import squared_distances
from jax_course.linalg.fallback import first_accepted
from jax_course.linalg.grams import gram, gram_and_moment
from jax_course.linalg.gsvd import GSVD, with_gsvd
from jax_course.linalg.least_squares import LeastSquares, column_scale, inverse_root, least_squares, minimum_norm
from jax_course.linalg.normal_equations import Solved, penalized_least_squares, predictive_least_squares
from jax_course.linalg.products import inner, product, transpose_product
from jax_course.linalg.whitening import Whitened, whiten

__all__ = [
    "GSVD",
    "Factored",
    "LeastSquares",
    "SPDSolution",
    "Solved",
    "Whitened",
    "column_scale",
    "first_accepted",
    "gram",
    "gram_and_moment",
    "inner",
    "inverse_root",
    "is_large",
    "least_squares",
    "minimum_norm",
    "penalized_least_squares",
    "predictive_least_squares",
    "product",
    "product_and_transpose_product",
    "rank_tolerance",
    "residual_moments",
    "shortest_solution",
    "spd_factor",
    "spd_solve",
    "squared_distances",
    "sum_over_blocks",
    "transpose_product",
    "whiten",
    "with_gsvd",
]


def __dir__() -> list[str]:
    return __all__
