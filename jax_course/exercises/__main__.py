"""`python -m jax_course.exercises list | show NAME | check FILE`: derive, and be told what is wrong.

Exit code of `check`: 0 right, 1 wrong, 2 undecided or not run, or bad arguments.
"""

import argparse
import sys

from jax_course.exercises.catalogue import EXERCISES
from jax_course.exercises.grading import SECONDS, Outcome, check
from jax_course.exercises.sheet import sheet


def main(arguments: list[str] | None = None) -> int:
    """Do what the command says, and return the exit code."""
    options = _parser().parse_args(arguments)
    try:
        return options.do(options)
    except (ValueError, OSError) as error:
        print(error, file=sys.stderr)
        return 2


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m jax_course.exercises", description="Derive gradients and Hessians; the doctor looks at them."
    )
    commands = parser.add_subparsers(required=True, metavar="list | show | check")
    commands.add_parser("list", help="what there is").set_defaults(do=_list)
    show = commands.add_parser("show", help="print the file to fill in")
    show.add_argument("name")
    show.set_defaults(do=_show)
    checked = commands.add_parser("check", help="what the doctor says of an answer")
    checked.add_argument("file")
    checked.add_argument("--json", action="store_true", help="for graders")
    checked.add_argument("--seconds", type=float, default=SECONDS, help=f"that it may take; default: {SECONDS:g}")
    checked.set_defaults(do=_check)
    return parser


def _list(_: argparse.Namespace) -> int:
    for name, exercise in EXERCISES.items():
        print(f"{name:<18}{exercise.asked:<17}{exercise.source:<18}{exercise.title}")
    return 0


def _show(options: argparse.Namespace) -> int:
    print(sheet(options.name), end="")
    return 0


def _check(options: argparse.Namespace) -> int:
    grade = check(options.file, seconds=options.seconds)
    print(grade.to_json() if options.json else f"{grade.exercise or grade.file}: {grade.message}")
    return {Outcome.RIGHT: 0, Outcome.WRONG: 1}.get(grade.outcome, 2)


if __name__ == "__main__":
    sys.exit(main())
