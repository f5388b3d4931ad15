"""A plugin of pytest, `-p experiments.benchmarks.outcomes --outcomes FILE`: what became of each test, a line at once.

A run that is ended leaves what it has done so far. The first lines name the tests that were found, once for each
process. On an accelerator the programs are those of a user: tests compile theirs without most optimisations, which
would be other kernels there.
"""

import json
from pathlib import Path
from typing import Any

import jax
import pytest

LONGEST = 300  # characters of a message


def pytest_addoption(parser: pytest.Parser) -> None:
    """The option of the file."""
    parser.addoption("--outcomes", required=True)


def pytest_configure(config: pytest.Config) -> None:
    """One process writes: the one that starts the others."""
    if not hasattr(config, "workerinput"):
        config.pluginmanager.register(Writer(Path(str(config.getoption("--outcomes")))))


def pytest_collection_finish() -> None:
    """Before the first test runs."""
    if jax.default_backend() != "cpu":
        jax.config.update("jax_disable_most_optimizations", False)


class Writer:
    """Appends to the file."""

    def __init__(self, file: Path):
        self.file = file

    def write(self, line: dict[str, Any]) -> None:
        with self.file.open("a") as out:
            out.write(json.dumps(line) + "\n")

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        if session.items:
            self.write({"found": [item.nodeid for item in session.items]})

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_node_collection_finished(self, ids: list[str]) -> None:
        self.write({"found": list(ids)})

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.when == "call" or report.outcome != "passed":
            line = {"name": report.nodeid, "outcome": report.outcome, "seconds": report.duration}
            self.write(line | ({"message": _message(report)} if report.failed else {}))


def _message(report: pytest.TestReport) -> str:
    crash = getattr(report.longrepr, "reprcrash", None)
    return str(crash.message if crash else report.longrepr)[:LONGEST]
