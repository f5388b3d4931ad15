"""Networks as models: against solutions at 100 digits, autodiff, the models of chapters 3 to 9, and what is refused."""

import json
from functools import cache, partial
from pathlib import Path

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.flatten_util import ravel_pytree

from jax_course import linear, logistic, softmax
from jax_course.networks import Network, costs, decay, layers, mlp, network
from jax_course.networks.layers import LinearParams
from tests.cases import COSTS, PRECISIONS

M, D = 12, 3
SOLVED = json.loads((Path(__file__).parents[1] / "data" / "networks.json").read_text())
SIGMOID, LINEAR = layers.sigmoid, layers.linear
FORMS = {
    "mlp_2_2_1_sigmoid_bce_xor": mlp([2, 1], "sigmoid", costs.binary_cross_entropy()),
    "mlp_2_3_3_sigmoid_softmax_ce": mlp([3, 3], "sigmoid", costs.cross_entropy()),
    "mlp_1_2_1_sigmoid_mse": mlp([2, 1], "sigmoid", costs.squared_error()),
    "mazur_2_2_2_sigmoid_halfmse_sigmoidout": network(
        LINEAR(2), SIGMOID(), LINEAR(2), SIGMOID(), cost=costs.squared_error()
    ),
}


def solved(name):
    """The network, theta, X and y of the file."""
    case, net = SOLVED[name], FORMS[name]
    linears = [LinearParams(jnp.array(b), jnp.array(W)) for W, b in zip(case["weights"], case["biases"], strict=True)]
    theta = tuple(linears.pop(0) if "linear" in layer.name else () for layer in net.layers)
    Y = np.array(case["Y"])
    y = np.argmax(Y, axis=1) if net.last.name == "cross_entropy" else Y[:, 0] if Y.shape[1] == 1 else Y
    return case, theta, np.array(case["X"]), y


@cache
def computed(name):
    """Cost, gradient, the rows of the Hessian and the prediction, a function of theta, X and y."""
    net = FORMS[name]

    @jax.jit
    def values(theta, X, y):
        flat, unravel = ravel_pytree(theta)
        rows = jax.vmap(lambda v: ravel_pytree(net.hessian_product(theta, X, y, unravel(v)))[0])(jnp.eye(flat.size))
        return net.cost(theta, X, y), net.gradient(theta, X, y), rows, net.predict(theta, X)

    return values


def in_the_order_of_the_file(tree):
    return np.concatenate([np.ravel(a) for part in tree if part for a in (part.weights, part.bias)])


def numbered(tree):
    """A tree like this one whose entries are 0, 1, 2, … in the order of its leaves."""
    leaves, structure = jax.tree.flatten(tree)
    ends = np.cumsum([leaf.size for leaf in leaves])
    numbers = [np.arange(end - leaf.size, end).reshape(leaf.shape) for leaf, end in zip(leaves, ends, strict=True)]
    return jax.tree.unflatten(structure, numbers)


@pytest.mark.parametrize("name", FORMS)
def test_cost_gradient_and_hessian_are_those_at_100_digits(name):
    case, theta, X, y = solved(name)
    m = len(X)
    close = partial(np.testing.assert_allclose, rtol=1e-13, atol=1e-15)
    cost, gradient, rows, prediction = computed(name)(theta, X, y)
    close(np.asarray(cost) / m, case["loss"])
    expected = [np.concatenate([np.ravel(W), b]) for W, b in zip(case["grad_W"], case["grad_b"], strict=True)]
    close(in_the_order_of_the_file(gradient) / m, np.concatenate(expected))
    order = in_the_order_of_the_file(numbered(theta))
    close(np.asarray(rows)[np.ix_(order, order)] / m, case["hessian"], atol=1e-14)
    if name != "mazur_2_2_2_sigmoid_halfmse_sigmoidout":  # whose outputs are given before the last layer
        close(np.reshape(prediction, (m, -1)), case["outputs"])


def test_the_published_example_of_mazur():
    """E = 0.298371109, ∂E/∂w₅ = 0.082167041, ∂E/∂w₁ = 0.000438568, for half of our cost."""
    name = "mazur_2_2_2_sigmoid_halfmse_sigmoidout"
    cost, gradient, *_ = computed(name)(*solved(name)[1:])
    first, last = (np.asarray(gradient[i].weights) for i in (0, 2))
    values = np.array([cost, last[0, 0], first[0, 0]]) / 2
    np.testing.assert_allclose(values, [0.298371109, 0.082167041, 0.000438568], atol=5e-10)


