"""A derivation as an exercise: the first wrong line is told, a hint unfolds, no file changes what it is judged by."""

import ast
import json
import os

import pytest

from jax_course.derivations import DERIVATIONS, find
from jax_course.exercises import EXERCISES, Grade, Outcome, line_sheet, load_derivations, worker
from jax_course.exercises.__main__ import main
from jax_course.exercises.grading import Progress
from jax_course.exercises.line_sheet import BODIES, asked_lines, is_exercise, line_code, line_solution
from jax_course.exercises.pages import grades_page
from jax_course.exercises.table import summary, table

RIGHT = ("jnp.sum((pi - y)[:, None] * X, axis=0)", "jnp.sum(X * (pi - y)[:, None], axis=0)", "X.T @ (pi - y)")
FLIPPED = ("jnp.sum((y - pi)[:, None] * X, axis=0)", *RIGHT[1:])
TWICE = (RIGHT[0], "2 * X.T @ (pi - y)", RIGHT[2])


def filled(*codes, name="logistic_gradient"):
    """The file for a derivation, with the code of the first open lines."""
    text = line_sheet(find(name))
    for code in codes:
        text = text.replace(": ...,", f": {code},", 1)
    return text


def judged(tmp_path, text):
    """The worker's verdict on a file, in this process."""
    path = tmp_path / "mine.py"
    path.write_text(text)
    return worker.verdict_on(str(path))


def graded(found, file="mine.py"):
    """The verdict as a grade."""
    progress = found["progress"] and Progress(**found["progress"])
    return Grade(str(file), **found | {"progress": progress, "autodiff": tuple(found["autodiff"])})


def checked(tmp_path, monkeypatch, capsys, text, *options, command="check", codes=(0, 1, 2)):
    """The output of a command on a file, run in this process."""
    path = tmp_path / "mine.py"
    path.write_text(text)
    monkeypatch.setattr(
        "jax_course.exercises.__main__.check_all",
        lambda files, **settings: [graded(worker.verdict_on(file), file) for file in files],
    )
    assert main([command, str(path), *options]) in codes
    return capsys.readouterr().out


def test_the_derivations_that_are_no_exercises_are_these():
    others = [derivation.name for derivation in DERIVATIONS if not is_exercise(derivation)]
    assert others == ["least_squares_minimiser", "ridge_solution", "two_orders"]
    assert len(load_derivations()) == len(DERIVATIONS) - len(others)


def test_an_exercise_names_a_derivation_that_can_be_written():
    named = {exercise.derivation for exercise in EXERCISES.values() if exercise.derivation}
    assert named <= set(load_derivations())
    assert len(named) > 10


@pytest.mark.parametrize(
    "name",
    ["logistic_gradient", "softmax_gradient_of_two_classes", "layer_by_layer", "kernel_gradient", "delta"],
)
def test_a_file_holds_the_beginning_and_leaves_the_other_lines_open(name):
    text, derivation = line_sheet(find(name)), find(name)
    ast.parse(text)
    space = {}
    exec(text, space)
    assert space["DERIVATION"] == name
    assert [one.by for one in space["LINES"]] == [one.by for one in asked_lines(derivation)]
    assert [one.formula for one in space["LINES"]] == [derivation.lines[0].formula] + [""] * (len(space["LINES"]) - 1)
    assert max(map(len, text.split('"""')[1].splitlines())) <= 100
    assert derivation.source in text


def test_with_formulas_only_the_code_is_open():
    space = {}
    exec(line_sheet(find("quadratic_form"), formulas=True), space)
    assert space["LINES"][1].formula == find("quadratic_form").lines[1].formula
    assert "A +" not in line_sheet(find("quadratic_form"))  # not even as the end of the way


@pytest.mark.parametrize("name", ["least_squares_gradient", "ridge_gradient", "sigmoid_derivative", "logistic_hessian"])
def test_the_code_of_the_solution_is_right(name, tmp_path):
    lines = asked_lines(find(name))
    assert any(one.value in BODIES for one in lines)
    bodies = [line_code(one).partition(": ")[2] for one in lines[1:]]
    found = judged(tmp_path, filled(*bodies, name=name))
    assert found["outcome"] is Outcome.RIGHT, found["message"]
    shown = line_solution(find(name)).split()
    assert all(set(body.split()) <= set(shown) for body in bodies)


