r"""Newton without a Hessian (course 7.6b).

    H p = −g  by conjugate gradients,  until  ‖H p + g‖ ≤ min(0.1, √(‖g‖ / ‖g at the start‖)) ‖g‖     N&W Algorithm 7.1

Only products H d are needed, and p is only as exact as the quadratic model is worth: far from the minimum a few
products do, near it the steps become Newton's. A direction d that curves downwards is the last, and its step is as long
as if it curved upwards as much, as in `newton`. N&W stop before it, which on Rosenbrock's valley and on Wood's function
takes twice and three times the evaluations.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax.numpy as jnp
from jax import Array, lax
from jax.typing import ArrayLike

from jax_course.checks import whole
from jax_course.optimization.descent import Heading, Method, descent
from jax_course.optimization.objective import Objective, Point
from jax_course.optimization.programs import Algorithm, Task, solver
from jax_course.optimization.steps import StrongWolfe


@solver
def newton_cg(
    cost: Callable[[Any], ArrayLike],
    theta: Any,
    *,
    gradient: Callable[[Any], Any] | None = None,
    hessian_product: Callable[[Any, Any], Any] | None = None,
    tolerance: ArrayLike | None = None,
    max_steps: int = 1000,
) -> Task:
    """Minimise cost(theta) by Newton with products hessian_product(theta, v) alone: no Hessian is formed. Course 7.6.

    >>> newton_cg(lambda t: jnp.sum((t - 3.0) ** 4), jnp.zeros(1000), tolerance=1e-6).check().theta[7].round(2)
    Array(3., dtype=float64)
    """
    settings = {"tolerance": tolerance, "max_steps": whole(max_steps, "max_steps")}
    functions = {"cost": cost, "gradient": gradient, "hessian_product": hessian_product}
    return Task(_newton_cg, functions, theta, settings)


class _Inner(NamedTuple):
    """Conjugate gradients on H z = −g: z, r = Hz + g, the direction, the products, whether H curved upwards so far."""

    z: Array
    r: Array
    d: Array
    products: Array
    upwards: Array


def _newton_cg(**settings: Any) -> Algorithm:
    def heading(f: Objective, point: Point, norm_at_start: Array) -> Heading:
        norm = jnp.linalg.norm(point.g)
        enough = jnp.minimum(0.1, jnp.sqrt(norm / norm_at_start))
        p, products = conjugate_gradients(partial(f.product, point.x), point.g / norm, enough)
        return Heading(norm * p, jnp.ones_like(norm), products)

    method = Method(
        start=lambda point: jnp.linalg.norm(point.g),
        heading=heading,
        update=lambda norm_at_start, old, new, heading, alpha: norm_at_start,
    )
    return descent(method, StrongWolfe(), **settings)


def conjugate_gradients(product: Callable[[Array], Array], g: Array, enough: Array) -> tuple[Array, Array]:
    """z with ‖Hz + g‖ ≤ enough, or as far as H curves upwards and one direction more; and the products it took."""
    eps = jnp.finfo(g.dtype).eps

    def step(state: _Inner) -> _Inner:
        z, r, d, products, _ = state
        Hd = product(d)
        curvature, rounding = d @ Hd, eps * jnp.linalg.norm(d) * jnp.linalg.norm(Hd)
        size = jnp.maximum(jnp.abs(curvature), rounding)
        alpha = (r @ r) / jnp.where(size > 0, size, r @ r)
        r_new = r + alpha * Hd
        d_new = -r_new + (r_new @ r_new) / (r @ r) * d
        return _Inner(z + alpha * d, r_new, d_new, products + 1, curvature > rounding)

    def goes_on(state: _Inner) -> Array:
        return state.upwards & (jnp.linalg.norm(state.r) > enough) & (state.products < 2 * g.size)

    start = _Inner(jnp.zeros_like(g), g, -g, jnp.asarray(0, jnp.int32), jnp.asarray(True))
    end = lax.while_loop(goes_on, step, start)
    return end.z, end.products
