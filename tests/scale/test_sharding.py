"""Rows spread over devices and processes; in processes of their own, because their number is fixed at the start."""

import functools
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from jax_course.scale import rehearse

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