@pytest.mark.parametrize("name", [name for name in FORMS if "descent" in SOLVED[name]])
def test_descent_is_that_at_100_digits(name):
    case, theta, X, y = solved(name)
    rate, losses = case["descent"]["rate"], case["descent"]["losses"]
    theta = jax.tree.map(np.asarray, theta)
    for loss in losses:
        gradient = computed(name)(theta, X, y)[1]
        theta = jax.tree.map(lambda t, g: t - rate * np.asarray(g) / len(X), theta, gradient)
        np.testing.assert_allclose(np.asarray(computed(name)(theta, X, y)[0]) / len(X), loss, rtol=1e-13)
    np.testing.assert_allclose(in_the_order_of_the_file(theta), case["descent"]["end"], rtol=1e-12)


def problem(cost_name, dtype=np.float64, seed=0):
    """A network with every kind of layer before this cost; theta, v, X, y."""
    make, width, targets = COSTS[cost_name]
    net = network(
        layers.linear(4), layers.residual(layers.softplus()), layers.rbf(3), layers.linear(width), cost=make()
    )
    rng = np.random.default_rng(seed)
    with jax.enable_x64(True):
        theta = jax.tree.map(lambda leaf: np.asarray(leaf, dtype), net.init(jax.random.key(seed), D))
    v = jax.tree.map(lambda leaf: rng.standard_normal(leaf.shape).astype(dtype), theta)
    y = targets(rng)
    return net, theta, v, rng.standard_normal((M, D)).astype(dtype), y if y.dtype.kind == "i" else y.astype(dtype)


def assert_close(hand, reference, tolerance):
    chex.assert_trees_all_equal_shapes_and_dtypes(hand, reference)
    size = max(float(np.max(np.abs(leaf))) for leaf in jax.tree.leaves(reference))
    chex.assert_trees_all_close(hand, reference, rtol=0, atol=tolerance * size)


def penalised(cost_name, theta):
    """With one of the two kinds of penalty."""
    return {"penalty": decay(theta, 0.3) if "cross_entropy" in cost_name else 0.3}


@pytest.mark.parametrize(
    ("cost_name", "name"),
    [("squared_error, several", "float64"), ("binary_cross_entropy", "float64"), ("cross_entropy", "float32")],
)
def test_derivatives_are_those_of_the_cost(cost_name, name):
    precision = PRECISIONS[name]
    with jax.enable_x64(precision.x64):
        check_derivatives(cost_name, precision)


def check_derivatives(cost_name, precision):
    net, theta, v, X, y = problem(cost_name, precision.dtype)
    hyper = penalised(cost_name, theta)

    @jax.jit
    def hand_and_reference(theta, v):
        output = partial(net_output, net, X=X)
        z_value, pull = jax.vjp(output, theta)
        Jv = jax.jvp(output, (theta,), (v,))[1]
        targets = net.last.targets(y, z_value)
        HJv = jax.jvp(lambda z: jax.grad(net.last.value)(z, targets), (z_value,), (Jv,))[1]
        curvature = jax.tree.map(lambda p, w: 2 * p * w, decay_like(hyper["penalty"], theta), v)
        gradient, product = jax.jvp(jax.grad(partial(net.cost, X=X, y=y, **hyper)), (theta,), (v,))
        return (
            (net.gradient(theta, X, y, **hyper), gradient),
            (net.hessian_product(theta, X, y, v, **hyper), product),
            (net.gauss_newton_product(theta, X, y, v, **hyper), jax.tree.map(jnp.add, pull(HJv)[0], curvature)),
        )

    for hand, reference in hand_and_reference(theta, v):
        assert_close(hand, reference, 4 * precision.tolerance)


@pytest.mark.parametrize("cost_name", ["squared_error, several", "cross_entropy"])
def test_dtypes_and_shapes_are_kept(cost_name):
    """In float32 in 64-bit mode, where it could be promoted."""
    precision = PRECISIONS["float32 in 64-bit mode"]
    net, theta, v, X, y = problem(cost_name, precision.dtype)
    hyper = penalised(cost_name, theta)
    cost = jax.eval_shape(partial(net.cost, **hyper), theta, X, y)
    assert (cost.shape, cost.dtype) == ((), precision.dtype)
    for verb, arguments in (
        (net.gradient, (theta, X, y)),
        (net.hessian_product, (theta, X, y, v)),
        (net.gauss_newton_product, (theta, X, y, v)),
    ):
        chex.assert_trees_all_equal_shapes_and_dtypes(jax.eval_shape(partial(verb, **hyper), *arguments), theta)


