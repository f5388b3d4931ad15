"""The report on a terminal, in a page, as JSON, from a shell."""

import json
import re
import subprocess
import sys
import xml.etree.ElementTree as ElementTree

import jax
import numpy as np
import pytest

from jax_course import linear, verify
from jax_course.verify import __main__

X, Y, THETA = np.eye(4)[:, :3] + 0.1, np.arange(4.0), np.array([0.5, -1.0, 2.0])


def half(theta, X, y):
    return linear.gradient(theta, X, y) / 2


def right_case():
    return linear, THETA, X, Y


def wrong_case():
    return linear.cost, THETA, X, Y, {"gradient": half}


def rule_case():
    identity = jax.custom_vjp(lambda x: x)
    identity.defvjp(lambda x: (x, None), lambda _, g: (-g,))
    return verify.rule(identity, THETA)


def undecided_case():
    return (lambda theta: float("nan") * theta[0]), THETA, {"gradient": half}


def bad_case():
    return "nothing"


def test_the_first_three_lines_say_where_and_what_in_80_columns():
    report = verify.derivatives(linear.cost, THETA, X, Y, gradient=half)
    lines = str(report).splitlines()
    assert lines[0] == "WRONG: gradient"
    assert lines[1].startswith("  FACTOR in gradient: `theta`: yours is 0.5 times the derivative: a factor 2")
    assert all(len(line) <= 80 for line in lines)
    worst = next(line for line in lines if "yours" in line and "correct" in line)
    assert "theta[" in worst


def test_the_report_is_raised_with_its_text():
    report = verify.derivatives(linear.cost, THETA, X, Y, gradient=half)
    with pytest.raises(verify.WrongDerivative, match="FACTOR in gradient") as error:
        report.raise_if_wrong()
    assert error.value.report is report
    assert isinstance(error.value, AssertionError)


def test_json_holds_everything():
    record = json.loads(verify.derivatives(linear.cost, THETA, X, Y, gradient=half).to_json())
    assert record["ok"] is False
    assert record["findings"][0]["kind"] == "FACTOR"
    assert record["findings"][0]["leaf"] == "theta"
    assert {"reverse-mode autodiff", "central differences"} <= {w["name"] for w in record["witnesses"]}


def test_the_page_escapes_what_it_shows(tmp_path):
    def cost(p):
        return p["<script>"] ** 2

    report = verify.derivatives(cost, {"<script>": 1.0}, gradient=lambda p: {"<script>": p["<script>"]})
    page = report.to_html(tmp_path / "report.html").read_text()
    assert "<script>" not in page
    assert "&lt;script&gt;" in page
    assert report._repr_html_() in page


def test_what_a_notebook_shows_is_readable_on_any_theme():
    wrong = verify.derivatives(linear.cost, THETA, X, Y, gradient=half)
    for report in (wrong, verify.model(linear, THETA, X, Y)):
        shown = ElementTree.fromstring(report._repr_html_())
        (verdict,) = (element for element in shown.iter("span") if element.text == report.headline)
        styles = [element.get("style", "") for element in shown.iter()]
        assert "background:#" in verdict.get("style", "")
        assert all("background:" in style for style in styles if re.search(r"(^|;)color:", style))
        heads = list(shown.iter("th"))
        assert [head.text for head in heads] == ["derivative", "witness", "verdict", "error", "remark"]
        assert all(head.get("scope") == "col" for head in heads)
    assert any(item.text == "FACTOR" for item in ElementTree.fromstring(wrong._repr_html_()).iter("b"))


def test_an_undecided_report_shows_no_empty_table_and_no_missing_value():
    cost, theta, derivative = undecided_case()
    report = verify.derivatives(cost, theta, **derivative)
    assert "<table" not in report._repr_html_()
    assert "None" not in report._repr_html_() + str(report)


@pytest.mark.parametrize(
    ("target", "code", "printed"),
    [
        (f"{__name__}:right_case", 0, "RIGHT: gradient, hessian and hessian_product"),
        (f"{__name__}:wrong_case", 1, "WRONG: gradient"),
        (f"{__name__}:rule_case", 1, "WRONG: rule"),
        (f"{__name__}:undecided_case", 2, "UNDECIDED"),
        (f"{__name__}:bad_case", 2, "a case returns a tuple"),
        (f"{__name__}:no_such", 2, "no attribute 'no_such'"),
        ("no_such_module:case", 2, "No module named"),
        ("jax_course.data", 2, "a model module has a function `cost`"),
        ("jax_course.classification.softmax", 0, "RIGHT"),
    ],
)
def test_from_a_shell(target, code, printed, capsys):
    assert __main__.main([target]) == code
    captured = capsys.readouterr()
    assert printed in captured.out + captured.err


def test_from_a_shell_as_json_and_as_a_page(tmp_path, capsys):
    assert __main__.main([f"{__name__}:wrong_case", "--json", "--html", str(tmp_path / "report.html")]) == 1
    assert json.loads(capsys.readouterr().out)["ok"] is False
    assert (tmp_path / "report.html").read_text().startswith("<!doctype html>")
    assert __main__.main([f"{__name__}:right_case", "--html", str(tmp_path / "no" / "report.html")]) == 2


def test_the_command_is_there():
    run = [sys.executable, "-m", "jax_course.verify", "jax_course.regression.linear"]
    finished = subprocess.run(run, capture_output=True, text=True, check=False)
    assert finished.returncode == 0, finished.stderr
    assert finished.stdout.startswith("RIGHT")
