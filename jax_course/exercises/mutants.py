"""Wrong derivatives on purpose: every kind of fault, planted in every model.

The kinds are those of published errata and of faults found in libraries.

A mutant is a function of the arguments of the right derivative, one object for all seeds, so that it is compiled once.
The entry that it breaks depends on the data it is called with.
"""

from collections.abc import Callable, Iterator
from functools import cache
from types import ModuleType
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from jax_course import linear, logistic, ridge, softmax
from jax_course.exercises.problems import BADLY_SCALED, CLASSES, WIDE
from jax_course.verify import Kind

ALL = ("linear", "ridge", "logistic", "softmax")


class Fault(NamedTuple):
    """A planted mistake.

    kind: the one that the doctor should name. derivative: "gradient", "hessian" or "hessian_product". mutate: the
    mutation (right, call) → wrong, arrays of one shape as a rule. models: the names of those that can have it. decades:
    the powers of ten that the units of the features span in the problems it is planted in.
    """

    name: str
    kind: Kind
    derivative: str
    mutate: Callable[[Array, "Call"], Array]
    models: tuple[str, ...] = ALL
    decades: tuple[float, ...] = (0.0, BADLY_SCALED)


class Call(NamedTuple):
    """The arguments of a call of a derivative, and the right function, to call it again with other arguments."""

    model: ModuleType
    right: Callable
    theta: Array
    X: Array
    y: Array
    v: tuple[Array, ...]
    penalty: Array | None

    def again(self, **changes: Any) -> Array:
        """The right derivative of these arguments with some of them changed."""
        c = self._replace(**changes)
        keywords = {} if c.penalty is None else {"penalty": c.penalty}
        return c.right(c.theta, c.X, c.y, *c.v, **keywords)

    @property
    def single_examples(self) -> Array:
        """The contribution of every example, (m, *shape), without the penalty."""
        return jax.vmap(lambda x, y: self.again(X=x[None], y=y[None], penalty=_zero(self)))(self.X, self.y)

    @property
    def penalty_part(self) -> Array:
        """The contribution of the penalty."""
        return self.again() - self.again(penalty=_zero(self))

    @property
    def entry(self) -> Array:
        """A feature that is not the bias, chosen by the data."""
        return 1 + jnp.argmax(jnp.abs(self.X[0, 1:]))


def _weighted(factor: Callable[[Array], Array]) -> Callable:
    """Every example weighted with a factor(z) of its own, as by a chain rule with a factor too many."""

    def mutate(right, call):
        z = call.X @ call.theta
        weights = factor(z) if z.ndim == 1 else factor(z).mean(axis=1)
        return jnp.tensordot(weights, call.single_examples, 1) + (right - call.again(penalty=_zero(call)))

    return mutate


def _masked(right: Array, call: Call) -> Array:
    """Some examples left out, by the sign of a feature, as by a mask that should not be there."""
    kept = (call.X[:, 1] > 0).astype(right.dtype)
    return jnp.tensordot(kept, call.single_examples, 1) + (right - call.again(penalty=_zero(call)))


def _fisher(right: Array, call: Call) -> Array:
    """Σ g gᵀ over the examples, for a Hessian or times v, and the penalty's part."""
    g = call._replace(right=call.model.gradient, v=()).single_examples.reshape(len(call.y), -1)
    fisher = (g.T @ (g @ call.v[0].ravel()) if call.v else g.T @ g).reshape(right.shape)
    return fisher + (right - call.again(penalty=_zero(call)))


def _diagonal_times_v(right: Array, call: Call) -> Array:
    hessian = call._replace(right=call.model.hessian, v=()).again().reshape(call.theta.size, -1)
    return (jnp.diag(hessian) * call.v[0].ravel()).reshape(right.shape)


def _sigma_slope(z: Array) -> Array:
    return 1 / (1 + jnp.exp(-z)) * (1 / (1 + jnp.exp(z)))


def _zero(call: Call) -> Array | None:
    return None if call.penalty is None else jnp.zeros_like(call.penalty)


def _penalised(scale: float) -> Callable:
    return lambda right, call: right + scale * call.penalty_part


def _norm(right: Array, call: Call) -> Array:
    return right - call.penalty_part + call.penalty_part / (2 * jnp.linalg.norm(call.theta))


