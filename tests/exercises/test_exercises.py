"""Every exercise has a right answer and says so; wrong, broken and hostile files get a result, and none hangs."""

import ast
import inspect
import json
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import jax
import numpy as np
import pytest

from jax_course import lasso, linear, logistic, ridge, softmax, verify
from jax_course.exercises import EXERCISES, Grade, Outcome, autodiff, check, check_all, sheet, worker
from jax_course.exercises import __main__ as command
from jax_course.exercises.__main__ import main


def sigma(z):
    return 1 / (1 + np.exp(-z))


def of_the_line(theta, x, y, penalty):
    return ridge.gradient(theta, np.stack([np.ones_like(x), x], axis=1), y, penalty=np.array([0.0, penalty]))


def of_bumps(scale, centers, theta, x, y):
    squares = (x[:, None] - centers) ** 2
    Phi = np.exp(-squares / scale)
    return -2 * np.sum((y - Phi @ theta) * ((Phi * squares / scale**2) @ theta))


def of_hidden(theta, X, y):
    hidden = np.tanh(X @ theta["W"] + theta["b"])
    residual = hidden @ theta["v"] - y
    delta = 2 * residual[:, None] * theta["v"] * (1 - hidden**2)
    return {"W": X.T @ delta, "b": delta.sum(0), "v": 2 * residual @ hidden}


ANSWERS = {
    "squares": linear.gradient,
    "squares_hessian": linear.hessian,
    "free_bias": of_the_line,
    "ridge": lambda theta, X, y, penalty: ridge.gradient(theta, X, y, penalty=penalty),
    "ridge_hessian": lambda theta, X, y, penalty: ridge.hessian(theta, X, y, penalty=penalty),
    "lasso": lambda theta, X, y, penalty: lasso.subgradient(theta, X, y, penalty=penalty),
    "kernel_size": of_bumps,
    "noise": lambda sigma, residual: np.sum(1 / sigma - residual**2 / sigma**3),
    "coin": lambda p, heads, tosses: (tosses * p - heads) / (p * (1 - p)),
    "sigmoid": lambda z: sigma(z) * (1 - sigma(z)),
    "logistic": lambda theta, X, y, penalty: logistic.gradient(theta, X, y, penalty=penalty),
    "logistic_hessian": lambda theta, X, y, penalty: logistic.hessian(theta, X, y, penalty=penalty),
    "logistic_product": lambda theta, X, y, penalty, v: logistic.hessian_product(theta, X, y, v, penalty=penalty),
    "softmax": softmax.gradient,
    "softmax_hessian": softmax.hessian,
    "hidden_layer": of_hidden,
}


def solved(exercise):
    assert exercise.solution is not None
    return exercise.solution


@pytest.mark.parametrize("name", ANSWERS)
def test_the_solution_shown_is_the_answer(name):
    exercise = EXERCISES[name]
    given = exercise.problem(np.random.default_rng(0))
    given = (*given, np.ones(3)) if exercise.asked == "hessian_product" else given
    with jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"), jax.enable_x64(True):
        shown, answer = solved(exercise)(*given), ANSWERS[name](*given)
    for a, b in zip(jax.tree.leaves(shown), jax.tree.leaves(answer), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-12)


TWICE = ("squares", "ridge_hessian", "logistic_product", "hidden_layer")  # one of each kind


@pytest.mark.parametrize("name", EXERCISES)
def test_the_right_answer_is_right_and_twice_of_it_is_wrong(name):
    exercise = EXERCISES[name]
    params, *arguments = exercise.problem(np.random.default_rng(0))
    right = ANSWERS.get(name) or solved(exercise)
    assert verify.derivatives(exercise.cost, params, *arguments, **{exercise.asked: right}).ok
    if name not in TWICE:
        return

    def twice(*given):
        return jax.tree.map(lambda a: 2 * a, right(*given))

    report = verify.derivatives(exercise.cost, params, *arguments, **{exercise.asked: twice})
    assert report.ok is False
    assert report.findings[0].kind.name == "FACTOR"


