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
    UNFINISHED = "unfinished"  # of a derivation: the lines that are written follow, and others are still open
    NOT_RUN = "not run"  # the file could not be executed to its end, or holds no answer


class Progress(NamedTuple):
    """How far a derivation has come.

    lines: their number. right: how many of them hold, counted from the first. first: the number of the first that is
    wrong or not written; None if all hold. model: the number of the course's line that stands there. repeated: the
    numbers of lines whose code is that of an earlier line.
    """

    lines: int
    right: int
    first: int | None
    model: int | None
    repeated: tuple[int, ...]


class Grade(NamedTuple):
    """The outcome and the message for the student.

    report: the doctor's, as in `Report.to_json` or, of a derivation, `DerivationReport.to_json`; None without one.
    """

    file: str
    exercise: str | None
    outcome: Outcome
    message: str
    report: dict[str, Any] | None
    advice: str = ""  # what is right so far, and the next step
    autodiff: tuple[str, ...] = ()  # what the file lets JAX derive: ("jax.grad",)
    progress: Progress | None = None  # of a derivation

    def to_json(self) -> str:
        """For graders."""
        progress = None if self.progress is None else self.progress._asdict()
        return json.dumps(self._asdict() | {"progress": progress}, indent=2, ensure_ascii=False)

    def hand_derived(self) -> "Grade":
        """This grade, but wrong where JAX derived the answer, or where a line of a derivation repeats another."""
        if self.outcome is not Outcome.RIGHT:
            return self
        if self.progress is not None and self.progress.repeated:
            repeated = ", ".join(map(str, self.progress.repeated))
            message = (
                f"the numbers are right, and nothing is derived in line {repeated}: the code is that of a line before"
            )
            return self._replace(outcome=Outcome.WRONG, message=message)
        if not self.autodiff:
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
        progress = found["progress"]
        return Grade(
            file,
            found["exercise"],
            Outcome(found["outcome"]),
            _printable(found["message"]),
            found["report"],
            _printable(found["advice"]),
            tuple(found["autodiff"]),
            progress and Progress(**progress | {"repeated": tuple(progress["repeated"])}),
        )
    except (OSError, ValueError, KeyError, TypeError):
        how = f"was ended by {signal.Signals(-ended).name}" if ended < 0 else f"ended with exit code {ended}"
        return _not_run(file, f"the process {how} before there was an answer", said)


def _printable(text: str) -> str:
    """A text without the characters that a terminal takes for commands."""
    return "".join(c for c in text if c.isprintable() or c == "\n")


def _not_run(file: str, message: str, said: str) -> Grade:
    last = said.strip().splitlines()[-1:]
    return Grade(file, None, Outcome.NOT_RUN, _printable(message + "".join(f" ({line})" for line in last)), None)