def _entry(value: Callable) -> Callable:
    """Change one entry (a row, for several classes its first column)."""

    def mutate(right, call):
        return _changed(right, call, call.entry, value)

    return mutate


def _small_entry(value: Callable) -> Callable:
    """Change the entry of the feature with the smallest unit."""

    def mutate(right, call):
        return _changed(right, call, 1 + jnp.argmin(jnp.abs(call.X[:, 1:]).max(axis=0)), value)

    return mutate


def _changed(right: Array, call: Call, j: Any, value: Callable) -> Array:
    """A derivative with the entry of feature j changed, in a Hessian that on the diagonal."""
    index = (j, *(0,) * (right.ndim - 1)) if right.ndim < 4 else (j, 0, j, 0)
    if right.ndim == 2 and right.shape[0] == right.shape[1] == call.theta.size:
        index = (j, j)
    return right.at[index].set(value(right[index]))


def _diagonal(right: Array, call: Call) -> Array:
    n = call.theta.size
    return (right.reshape(n, n) * jnp.eye(n)).reshape(right.shape)


def _class_blocks(right: Array, call: Call) -> Array:
    return right * jnp.eye(CLASSES)[None, :, None, :]


def _upper(right: Array, call: Call) -> Array:
    n = call.theta.size
    return jnp.triu(right.reshape(n, n)).reshape(right.shape)


