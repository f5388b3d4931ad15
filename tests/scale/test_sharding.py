"""Rows spread over devices and processes; in processes of their own, because their number is fixed at the start."""

import functools
import os
import subprocess
import sys
from pathlib import Path

import jax
import numpy as np
import pytest

from jax_course.scale import mesh_of, rehearse, shard
from jax_course.scale.__main__ import main as command_line

FITS = Path(__file__).with_name("fits.py")
SMALL, LARGE = "1003x5", "40003x60"  # the second by blocks, by L-BFGS


def run(code: str, *arguments: str, devices: int) -> str:
    """What a program prints that has so many devices."""
    environment = os.environ | {"JAX_PLATFORMS": "cpu", "JAX_NUM_CPU_DEVICES": str(devices)}
    command = [sys.executable, *(["-c", code] if code else [FITS]), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def fitted(tmp_path_factory):
    """The fits of a shape on so many devices of so many processes, once."""

    @functools.cache
    def fit(shape: str, devices: int, processes: int = 1) -> dict[str, np.ndarray]:
        file = tmp_path_factory.mktemp("fits") / "found.npz"
        if processes == 1:
            run("", str(file), shape, devices=devices)
        else:
            assert rehearse(str(FITS), [str(file), shape], processes=processes, devices=devices) == 0
        return dict(np.load(file))

    return fit


@pytest.mark.parametrize(
    ("shape", "devices", "processes"),
    [(SMALL, 2, 1), (SMALL, 8, 1), (LARGE, 8, 1), (SMALL, 1, 2), (SMALL, 2, 4), (LARGE, 1, 2)],
)
def test_spread_over_devices_and_processes_the_fits_are_the_same(shape, devices, processes, fitted):
    alone, spread = fitted(shape, 1), fitted(shape, devices, processes)
    assert alone.keys() == spread.keys()
    for name, value in alone.items():
        # many examples are fitted until the gradient is 1e-10 of that at the start, from where steps differ by rounding
        bound = 1e-9 if shape == LARGE and name in ("logistic", "softmax") else 1e-12
        np.testing.assert_allclose(spread[name], value, rtol=0, atol=bound * np.max(np.abs(value)), err_msg=name)


COMMUNICATION = """
import re
import jax
jax.config.update("jax_enable_x64", True)
import jax.numpy as jnp
from jax_course import linear, logistic
from jax_course.scale import shard

for m, d in ((1600, 4), (16_000, 200), (80_000, 20)):
    X, y, _ = shard(jnp.ones((m, d)), jnp.ones(m))
    for name, function, size in (
        ("hessian", lambda X, y: linear.hessian(jnp.ones(d), X, y), d * d),
        ("weighted", lambda X, y: logistic.hessian(jnp.ones(d), X, y), d * d),
        ("gradient", lambda X, y: logistic.gradient(jnp.ones(d), X, y), d),
    ):
        compiled = jax.jit(function).lower(X, y).compile().as_text()
        moved = re.findall(r"= (\\S+) (all-\\w+|collective-\\w+|reduce-scatter)\\(", compiled)
        print(m, name, [kind for _, kind in moved] == ["all-reduce"], moved[0][0].split("[")[1].split("]")[0], size)
"""


def test_a_hessian_sends_its_entries_once_and_nothing_else():
    for line in run(COMMUNICATION, devices=8).strip().splitlines():
        *_, one_reduction, shape, size = line.split()
        assert one_reduction == "True", line
        assert np.prod([int(n) for n in shape.split(",")]) == int(size), line


KILLED = """
import os, signal, sys
import jax
from jax_course.scale import shard
import jax.numpy as jnp
from jax_course import linear

X, y, _ = shard(jnp.ones((4, 2)), jnp.ones(4))
print(jax.process_index(), "is there", flush=True)
if jax.process_index() == 1:
    os.kill(os.getpid(), getattr(signal, sys.argv[1]))
while True:
    linear.cost(jnp.ones(2), X, y).block_until_ready()
"""


@pytest.mark.parametrize(("name", "code"), [("SIGKILL", 137), ("SIGABRT", 134)])
def test_where_a_process_is_killed_the_others_end_with_it_and_it_is_named(name, code, tmp_path):
    program = tmp_path / "killed.py"
    program.write_text(KILLED)
    command = [sys.executable, "-m", "jax_course.scale", "--processes", "3", str(program), name]
    run = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert run.returncode == code, run.stderr
    assert f"process 1 was killed by {name}: the others are ended" in run.stderr


def test_the_command_says_what_is_wrong(capsys, tmp_path):
    for arguments, message in (
        (["missing.py"], "there is no file missing.py"),
        (["--processes", "0", __file__], "must be at least 1"),
    ):
        with pytest.raises(SystemExit) as stopped:
            command_line(arguments)
        assert stopped.value.code == 2
        assert message in capsys.readouterr().err
    program = tmp_path / "wrong.py"
    program.write_text("raise SystemExit(3)")
    assert command_line(["--processes", "1", str(program)]) == 3


PARAMETERS = """
import jax
jax.config.update("jax_enable_x64", True)
import jax.numpy as jnp
import numpy as np
from jax_course import softmax
from jax_course.networks import costs, mlp
from jax_course.scale import mesh_of, shard, spread_parameters

mesh = mesh_of(parameters=4)
rng = np.random.default_rng(0)
X, y = rng.normal(size=(64, 6)), rng.integers(0, 8, size=64).astype(np.int32)
there = shard(X, y, mesh=mesh)
penalty = spread_parameters(np.full((6, 8), 0.5), mesh)
found = softmax.fit(*there[:2], penalty=penalty, classes=8).check()
np.testing.assert_allclose(found.theta, softmax.fit(X, y, penalty=0.5, classes=8).theta, rtol=1e-10)

net = mlp([16, 8], "relu", costs.cross_entropy())
theta = net.init(jax.random.key(0), 6)
gradient = jax.jit(net.gradient)
spread = gradient(spread_parameters(theta, mesh), *there[:2])
jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-12), spread, gradient(theta, X, y))
print(spread[0].weights.sharding.spec)
"""


def test_parameters_are_spread_over_the_other_axis_of_a_mesh():
    assert "parameters" in run(PARAMETERS, devices=8)


def test_what_does_not_fit_is_refused():
    with pytest.raises(ValueError, match="devices must be 1…1"):
        mesh_of(2)
    with pytest.raises(ValueError, match="must divide the number of devices, 1; got 3"):
        mesh_of(1, parameters=3)
    with pytest.raises(ValueError, match="mesh must have the axes rows and parameters"):
        shard(np.ones((2, 2)), mesh=jax.make_mesh((1,), ("x",)))
    with pytest.raises(ValueError, match="X must be finite"):
        shard(np.array([[np.nan]]))
    with pytest.raises(ValueError, match="y must have shape"):
        shard(np.ones((2, 2)), np.ones(3))
