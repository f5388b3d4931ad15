"""The command for an accelerator, tried on the CPU: what it keeps, in time, and what became of tests."""

import json
import subprocess
import sys
import time
from typing import Any

import jax
import matplotlib as mpl
import numpy as np
import pytest

from experiments.benchmarks import accelerator, contract, torch_card
from experiments.benchmarks.race import Contender, Race, Terms, Work, Workload, hold

mpl.use("Agg")


def race(name, value=0.0):
    def contender(who, value):
        return Contender(who, lambda: lambda: value)

    card = contender("PyTorch", 0.0), Contender("missing", torch_missing)
    return Race(name, contender("jax_course", value), (contender("of the CPU", 0.0),), abs, 0.5, 8, Work(8), card=card)


def torch_missing() -> Any:
    raise ModuleNotFoundError(name="torch")


def planted(monkeypatch, *races):
    monkeypatch.setitem(accelerator.WORKLOADS, "W1", Workload("W1 planted", lambda quick: iter(races)))


def test_the_command_keeps_rates_and_rows_with_the_share_of_the_limit(tmp_path, capsys, monkeypatch):
    planted(monkeypatch, race("right"), race("wrong", 1.0))
    assert accelerator.main(["--only", "W1", "--out", str(tmp_path)]) == 1  # one is wrong
    record = json.loads((tmp_path / "accelerator.json").read_text())
    assert not record["is_accelerator"]
    assert record["device"].startswith("cpu")
    assert record["versions"]["jax"] == jax.__version__
    assert set(record["limits"]["products"]) == {"float32", "float32, default precision", "float64"}
    right, wrong = record["races"]
    ours, peer, missing = right["contenders"]
    assert ours["first_seconds"] > 0
    assert (peer["name"], right["best_peer"]) == ("PyTorch", "PyTorch")
    assert missing["status"] == "torch is not installed"
    assert right["share_of_limit"] == pytest.approx(right["limit_seconds"] / np.median(ours["seconds"]))
    assert not wrong["contenders"][0]["accurate"]
    assert (record["no_time"], record["now"]) == ([], None)
    assert (tmp_path / "accelerator.png").stat().st_size > 5_000
    assert "This is a CPU" in capsys.readouterr().out


def test_every_row_is_kept_at_once_and_what_has_no_time_is_named(tmp_path, monkeypatch):
    run = accelerator.Run(tmp_path, time.monotonic() + 100, accelerator.machine(True))
    kept = []

    def races(quick):
        yield race("first")
        kept.append(json.loads((tmp_path / "accelerator.json").read_text()))
        run.end = 0.0
        yield race("second")

    monkeypatch.setitem(accelerator.WORKLOADS, "W1", Workload("W1 planted", races))
    planted_too = Workload("W4 planted", lambda quick: iter([race("another")]))
    monkeypatch.setitem(accelerator.WORKLOADS, "W4", planted_too)
    run.races(True, ["W1", "W4"])
    (before,) = kept
    assert [row["name"] for row in before["races"]] == ["first", "another"]
    assert before["now"] == "W1 planted: race 2"
    record = json.loads((tmp_path / "accelerator.json").read_text())
    assert record["no_time"] == ["W1 planted: from race 3 on", "W4 planted: from race 2 on"]


@pytest.mark.parametrize("batch_size", [1, 10])
def test_an_epoch_lowers_the_cost(batch_size):
    short = accelerator.epoch(400, batch_size)
    (ours,) = hold(short._replace(peers=()), Terms(0, 1, 60))
    assert ours.accurate(short.bound), ours


FILE = """
import pytest

@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_one(dtype):
    assert dtype == "float64", "a reason"

def test_another():
    pytest.skip()
"""


def test_the_outcomes_of_tests_are_told_by_dtype(tmp_path):
    file = tmp_path / "test_planted.py"
    file.write_text(FILE)
    found = contract.run(120, (str(file),))
    assert found["float64"] == {"passed": 1, "skipped": 1, "failed": {}, "no_time": []}
    ((name, message),) = found["float32"]["failed"].items()
    assert name.endswith("test_one[float32]")
    assert "a reason" in message
    assert found["exit_code"] == 1
    assert "float32: 0 passed, 1 failed" in contract.sentences(found)


def test_tests_that_do_not_end_are_ended_and_named():
    process = subprocess.Popen([sys.executable, "-S", "-c", "import time; time.sleep(600)"], start_new_session=True)
    assert contract.ended(process, 0.1) is None
    assert process.poll() is not None
    lines = [{"found": ["a", "b[float32]"]}, {"name": "a", "outcome": "passed", "seconds": 0.1}]
    found = contract.sorted_by_dtype(lines)
    assert found["float32"]["no_time"] == ["b[float32]"]
    assert found["float64"]["passed"] == 1


def test_pytorch_is_on_the_device_that_jax_has():
    pytest.importorskip("torch")
    assert torch_card.device() == jax.default_backend()
