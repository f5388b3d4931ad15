"""The pages for students and lecturers: each command of theirs, in their order, prints what they show."""

import ast
import doctest
import re
import shlex
from pathlib import Path

import pytest

import jax_course
from jax_course.derivations import find
from jax_course.exercises import __main__ as command
from jax_course.exercises import line_sheet, worker
from tests.exercises.test_lines import graded

DOCS = Path(jax_course.__file__).parent.parent / "docs"
PREFIX = "python -m jax_course.exercises "
FLAGS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


def write_lines(path, block):
    """Put the lines of a block in the place of those from line 2 on; one alone leaves the others as they are."""
    text = path.read_text()
    (entries,) = [node.value.elts for node in ast.parse(text).body
                  if isinstance(node, ast.Assign) and isinstance(node.value, ast.List)]  # fmt: skip
    segments = [str(ast.get_source_segment(text, entry)) for entry in entries]
    written = [str(ast.get_source_segment(block, node)) for node in ast.parse(block).body]
    rest = segments[1 + len(written) :] if len(written) == 1 else []
    head = text[: text.index("LINES = [")]
    path.write_text(head + "LINES = [" + ",\n".join([segments[0], *written, *rest]) + "]\n")


def write_answer(folder, block):
    """The file of an answer, from its name, its derivation, and the code of its lines."""
    head, *codes = block.strip().splitlines()
    path, name = head.removeprefix("# ").split(": ")
    text = line_sheet(find(name))
    for code in codes:
        text = text.replace(": ...,", f": {code},", 1)
    (folder / path).parent.mkdir(exist_ok=True)
    (folder / path).write_text(text)


def run(block, capsys):
    """Run the commands of a block, and compare what each prints with what follows it."""
    for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
        line, _, shown = part.partition("\n")
        assert line.startswith(PREFIX)
        words, _, target = line.removeprefix(PREFIX).partition(" > ")
        command.main(shlex.split(words))
        printed = capsys.readouterr().out
        if target:
            Path(target).write_text(printed)
        assert doctest.OutputChecker().check_output(shown, "" if target else printed, FLAGS), f"{line}\n{printed}"


@pytest.mark.parametrize("page", ["for_students.md", "for_lecturers.md"])
def test_the_commands_of_a_page_print_what_it_shows(page, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(
        command,
        "check_all",
        lambda files, exercises=None, **settings: [graded(worker.verdict_on(f, exercises), f) for f in files],
    )
    blocks = re.findall(r"^```(\w+)\n(.*?)^```$", (DOCS / page).read_text(), flags=re.MULTILINE | re.DOTALL)
    ran = 0
    for kind, block in blocks:
        if kind == "console":
            run(block, capsys)
            ran += 1
        elif block.startswith("line("):
            write_lines(Path("mine.py"), block)
        elif block.startswith("# answers/"):
            write_answer(tmp_path, block)
        elif block.startswith("# own.py"):
            Path("own.py").write_text(block)
    assert ran > 1
