"""Derivations checked line by line: which line is wrong, how it is called, and what is said of the lines after it."""

import json
import sys
from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest

from jax_course.verify import derivation, line
from jax_course.verify.__main__ import main

WRONG: Any = 2.5  # of a type that no argument has
Z = np.array([1.5, 2.2, 0.5, 3.3])


def _first_wrong(report):
    """Its number, and the first finding."""
    assert report.first_wrong is not None
    return report.first_wrong.number, report.first_wrong.findings[0]


def _verdicts(report):
    return [step.verdict for step in report.steps]


def _cube(*lines, **arguments):
    """Σ t³, 3t², 6t on the diagonal, with some lines in other words."""
    right = [
        line(r"\sum t^3", lambda t: jnp.sum(t**3)),
        line("3 t^2", lambda t: 3 * t**2, by="t"),
        line("= 3 t t", lambda t: 3 * t * t),
        line("6 t", lambda t: jnp.diag(6 * t), by="t"),
    ]
    for number, other in lines:
        right[number - 1] = other
    return derivation(*right, **{"t": Z} | arguments)


def test_right_lines_follow():
    report = _cube()
    assert report.ok is True
    assert _verdicts(report) == ["given", "follows", "follows", "follows"]
    assert report.first_wrong is None


def test_a_mistake_is_reported_once_at_its_line_with_its_kind():
    report = _cube((3, line("= -3 t t", lambda t: -3 * t * t)))
    assert (report.ok, _first_wrong(report)[0]) == (False, 3)
    assert _verdicts(report) == ["given", "follows", "wrong", "follows"]
    assert [finding.kind.name for finding in report.findings] == ["SIGN"]


def test_lines_that_carry_a_mistake_on_are_no_mistakes():
    report = _cube((2, line("6 t^2", lambda t: 6 * t**2, by="t")), (3, line("= 6 t t", lambda t: 6 * t * t)),
                   (4, line("12 t", lambda t: jnp.diag(12 * t), by="t")))  # fmt: skip
    assert _verdicts(report) == ["given", "wrong", "carries on", "carries on"]
    assert "line 2" in report.steps[3].remark


def test_a_second_mistake_on_top_of_the_first_is_one_too():
    report = _cube((2, line("6 t^2", lambda t: 6 * t**2, by="t")), (3, line("= -6 t t", lambda t: -6 * t * t)))
    assert _verdicts(report) == ["given", "wrong", "wrong", "follows"]


def test_arrays_of_any_shape_and_their_jacobians_are_compared():
    report = derivation(
        line("", lambda z: jnp.log(z / jnp.sum(z))),
        line("", lambda z: jnp.log(z) - jnp.log(jnp.sum(z))),
        line("", lambda z: jnp.diag(1 / z) + 1 / jnp.sum(z), by="z"),
        z=Z,
    )
    assert _verdicts(report) == ["given", "follows", "wrong"]
    assert _first_wrong(report)[1].kind.name == "SIGN"


def test_a_defined_argument_is_a_variable_of_its_own_and_a_function_of_the_others():
    cost = line("", lambda y, pi: -jnp.sum(y * jnp.log(pi)))
    arguments = {"theta": Z[:2], "x": Z, "y": Z, "pi": lambda theta, x: jnp.exp(theta[0] * x) + theta[1]}
    by_itself = derivation(cost, line("", lambda y, pi: -y / pi, by="pi"), **arguments)
    through = derivation(
        cost,
        line("", lambda theta, x, y, pi: -(y / pi) @ jnp.stack([x * jnp.exp(theta[0] * x), jnp.ones_like(x)], axis=1),
             by="theta"),
        **arguments,
    )  # fmt: skip
    assert (by_itself.ok, through.ok) == (True, True)


def test_several_arguments_at_once():
    report = derivation(
        line("", lambda a, b: a @ b), line("", lambda a, b: (b, a), by=("a", "b")),
        a=Z, b=Z[::-1].copy(),
    )  # fmt: skip
    assert report.ok
    exchanged = derivation(
        line("", lambda a, b: a @ b), line("", lambda a, b: (a, b), by=("a", "b")), a=Z, b=Z[::-1].copy()
    )
    assert _first_wrong(exchanged)[0] == 2


def test_a_condition_leaves_out_where_it_is_false_and_nothing_else():
    def relu_claim(slope, where):
        lines = line("", lambda z: jnp.maximum(z, 0)), line("", slope, by="z", where=where)
        return derivation(*lines, z=np.array([0.7, -1.2]))

    assert relu_claim(lambda z: jnp.eye(2), lambda z: z > 0).ok is True
    assert relu_claim(lambda z: jnp.eye(2), lambda z: z == z).ok is False
    assert relu_claim(lambda z: 2 * jnp.eye(2), lambda z: z > 0).ok is False
    assert relu_claim(lambda z: jnp.eye(2), lambda z: z > 9).ok is None


