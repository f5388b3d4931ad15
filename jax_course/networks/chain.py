r"""The chain rule along every path, and layer by layer, with the products counted (course 7.3, 10.1, 10.2).

    ∂C/∂z⁰_j = Σ over the paths j → k → l → … of ∂z¹_k/∂z⁰_j ∂z²_l/∂z¹_k …        naive            10.1
    δ^(l−1) = δ^l ∂z^l/∂z^(l−1),  δ^L = ∂C/∂z^L                                   backpropagation  10.2

Both are the chain rule, ∂z/∂u = ∂z/∂x ∂x/∂u + ∂z/∂y ∂y/∂u (7.3). The first computes the same products again for every
path that shares them: with L layers of width d there are d^L paths and (L − 1) d^L products, by layers (L − 1) d².

The course's example, softmax regression on one example as layers:

    z¹ = xΘ,  z² = log softmax z¹,  z³ = −z²_y

Shapes: local derivatives, the Jacobian ∂z^l/∂z^(l−1) of each layer, (d_l, d_(l−1)), from the first layer to the cost,
whose d_L is 1.
"""

import itertools
import math
from collections.abc import Sequence
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jax import Array

from jax_course import inputs, scores
from jax_course.inputs.types import ArrayLike
from jax_course.linalg import product

MOST_PATHS = 10**6


class Counted(NamedTuple):
    """∂C/∂z⁰ (d_0,), and how many numbers were multiplied with each other on the way to it."""

    gradient: Array
    products: int


def naive(jacobians: Sequence[ArrayLike]) -> Counted:
    """The sum over all paths of the product of the local derivatives along each. Course 10.1.

    Errors: ValueError where there are more than a million paths.

    >>> naive([jnp.array([[2.0], [3.0]]), jnp.array([[5.0, 7.0]])])  # z/u = z/x x/u + z/y y/u = 5·2 + 7·3
    Counted(gradient=Array([31.], dtype=float64), products=2)
    """
    J = [np.asarray(jacobian) for jacobian in _chained(jacobians)]
    if (count := paths([jacobian.shape[1] for jacobian in J])) > MOST_PATHS:
        raise ValueError(f"the network has {count:.3g} paths, too many to follow one by one: use backpropagation")
    gradient, products = np.zeros(J[0].shape[1], J[0].dtype), 0
    for units in itertools.product(*(range(jacobian.shape[1]) for jacobian in J)):
        along = [jacobian[to, at] for jacobian, at, to in zip(J, units, (*units[1:], 0), strict=True)]
        gradient[units[0]] += math.prod(along)
        products += len(along) - 1
    return Counted(jnp.asarray(gradient), products)


def backpropagation(jacobians: Sequence[ArrayLike]) -> Counted:
    """Vector times matrix from the cost down: what all paths share is computed once. Course 10.2.

    >>> backpropagation([jnp.array([[2.0], [3.0]]), jnp.array([[5.0, 7.0]])])
    Counted(gradient=Array([31.], dtype=float64), products=2)
    """
    *before, last = _chained(jacobians)
    delta, products = last[0], 0
    for jacobian in reversed(before):
        delta, products = product(delta, jacobian), products + jacobian.size
    return Counted(delta, products)


def paths(widths: Sequence[int]) -> int:
    """The number of paths from the inputs to the cost, through layers of these widths. Course 10.1.

    >>> paths([2, 3, 3])
    18
    """
    return math.prod(int(width) for width in widths)


def softmax_jacobians(theta: ArrayLike, x: ArrayLike, y: int) -> list[Array]:
    """∂z¹/∂x (K, d), ∂z²/∂z¹ (K, K), ∂z³/∂z² (1, K) of softmax regression on one example. Course 10.1.

    theta (d, K), x (d,), y its class.

    >>> naive(softmax_jacobians(jnp.zeros((1, 2)), jnp.ones(1), 0)).products
    8
    """
    theta, X = inputs.class_scores(theta, jnp.asarray(x)[None, :])
    K = theta.shape[1]
    if not 0 <= inputs.whole(y, "y") < K:
        raise ValueError(f"y must be a class 0…{K - 1}; got {y}")
    pi = scores.probabilities(product(X, theta))
    log_softmax_jacobian = jnp.eye(K, dtype=pi.dtype) - pi  # 1_ck − π_k
    return [theta.T, log_softmax_jacobian, -(jnp.arange(K) == y).astype(pi.dtype)[None, :]]


def _chained(jacobians: Sequence[ArrayLike]) -> list[Array]:
    J = [jnp.asarray(jacobian) for jacobian in jacobians]
    if not J:
        raise ValueError("jacobians must hold at least that of the cost; it is empty")
    widths = [jacobian.shape for jacobian in J]
    if any(len(shape) != 2 for shape in widths) or widths[-1][0] != 1:
        raise ValueError(f"jacobians must be matrices (d_l, d_l−1), the last with one row; got shapes {widths}")
    if any(before[0] != after[1] for before, after in itertools.pairwise(widths)):
        raise ValueError(f"each Jacobian must have a column for every row of the one before; got shapes {widths}")
    return J