def test_the_first_wrong_line_is_told_with_its_mistake_and_without_the_solution(tmp_path):
    found = judged(tmp_path, filled(*TWICE))
    assert found["outcome"] is Outcome.WRONG
    assert found["progress"] == {"lines": 4, "right": 2, "first": 3, "model": 3, "repeated": ()}
    assert found["message"].startswith("WRONG: line 3 of 4")
    assert "FACTOR: `theta`: yours is 2 times" in found["message"]
    assert found["advice"].startswith("Right so far: lines 1 and 2. In line 3 the formula has the right form")
    assert "x_i" not in found["message"].partition("✓ 2")[2]


def test_all_lines_right_are_right_and_several_more_or_fewer_too(tmp_path):
    assert judged(tmp_path, filled(*RIGHT))["outcome"] is Outcome.RIGHT
    one = "    line('', lambda X, y, pi: X.T @ pi - X.T @ y),\n"
    longer = filled(*RIGHT).replace("    # 3: equal", f"{one}    # 3: equal")
    assert judged(tmp_path, longer)["progress"]["lines"] == 5
    assert judged(tmp_path, longer)["outcome"] is Outcome.RIGHT
    shorter = filled(RIGHT[0], RIGHT[2]).partition("    # 4")[0] + "]\n"
    assert judged(tmp_path, shorter)["outcome"] is Outcome.RIGHT


def test_lines_that_are_not_written_yet_are_no_mistake(tmp_path):
    found = judged(tmp_path, filled())
    assert (found["outcome"], found["progress"]["first"]) == (Outcome.UNFINISHED, 2)
    assert "line 2 of 4 is not written yet\n\nIt is the derivative of line 1 by theta." in found["message"]
    found = judged(tmp_path, filled(RIGHT[0]))
    assert (found["outcome"], found["progress"]["right"]) == (Outcome.UNFINISHED, 2)
    found = judged(tmp_path, filled(FLIPPED[0]))
    assert found["outcome"] is Outcome.WRONG
    assert "Line 3 is not written yet." in found["message"]


@pytest.mark.parametrize(
    ("old", "new", "outcome", "message"),
    [
        ('\n        by="theta",', "", Outcome.WRONG, 'Is by="theta" missing?'),
        ('by="theta"', 'by="X"', Outcome.WRONG, "WRONG: line 2 differentiates by X, not by theta"),
        (f"{RIGHT[2]},", f"{RIGHT[2]}, by='theta',", Outcome.WRONG, "line 4 is one derivative more than asked for"),
    ],
)
def test_the_derivatives_must_be_those_of_the_course(old, new, outcome, message, tmp_path):
    found = judged(tmp_path, filled(*RIGHT).replace(old, new))
    assert found["outcome"] is outcome
    assert message in found["message"]


def test_a_derivation_without_its_last_derivative_is_unfinished(tmp_path):
    text = filled("2 * X.T @ (X @ theta - y)", name="matrix_gradient").partition("    # 3")[0] + "]\n"
    found = judged(tmp_path, text)
    assert (found["outcome"], found["progress"]["first"]) == (Outcome.UNFINISHED, 3)
    assert "the derivative by theta is still to come" in found["message"]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("lambda y, pi: -jnp.sum", "lambda y, pi: jnp.sum"),  # another beginning, of which the lines would be right
        (f"{FLIPPED[0]},", f"{FLIPPED[0]}, where=lambda y: y > 5,"),  # a condition that never holds
        (f": {FLIPPED[0]}", f": X.fill(0) or {FLIPPED[0]}"),  # the data changed in place
        ('by="theta"', 'by=("theta",)'),
    ],
)
def test_a_file_cannot_change_what_its_lines_are_compared_with(old, new, tmp_path):
    text = filled(*FLIPPED)
    assert old in text
    assert judged(tmp_path, text.replace(old, new))["outcome"] is Outcome.WRONG


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("LINES = ", "lines = ", "LINES must be a list of line(formula, function); it is NoneType"),
        ("LINES = [", "LINES = [lambda: 0,", "line 1 of LINES must be made by line(formula, function)"),
        ('"logistic_gradient"', '"nothing"', "DERIVATION must name what is derived"),
        (
            "lambda theta, X, y, pi: ...",
            "lambda q: q",
            "line 2 needs the argument q; the derivation has theta, X, y, pi",
        ),
        (": ...", ": exit()", "line 2 ends the program"),
        ("LINES = [", "LINES = [line('', lambda X: X, by='X'),", "line 1 is the beginning: it cannot have by="),
        ("LINES = [", "LINES = 60 * [line('', lambda X: X)] + [", "more than 50 are not judged"),
    ],
)
def test_a_file_without_lines_to_judge_gets_a_clear_result(old, new, message, tmp_path):
    found = judged(tmp_path, filled().replace(old, new))
    assert found["outcome"] is Outcome.NOT_RUN
    assert message in found["message"]