@pytest.mark.parametrize("name", EXERCISES)
def test_a_sheet_is_python_that_holds_the_cost_and_asks_for_the_answer(name):
    text, exercise = sheet(name), EXERCISES[name]
    functions = {node.name: node for node in ast.parse(text).body if isinstance(node, ast.FunctionDef)}
    assert list(functions) == ["cost", exercise.asked]
    space = {}
    exec(text, space)
    params, *arguments = exercise.problem(np.random.default_rng(0))
    np.testing.assert_array_equal(space["cost"](params, *arguments), exercise.cost(params, *arguments))
    given = [*inspect.signature(exercise.cost).parameters, *(["v"] if exercise.asked == "hessian_product" else [])]
    assert list(inspect.signature(space[exercise.asked]).parameters) == given
    assert space["EXERCISE"] == name
    assert exercise.source in text
    assert exercise.formula in text


SQUARES = 'import numpy as np\nEXERCISE = "squares"\ndef gradient(theta, X, y):\n    '


def graded(tmp_path, text, **settings):
    path = tmp_path / "mine.py"
    path.write_text(text)
    return check(path, **settings)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (sheet("squares"), "gradient is not written yet"),
        (SQUARES + "return X.T @", "line 4 is no Python"),
        (SQUARES + "return X @ theta", None),  # of another shape: the doctor says so
        (SQUARES + "raise KeyError('mine')", "gradient raised, line 4: KeyError: 'mine'"),
        (SQUARES + "exit()", "gradient ends the program"),
        ("exit()", "the file ends the program"),
        ("1 / 0", "line 1: ZeroDivisionError"),
        ("x = 1", "EXERCISE must name what is solved"),
        ('EXERCISE = "nothing"', "it is 'nothing'"),
        ('EXERCISE = "squares"', "there must be a function gradient"),
        ('EXERCISE = "squares"\ndef gradient(theta):\n    return theta', "gradient raised, TypeError"),
        ("raise BaseException('no')", "line 1: BaseException: no"),
    ],
)
def test_a_broken_file_gets_a_clear_result(text, message, tmp_path):
    path = tmp_path / "mine.py"
    path.write_text(text)
    found = worker.verdict_on(str(path))
    assert found["outcome"] is (Outcome.NOT_RUN if message else Outcome.WRONG)
    assert (message or "SHAPE") in found["message"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("import os\nos._exit(7)", "exit code 7 before there was an answer"),
        ("import os\nos.kill(os.getpid(), 11)", "ended by SIGSEGV before there was an answer"),
        ("import sys\nsys.stderr.write('a' * 10**6)\nopen(sys.argv[0], 'a').close()", "EXERCISE must name"),
    ],
)
def test_a_file_that_breaks_its_process_gets_one_too(text, message, tmp_path):
    grade = graded(tmp_path, text)
    assert grade.outcome is Outcome.NOT_RUN
    assert message in grade.message


WAITING = "import time\nwhile True:\n    time.sleep(1)"


@pytest.mark.parametrize(
    "text",
    [
        WAITING,
        SQUARES + WAITING.replace("\n", "\n    "),
        "import time, os\nos.fork()\ntime.sleep(1000)",
        "from signal import *\n[signal(n, SIG_IGN) for n in (SIGTERM, SIGINT, SIGHUP)]\n" + WAITING,
    ],
    ids=["a loop", "a loop in the answer", "a fork", "deaf to signals"],
)
def test_a_file_that_does_not_end_is_ended(text, tmp_path):
    begun = time.monotonic()
    grade = graded(tmp_path, text, seconds=4)
    assert grade.outcome is Outcome.NOT_RUN
    assert "did not end within 4 seconds" in grade.message or "EOFError" in grade.message
    assert time.monotonic() - begun < 30


FORKS = """
import os, time
child = os.fork()
if child == 0:
    time.sleep(1000)
open(FILE, "w").write(str(child))
"""


def test_what_a_file_starts_ends_with_it(tmp_path):
    number = tmp_path / "number"
    graded(tmp_path, FORKS.replace("FILE", repr(str(number))))
    status = Path(f"/proc/{number.read_text()}/status")
    end = time.monotonic() + 20
    while status.exists() and "zombie" not in status.read_text():
        assert time.monotonic() < end
        time.sleep(0.05)


