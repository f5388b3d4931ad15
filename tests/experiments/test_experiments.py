"""Every experiment runs in quick mode; what fails is reported and does not stop the others."""

import importlib
import json
import os
import sys
import types

import jax
import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pytest
from PIL import Image

import experiments
from experiments import EXPERIMENTS, FOLDERS, __main__, module_name
from experiments.book.ledger import ROWS
from experiments.ch07 import step_sizes
from experiments.lab import runner

mpl.use("Agg")


def test_the_command_runs_all_and_makes_the_book(made):
    assert made.code == 0, made.printed
    assert "Fitted" in made.printed
    assert "does not hold" not in made.printed
    assert (made.folder / "index.html").exists()
    assert (made.folder / "book" / "index.html").exists()


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_every_experiment_runs_and_proves(name, made):
    record = json.loads((made.folder / name / "numbers.json").read_text())
    assert record["title"]
    assert record["numbers"]
    assert record["proofs"]
    assert all(check["holds"] for check in record["proofs"])
    in_the_book = {figure.partition("/")[2] for row in ROWS for figure in row.figures if figure.startswith(f"{name}/")}
    assert in_the_book <= set(record["captions"])
    for picture in record["captions"]:
        files = {path.suffix: path for path in (made.folder / name).glob(f"{picture}.*")}
        assert all(path.stat().st_size > 5_000 for path in files.values())
        assert ".json" in files or ".svg" in files
        if ".gif" in files:
            with Image.open(files[".gif"]) as frames:
                assert frames.n_frames > 5  # pyright: ignore[reportAttributeAccessIssue]


def plant(monkeypatch, name, run):
    monkeypatch.setitem(FOLDERS, "planted", (*FOLDERS.get("planted", ()), name))
    module = types.ModuleType(module_name(name))
    vars(module).update(TITLE=name, SECTION="0", run=run)
    monkeypatch.setitem(sys.modules, module_name(name), module)


def test_a_failure_is_reported_the_others_run_and_the_exit_code_is_1(monkeypatch, tmp_path, capsys):
    def fail(quick):
        raise FloatingPointError("planted")

    plant(monkeypatch, "cost_bowl", fail)
    code = __main__.main(["cost_bowl", "line_and_plane", "--quick", "--jobs", "1", "--out", str(tmp_path)])
    printed = capsys.readouterr().out
    assert code == 1
    assert "cost_bowl failed" in printed
    assert "FloatingPointError: planted" in printed
    assert (tmp_path / "line_and_plane" / "numbers.json").exists()
    page = (tmp_path / "index.html").read_text()
    assert "This experiment failed" in page
    assert "line_and_plane/line.svg" in page


def test_a_proof_that_does_not_hold_is_a_failure(monkeypatch, tmp_path, capsys):
    from experiments.lab.result import Check, Result

    plant(monkeypatch, "cost_bowl", lambda quick: Result({}, {}, (Check("linear.gradient", 0.5, False),), ()))
    assert __main__.main(["cost_bowl", "--out", str(tmp_path)]) == 1
    assert "does not hold" in capsys.readouterr().out


def test_a_wrong_gradient_does_not_pass_as_proven():
    import jax.numpy as jnp

    from experiments.lab.result import check_derivatives
    from jax_course import data, features, linear

    problem = data.line()
    X = features.with_bias(problem.X)
    names = ("cost", "hessian", "hessian_product")
    wrong = types.SimpleNamespace(
        **{name: getattr(linear, name) for name in names},
        gradient=lambda theta, X, y: linear.gradient(theta, X, y) * jnp.array([1.0, 1.0 + 1e-9]),
    )
    theta = linear.fit(X, problem.y).theta
    assert [check.holds for check in check_derivatives("wrong", wrong, theta, X, problem.y)] == [False, True, True]  # pyright: ignore


def test_processes_that_are_killed_are_reported(monkeypatch, tmp_path):
    monkeypatch.setattr(runner, "begin", os._exit)
    with runner.workers(2) as each:
        outcomes = list(runner.run(["cost_bowl", "line_and_plane"], tmp_path, quick=True, each=each))
        assert list(each(abs, [1])) == [None]
    assert [outcome.name for outcome in outcomes] == ["cost_bowl", "line_and_plane"]
    assert all("was killed" in outcome.error and not outcome.ok for outcome in outcomes)


def test_names_are_listed_and_unknown_ones_refused(capsys):
    assert __main__.main(["--list"]) == 0
    assert capsys.readouterr().out.split() == list(experiments.EXPERIMENTS)
    with pytest.raises(SystemExit) as stopped:
        __main__.main(["no_such"])
    assert stopped.value.code == 2
    assert "no experiment no_such; there are line_and_plane" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        __main__.main(["--jobs", "0"])
    assert "--jobs must be at least 1; got 0" in capsys.readouterr().err


def test_a_folder_that_cannot_be_written_is_refused(tmp_path, capsys):
    (tmp_path / "file").write_text("")
    with pytest.raises(SystemExit):
        __main__.main(["--out", str(tmp_path / "file" / "results")])
    assert "cannot write to" in capsys.readouterr().err


def test_an_experiment_follows_its_constants_and_computes_in_float64_wherever_it_is_called(monkeypatch):
    monkeypatch.setattr(step_sizes, "H", np.array([[3.0, 0.5], [0.5, 1.0]]))
    with jax.enable_x64(False):
        result = step_sizes.run(True)
    plt.close("all")
    assert all(check.holds for check in result.checks)
    assert result.numbers["border by bisection"] == pytest.approx(2 / (2 + 1.25**0.5), rel=1e-12)


# constants of an experiment, and what it then says
OTHER_CONSTANTS = {
    "likelihoods": ({"POINTS": np.array([2.0, 0.5, 2.5, 2.2])}, "θ = 1.8, the mean"),
    "predictive_bands": ({"CHOSEN": 0.9, "PLACES": np.array([-3.0, 1.0, 5.0])}, "coverage at 90 %"),
    "circle_and_diamond": ({"T": 0.8}, "budget t = 0.8"),
    "bases": ({"BUMPS": np.array([[-0.4], [0.5]]), "NARROW": 0.05}, "k(x, −0.4), k(x, 0.5)"),
    "level_curves": ({"A": np.array([[1.0, 2.0], [1.0, -2.0], [-2.0, 0.0]])}, "is the steepest"),
    "gradient_noise": ({"M": 600}, "'examples': 600"),
    "momentum_ravine": ({"KAPPA": 25.0, "GOAL": 1e-8}, "condition number 25"),
    "rare_features": ({"UNITS": 50.0}, "for J and for 50 J"),
    "layer_by_layer": ({"X": np.array([[2.0, 1.0]]), "Y": np.array([[0.0, 1.0]])}, "C = 40, by hand"),
}


@pytest.mark.parametrize("name", OTHER_CONSTANTS)
def test_with_other_constants_the_checks_hold_and_the_text_follows(name, monkeypatch):
    constants, says = OTHER_CONSTANTS[name]
    experiment = importlib.import_module(module_name(name))
    for constant, value in constants.items():
        monkeypatch.setattr(experiment, constant, value)
    result = experiment.run(True)
    plt.close("all")
    assert [check for check in result.checks if not check.holds] == []
    captions = [picture.caption for picture in result.pictures.values()]
    text = " ".join([*captions, *(check.claim for check in result.checks), str(result.numbers)])
    assert says in text