PENALISED = ("ridge", "logistic", "softmax")
GRADIENT = (
    Fault("sign", Kind.SIGN, "gradient", lambda g, c: -g),
    Fault("factor 2", Kind.FACTOR, "gradient", lambda g, c: 2 * g),
    Fault("factor 1/2", Kind.FACTOR, "gradient", lambda g, c: g / 2),
    Fault("factor 1/m", Kind.FACTOR, "gradient", lambda g, c: g / len(c.y)),
    Fault("factor K", Kind.FACTOR, "gradient", lambda g, c: CLASSES * g, ("softmax",)),
    Fault("1/m but in the penalty", Kind.FACTOR, "gradient",
          lambda g, c: (g - c.penalty_part) / len(c.y) + c.penalty_part, PENALISED),
    Fault("penalty missing", Kind.PENALTY, "gradient", _penalised(-1.0), PENALISED),
    Fault("penalty doubled", Kind.PENALTY, "gradient", _penalised(1.0), PENALISED),
    Fault("penalty halved", Kind.PENALTY, "gradient", _penalised(-0.5), PENALISED),
    Fault("penalty subtracted", Kind.PENALTY, "gradient", _penalised(-2.0), PENALISED),
    Fault("norm, not squared", Kind.PENALTY, "gradient", _norm, PENALISED),
    Fault("a penalty too much", Kind.PENALTY, "gradient", lambda g, c: g + 0.2 * c.theta, ("linear",)),
    Fault("bias penalised", Kind.PENALTY, "gradient", lambda g, c: g.at[0].add(0.6 * c.theta[0]), PENALISED),
    Fault("bias averaged", Kind.BIAS, "gradient", lambda g, c: g.at[0].divide(len(c.y))),
    Fault("factor σ′(z)", Kind.CHAIN_RULE, "gradient", _weighted(_sigma_slope)),
    Fault("factor eᶻ", Kind.CHAIN_RULE, "gradient", _weighted(jnp.exp)),
    Fault("a mask", Kind.CHAIN_RULE, "gradient", _masked),
    Fault("labels exchanged", Kind.INDEX, "gradient", lambda g, c: c.again(y=1 - c.y), ("logistic",)),
    Fault("labels off by one", Kind.INDEX, "gradient", lambda g, c: c.again(y=(c.y + 1) % CLASSES), ("softmax",)),
    Fault("entries shifted", Kind.INDEX, "gradient", lambda g, c: jnp.roll(g, 1, axis=0)),
    Fault("classes shifted", Kind.INDEX, "gradient", lambda g, c: jnp.roll(g, 1, axis=1), ("softmax",)),
    Fault("transposed", Kind.TRANSPOSE, "gradient", lambda g, c: g.T, ("softmax",)),
    Fault("an entry at 0", Kind.MISSING, "gradient", _entry(lambda value: 0 * value)),
    Fault("an entry 10 % off", Kind.ENTRY, "gradient", _entry(lambda value: 1.1 * value)),
    Fault("sign of a small entry", Kind.ENTRY, "gradient", _small_entry(lambda value: -value), ALL, WIDE),
    Fault("a small entry 1 % off", Kind.ENTRY, "gradient", _small_entry(lambda value: 1.01 * value), ALL, WIDE),
    Fault("a row too few", Kind.SHAPE, "gradient", lambda g, c: g[:-1]),
    Fault("a column vector", Kind.SHAPE, "gradient", lambda g, c: g[..., None]),
    Fault("whole numbers", Kind.DTYPE, "gradient", lambda g, c: g.astype(jnp.int32)),
    Fault("float32", Kind.DTYPE, "gradient", lambda g, c: g.astype(jnp.float32)),
    Fault("NaN", Kind.NONFINITE, "gradient", _entry(lambda value: value * jnp.nan)),
)  # fmt: skip
SECOND = (
    Fault("sign", Kind.SIGN, "hessian", lambda H, c: -H),
    Fault("factor 1/2", Kind.FACTOR, "hessian", lambda H, c: H / 2),
    Fault("factor 1/m", Kind.FACTOR, "hessian", lambda H, c: H / len(c.y)),
    Fault("penalty missing", Kind.PENALTY, "hessian", _penalised(-1.0), PENALISED),
    Fault("penalty halved", Kind.PENALTY, "hessian", _penalised(-0.5), PENALISED),
    Fault("factor σ′(z)", Kind.CHAIN_RULE, "hessian", _weighted(_sigma_slope)),
    Fault("Fisher", Kind.EXPECTED, "hessian", _fisher),
    Fault("diagonal only", Kind.DIAGONAL, "hessian", _diagonal),
    Fault("class blocks only", Kind.DIAGONAL, "hessian", _class_blocks, ("softmax",)),
    Fault("upper triangle only", Kind.ASYMMETRIC, "hessian", _upper),
    Fault("rows shifted", Kind.INDEX, "hessian", lambda H, c: jnp.roll(H, 1, axis=0)),
    Fault("an entry at 0", Kind.MISSING, "hessian", _entry(lambda value: 0 * value)),
    Fault("an entry 10 % off", Kind.ENTRY, "hessian", _entry(lambda value: 1.1 * value)),
    Fault("sign of a small entry", Kind.ENTRY, "hessian", _small_entry(lambda value: -value), ALL, WIDE),
    Fault("a small entry 1 % off", Kind.ENTRY, "hessian", _small_entry(lambda value: 1.01 * value), ALL, WIDE),
    Fault("flattened", Kind.SHAPE, "hessian", lambda H, c: H.reshape(-1)),
    Fault("sign", Kind.SIGN, "hessian_product", lambda p, c: -p),
    Fault("factor 1/2", Kind.FACTOR, "hessian_product", lambda p, c: p / 2),
    Fault("penalty missing", Kind.PENALTY, "hessian_product", _penalised(-1.0), PENALISED),
    Fault("factor σ′(z)", Kind.CHAIN_RULE, "hessian_product", _weighted(_sigma_slope)),
    Fault("Fisher", Kind.EXPECTED, "hessian_product", _fisher),
    Fault("diagonal only", Kind.DIAGONAL, "hessian_product", _diagonal_times_v),
    Fault("an entry 10 % off", Kind.ENTRY, "hessian_product", _entry(lambda value: 1.1 * value)),
    Fault("sign of a small entry", Kind.ENTRY, "hessian_product", _small_entry(lambda value: -value), ALL, WIDE),
    Fault("a small entry 1 % off", Kind.ENTRY, "hessian_product", _small_entry(lambda value: 1.01 * value), ALL, WIDE),
)
MODELS: dict[str, ModuleType] = {"linear": linear, "ridge": ridge, "logistic": logistic, "softmax": softmax}


@cache
def mutant(model: str, fault: Fault) -> Callable:
    """The wrong derivative, a function of (theta, X, y, *v, penalty=None)."""
    right = getattr(MODELS[model], fault.derivative)

    def wrong(theta, X, y, *v, penalty=None):
        call = Call(MODELS[model], right, theta, X, y, v, penalty)
        return fault.mutate(call.again(), call)

    return wrong


def cases(faults: tuple[Fault, ...], sizes: tuple[int, ...]) -> Iterator[tuple[str, Fault, int]]:
    """Every model with every fault that it can have, at every size."""
    for model in MODELS:
        for fault in faults:
            if model in fault.models:
                for d in sizes:
                    yield model, fault, d
