r"""The derivative doctor: is this hand-derived gradient right, and if not, what is wrong with it?

    verify.derivatives(cost, params, X, y, gradient=…, hessian=…, hessian_product=…, penalty=0.3)

Several witnesses compute the derivative in ways that fail differently: reverse- and forward-mode autodiff, central
differences with an error bar for each entry, the complex step, the comparison of float32 with float64, and the order of
the Taylor remainder. Each agrees, disagrees or abstains. A difference is diagnosed: the kind of the mistake, the leaf
and entry, both values, and the number that supports the guess. There is no step and no tolerance to choose.

It imports no model of this project and needs none: any cost of any pytree will do, in JAX or in plain NumPy.
"""

from collections.abc import Callable
from typing import Any

from jax_course.verify.derivation import derivation
from jax_course.verify.derivation_report import DerivationReport
from jax_course.verify.examine import examine
from jax_course.verify.findings import Finding, Kind, Witness
from jax_course.verify.jacobians import jacobian
from jax_course.verify.lines import Line, line
from jax_course.verify.parameters import double_precision
from jax_course.verify.report import Report, WrongDerivative
from jax_course.verify.rules import rule
from jax_course.verify.torch_functions import torch_function

__all__ = [
    "DerivationReport",
    "Finding",
    "Kind",
    "Line",
    "Report",
    "Witness",
    "WrongDerivative",
    "assert_derivatives",
    "derivation",
    "derivatives",
    "jacobian",
    "layer",
    "line",
    "model",
    "rule",
    "torch_function",
]


def __dir__() -> list[str]:
    return __all__


def derivatives(
    cost: Callable,
    params: Any,
    *arguments: Any,
    gradient: Callable | None = None,
    hessian: Callable | None = None,
    hessian_product: Callable | None = None,
    **keywords: Any,
) -> Report:
    """Examine hand-derived derivatives of cost(params, *arguments, **keywords), a scalar; params: a pytree of floats.

    gradient has the signature of the cost and the structure and shapes of params; hessian has for each pair of leaves a
    block (*shape, *other shape), as `jax.hessian` has; hessian_product takes a direction, shaped as params, after the
    arguments. All is computed in float64, whatever the caller's settings.
    Errors: TypeError for parameters that are no floating-point numbers, or a cost that returns none; ValueError for a
    cost that is no scalar or cannot be computed, or if there is nothing to examine.

    >>> report = derivatives(lambda x: x[0] ** 2 + 3 * x[1], jnp.array([2.0, 5.0]),
    ...                      gradient=lambda x: jnp.array([x[0], 3.0]))
    >>> report.ok, report.findings[0].location, report.findings[0].hand, report.findings[0].reference
    (False, 'x[0]', 2.0, 4.0)
    """
    functions = {"gradient": gradient, "hessian": hessian, "hessian_product": hessian_product}
    hands = {name: function for name, function in functions.items() if function is not None}
    if not hands:
        raise ValueError("nothing to examine: give gradient=, hessian= or hessian_product=")
    for name, function in {"cost": cost, **hands}.items():
        if not callable(function):
            raise TypeError(f"{name} must be a function; got {type(function).__name__}")
    with double_precision():
        return examine(cost, params, arguments, keywords, hands)


def model(module: Any, params: Any, *arguments: Any, **keywords: Any) -> Report:
    """Examine the functions gradient, hessian and hessian_product that a model has beside its cost.

    module: a module or object with those functions. Errors: TypeError if it has no cost, else as in `derivatives`.

    >>> from jax_course import linear
    >>> model(linear, jnp.array([1.0]), jnp.array([[1.0], [2.0]]), jnp.array([3.0, 5.0])).ok
    True
    """
    if not callable(getattr(module, "cost", None)):
        raise TypeError(f"module must have a function cost, as a model has; got {type(module).__name__}")
    hands = {name: getattr(module, name, None) for name in ("gradient", "hessian", "hessian_product")}
    return derivatives(module.cost, params, *arguments, **hands, **keywords)


def layer(layer: Any, params: Any, z: Any) -> Report:
    """Examine a layer's backward pass: the gradient of ⟨delta, output⟩ by params and z, for a seeded delta.

    layer: an object with forward(params, z) → (output, cache) and backward(params, cache, delta) → (dparams, delta_in).
    delta is shaped as the output, dparams as params, delta_in as z. Errors: TypeError without these two functions.

    >>> from types import SimpleNamespace
    >>> times = SimpleNamespace(forward=lambda a, z: (a * z, z), backward=lambda a, z, delta: (delta @ z, a * delta))
    >>> layer(times, 3.0, jnp.ones(2)).ok
    True
    """
    import jax.numpy as jnp
    import numpy as np

    if not callable(getattr(layer, "forward", None)) or not callable(getattr(layer, "backward", None)):
        raise TypeError(f"layer must have forward and backward, as networks.Layer has; got {type(layer).__name__}")
    shape = np.shape(layer.forward(params, z)[0])
    delta = np.random.default_rng(0).standard_normal(shape)

    def cost(inputs, delta):
        return jnp.sum(layer.forward(inputs["params"], inputs["z"])[0] * delta)

    def gradient(inputs, delta):
        _, cache = layer.forward(inputs["params"], inputs["z"])
        dparams, delta_in = layer.backward(inputs["params"], cache, delta)
        return {"params": dparams, "z": delta_in}

    return derivatives(cost, {"params": params, "z": z}, delta, gradient=gradient)


def assert_derivatives(*arguments: Any, **keywords: Any) -> None:
    """Examine as `derivatives` does. Errors: `WrongDerivative`, an AssertionError with the report, unless it is right.

    >>> assert_derivatives(lambda x: x**2, 3.0, gradient=lambda x: 2 * x)
    """
    report = derivatives(*arguments, **keywords)
    if not report.ok:
        raise WrongDerivative(report)
