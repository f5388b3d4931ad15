r"""Ridge regression for many penalties at once, from one factorisation (course 6.1): path, errors, degrees of freedom.

Row i of a path minimises Σ (y − ŷ)² + penalties[i] Σ factors θ². With the generalised SVD of X and √factors
(`linalg.gsvd`) and p = penalty/τ:

    θ(p) = B · C Zᵀy / (C² + p S²)                                                         path
    ŷ = H y,  H = Z diag(s) Zᵀ,  s = C² / (C² + p S²)
    tr H = Σ s                                                                             degrees_of_freedom
    (1/m) Σ ((y − ŷ)_i / (1 − H_ii))²                                                      leave_one_out
    (1/m) Σ ((y − ŷ)_i / (1 − tr H/m))²                                                    generalized_cross_validation
    t(p) = Σ factors θ² = (1/τ) Σ (S C Zᵀy / (C² + p S²))²                                 budget       6.1b

One or two corrections with the gradient of each θ restore the digits that one factorisation for all penalties costs,
where it costs any: a correction reads X once, for all penalties.

Without example i its prediction is ŷ_i − H_ii(y − ŷ)_i/(1 − H_ii) (Sherman and Morrison), hence the error above without
a second fit. 1 − s is p S²/(C² + p S²), so that nothing cancels where the fit nearly interpolates.

An example of weight w counts as w equal ones: X and y are √W X and √W y, m is Σ w. One of the w is left out, the others
stay. With A = XᵀWX + p diag(factors), ŷ = xᵀA⁻¹XᵀWy and h = xᵀA⁻¹x, again by Sherman and Morrison:

    (A − xxᵀ)⁻¹ = A⁻¹ + A⁻¹xxᵀA⁻¹/(1 − h)
    y − xᵀ(A − xxᵀ)⁻¹(XᵀWy − xy) = y − (ŷ − hy)/(1 − h) = (y − ŷ)/(1 − h)

So the error is (1/Σw) Σ w ((y − ŷ)/(1 − h))², and w h is the H_ii of √W X. A weight that all share divides the
penalties instead.

t falls from that of least squares to 0 while the penalty rises: to each budget t belongs one penalty, and the minimiser
of ‖y − Xθ‖² under Σ factors θ² ≤ t is the ridge solution with that penalty (Course 6.1).
"""

from typing import NamedTuple

import jax.numpy as jnp
from jax import Array

from jax_course import inputs
from jax_course.implicit import evaluated
from jax_course.inputs.types import ArrayLike
from jax_course.regression import ridge_formulas, ridge_gsvd


class Constrained(NamedTuple):
    """theta (d,), and the penalty whose ridge solution it is: 0 where least squares keeps to the budget."""

    theta: Array
    penalty: Array


def path(
    X: ArrayLike, y: ArrayLike, penalties: ArrayLike, *, factors: ArrayLike = 1.0, weights: ArrayLike = 1.0
) -> Array:
    """θ for each penalty, shape (n, d). Course 6.1.

    penalties ≥ 0, shape (n,), in any order; factors ≥ 0 broadcast against theta, a 0 spares the bias. Fewer digits than
    `fit` for penalties below rounding on columns of very different units; NaN or infinity where neither data nor
    penalty determines theta.

    >>> path(jnp.array([[1.0], [2.0]]), jnp.array([3.0, 7.0]), jnp.array([3.5, 12.0]))
    Array([[2.],
           [1.]], dtype=float64)
    """
    return evaluated(ridge_gsvd.path, ridge_formulas.path, *_problem(X, y, penalties, factors, weights))


