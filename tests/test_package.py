"""The package as a whole: what importing it costs and changes, and what it ships."""

import ast
import importlib
import inspect
import os
import pkgutil
import re
import subprocess
import sys
from pathlib import Path

import pytest

import jax_course

ROOT = Path(jax_course.__file__).parent.parent
MODULES = [m.name for m in pkgutil.walk_packages(jax_course.__path__, "jax_course.") if not m.name.endswith("__main__")]


def in_a_fresh_process(code):
    environment = {name: value for name, value in os.environ.items() if not name.startswith("JAX_")}
    run = [sys.executable, "-c", code]
    return subprocess.run(run, capture_output=True, text=True, check=True, cwd=ROOT, env=environment).stdout


def test_a_model_is_the_same_module_by_its_short_name():
    code = """
import sys
import jax_course.linear
from jax_course.logistic import fit
from jax_course import gaussian
import jax_course.optimization
print(jax_course.linear is sys.modules["jax_course.regression.linear"], fit is jax_course.logistic.fit)
print("optax" in sys.modules, jax_course.optimization.optimizers.adam.__name__)
"""
    assert in_a_fresh_process(code).split() == ["True", "True", "False", "adam"]


def test_what_a_shell_completes_and_help_shows_is_public():
    assert {"scale", "exercises", "linear"} <= set(dir(jax_course))
    for module in (jax_course, jax_course.data, jax_course.train, jax_course.linear, jax_course.optimization):
        assert sorted(dir(module)) == sorted(module.__all__)
        assert all(hasattr(module, name) for name in module.__all__)
    shown = str(inspect.signature(jax_course.linear.fit))
    assert len(shown) < 250
    assert shown.count("ArrayLike") == 3


def test_importing_changes_no_global_setting():
    code = """
import jax
before = dict(jax.config.values)
import jax_course
print(dict(jax.config.values) == before)
"""
    assert in_a_fresh_process(code).strip() == "True"


def test_importing_starts_no_backend_and_loads_no_extra():
    code = """
import sys, jax_course
print([name for name in ("sklearn", "scipy.optimize", "matplotlib", "rich", "pandas", "jinja2") if name in sys.modules])
"""
    assert in_a_fresh_process(code).strip() == "[]"


@pytest.mark.parametrize("name", ["jax_course", *MODULES])
def test_arrows_point_down_and_nothing_private_is_imported(name):
    module = importlib.import_module(name)
    source, name = Path(str(module.__file__)).read_text(), module.__name__  # a short name stands for another module
    imported = re.findall(r"^(?:from|import) ([\w.]+)", source, re.MULTILINE)
    assert not [module for module in imported if re.search(r"(^|\.)_(?!_future__)", module)]
    order = [
        "compiling",
        "differentiation",
        "members",
        "padding",
        "tiers",
        "progress",
        "archive",
        "linalg",
        "inputs",
        "solution",
        "scores",
        "losses",
        "regression_losses",
        "implicit",
        "linear_cost",
        "compile_cache",
        "training",
        "data",
        "features",
        "metrics",
        "optimization",
        "probability",
        "resampling",
        "regression",
        "classification",
        "summaries",
        "plot",
        "networks",
        "model_files",
        "scale",
        "verify",
        "derivations",
        "exercises",
    ]
    if name.count(".") >= 1:
        own = order.index(name.split(".")[1])
        packages = {m.split(".")[1] for m in imported if m.startswith("jax_course.")}
        packages |= set(re.findall(r"^from jax_course import (\w+)$", source, re.MULTILINE))
        assert all(order.index(package) <= own for package in packages), f"{name} imports {packages}"


@pytest.mark.parametrize("name", MODULES)
def test_public_names_have_docstrings(name):
    module = importlib.import_module(name)
    assert module.__doc__, name
    for public, value in vars(module).items():
        if not public.startswith("_") and getattr(value, "__module__", None) == name and callable(value):
            assert value.__doc__, f"{name}.{public}"


def sources():
    return {path: ast.parse(path.read_text()) for path in (ROOT / "jax_course").rglob("*.py")}


def test_docstrings_stand_alone_and_no_parameter_is_a_preposition():
    """A reader sees a docstring in a tooltip, without the one before it."""
    riddles = []
    for path, tree in sources().items():
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef | ast.ClassDef):
                text = ast.get_docstring(node) or ""
                leans = [text] if text.startswith(("The same", "What", "Where")) else []
                riddles += [f"{path.name}:{node.lineno}: {line}" for line in leans]
            if isinstance(node, ast.FunctionDef | ast.Lambda):
                names = {argument.arg for argument in (*node.args.args, *node.args.kwonlyargs)}
                if getattr(node, "name", "") != "line":  # of a derivation: the derivative by an argument
                    riddles += [f"{path.name}:{node.lineno}: a parameter {name}" for name in names & {"of", "by"}]
    assert riddles == []


def test_no_module_has_more_than_250_lines():
    lines = {path.name: len(path.read_text().splitlines()) for path in sources()}
    assert {name: count for name, count in lines.items() if count > 250} == {}


def test_type_information_is_shipped():
    assert (ROOT / "jax_course" / "py.typed").exists()
