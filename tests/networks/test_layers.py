"""Every layer of the registry: its backward pass, its R-operator, and values by hand."""

import inspect
import re
from functools import cache, partial

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import norm

from jax_course import verify
from jax_course.networks import Layer, initializers, layers, serial
from jax_course.networks.layer import tangent_backward_of, tangent_of
from tests.cases import LAYERS, PRECISIONS

KEY = jax.random.key(0)

M, D = 6, 3
every_layer = pytest.mark.parametrize("name", LAYERS)


def problem(layer, dtype, seed=0):
    """Parameters, an input, and δ behind the layer; v, R{z} and R{δ}."""
    with jax.enable_x64(True):
        key = KEY if seed == 0 else jax.random.key(seed)
        params, d_out = layer.init(key, D)
    rng = np.random.default_rng(seed)

    def draw(*shape):
        return jnp.asarray(rng.standard_normal(shape), dtype)

    # not a bias of 0: of an example that one relu leaves nothing of, it would make the kink of the next
    params = jax.tree.map(np.asarray, params)
    params = jax.tree.map(lambda leaf: jnp.asarray(leaf, dtype) if leaf.any() else draw(*leaf.shape), params)
    v = jax.tree.map(lambda leaf: draw(*leaf.shape), params)
    return params, draw(M, D), draw(M, d_out), v, draw(M, D), draw(M, d_out)


def assert_close(hand, reference, tolerance):
    chex.assert_trees_all_equal_shapes_and_dtypes(hand, reference)
    size = max((np.max(np.abs(leaf)) for leaf in jax.tree.leaves(reference)), default=0.0)
    chex.assert_trees_all_close(hand, reference, rtol=0, atol=tolerance * max(size, 1))


def check(layer, precision, seed=0):
    """The claims of `hand_and_reference`, of one layer."""
    arguments = problem(layer, precision.dtype, seed)
    assert_all_close(jax.jit(partial(hand_and_reference, layer))(*arguments), precision)


def assert_all_close(pairs, precision):
    for hand, reference in pairs:
        assert_close(hand, reference, 4 * precision.tolerance)


def hand_and_reference(layer, params, z, delta, v, Rz, Rdelta):
    """backward is the vjp of forward, tangent its jvp, tangent_backward the jvp of backward.

    Nothing is hidden in the layer: the cache is handed over, and backward may be called again after another forward.
    """

    def forward(params, z):
        return layer.forward(params, z)[0]

    def gradients(params, z, delta):
        return jax.vjp(forward, params, z)[1](delta)

    _, cache = layer.forward(params, z)
    first = layer.backward(params, cache, delta)
    layer.forward(params, 2 * z)
    return (
        (layer.backward(params, cache, delta), first),
        (first, gradients(params, z, delta)),
        (tangent_of(layer)(params, z, v, Rz), jax.jvp(forward, (params, z), (v, Rz))[1]),
        (
            tangent_backward_of(layer)(params, z, delta, v, Rz, Rdelta),
            jax.jvp(gradients, (params, z, delta), (v, Rz, Rdelta))[1],
        ),
    )


@cache
def of_every_layer():
    """For each layer, what is compared: one program of all."""
    made = {name: make() for name, make in LAYERS.items()}
    return jax.jit(lambda problems: {name: hand_and_reference(made[name], *given) for name, given in problems.items()})(
        {name: problem(layer, np.float64) for name, layer in made.items()}
    )


@every_layer
def test_backward_is_the_vjp_and_the_r_operator_the_jvp(name):
    assert_all_close(of_every_layer()[name], PRECISIONS["float64"])


@pytest.mark.parametrize("name", ["softmax", "serial"])  # with gelu, rbf, linear
def test_in_float32_backward_is_the_vjp_and_the_r_operator_the_jvp(name):
    with jax.enable_x64(False):
        check(LAYERS[name](), PRECISIONS["float32"])


@pytest.mark.parametrize("name", ["softplus"])  # autodiff is told its derivative
def test_the_doctor_finds_it_right(name):
    layer = LAYERS[name]()
    params, z, *_ = problem(layer, np.float64)
    report = verify.layer(layer, params, z)
    assert report.ok, report


