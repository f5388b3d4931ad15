"""Rules of jax.custom_vjp and jax.custom_jvp, right ones and wrong ones, each with the kinds of its mistake.

They are written for JAX's own settings of promotion, and the data are NumPy arrays.
"""

from collections.abc import Callable, Mapping
from functools import partial
from types import MappingProxyType
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from jax_course.verify import Kind

_rng = np.random.default_rng(5)
x = np.array([0.3, -1.2, 2.0, 0.7])
W, b = _rng.standard_normal((4, 3)), _rng.standard_normal(3)
X = _rng.standard_normal((5, 4))
square = _rng.standard_normal((4, 4))
spd = square @ square.T + np.eye(4)
labels = np.array([0, 2, 1, 2, 0])
NONE: Mapping[str, Any] = MappingProxyType({})


class RuleCase(NamedTuple):
    """A function with a rule, and what is wrong with it.

    make: returns the function, anew for each examination, since some keep a state. kinds: None if the rule is right,
    else the kinds that the findings must have. options: keywords of `verify.rule`. words: a part of the report.
    """

    name: str
    make: Callable[[], Callable]
    primals: tuple
    kinds: frozenset[Kind] | None = None
    options: Mapping[str, Any] = NONE
    words: str = ""


CASES: list[RuleCase] = []


def right(name: str, make: Callable, *primals: Any, words: str = "", **options: Any) -> None:
    CASES.append(RuleCase(name, make, primals, None, options, words))


def wrong(kind: Kind | set[Kind], name: str, make: Callable, *primals: Any, words: str = "", **options: Any) -> None:
    kinds = frozenset(kind) if isinstance(kind, set) else frozenset({kind})
    CASES.append(RuleCase(name, make, primals, kinds, options, words))


def vjp(fun: Callable, fwd: Callable, bwd: Callable, symbolic_zeros: bool = False, **static: Any) -> Callable:
    """The function with a rule for reverse mode."""
    function = jax.custom_vjp(fun, **static)
    function.defvjp(fwd, bwd, symbolic_zeros=symbolic_zeros)
    return function


def jvp(fun: Callable, rule: Callable, **static: Any) -> Callable:
    """The function with a rule for forward mode."""
    function = jax.custom_jvp(fun, **static)
    function.defjvp(rule)
    return function


# A function of each entry


def wave(x):
    return x * jnp.sin(x)


def slope(x):
    return jnp.sin(x) + x * jnp.cos(x)


def wave_with(bwd: Callable, fwd: Callable = lambda x: (wave(x), x)) -> Callable:
    return lambda: vjp(wave, fwd, bwd)


def wave_with_tangent(tangent: Callable, value: Callable = wave) -> Callable:
    return lambda: jvp(wave, lambda p, t: (value(p[0]), tangent(p[0], t[0])))


right("wave", wave_with(lambda x, g: (g * slope(x),)), x)
right("wave, a number of Python", wave_with(lambda x, g: (g * slope(x),)), 1.5)
right("wave, a list instead of a tuple", wave_with(lambda x, g: [g * slope(x)]), x)
right("wave, compiled", lambda: jax.jit(wave_with(lambda x, g: (g * slope(x),))()), x)
right("wave, forward mode", wave_with_tangent(lambda x, t: slope(x) * t), x)
right("rules of JAX inside", lambda: lambda x: 2 * jax.nn.softplus(x) + jax.nn.relu(x), x)
right("one of JAX's, over rows", lambda: jax.vmap(wave_with(lambda x, g: (g * slope(x),))()), X)
right("computed again", lambda: jax.checkpoint(wave_with(lambda x, g: (g * slope(x),))()), x)
wrong(Kind.SIGN, "sign, computed again", lambda: jax.checkpoint(wave_with(lambda x, g: (-g * slope(x),))()), x)
wrong(Kind.SIGN, "sign", wave_with(lambda x, g: (-g * slope(x),)), x, words="declare it")
wrong(Kind.FACTOR, "factor 2", wave_with(lambda x, g: (2 * g * slope(x),)), x)
wrong(Kind.ENTRY, "one entry", wave_with(lambda x, g: ((g * slope(x)).at[2].multiply(1.01),)), x)
wrong(Kind.INDEX, "entries reversed", wave_with(lambda x, g: ((g * slope(x))[::-1],)), x)
wrong(Kind.MISSING, "no cotangent at all", wave_with(lambda x, g: (None,)), x)
wrong(Kind.NONFINITE, "0/0", wave_with(lambda x, g: (g * slope(x) * (x - x) / (x - x),)), x)
wrong(Kind.UNKNOWN, "raises", wave_with(lambda x, g: (g @ np.ones(7),)), x, words="it raised TypeError")
wrong(Kind.SIGN, "sign inside", lambda: lambda x: 2 * wave_with(lambda x, g: (-g * slope(x),))()(x), x)
wrong(Kind.SIGN, "sign, forward mode", wave_with_tangent(lambda x, t: -slope(x) * t), x)
wrong(Kind.FACTOR, "factor 3, forward mode", wave_with_tangent(lambda x, t: 3 * slope(x) * t), x)

