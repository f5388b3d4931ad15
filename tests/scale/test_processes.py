"""Streams in a program of several processes, each of which reads its own rows; in processes of their own."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from jax_course import scale
from jax_course.scale import processes
from tests.scale.streams import ENDS, batches, problem

STREAMS = Path(__file__).with_name("streams.py")
SECONDS = 100  # until a program that hangs is ended


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """The results of streams.py in three processes."""
    folder = tmp_path_factory.mktemp("streams")
    file = folder / "found.npz"
    run = rehearsed(3, STREAMS, file, folder / "checkpoint")
    assert run.returncode == 0, run.stderr
    with np.load(file) as arrays:
        return dict(arrays)


@pytest.fixture(params=ENDS)
def found(request, results):
    """The fits and sums where each process has rows, and where the first has none."""
    kind = f"{request.param}/"
    return {name.removeprefix(kind): value for name, value in results.items() if name.startswith(kind)}


def rehearsed(count, program, *arguments):
    command = [sys.executable, "-m", "jax_course.scale", "--processes", str(count), program, *arguments]
    return subprocess.run([*map(str, command)], capture_output=True, text=True, check=False, timeout=SECONDS)


def test_the_fits_are_those_of_one_process_that_reads_all_rows(found):
    X, y, truth, classes = problem()
    fits = {
        "linear": scale.fit_linear(batches(X, y)),
        "ridge": scale.fit_ridge(batches(X, y), penalty=3.0),
        "logistic": scale.fit_logistic(batches(X, truth), penalty=1.0),
        "softmax": scale.fit_softmax(batches(X, classes), classes=3, penalty=1.0),
    }
    for name, fit in fits.items():
        size = np.max(np.abs(fit.theta))
        np.testing.assert_allclose(found[name], fit.theta, rtol=0, atol=1e-12 * size, err_msg=name)
        np.testing.assert_allclose(found[f"{name} cost"], fit.cost, rtol=1e-12)
    assert found["same bits"]


def test_the_processes_are_connected_before_anything_is_read(monkeypatch):
    """Gloo fails if one reaches the first collective 30 s after another, as with a slow disk."""
    events, (X, y, truth, classes) = [], problem()

    def read(target):
        events.append("read")
        return iter([(X, target)])

    exchange = processes.exchange
    monkeypatch.setattr(processes, "exchange", lambda report: events.append("connected") or exchange(report))
    for function, target in (
        (scale.fit_linear, y),
        (scale.fit_logistic, truth),
        (lambda source: scale.fit_softmax(source, classes=3), classes),
        (scale.standardize, y),
        (lambda source: scale.fold(source, lambda X, y, w: w.sum()), y),
    ):
        events.clear()
        function(scale.Batches("rows", lambda target=target: read(target)))
        assert events[:2] == ["connected", "read"]


def test_other_sums_are_those_of_all_rows(found):
    X, *_ = problem()
    np.testing.assert_allclose(found["mean"], np.mean(X, axis=0), rtol=1e-13)
    np.testing.assert_allclose(found["scale"][1:], np.std(X[:, 1:], axis=0), rtol=1e-12)
    np.testing.assert_allclose(found["moment"], np.sum(X, axis=0), rtol=1e-13)
    assert found["rows"] == found["counted"] == found["last of many"] == len(X)


def test_an_error_in_one_process_is_raised_in_all_and_the_fit_goes_on_from_its_last_pass(results):
    failed = results["failed"]
    assert failed[1] == "OSError: the disk is gone"
    other = "RuntimeError: process 1 failed, and this one ends with it: OSError: the disk is gone"
    assert failed[0] == failed[2] == other
    for how in ("resumed", "resumed after a kill"):
        np.testing.assert_array_equal(results[how], results["full/logistic"])
        assert results[f"passes {how}"] <= 4, how  # the first rows, and at most three of the five passes


def test_what_does_not_fit_together_is_refused_in_all_processes_alike(results):
    for name, message in {
        "columns": "process 1 has 3 of float64, process 0 has 4 of float64",
        "dtype": "process 1 has 4 of float32, process 0 has 4 of float64",
        "penalty": "all processes must fit with the same settings",
        "labels": "y must hold 0…1; 46 rows hold something else: number the labels of each batch by data.encode",
        "leader": "CheckpointError: ",
        "none": "a table of no files must hold at least one row",
        "train": "scale.train trains on the rows of one process, and this program has 3",
        "file": "OSError: the disk is gone",
        "odd": "OSError: file ?",
        "twice": "two processes begin with the same rows",
    }.items():
        texts = results[f"refused {name}"]
        assert len(texts) == 3
        assert all(message in text for text in texts), (name, texts)
