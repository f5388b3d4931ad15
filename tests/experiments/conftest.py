"""All experiments and the lab book, made once by the command in quick mode, for all tests that look at them."""

import faulthandler
import os
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest
from filelock import FileLock

# as strict as the tests are, and as forgiving of a program that another process is writing
STRICT = {
    "JAX_NUMPY_RANK_PROMOTION": "raise",
    "JAX_NUMPY_DTYPE_PROMOTION": "strict",
    "PYTHONWARNINGS": "error,ignore:Error reading persistent compilation cache",
}
STDERR = 2  # the file itself, whatever pytest has put in place of sys.stderr
LIMIT = 1200  # seconds that the command may take before the stacks of those who wait are printed


class Made(NamedTuple):
    """What the command printed, its exit code, and the folder it wrote to."""

    printed: str
    code: int
    folder: Path


@pytest.fixture(scope="session")
def made(tmp_path_factory, worker_id, pytestconfig) -> Made:
    """The first process that asks makes it, the others wait, longer than a test may take."""
    faulthandler.dump_traceback_later(LIMIT, file=STDERR)
    try:
        return _made(tmp_path_factory, worker_id)
    finally:
        faulthandler.dump_traceback_later(float(pytestconfig.getini("faulthandler_timeout")), file=STDERR)


def _made(tmp_path_factory, worker_id) -> Made:
    base = tmp_path_factory.getbasetemp()
    folder = (base if worker_id == "master" else base.parent) / "results"
    with FileLock(f"{folder}.lock"):
        printed, code = folder.with_suffix(".txt"), folder.with_suffix(".code")
        if not code.exists():
            command = [sys.executable, "-m", "experiments", "--quick", "--out", str(folder)]
            finished = subprocess.run(command, capture_output=True, text=True, check=False, env=os.environ | STRICT)
            printed.write_text(finished.stdout + finished.stderr)
            code.write_text(str(finished.returncode))
        return Made(printed.read_text(), int(code.read_text()), folder)