def test_plain_numpy_is_judged_too():
    lines = line("", lambda t: float(np.sum(np.sin(t)))), line("", lambda t: np.cos(t), by="t")
    assert derivation(*lines, t=Z).ok is True
    assert derivation(lines[0], line("", lambda t: np.sin(t), by="t"), t=Z).ok is False


def _sine(*lines):
    """sin t in plain NumPy, which JAX cannot trace; its Jacobian and what follows in the lines."""
    return derivation(line("", lambda t: np.sin(np.asarray(t))), *lines, t=Z)


def test_the_jacobian_of_plain_numpy_is_judged_by_differences():
    right = _sine(line("", lambda t: np.diag(np.cos(t)), by="t"), line("", lambda t: np.diag(np.sin(t + np.pi / 2))))
    assert _verdicts(right) == ["given", "follows", "follows"], str(right)
    assert "differences" in right.steps[1].remark
    assert _first_wrong(_sine(line("", lambda t: -np.diag(np.cos(t)), by="t")))[1].kind.name == "SIGN"
    small = _sine(line("", lambda t: np.diag(np.cos(t) * [1, 1, 1.001, 1]), by="t"))
    assert (small.ok, _first_wrong(small)[1].location) == (False, "line[2, 2]")
    assert _first_wrong(_sine(line("", lambda t: np.cos(t), by="t")))[1].kind.name == "SHAPE"


def test_a_line_after_a_wrong_jacobian_of_numpy_is_judged_by_differences_too():
    report = _sine(line("", lambda t: 2 * np.diag(np.cos(t)), by="t"), line("", lambda t: np.diag(np.cos(t))))
    assert _verdicts(report) == ["given", "wrong", "follows"], str(report)


def test_a_hessian_in_plain_numpy_is_judged_by_differences_of_the_gradient():
    lines = line("", lambda t: float(np.sum(np.sin(t)))), line("", lambda t: np.cos(np.asarray(t)), by="t")
    assert derivation(*lines, line("", lambda t: -np.diag(np.sin(t)), by="t"), t=Z).ok is True
    assert derivation(*lines, line("", lambda t: np.diag(np.sin(t)), by="t"), t=Z).ok is False


def test_what_differences_cannot_see_is_undecided():
    hidden = np.array([1.0, 1.0, 1e-13, 1.0])
    for sizes, factor in ((1e-3 * np.ones(4), 1.0), (hidden, 1.0), (hidden, 1.01)):  # of the slopes, beside a constant
        shift = 1e12 if sizes is not hidden else 1.0
        lines = (
            line("", lambda t, s=sizes, c=shift: c + s * np.sin(np.asarray(t))),
            line("", lambda t, s=sizes, f=factor: np.diag(s * np.cos(t) * np.array([1, 1, f, 1])), by="t"),
        )
        report = derivation(*lines, t=Z)
        assert _verdicts(report) == ["given", "undecided"], str(report)
        assert "noisy" in report.steps[1].remark

    def broken(t):
        raise ValueError(str(t))

    report = derivation(line("", broken), line("", lambda t: t, by="t"), t=Z)
    assert _verdicts(report) == ["given", "undecided"]
    assert "no derivative" in report.steps[1].remark
    report = derivation(line("", broken), line("", lambda t: t), t=Z)
    assert (_verdicts(report)[1], "could not be computed" in report.steps[1].remark) == ("undecided", True)


DATA = {"X": np.random.default_rng(0).standard_normal((6, 2)), "y": Z.repeat(2)[:6], "w": np.ones(2) / 3, "v": Z}
KEPT = np.array([0, 1, 3, 4, 5])