@every_layer
def test_a_layer_keeps_the_contract(name):
    """In float32 in 64-bit mode, where it could be promoted."""
    layer, precision = LAYERS[name](), PRECISIONS["float32 in 64-bit mode"]
    params, z, delta, v, Rz, Rdelta = problem(layer, precision.dtype)
    z_out, cache = jax.eval_shape(layer.forward, params, z)
    chex.assert_trees_all_equal_shapes_and_dtypes(z_out, delta)
    both = params, z
    chex.assert_trees_all_equal_shapes_and_dtypes(jax.eval_shape(layer.backward, params, cache, delta), both)
    Rz_out = jax.eval_shape(tangent_of(layer), params, z, v, Rz)
    chex.assert_trees_all_equal_shapes_and_dtypes(Rz_out, delta)
    Rback = jax.eval_shape(tangent_backward_of(layer), params, z, delta, v, Rz, Rdelta)
    chex.assert_trees_all_equal_shapes_and_dtypes(Rback, both)
    assert {leaf.dtype for leaf in jax.tree.leaves((params, z, delta))} == {np.dtype(precision.dtype)}


def test_every_layer_is_in_the_registry():
    public = {name for name in layers.__all__ if inspect.isfunction(getattr(layers, name))} - {"computed_in"}
    assert public <= {re.split("[ ,]", name)[0] for name in LAYERS}


SMALL = [
    layers.relu, layers.tanh, layers.sigmoid, layers.softplus, layers.gelu, layers.softmax, layers.log_softmax,
    lambda: layers.linear(2), lambda: layers.linear(4), lambda: layers.rbf(3), lambda: layers.residual(layers.tanh()),
]  # fmt: skip


@settings(max_examples=5, deadline=None)
@given(st.lists(st.sampled_from(SMALL), min_size=2, max_size=4), st.integers(0, 1000))
def test_any_composition_is_right(makers, seed):
    check(serial(*(make() for make in makers)), PRECISIONS["float64"], seed)


def test_values_by_hand():
    z = np.array([[-2.0, 0.0, 1.0]])
    makers = layers.relu, layers.sigmoid, layers.tanh, layers.softplus, layers.gelu
    forward = jax.jit(lambda z: {make.__name__: make().forward((), z)[0] for make in makers})(z)
    np.testing.assert_array_equal(forward["relu"], [[0, 0, 1]])
    np.testing.assert_allclose(forward["sigmoid"], 1 / (1 + np.exp(-z)), rtol=1e-15)
    np.testing.assert_allclose(forward["tanh"], np.tanh(z), rtol=1e-15)
    np.testing.assert_allclose(forward["softplus"], np.log(1 + np.exp(z)), rtol=1e-15)
    np.testing.assert_allclose(forward["gelu"], z * norm.cdf(z), rtol=1e-14)
    shifted = layers.softmax().forward((), jnp.asarray(np.log([[1.0, 2.0, 5.0]]) + 1000))[0]
    np.testing.assert_allclose(shifted, [[0.125, 0.25, 0.625]], rtol=1e-12)
    far = layers.log_softmax().forward((), jnp.array([[1e4, 0.0, -1e4]]))[0]
    np.testing.assert_array_equal(far, [[0, -1e4, -2e4]])


def test_at_the_kink_relu_passes_nothing_back():
    _, cache = layers.relu().forward((), jnp.asarray(np.zeros((1, 2))))
    np.testing.assert_array_equal(layers.relu().backward((), cache, np.ones((1, 2)))[1], 0)


def test_at_the_kink_autodiff_of_relu_passes_nothing_on_either():
    """So jax.grad of a network's cost is its gradient there, too; NaN stays NaN."""
    relu, z = layers.relu(), np.array([[0.0, -0.0, 2.0, np.nan]])

    @jax.jit
    def at(z):
        out, pull = jax.vjp(lambda z: relu.forward((), z)[0], z)
        second = jax.jvp(jax.grad(lambda z: jnp.sum(relu.forward((), z)[0] ** 2)), (z,), (jnp.ones_like(z),))[1]
        return out, pull(jnp.ones_like(z))[0], relu.tangent((), z, (), jnp.ones_like(z)), second  # pyright: ignore

    out, back, tangent, second = (np.asarray(value)[0] for value in at(z))
    np.testing.assert_array_equal(out, [0, 0, 2, np.nan])
    np.testing.assert_array_equal(back[:3], [0, 0, 1])
    np.testing.assert_array_equal(tangent[:3], [0, 0, 1])
    np.testing.assert_array_equal(second[:3], [0, 0, 2])


# Rows of zeros in front of a relu without bias: each unit has its kink there, and the sum of them is the layer's.
AT_KINKS = np.random.default_rng(3).standard_normal((M, D)) * (np.arange(M) % 3 > 0)[:, None]
WEIGHTS = np.random.default_rng(4).standard_normal((D, 5))


