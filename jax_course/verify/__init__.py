r"""The derivative doctor: is this hand-derived gradient right, and if not, what is wrong with it?

    verify.derivatives(cost, params, X, y, gradient=…, hessian=…, hessian_product=…, penalty=0.3)

Several witnesses compute the same derivative in ways that fail differently: reverse- and forward-mode autodiff, central
differences with an error bar for each entry, the complex step, the comparison of float32 with float64, and the order of
the Taylor remainder. Each agrees, disagrees or abstains. What disagrees is diagnosed: the kind of the mistake, the leaf
and entry, both values, and the number that supports the guess. There is no eps and no tolerance to choose.

It imports no model of this project and needs none: any cost of any pytree will do, in JAX or in plain NumPy.
"""

from collections.abc import Callable
from typing import Any

from jax_course.verify.examine import examine
from jax_course.verify.findings import Finding, Kind, Witness
from jax_course.verify.report import Report, WrongDerivative
from jax_course.verify.subject import double_precision

__all__ = [
    "Finding",
    "Kind",
    "Report",
    "Witness",
    "WrongDerivative",
    "assert_derivatives",
    "derivatives",
    "layer",
    "model",
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
    """Examine the derivatives of cost(params, *arguments, **keywords), a scalar, by params, any pytree of floats.

    gradient and hessian have the signature of the cost; hessian_product takes the direction after the arguments. All
    is computed in float64 whatever the caller's settings. Errors: TypeError for parameters that are no floating-point
    numbers, ValueError for a cost that is no scalar, cannot be computed, or where there is nothing to examine.

    >>> report = derivatives(lambda x: x[0] ** 2 + 3 * x[1], jnp.array([2.0, 5.0]),
    ...                      gradient=lambda x: jnp.array([x[0], 3.0]))
    >>> report.ok, report.findings[0].where, report.findings[0].hand, report.findings[0].reference
    (False, 'x[0]', 2.0, 4.0)
    """
    given = {"gradient": gradient, "hessian": hessian, "hessian_product": hessian_product}
    hands = {of: function for of, function in given.items() if function is not None}
    if not hands:
        raise ValueError("nothing to examine: give gradient=, hessian= or hessian_product=")
    for name, function in {"cost": cost, **hands}.items():
        if not callable(function):
            raise TypeError(f"{name} must be a function; got {type(function).__name__}")
    with double_precision():
        return examine(cost, params, arguments, keywords, hands)


def model(module: Any, params: Any, *arguments: Any, **keywords: Any) -> Report:
    """Examine whatever of gradient, hessian and hessian_product a model exports beside its cost.

    >>> from jax_course import linear
    >>> model(linear, jnp.array([1.0]), jnp.array([[1.0], [2.0]]), jnp.array([3.0, 5.0])).ok
    True
    """
    if not callable(getattr(module, "cost", None)):
        raise TypeError(f"module must have a function cost, as a model has; got {type(module).__name__}")
    hands = {of: getattr(module, of, None) for of in ("gradient", "hessian", "hessian_product")}
    return derivatives(module.cost, params, *arguments, **hands, **keywords)


def layer(layer: Any, params: Any, z: Any) -> Report:
    """Examine a layer's backward pass: forward(params, z) → (output, cache), backward(params, cache, delta) → (dparams,
    delta_in). Its gradient is that of ⟨delta, output⟩ by params and z, for a seeded delta."""
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
    """For a test: `derivatives`, and an AssertionError carrying the report unless it says right."""
    report = derivatives(*arguments, **keywords)
    if not report.ok:
        raise WrongDerivative(report)
