"""A program of several processes on this machine, as it would run on several hosts.

Each process runs the same file with JAX joined over loopback; the functions of this package need nothing else. When
one of them fails or is killed, the others cannot go on: all are ended, and the first failure is what is reported.
"""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence

JOINED = (
    "import runpy, sys, jax; number, count, port, file, *arguments = sys.argv[1:]; "
    "jax.distributed.initialize(f'127.0.0.1:{port}', int(count), int(number)); "
    "sys.argv = [file, *arguments]; runpy.run_path(file, run_name='__main__')"
)
GRACE = 2.0  # seconds between asking a process to end, which JAX takes for a warning, and making it


def rehearse(file: str, arguments: Sequence[str] = (), *, processes: int, devices: int = 1) -> int:
    """Run the file in so many processes with so many CPU devices each; 0 where all of them ended well.

    Otherwise the exit code of the first that did not, as a shell has it: 128 + n where signal n killed it.
    """
    environment = os.environ | {"JAX_PLATFORMS": "cpu", "JAX_NUM_CPU_DEVICES": str(devices)}
    port = _free_port()
    running = {
        number: subprocess.Popen(
            [sys.executable, "-c", JOINED, str(number), str(processes), str(port), file, *arguments], env=environment
        )
        for number in range(processes)
    }
    try:
        return _until_one_fails(running)
    finally:
        _end(running)


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