def units(slope=lambda z: z > 0, positive_part=lambda z: jnp.maximum(z, 0)):
    """relu(z θ) as one layer."""

    def backward(theta, z, delta):
        delta = delta * slope(z @ theta)
        return z.T @ delta, delta @ theta.T

    return Layer(lambda key, d: (WEIGHTS, 5), lambda theta, z: (positive_part(z @ theta), z), backward)


@pytest.mark.parametrize(
    "layer",
    [units(), units(positive_part=jax.nn.relu), units(jnp.sign, jnp.abs)],
    ids=["maximum, whose derivative is 1/2", "relu, whose derivative is 0", "absolute value"],
)
def test_the_doctor_counts_a_kink_as_no_fault(layer):
    report = verify.layer(layer, WEIGHTS, AT_KINKS)
    assert report.ok, report
    assert {finding.kind for finding in report.findings} == {verify.Kind.KINK}


@pytest.mark.parametrize(
    "slope",
    [lambda z: 2.0 * (z > 0), lambda z: (z > 0) + 0.5 * (z > 1), lambda z: (z > 0) + 2.0 * (z == 0)],
    ids=["factor 2", "other entries", "outside of the one-sided derivatives"],
)
def test_the_doctor_finds_a_wrong_slope_beside_kinks(slope):
    report = verify.layer(units(slope), WEIGHTS, AT_KINKS)
    assert report.ok is False
    assert {finding.kind for finding in report.findings} - {verify.Kind.KINK}


def test_one_weight_has_the_gradient_of_its_own_output():
    """Course 12.3, slip E 20: ∂C/∂θ_io = δ_o z_i, no sum over o."""
    params, z, delta, *_ = problem(layers.linear(5), np.float64)
    weights = np.asarray(layers.linear(5).backward(params, z, delta)[0].weights)
    z, delta = np.asarray(z), np.asarray(delta)
    for i in range(D):
        for o in range(5):
            np.testing.assert_allclose(weights[i, o], np.sum(delta[:, o] * z[:, i]), rtol=1e-13)


@pytest.mark.parametrize(("initializer", "variance"), [("he", 2 / 300), ("lecun", 1 / 300), ("glorot", 2 / 500)])
def test_initializers_have_the_variance_they_say(initializer, variance):
    weights = np.asarray(getattr(initializers, initializer)(jax.random.key(0), 300, 200))
    assert weights.shape == (300, 200)
    assert abs(np.var(weights) / variance - 1) < 5 * np.sqrt(2 / weights.size)
    assert abs(np.mean(weights)) < 5 * np.sqrt(variance / weights.size)


@pytest.mark.parametrize(("activation", "initializer"), [(layers.relu, initializers.he), (None, initializers.lecun)])
def test_a_deep_network_keeps_the_size_of_its_signals(activation, initializer):
    """Course 12.1: forty layers of 200 neither blow z up nor let it die; with a tenth of the variance it dies."""
    between = (activation(),) if activation else ()
    deep = serial(*[layer for _ in range(40) for layer in (layers.linear(200, initializer=initializer), *between)])
    params, _ = deep.init(jax.random.key(0), 200)
    z = jnp.asarray(np.random.default_rng(0).standard_normal((50, 200)))
    assert 0.05 < np.mean(np.square(deep.forward(params, z)[0])) < 20
    smaller = jax.tree.map(lambda leaf: jnp.asarray(np.asarray(leaf) * np.sqrt(0.1)), params)
    assert np.mean(np.square(deep.forward(smaller, z)[0])) < 1e-30


def test_dropout_keeps_the_mean_and_its_mask():
    layer = layers.dropout(0.3, jax.random.key(0))
    z = np.ones((400, 50))
    z_out, cache = layer.forward((), z)
    np.testing.assert_array_equal(layer.backward((), cache, z)[1], z_out)
    z_out = np.asarray(z_out)
    assert abs(np.mean(z_out == 0) - 0.3) < 5 * np.sqrt(0.3 * 0.7 / z.size)
    np.testing.assert_allclose(z_out[z_out > 0], 1 / 0.7, rtol=1e-15)
    assert not np.array_equal(layers.dropout(0.3, jax.random.key(1)).forward((), z)[0], z_out)
    np.testing.assert_array_equal(layers.dropout(0.0, jax.random.key(0)).forward((), z)[0], z)


