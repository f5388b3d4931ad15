"""Every function of the registry lowers for every platform, and goes through JAX's other transformations.

All products are to lower in full precision: in float32 a GPU's own has 11 bits. Models and layers in float64, which
platforms know less of; in float32 test_contract and test_layers trace them.
"""

from functools import partial

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import export, lax
from jax.sharding import Mesh, PartitionSpec

from jax_course import kernel, lasso, linalg, linear, optimization, ridge, tiers
from jax_course.optimization import optimizers
from jax_course.train import train
from tests.cases import LAYERS, MODELS

PLATFORMS = ["cpu", "cuda", "tpu"]
RICHEST = ["linear, weights", "ridge, free bias", "lasso", "kernel", "logistic, weights", "softmax, free bias"]
RICHEST += ["poisson, offset", "gamma, offset", "huber, offset"]
SOLVERS = ["gradient_descent", "nonlinear_cg", "newton", "newton_cg", "bfgs", "lbfgs"]
PROXIMAL = {
    "proximal_gradient": {"proximal": lambda theta, step: optimization.soft_threshold(theta, 0.3 * step)},
    "accelerated_proximal_gradient": {"proximal": lambda theta, step: optimization.soft_threshold(theta, 0.3 * step)},
    "projected_gradient": {"projection": lambda theta: jnp.maximum(theta, 0)},
}


def assert_lowers(function, *arguments):
    """In the dtype of the arguments; needs no such machine."""
    jitted = function if hasattr(function, "lower") else jax.jit(function)
    exported = export.export(jitted, platforms=PLATFORMS)(*arguments)
    assert set(exported.platforms) == set(PLATFORMS)
    products = [line for line in exported.mlir_module().splitlines() if "stablehlo.dot_general" in line]
    assert [line for line in products if "[HIGHEST, HIGHEST]" not in line] == []


def fit_of(model):
    classes = {"classes": model.theta_shape[1]} if len(model.theta_shape) == 2 else {}
    return lambda X, y: model.module.fit(X, y, **model.hyper, **classes)


@pytest.mark.parametrize("name", RICHEST)
def test_a_model_lowers_for_every_platform(name):
    model = MODELS[name]
    theta, X, y = model.problem(0, np.float64)

    def everything(theta, X, y):
        verbs = [getattr(model.module, verb)(theta, X, y, **model.hyper) for verb in model.verbs]
        return verbs, fit_of(model)(X, y)

    assert_lowers(everything, theta, X, y)


# Shapes of (m, d) at which other algorithms begin, and what else is fitted; nothing is computed
LARGE = {
    "linear, blocks of rows": (linear.fit, (2**16, 10)),
    "linear, half precision": (linear.fit, (2**14, 200)),
    "linear, by rows": (linear.fit, (64, 300)),
    "ridge path": (lambda X, y: ridge.path(X, y, y[:3] ** 2), (300, 130)),
    "ridge path, by rows": (lambda X, y: ridge.path(X, y, y[:3] ** 2), (130, 300)),
    "ridge, leaving one out": (lambda X, y: ridge.leave_one_out(X, y, y[:3] ** 2), (300, 130)),
    "ridge, a budget": (lambda X, y: ridge.constrained(X, y, budget=1.0), (30, 3)),
    "lasso path": (lambda X, y: lasso.path(X, y, jnp.array([2.0, 1.0], X.dtype)), (300, 60)),
    "kernel, conjugate gradients": (partial(kernel.fit, scale=1.0, penalty=0.1), (10_001, 2)),
    "kernel, bias": (partial(kernel.fit_with_bias, scale=1.0, penalty=0.1), (30, 2)),
    "kernel, centers": (lambda X, y: kernel.fit_on_centers(X, y, scale=1.0, penalty=0.1, centers=X[:9]), (3_000, 2)),
    "kernel, leaving one out": (lambda X, y: kernel.leave_one_out(X, y, scales=y[:2], penalties=y[:3] ** 2), (30, 2)),
    "a product there and back": (
        lambda X, y: linalg.product_and_transpose_product(jnp.negative, X[:64, :3], X),
        (2**14, 64),
    ),
}


@pytest.mark.parametrize("name", LARGE)
def test_a_fit_of_large_data_lowers_for_every_platform(name):
    fit, shape = LARGE[name]
    assert_lowers(fit, jax.ShapeDtypeStruct(shape, np.float64), jax.ShapeDtypeStruct(shape[:1], np.float64))


