"""The kinds that the doctor names for mistakes of students, in models of several leaves and layers."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jax_course import verify
from jax_course.verify import Kind

rng = np.random.default_rng(0)
M, D, H, K = 14, 4, 5, 3
X, Y, CLASS = rng.standard_normal((M, D)), rng.standard_normal((M, K)), np.arange(M) % K
LABEL = np.arange(M) % 2 * 1.0
NET = [
    {"W": rng.standard_normal((D, H)), "b": rng.standard_normal(H)},
    {"W": rng.standard_normal((H, K)), "b": rng.standard_normal(K)},
]
LINEAR = {"W": rng.standard_normal((D, K)), "b": rng.standard_normal(K)}
LOGIT = {"w": rng.standard_normal(D), "b": np.array(0.3)}


def relu(z):
    return jnp.maximum(z, 0)


def relu_slope(h):
    return (h > 0) * 1.0


def sigmoid(z):
    return 1 / (1 + jnp.exp(-z))


def network(activation, slope):
    """The cost of a layer and a gradient by backpropagation, whose steps may be replaced."""

    def cost(net, X, Y):
        h = activation(X @ net[0]["W"] + net[0]["b"])
        return 0.5 * jnp.sum((h @ net[1]["W"] + net[1]["b"] - Y) ** 2)

    def gradient(net, X, Y, slope=slope, bias=lambda d: d.sum(0)):
        h = activation(X @ net[0]["W"] + net[0]["b"])
        delta = h @ net[1]["W"] + net[1]["b"] - Y
        hidden = delta @ net[1]["W"].T * slope(h)
        return [{"W": X.T @ hidden, "b": bias(hidden)}, {"W": h.T @ delta, "b": delta.sum(0)}]

    return cost, gradient


def linear(p, X, Y):
    return 0.5 * jnp.sum((X @ p["W"] + p["b"] - Y) ** 2)


def linear_gradient(p, X, Y):
    r = X @ p["W"] + p["b"] - Y
    return {"W": X.T @ r, "b": r.sum(0)}


def logit(p, X, y, penalty):
    z = X @ p["w"] + p["b"]
    return jnp.sum(jnp.logaddexp(0, z) - y * z) + penalty * jnp.sum(p["w"] ** 2)


def logit_gradient(p, X, y, penalty):
    e = sigmoid(X @ p["w"] + p["b"]) - y
    return {"w": X.T @ e + 2 * penalty * p["w"], "b": e.sum()}


def logit_slope(z):
    return sigmoid(z) * sigmoid(-z)


def named(report):
    """The kinds, the leaves they speak of, and what is said."""
    assert report.ok is False
    return {f.kind for f in report.findings}, " ".join(f.sentence for f in report.findings)


def change_linear(change):
    return named(verify.derivatives(linear, LINEAR, X, Y, gradient=lambda *a: change(linear_gradient(*a))))


ACTIVATIONS = {
    "σ": (sigmoid, lambda h: h * (1 - h)),
    "tanh": (jnp.tanh, lambda h: 1 - h**2),
    "relu": (relu, relu_slope),
}
SLOPES = {
    "forgotten": lambda h: jnp.ones_like(h),
    "the activation itself": lambda h: h,
    "1 − h": lambda h: 1 - h,
    "twice": lambda h: (h * (1 - h)) ** 2,
}


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_the_slope_of_the_hidden_layer_is_right(activation):
    cost, gradient = network(*ACTIVATIONS[activation])
    assert verify.derivatives(cost, NET, X, Y, gradient=gradient).ok is True


@pytest.mark.parametrize(
    ("activation", "slope"), [*(("tanh", slope) for slope in SLOPES), ("σ", "1 − h"), ("relu", "forgotten")]
)
def test_a_wrong_slope_of_the_hidden_layer(activation, slope):
    cost, gradient = network(*ACTIVATIONS[activation])
    report = verify.derivatives(cost, NET, X, Y, gradient=lambda *a: gradient(*a, slope=SLOPES[slope]))
    kinds, words = named(report)
    assert kinds == {Kind.CHAIN_RULE}, words
    assert len(report.findings) == 1
    assert words.startswith("`0.W`, `0.b`")
    if activation == "relu" and slope == "forgotten":
        assert "a mask is missing" in words


def test_the_bias_of_a_layer():
    cost, gradient = network(*ACTIVATIONS["tanh"])
    for bias, words in ((lambda d: d.mean(0), "averaged where the cost sums (m = 14)"), (lambda d: d[0], "summed")):
        kinds, said = named(verify.derivatives(cost, NET, X, Y, gradient=lambda *a, b=bias: gradient(*a, bias=b)))
        assert kinds == {Kind.BIAS}
        assert words in said
    assert change_linear(lambda g: g | {"b": 0 * g["b"]})[0] == {Kind.MISSING}


@pytest.mark.parametrize(
    ("change", "kind", "words"),
    [
        (lambda g: g | {"W": g["W"].at[:, 1].set(0)}, Kind.MISSING, "0 in column 1"),
        (lambda g: g | {"W": g["W"].at[:, 1].multiply(-1)}, Kind.SIGN, "column 1"),
        (lambda g: g | {"W": g["W"].at[2].multiply(2)}, Kind.FACTOR, "in row 2 yours is 2 times"),
        (lambda g: g | {"W": g["W"] * jnp.arange(1.0, 4)}, Kind.FACTOR, "a factor of its own"),
        (lambda g: {k: jnp.roll(v, 1, -1) for k, v in g.items()}, Kind.INDEX, "shifted by +1"),
        (lambda g: {k: v[..., ::-1] for k, v in g.items()}, Kind.INDEX, "reversed"),
        (lambda g: g | {"W": g["W"].T.reshape(D, K)}, Kind.TRANSPOSE, "transposed"),
        (lambda g: g | {"W": g["W"].reshape(K, D).T}, Kind.TRANSPOSE, "flattened"),
        (lambda g: g | {"W": g["W"].at[1, 2].multiply(-1)}, Kind.ENTRY, "-1 times"),
        (
            lambda g: {k: -3 * v for k, v in g.items()},
            Kind.FACTOR,
            "wrong sign = the number of columns of `W`",
        ),
        (lambda g: {k: 2 * M * v for k, v in g.items()}, Kind.FACTOR, "2 × the number of examples m"),
    ],
)
def test_rows_columns_and_factors(change, kind, words):
    kinds, said = change_linear(change)
    assert (kinds, words in said) == ({kind}, True), said


def test_leaves_exchanged():
    cost, gradient = network(*ACTIVATIONS["tanh"])
    square = [{"W": rng.standard_normal((D, D)), "b": rng.standard_normal(D)} for _ in range(2)]
    targets = rng.standard_normal((M, D))
    kinds, said = named(verify.derivatives(cost, square, X, targets, gradient=lambda *a: gradient(*a)[::-1]))
    assert kinds == {Kind.INDEX}
    assert "that of `1.W` stands in `0.W`" in said


DATA = {
    "target forgotten": (lambda g, p, X, Y: g(p, X, 0 * Y), Kind.MISSING, "as if `Y` were 0"),
    "target's sign": (lambda g, p, X, Y: g(p, X, -Y), Kind.SIGN, "`Y` had the opposite sign"),
    "rows shifted": (lambda g, p, X, Y: g(p, X, jnp.roll(Y, 1, 0)), Kind.INDEX, "`Y` shifted by +1"),
    "bias forgotten": (lambda g, p, X, Y: g(p | {"b": 0 * p["b"]}, X, Y), Kind.MISSING, "as if `b` were 0"),
    "another point": (lambda g, p, X, Y: g(jax.tree.map(jnp.ones_like, p), X, Y), Kind.UNKNOWN, "at another point"),
}


@pytest.mark.parametrize("mistake", DATA)
def test_right_for_other_data(mistake):
    wrong, kind, words = DATA[mistake]
    report = verify.derivatives(linear, LINEAR, X, Y, gradient=lambda *a: wrong(linear_gradient, *a))
    assert (report.findings[0].kind, words in report.findings[0].sentence) == (kind, True), str(report)


def test_labels_and_transposed_data():
    def flipped(p, X, y, penalty):
        return logit_gradient(p, X, 1 - y, penalty)

    kinds, said = named(verify.derivatives(logit, LOGIT, X, LABEL, gradient=flipped, penalty=0.3))
    assert (kinds, "labels 0 and 1 of `y` exchanged" in said) == ({Kind.INDEX}, True)

    def cross_entropy(W, X, c):
        Z = X @ W
        return jnp.sum(jax.nn.logsumexp(Z, axis=1) - Z[jnp.arange(len(c)), c])

    def off_by_one(W, X, c):
        return X.T @ (jax.nn.softmax(X @ W, axis=1) - jax.nn.one_hot((c + 1) % K, K))

    kinds, said = named(verify.derivatives(cross_entropy, LINEAR["W"], X, CLASS, gradient=off_by_one))
    assert (kinds, "class numbers in `c` off by +1" in said) == ({Kind.INDEX}, True)

    A = rng.standard_normal((D, D))
    kinds, said = named(verify.derivatives(lambda t, A: t @ A @ t, LOGIT["w"], A, gradient=lambda t, A: 2 * A.T @ t))
    assert (kinds, "only for a symmetric `A`" in said) == ({Kind.TRANSPOSE}, True)


PENALTIES = {
    "on the bias": lambda g, p, d: g | {"b": g["b"] + 2 * d * p["b"]},
    "on the bias in place of the weights": lambda g, p, d: {"w": g["w"] - 2 * d * p["w"], "b": g["b"] + 2 * d * p["b"]},
    "halved": lambda g, p, d: g | {"w": g["w"] - d * p["w"]},
    "of the norm": lambda g, p, d: g | {"w": g["w"] - 2 * d * p["w"] + d * p["w"] / jnp.linalg.norm(p["w"])},
    "of |w|": lambda g, p, d: g | {"w": g["w"] - 2 * d * p["w"] + d * jnp.sign(p["w"])},
    "a constant": lambda g, p, d: g | {"w": g["w"] - 2 * d * p["w"] + d},
    "of the square": lambda g, p, d: g | {"w": g["w"] - 2 * d * p["w"] + d * p["w"] ** 2},
    "divided by m": lambda g, p, d: g | {"w": g["w"] - 2 * d * p["w"] * (1 - 1 / M)},
}


@pytest.mark.parametrize("mistake", PENALTIES)
def test_a_penalty_beside_a_bias(mistake):
    def wrong(p, X, y, penalty):
        return PENALTIES[mistake](logit_gradient(p, X, y, penalty), p, penalty)

    report = verify.derivatives(logit, LOGIT, X, LABEL, gradient=wrong, penalty=0.3)
    assert named(report)[0] == {Kind.PENALTY}, str(report)


def posterior(w, X, y, s2, t2):
    return jnp.sum((y - X @ w) ** 2) / (2 * s2) + jnp.sum(w**2) / (2 * t2)


def posterior_gradient(w, X, y, s2, t2, data=1.0, prior=1.0):
    return data * X.T @ (X @ w - y) / s2 + prior * w / t2


@pytest.mark.parametrize(
    ("data", "prior", "kind", "words"),
    [
        (lambda s2, t2: s2, lambda s2, t2: 1, Kind.FACTOR, "`s2` divides is 0.7 times what it should be = `s2`"),
        (lambda s2, t2: s2**0.5, lambda s2, t2: 1, Kind.FACTOR, "= √`s2`"),
        (lambda s2, t2: s2, lambda s2, t2: s2, Kind.FACTOR, "yours is 0.7 times the derivative = `s2`"),
        (lambda s2, t2: 0, lambda s2, t2: 1, Kind.MISSING, ""),
        (lambda s2, t2: 1, lambda s2, t2: 0, Kind.PENALTY, "off by -0.333333 × θ"),
    ],
)
def test_a_variance_in_the_wrong_place(data, prior, kind, words):
    def wrong(w, X, y, s2, t2):
        return posterior_gradient(w, X, y, s2, t2, data(s2, t2), prior(s2, t2))

    kinds, said = named(verify.derivatives(posterior, LOGIT["w"], X, Y[:, 0], gradient=wrong, s2=0.7, t2=3.0))
    assert (kinds, words in said) == ({kind}, True), said


def test_a_function_of_a_parameter():
    """d/dσ where the parameter is log σ, and a forgotten 1/σ²."""

    def cost(p, y):
        return jnp.sum(p["s"] + 0.5 * (y - p["m"]) ** 2 * jnp.exp(-2 * p["s"]))

    def gradient(p, y):
        weight = jnp.exp(-2 * p["s"])
        return {"m": jnp.sum(p["m"] - y) * weight, "s": len(y) - jnp.sum((y - p["m"]) ** 2) * weight}

    point = {"m": np.array(0.2), "s": np.array(0.4)}
    for wrong, words in (
        (lambda g, p: g | {"m": g["m"] * jnp.exp(2 * p["s"])}, "exp(2 s) times"),
        (lambda g, p: g | {"s": g["s"] * jnp.exp(-p["s"])}, "exp(−s) times"),
    ):
        report = verify.derivatives(cost, point, Y[:, 0], gradient=lambda p, y, w=wrong: w(gradient(p, y), p))
        kinds, said = named(report)
        assert (kinds, words in said) == ({Kind.CHAIN_RULE}, True), said


def decay(p, t, y):
    return 0.5 * jnp.mean((p["a"] * jnp.exp(-p["k"] * t) - y) ** 2)


def test_gauss_newton_of_several_leaves_and_of_a_mean():
    t, p = np.linspace(0.1, 2, M), {"a": np.array(1.5), "k": np.array(0.7)}

    def matrix(p, t):
        e = jnp.exp(-p["k"] * t)
        J = jnp.stack([e, -p["a"] * t * e], axis=1)
        return J.T @ J / len(t)

    def hessian(p, t, y):
        G = matrix(p, t)
        return {"a": {"a": G[0, 0], "k": G[0, 1]}, "k": {"a": G[1, 0], "k": G[1, 1]}}

    def product(p, t, y, v):
        a, k = matrix(p, t) @ jnp.array([v["a"], v["k"]])
        return {"a": a, "k": k}

    for derivative in ({"hessian": hessian}, {"hessian_product": product}):
        kinds, said = named(verify.derivatives(decay, p, t, Y[:, 0], **derivative))
        assert (kinds, "Gauss–Newton" in said) == ({Kind.EXPECTED}, True), said


def test_blocks_of_a_hessian_of_several_leaves():
    def hessian(p, X, y, penalty):
        s = logit_slope(X @ p["w"] + p["b"])
        cross = X.T @ s
        weights = (X.T * s) @ X + 2 * penalty * jnp.eye(D)
        return {"w": {"w": weights, "b": cross}, "b": {"w": cross, "b": s.sum()}}

    zero = {"w": {"b": 0.0}, "b": {"w": 0.0}}

    def without_cross(*a, **k):
        H = hessian(*a, **k)
        return {i: {j: H[i][j] * (1.0 if j not in zero[i] else 0.0) for j in H[i]} for i in H}

    def with_a_diagonal_block(*a, **k):
        H = hessian(*a, **k)
        return H | {"w": H["w"] | {"w": jnp.diag(jnp.diag(H["w"]["w"]))}}

    for wrong in (without_cross, with_a_diagonal_block):
        report = verify.derivatives(logit, LOGIT, X, LABEL, hessian=wrong, penalty=0.3)
        assert named(report)[0] == {Kind.DIAGONAL}, str(report)


@pytest.mark.parametrize(
    ("change", "kind", "words"),
    [
        (lambda H: H.at[0].set(0).at[:, 0].set(0), Kind.MISSING, "row and column 0"),
        (lambda H: H.at[0].multiply(-1).at[:, 0].multiply(-1), Kind.SIGN, "row and column 0"),
        (lambda H: H[jnp.array([1, 2, 3, 0])][:, jnp.array([1, 2, 3, 0])], Kind.INDEX, "rows and columns are shifted"),
        (lambda H: H * (1 + jnp.eye(D)), Kind.FACTOR, "2 times the Hessian on the diagonal"),
        (lambda H: H * (1 - jnp.eye(D)), Kind.MISSING, "0 times the Hessian on the diagonal"),
        (lambda H: H * (2 - jnp.eye(D)), Kind.FACTOR, "2 times the Hessian off the diagonal"),
    ],
)
def test_entries_of_a_hessian(change, kind, words):
    def cost(w, X, y):
        return jnp.sum(jnp.logaddexp(0, X @ w) - y * (X @ w))

    def hessian(w, X, y):
        return (X.T * logit_slope(X @ w)) @ X

    kinds, said = named(verify.derivatives(cost, LOGIT["w"], X, LABEL, hessian=lambda *a: change(hessian(*a))))
    assert (kinds, words in said) == ({kind}, True), said


def test_data_in_place_of_its_transpose():
    """X Xᵀ for XᵀX, where as many examples as features hide it."""
    square = rng.standard_normal((D, D))

    def cost(w, X, y):
        return jnp.sum((X @ w - y) ** 2)

    report = verify.derivatives(cost, LOGIT["w"], square, Y[:D, 0], hessian=lambda w, X, y: 2 * X @ X.T)
    assert named(report)[0] == {Kind.TRANSPOSE}


TERMS = {
    "sign": (lambda a, b: a - b, Kind.SIGN, "the second term of the cost (with `y`) has the wrong sign"),
    "left out": (lambda a, b: b, Kind.MISSING, "the first term of the cost (without data) is missing"),
    "m forgotten": (
        lambda a, b: a / M + b,
        Kind.FACTOR,
        f"the first term of the cost (without data) is {1 / M:.6g} times",
    ),
}


@pytest.mark.parametrize("mistake", TERMS)
def test_one_term_of_the_cost(mistake):
    def cost(s, y):
        return jnp.sum(jnp.log(s) + y**2 / (2 * s**2))

    change, kind, words = TERMS[mistake]
    wrong = lambda s, y: change(M / s, -jnp.sum(y**2) / s**3)  # noqa: E731
    kinds, said = named(verify.derivatives(cost, 1.3, Y[:, 0], gradient=wrong))
    assert (kinds, words in said) == ({kind}, True), said


def test_a_constant_is_no_penalty_where_all_parameters_are_positive():
    def cost(p):
        return jnp.sum(p**4)

    kinds, said = named(verify.derivatives(cost, np.array([0.2, 0.5, 0.3]), gradient=lambda p: 4 * p**3 + 0.3))
    assert kinds == {Kind.UNKNOWN}
    assert "off by +0.3 in every entry" in said


@pytest.mark.parametrize(
    ("wrong", "words"),
    [(lambda W, X, y: None, "is `return` missing"), (lambda W, X, y: [1.0, 2.0, 3.0, 4.0], "say np.array([...])")],
)
def test_nothing_and_a_list_are_no_arrays(wrong, words):
    kinds, said = named(
        verify.derivatives(lambda w, X, y: jnp.sum((X @ w - y) ** 2), LOGIT["w"], X, LABEL, gradient=wrong)
    )
    assert (kinds, words in said) == ({Kind.SHAPE}, True), said


def test_a_key_of_random_numbers_among_the_data():
    def cost(w, key):
        return jnp.sum((jax.random.normal(key, (3,)) - w) ** 2)

    kinds, _ = named(
        verify.derivatives(cost, np.ones(3), np.array([0, 7], np.uint32), gradient=lambda w, key: 0.3 * w**3)
    )
    assert kinds == {Kind.UNKNOWN}


def test_a_loop_that_would_not_end_with_other_data_is_not_tried():
    def cost(w, a):
        def step(state):
            return 0.5 * (state[0] + a * w**2 / state[0]), state[0]  # Heron's square root of a w²

        ends = jax.lax.while_loop(lambda state: jnp.max(jnp.abs(state[0] - state[1])) > 1e-9, step, (w, w + 1.0))
        return jnp.sum(ends[0])

    report = verify.derivatives(cost, np.array([1.0, 2.0]), np.array([2.0, 3.0]), gradient=lambda w, a: w**4 + 0.3)
    assert report.ok is False  # that of a negative number would be looked for without end