def net_output(net, theta, X):
    z = jnp.asarray(X)
    for layer, params in zip(net.layers, theta, strict=True):
        z = layer.forward(params, z)[0]
    return z


def decay_like(penalty, theta):
    return jax.tree.map(lambda leaf: jnp.asarray(penalty, leaf.dtype), theta) if isinstance(penalty, float) else penalty


def test_the_gauss_newton_matrix_is_positive_semidefinite_and_exact_without_hidden_layers():
    net, theta, v, X, y = problem("cross_entropy")
    plain = mlp([4], "relu", costs.cross_entropy())

    @jax.jit
    def matrix_and_products(theta, X, y):
        flat, unravel = ravel_pytree(theta)
        rows = jax.vmap(lambda v: ravel_pytree(net.gauss_newton_product(theta, X, y, unravel(v)))[0])
        last = theta[-1:], X, y, v[-1:]
        return rows(jnp.eye(flat.size)), plain.gauss_newton_product(*last), plain.hessian_product(*last)

    G, by_gauss_newton, hessian = matrix_and_products(theta, X, y)
    eigenvalues = np.linalg.eigvalsh(G)
    assert eigenvalues[0] > -1e-12 * eigenvalues[-1]
    chex.assert_trees_all_close(by_gauss_newton, hessian, rtol=1e-12, atol=1e-12)


def test_without_a_hidden_layer_they_are_the_models_of_chapters_3_8_and_9():
    rng = np.random.default_rng(0)
    X, y, K = rng.standard_normal((M, D)), rng.standard_normal(M), 4
    labels, classes = np.arange(M) % 2 * 1.0, np.arange(M) % K

    @jax.jit
    def network_and_model(bias, weights, X, y, labels, classes):
        with_bias = jnp.concatenate([jnp.ones((M, 1)), X], axis=1)
        pairs = []
        for model, make, targets, width in (
            (linear, costs.squared_error, y, 1),
            (logistic, costs.binary_cross_entropy, labels, 1),
            (softmax, costs.cross_entropy, classes, K),
        ):
            net, theta = mlp([width], "tanh", make()), (LinearParams(bias[:width], weights[:, :width]),)
            both = jnp.concatenate([theta[0].bias[None, :], theta[0].weights])
            both = both[:, 0] if width == 1 else both
            of_both = model.gradient(both, with_bias, targets)
            pairs += [
                (net.predict(theta, X), model.predict(both, with_bias), 1e-13),
                (net.cost(theta, X, targets), model.cost(both, with_bias, targets), 1e-13),
                (jnp.squeeze(net.gradient(theta, X, targets)[0].weights), of_both[1:], 1e-11),
            ]
        return pairs

    bias, weights = rng.standard_normal(K), rng.standard_normal((D, K))
    for of_network, of_model, rtol in network_and_model(bias, weights, X, y, labels, classes):
        np.testing.assert_allclose(of_network, of_model, rtol=float(rtol))


@pytest.mark.parametrize("cost_name", COSTS)
def test_a_cost_is_a_sum_over_the_examples_and_a_weight_counts_one_so_often(cost_name):
    make, width, targets = COSTS[cost_name]
    net, rng = mlp([3, width], "tanh", make()), np.random.default_rng(0)

    def draw(d_in, d_out):
        return LinearParams(jnp.asarray(rng.standard_normal(d_out)), jnp.asarray(rng.standard_normal((d_in, d_out))))

    theta, v = ((draw(D, 3), (), draw(3, width)) for _ in range(2))
    X, y, counts = rng.standard_normal((M, D)), targets(rng), np.arange(M) % 3 * 1.0
    verbs = net.cost, net.gradient, partial(_product, net.hessian_product, v)
    verbs += (partial(_product, net.gauss_newton_product, v),)

    @jax.jit
    def every(theta, X, y, counts):
        return [
            (
                verb(theta, X, y),
                verb(theta, X, y, weights=2.0),
                verb(theta, X, y, weights=counts),
                jax.vmap(lambda x, y, verb=verb: verb(theta, x[None], y[None]))(X, y),
            )
            for verb in verbs
        ]

    close = partial(chex.assert_trees_all_close, rtol=1e-11, atol=1e-11)
    for whole, doubled, counted, of_each in every(theta, X, y, counts):
        close(whole, jax.tree.map(lambda leaf: np.sum(leaf, axis=0), of_each))
        close(doubled, jax.tree.map(lambda leaf: 2 * np.asarray(leaf), whole))
        close(counted, jax.tree.map(lambda leaf: np.tensordot(counts, leaf, 1), of_each))


