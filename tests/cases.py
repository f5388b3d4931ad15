"""The registry: every model, with random problems of the kind it is for, optimizer, layer and cost. Tests walk it.

Adding one is a line here; the tests then hold it to the contract without another word.
"""

from collections.abc import Callable
from types import ModuleType
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import Array

from jax_course import gamma, huber, kernel, lasso, linear, logistic, poisson, ridge, softmax
from jax_course.networks import costs, layers, serial
from jax_course.optimization import optimizers

M, D, K = 12, 3, 4
T = 2  # targets, where there are several


class Precision(NamedTuple):
    """One of the three settings in which everything must hold."""

    x64: bool
    dtype: Any
    tolerance: float  # relative, for two correct computations of one derivative


PRECISIONS = {
    "float64": Precision(True, np.float64, 1e-12),
    "float32 in 64-bit mode": Precision(True, np.float32, 1e-5),
    "float32": Precision(False, np.float32, 1e-5),
}


class Model(NamedTuple):
    """A model module, how to draw a problem for it, and the hyperparameters to try."""

    module: ModuleType
    theta_shape: tuple[int, ...]
    targets: Callable[[np.random.Generator], np.ndarray]
    hyper: dict[str, Any]
    verbs: tuple[str, ...] = ("cost", "gradient", "hessian")  # of theta, X, y

    @property
    def hessian_shape(self) -> tuple[int, ...]:
        """Several targets have the Hessian of each of them."""
        return 2 * (self.theta_shape[:1] if self.targets is _several else self.theta_shape)

    def problem(self, seed: int, dtype: Any) -> tuple[Array, Array, Array]:
        """A random theta, X, y."""
        rng = np.random.default_rng(seed)
        X = rng.standard_normal((M, D)) * 10.0 ** rng.integers(-1, 2, D)
        y = self.targets(rng)
        theta = rng.standard_normal(self.theta_shape)
        y = jnp.asarray(y) if y.dtype.kind == "i" else jnp.asarray(y, dtype)
        return jnp.asarray(theta, dtype), jnp.asarray(X, dtype), y


def _real(rng):
    return rng.standard_normal(M)


def _counts(rng):
    return rng.poisson(3.0, M) * 1.0


def _positive(rng):
    return rng.gamma(2.0, size=M)


def _several(rng):
    return rng.standard_normal((M, T))


def _binary(rng):
    return (rng.permutation(M) < M // 2) * 1.0


def _classes(rng):
    return rng.permutation(M) % K


FREE_BIAS = np.array([0.0, 0.3, 2.0])
WEIGHTS = np.array([1.0, 2.0, 0.0, 0.5, 1.0, 3.0, 1.0, 0.1, 2.0, 1.0, 1.0, 4.0])
OFFSET = np.array([0.0, 0.5, -1.0, 0.3, 0.0, 2.0, 0.1, 0.0, -0.4, 1.0, 0.2, 0.7])

MODELS = {
    "linear": Model(linear, (D,), _real, {}),
    "linear, several targets": Model(linear, (D, T), _several, {"weights": WEIGHTS}),
    "linear, weights": Model(linear, (D,), _real, {"weights": WEIGHTS}),
    "ridge, weights": Model(ridge, (D,), _real, {"penalty": 0.3, "weights": WEIGHTS}),
    "ridge, several targets": Model(ridge, (D, T), _several, {"penalty": FREE_BIAS}),
    "ridge, free bias": Model(ridge, (D,), _real, {"penalty": FREE_BIAS}),
    "lasso": Model(lasso, (D,), _real, {"penalty": FREE_BIAS}, ("cost", "subgradient")),
    "kernel, several targets": Model(kernel, (M, T), _several, {"scale": 30.0, "penalty": 0.3}),
    "kernel": Model(kernel, (M,), _real, {"scale": 30.0, "penalty": 0.3}),
    "logistic": Model(logistic, (D,), _binary, {}),
    "logistic, weights": Model(logistic, (D,), _binary, {"penalty": 0.3, "weights": WEIGHTS}),
    "logistic, free bias": Model(logistic, (D,), _binary, {"penalty": FREE_BIAS}),
    "poisson": Model(poisson, (D,), _counts, {}),
    "poisson, offset": Model(poisson, (D,), _counts, {"penalty": FREE_BIAS, "weights": WEIGHTS, "offset": OFFSET}),
    "gamma": Model(gamma, (D,), _positive, {}),
    "gamma, offset": Model(gamma, (D,), _positive, {"penalty": FREE_BIAS, "weights": WEIGHTS, "offset": OFFSET}),
    "huber": Model(huber, (D,), _real, {"threshold": 5.0}),
    "huber, offset": Model(
        huber, (D,), _real, {"threshold": 0.7, "penalty": FREE_BIAS, "weights": WEIGHTS, "offset": OFFSET}
    ),
    "softmax": Model(softmax, (D, K), _classes, {}),
    "softmax, weights": Model(softmax, (D, K), _classes, {"penalty": 0.3, "weights": WEIGHTS}),
    "softmax, free bias": Model(softmax, (D, K), _classes, {"penalty": FREE_BIAS[:, None]}),
}

ETA, ALPHA = 0.05, 0.8
DECAY = optax.exponential_decay(0.05, 10, 0.7)
# Every optimizer, and what it equals in optax.
OPTIMIZERS = {
    "sgd": (optimizers.sgd(ETA), optax.sgd(ETA)),
    "sgd, schedule": (optimizers.sgd(DECAY), optax.sgd(DECAY)),
    "momentum": (optimizers.momentum(ETA, ALPHA), optax.sgd((1 - ALPHA) * ETA, momentum=ALPHA)),
    "momentum, schedule": (
        optimizers.momentum(DECAY, ALPHA),
        optax.chain(
            optax.scale_by_schedule(lambda k: jnp.negative(DECAY(k))), optax.scale(1 - ALPHA), optax.trace(ALPHA)
        ),
    ),
    "nesterov": (optimizers.nesterov(ETA, ALPHA), optax.sgd((1 - ALPHA) * ETA, momentum=ALPHA, nesterov=True)),
    "adagrad": (optimizers.adagrad(ETA), optax.adagrad(ETA)),
    "rmsprop": (optimizers.rmsprop(ETA), optax.rmsprop(ETA)),
    "adam": (optimizers.adam(ETA), optax.adam(ETA)),
    "adam, schedule": (optimizers.adam(DECAY), optax.adam(DECAY)),
}

# Every layer, by a function that makes it: a random key is an array of the mode it is made in.
LAYERS = {
    "linear": lambda: layers.linear(5),
    "relu": layers.relu,
    "sigmoid": layers.sigmoid,
    "tanh": layers.tanh,
    "softplus": layers.softplus,
    "gelu": layers.gelu,
    "softmax": layers.softmax,
    "log_softmax": layers.log_softmax,
    "rbf": lambda: layers.rbf(4),
    "dropout": lambda: layers.dropout(0.4, jax.random.key(7)),
    "residual": lambda: layers.residual(serial(layers.linear(3), layers.tanh())),
    "serial": lambda: serial(layers.linear(4), layers.gelu(), layers.rbf(2), layers.linear(3), layers.log_softmax()),
}

# Every cost, the width of what stands before it, and targets for it.
COSTS = {
    "squared_error": (costs.squared_error, 1, _real),
    "squared_error, several": (costs.squared_error, 3, lambda rng: rng.standard_normal((M, 3))),
    "binary_cross_entropy": (costs.binary_cross_entropy, 1, _binary),
    "cross_entropy": (costs.cross_entropy, K, _classes),
}
