"""`python -m jax_course.scale FILE [ARGUMENT…]`: run a program in several processes on this machine.

Exit code: 0 if all succeeded, else that of the first that did not; 2 for wrong arguments.
"""

import argparse
from pathlib import Path

from jax_course.scale.local_processes import rehearse


def main(arguments: list[str] | None = None) -> int:
    """Parse the arguments and run the program; the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m jax_course.scale",
        description="Run a program in several processes on this machine, joined as they would be on several hosts.",
    )
    parser.add_argument("--processes", type=int, default=2, metavar="N", help="default: 2")
    parser.add_argument("--devices", type=int, default=1, metavar="N", help="of each process; default: 1")
    parser.add_argument("file", metavar="FILE", help="a Python program")
    parser.add_argument("arguments", nargs=argparse.REMAINDER, metavar="ARGUMENT", help="of the program")
    options = parser.parse_args(arguments)
    if options.processes < 1 or options.devices < 1:
        parser.error("--processes and --devices must be at least 1")
    if not Path(options.file).is_file():
        parser.error(f"there is no file {options.file}")
    return rehearse(options.file, options.arguments, processes=options.processes, devices=options.devices)


if __name__ == "__main__":
    raise SystemExit(main())
