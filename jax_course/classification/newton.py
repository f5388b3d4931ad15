r"""The first stage of a fit: Newton's method as course 8.6 has it, and a proof that its result is the minimum.

    H p = −g,  θ ← θ + α p                                            |g(θ + αp)ᵀp| ≤ 0.9 |gᵀp|

The result is accepted only where the gradient is small, H well-conditioned, and the classes proven not to be separable:
if v separated them, then, as derived in `classification.subsample`,

    vᵀHv ≤ max_i |u_i| ‖g‖ ‖v‖,  |u_i| ≤ √2 ‖x_i‖ ‖v‖                  λ_min(H) > √2 max_i ‖x_i‖ ‖g‖  leaves no such v

in coordinates in which the diagonal of H is about 1, H and g those of the point from which the last step was tried. A
penalised parameter cannot escape, and of the others g and H hold no penalty. Softmax regression is flat along one
vector added to all classes, where the gradient is 0: there H is given the mean curvature of the classes, which changes
no step.

Most fits compile nothing else.
"""

import jax.numpy as jnp
from jax import Array

from jax_course.classification.objective import Coordinates, convex_objective, tolerance
from jax_course.linalg import Factored, spd_factor
from jax_course.linear_cost import LinearCost
from jax_course.optimization.descent import State, descent
from jax_course.optimization.newton import newton_method
from jax_course.optimization.objective import Point
from jax_course.optimization.run import last_state
from jax_course.optimization.step_rules import StrongWolfe
from jax_course.solution import Method, Solution, Status

FALL = 1e-10  # of the gradient at the start: smaller it counts as 0; 64 roundings if that is more
SAFETY_FACTOR = 64  # so much more curvature than the bound: the estimated λ_min may be several times too large


def newton(cost: LinearCost, max_steps: Array | int) -> tuple[Solution, Array]:
    """The minimiser of the cost from θ = 0, and whether it is accepted."""
    X, delta2, origin, eps = cost.X, cost.delta2, jnp.zeros_like(cost.delta2), jnp.finfo(cost.X.dtype).eps

    def hessian(point: Point) -> Array:
        H = cost.loss.hessian(point.extra.Z, cost.y, X, cost.w).reshape(point.x.size, point.x.size)
        return H + jnp.diag(2 * delta2.reshape(-1)) + _shift_curvature(H, delta2)

    def direction(H: Array, g: Array) -> tuple[Array, tuple[Factored, Array]]:
        factored = spd_factor(H)
        return -factored.solve(g), (factored, g)

    theta = Coordinates(X, origin, lambda p: p, lambda q: q, lambda moment, theta: moment + 2 * delta2 * theta)
    no_factor = Factored(jnp.eye(origin.size, dtype=X.dtype), jnp.ones(origin.size, X.dtype), jnp.zeros((), X.dtype))
    method = newton_method(direction, (no_factor, jnp.zeros(origin.size, X.dtype)))
    small = max(FALL, 64 * float(eps))
    algorithm = descent(method, StrongWolfe(), lambda g: small * jnp.linalg.norm(g), max_steps)
    end: State = last_state(algorithm, convex_objective(cost, theta, hessian), origin.reshape(-1))
    (factored, g), theta = end.memory, end.point.extra.q
    value, rounded = cost.value(theta), cost.rounded_gradient(theta)
    # where half of the digits may be lost, the coordinates of `whitened_newton` are better
    accurate = (end.norm <= tolerance(end.tolerance / small, rounded)) & factored.is_regular(jnp.sqrt(eps))
    accepted = accurate & jnp.isfinite(value) & is_proven_inseparable(cost, factored, g, rounded)
    status, method = (jnp.array(code, jnp.int32) for code in (Status.CONVERGED, Method.NEWTON))
    evaluations = end.evaluations._replace(function=jnp.ones_like(end.steps))
    return Solution(theta, value, end.norm, end.steps, status, evaluations, method), accepted


def is_proven_inseparable(cost: LinearCost, factored: Factored, g: Array, rounded: Array) -> Array:
    """Whether the bound above proves that no direction separates the classes; g (n,): the gradient where H is taken."""
    g_size = jnp.linalg.norm(factored.scale * (jnp.abs(g) + rounded.reshape(-1)))
    bound = SAFETY_FACTOR * _longest_row(cost.X, factored, cost.delta2) * g_size
    return jnp.all(cost.delta2 > 0) | factored.is_regular(bound)


def _shift_curvature(H: Array, delta2: Array) -> Array:
    """The mean curvature of K classes along one vector added to all, where the penalty does not tell them apart."""
    if delta2.ndim == 1:
        return jnp.zeros_like(H)
    d, K = delta2.shape
    mean = jnp.einsum("jklk->jl", H.reshape(d, K, d, K)) / K
    alike = jnp.all(delta2 == delta2[:, :1])
    return jnp.where(alike, jnp.kron(mean, jnp.full((K, K), 1 / K, H.dtype)), 0)


def _longest_row(X: Array, factored: Factored, theta: Array) -> Array:
    """√2 max ‖x_i‖ in coordinates in which the diagonal of H is about 1."""
    scale = jnp.max(factored.scale.reshape(len(theta), -1), axis=1)
    return jnp.sqrt(2 * jnp.max(jnp.sum((X * scale[None, :]) ** 2, axis=1)))
