"""Refusals of derivatives that autodiff would get wrong, with a sentence that says what to do."""

from functools import partial
from typing import Any, NoReturn

import jax


def not_differentiable(results: Any, values: Any, name: str) -> Any:
    """The results of `name`, whose derivatives by these values are refused.

    >>> jax.grad(lambda t: not_differentiable(1.0, t, "trace"))(1.0)
    Traceback (most recent call last):
        ...
    TypeError: trace cannot be differentiated: autodiff would follow its steps, whose lengths are chosen. ...
    """
    return _refusing(name, results, values)


@partial(jax.custom_jvp, nondiff_argnums=(0,))
def _refusing(name: str, results: Any, values: Any) -> Any:
    return results


@_refusing.defjvp
def _refuse(name: str, primals: tuple, tangents: tuple) -> NoReturn:
    raise TypeError(
        f"{name} cannot be differentiated: autodiff would follow its steps, whose lengths are chosen. Solvers and fits "
        "can: their derivatives are those of the minimiser"
    )
