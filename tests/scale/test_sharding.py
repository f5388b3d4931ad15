"""Rows spread over devices and processes; in processes of their own, because their number is fixed at the start."""

import os
import subprocess
import sys
from pathlib import Path

import jax
import numpy as np
import pytest

from jax_course.scale import mesh_of, rehearse, shard
from jax_course.scale.__main__ import main as command_line
from tests.scale.fits import LARGE, problem

FITS = Path(__file__).with_name("fits.py")


def grouped(file: Path) -> dict[str, dict[str, np.ndarray]]:
    """The results of fits.py, grouped by the part of their names before the stroke."""
    found = {}
    with np.load(file) as results:
        for name, value in results.items():
            what, _, fit = name.partition("/")
            found.setdefault(what, {})[fit or what] = value
    return found


@pytest.fixture(scope="module")
def in_one_process(tmp_path_factory):
    """The results of fits.py in a process of eight devices."""
    file = tmp_path_factory.mktemp("one") / "found.npz"
    environment = os.environ | {"JAX_PLATFORMS": "cpu", "JAX_NUM_CPU_DEVICES": "8"}
    done = subprocess.run([sys.executable, FITS, file], capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 0, done.stderr
    return grouped(file)


@pytest.fixture(scope="module")
def in_several_processes(tmp_path_factory):
    """The results of fits.py in two processes of two devices each."""
    file = tmp_path_factory.mktemp("several") / "found.npz"
    assert rehearse(str(FITS), [str(file)], processes=2, devices=2) == 0
    return grouped(file)


def assert_alike(spread, alone, names):
    for name in names:
        value = alone[name]
        np.testing.assert_allclose(spread[name], value, rtol=0, atol=1e-12 * np.max(np.abs(value)), err_msg=name)


def test_spread_over_devices_the_fits_are_the_same(in_one_process):
    alone, spread = in_one_process["at once"], in_one_process["devices"]
    assert_alike(spread, alone, alone.keys() | spread.keys())


def test_spread_over_processes_the_fits_are_the_same(in_one_process, in_several_processes):
    alone, spread = in_one_process["at once"], in_several_processes["processes"]
    assert_alike(spread, alone, alone.keys() | spread.keys())


def test_rows_on_a_mesh_with_explicit_axes_are_fitted_or_refused_with_a_sentence(in_one_process):
    alone, spread = in_one_process["at once"], in_one_process["explicit"]
    assert_alike(spread, alone, spread.keys())
    assert "inside jit X must lie on a mesh with automatic axes" in str(in_one_process["refused"]["sentence"])


def test_parameters_are_spread_over_the_other_axis_of_a_mesh(in_one_process):
    spread = in_one_process["parameters"]
    assert spread["placed"] == "parameters"
    assert_alike(spread, in_one_process["at once"], spread.keys() - {"placed"})


def test_many_rows_spread_are_fitted_to_the_minimum(in_one_process, in_several_processes):
    """A step of Newton's method from there, by NumPy, moves no digit."""
    X, y, truth, classes = problem(*LARGE)
    many = in_several_processes["many"]
    gram, own = X.T @ X, np.eye(4)[classes]
    np.testing.assert_allclose(many["hessian"], 2 * gram, rtol=0, atol=1e-12 * np.max(gram))
    for name, penalty in (("linear", 0), ("ridge", 3)):
        step = np.linalg.solve(gram + penalty * np.eye(len(gram)), X.T @ (X @ many[name] - y) + penalty * many[name])
        assert np.max(np.abs(step)) < 1e-12 * np.max(np.abs(many[name])), name
    theta = in_one_process["many"]["logistic"]
    pi = 1 / (1 + np.exp(-X @ theta))
    step = np.linalg.solve((X.T * (pi * (1 - pi))) @ X + np.eye(len(theta)), X.T @ (pi - truth) + theta)
    assert np.max(np.abs(step)) < 1e-9 * np.max(np.abs(theta))
    theta = many["softmax"]
    pi = np.exp(X @ theta)
    pi /= pi.sum(axis=1, keepdims=True)
    blocks = [[(X.T * (pi[:, k] * ((k == n) - pi[:, n]))) @ X for n in range(4)] for k in range(4)]
    step = np.linalg.solve(np.block(blocks) + np.eye(theta.size), (X.T @ (pi - own) + theta).T.reshape(-1))
    assert np.max(np.abs(step)) < 1e-9 * np.max(np.abs(theta))
    cost = -np.sum(own * np.log(pi)) + 0.5 * np.sum(theta**2)
    np.testing.assert_allclose(many["softmax_cost"], cost, rtol=1e-12)


def test_derivatives_send_their_entries_once_and_nothing_else(in_one_process):
    traffic = in_one_process["traffic"]["traffic"]
    assert len(traffic) == 9
    for line in traffic:
        shape, size, *kinds = line.split()
        assert kinds == ["all-reduce"], line
        assert np.prod([int(n) for n in shape.split(",")]) == int(size), line


FAILING = """
import os, signal, sys
import jax
from jax.experimental import multihost_utils

multihost_utils.sync_global_devices("all are there")
if jax.process_index() == 1:
    {failure}
while True:
    multihost_utils.sync_global_devices("again")
"""


@pytest.mark.parametrize(
    ("failure", "code", "message"),
    [
        ("os.kill(os.getpid(), signal.SIGKILL)", 137, "process 1 was killed by SIGKILL: the others are ended"),
        ("raise ValueError('row 7 is damaged')", 1, "ValueError: row 7 is damaged"),
    ],
)
def test_where_a_process_fails_the_others_end_with_it_and_it_is_named(failure, code, message, tmp_path):
    program = tmp_path / "failing.py"
    program.write_text(FAILING.format(failure=failure))
    command = [sys.executable, "-m", "jax_course.scale", "--processes", "2", str(program)]
    run = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert run.returncode == code, run.stderr
    assert message in run.stderr
    assert "process 1 " in run.stderr


def test_the_command_says_what_is_wrong(capfd, tmp_path):
    for arguments, message in (
        (["missing.py"], "there is no file missing.py"),
        (["--processes", "0", __file__], "must be at least 1"),
    ):
        with pytest.raises(SystemExit) as stopped:
            command_line(arguments)
        assert stopped.value.code == 2
        assert message in capfd.readouterr().err
    program = tmp_path / "wrong.py"
    for text, code, messages in (
        ("raise SystemExit(3)", 3, ["process 0 ended with code 3"]),
        ("raise SystemExit('no such file')", 1, ["no such file", "process 0 ended with code 1"]),
        ("import os; os.abort()", 134, ["process 0 was killed by SIGABRT"]),
    ):
        program.write_text(text)
        assert command_line(["--processes", "1", str(program)]) == code
        told = capfd.readouterr().err
        assert all(message in told for message in messages), text


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
