r"""Optimizers: how a gradient becomes a step. Course 7.5–7.8.

Each is a pair of pure functions with optax's signature, so that any optax optimizer fits where one of these does:

    init(theta) → state                          update(gradient, state, theta=None) → (step, state),  θ ← θ + step

Let g be the gradient at θ_k, η the learning rate, a number or a schedule k → η_k. All sums and squares are entry by
entry.

    sgd         step = −η g
    momentum    Δ ← αΔ − (1 − α) η g,                  step = Δ               Δ is the step before: θ_k − θ_k−1
    nesterov    Δ ← αΔ − (1 − α) η g,                  step = αΔ − (1 − α) η g     the gradient looked at ahead
    adagrad     s ← s + g²,                            step = −η g / √(s + ε)      s: how much an entry has moved
    rmsprop     s ← βs + (1 − β) g²,                   step = −η g / √(s + ε)
    adam        u ← β₁u + (1 − β₁) g,  s ← β₂s + (1 − β₂) g²
                step = −η û / (√ŝ + ε),  û = u / (1 − β₁ᵏ),  ŝ = s / (1 − β₂ᵏ),  k counted from 1

Momentum is the heavy ball v ← αv + g, step = −η' v, with η' = (1 − α) η: in the course's form α can be changed and the
steps keep their size. Where η changes with k, each gradient here keeps the rate it came with; optax's `sgd` rescales
the whole history.

Slips in the printed course. It divides Adagrad's step by Σ g² (E 12), which would make it shrink as the gradient grows;
with the root, which is meant, it does not depend on the units of the cost. "Momentum + Adagrad = Adam" (E 13): Adam
divides by a running mean of g², which forgets, not by the sum, and corrects both means for their start at 0.
"""

from collections.abc import Callable
from typing import Any, NamedTuple, cast

import jax
import jax.numpy as jnp
import optax
from jax import Array

__all__ = ["State", "adagrad", "adam", "momentum", "nesterov", "rmsprop", "sgd"]


def __dir__() -> list[str]:
    return __all__


LearningRate = float | Array | Callable[[Array], Any]
map_leaves = jax.tree_util.tree_map


class State(NamedTuple):
    """What an optimizer carries from step to step: k, and one or two trees like theta where it needs them."""

    count: Array
    direction: Any = None  # Δ or u
    squares: Any = None  # s


def sgd(learning_rate: LearningRate) -> optax.GradientTransformation:
    """Gradient descent. Course 7.5.

    >>> init, update = sgd(0.1)
    >>> update(jnp.array([2.0]), init(jnp.array([1.0])))[0]
    Array([-0.2], dtype=float64)
    """

    def step(g, state):
        eta = _rate(learning_rate, state.count)
        return map_leaves(lambda g: -eta(g) * g, g), State(state.count + 1)

    return _optimizer(step)


def momentum(learning_rate: LearningRate, alpha: float = 0.9) -> optax.GradientTransformation:
    """The step before, carried on. Course 7.8."""

    def step(g, state):
        eta = _rate(learning_rate, state.count)
        delta = map_leaves(lambda d, g: alpha * d - (1 - alpha) * eta(g) * g, state.direction, g)
        return delta, State(state.count + 1, delta)

    return _optimizer(step, direction=0.0)


def nesterov(learning_rate: LearningRate, alpha: float = 0.9) -> optax.GradientTransformation:
    """Momentum whose gradient is looked at ahead, as if the step had been taken."""

    def step(g, state):
        eta = _rate(learning_rate, state.count)
        delta = map_leaves(lambda d, g: alpha * d - (1 - alpha) * eta(g) * g, state.direction, g)
        steps = map_leaves(lambda d, g: alpha * d - (1 - alpha) * eta(g) * g, delta, g)
        return steps, State(state.count + 1, delta)

    return _optimizer(step, direction=0.0)


def adagrad(learning_rate: LearningRate, epsilon: float = 1e-7, start: float = 0.1) -> optax.GradientTransformation:
    """A learning rate for each entry: larger for features that are seen rarely. Course 7.8, E 12."""

    def step(g, state):
        eta = _rate(learning_rate, state.count)
        s = map_leaves(lambda s, g: s + g**2, state.squares, g)
        steps = map_leaves(lambda s, g: -eta(g) * g / jnp.sqrt(s + epsilon), s, g)
        return steps, State(state.count + 1, None, s)

    return _optimizer(step, squares=start)


def rmsprop(learning_rate: LearningRate, beta: float = 0.9, epsilon: float = 1e-8) -> optax.GradientTransformation:
    """Adagrad that forgets."""

    def step(g, state):
        eta = _rate(learning_rate, state.count)
        s = map_leaves(lambda s, g: beta * s + (1 - beta) * g**2, state.squares, g)
        steps = map_leaves(lambda s, g: -eta(g) * g / jnp.sqrt(s + epsilon), s, g)
        return steps, State(state.count + 1, None, s)

    return _optimizer(step, squares=0.0)


def adam(
    learning_rate: LearningRate, beta1: float = 0.9, beta2: float = 0.999, epsilon: float = 1e-8
) -> optax.GradientTransformation:
    """Running means of the gradient and of its square, corrected for their start at 0. Course 7.8, E 13."""

    def step(g, state):
        eta, k = _rate(learning_rate, state.count), state.count + 1
        u = map_leaves(lambda u, g: beta1 * u + (1 - beta1) * g, state.direction, g)
        s = map_leaves(lambda s, g: beta2 * s + (1 - beta2) * g**2, state.squares, g)

        def of_leaf(u, s):
            u_hat, s_hat = u / (1 - _power(beta1, k, u)), s / (1 - _power(beta2, k, s))
            return -eta(u) * u_hat / (jnp.sqrt(s_hat) + epsilon)

        return map_leaves(of_leaf, u, s), State(k, u, s)

    return _optimizer(step, direction=0.0, squares=0.0)


def _optimizer(step: Callable[[Any, State], tuple[Any, State]], **trees: float) -> optax.GradientTransformation:
    """step(gradient, state) with a state whose trees start at these values, as optax has it."""

    def init(params):
        def like_theta(value: float) -> Any:
            return map_leaves(lambda t: jnp.full(jnp.shape(t), value, jnp.result_type(t)), params)

        return State(jnp.zeros((), jnp.int32), **{name: like_theta(value) for name, value in trees.items()})

    def update(updates, state, params=None):
        return step(updates, cast(State, state))

    return optax.GradientTransformation(init, update)


def _rate(learning_rate: LearningRate, count: Array) -> Callable[[Array], Array]:
    """η_k in the dtype of a leaf."""
    rate = learning_rate(count) if callable(learning_rate) else learning_rate
    return lambda leaf: jnp.asarray(rate, leaf.dtype)


def _power(beta: float, k: Array, leaf: Array) -> Array:
    return jnp.asarray(beta, leaf.dtype) ** k.astype(leaf.dtype)
