"""A program of several processes on this machine, as it would run on several hosts.

Each process runs the same file with JAX joined over loopback; the functions of this package need nothing else. When
one of them fails or is killed, the others cannot go on: all are ended, and the first failure is what is reported.
"""

import os
import runpy
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Sequence

import jax

WORKER = "from jax_course.scale.rehearsal import join; join()"
GRACE = 2.0  # seconds between asking a process to end, which JAX takes for a warning, and making it


def rehearse(file: str, arguments: Sequence[str] = (), *, processes: int, devices: int = 1) -> int:
    """Run the file in so many processes with so many CPU devices each; 0 where all of them ended well.

    Otherwise the exit code of the first that did not, as a shell has it: 128 + n where signal n killed it.
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
    """What each process runs: the file, joined to the others; it ends when the one that started it does."""
    launcher, number, count, port = map(int, sys.argv[1:5])
    sys.argv = sys.argv[5:]

    def watch() -> None:
        while os.getppid() == launcher:
            time.sleep(GRACE / 4)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
    jax.distributed.initialize(f"127.0.0.1:{port}", count, number)
    runpy.run_path(sys.argv[0], run_name="__main__")


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


def _until_one_fails(running: dict[int, subprocess.Popen]) -> int:
    while running:
        for number, process in list(running.items()):
            code = process.poll()
            if code == 0:
                del running[number]
            elif code is not None:
                of_shell = 128 - code if code < 0 else code
                how = f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with code {code}"
                print(f"process {number} {how}: the others are ended", file=sys.stderr)
                return of_shell
        time.sleep(0.05)
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
