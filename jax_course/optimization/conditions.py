r"""The conditions of a minimiser that a solver found, for its derivatives by whatever the cost closes over.

    cost(θ) = J(θ, p):          ∇J(θ, p) = 0                                H = ∇²J
    with a prox of h:           F = θ − prox(θ − ∇J(θ, p), 1, p) = 0        ∂F/∂θ, not symmetric

The values p are those in the closures of the functions that autodiff follows; `jax.closure_convert` finds them.
"""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array

from jax_course.implicit import LARGEST_HESSIAN, Conditions, conjugate_gradients, spd_inverse_product
from jax_course.linalg.lapack import solve
from jax_course.optimization.objective import Objective, Point, objective, parameters

Functions = Mapping[str, Any]  # cost, gradient, …


def without_closures(functions: Functions, theta: Any) -> tuple[Functions, Mapping[str, list[Array]]]:
    """The functions, with further arguments for the values they close over, and these values."""
    theta = parameters(jax.lax.stop_gradient(parameters(theta)))
    further = {"hessian_product": (theta,), "proximal": (jnp.ones((), jnp.result_type(*jax.tree.leaves(theta))),)}
    converted = {
        name: jax.closure_convert(function, theta, *further.get(name, ())) if function is not None else (None, [])
        for name, function in functions.items()
    }
    return {name: pair[0] for name, pair in converted.items()}, {name: pair[1] for name, pair in converted.items()}


def with_values(functions: Functions, p: Mapping[str, Any]) -> Functions:
    """The functions of theta, of the values p in their closures."""
    return {
        name: partial(_called, function, p[name]) if p.get(name) else function for name, function in functions.items()
    }


def _called(function: Callable, values: list[Array], *arguments: Any) -> Any:
    return function(*arguments, *values)


def conditions(functions: Functions, theta: Any) -> Conditions:
    """The conditions of a minimiser x (n,) of values p; theta: a tree like the start."""

    def objective_for(p: Any) -> Objective:
        return objective(theta, **with_values(functions, p))

    def hessian(x: Array, p: Any) -> Array:
        return objective_for(p).hessian(Point(x, x[0], x))

    def inverse_product(x: Array, p: Any, b: Array) -> Array:
        if b.size > LARGEST_HESSIAN:
            return conjugate_gradients(partial(objective_for(p).product, x), b)
        return spd_inverse_product(hessian(x, p), b)

    cost, gradient = (lambda x, p: objective_for(p).value(x)), (lambda x, p: objective_for(p).gradient(x))
    if functions.get("proximal") is None:
        return Conditions(cost, gradient, lambda x, p, v: objective_for(p).product(x, v), inverse_product)

    def moved(x: Array, p: Any) -> Array:
        return x - objective_for(p).proximal(x - gradient(x, p), jnp.ones((), x.dtype))

    def product(x: Array, p: Any, v: Array) -> Array:
        return jax.jvp(lambda x: moved(x, p), (x,), (v,))[1]

    def jacobian(x: Array, p: Any) -> Array:
        return jax.vmap(partial(product, x, p), out_axes=1)(jnp.eye(x.size, dtype=x.dtype))

    return Conditions(
        cost,
        moved,
        product,
        solve=lambda x, p, b: solve(jacobian(x, p), b),
        solve_transposed=lambda x, p, b: solve(jacobian(x, p).T, b),
    )
