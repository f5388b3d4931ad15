"""A program of several processes on this machine, as it would run on several hosts.

Each process runs the same file, with `jax.distributed` initialized over loopback. When one raises, exits with a code or
is killed, the others cannot go on: all are ended within seconds, and the first failure is reported.
"""

import os
import queue
import runpy
import signal
import socket
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Sequence

import jax

WORKER = "from jax_course.scale.local_processes import join; join()"
GRACE = 2.0  # seconds from SIGTERM, which JAX takes for a warning, to SIGKILL


def rehearse(file: str, arguments: Sequence[str] = (), *, processes: int, devices: int = 1) -> int:
    """Run a Python file in several processes with this number of CPU devices each, joined by `jax.distributed`.

    The result is 0 if all succeeded, else the exit code of the first that did not: 128 + n if signal n killed it.
    """
    environment = os.environ | {"JAX_PLATFORMS": "cpu", "JAX_NUM_CPU_DEVICES": str(devices)}
    port = _free_port()
    running = {
        number: subprocess.Popen(
            [sys.executable, "-c", WORKER, *map(str, (os.getpid(), number, processes, port)), file, *arguments],
            env=environment,
        )
        for number in range(processes)
    }
    try:
        return _until_one_fails(running)
    finally:
        _end(running)


def join() -> None:
    """The entry of each process: join the others and run the file. The process ends when its launcher does."""
    launcher, number, count, port = map(int, sys.argv[1:5])
    sys.argv = sys.argv[5:]

    def watch() -> None:
        while os.getppid() == launcher:
            time.sleep(GRACE / 4)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
    jax.distributed.initialize(f"127.0.0.1:{port}", count, number)
    code = _exit_code(sys.argv[0])
    if code:  # JAX would wait for the others first, which may wait for this one
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _exit_code(file: str) -> int:
    """Run the file, print its message or traceback, and return the exit code of the interpreter."""
    try:
        runpy.run_path(file, run_name="__main__")
    except SystemExit as stopped:
        if stopped.code is None or isinstance(stopped.code, int):
            return int(stopped.code or 0) & 255
        print(stopped.code, file=sys.stderr)
        return 1
    except BaseException:
        traceback.print_exc()
        return 1
    return 0


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


def _until_one_fails(running: dict[int, subprocess.Popen]) -> int:
    """Wait for all processes, or for the first that fails; its exit code, or 0."""
    ended = queue.SimpleQueue()  # in the order in which they end: the others fail soon after the first

    def wait(number: int, process: subprocess.Popen) -> None:
        ended.put((number, process.wait()))

    for each in running.items():
        threading.Thread(target=wait, args=each, daemon=True).start()
    for _ in running:
        number, code = ended.get()
        if code != 0:
            how = f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with code {code}"
            print(f"process {number} {how}: the others are ended", file=sys.stderr)
            return 128 - code if code < 0 else code
    return 0


def _end(running: dict[int, subprocess.Popen]) -> None:
    for process in running.values():
        process.terminate()
    for process in running.values():
        try:
            process.wait(GRACE)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