@pytest.mark.parametrize(
    ("right", "mistaken", "kind", "words"),
    [
        (lambda X, y: X.T @ y, lambda X, y: X[KEPT].T @ y[KEPT], "MISSING", "without row 2 of `X` and `y`"),
        (lambda X, y, z: y @ z, lambda X, y, z: y[1:] @ z[1:], "MISSING", "without the first row of `X` and `y`"),
        (lambda v: jnp.outer(v, v), lambda v: jnp.diag(v * v), "DIAGONAL", "only the diagonal"),
        (lambda X, y: X.T * y, lambda X, y: jnp.tril(X.T * y, 2), "MISSING", "left at 0 there"),
        (lambda y, s: jnp.sum(y) - 3 * jnp.log(5 * s**2), lambda y, s: jnp.sum(y) - 3 * jnp.log(5 * s), "FACTOR",
         "off by +3 × log s: a power of s is lost"),
    ],
    ids=["an example", "an example of a definition", "off the diagonal", "entries", "a square"],
)  # fmt: skip
def test_mistakes_in_named_arguments_are_named(right, mistaken, kind, words):
    report = derivation(line("", right), line("", mistaken), **DATA, z=lambda X, w: X @ w, s=1.7)
    assert (_first_wrong(report)[1].kind.name, words in _first_wrong(report)[1].sentence) == (kind, True), str(report)


def test_a_mistake_of_no_known_kind_is_called_so():
    report = derivation(line("", lambda X, y: X.T @ y), line("", lambda X, y: jnp.exp(X).T @ y), **DATA)
    assert _first_wrong(report)[1].kind.name == "UNKNOWN"


def test_a_number_that_cancels_to_nothing_follows():
    X, y = np.random.default_rng(0).standard_normal((9, 3)), Z.repeat(3)[:9]
    report = derivation(
        line("", lambda X: jnp.zeros(X.shape[1], X.dtype)),
        line("", lambda X, y, best: X.T @ (X @ best - y)),
        X=X, y=y, best=lambda X, y: jnp.linalg.solve(X.T @ X, X.T @ y),
    )  # fmt: skip
    assert report.ok is True


@pytest.mark.parametrize(
    ("broken", "words"),
    [
        (lambda t: None, "returns nothing"),
        (lambda t: t[:2], "shape"),
        (lambda t: t @ np.ones(7), "could not be computed"),
        (lambda t: t / 0.0, "NaN or infinite"),
    ],
)
def test_a_line_that_is_no_value_of_that_shape_says_so(broken, words):
    report = _cube((3, line("", broken)))
    assert _verdicts(report)[2:] == ["wrong", "follows"]
    assert words in _first_wrong(report)[1].sentence


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: derivation(line("", abs), t=1.0), ValueError, "at least two lines; got 1"),
        (lambda: derivation(line("", abs), WRONG, t=1.0), TypeError,
         "line 2 is made by line(formula, value); got float"),
        (lambda: derivation(line("", lambda t: t, by="t"), line("", lambda t: t), t=1.0), ValueError, "first line"),
        (lambda: derivation(line("", lambda t: t), line("", lambda s: s), t=1.0), TypeError,
         "line 2 needs the argument s; the derivation has t"),
        (lambda: derivation(line("", lambda t: t), line("", lambda t: t, by="u"), t=1.0), TypeError,
         "line 2 needs the argument u; the derivation has t"),
        (lambda: derivation(line("", lambda a: a), line("", lambda a: a), a=lambda b: b, b=lambda a: a), ValueError,
         "needs itself"),
        (lambda: derivation(line("", lambda *t: t), line("", lambda t: t), t=1.0), TypeError, "names of arguments"),
        (lambda: line(WRONG, abs), TypeError, "text in LaTeX; got float"),
        (lambda: line("", WRONG), TypeError, "value is a function of named arguments; got float"),
        (lambda: line("", abs, where=WRONG), TypeError, "where is a function of named arguments; got float"),
    ],
)  # fmt: skip
def test_wrong_calls_are_refused_with_what_was_expected(call, error, words):
    with pytest.raises(error, match=words.replace("(", r"\(").replace(")", r"\)")):
        call()


def case():
    """A derivation for the shell, whose third line is wrong."""
    return _cube((3, line("= -3 t t", lambda t: -3 * t * t)))


def test_a_shell_gets_the_report_and_an_exit_code(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "mine", sys.modules[__name__])
    assert main(["mine:case"]) == 1
    assert "WRONG: line 3 of 4" in capsys.readouterr().out


def test_the_report_speaks_in_a_terminal_of_80_columns_in_html_and_in_json(tmp_path):
    report = _cube((3, line(r"= -3 t\, t" + " + 0" * 30, lambda t: -3 * t * t)))
    text = str(report)
    assert text.startswith("WRONG: line 3 of 4")
    assert max(map(len, text.splitlines())) <= 80
    assert "✗ 3" in text
    page = report.to_html(tmp_path / "report.html").read_text()
    assert "<math" in page
    assert "SIGN" in page
    found = json.loads(report.to_json())
    assert (found["ok"], found["first_wrong"], found["steps"][2]["findings"][0]["kind"]) == (False, 3, "SIGN")