def test_the_commands(tmp_path, capsys):
    assert main(["list"]) == 0
    listed = [line.split()[0] for line in capsys.readouterr().out.splitlines() if not line.startswith(" ")]
    assert listed == list(EXERCISES)
    assert main(["show", "squares"]) == 0
    assert capsys.readouterr().out == sheet("squares")
    assert main(["show", "nothing"]) == 2
    assert "name must be one of squares" in capsys.readouterr().err
    assert main(["check", str(tmp_path / "none.py")]) == 2
    assert "there is no file" in capsys.readouterr().err
    path = tmp_path / "mine.py"
    path.write_text(SQUARES + "return 2 * X.T @ (X @ theta - y)")
    assert main(["check", str(path), "--seconds", "0"]) == 2
    assert main(["check", str(path)]) == 0
    assert capsys.readouterr().out.startswith("squares: RIGHT: gradient")
    run = subprocess.run([sys.executable, "-m", "jax_course.exercises", "list"], capture_output=True, check=False)
    assert run.returncode == 0, run.stderr


def test_what_the_doctor_says_is_the_feedback(tmp_path, capsys):
    path = tmp_path / "mine.py"
    path.write_text(SQUARES + "return X.T @ (X @ theta - y)")
    assert main(["check", str(path), "--json"]) == 1
    grade = json.loads(capsys.readouterr().out)
    assert (grade["outcome"], grade["exercise"]) == ("wrong", "squares")
    assert "FACTOR in gradient" in grade["message"]
    assert grade["report"]["findings"][0]["kind"] == "FACTOR"


def said_of(tmp_path, exercise, lines, head="", parameters=None):
    """What the worker says of an answer, in this process."""
    asked = EXERCISES[exercise].asked
    names = parameters or ", ".join(inspect.signature(EXERCISES[exercise].cost).parameters)
    path = tmp_path / "mine.py"
    body = textwrap.indent(lines, "    ")
    path.write_text(f'{head}\nimport numpy as np\nEXERCISE = "{exercise}"\ndef {asked}({names}):\n{body}\n')
    return worker.verdict_on(str(path))


def test_a_penalty_is_told_from_the_data_whatever_the_student_calls_it(tmp_path):
    found = said_of(tmp_path, "ridge", "return 2 * X.T @ (X @ t - y) + 2 * lam", parameters="t, X, y, lam")
    assert [finding["kind"] for finding in found["report"]["findings"]] == ["PENALTY"]
    assert "a constant in every entry" in found["message"]
    with_v = "return X.T @ (X @ v) + 2 * lam * v"
    found = said_of(tmp_path, "logistic_product", with_v, parameters="t, X, y, lam, v")
    assert found["report"]["findings"][0]["kind"] == "CHAIN_RULE", found["message"]


def test_a_list_of_the_right_numbers_is_right(tmp_path):
    found = said_of(tmp_path, "squares", "e = X @ theta - y\nreturn [2 * X[:, j] @ e for j in range(3)]")
    assert found["outcome"] is Outcome.RIGHT, found["message"]


def test_feedback_names_what_is_right_and_the_next_step(tmp_path):
    lines = (
        'h = np.tanh(X @ theta["W"] + theta["b"])\ne = h @ theta["v"] - y\nd = 2 * e[:, None] * theta["v"]\n'
        'return {"W": X.T @ d, "b": d.sum(0), "v": 2 * e @ h}'
    )
    advice = said_of(tmp_path, "hidden_layer", lines)["advice"]
    assert advice.startswith("Right so far: `v`. Sums and shapes are right")
    assert "Next: derive for a single example" in advice


@pytest.mark.parametrize(
    ("head", "lines", "names"),
    [
        ("import jax", "return jax.grad(lambda t: ((X @ t - y) ** 2).sum())(theta)", ["jax.grad"]),
        ("from jax import jacrev", "return jacrev(lambda t: ((X @ t - y) ** 2).sum())(theta)", ["jax.jacrev"]),
        ("", "return 2 * X.T @ (X @ theta - y)", []),
    ],
)
def test_a_derivative_by_autodiff_is_noticed(head, lines, names, tmp_path):
    found = said_of(tmp_path, "squares", lines, head)
    assert (found["outcome"], found["autodiff"]) == (Outcome.RIGHT, names)
    grade = Grade(
        "mine.py", "squares", found["outcome"], found["message"], found["report"], "", tuple(names)
    ).hand_derived()
    assert grade.outcome is (Outcome.WRONG if names else Outcome.RIGHT)
    assert not isinstance(jax.grad, autodiff._Noticed)


