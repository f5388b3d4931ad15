"""A process that imports everything once, and a copy of it for each file, so many at a time.

It computes nothing itself: JAX starts its threads with the first computation, and no process may be copied after that.
"""

import contextlib
import json
import os
import signal
import sys
import time
import traceback
import warnings
from pathlib import Path
from typing import Any

from jax_course.exercises import worker

PAUSE = 0.005  # seconds between two looks at the processes


def main() -> None:
    """Run the files of the task on stdin, a JSON object, each into a folder of its number in the task's folder.

    There are then verdict, errors (its stderr), and code: its exit code, negative for a signal, null if it was ended.
    """
    task = json.load(sys.stdin)
    running: dict[int, tuple[Path, float]] = {}
    try:
        _run(task, running)
    finally:  # an interrupt from the keyboard
        for process in running:
            _end_group(process)


def _run(task: dict[str, Any], running: dict[int, tuple[Path, float]]) -> None:
    """Run all files; `running` holds the folder and the end of the time of each process."""
    waiting = list(enumerate(task["files"]))[::-1]
    while waiting or running:
        while waiting and len(running) < task["processes"]:
            number, file = waiting.pop()
            traces = Path(task["folder"]) / str(number)
            traces.mkdir()
            running[_start(file, traces, task)] = traces, time.monotonic() + task["seconds"]
        for process, (traces, end) in list(running.items()):
            code = _code(process)
            if code is None and time.monotonic() < end:
                continue
            _end_group(process)
            if code is None:
                os.waitpid(process, 0)
            (traces / "code").write_text(json.dumps(code), encoding="utf-8")
            del running[process]
        time.sleep(PAUSE)


def _start(file: str, traces: Path, task: dict[str, Any]) -> int:
    with warnings.catch_warnings(action="ignore"):  # JAX warns of copies, whether or not it has threads yet
        process = os.fork()
    if process:
        with contextlib.suppress(OSError):
            os.setpgid(process, process)  # the copy does so too: whoever comes first
        return process
    try:
        with contextlib.suppress(OSError):
            os.setsid()
        _redirect(traces / "errors")
        own = [] if task["exercises"] is None else [task["exercises"]]
        sys.argv = ["", file, str(traces / "verdict"), *own]
        worker.main()
        code = 0
    except BaseException:
        traceback.print_exc()
        code = 1
    with contextlib.suppress(BaseException):
        sys.stderr.flush()
    os._exit(code)


def _redirect(errors: Path) -> None:
    """Nothing to read, nothing written but stderr, and this into a file: what it starts would hold a pipe open."""
    nothing = os.open(os.devnull, os.O_RDWR)
    sink = os.open(errors, os.O_WRONLY | os.O_CREAT)
    for source, target in ((nothing, 0), (nothing, 1), (sink, 2)):
        os.dup2(source, target)


def _code(process: int) -> int | None:
    """The exit code of a process that has ended."""
    ended, status = os.waitpid(process, os.WNOHANG)
    return os.waitstatus_to_exitcode(status) if ended else None


def _end_group(process: int) -> None:
    """End the process and what it started."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process, signal.SIGKILL)
