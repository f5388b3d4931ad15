"""The seconds and the memory of one call, and an end to calls that take too long."""

import ctypes
import gc
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

STATUS, CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")


class Late(BaseException):
    """The time is over; no Exception, so that no library takes it for one of its own."""


@contextmanager
def deadline(seconds: float) -> Iterator[None]:
    """Raises Late in the block after so many seconds, when Python runs next; outside the main thread it never does."""
    if not hasattr(signal, "setitimer") or threading.current_thread() is not threading.main_thread():
        yield
        return

    def ring(number: int, frame: Any) -> None:
        raise Late

    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, seconds, 1)  # once more where the first was raised in a callback and lost
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def timed(run: Callable[[], Any]) -> tuple[Any, float]:
    """What the call returns, and its seconds, in which no garbage of others is collected."""
    gc.disable()
    try:
        started = time.perf_counter()
        result = run()
        return result, time.perf_counter() - started
    finally:
        gc.enable()


def weighed(run: Callable[[], Any]) -> tuple[Any, float, int | None]:
    """As `timed`, and the bytes that the process held at most beyond those before the call; None where unknown."""
    _give_back()
    before = _mark()
    result, seconds = timed(run)
    highest = _highest()
    return result, seconds, None if before is None or highest is None else max(0, highest - before)


def _give_back() -> None:
    """Freed memory goes back to Linux: what is kept for the next call would not show as the need of that call."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None) if sys.platform == "linux" else None
    if trim is not None:
        trim(0)


def _mark() -> int | None:
    """The highest mark falls to what is held now, which is returned."""
    try:
        CLEAR.write_text("5")
    except OSError:
        return None
    return _highest()


def _highest() -> int | None:
    lines = STATUS.read_text().splitlines() if STATUS.exists() else []
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM")), None)
