"""The kinds that the doctor names for slips in single operations, in terms and in loops of a cost."""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jax_course import verify
from jax_course.verify import Kind

rng = np.random.default_rng(7)
M, D = 8, 3
X, Y = rng.standard_normal((M, D)), rng.standard_normal(M)
W = np.array([0.4, -0.7, 1.1])
SIDES = np.sign(Y)


class Slip(NamedTuple):
    """A cost, a wrong gradient of it, and what is said: the kinds, and a part of the sentences."""

    cost: Callable
    wrong: Callable
    kinds: set[Kind]
    words: str
    params: Any = W
    arguments: tuple = (X, Y)
    keywords: Mapping = MappingProxyType({})


def attention(S, V):
    return jnp.sum((jax.nn.softmax(S, axis=1) @ V) ** 2) / 2


def attention_back(S, V, back):
    P = jax.nn.softmax(S, axis=1)
    return back(P, P @ V @ V.T)


SQUARE, VALUES = rng.standard_normal((4, 4)), rng.standard_normal((4, 2))


def hinge(w, X, y):
    return jnp.sum(jnp.maximum(0, 1 - y * (X @ w)) ** 2)


def hinge_gradient(w, X, y):
    return -2 * X.T @ (y * jnp.maximum(0, 1 - y * (X @ w)))


def pinball(w, X, y, tau):
    r = y - X @ w
    return jnp.sum(jnp.where(r > 0, tau * r, (tau - 1) * r))


def absolute(w, X, y):
    return jnp.sum(jnp.abs(X @ w - y)) + jnp.sum(w**2)


def scales(s, y):
    """A normal density by its log deviation, and its log determinant."""
    return jnp.sum(y[:3] ** 2 * jnp.exp(-2 * s)) / 2 + 4 * jnp.sum(s)


def shares(w, X, y):
    """Least squares with two penalties of fixed size."""
    return jnp.sum((X @ w - y) ** 2) / 2 + 0.3 * jnp.sum(jnp.abs(w)) + 0.7 * jnp.sum(w**2)


