r"""Optimizers: a step computed from a gradient. Course 7.5–7.8.

Each is a pair of pure functions with optax's signature, so that these and optax's optimizers are interchangeable:

    init(theta) → state                          update(gradient, state, theta=None) → (step, state),  θ ← θ + step

Let g be the gradient at θ_k, η the learning rate, a number or a schedule k → η_k. All sums and squares are entry by
entry.

    sgd         step = −η g
    momentum    Δ ← αΔ − (1 − α) η g,                  step = Δ               Δ is the step before: θ_k − θ_k−1
    nesterov    Δ ← αΔ − (1 − α) η g,                  step = αΔ − (1 − α) η g     the gradient at the next point
    adagrad     s ← s + g²,                            step = −η g / √(s + ε)      s: the sum of squared gradients
    rmsprop     s ← βs + (1 − β) g²,                   step = −η g / √(s + ε)
    adam        u ← β₁u + (1 − β₁) g,  s ← β₂s + (1 − β₂) g²
                step = −η û / (√ŝ + ε),  û = u / (1 − β₁ᵏ),  ŝ = s / (1 − β₂ᵏ),  k counted from 1

Momentum is the heavy ball v ← αv + g, step = −η' v, with η' = (1 − α) η: in the course's form the size of the steps
does not depend on α. If η changes with k, each gradient here keeps the rate of its own step; optax's `sgd` rescales the
whole history.

Slips in the printed course. It divides Adagrad's step by Σ g² (E 12), which would make it shrink as the gradient grows;
with the root, as intended, it does not depend on the units of the cost. "Momentum + Adagrad = Adam" (E 13): Adam
divides by a running mean of g², in which old gradients fade, not by the sum, and corrects both means for their start at
0.
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


class State(NamedTuple):
    """The state of an optimizer: count, the number k of steps, and trees like theta, or None if it needs none."""

    count: Array
    direction: Any = None  # Δ or u
    squares: Any = None  # s


def sgd(learning_rate: LearningRate) -> optax.GradientTransformation:
    """Stochastic gradient descent, step = −η g. Course 7.5.

    learning_rate: η, a number or a schedule k → η_k, in units of theta / gradient.

    >>> init, update = sgd(0.1)
    >>> update(jnp.array([2.0]), init(jnp.array([1.0])))[0]
    Array([-0.2], dtype=float64)
    """

    def step(g, state):
        eta = _rate(learning_rate, state.count)
        return jax.tree.map(lambda g: -eta(g) * g, g), State(state.count + 1)

    return _optimizer(step)


def momentum(learning_rate: LearningRate, alpha: float = 0.9) -> optax.GradientTransformation:
    """Momentum, step = Δ with Δ ← αΔ − (1 − α) η g. Course 7.8.

    learning_rate: η, a number or a schedule. alpha: the share α of the previous step, 0 ≤ α < 1.

    >>> init, update = momentum(0.1, alpha=0.5)
    >>> update(jnp.array([2.0]), init(jnp.array([1.0])))[0]
    Array([-0.1], dtype=float64)
    """

    def step(g, state):
        eta = _rate(learning_rate, state.count)
        delta = jax.tree.map(lambda d, g: alpha * d - (1 - alpha) * eta(g) * g, state.direction, g)
        return delta, State(state.count + 1, delta)

    return _optimizer(step, direction=0.0)


def nesterov(learning_rate: LearningRate, alpha: float = 0.9) -> optax.GradientTransformation:
    """Nesterov momentum, step = αΔ − (1 − α) η g: the gradient counts as that at the next point. Course 7.8.

    learning_rate: η, a number or a schedule. alpha: the share α of the previous step, 0 ≤ α < 1.

    >>> init, update = nesterov(0.1, alpha=0.5)
    >>> update(jnp.array([2.0]), init(jnp.array([1.0])))[0].round(6)
    Array([-0.15], dtype=float64)
    """

    def step(g, state):
        eta = _rate(learning_rate, state.count)
        delta = jax.tree.map(lambda d, g: alpha * d - (1 - alpha) * eta(g) * g, state.direction, g)
        steps = jax.tree.map(lambda d, g: alpha * d - (1 - alpha) * eta(g) * g, delta, g)
        return steps, State(state.count + 1, delta)

    return _optimizer(step, direction=0.0)


def adagrad(learning_rate: LearningRate, epsilon: float = 1e-7, start: float = 0.1) -> optax.GradientTransformation:
    """Adagrad, step = −η g / √(s + ε) with s = Σ g²: larger steps for features that occur rarely. Course 7.8, E 12.

    learning_rate: η, a number or a schedule, in units of theta. epsilon: ε, in units of g². start: s at the start.

    >>> init, update = adagrad(0.1, epsilon=0.0, start=0.0)
    >>> update(jnp.array([2.0]), init(jnp.array([1.0])))[0]
    Array([-0.1], dtype=float64)
    """

    def step(g, state):
        eta = _rate(learning_rate, state.count)
        s = jax.tree.map(lambda s, g: s + g**2, state.squares, g)
        steps = jax.tree.map(lambda s, g: -eta(g) * g / jnp.sqrt(s + epsilon), s, g)
        return steps, State(state.count + 1, None, s)

    return _optimizer(step, squares=start)


def rmsprop(learning_rate: LearningRate, beta: float = 0.9, epsilon: float = 1e-8) -> optax.GradientTransformation:
    """RMSprop, step = −η g / √(s + ε) with s a running mean of g². Course 7.8.

    learning_rate: η, a number or a schedule, in units of theta. beta: the share β of the previous mean. epsilon: ε, in
    units of g².

    >>> init, update = rmsprop(0.1, beta=0.75, epsilon=0.0)
    >>> update(jnp.array([2.0]), init(jnp.array([1.0])))[0]
    Array([-0.2], dtype=float64)
    """

    def step(g, state):
        eta = _rate(learning_rate, state.count)
        s = jax.tree.map(lambda s, g: beta * s + (1 - beta) * g**2, state.squares, g)
        steps = jax.tree.map(lambda s, g: -eta(g) * g / jnp.sqrt(s + epsilon), s, g)
        return steps, State(state.count + 1, None, s)

    return _optimizer(step, squares=0.0)


def adam(
    learning_rate: LearningRate, beta1: float = 0.9, beta2: float = 0.999, epsilon: float = 1e-8
) -> optax.GradientTransformation:
    """Adam, step = −η û / (√ŝ + ε): running means of g and g², corrected for their start at 0. Course 7.8, E 13.

    learning_rate: η, a number or a schedule, in units of theta. beta1, beta2: the shares of the previous means.
    epsilon: ε, in units of g.

    >>> init, update = adam(0.1, epsilon=0.0)
    >>> update(jnp.array([2.0]), init(jnp.array([1.0])))[0].round(6)
    Array([-0.1], dtype=float64)
    """

    def step(g, state):
        eta, k = _rate(learning_rate, state.count), state.count + 1
        u = jax.tree.map(lambda u, g: beta1 * u + (1 - beta1) * g, state.direction, g)
        s = jax.tree.map(lambda s, g: beta2 * s + (1 - beta2) * g**2, state.squares, g)

        def leaf_step(u, s):
            u_hat, s_hat = u / (1 - _power(beta1, k, u)), s / (1 - _power(beta2, k, s))
            return -eta(u) * u_hat / (jnp.sqrt(s_hat) + epsilon)

        return jax.tree.map(leaf_step, u, s), State(k, u, s)

    return _optimizer(step, direction=0.0, squares=0.0)


def _optimizer(step: Callable[[Any, State], tuple[Any, State]], **trees: float) -> optax.GradientTransformation:
    """optax's pair (init, update) for step(gradient, state), with trees in the state that start at these values."""

    def init(params):
        def like_theta(value: float) -> Any:
            return jax.tree.map(lambda t: jnp.full(jnp.shape(t), value, jnp.result_type(t)), params)

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
