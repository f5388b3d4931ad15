"""The few expensive operations, in one place: here a formula is traded for speed or for digits, nowhere else.

Every form is tested against the literal one it stands for. All products ask for `Precision.HIGHEST`, because an
accelerator's default for float32 is not float32.
"""

from jax_course.linalg.blocks import residual_moments, sum_over_blocks, there_and_back
from jax_course.linalg.distances import squared_distances
from jax_course.linalg.grams import gram, gram_and_moment
from jax_course.linalg.least_squares import LeastSquares, column_scale, inverse_root, least_squares, minimum_norm
from jax_course.linalg.normal_equations import Solved, penalized_least_squares, predictive_least_squares
from jax_course.linalg.products import product, transpose_product
from jax_course.linalg.solve import Factored, SPDSolution, rank_tolerance, shortest_solution, spd_factor, spd_solve
from jax_course.linalg.spectrum import Spectrum, with_spectrum
from jax_course.linalg.trust import first_trusted
from jax_course.linalg.whitening import Whitened, whiten

__all__ = [
    "Factored",
    "LeastSquares",
    "SPDSolution",
    "Solved",
    "Spectrum",
    "Whitened",
    "column_scale",
    "first_trusted",
    "gram",
    "gram_and_moment",
    "inverse_root",
    "least_squares",
    "minimum_norm",
    "penalized_least_squares",
    "predictive_least_squares",
    "product",
    "rank_tolerance",
    "residual_moments",
    "shortest_solution",
    "spd_factor",
    "spd_solve",
    "squared_distances",
    "sum_over_blocks",
    "there_and_back",
    "transpose_product",
    "whiten",
    "with_spectrum",
]


def __dir__() -> list[str]:
    return __all__
