r"""The cost as one more layer: a loss of the last z of a network (course 9.2, 11.1–11.4), from `jax_course.losses`.

C = Σ over the rows of the loss,  δ^L = ∂C/∂z                      where backpropagation begins       10.2
"""

from jax_course.losses import Loss as Cost
from jax_course.losses import binary_cross_entropy, cross_entropy, squared_error

__all__ = ["Cost", "binary_cross_entropy", "cross_entropy", "squared_error"]


def __dir__() -> list[str]:
    return __all__