def leave_one_out(
    X: ArrayLike, y: ArrayLike, penalties: ArrayLike, *, factors: ArrayLike = 1.0, weights: ArrayLike = 1.0
) -> Array:
    """The mean squared error of predicting each example from all others, for each penalty, shape (n,). Course 6.1.

    Infinite where the others do not determine the prediction, or where there is less than one to leave out (1 − h ≤ 0).
    Examples 1 and 3 of a constant predict 3 and 1:

    >>> leave_one_out(jnp.ones((2, 1)), jnp.array([1.0, 3.0]), jnp.array([0.0]))
    Array([4.], dtype=float64)
    """
    return evaluated(
        ridge_gsvd.leave_one_out, ridge_formulas.leave_one_out, *_problem(X, y, penalties, factors, weights)
    )


def generalized_cross_validation(
    X: ArrayLike, y: ArrayLike, penalties: ArrayLike, *, factors: ArrayLike = 1.0, weights: ArrayLike = 1.0
) -> Array:
    """`leave_one_out` with every H_ii replaced by their mean, for each penalty, shape (n,). Course 6.1.

    It does not change when examples are mixed by a rotation (Golub, Heath and Wahba 1979).

    >>> generalized_cross_validation(jnp.ones((2, 1)), jnp.array([1.0, 3.0]), jnp.array([0.0]))
    Array([4.], dtype=float64)
    """
    problem = _problem(X, y, penalties, factors, weights)
    return evaluated(ridge_gsvd.generalized_cross_validation, ridge_formulas.generalized_cross_validation, *problem)


def degrees_of_freedom(
    X: ArrayLike, penalties: ArrayLike, *, factors: ArrayLike = 1.0, weights: ArrayLike = 1.0
) -> Array:
    """tr H for each penalty, shape (n,): from d without a penalty to the number of factors 0. Course 6.1.

    >>> degrees_of_freedom(jnp.array([[3.0, 0.0], [0.0, 3.0]]), jnp.array([0.0, 9.0]))
    Array([2., 1.], dtype=float64)
    """
    X = inputs.training_design(X)
    problem = _problem(X, jnp.zeros_like(X[:, 0]), penalties, factors, weights)
    return evaluated(ridge_gsvd.degrees_of_freedom, ridge_formulas.degrees_of_freedom, *problem)


def budget(
    X: ArrayLike, y: ArrayLike, penalties: ArrayLike, *, factors: ArrayLike = 1.0, weights: ArrayLike = 1.0
) -> Array:
    """t = Σ factors θ² of each solution, shape (n,): falls while the penalty rises. Course 6.1.

    >>> budget(jnp.array([[1.0], [2.0]]), jnp.array([3.0, 7.0]), jnp.array([3.5, 12.0]))
    Array([4., 1.], dtype=float64)
    """
    return evaluated(ridge_gsvd.budget, ridge_formulas.budget, *_problem(X, y, penalties, factors, weights))


def constrained(
    X: ArrayLike, y: ArrayLike, *, budget: ArrayLike, factors: ArrayLike = 1.0, weights: ArrayLike = 1.0
) -> Constrained:
    """The minimiser of Σ (y − ŷ)² under Σ factors θ² ≤ budget, and its penalty. Course 6.1.

    >>> constrained(jnp.array([[1.0], [2.0]]), jnp.array([3.0, 7.0]), budget=4.0).theta
    Array([2.], dtype=float64)
    """
    X, y, w, factors = inputs.regression_problem(X, y, penalty=factors, weights=weights, name="factors")
    t = inputs.positive(budget, "budget", X)
    return Constrained(*evaluated(ridge_gsvd.constrained, ridge_gsvd.constrained_formula, X, y, w, t, factors))


def _problem(
    X: ArrayLike, y: ArrayLike, penalties: ArrayLike, factors: ArrayLike, weights: ArrayLike
) -> tuple[Array, Array, Array, Array, Array]:
    X, y, w, factors = inputs.regression_problem(X, y, penalty=factors, weights=weights, name="factors")
    penalties = inputs.as_array(penalties, "penalties", like=X).astype(X.dtype)
    if penalties.ndim != 1 or not penalties.size:
        raise ValueError(f"penalties must have shape (n,), at least one; got shape {penalties.shape}")
    return X, y, w, inputs.nonnegative(penalties, "penalties"), factors
