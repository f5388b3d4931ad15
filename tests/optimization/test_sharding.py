"""Parameters that lie on several devices; in a process of its own, because their number is fixed at the start."""

import subprocess
import sys

import pytest

CODE = """
import jax
jax.config.update("jax_num_cpu_devices", 2)
import jax.numpy as jnp
import numpy as np
from jax.sharding import AxisType, NamedSharding, PartitionSpec
from jax_course.optimization import bfgs, lbfgs, newton, newton_cg, trace

def cost(theta):
    w = theta["w"]
    return jnp.sum(100 * (w[1:] - w[:-1] ** 2) ** 2 + (1 - w[:-1]) ** 2) + (theta["b"] - 2) ** 2

mesh = jax.make_mesh((2,), ("parameters",), axis_types=(AxisType.{axes},))
lies = NamedSharding(mesh, PartitionSpec("parameters"))
alone = {{"w": jnp.linspace(0.5, 1.5, 8), "b": jnp.ones(())}}
spread = alone | {{"w": jax.device_put(alone["w"], lies)}}
for solve in (bfgs, lbfgs, newton, newton_cg):
    found = solve(cost, spread).check()
    np.testing.assert_allclose(found.theta["w"], solve(cost, alone).theta["w"], atol=1e-2)
    assert found.theta["w"].sharding.spec == lies.spec, found.theta["w"].sharding
    assert len(found.theta["w"].addressable_shards) == 2
assert trace(lbfgs, cost, spread, max_steps=3).theta["w"].shape == (4, 8)
print("agree")
"""


@pytest.mark.parametrize("axes", ["Auto", "Explicit"])
def test_spread_parameters_end_where_others_do_and_stay_spread(axes):
    run = subprocess.run([sys.executable, "-c", CODE.format(axes=axes)], capture_output=True, text=True, check=False)
    assert run.stdout.strip() == "agree", run.stderr
