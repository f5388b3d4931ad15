r"""Confidence of softmax regression by Wald's intervals (course 5.3, 9.3).

    cov(θ_fit) ≈ H⁺,  H_kl = Σ π_k (δ_kl − π_l) x xᵀ                 covariance
    (θ_c − θ_r) ± z √var(θ_c − θ_r)                                  confidence_interval
    σ(η_c ± z √var(η_c)),  η_c = log π_c/(1 − π_c)                   predict_interval: P(class c given x)

A vector added to the θ of all classes changes no probability, and H is 0 along it. So H⁺ is the inverse among those θ
whose rows sum to 0, as those of the fit do; a standard error belongs to a class against a reference class.

With X W orthonormal and u = W⁻¹θ, H_u + I ⊗ 11ᵀ/K = AAᵀ is positive definite: it is H_u for rows that sum to 0, and the
identity along a shift of all classes, which the projection P = I − 11ᵀ/K takes out of the inverse again. So
H⁺ = R Rᵀ with R = (W ⊗ P) A⁻ᵀ.

    ∂η_c/∂z_c = 1,  ∂η_c/∂z_l = −π_l/(1 − π_c) for l ≠ c

Shapes: theta (d, K), the fit's without a penalty; X (m, d), that of the fit; X_new (n, d).
"""

import jax
import jax.numpy as jnp
from jax import Array, lax
from jax.nn import softmax
from jax.scipy.special import logsumexp

from jax_course import inputs, losses, scores
from jax_course.inputs.types import ArrayLike
from jax_course.linalg import product, spd_factor
from jax_course.probability import intervals
from jax_course.probability.intervals import Interval
from jax_course.tiers import compiled


def covariance(theta: ArrayLike, X: ArrayLike, *, weights: ArrayLike = 1.0) -> Array:
    """H⁺ for theta whose rows sum to 0, shape (d, K, d, K) as the Hessian. Course 9.3.

    Errors: ValueError where the Hessian is singular for such theta: dependent columns, or π that are all 0 or 1; NaN
    there in jit.

    >>> covariance(jnp.zeros((1, 2)), jnp.array([[2.0]]))[0, :, 0, :]
    Array([[ 0.25, -0.25],
           [-0.25,  0.25]], dtype=float64)
    """
    root = _root(*inputs.class_scores(theta, X), weights)
    return jnp.einsum("jkq,ilq->jkil", root, root, precision=lax.Precision.HIGHEST)


def standard_errors(theta: ArrayLike, X: ArrayLike, *, reference: int = 0, weights: ArrayLike = 1.0) -> Array:
    """The standard errors of θ_c − θ_reference, shape (d, K); 0 for the reference class. Course 9.3.

    >>> standard_errors(jnp.zeros((1, 2)), jnp.array([[2.0]]))
    Array([[0., 1.]], dtype=float64)
    """
    variances = jnp.sum(_contrast(_root(*inputs.class_scores(theta, X), weights), reference) ** 2, axis=2)
    known = variances != 0  # that of the reference is 0, where the root has no derivative
    return jnp.where(known, jnp.sqrt(jnp.where(known, variances, 1)), 0)


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
    theta, X = inputs.class_scores(theta, X)
    contrast, root = (_contrast(values, reference) for values in (theta, _root(theta, X, weights)))
    return intervals.normal_interval(contrast, root, confidence)


def predict_interval(
    theta: ArrayLike,
    X: ArrayLike,
    X_new: ArrayLike,
    *,
    confidence: ArrayLike = 0.95,
    weights: ArrayLike = 1.0,
) -> Interval:
    """The interval of P(class c given x) for every row x of X_new and every class, shape (n, K). Course 5.3, 9.3.

    >>> predict_interval(jnp.zeros((1, 2)), jnp.array([[2.0]]), jnp.array([[0.0]])).upper
    Array([[0.5, 0.5]], dtype=float64)
    """
    theta, X = inputs.class_scores(theta, X)
    X_new = inputs.more_rows(X_new, X)
    eta, slopes = _log_odds(product(X_new, theta))
    root = jnp.einsum("icl,ij,jlq->icq", slopes, X_new, _root(theta, X, weights), precision=lax.Precision.HIGHEST)
    return Interval(*map(scores.sigmoid, intervals.normal_interval(eta, root, confidence)))


def _contrast(values: Array, reference: int) -> Array:
    """The values (d, K) or (d, K, n) of each class less those of the reference class."""
    r = inputs.class_number(reference, values)
    return values - values[:, r : r + 1]


def _root(theta: Array, X: Array, weights: ArrayLike) -> Array:
    """(W ⊗ P) A⁻ᵀ, shape (d, K, d K)."""
    root = _root_or_nan(theta, X, inputs.training_weights(weights, X))
    return inputs.refuse_nan(root, "the Hessian is singular: columns of X depend on each other, or every π is 0 or 1")


@compiled
def _root_or_nan(theta: Array, X: Array, w: Array) -> Array:
    """(W ⊗ P) A⁻ᵀ; NaN where the Hessian is singular."""
    d, K = theta.shape
    W = intervals.covariance_root(X, w)
    H = losses.class_hessian(scores.probabilities(product(X, theta)), product(X, W), w)
    H = H + losses.class_shift(jnp.eye(d, dtype=X.dtype), K)
    factored = spd_factor(H.reshape(d * K, d * K))
    root = factored.half_solve(jnp.kron(W.T, jnp.eye(K, dtype=X.dtype) - 1 / K)).T.reshape(d, K, d * K)
    return jnp.where(factored.is_regular(), root, jnp.nan)


@jax.jit
def _log_odds(Z: Array) -> tuple[Array, Array]:
    """η_c = log π_c/(1 − π_c), shape (m, K), and ∂η_c/∂z_l, (m, K, K): 1 where l = c, −π_l/(1 − π_c) elsewhere."""
    own = jnp.eye(Z.shape[1], dtype=bool)[None, :, :]
    others = jnp.where(own, -jnp.inf, Z[:, None, :])
    return Z - logsumexp(others, axis=2), jnp.where(own, 1, -softmax(others, axis=2))