OPERATIONS = {
    "a softmax: its diagonal only": Slip(
        attention,
        lambda S, V: attention_back(S, V, lambda P, E: P * (1 - P) * E),
        {Kind.CHAIN_RULE},
        "only the diagonal",
        SQUARE,
        (VALUES,),
    ),
    "a softmax: the sum over the other axis": Slip(
        attention,
        lambda S, V: attention_back(S, V, lambda P, E: P * (E - jnp.sum(P * E, axis=0, keepdims=True))),
        {Kind.TRANSPOSE},
        "is over axis 0; axis 1 is right",
        SQUARE,
        (VALUES,),
    ),
    "the absolute value: the residual for its sign": Slip(
        absolute,
        lambda w, X, y: X.T @ (X @ w - y) + 2 * w,
        {Kind.CHAIN_RULE},
        "its sign is right",
    ),
    "a product: the same factor again": Slip(
        lambda p, y: jnp.sum((jnp.sin(p["a"]) * p["b"] - y[:3]) ** 2),
        lambda p, y: {
            "a": 2 * (jnp.sin(p["a"]) * p["b"] - y[:3]) * jnp.sin(p["a"]) * jnp.cos(p["a"]),
            "b": 2 * (jnp.sin(p["a"]) * p["b"] - y[:3]) * jnp.sin(p["a"]),
        },
        {Kind.INDEX},
        "that factor itself stands",
        {"a": W, "b": np.array([1.3, 0.2, -0.6])},
        (Y,),
    ),
    "a constant divisor": Slip(
        lambda w, X, y: jnp.cos(jnp.sum((X @ w - y) ** 2) / 8 + w @ w),
        lambda w, X, y: -jnp.sin(jnp.sum((X @ w - y) ** 2) / 8 + w @ w) * (2 * X.T @ (X @ w - y) + 2 * w),
        {Kind.FACTOR},
        "the divisor is left out",
    ),
    "slack examples are counted": Slip(
        hinge,
        lambda w, X, y: -2 * X.T @ (y * (1 - y * (X @ w))),
        {Kind.CHAIN_RULE},
        "a mask is missing",
        arguments=(X, SIDES),
    ),
    "labels 0 and 1 for −1 and 1": Slip(
        hinge,
        lambda w, X, y: hinge_gradient(w, X, (y + 1) / 2),
        {Kind.MISSING},
        "0 in the place of −1 in `y`",
        arguments=(X, SIDES),
    ),
    "the slope of a logarithm, and not the parameters at 0": Slip(
        lambda w, X, y: jnp.sum(jnp.log1p((X / 9) @ w)),
        lambda w, X, y: jnp.sum(X / 9, axis=0),
        {Kind.CHAIN_RULE},
        "`log1p`",
    ),
    "a share for its complement": Slip(
        pinball,
        lambda w, X, y, tau: -X.T @ jnp.where(y > X @ w, 1 - tau, -tau),
        {Kind.INDEX},
        "1 − `tau` in the place of `tau`",
        keywords={"tau": 0.2},
    ),
    "a slip and a factor are two mistakes": Slip(
        lambda w, X, y: jnp.mean((jnp.tanh(X @ w) - y) ** 2),
        lambda w, X, y: 2 * X.T @ (jnp.tanh(X @ w) - y),
        {Kind.CHAIN_RULE, Kind.FACTOR},
        "and with that, yours is 8 times",
    ),
    "a quadratic form whose matrix is taken for symmetric": Slip(
        lambda w: jnp.sum(jnp.cosh(w)) - w @ SQUARE[1:, 1:] @ w,
        lambda w: jnp.sinh(w) - 2 * SQUARE[1:, 1:] @ w,
        {Kind.TRANSPOSE},
        "A for (A + Aᵀ)/2",
        arguments=(),
    ),
    "a log determinant is no penalty": Slip(
        scales,
        lambda s, y: -(y[:3] ** 2) * jnp.exp(-2 * s) + 1,
        {Kind.FACTOR},
        "0.25 times what it should be",
        arguments=(Y,),
    ),
    "an entropy is no penalty": Slip(
        lambda w, X, y: y[:3] @ w + jnp.sum(jnp.cosh(w)) * 2,
        lambda w, X, y: y[:3],
        {Kind.MISSING},
        "is missing; the others are right",
    ),
    "a penalty in the body of the cost": Slip(
        lambda w, X, y: jnp.sum(jnp.sqrt(1 + (X @ w - y) ** 2)) + 0.7 * jnp.sum(w[1:] ** 4),
        lambda w, X, y: X.T @ ((X @ w - y) / jnp.sqrt(1 + (X @ w - y) ** 2)) + 1.4 * w**3 * np.array([0, 1, 1]),
        {Kind.PENALTY},
        "(a penalty) is 0.5 times",
    ),
    "a part of a penalty": Slip(
        lambda w, X, y: jnp.sum((X @ w - y) ** 2) / 2 + jnp.sum((w[1:] - w[:-1]) ** 2),
        lambda w, X, y: X.T @ (X @ w - y) + 2 * jnp.concatenate([-jnp.diff(w), jnp.zeros(1)]),
        {Kind.MISSING},
        "`slice`",
    ),
    "two penalties, both left out": Slip(
        shares,
        lambda w, X, y: X.T @ (X @ w - y),
        {Kind.PENALTY},
        "is left out",
    ),
}


P, Q = rng.standard_normal((4, 2)), rng.standard_normal((4, 2))
RATED = np.array([0, 0, 1, 2, 2, 2, 3, 1])


def ratings(P, rated, weight):
    return jnp.sum((jnp.sum(P[rated], axis=1) - Y) ** 2) + weight * jnp.sum(P**2)


def ratings_data(P, rated):
    e = jnp.sum(P[rated], axis=1) - Y
    return jnp.zeros_like(P).at[rated].add(2 * e[:, None])


def hill(u):
    return jnp.sum(jnp.diff(u, 2) ** 2)


def fall(x):
    """Springs between neighbours, and a weight along the first axis."""
    return jnp.sum((x[1:] - x[:-1]) ** 4) + 3.0 * jnp.sum(x[:, 0])


