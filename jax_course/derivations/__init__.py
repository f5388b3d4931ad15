r"""The derivations of the course, line by line, each line checked against the one before.

    from jax_course.derivations import DERIVATIONS, find

    print(find("logistic_gradient").check())

Where the course prints a line with a slip, the derivation holds what is meant, and the printed line stands beside it in
`slips`. The last line of each is a public function of this package.
"""

from jax_course.derivations import (
    backpropagation,
    least_squares,
    likelihood,
    logistic,
    networks,
    optimization,
    probability,
    regularization,
    softmax,
)
from jax_course.derivations.record import Derivation, Slip

__all__ = ["DERIVATIONS", "Derivation", "Slip", "find"]

DERIVATIONS: tuple[Derivation, ...] = (
    *least_squares.DERIVATIONS,
    *probability.DERIVATIONS,
    *likelihood.DERIVATIONS,
    *regularization.DERIVATIONS,
    *optimization.DERIVATIONS,
    *logistic.DERIVATIONS,
    *softmax.DERIVATIONS,
    *backpropagation.DERIVATIONS,
    *networks.DERIVATIONS,
)


def __dir__() -> list[str]:
    return __all__


def find(name: str) -> Derivation:
    """The derivation of that name. Errors: KeyError, with the names that there are.

    >>> find("quadratic_form").source
    'Course 3.3'
    """
    found = {derivation.name: derivation for derivation in DERIVATIONS}
    if name not in found:
        raise KeyError(f"there is no derivation {name!r}; there are {', '.join(found)}")
    return found[name]
