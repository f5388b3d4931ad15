"""Every exercise has a right answer and says so; wrong, broken and hostile files get a result, and none hangs."""

import ast
import inspect
import json
import subprocess
import sys
import time
from pathlib import Path

import jax
import numpy as np
import pytest

from jax_course import lasso, linear, logistic, ridge, softmax, verify
from jax_course.exercises import EXERCISES, Outcome, check, sheet, worker
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


TWICE = ("squares", "ridge_hessian", "logistic_product", "hidden_layer")  # one of each kind


@pytest.mark.parametrize("name", EXERCISES)
def test_the_right_answer_is_right_and_twice_of_it_is_wrong(name):
    exercise = EXERCISES[name]
    params, *arguments = exercise.problem(np.random.default_rng(0))
    right = ANSWERS[name]
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
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == list(EXERCISES)
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


def test_jax_numpy_answers_too(tmp_path):
    path = tmp_path / "mine.py"
    path.write_text(
        SQUARES.replace("numpy as np", "jax.numpy as jnp") + "return -2 * jnp.sum((y - X @ theta)[:, None] * X, axis=0)"
    )
    found = worker.verdict_on(str(path))
    assert (found["outcome"], found["exercise"]) == (Outcome.RIGHT, "squares")
