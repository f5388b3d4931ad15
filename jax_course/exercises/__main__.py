"""`python -m jax_course.exercises list | show NAME | check FILE …`: derive, and be told what is wrong.

Exit code of `check`: 0 right, 1 wrong, 2 undecided or not run, or bad arguments; of several files the first of 1, 2, 0
that one of them has.
"""

import argparse
import sys

from jax_course.exercises.catalogue import Exercise, load_exercises
from jax_course.exercises.grading import SECONDS, Grade, Outcome, check_all
from jax_course.exercises.sheet import sheet, solution
from jax_course.exercises.tries import TRIES, count_tries


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
    listed = commands.add_parser("list", help="what there is")
    listed.set_defaults(do=_list)
    show = commands.add_parser("show", help="print the file to fill in")
    show.add_argument("name")
    show.set_defaults(do=_show)
    checked = commands.add_parser("check", help="what the doctor says of an answer, or of several")
    checked.add_argument("files", nargs="+", metavar="file")
    checked.add_argument("--hint", action="store_true", help="a hint for the exercise of the file")
    checked.add_argument("--solution", action="store_true", help=f"its solution, after {TRIES} wrong answers")
    checked.add_argument("--json", action="store_true", help="for graders; of several files a list")
    checked.add_argument("--by-hand", action="store_true", help="for graders: what jax.grad derived is wrong")
    checked.add_argument("--seconds", type=float, default=SECONDS, help=f"that each may take; default: {SECONDS:g}")
    checked.set_defaults(do=_check)
    for command in (listed, show, checked):
        command.add_argument("--exercises", metavar="FILE", help="a Python file that defines exercises of your own")
    return parser


def _list(options: argparse.Namespace) -> int:
    for name, exercise in load_exercises(options.exercises).items():
        print(f"{name:<20}{exercise.asked:<17}{exercise.source:<18}{exercise.title}")
    return 0


def _show(options: argparse.Namespace) -> int:
    print(sheet(options.name, load_exercises(options.exercises)), end="")
    return 0


def _check(options: argparse.Namespace) -> int:
    exercises = load_exercises(options.exercises)
    grades = check_all(options.files, seconds=options.seconds, exercises=options.exercises)
    grades = [grade.hand_derived() for grade in grades] if options.by_hand else grades
    if options.json:
        print(grades[0].to_json() if len(grades) == 1 else f"[{', '.join(grade.to_json() for grade in grades)}]")
    else:
        for grade in grades:
            beside = f"{grade.file}: " if len(grades) > 1 else ""
            print(f"{beside}{grade.exercise or grade.file}: {_told(grade, options, exercises)}")
    codes = [{Outcome.RIGHT: 0, Outcome.WRONG: 1}.get(grade.outcome, 2) for grade in grades]
    return next(code for code in (1, 2, 0) if code in codes)


def _told(grade: Grade, options: argparse.Namespace, exercises: dict[str, Exercise]) -> str:
    """The grade, and what helps on: what is right, the next step, a hint, the solution, the next exercise."""
    lines = [grade.message, *([f"\n{grade.advice}"] if grade.advice else [])]
    name = grade.exercise
    if grade.autodiff and grade.outcome is Outcome.RIGHT:
        lines.append(f"\n{' and '.join(grade.autodiff)} derived it. Can you do it by hand?")
    if name is None or name not in exercises:
        return "\n".join(lines)
    right, exercise = grade.outcome is Outcome.RIGHT, exercises[name]
    tries = count_tries(grade.file, name, wrong=grade.outcome is Outcome.WRONG)
    own = f" --exercises {options.exercises}" if options.exercises else ""
    if options.hint:
        lines.append(f"Hint: {exercise.hint or 'this exercise has none.'}")
    elif not right and exercise.hint:
        lines.append("A hint: check it with --hint.")
    if options.solution and (right or tries >= TRIES):
        lines.append(f"Solution:\n\n{solution(name, exercises) or 'this exercise has none.'}")
    elif options.solution:
        lines.append(f"The solution is shown after {TRIES} different wrong answers; so far: {tries}.")
    elif not right and tries >= TRIES and exercise.solution:
        lines.append("The solution: check it with --solution.")
    if right and (following := _following(name, exercises)):
        lines.append(f"\nNext: python -m jax_course.exercises show {following}{own} > {following}.py")
    elif right:
        lines.append("\nThat was the last exercise.")
    return "\n".join(lines)


def _following(name: str, exercises: dict[str, Exercise]) -> str | None:
    names = list(exercises)
    after = names[names.index(name) + 1 :]
    return after[0] if after else None


if __name__ == "__main__":
    sys.exit(main())