def _product(product, v, theta, X, y, **weights):
    return product(theta, X, y, v, **weights)


def test_the_penalty_spares_the_biases_if_asked():
    net, theta, _, X, y = problem("squared_error")
    weights = sum(np.sum(leaf**2) for leaf in jax.tree.leaves(theta) if leaf.ndim > 1)
    cost = jax.jit(lambda theta, penalty: net.cost(theta, X, y, penalty=penalty))
    with_decay, without = (cost(theta, decay(theta, penalty)) for penalty in (0.5, 0.0))
    np.testing.assert_allclose(np.asarray(with_decay) - np.asarray(without), 0.5 * weights, rtol=1e-12)


def test_a_seed_is_a_network():
    net = problem("squared_error")[0]
    chex.assert_trees_all_equal(net.init(jax.random.key(3), D), net.init(jax.random.key(3), D))
    one, other = (jax.tree.leaves(net.init(jax.random.key(seed), D)) for seed in (3, 4))
    assert not np.array_equal(one[1], other[1])


def test_a_second_call_does_not_trace():
    net, rng = mlp([2, 3], "tanh", costs.cross_entropy()), np.random.default_rng(0)
    theta, v = net.init(jax.random.key(0), D), net.init(jax.random.key(1), D)
    X, y = rng.standard_normal((M, D)), np.arange(M) % 3
    gradient, product = jax.jit(net.gradient), jax.jit(net.hessian_product)
    gradient(theta, X, y)
    product(theta, X, y, v)
    with jax.no_tracing(True):
        gradient(v, X + 1, y)
        product(v, X + 1, y, theta)


XOR = mlp([2, 1], "tanh", costs.binary_cross_entropy())
THETA = XOR.init(jax.random.key(0), 2)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: network(cost=costs.squared_error()), ValueError, "serial needs at least one layer"),
        (
            lambda: mlp([8, 2], "relu", costs.binary_cross_entropy()).init(jax.random.key(0), 3),
            ValueError,
            "binary_cross_entropy needs a last layer of width 1, the logit of class 1; got 2",
        ),
        (
            lambda: mlp([1], "relu", costs.cross_entropy()).init(jax.random.key(0), 3),
            ValueError,
            "cross_entropy needs a last layer with a width for each of K ≥ 2 classes; got 1",
        ),
        (lambda: mlp([], "relu", costs.squared_error()), ValueError, "widths must hold at least the width"),
        (lambda: mlp([3], "swish", costs.squared_error()), ValueError, "activation must be one of relu, .*'swish'"),
        (
            lambda: XOR.cost(THETA, np.zeros((4, 3)), np.zeros(4)),
            ValueError,
            r"layer 0: linear\(2\): z must have shape \(m, 2\), a row per example; got shape \(4, 3\)",
        ),
        (lambda: XOR.cost(THETA, np.zeros((4, 2)), np.zeros(3)), ValueError, r"y must have shape \(4,\)"),
        (lambda: XOR.cost(THETA, np.zeros((4, 2), int), np.zeros(4)), TypeError, "X must hold floating-point numbers"),
        (lambda: XOR.predict(THETA[:2], np.zeros((4, 2))), ValueError, "an entry for each of the 3 layers; got tuple"),
        (
            lambda: XOR.cost(THETA, np.zeros((4, 2)), np.zeros(4), penalty=(1.0, 2.0)),
            ValueError,
            "penalty must be a number, or a tree like theta",
        ),
        (
            lambda: XOR.hessian_product(THETA, np.zeros((4, 2)), np.zeros(4), THETA[:2]),
            ValueError,
            "v must be a tree like theta",
        ),
    ],
)
def test_what_does_not_fit_is_refused(call, error, message):
    with pytest.raises(error, match=message):
        call()


def test_it_is_a_named_tuple_of_functions():
    assert isinstance(XOR, Network)
    assert [layer.name for layer in XOR.layers] == ["linear(2)", "tanh", "linear(1)"]