def test_a_line_that_raises_is_wrong_and_says_what_it_raised(tmp_path):
    found = judged(tmp_path, filled(RIGHT[0], "no_such_name"))
    assert (found["outcome"], found["progress"]["first"], found["advice"]) == (Outcome.WRONG, 3, "")
    assert "it raised NameError" in found["message"]


def test_a_formula_is_shown_without_control_characters_and_code_where_there_is_none(tmp_path):
    text = filled(*RIGHT).replace('r"",', 'r"X^T\x1b[2J r",', 1)
    found = judged(tmp_path, text)
    assert found["report"]["steps"][1]["formula"] == "X^T [2J r"
    assert found["report"]["steps"][3]["formula"] == "`X.T @ (pi - y)`"


@pytest.mark.parametrize(
    "code", ["jax.jit(lambda z: jnp.exp(-z) / (1 + jnp.exp(-z)) ** 2)", "partial(slope, 1.0)", "slope_of(2)"]
)
def test_lines_may_be_any_functions(code, tmp_path):
    head = (
        "import jax\nfrom functools import partial\n"
        "def slope(one, z):\n    e = jnp.exp(-z)\n    return e / (one + e) ** 2\n"
        "def slope_of(k):\n    return lambda z: jnp.exp(-z) / (1 + jnp.exp(-z)) ** k\n"
    )
    text = filled("jnp.exp(z) / (1 + jnp.exp(z))", name="sigmoid_derivative").replace("lambda z: ...", code, 1)
    found = judged(tmp_path, head + text)
    assert (found["outcome"], found["progress"]["first"]) == (Outcome.UNFINISHED, 4), found["message"]


def test_autodiff_and_repeated_code_are_noticed(tmp_path):
    by_jax = "jax.grad(lambda t: jnp.sum(jnp.logaddexp(0, X @ t) - y * (X @ t)))(theta)"
    found = judged(tmp_path, "import jax\n" + filled(by_jax, RIGHT[2], " X.T  @ (pi - y)"))
    assert (found["outcome"], found["autodiff"]) == (Outcome.RIGHT, ["jax.grad"])
    assert found["progress"]["repeated"] == (4,)
    grade = graded(found).hand_derived()
    assert grade.outcome is Outcome.WRONG
    assert "nothing is derived in line 4" in grade.message
    found = judged(tmp_path, filled(*RIGHT))
    assert graded(found).hand_derived().outcome is Outcome.RIGHT


def test_a_hint_unfolds_step_by_step_and_begins_anew_on_another_line(tmp_path, monkeypatch, capsys):
    said = [checked(tmp_path, monkeypatch, capsys, filled(*FLIPPED), command="hint") for _ in range(5)]
    assert "Hint 1 of 4 on line 2: Line 2 does not follow from line 1." in said[0]
    assert "SIGN: the sign is wrong" in said[1]
    assert "(π_i − y_i)" in said[2]
    assert "lambda X, y, pi: jnp.sum" in said[3]
    assert said[4] == said[3]
    said = checked(tmp_path, monkeypatch, capsys, filled(*TWICE), command="hint")
    assert "Hint 1 of 4 on line 3" in said
    said = checked(tmp_path, monkeypatch, capsys, filled(*TWICE), "--hint")  # the report has said where, and what
    assert "Hint 3 of 4 on line 3: In the course the line there is\n\n    = Σ_i (π_i − y_i) x_i" in said
    assert "No hint is needed" in checked(tmp_path, monkeypatch, capsys, filled(*RIGHT), command="hint")


