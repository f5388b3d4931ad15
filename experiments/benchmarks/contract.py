"""The contract tests of the registry on JAX's device, in processes of their own that end in time."""

import json
import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from experiments.benchmarks.records import Record

ROOT = Path(__file__).parents[2]
# In this order, as far as the time goes: the models, what a fit is made of, layers and costs of networks, optimizers
TESTS = (
    *("tests/test_contract.py", "tests/linalg", "tests/networks/test_layers.py", "tests/networks/test_costs.py"),
    *("tests/optimization/test_optimizers.py", "tests/test_transformations.py"),
)
ENDED = 5  # seconds that those who are ended may take


def run(seconds: float, tests: tuple[str, ...] = TESTS, processes: int = 0) -> Record:
    """What became of the tests, in float64 and in float32: how many passed, who failed, who had no time."""
    with tempfile.TemporaryDirectory() as folder:
        outcomes, log = Path(folder) / "outcomes.jsonl", Path(folder) / "log.txt"
        plugin = ["-p", "experiments.benchmarks.outcomes", "--outcomes", str(outcomes)]
        command = [sys.executable, "-m", "pytest", f"-n{processes}", "--dist=load", *plugin, *tests]
        with log.open("w") as out:
            process = subprocess.Popen(command, cwd=ROOT, stdout=out, stderr=out, start_new_session=True)
            code = ended(process, seconds)
        lines = [json.loads(line) for line in outcomes.read_text().splitlines()] if outcomes.exists() else []
        record = sorted_by_dtype(lines) | {"exit_code": code, "seconds": seconds}
        return record if lines else record | {"log": log.read_text()[-2000:]}


def ended(process: subprocess.Popen, seconds: float) -> int | None:
    """The exit code; None where the time was over, and the process and those it started were ended."""
    try:
        return process.wait(seconds)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)  # it leads a group of its own
        process.wait(ENDED)
        return None


def sorted_by_dtype(lines: list[dict[str, Any]]) -> Record:
    """The lines of `outcomes`, for each dtype that the tests name; one that names none is in float64.

    >>> lines = [{"found": ["test_a", "test_b[float32]"]}, {"name": "test_a", "outcome": "passed", "seconds": 1.0}]
    >>> sorted_by_dtype(lines)["float32"]["no_time"], sorted_by_dtype(lines)["float64"]["passed"]
    (['test_b[float32]'], 1)
    """
    found = list(dict.fromkeys(name for line in lines for name in line.get("found", ())))
    ended = {line["name"]: line for line in lines if "name" in line}
    record: Record = {}
    for dtype in ("float64", "float32"):
        names = [name for name in found if ("float32" in name) == (dtype == "float32")]
        outcomes = [ended[name] for name in names if name in ended]
        record[dtype] = {
            **{kind: sum(line["outcome"] == kind for line in outcomes) for kind in ("passed", "skipped")},
            "failed": {line["name"]: line["message"] for line in outcomes if line["outcome"] == "failed"},
            "no_time": [name for name in names if name not in ended],
        }
    return record


def sentences(record: Record) -> str:
    """A line for each dtype, and one for each test that failed."""
    lines = []
    for dtype in ("float64", "float32"):
        of = record[dtype]
        counts = f"{of['passed']} passed, {len(of['failed'])} failed, {of['skipped']} skipped"
        lines.append(f"{dtype}: {counts}; no time for {len(of['no_time'])}")
        lines += [f"  failed: {name}: {message}" for name, message in of["failed"].items()]
    return "\n".join([*lines, *([record["log"]] if "log" in record else [])])
