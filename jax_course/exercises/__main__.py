"""`python -m jax_course.exercises list | show NAME | check FILE … | hint FILE`: derive, and be told what is wrong.

`--lines` lists and shows derivations, which are checked line by line. Of a folder `check` takes every Python file.
Exit code of `check`: 0 right, 1 wrong, 2 undecided, unfinished or not run, or bad arguments; of several files the first
of 1, 2, 0 that one of them has.
"""

import argparse
import sys
from collections.abc import Iterable
from pathlib import Path

from jax_course.derivations import Derivation
from jax_course.exercises.catalogue import Exercise, load_derivations, load_exercises
from jax_course.exercises.grading import SECONDS, Grade, Outcome, check_all
from jax_course.exercises.line_sheet import line_sheet
from jax_course.exercises.messages import Course, hint_text, listed, told
from jax_course.exercises.pages import grades_page
from jax_course.exercises.sheet import sheet
from jax_course.exercises.table import table
from jax_course.exercises.tries import TRIES


def main(arguments: list[str] | None = None) -> int:
    """Do what the command says, and return the exit code."""
    options = _parser().parse_args(arguments)
    try:
        file = options.exercises
        return options.do(options, Course(load_exercises(file), load_derivations(file), file))
    except (ValueError, OSError) as error:
        print(error, file=sys.stderr)
        return 2


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m jax_course.exercises", description="Derive gradients and Hessians; the doctor looks at them."
    )
    commands = parser.add_subparsers(required=True, metavar="list | show | check | hint")
    listing = commands.add_parser("list", help="what there is")
    listing.add_argument("--lines", action="store_true", help="the derivations, which are checked line by line")
    listing.set_defaults(do=_list)
    show = commands.add_parser("show", help="print the file to fill in")
    show.add_argument("name")
    show.add_argument("--lines", action="store_true", help="the derivation, line by line")
    show.add_argument("--formulas", action="store_true", help="its formulas too, so that only the code is open")
    show.set_defaults(do=_show)
    checked = commands.add_parser("check", help="what the doctor says of an answer, or of several")
    checked.add_argument("files", nargs="+", metavar="file", help="or a folder: every Python file in it")
    checked.add_argument("--hint", action="store_true", help="a hint; for a derivation a further one each time")
    checked.add_argument("--solution", action="store_true", help=f"its solution, after {TRIES} wrong answers")
    checked.add_argument("--table", action="store_true", help="for lecturers: a row for each answer")
    checked.add_argument("--html", metavar="PAGE", help="write a page with all reports, too")
    checked.add_argument("--json", action="store_true", help="for graders; of several files a list")
    checked.add_argument("--by-hand", action="store_true", help="for graders: what jax.grad derived is wrong")
    checked.add_argument("--seconds", type=float, default=SECONDS, help=f"that each may take; default: {SECONDS:g}")
    checked.set_defaults(do=_check)
    hint = commands.add_parser("hint", help="the next hint for an answer, and nothing else")
    hint.add_argument("file")
    hint.set_defaults(do=_hint)
    for command in (listing, show, checked, hint):
        command.add_argument("--exercises", metavar="FILE", help="a Python file that defines exercises of your own")
    return parser


def _list(options: argparse.Namespace, course: Course) -> int:
    if options.lines:
        rows = [(name, one.source, one.title) for name, one in course.derivations.items()]
    else:
        rows = [(name, one.asked + ", lines" * (one.derivation in course.derivations), one.source, one.title)
                for name, one in course.exercises.items()]  # fmt: skip
    print(listed([tuple(text.removeprefix("Course ") for text in row) for row in rows]))
    return 0


def _show(options: argparse.Namespace, course: Course) -> int:
    if not (options.lines or options.formulas):
        if options.name in course.derivations and options.name not in course.exercises:
            raise ValueError(f"{options.name} is a derivation: show {options.name} --lines")
        print(sheet(options.name, course.exercises), end="")
        return 0
    exercise = course.exercises.get(options.name)
    name = exercise.derivation if exercise is not None and exercise.derivation else options.name
    if name not in course.derivations and exercise is not None:
        near = [one.name for one in course.derivations.values() if set(_sections(one)) & set(_sections(exercise))]
        others = f"of the same section there are {', '.join(near)}" if near else "list --lines shows those there are"
        raise ValueError(f"the course does not derive {name} line by line; {others}")
    if name not in course.derivations:
        raise ValueError(f"there is no derivation {name!r} to be written; list --lines shows those there are")
    print(line_sheet(course.derivations[name], formulas=options.formulas), end="")
    return 0


def _check(options: argparse.Namespace, course: Course) -> int:
    grades = check_all(list(_files(options.files)), seconds=options.seconds, exercises=options.exercises)
    grades = [grade.hand_derived() for grade in grades] if options.by_hand else grades
    if options.json:
        print(grades[0].to_json() if len(grades) == 1 else f"[{', '.join(grade.to_json() for grade in grades)}]")
    elif options.table:
        print(table(grades))
    else:
        for grade in grades:
            beside = f"{grade.file}: " if len(grades) > 1 else ""
            said = told(grade, course, hint=options.hint, solved=options.solution)
            print(f"{beside}{grade.exercise or grade.file}: {said}")
    if options.html:
        Path(options.html).write_text(grades_page(grades), encoding="utf-8")
    return _exit_code(grades)


def _hint(options: argparse.Namespace, course: Course) -> int:
    (grade,) = check_all([options.file], exercises=options.exercises)
    print(hint_text(grade, course, alone=True))
    return _exit_code([grade])


def _exit_code(grades: list[Grade]) -> int:
    codes = [{Outcome.RIGHT: 0, Outcome.WRONG: 1}.get(grade.outcome, 2) for grade in grades]
    return next(code for code in (1, 2, 0) if code in codes)


def _files(names: Iterable[str]) -> Iterable[str]:
    """The files, and for each folder the Python files below it, but for hidden ones.

    Errors: FileNotFoundError for a folder without any.
    """
    for name in names:
        folder = Path(name)
        if not folder.is_dir():
            yield name
            continue
        found = [path for path in sorted(folder.rglob("*.py"))
                 if not any(part.startswith((".", "__")) for part in path.relative_to(folder).parts)]  # fmt: skip
        if not found:
            raise FileNotFoundError(f"there is no Python file in {name}")
        yield from map(str, found)


def _sections(one: Exercise | Derivation) -> list[str]:
    """The sections that "Course 8.6, 7.6" names."""
    return one.source.removeprefix("Course ").split(", ")


if __name__ == "__main__":
    sys.exit(main())