def test_a_hint_on_an_open_line_has_the_idea_of_the_exercise(tmp_path, monkeypatch, capsys):
    said = [checked(tmp_path, monkeypatch, capsys, filled(), command="hint") for _ in range(2)]
    assert "Hint 1 of 4 on line 2: Line 2 of 4 is not written yet. It is the derivative" in said[0]
    assert "σ′ is cancelled" in said[1].replace("\n", " ")


def test_the_hint_of_another_exercise_is_its_sentence(tmp_path, monkeypatch, capsys):
    text = 'EXERCISE = "lasso"\ndef gradient(theta, X, y, penalty):\n    return theta\n'
    assert "Hint: |θ|′ is 1" in checked(tmp_path, monkeypatch, capsys, text, command="hint")


def test_after_a_right_derivation_the_next_one_is_named_and_the_solution_shown(tmp_path, monkeypatch, capsys):
    said = checked(tmp_path, monkeypatch, capsys, filled(*RIGHT), "--solution", codes=(0,))
    assert "4  = Xᵀ(π − y)\n       lambda X, y, pi: X.T @ (pi - y)" in said
    assert "show logistic_gradient_directly --lines \\\n  > logistic_gradient_directly_lines.py" in said
    said = checked(tmp_path, monkeypatch, capsys, filled(*FLIPPED), "--solution", codes=(1,))
    assert "after 3 different wrong answers; so far: 1." in said
    text = 'EXERCISE = "squares"\ndef gradient(theta, X, y):\n    return 2 * X.T @ (X @ theta - y)\n'
    assert "show squares --lines > squares_lines.py" in checked(tmp_path, monkeypatch, capsys, text)


def test_a_derivation_is_shown_by_its_own_name_and_by_that_of_the_exercise(capsys):
    for name in ("logistic", "logistic_gradient"):
        assert main(["show", name, "--lines"]) == 0
        assert capsys.readouterr().out == line_sheet(find("logistic_gradient"))
    assert main(["show", "logistic", "--formulas"]) == 0
    assert "X^\\top" in capsys.readouterr().out
    for arguments, words in (
        (["show", "lasso", "--lines"], "the course does not derive lasso line by line; list --lines shows"),
        (["show", "chain", "--lines"], "of the same section there are chain_rule"),
        (["show", "nothing", "--lines"], "there is no derivation 'nothing'"),
        (["show", "newton_to_irls"], "newton_to_irls is a derivation: show newton_to_irls --lines"),
    ):
        assert main(arguments) == 2
        assert words in capsys.readouterr().err


def test_lists_fit_a_terminal_and_have_all_names(capsys):
    for arguments, names in ((["list"], EXERCISES), (["list", "--lines"], load_derivations())):
        assert main(arguments) == 0
        lines = capsys.readouterr().out.splitlines()
        assert max(map(len, lines)) <= 80
        assert [line.split()[0] for line in lines if not line.startswith(" ")] == list(names)


def test_a_folder_is_graded_into_a_table_a_page_and_json(tmp_path, capsys):
    answers = tmp_path / "answers"
    for student, text in (("ada", filled(*RIGHT)), ("ben", filled(*FLIPPED)), ("cem", "import os\nos._exit(3)")):
        (answers / student).mkdir(parents=True)
        (answers / student / "lines.py").write_text(text)
    (answers / ".hidden").mkdir()
    (answers / ".hidden" / "x.py").write_text("x")
    assert main(["check", str(answers), "--table", "--html", str(tmp_path / "grades.html")]) == 1
    said = capsys.readouterr().out.splitlines()
    assert [line.split()[:3] for line in said[1:4]] == [
        [f"ada{os.sep}lines.py", "logistic_gradient", "right"],
        [f"ben{os.sep}lines.py", "logistic_gradient", "wrong"],
        [f"cem{os.sep}lines.py", "?", "not"],
    ]
    assert "1/4    line 2: SIGN" in said[2]
    assert "3 answers: 1 right, 1 wrong, 1 not run" in said
    page = (tmp_path / "grades.html").read_text()
    assert page.count("<details") == 3
    assert "has the wrong sign" in page
    assert not list(answers.rglob(".tries.json"))
    (tmp_path / "empty").mkdir()
    assert main(["check", str(tmp_path / "empty")]) == 2
    assert "there is no Python file in" in capsys.readouterr().err


