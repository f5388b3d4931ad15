"""Parameters that lie on several devices; in a process of its own, because their number is fixed at the start."""

import subprocess
import sys

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

for axes in (AxisType.Auto, AxisType.Explicit):
    mesh = jax.make_mesh((2,), ("parameters",), axis_types=(axes,))
    lies = NamedSharding(mesh, PartitionSpec("parameters"))
    spread = {"w": jax.device_put(np.linspace(0.5, 1.5, 8), lies), "b": np.ones(())}
    for solve in (bfgs, lbfgs, newton, newton_cg):
        found = solve(cost, spread).check()
        np.testing.assert_allclose(found.theta["w"], 1, atol=1e-2)
        np.testing.assert_allclose(found.theta["b"], 2, atol=1e-2)
        assert found.theta["w"].sharding.spec == lies.spec, found.theta["w"].sharding
        assert len(found.theta["w"].addressable_shards) == 2
    assert trace(lbfgs, cost, spread, max_steps=3).theta["w"].shape == (4, 8)
print("agree")
"""


def test_spread_parameters_end_at_the_minimum_and_stay_spread():
    """On meshes whose axes the compiler spreads over, and on those where the program says how."""
    run = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, check=False)
    assert run.stdout.strip() == "agree", run.stderr
