"""The page of messages, docs/messages.md: refused calls, the message that each gives, its cause and its remedy.

python -m experiments.lab.refusals
"""

import os
import tempfile
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
import pandas
import scipy.sparse

import jax_course
from jax_course.networks import costs, mlp

PAGE = Path(__file__).parents[2] / "docs" / "messages.md"
HEAD = """# Messages: what was refused, and what to write instead

Each message says what was expected, what came, and often what to write. Here X is an array of NumPy of 4 rows and 2
columns, y one of 4 numbers, and folder the name of a folder. This page is made from the code: the command
`python -m experiments.lab.refusals` calls every line and writes down what it says.
"""
MODELS = ("data", "kernel", "linear", "load", "logistic", "ridge", "save", "scale", "softmax", "summary")
NAMES: dict[str, Any] = {name: getattr(jax_course, name) for name in MODELS} | {
    "costs": costs,
    "mlp": mlp,
    "np": np,
    "pandas": pandas,
    "scipy": scipy,
    "X": np.arange(8.0).reshape(4, 2) ** 2,
    "y": np.arange(4.0),
}


class Refusal(NamedTuple):
    """A call that is refused, in code; why people write it, and what they want instead."""

    code: str
    cause: str
    remedy: str


REFUSALS = {
    "The data X and y": (
        Refusal(
            "linear.fit(X[:, 0], y)", "X has one axis.", "A single column is `X[:, None]`, a single row `X[None, :]`."
        ),
        Refusal("linear.fit(X, y[:3])", "X and y have different numbers of examples.", "Take both from the same rows."),
        Refusal(
            "linear.fit(X * np.nan, y)", "A number is missing, or infinite.", "Drop its row, or fill the gap, first."
        ),
        Refusal(
            "linear.fit(scipy.sparse.csr_matrix(X), y)",
            "The fits take dense arrays.",
            "`X.toarray()`, if it fits in memory; else batches, or a cost of its products.",
        ),
        Refusal("data.split(X, y, test=0.0)", "One of the two parts is empty.", "Give a share between 0 and 1."),
    ),
    "Tables": (
        Refusal(
            'linear.fit(pandas.DataFrame({"size": [1.0] * 4, "city": ["Oslo"] * 4}), y)',
            "A column of the table holds no numbers.",
            "`data.frame` makes a column of 0 and 1 for each category; or leave the column out.",
        ),
    ),
    "Labels of classes": (
        Refusal(
            'logistic.fit(X, ["no", "yes", "no", "yes"])',
            "The labels are strings.",
            "`data.encode(labels)` numbers them and keeps the classes.",
        ),
        Refusal("logistic.fit(X, [-1, 1, -1, 1])", "The labels are −1 and 1.", "`data.encode(labels)` numbers them."),
        Refusal(
            "softmax.fit(X, np.eye(4))", "The labels are one-hot.", "`np.argmax(y, axis=1)` are the class numbers."
        ),
    ),
    "Penalties": (
        Refusal("ridge.fit(X, y, penalty=-1.0)", "A penalty is below 0.", "Give 0 or more: 0 spares a column."),
        Refusal(
            "ridge.fit(X, y, penalty=[1.0, 1.0, 0.0])",
            "Penalties and columns differ in number.",
            "Give one number, or one for each column of X.",
        ),
    ),
    "Kernels": (
        Refusal(
            "kernel.fit(X, y, scale=0.0, penalty=1.0)",
            "The scale λ is no positive number.",
            "Give one above 0, in squared units of X.",
        ),
    ),
    "Networks": (
        Refusal(
            'mlp([1], "tanh", costs.binary_cross_entropy)',
            "The cost was not made.",
            "Call it: `costs.binary_cross_entropy()`.",
        ),
        Refusal('mlp([1], "tanh", sum)', "A function has no derivatives by hand.", "Take a cost of `networks.costs`."),
        Refusal(
            'mlp([1], "swish", costs.squared_error())', "There is no such activation.", "Take one of those listed."
        ),
    ),
    "Streams": (
        Refusal("scale.fit_linear([(X, y, y)])", "A batch holds more than X and y.", "Give pairs `(X, y)`."),
        Refusal("scale.fit_linear([X])", "A batch holds no y.", "Give pairs `(X, y)`."),
    ),
    "Models in files": (
        Refusal('load(folder + "ridge.npz", linear)', "The file holds another model.", "Name that one, or none."),
        Refusal(
            'load(folder + "other.npz")', "The file was written by another program.", "Only files of `save` are read."
        ),
        Refusal(
            'save(folder + "a.npz", linear, y, names=["a"])', "Names and theta differ in number.", "Name every column."
        ),
        Refusal(
            'save(folder + "a.npz", linear.fit, y)', "A function was given for the model.", "Give the module, `linear`."
        ),
    ),
    "The coefficient table": (
        Refusal(
            "summary(kernel, None, X, y)", "Of this model there is no table.", "`resampling.bootstrap` has intervals."
        ),
    ),
}


def said(refusal: Refusal, folder: str) -> str:
    """The message of a call, the temporary folder left out. RuntimeError: it is not refused."""
    try:
        eval(refusal.code, NAMES | {"folder": folder + os.sep})
    except Exception as error:
        return f"{type(error).__name__}: {error}".replace(folder + os.sep, "")
    raise RuntimeError(f"{refusal.code} is not refused")


def page() -> str:
    """The page as text."""
    with tempfile.TemporaryDirectory() as folder, jax.enable_x64(True):
        jax_course.save(f"{folder}/ridge.npz", "ridge", np.ones(2))
        np.savez(f"{folder}/other.npz", theta=1.0)
        parts = [HEAD]
        for topic, refusals in REFUSALS.items():
            parts.append(f"\n## {topic}\n")
            for one in refusals:
                parts.append(
                    f"\n```python\n{one.code}\n```\n\n```text\n{said(one, folder)}\n```\n\n{one.cause} {one.remedy}\n"
                )
    return "".join(parts)


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