def grade_of(outcome, exercise, first=None, kind=None, name="a.py"):
    steps = [{"number": first, "findings": [{"kind": kind}]}] if kind else []
    progress = Progress(4, (first or 5) - 1, first, first, ())
    return Grade(name, exercise, outcome, "message", {"steps": steps}, "", (), progress)


def test_a_table_fits_a_terminal_and_counts_what_is_frequent():
    long = "a_folder_with_a_name_that_is_long/and_a_file_with_another_one.py"
    grades = [
        grade_of(Outcome.WRONG, "softmax_gradient_of_two_classes", 3, "CHAIN_RULE", long),
        *3 * [grade_of(Outcome.WRONG, "logistic_gradient", 2, "SIGN")],
        grade_of(Outcome.RIGHT, "logistic_gradient"),
        Grade("b.py", None, Outcome.NOT_RUN, "the process ended with exit code 3 " * 5, None),
    ]
    assert max(map(len, table(grades).splitlines())) <= 80
    assert summary(grades).splitlines() == [
        "6 answers: 1 right, 4 wrong, 1 not run", "Most frequent:", "  3 × logistic_gradient, line 2: SIGN",
    ]  # fmt: skip


def test_a_page_holds_nothing_that_an_answer_could_run(tmp_path):
    text = filled(*RIGHT).replace('r"",', 'r"\\text{<script>alert(1)</script>}",', 1)
    grade = graded(judged(tmp_path, text), "<img src=x>.py")
    page = grades_page([grade._replace(message="<b>no</b>"), grade._replace(report={"steps": [{"number": 1}]})])
    assert "<script>" not in page
    assert "<img" not in page
    assert "<b>no" not in page


def test_a_page_does_not_call_an_unfinished_derivation_right(tmp_path):
    page = grades_page([graded(judged(tmp_path, filled(RIGHT[0])))])
    assert "RIGHT" not in page
    assert "UNFINISHED: line 3 of 4 is not written yet</span>" in page
    wrong = graded(judged(tmp_path, filled(*FLIPPED).replace('\n        by="theta",', "")))
    assert "Is by=&quot;theta&quot; missing?" in grades_page([wrong])


def test_a_page_of_one_answer_is_unfolded_and_has_the_advice():
    report = {
        "findings": [
            {"kind": "SIGN", "derivative": "gradient", "leaf": "theta", "index": [0], "hand": 1.0, "reference": -1.0,
             "sentence": "`theta`: yours has the wrong sign."},
        ],
        "witnesses": [{"name": "complex step", "derivative": "gradient", "verdict": "abstains", "error": "nan",
                       "remark": ""}],
        "notes": [], "parameters": 3, "points": 4, "seconds": 0.1,
    }  # fmt: skip
    page = grades_page([Grade("a.py", "ridge", Outcome.WRONG, "WRONG: gradient", report, "Next: go on.")])
    assert "<details" in page
    assert " open>" in page
    assert "Next: go on." in page
    assert "complex step" in page


TEACHERS = """
import jax.numpy as jnp
import numpy as np
from jax_course.derivations import Derivation
from jax_course.verify import line

cube = Derivation("cube", "A cube", "Sheet 1",
    (line("c = t^3", lambda t: t**3), line("3 t^2", lambda t: 3 * t**2, by="t")), lambda: {"t": 0.7})
"""


def test_a_teacher_has_derivations_of_their_own(tmp_path, capsys):
    own = tmp_path / "own.py"
    own.write_text(TEACHERS)
    assert main(["list", "--lines", "--exercises", str(own)]) == 0
    assert capsys.readouterr().out.startswith("cube  Sheet 1  A cube")
    assert main(["show", "cube", "--lines", "--exercises", str(own)]) == 0
    mine = tmp_path / "mine.py"
    mine.write_text(capsys.readouterr().out.replace(": ...", ": 2 * t**2"))
    found = worker.verdict_on(str(mine), str(own))
    assert (found["exercise"], found["progress"]["first"]) == ("cube", 2)
    assert main(["list", "--exercises", str(own)]) == 0
    assert capsys.readouterr().out == "there are none\n"


def test_progress_survives_json():
    grade = grade_of(Outcome.WRONG, "cube", 2, "SIGN")
    assert json.loads(grade.to_json())["progress"] == {
        "lines": 4, "right": 1, "first": 2, "model": 2, "repeated": [],
    }  # fmt: skip