def barrier(w, X, y):
    return jnp.sum((X @ w - y) ** 2) / 2 - 0.4 * jnp.sum(jnp.log(jnp.abs(w)))


HEIGHTS = rng.standard_normal(13)
TERMS = {
    "a penalty for each rating": Slip(
        ratings,
        lambda P, rated, weight: ratings_data(P, rated) + 2 * weight * np.bincount(rated)[:, None] * P,
        {Kind.PENALTY},
        "from 1 to 3 times",
        P,
        (RATED, 0.3),
    ),
    "a penalty on what has none": Slip(
        lambda w, X, y: jnp.sum(jnp.cosh(X @ w - y)) + 0.3 * jnp.sum(w[1:] ** 2),
        lambda w, X, y: X.T @ jnp.sinh(X @ w - y) + 0.6 * w,
        {Kind.PENALTY},
        "yours penalises what the second term of the cost (a penalty) does not",
    ),
    "a term along the other axis": Slip(
        fall,
        lambda x: jax.grad(lambda x: fall(x) - 3.0 * jnp.sum(x[:, 0]) + 3.0 * jnp.sum(x[:, 1]))(x),
        {Kind.INDEX},
        "is turned round along axis 1",
        P,
        (),
    ),
    "a power of the parameters in a term": Slip(
        barrier,
        lambda w, X, y: X.T @ (X @ w - y) - 0.4 / w**2,
        {Kind.CHAIN_RULE},
        "the second term of the cost (without data) is 1/θ times",
    ),
    "a term times a function of all parameters": Slip(
        lambda w, X, y: jnp.sum((X @ w - y) ** 2) + jnp.sum(jnp.cosh(w)),
        lambda w, X, y: 2 * X.T @ (X @ w - y) + (w @ w + 1) * jnp.sinh(w),
        {Kind.CHAIN_RULE},
        "a factor that changes with the parameters; the others are right",
    ),
    "the ends of an axis": Slip(
        hill,
        lambda u: jax.grad(hill)(u).at[:2].add(u[:2]).at[-2:].add(u[-2:] ** 2),
        {Kind.ENTRY},
        "differs at the first and last places along axis 0 only",
        HEIGHTS,
        (),
    ),
}
DRIVE, SEEN = rng.standard_normal(5), rng.standard_normal(5)
RECURRENT = {"in": np.array(0.7), "back": np.array(0.6)}


def recurrence(p, drive, seen):
    def step(h, x):
        h = jnp.tanh(p["in"] * x + p["back"] * h)
        return h, h

    return jnp.sum((jax.lax.scan(step, 0.0, drive)[1] - seen) ** 2) / 2


def recurrence_back(p, drive, seen, late=False, roll=0):
    h: list = [0.0]
    for x in drive:
        h.append(jnp.tanh(p["in"] * x + p["back"] * h[-1]))
    deltas, later = [], 0.0
    for t in range(len(drive), 0, -1):
        deltas.append((h[t] - seen[t - 1] + later) * (1 - h[t] ** 2))
        later = p["back"] * deltas[-1]
    deltas = jnp.roll(jnp.stack(deltas[::-1]), roll)
    return {"in": deltas @ drive, "back": deltas @ jnp.stack(h[1:] if late else h[:-1])}


def long_path(p, drive):
    """A logarithm after so many steps that a loop is looked at as one."""

    def step(h, x):
        for _ in range(6):
            h = h + 0.01 * jnp.sin(p * h) * x + 0.02 * jnp.cos(h)
        return h, h

    return jnp.sum(jnp.log(jax.lax.scan(step, 1.0 + jnp.sum(p) * jnp.ones(3), jnp.tile(drive, 3))[1]) ** 2)