wrong(Kind.COTANGENT, "cotangent ignored", wave_with(lambda x, g: (slope(x),)), x)
wrong(Kind.COTANGENT, "tangent ignored", wave_with_tangent(lambda x, t: slope(x)), x)
wrong(Kind.NONLINEAR, "clipped", wave_with(lambda x, g: (jnp.clip(g, -1, 1) * slope(x),)), x)
wrong(Kind.NONLINEAR, "absolute value", wave_with(lambda x, g: (jnp.abs(g) * slope(x),)), x)
wrong(Kind.NONLINEAR, "squared", wave_with(lambda x, g: (g**2 * slope(x),)), x)
wrong(Kind.NONLINEAR, "added", wave_with(lambda x, g: (g + slope(x),)), x, words="a term lacks the cotangent")
wrong(Kind.NONLINEAR, "normalised", wave_with(lambda x, g: (g / jnp.linalg.norm(g) * slope(x),)), x)
wrong(Kind.NONLINEAR, "maximum of both", wave_with(lambda x, g: (jnp.max(g) * slope(x),)), x)
wrong(Kind.NONLINEAR, "tangent squared", wave_with_tangent(lambda x, t: slope(x) * t * t), x)

wrong(Kind.SHAPE, "no tuple", wave_with(lambda x, g: g * slope(x)), x, words="with a comma")
wrong(Kind.SHAPE, "two cotangents", wave_with(lambda x, g: (g * slope(x), None)), x)
wrong(Kind.SHAPE, "a sum", wave_with(lambda x, g: (jnp.sum(g * slope(x)),)), x)
wrong(Kind.SHAPE, "nothing", wave_with(lambda x, g: None), x, words="nothing (None)")
wrong(Kind.SHAPE, "no residuals", wave_with(lambda x, g: (g,), lambda x: wave(x)), x, words="a pair is expected")
wrong(Kind.SHAPE, "output of another shape", wave_with(lambda x, g: (g,), lambda x: (wave(x)[None], x)), x)
wrong(Kind.SHAPE, "tangent of another shape", wave_with_tangent(lambda x, t: jnp.sum(slope(x) * t)), x)
wrong(Kind.DTYPE, "half precision", wave_with(lambda x, g: ((g * slope(x)).astype(jnp.float16),)), x)
wrong(Kind.DTYPE, "whole numbers", wave_with(lambda x, g: ((g * slope(x)).astype(jnp.int32),)), x)
wrong(Kind.OUTPUT, "another forward pass", wave_with(lambda x, g: (g * slope(x),), lambda x: (wave(x) + 1e-3, x)), x)
wrong(Kind.OUTPUT, "another value, forward mode", wave_with_tangent(lambda x, t: slope(x) * t, jnp.sin), x)


def last_call() -> Callable:
    """The residual is a global that each forward pass overwrites."""
    kept = {}

    def fwd(x):
        kept["x"] = x
        return wave(x), None

    return vjp(wave, fwd, lambda _, g: (g * slope(kept["x"]),))


def first_call(used: bool) -> Callable:
    """The residual is kept at the first call and never again."""
    kept = {}

    def fwd(x):
        return wave(kept.setdefault("x", x)) if not kept else wave(x), None

    function = vjp(wave, fwd, lambda _, g: (g * slope(kept["x"]),))
    if used:
        jax.grad(lambda x: jnp.sum(function(x)))(x)
    return function


wrong(Kind.STALE, "residual of the last call", last_call, x)
wrong(Kind.STALE, "residual of the first call, another's", partial(first_call, True), x)
wrong(Kind.STALE, "residual of the first call, ours", partial(first_call, False), x)
wrong(Kind.STALE, "a constant in the place of the residual", wave_with(lambda _, g: (g * slope(jnp.asarray(x)),)), x)


# Kinks, and arrays without entries


def rectified_with(mask: Callable) -> Callable:
    return lambda: vjp(lambda x: jnp.maximum(x, 0), lambda x: (jnp.maximum(x, 0), x), lambda x, g: (g * mask(x, g),))


