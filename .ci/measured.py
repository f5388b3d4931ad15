"""Run a command, and say how long it took, what CPU, and how large the largest of its processes was.

python measured.py COMMAND [ARGUMENT ...]; its exit code is that of the command.
"""

import resource
import subprocess
import sys
import time

started = time.monotonic()
code = subprocess.run(sys.argv[1:], check=False).returncode
used = resource.getrusage(resource.RUSAGE_CHILDREN)
largest = used.ru_maxrss * (1 if sys.platform == "darwin" else 1024)  # macOS counts bytes, Linux kilobytes
print(
    f"{time.monotonic() - started:.0f} s of time, {used.ru_utime + used.ru_stime:.0f} s of CPU, "
    f"largest process {largest / 2**30:.2f} GB"
)
sys.exit(code)