TURNS = {
    "the state after a turn for that before it": Slip(
        recurrence,
        lambda p, drive, seen: recurrence_back(p, drive, seen, late=True),
        {Kind.INDEX},
        "the other factor is that of the turn after",
        RECURRENT,
        (DRIVE, SEEN),
    ),
    "errors one turn late": Slip(
        recurrence,
        lambda p, drive, seen: recurrence_back(p, drive, seen, roll=1),
        {Kind.INDEX},
        "is that of the turn before",
        RECURRENT,
        (DRIVE, SEEN),
    ),
    "a slip beside a loop with many steps": Slip(
        lambda w, drive: jnp.sum(jnp.log(jnp.exp(long_path(w, drive) / 9) + w**2)),
        lambda w, drive: jax.grad(lambda w: jnp.sum(jnp.exp(long_path(w, drive) / 9) + w**2))(w),
        {Kind.CHAIN_RULE},
        "`log`",
        W,
        (DRIVE,),
    ),
}
OPERATIONS |= TERMS | TURNS


def examined(slip: Slip) -> verify.Report:
    return verify.derivatives(slip.cost, slip.params, *slip.arguments, **slip.keywords, gradient=slip.wrong)


def test_only_the_diagonal_of_one_term_of_a_hessian():
    def cost(w, X, y):
        return jnp.sum((X @ w - y) ** 2) + 2.0 * (jnp.sum(w) - 1) ** 2

    report = verify.derivatives(cost, W, X, Y, hessian=lambda w, X, y: 2 * X.T @ X + 4 * jnp.eye(D))
    assert report.ok is False
    assert [finding.kind for finding in report.findings] == [Kind.DIAGONAL], str(report)


TWO = np.array([[0.4, -0.7, 1.1], [0.8, 0.3, -0.5]])


def net(w, X, y):
    return jnp.sum((jnp.tanh(X @ w[0]) * w[1][0] - y) ** 2) / 2


def net_slope(w, X, y, wrong):
    """The gradient with a slip in tanh′, differentiated: a second derivative that follows from a wrong first one."""
    h = jnp.tanh(X @ w[0])
    e = h * w[1][0] - y
    return jnp.stack([X.T @ (e * w[1][0] * (1 - h**2 if not wrong else 1 - h)), jnp.array([e @ h, 0.0, 0.0])])


def noise(p, X, y):
    """A normal linear model by its coefficients and its log deviation."""
    return jnp.sum((y - X @ p["w"]) ** 2) * jnp.exp(-2 * p["s"]) / 2 + M * p["s"]


def curved(U, A):
    return jnp.sum((U @ U.T - A) ** 2) / 4 + 0.1 * jnp.sum(U**4)


def test_a_hessian_that_follows_from_a_slip_in_the_gradient():
    report = verify.derivatives(net, TWO, X, Y, hessian=lambda w, X, y: jax.jacfwd(net_slope)(w, X, y, True))
    assert report.ok is False
    assert [finding.kind for finding in report.findings] == [Kind.CHAIN_RULE], str(report)
    assert "tanh" in report.findings[0].sentence


def test_the_expected_hessian_of_a_normal_model_with_unknown_variance():
    def fisher(p, X, y):
        zero = jnp.zeros(D)
        w = X.T @ X * jnp.exp(-2 * p["s"])
        return {"s": {"s": jnp.array(2.0 * M), "w": zero}, "w": {"s": zero, "w": w}}

    params = {"s": np.array(0.3), "w": W}
    report = verify.derivatives(noise, params, X, Y, hessian=fisher)
    assert {finding.kind for finding in report.findings} == {Kind.EXPECTED}, str(report)
    assert report.ok is False


def test_a_product_without_the_curvature_of_the_model():
    def product(U, A, V):
        residual = lambda U: U @ U.T - A  # noqa: E731
        push, pull = jax.jvp(residual, (U,), (V,))[1], jax.vjp(residual, U)[1]
        return pull(push)[0] / 2 + 1.2 * U**2 * V

    report = verify.derivatives(curved, P, np.eye(4) + 0.3, hessian_product=product)
    assert [finding.kind for finding in report.findings] == [Kind.EXPECTED], str(report)
    assert "lacks the curvature" in report.findings[0].sentence


@pytest.mark.parametrize("name", OPERATIONS)
def test_a_slip_is_named(name):
    slip = OPERATIONS[name]
    report = examined(slip)
    assert report.ok is False
    said = " ".join(finding.sentence for finding in report.findings)
    assert ({finding.kind for finding in report.findings}, slip.words in said) == (slip.kinds, True), said