right("a subgradient at a kink", rectified_with(lambda x, g: x >= 0), np.array([0.0, 1.0, -1.0]))
wrong(Kind.NONLINEAR, "a mask of the cotangent", rectified_with(lambda x, g: g > 0), x)


def with_empty(x, y):
    return x + jnp.sum(y)


right("an array without entries", lambda: vjp(with_empty, lambda x, y: (with_empty(x, y), y), lambda y, g: (
      g, jnp.broadcast_to(jnp.sum(g), y.shape))), x, np.zeros((0, 3)))  # fmt: skip


# Layers with several primals, and outputs


def dense(x, W, b):
    return x @ W + b


def dense_with(bwd: Callable) -> Callable:
    return lambda: vjp(dense, lambda x, W, b: (x @ W + b, (x, W)), bwd)


right("dense", dense_with(lambda r, g: (g @ r[1].T, r[0].T @ g, g.sum(0))), X, W, b)
wrong(Kind.TRANSPOSE, "weights transposed", dense_with(lambda r, g: (g @ r[1].T, g.T @ r[0], g.sum(0))), X, W, b)
wrong(Kind.TRANSPOSE, "transposed, square", dense_with(lambda r, g: (g @ r[1].T, g.T @ r[0], g.sum(0))), X, square, x)
wrong(Kind.FACTOR, "mean over the batch", dense_with(lambda r, g: (g @ r[1].T, r[0].T @ g / 5, g.mean(0))), X, W, b)
wrong(Kind.SHAPE, "bias not summed", dense_with(lambda r, g: (g @ r[1].T, r[0].T @ g, g)), X, W, b)
wrong(Kind.MISSING, "bias left out", dense_with(lambda r, g: (g @ r[1].T, r[0].T @ g, 0 * g[0])), X, W, b)
wrong(Kind.SHAPE, "order of the primals", dense_with(lambda r, g: (r[0].T @ g, g @ r[1].T, g.sum(0))), X, W, b)


def parts(params, x):
    z = x @ params["W"] + params["b"]
    return {"mean": jnp.mean(z), "top": jnp.argmax(z), "z": z}


def parts_with(of_mean: float, of_z: float = 1.0) -> Callable:
    def bwd(residuals, g):
        W, x = residuals
        delta = of_z * g["z"] + of_mean * g["mean"] / len(g["z"])
        return {"W": jnp.outer(x, delta), "b": delta}, W @ delta

    return lambda: vjp(parts, lambda params, x: (parts(params, x), (params["W"], x)), bwd)


right("parts", parts_with(1.0), {"W": W, "b": b}, x)
wrong(Kind.SIGN, "one output's sign", parts_with(-1.0), {"W": W, "b": b}, x, words="of output mean")
wrong(Kind.MISSING, "one output left out", parts_with(0.0), {"W": W, "b": b}, x, words="of output mean")
wrong(Kind.FACTOR, "both outputs doubled", parts_with(2.0, 2.0), {"W": W, "b": b}, x)


def product(x, y):
    return jnp.sin(x) * y


right("product, forward mode", lambda: jvp(product, lambda p, t: (
    product(*p), jnp.cos(p[0]) * p[1] * t[0] + jnp.sin(p[0]) * t[1])), x, x + 1)  # fmt: skip
wrong(Kind.MISSING, "a tangent left out", lambda: jvp(product, lambda p, t: (
    product(*p), jnp.cos(p[0]) * p[1] * t[0])), x, x + 1)  # fmt: skip
wrong(Kind.INDEX, "primals exchanged", lambda: vjp(product, lambda x, y: (product(x, y), (x, y)), lambda r, g: (
    g * jnp.sin(r[0]), g * jnp.cos(r[0]) * r[1])), x, x + 1)  # fmt: skip


# Integers, None, static arguments, symbolic zeros


def cross_entropy(logits, labels, weights=None):
    loss = jax.nn.logsumexp(logits, axis=1) - jnp.take_along_axis(logits, labels[:, None], 1)[:, 0]
    return jnp.sum(loss if weights is None else weights * loss)


def cross_entropy_with(delta: Callable) -> Callable:
    def fwd(logits, labels, weights=None):
        return cross_entropy(logits, labels, weights), (logits, labels)

    def bwd(residuals, g):
        logits, labels = residuals
        return g * delta(jax.nn.softmax(logits, axis=1), jax.nn.one_hot(labels, logits.shape[1])), None, None

    return lambda: vjp(cross_entropy, fwd, bwd)