@pytest.mark.parametrize("name", RICHEST)
def test_every_program_of_a_fit_outside_jit_lowers_for_every_platform(name, monkeypatch):
    """Its stages, which are compiled when the data need them."""
    called, call = {}, tiers._Tiers.__call__

    def noted(self, *arguments):
        called[self.__name__] = self, arguments
        return call(self, *arguments)

    monkeypatch.setattr(tiers._Tiers, "__call__", noted)
    _, X, y = MODELS[name].problem(0, np.float64)
    MODELS[name].module.fit(X, y, **MODELS[name].hyper)
    assert called
    for program, arguments in called.values():
        assert_lowers(program._well, *arguments)


def minimum(name, p, start, **settings):
    def cost(theta):
        return jnp.sum((theta - p) ** 2) + jnp.sum(theta**4)

    return getattr(optimization, name)(cost, start, **PROXIMAL.get(name, {}), **settings).theta


@pytest.mark.parametrize("name", [*SOLVERS, *PROXIMAL])
def test_a_solver_and_its_derivative_lower_for_every_platform_in_float32(name):
    def theta(p):
        return minimum(name, p, jnp.zeros_like(p))

    with jax.enable_x64(False):
        assert_lowers(lambda p: (theta(p), jax.jacrev(theta)(p)), jnp.ones(3))


@pytest.mark.parametrize("name", [*SOLVERS, *PROXIMAL])
def test_a_solver_from_many_starts_is_that_of_a_loop(name):
    """To the tolerance: rounding decides which step is the last one."""
    problems, solve = np.random.default_rng(0).standard_normal((2, 4, 3)), partial(minimum, name, tolerance=1e-10)
    several, alone = jax.jit(jax.vmap(solve))(*problems), jax.jit(solve)
    for found, *problem in zip(several, *problems, strict=True):
        np.testing.assert_allclose(found, alone(*problem), rtol=0, atol=1e-10)


def test_a_training_lowers_for_every_platform(width):
    """With a key from outside: the order of one that is traced is drawn by a callback, which a file cannot hold."""
    optimizer, key = optimizers.adam(0.1), jax.random.key(0)

    def theta(theta, X, y):
        return train(linear.gradient, optimizer, theta, X, y, key=key, epochs=2, batch_size=4).theta

    X = jnp.ones((6, 3), width.dtype)
    assert_lowers(theta, X[0], X, X[:, 0])


@pytest.mark.parametrize("name", LAYERS)
def test_a_layer_lowers_for_every_platform(name):
    layer = LAYERS[name]()
    theta, _ = layer.init(jax.random.key(0), 3)

    def there_and_back(theta, X):
        z, cache = layer.forward(theta, X)
        return z, layer.backward(theta, cache, jnp.ones_like(z))

    assert_lowers(there_and_back, theta, jnp.ones((4, 3)))


@pytest.mark.parametrize("name", LAYERS)
def test_many_layers_at_once_are_those_of_a_loop(name):
    layer = LAYERS[name]()
    theta, _ = layer.init(jax.random.key(0), 3)
    thetas = jax.tree.map(lambda leaf: jnp.stack([leaf, 2 * leaf]), theta)
    X = np.random.default_rng(0).standard_normal((2, 4, 3))

    def there_and_back(theta, X):
        z, cache = layer.forward(theta, X)
        return z, layer.backward(theta, cache, jnp.ones_like(z))

    several = jax.jit(jax.vmap(there_and_back))(thetas, X)
    for i in range(2):
        alone = there_and_back(jax.tree.map(lambda leaf, i=i: leaf[i], thetas), X[i])
        chex.assert_trees_all_close(jax.tree.map(lambda leaf, i=i: leaf[i], several), alone, rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("name", RICHEST)
def test_a_fit_goes_through_map_checkpoint_shard_map_and_donation(name):
    model = MODELS[name]
    _, X, y = model.problem(0, np.float64)
    fit, scale = fit_of(model), jnp.array([1.0, 1.5])
    mesh = Mesh(np.array(jax.devices()[:1]), ("one",))

    def theta(scale):
        return fit(scale * X, y).theta

    def mapped(scale):
        return lax.map(jax.checkpoint(theta), scale), scale + 1  # which takes the memory that is donated

    everywhere = PartitionSpec()
    sharded = jax.shard_map(mapped, mesh=mesh, in_specs=everywhere, out_specs=everywhere, check_vma=False)
    alone = [theta(s) for s in scale]
    found, _ = jax.jit(sharded, donate_argnums=0)(scale)  # lax.map is a scan
    np.testing.assert_allclose(found, alone, rtol=1e-11, atol=1e-13)