TEACHERS = """
import jax.numpy as jnp
from jax_course.exercises import Exercise

def waves_cost(theta, x):
    return jnp.sum(jnp.sin(theta * x))

def waves_gradient(theta, x):
    return jnp.sum(x * jnp.cos(theta * x))

waves = Exercise("Waves", "J = Σ sin θx", "Sheet 1", "gradient", "a number", waves_cost,
                 lambda rng: (0.4, rng.standard_normal(5)), "sin′ is cos.", waves_gradient)
"""


def test_a_teacher_has_exercises_of_their_own(tmp_path, capsys):
    own, mine = tmp_path / "own.py", tmp_path / "mine.py"
    own.write_text(TEACHERS)
    assert main(["list", "--exercises", str(own)]) == 0
    assert capsys.readouterr().out.startswith("waves ")
    assert main(["show", "waves", "--exercises", str(own)]) == 0
    text = capsys.readouterr().out
    assert 'EXERCISE = "waves"' in text
    assert "def cost(theta, x):" in text
    mine.write_text(text.replace('raise NotImplementedError("your formula goes here")', "return theta"))
    assert main(["check", str(mine), "--exercises", str(own), "--hint"]) == 1
    assert "Hint: sin′ is cos." in capsys.readouterr().out
    own.write_text("x = 1")
    assert main(["check", str(mine), "--exercises", str(own)]) == 2
    assert "must define an Exercise" in capsys.readouterr().err
    own.write_text(TEACHERS.replace('"gradient"', '"slope"'))
    assert main(["list", "--exercises", str(own)]) == 2
    assert (
        "waves must ask for one of gradient, hessian, hessian_product; it asks for 'slope'" in capsys.readouterr().err
    )


def test_help_comes_on_request_and_the_solution_after_three_wrong_answers(tmp_path, capsys, monkeypatch):
    path = tmp_path / "mine.py"
    wrong = Grade(str(path), "squares", Outcome.WRONG, "WRONG: gradient", None, "Right so far: much.")
    monkeypatch.setattr(command, "check_all", lambda files, **settings: [wrong])
    told = []
    for text in ("1", "1", "2", "3"):  # the same answer again is no other try
        path.write_text(text)
        assert main(["check", str(path), "--solution"]) == 1
        told.append(capsys.readouterr().out)
    assert [text.count("so far: 1.") + 2 * text.count("so far: 2.") for text in told] == [1, 1, 2, 0]
    assert "return 2 * X.T @ (X @ theta - y)" in told[3]
    assert "Right so far: much." in told[0]
    assert "A hint: check it with --hint." in told[0]
    assert main(["check", str(path), "--hint"]) == 1
    assert EXERCISES["squares"].hint in " ".join(capsys.readouterr().out.split())
    right = wrong._replace(outcome=Outcome.RIGHT, message="RIGHT", advice="", autodiff=("jax.grad",))
    monkeypatch.setattr(command, "check_all", lambda files, **settings: [right])
    assert main(["check", str(path)]) == 0
    said = capsys.readouterr().out
    assert "show squares_hessian > squares_hessian.py" in said
    assert "jax.grad derived it" in said
    assert main(["check", str(path), "--by-hand"]) == 1


def test_several_files_are_graded_by_one_command(tmp_path, capsys):
    """A right one, a wrong one, and one that ends its process: a grade each, in their order."""
    texts = (SQUARES + "return 2 * X.T @ (X @ theta - y)", SQUARES + "return X", "import os\nos._exit(7)")
    files = [tmp_path / f"{i}.py" for i in range(3)]
    for file, text in zip(files, texts, strict=True):
        file.write_text(text)
    assert main(["check", *map(str, files), "--json"]) == 1
    grades = json.loads(capsys.readouterr().out)
    assert [grade["outcome"] for grade in grades] == ["right", "wrong", "not run"]
    assert [Path(grade["file"]).name for grade in grades] == ["0.py", "1.py", "2.py"]
    assert not (tmp_path / ".tries.json").exists()
    assert check_all([]) == []


def test_jax_numpy_answers_too(tmp_path):
    path = tmp_path / "mine.py"
    path.write_text(
        SQUARES.replace("numpy as np", "jax.numpy as jnp") + "return -2 * jnp.sum((y - X @ theta)[:, None] * X, axis=0)"
    )
    found = worker.verdict_on(str(path))
    assert (found["outcome"], found["exercise"]) == (Outcome.RIGHT, "squares")