def test_dropout_may_be_twice_in_a_network_with_keys_of_its_own():
    def noisy(key, z):
        first, second = jax.random.split(key)
        chain = serial(layers.dropout(0.5, first), layers.dropout(0.5, second), layers.dropout(0.0, KEY))
        return chain.forward(((), (), ()), z)[0]

    z_out = np.asarray(jax.jit(noisy)(KEY, np.ones((100, 100))))
    assert abs(np.mean(z_out == 4) - 0.25) < 0.03


def test_another_precision_is_that_of_the_computation_alone():
    inner = serial(layers.linear(4), layers.tanh(), layers.linear(2))
    half = layers.computed_in(jnp.bfloat16, inner)
    params, z, delta, *_ = problem(inner, np.float32)

    def both_ways(layer, params, z, delta):
        z_out, cache = layer.forward(params, z)
        return z_out, layer.backward(params, cache, delta)

    (z_out, back), (expected, expected_back) = jax.jit(
        lambda *arguments: [both_ways(layer, *arguments) for layer in (half, inner)]
    )(params, z, delta)
    chex.assert_trees_all_equal_shapes_and_dtypes(back, (params, z))
    assert z_out.dtype == np.float32
    assert 1e-6 < np.max(np.abs(np.asarray(z_out) - np.asarray(expected))) < 0.05
    assert_close(back[0], expected_back[0], 0.05)


def test_a_layer_of_three_functions_has_an_r_operator_too():
    plain = Layer(*LAYERS["linear"]()[:3])
    params, z, delta, v, Rz, Rdelta = problem(plain, np.float64)

    def both(layer, params, z, delta, v, Rz, Rdelta):
        return tangent_of(layer)(params, z, v, Rz), tangent_backward_of(layer)(params, z, delta, v, Rz, Rdelta)

    by_autodiff, by_hand = jax.jit(
        lambda *arguments: [both(layer, *arguments) for layer in (plain, LAYERS["linear"]())]
    )(params, z, delta, v, Rz, Rdelta)
    assert_close(by_autodiff, by_hand, 1e-13)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (serial, ValueError, "serial needs at least one layer; got none"),
        (lambda: serial(layers.relu), TypeError, "serial takes layers; argument 0 is function"),  # pyright: ignore
        (lambda: layers.linear(0), ValueError, "d_out must be at least 1; got 0"),
        (lambda: layers.linear(2.5), TypeError, "d_out must be a whole number"),  # pyright: ignore
        (lambda: layers.rbf(0), ValueError, "units must be at least 1"),
        (lambda: layers.dropout(1.0, jax.random.key(0)), ValueError, "rate must be at least 0 and below 1; got 1.0"),
        (lambda: layers.dropout(0.5, 3), TypeError, "key must be a random key"),  # pyright: ignore
        (lambda: serial(layers.relu()).init(None, 3), TypeError, "key must be a random key, .* got None"),
        (
            lambda: serial(
                layers.dropout(0.5, KEY), layers.residual(serial(layers.relu(), layers.dropout(0.5, jax.random.key(0))))
            ),
            ValueError,
            r"layer 1: residual\(serial\) has the random key of layer 0: dropout\(0.5\): make two of it",
        ),
        (
            lambda: jax.jit(lambda key: serial(layers.dropout(0.5, key), layers.dropout(0.1, key)).name)(KEY),
            ValueError,
            "has the random key of layer 0",
        ),
        (
            lambda: serial(layers.relu(), layers.residual(layers.linear(2))).init(jax.random.key(0), 3),
            ValueError,
            r"layer 1: residual\(linear\(2\)\): residual needs a layer that keeps the width; linear\(2\) makes 2 of 3",
        ),
        (
            lambda: serial(layers.relu(), layers.linear(2)).forward(
                ((), layers.LinearParams(jnp.asarray(np.zeros(2)), jnp.asarray(np.zeros((4, 2))))),
                jnp.asarray(np.zeros((5, 3))),
            ),
            ValueError,
            r"layer 1: linear\(2\): z must have shape \(m, 4\), a row per example; got shape \(5, 3\)",
        ),
        (
            lambda: serial(layers.relu(), layers.relu()).forward(((),), np.zeros((5, 3))),
            ValueError,
            "params must be a tuple with an entry for each of the 2 layers; got tuple of 1",
        ),
    ],
)
def test_what_does_not_fit_is_refused_by_name(call, error, message):
    with pytest.raises(error, match=message):
        call()