right("labels and None", cross_entropy_with(lambda p, y: p - y), X[:, :3], labels, None, words="by: labels, weights")
wrong(Kind.SIGN, "labels and None, sign", cross_entropy_with(lambda p, y: y - p), X[:, :3], labels, None)
wrong({Kind.MISSING, Kind.UNKNOWN}, "labels forgotten", cross_entropy_with(lambda p, y: p), X[:, :3], labels, None)


def power(x, n, act):
    return act(x) ** n


def power_with(factor: float) -> Callable:
    return lambda: vjp(power, lambda x, n, act: (power(x, n, act), x), lambda n, act, x, g: (
        factor * g * jax.vjp(lambda x: power(x, n, act), x)[1](jnp.ones_like(x))[0],),
        nondiff_argnums=(1, 2))  # fmt: skip


right("static arguments", power_with(1.0), x, 3, jnp.sin)
wrong(Kind.FACTOR, "static arguments, half", power_with(0.5), x, 3, jnp.sin)


def times(x, rate):
    return x * rate


right("a static keyword", lambda: jvp(times, lambda rate, p, t: (p[0] * rate, t[0] * rate), nondiff_argnames=("rate",)),
      x, rate=2.0)  # fmt: skip
wrong(Kind.SIGN, "a static keyword, sign", lambda: jvp(times, lambda rate, p, t: (p[0] * rate, -t[0] * rate),
      nondiff_argnames=("rate",)), x, rate=2.0)  # fmt: skip


def times_with(factor: float) -> Callable:
    def fwd(x, rate):
        return x.value * rate.value, (x.value, rate.value)

    def bwd(residuals, g):
        if isinstance(g, jax.custom_derivatives.SymbolicZero):
            return None, None
        return factor * g * residuals[1], jnp.vdot(g, residuals[0])

    return lambda: vjp(times, fwd, bwd, symbolic_zeros=True)


def centred(x, eps=1e-3):
    return (x - jnp.mean(x)) / jnp.sqrt(jnp.var(x) + eps)


def centred_with(variance: float) -> Callable:
    """A number of Python for which the rule returns None is a setting."""

    def fwd(x, eps=1e-3):
        return centred(x, eps), (centred(x, eps), jnp.sqrt(jnp.var(x) + eps))

    def bwd(residuals, g):
        out, size = residuals
        return (g - jnp.mean(g) - variance * out * jnp.mean(g * out)) / size, None

    return lambda: vjp(centred, fwd, bwd)


right("a setting", centred_with(1.0), x, 0.1, words="by: eps")
right("a setting by default", centred_with(1.0), x)
wrong({Kind.UNKNOWN, Kind.MISSING}, "the variance's part left out", centred_with(0.0), x, 0.1)


def looking_at_values() -> Callable:
    def fwd(x):
        return wave(x), x

    return vjp(lambda x: x * np.sin(x) if np.sum(np.asarray(x)) > -9 else 0 * x, fwd, lambda x, g: (g * slope(x),))


right("NumPy that looks at values", looking_at_values, x)


def filtered(x, kernel):
    return jnp.convolve(x, kernel, mode="valid")


def filtered_with(order: int) -> Callable:
    def bwd(residuals, g):
        x, kernel = residuals
        shifted = [jnp.vdot(g, x[2 - j : 2 - j + len(g)]) for j in range(3)]
        return jnp.convolve(g, kernel[::order], mode="full"), jnp.stack(shifted)

    return lambda: vjp(filtered, lambda x, kernel: (filtered(x, kernel), (x, kernel)), bwd)


right("a filter", filtered_with(-1), X[:, 0], b)
wrong(Kind.INDEX, "a filter, not reversed", filtered_with(1), X[:, 0], b, words="kernel is not turned round")

right("symbolic zeros", times_with(1.0), x, 2.0)
wrong(Kind.SIGN, "symbolic zeros, sign", times_with(-1.0), x, 2.0)


# Rules that have a mathematics of their own


def log_det(S):
    return 2 * jnp.sum(jnp.log(jnp.diag(jnp.linalg.cholesky(S))))


right("log determinant", lambda: vjp(lambda S: jnp.linalg.slogdet(S)[1], lambda S: (jnp.linalg.slogdet(S)[1], S),
      lambda S, g: (g * jnp.linalg.inv(S).T,)), square)  # fmt: skip
wrong(Kind.TRANSPOSE, "log determinant, inverse not transposed", lambda: vjp(
      lambda S: jnp.linalg.slogdet(S)[1], lambda S: (jnp.linalg.slogdet(S)[1], S),
      lambda S, g: (g * jnp.linalg.inv(S),)), square)  # fmt: skip


