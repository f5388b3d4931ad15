"""A student's file, in a process of its own: it may loop for ever, end the process or raise, and has its verdict.

The process has the rights of whoever starts it: this protects from accidents, not from malice.
"""

import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import Any, NamedTuple

from jax_course.exercises.catalogue import load_exercises

SECONDS = 60.0
SERVER = "from jax_course.exercises.pool import main; main()"


class Outcome(StrEnum):
    """The outcome of a file."""

    RIGHT = "right"
    WRONG = "wrong"
    UNDECIDED = "undecided"
    NOT_RUN = "not run"  # the file could not be executed to its end, or holds no answer


class Grade(NamedTuple):
    """The outcome, the message for the student, and the doctor's report as in `Report.to_json`, if there is one."""

    file: str
    exercise: str | None
    outcome: Outcome
    message: str
    report: dict[str, Any] | None
    advice: str = ""  # what is right so far, and the next step
    autodiff: tuple[str, ...] = ()  # what the file lets JAX derive: ("jax.grad",)

    def to_json(self) -> str:
        """For graders."""
        return json.dumps(self._asdict(), indent=2, ensure_ascii=False)

    def hand_derived(self) -> "Grade":
        """This grade, but wrong where JAX derived the answer."""
        if self.outcome is not Outcome.RIGHT or not self.autodiff:
            return self
        message = f"the numbers are right, and {' and '.join(self.autodiff)} derived them: derive them by hand"
        return self._replace(outcome=Outcome.WRONG, message=message)


def check(file: str | os.PathLike, *, seconds: float = SECONDS, exercises: str | os.PathLike | None = None) -> Grade:
    """The doctor's grade of the answer in the file, which may take so many seconds.

    exercises: a teacher's file, see `load_exercises`.
    """
    return check_all([file], seconds=seconds, exercises=exercises)[0]


def check_all(
    files: Sequence[str | os.PathLike],
    *,
    seconds: float = SECONDS,
    exercises: str | os.PathLike | None = None,
    processes: int | None = None,
) -> list[Grade]:
    """The doctor's grades of the answers in several files, each in a process of its own.

    processes: so many at a time; as many as cores by default. One process imports everything once, and each file is
    run by a copy of it.
    """
    names = [os.fspath(file) for file in files]
    for name in (*names, *([] if exercises is None else [os.fspath(exercises)])):
        if not os.path.isfile(name):
            raise FileNotFoundError(f"there is no file {name}")
    if not seconds > 0:
        raise ValueError(f"seconds must be positive; got {seconds}")
    load_exercises(exercises)  # whatever is wrong with them is not the students' fault
    if not names:
        return []
    with tempfile.TemporaryDirectory() as folder:
        task = {
            "folder": folder,
            "files": names,
            "seconds": seconds,
            "exercises": None if exercises is None else os.fspath(exercises),
            "processes": processes or os.cpu_count() or 1,
        }
        with open(Path(folder) / "errors", "wb") as sink:
            subprocess.run(
                [sys.executable, "-c", SERVER],
                input=json.dumps(task).encode(),
                stdout=subprocess.DEVNULL,
                stderr=sink,
                check=False,
            )
        return [_grade(name, Path(folder) / str(i), seconds) for i, name in enumerate(names)]


def _grade(file: str, traces: Path, seconds: float) -> Grade:
    """From what the process of a file has left behind."""
    code, own = traces / "code", traces / "errors"
    errors = own if own.exists() else traces.with_name("errors")  # of the process that starts the others
    said = errors.read_text(encoding="utf-8", errors="replace")
    ended = json.loads(code.read_text(encoding="utf-8")) if code.exists() else 1
    if ended is None:
        return _not_run(file, f"it did not end within {seconds:g} seconds: does a loop go on for ever?", said)
    try:
        found = json.loads((traces / "verdict").read_text(encoding="utf-8"))
        return Grade(
            file,
            found["exercise"],
            Outcome(found["outcome"]),
            found["message"],
            found["report"],
            found["advice"],
            tuple(found["autodiff"]),
        )
    except (OSError, ValueError, KeyError, TypeError):
        how = f"was ended by {signal.Signals(-ended).name}" if ended < 0 else f"ended with exit code {ended}"
        return _not_run(file, f"the process {how} before there was an answer", said)


def _not_run(file: str, message: str, said: str) -> Grade:
    last = said.strip().splitlines()[-1:]
    return Grade(file, None, Outcome.NOT_RUN, message + "".join(f" ({line})" for line in last), None)
