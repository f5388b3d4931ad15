r"""The losses of the course, as functions of the scores z and the targets y: one record each.

                            ŷ(z)       value of an example                 slope ∂C/∂z      (∂²C/∂z²) u
    squared_error           z          (y − z)²                            2(z − y)         2u              3.3, 11.3
    binary_cross_entropy    σ(z)       −y log π − (1 − y) log(1 − π)       π − y            π(1 − π)u       8.4, 11.2
    cross_entropy           softmax z  −log π_y                            π − 1_c(y)       π(u − ⟨π, u⟩)   9.2, 11.4

What follows for a linear model z = Xθ, by the chain rule: gradient Xᵀ(w · slope), Hessian Σ w x xᵀ ∂²C/∂z². The cost of
a network stands behind its last layer.

The two cross-entropies take z, the logits, not π: −log π = softplus(−z) is finite for any z, and in the slope the
factor (π − y)/(π(1 − π)) of ∂C/∂π (8.4) and σ' = π(1 − π) cancel before anybody divides by 0.

Since Σ_l π_l = 1, the blocks on the diagonal of the Hessian of K classes are π_k(1 − π_k) = Σ_{l≠k} π_k π_l: minus the
sum of the others. So one Gram matrix, of the columns π_k x, has the whole Hessian in it, and nothing cancels where a
π_k is nearly 1.

Shapes: z (m,) or (m, d), a row per example. squared_error: y like z, or (m,) for d = 1; binary_cross_entropy: d = 1,
y (m,) of 0 and 1; cross_entropy: d = K, y (m,) class numbers 0…K−1. ŷ has the shape (m,) where d = 1, else (m, d).

Losses that are not of the course: `regression_losses`.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax.numpy as jnp
from jax import Array

from jax_course import inputs
from jax_course.linalg import gram
from jax_course.scores import indicator, minus_log_pi, probabilities, sigmoid, sigmoid_derivative, softplus

__all__ = ["Loss", "binary_cross_entropy", "cross_entropy", "one_score_loss", "squared_error"]


def __dir__() -> list[str]:
    return __all__


def _undefined(*_: Array) -> Array:
    raise TypeError("this loss has no derivatives for the fit of a linear classifier; binary_cross_entropy has")


class Loss(NamedTuple):
    """A loss and its derivatives as functions of scores and targets. Course 8.4, 9.2.

    The first seven are what a network needs; the others, what the fit of a linear classifier needs besides. That fit
    assumes for each example: the loss is convex in z and finite at z = 0; along any u with margins ≥ 0

        uᵀ (∂²C/∂z²) u ≤ √2 ‖u‖ |uᵀ ∂C/∂z|.
    """

    prediction: Callable  # z → ŷ
    values: Callable  # (z, y) → the loss of every example, (m,)
    slope: Callable  # (z, y) → ∂C/∂z, like z
    curvature_product: Callable  # (z, y, u) → (∂²C/∂z²) u, like z
    targets: Callable  # (y, z) → y as the functions above take it; refused where it does not fit z
    width: Callable  # d → None; refused where no z of that width fits
    name: str
    hessian: Callable = _undefined  # (z, y, X, w, threshold=0) → Σ w x xᵀ ∂²C/∂z², of examples uncertain beyond that
    margin: Callable = _undefined  # (z, y) → like z: where all are ≥ 0, one is > 0, C decreases along z without end
    terms: Callable = _undefined  # (z, y) → the size of the numbers whose difference the slope is, like z
    curvature: Callable = _undefined  # (z, y) → ∂²C/∂z_k² of every score by itself, like z
    mean_curvature: Callable = _undefined  # (z, y) → ∂²C/∂z² of every example, on average over the classes, (m,)
    min_curvature: Callable = _undefined  # (z, y) → a lower bound on ∂²C/∂z² in any direction, (m,)

    def value(self, z: Array, y: Array) -> Array:
        """The sum over the examples, a scalar."""
        return jnp.sum(self.values(z, y))

    def delta(self, z: Array, y: Array) -> Array:
        """The slope, by the letter of the lecture: δ = ∂C/∂z. Course 10.2."""
        return self.slope(z, y)


def squared_error() -> Loss:
    """(y − z)². Course 3.3, 11.3.

    >>> C, z, y = squared_error(), jnp.array([[2.0]]), jnp.array([5.0])
    >>> C.value(z, y), C.slope(z, y)
    (Array(9., dtype=float64), Array([[-6.]], dtype=float64))
    """
    return Loss(
        prediction=_without_unit_axis,
        values=lambda z, y: _row_sums((y.reshape(z.shape) - z) ** 2),
        slope=lambda z, y: 2 * (z - y.reshape(z.shape)),
        curvature_product=lambda z, y, u: 2 * u,
        targets=lambda y, z: inputs.targets(y, z) if z.shape[1] == 1 else inputs.target_rows(y, z),
        width=lambda d: None,
        name="squared_error",
        hessian=lambda z, y, X, w, threshold=0.0: 2 * gram(X, weights=w),
    )


def binary_cross_entropy() -> Loss:
    """−y log π − (1 − y) log(1 − π) with π = σ(z). Course 8.4, 11.2.

    >>> C, z, y = binary_cross_entropy(), jnp.array([[0.0]]), jnp.array([1.0])
    >>> C.value(z, y) / jnp.log(2), C.slope(z, y), C.value(1e4 * jnp.ones((1, 1)), jnp.zeros(1))
    (Array(1., dtype=float64), Array([[-0.5]], dtype=float64), Array(10000., dtype=float64))
    """

    return one_score_loss(
        "binary_cross_entropy",
        prediction=sigmoid,
        values=lambda z, y: softplus((1 - 2 * y) * z),
        slope=lambda z, y: sigmoid(z) - y,
        curvature=lambda z, y: sigmoid_derivative(z),
        margin=lambda z, y: (2 * y - 1) * z,
        terms=lambda z, y: jnp.ones_like(z),
        meaning=", the logit of class 1",
    )


def cross_entropy() -> Loss:
    """−log π_y with π = softmax(z). Course 9.2, 11.4.

    >>> C, z, y = cross_entropy(), jnp.zeros((1, 2)), jnp.array([1])
    >>> C.value(z, y) / jnp.log(2), C.slope(z, y)
    (Array(1., dtype=float64), Array([[ 0.5, -0.5]], dtype=float64))
    """

    def curvature_product(Z: Array, y: Array, u: Array) -> Array:
        pi = probabilities(Z)
        return pi * (u - jnp.sum(pi * u, axis=1, keepdims=True))

    def hessian(Z: Array, y: Array, X: Array, w: Array, threshold: Array | float = 0.0) -> Array:
        pi = probabilities(Z)
        return class_hessian(jnp.where(pi <= threshold, 0, pi), X, w)

    def margin(Z: Array, y: Array) -> Array:
        own = jnp.take_along_axis(Z, y[:, None], axis=1)
        return jnp.where(indicator(y, Z) > 0, jnp.inf, own - Z)

    return Loss(
        prediction=probabilities,
        values=lambda Z, y: jnp.where(y < Z.shape[1], minus_log_pi(Z, y), jnp.nan),
        slope=lambda Z, y: probabilities(Z) - indicator(y, Z),
        curvature_product=curvature_product,
        targets=inputs.class_numbers,
        width=_several_classes,
        name="cross_entropy",
        hessian=hessian,
        margin=margin,
        terms=lambda Z, y: jnp.ones_like(Z),
        curvature=lambda Z, y: probabilities(Z) * (1 - probabilities(Z)),
        mean_curvature=lambda Z, y: (1 - jnp.sum(probabilities(Z) ** 2, axis=1)) / max(1, Z.shape[1] - 1),
        min_curvature=lambda Z, y: jnp.min(probabilities(Z), axis=1),
    )


def one_score_loss(
    name: str,
    prediction: Callable,
    values: Callable,
    slope: Callable,
    curvature: Callable,
    margin: Callable,
    terms: Callable,
    is_certain: Callable = lambda y, S, threshold: S <= threshold,
    meaning: str = "",
) -> Loss:
    """The loss of one score per example, from functions of z and y of one shape; curvature: ∂²C/∂z².

    is_certain: (y, ∂²C/∂z², threshold) → whether an example is.
    """

    def hessian(z: Array, y: Array, X: Array, w: Array, threshold: Array | float = 0.0) -> Array:
        S = curvature(z, y)
        return gram(X, weights=w * jnp.where(is_certain(y, S, threshold), 0, S))

    def width(d: int) -> None:
        if d != 1:
            raise ValueError(f"{name} needs a last layer of width 1{meaning}; got {d}")

    return Loss(
        prediction=lambda z: prediction(_without_unit_axis(z)),
        values=lambda z, y: _row_sums(values(z, y.reshape(z.shape))),
        slope=lambda z, y: slope(z, y.reshape(z.shape)),
        curvature_product=lambda z, y, u: curvature(z, y.reshape(z.shape)) * u,
        targets=inputs.targets,
        width=width,
        name=name,
        hessian=hessian,
        margin=margin,
        terms=terms,
        curvature=curvature,
        mean_curvature=curvature,
        min_curvature=curvature,
    )


def _row_sums(values: Array) -> Array:
    return values if values.ndim == 1 else jnp.sum(values, axis=1)


def _without_unit_axis(z: Array) -> Array:
    return z[:, 0] if z.ndim == 2 and z.shape[1] == 1 else z


def _several_classes(d: int) -> None:
    if d < 2:
        raise ValueError(f"cross_entropy needs a last layer with a width for each of K ≥ 2 classes; got {d}")


def class_hessian(pi: Array, X: Array, w: Array) -> Array:
    """Σ_i w_i (δ_kl Σ_n π_ik π_in − π_ik π_il) x_i x_iᵀ from one Gram matrix, shape (d, K, d, K). Course 9.3."""
    shape = X.shape[1], pi.shape[1]
    same_class = jnp.eye(pi.shape[1], dtype=bool)[None, :, None, :]
    pi_x = (X[:, :, None] * pi[:, None, :]).reshape(X.shape[0], -1)
    pi_pi_xx = jnp.where(same_class, 0, gram(pi_x, w).reshape(shape + shape))
    one_minus_pi = jnp.where(same_class, jnp.sum(pi_pi_xx, axis=3, keepdims=True), 0)
    return one_minus_pi - pi_pi_xx


def class_shift(curvature: Array, K: int) -> Array:
    """A Hessian with this curvature (d, d) along one vector added to all K classes, shape (d, K, d, K).

    Such a vector changes no probability, so that the Hessian of the cost is singular along it. Along vectors that sum
    to 0 over the classes this Hessian is 0: the solutions of a system keep their part there.
    """
    d = len(curvature)
    return jnp.broadcast_to(curvature[:, None, :, None] / K, (d, K, d, K))