def equilibrium(b):
    """x = tanh(A x + b): the loop has no reverse mode, so that differences decide."""
    A = 0.2 * square

    def unfinished(carry):
        return jnp.max(jnp.abs(carry[0] - carry[1])) > 1e-14

    return lax.while_loop(unfinished, lambda c: (c[1], jnp.tanh(A @ c[1] + b)), (b + 1, b))[1]


def equilibrium_with(last_step_only: bool) -> Callable:
    def bwd(x, g):
        s, A = 1 - x**2, 0.2 * square
        return (s * g if last_step_only else s * jnp.linalg.solve(jnp.eye(4) - A.T * s, g),)

    return lambda: vjp(equilibrium, lambda b: (equilibrium(b),) * 2, bwd)


right("fixed point", equilibrium_with(False), x)
wrong({Kind.UNKNOWN, Kind.CHAIN_RULE}, "fixed point, last step only", equilibrium_with(True), x)


def cumulated(x):
    return jnp.cumsum(x)


def softmax(x):
    return jax.nn.softmax(x)


def softmax_with(backward: Callable) -> Callable:
    return lambda: vjp(softmax, lambda x: (softmax(x),) * 2, backward)


right("softmax", softmax_with(lambda p, g: (p * (g - p @ g),)), x)
wrong(Kind.DIAGONAL, "softmax, its diagonal", softmax_with(lambda p, g: (p * (1 - p) * g,)), x)


right("sums", lambda: vjp(cumulated, lambda x: (jnp.cumsum(x), None), lambda _, g: (jnp.cumsum(g[::-1])[::-1],)), x)
wrong(Kind.TRANSPOSE, "sums, in the same direction", lambda: vjp(
      cumulated, lambda x: (jnp.cumsum(x), None), lambda _, g: (jnp.cumsum(g),)), x)  # fmt: skip


def sigmoid_with(derivative: Callable) -> Callable:
    return lambda: vjp(jax.nn.sigmoid, lambda x: (jax.nn.sigmoid(x),) * 2, lambda p, g: (g * derivative(p),))


right("sigmoid", sigmoid_with(lambda p: p * (1 - p)), x)
wrong(Kind.CHAIN_RULE, "sigmoid forgotten", sigmoid_with(lambda p: 1.0), x)
wrong(Kind.CHAIN_RULE, "half of the sigmoid's derivative", sigmoid_with(lambda p: p), x)


# Departures that are wanted


def straight_through(factor: float = 1.0) -> Callable:
    return lambda: vjp(lambda x: jnp.round(x), lambda x: (jnp.round(x), None), lambda _, g: (factor * g,))


def backward_only(change: Callable) -> Callable:
    return lambda: vjp(lambda x: x, lambda x: (x, None), lambda _, g: (change(g),))


def semi(factor: float) -> Callable:
    """The error of temporal differences, whose target counts as constant."""
    return lambda: vjp(bellman, lambda w: (bellman(w), w), lambda w, g: (
        factor * g * (w @ x - (1 + 0.9 * w @ x[::-1])) * x,))  # fmt: skip


def bellman(w):
    return 0.5 * (w @ x - (1 + 0.9 * w @ x[::-1])) ** 2


def semi_bellman(w):
    return 0.5 * (w @ x - lax.stop_gradient(1 + 0.9 * w @ x[::-1])) ** 2


def clip(c):
    return jnp.clip(c, -0.5, 0.5)


wrong(Kind.CHAIN_RULE, "straight through, not declared", straight_through(), x, words="taken for 1")
right("straight through", straight_through(), x, meant=lambda x: x)
wrong(Kind.FACTOR, "straight through, half", straight_through(0.5), x, meant=lambda x: x)
right("reversed", backward_only(lambda g: -0.3 * g), x, cotangent=lambda c: -0.3 * c)
right("reversed, by a function", backward_only(lambda g: -0.3 * g), x, meant=lambda x: -0.3 * x)
wrong(Kind.SIGN, "not reversed", backward_only(lambda g: 0.3 * g), x, cotangent=lambda c: -0.3 * c)
right("clipped as declared", backward_only(clip), x, cotangent=clip)
wrong({Kind.UNKNOWN, Kind.FACTOR, Kind.ENTRY}, "clipped elsewhere", backward_only(lambda g: jnp.clip(g, -0.6, 0.6)), x,
      cotangent=clip)  # fmt: skip
right("semi-gradient", semi(1.0), X[0], meant=semi_bellman)
wrong(Kind.FACTOR, "semi-gradient, doubled", semi(2.0), X[0], meant=semi_bellman)
