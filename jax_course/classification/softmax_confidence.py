r"""How far a fitted softmax regression can be trusted (course 5.3, 9.3): Wald's intervals.

    cov(θ_fit) ≈ H⁺,  H_kl = Σ π_k (δ_kl − π_l) x xᵀ                 covariance
    (θ_c − θ_r) ± z √var(θ_c − θ_r)                                  confidence_interval
    σ(η_c ± z √var(η_c)),  η_c = log π_c/(1 − π_c)                   predict_interval: where P(class c given x) lies

A vector added to the θ of all classes changes no probability, and H is 0 along it. So H⁺ is the inverse among those θ
whose rows sum to 0, as those of the fit do; and what has an error of its own is a class against a reference class.

With X W orthonormal and u = W⁻¹θ, H_u + 11ᵀ/K ⊗ I is positive definite: it has H_u where rows sum to 0, and the
identity along what is the same for all classes, which the projection I − 11ᵀ/K takes out of its inverse again.

    ∂η_c/∂z_c = 1,  ∂η_c/∂z_l = −π_l/(1 − π_c) for l ≠ c

Shapes: theta (d, K), the fit's without a penalty; X (m, d), that of the fit; X_new (n, d).
"""

import jax.numpy as jnp
from jax import Array, lax

from jax_course import boundary, checks
from jax_course.classification import logits
from jax_course.classification.sigmoid import sigmoid
from jax_course.linalg import inverse_root, product, spd_factor
from jax_course.probability import intervals
from jax_course.probability.intervals import Interval
from jax_course.typing import ArrayLike


def covariance(theta: ArrayLike, X: ArrayLike, *, weights: ArrayLike = 1.0) -> Array:
    """H⁺ for theta whose rows sum to 0, shape (d, K, d, K) as the Hessian. Course 9.3.

    Errors: ValueError where the Hessian is singular beside that: dependent columns, or π that are all 0 or 1; NaN
    there in jit.

    >>> covariance(jnp.zeros((1, 2)), jnp.array([[2.0]]))[0, :, 0, :]
    Array([[ 0.25, -0.25],
           [-0.25,  0.25]], dtype=float64)
    """
    theta, X = checks.class_scores(theta, X)
    w = boundary.counts(weights, X)
    d, K = theta.shape
    W = inverse_root(jnp.sqrt(w).reshape(-1, 1) * X)
    H = logits.curvature(logits.probabilities(product(X, theta)), product(X, W), w)
    of_a_shift = jnp.eye(d, dtype=X.dtype)[:, None, :, None] / K
    factored = spd_factor((H + of_a_shift).reshape(d * K, d * K))
    of_u = factored.solve(jnp.eye(d * K, dtype=X.dtype)).reshape(d, K, d, K)
    sum_to_0 = jnp.eye(K, dtype=X.dtype) - 1 / K
    cov = jnp.einsum("ja,kq,aqbr,rs,ib->jkis", W, sum_to_0, of_u, sum_to_0, W, precision=lax.Precision.HIGHEST)
    reason = "the Hessian is singular: columns of X depend on each other, or every π is 0 or 1"
    return boundary.determined(jnp.where(factored.is_regular(), cov, jnp.nan), reason)


def standard_errors(theta: ArrayLike, X: ArrayLike, *, reference: int = 0, weights: ArrayLike = 1.0) -> Array:
    """The standard errors of θ_c − θ_reference, shape (d, K); 0 for the reference class. Course 9.3.

    >>> standard_errors(jnp.zeros((1, 2)), jnp.array([[2.0]]))
    Array([[0., 1.]], dtype=float64)
    """
    theta, X = checks.class_scores(theta, X)
    of_one_feature = jnp.einsum("jkjl->jkl", covariance(theta, X, weights=weights))
    variances = jnp.einsum("jkk->jk", of_one_feature)
    r = boundary.class_number(reference, theta)
    return jnp.sqrt(jnp.maximum(variances + variances[:, r][:, None] - 2 * of_one_feature[:, r], 0))


def confidence_interval(
    theta: ArrayLike,
    X: ArrayLike,
    *,
    reference: int = 0,
    confidence: ArrayLike = 0.95,
    weights: ArrayLike = 1.0,
) -> Interval:
    """(θ_c − θ_reference) ± z √var, for each by itself, shape (d, K). Course 5.3, 9.3.

    >>> confidence_interval(jnp.zeros((1, 2)), jnp.array([[2.0]]), confidence=0.5).upper / 0.6744897501960817
    Array([[0., 1.]], dtype=float64)
    """
    theta, X = checks.class_scores(theta, X)
    z = intervals.normal(intervals.level(confidence, X))
    r = boundary.class_number(reference, theta)
    return intervals.around(
        theta - theta[:, r][:, None], z * standard_errors(theta, X, reference=reference, weights=weights)
    )


def predict_interval(
    theta: ArrayLike,
    X: ArrayLike,
    X_new: ArrayLike,
    *,
    confidence: ArrayLike = 0.95,
    weights: ArrayLike = 1.0,
) -> Interval:
    """Where P(class c given x) lies for every row x of X_new, each by itself, shape (n, K). Course 5.3, 9.3.

    >>> predict_interval(jnp.zeros((1, 2)), jnp.array([[2.0]]), jnp.array([[0.0]])).upper
    Array([[0.5, 0.5]], dtype=float64)
    """
    theta, X = checks.class_scores(theta, X)
    X_new = checks.more_rows(X_new, X)
    z, highest = intervals.normal(intervals.level(confidence, X)), lax.Precision.HIGHEST
    Z = product(X_new, theta)
    of_logits = jnp.einsum("ij,jkln,il->ikn", X_new, covariance(theta, X, weights=weights), X_new, precision=highest)
    eta, slopes = logits.against_the_others(Z)
    variance = jnp.einsum("ick,ikn,icn->ic", slopes, of_logits, slopes, precision=highest)
    of_eta = intervals.around(eta, z * jnp.sqrt(jnp.maximum(variance, 0)))
    return Interval(sigmoid(of_eta.lower), sigmoid(of_eta.upper))
