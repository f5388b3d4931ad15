"""Every function of the registry lowers for every platform, and goes through JAX's other transformations.

Models and layers in float64, which platforms know less of; in float32 test_contract and test_layers trace them.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import export, lax
from jax.sharding import Mesh, PartitionSpec

from jax_course import optimization
from tests.cases import LAYERS, MODELS

PLATFORMS = ["cpu", "cuda", "tpu"]
RICHEST = ["linear, weights", "ridge, free bias", "lasso", "kernel", "logistic, weights", "softmax, free bias"]
SOLVERS = ["gradient_descent", "newton", "newton_cg", "bfgs", "lbfgs"]


def assert_lowers(function, *arguments):
    """In the dtype of the arguments; needs no such machine."""
    assert set(export.export(jax.jit(function), platforms=PLATFORMS)(*arguments).platforms) == set(PLATFORMS)


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


@pytest.mark.parametrize("name", SOLVERS)
def test_a_solver_and_its_derivative_lower_for_every_platform_in_float32(name):
    def theta(p):
        return getattr(optimization, name)(lambda t: jnp.sum((t - p) ** 2) + jnp.sum(t**4), jnp.zeros_like(p)).theta

    with jax.enable_x64(False):
        assert_lowers(lambda p: (theta(p), jax.jacrev(theta)(p)), jnp.ones(3))


@pytest.mark.parametrize("name", LAYERS)
def test_a_layer_lowers_for_every_platform(name):
    layer = LAYERS[name]()
    theta, _ = layer.init(jax.random.key(0), 3)

    def there_and_back(theta, X):
        z, cache = layer.forward(theta, X)
        return z, layer.backward(theta, cache, jnp.ones_like(z))

    assert_lowers(there_and_back, theta, jnp.ones((4, 3)))


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
