"""A student's file, in a process of its own: it may loop for ever, end the process or raise, and has its verdict.

The process has the rights of whoever starts it: this protects from accidents, not from malice.
"""

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
from enum import StrEnum
from pathlib import Path
from typing import Any, NamedTuple

SECONDS = 60.0
WORKER = "from jax_course.exercises.worker import main; main()"


class Outcome(StrEnum):
    """How it went."""

    RIGHT = "right"
    WRONG = "wrong"
    UNDECIDED = "undecided"
    NOT_RUN = "not run"  # the file could not be executed to its end, or holds no answer


class Grade(NamedTuple):
    """The outcome, what to tell the student, and the doctor's report as `Report.to_json` has it, where there is one."""

    file: str
    exercise: str | None
    outcome: Outcome
    message: str
    report: dict[str, Any] | None

    def to_json(self) -> str:
        """For graders."""
        return json.dumps(self._asdict(), indent=2, ensure_ascii=False)


def check(file: str | os.PathLike, *, seconds: float = SECONDS) -> Grade:
    """What the doctor says of the answer in the file, which may take so many seconds."""
    file = os.fspath(file)
    if not os.path.isfile(file):
        raise FileNotFoundError(f"there is no file {file}")
    if not seconds > 0:
        raise ValueError(f"seconds must be positive; got {seconds}")
    with tempfile.TemporaryDirectory() as folder:
        verdict = Path(folder) / "verdict.json"
        said, code = _run(file, verdict, seconds)
        if code is None:
            return _not_run(file, f"it did not end within {seconds:g} seconds: does a loop go on for ever?", said)
        try:
            found = json.loads(verdict.read_text(encoding="utf-8"))
            return Grade(file, found["exercise"], Outcome(found["outcome"]), found["message"], found["report"])
        except (OSError, ValueError, KeyError, TypeError):
            how = f"was ended by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"
            return _not_run(file, f"the process {how} before there was an answer", said)


def _run(file: str, verdict: Path, seconds: float) -> tuple[str, int | None]:
    """What the process wrote to stderr, and its exit code; None where it had to be ended."""
    errors = verdict.with_name("errors")  # no pipe: what the file starts would hold it open
    with open(errors, "wb") as sink:
        process = subprocess.Popen(
            [sys.executable, "-c", WORKER, file, str(verdict)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=sink,
            start_new_session=True,  # a group, so that what it starts ends with it
        )
    try:
        code = process.wait(seconds)
    except subprocess.TimeoutExpired:
        code = None
    finally:
        _end_group(process)
    return errors.read_text(encoding="utf-8", errors="replace"), code


def _end_group(process: subprocess.Popen) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _not_run(file: str, message: str, said: str) -> Grade:
    last = said.strip().splitlines()[-1:]
    return Grade(file, None, Outcome.NOT_RUN, message + "".join(f" ({line})" for line in last), None)
