"""Ordinary slips of students, written from what is asked for and not from what the doctor knows.

A row is an exercise, the slip in words, the kinds that name it rightly, and the lines of the answer. The doctor was
improved while `SEEN` was in view; `UNSEEN` was written at the same time and looked at when all was done.

`LATER` was written after that. `python -m tests.exercises.slips` prints how many are named, in a minute.
"""

import inspect
import tempfile
import textwrap
from pathlib import Path

from jax_course.exercises import EXERCISES, worker

RESIDUAL = "e = X @ theta - y\n"
LINE = "e = theta[0] + theta[1] * x - y\n"
SIGMA = "s = 1 / (1 + np.exp(-X @ theta))\n"
SOFTMAX = "Z = X @ theta\nE = np.exp(Z)\nY = np.eye(4)[labels]\n"
HIDDEN = (
    'h = np.tanh(X @ theta["W"] + theta["b"])\ne = h @ theta["v"] - y\nd = 2 * e[:, None] * theta["v"] * (1 - h**2)\n'
)
BUMPS = "D = (x[:, None] - centers) ** 2\nP = np.exp(-D / scale)\ne = y - P @ theta\n"

SEEN = [
    ("squares", "no return", {"SHAPE"}, "g = 2 * X.T @ (X @ theta - y)"),
    ("squares", "a list of wrong numbers", {"FACTOR"}, RESIDUAL + "return [float(X[:, j] @ e) for j in range(3)]"),
    ("squares", "the transpose on the wrong factor", {"SHAPE"}, RESIDUAL + "return 2 * e"),
    ("squares", "the sign of the residual", {"SIGN"}, "return 2 * X.T @ (y - X @ theta)"),
    ("squares", "divided by m", {"FACTOR"}, RESIDUAL + "return 2 * X.T @ e / len(y)"),
    ("squares", "y + Xθ", {"SIGN"}, "return 2 * X.T @ (X @ theta + y)"),
    ("squares_hessian", "X instead of XᵀX, summed", {"SHAPE"}, "return 2 * X.T @ np.ones(len(y))"),
    ("ridge", "the penalty halved", {"PENALTY"}, RESIDUAL + "return 2 * X.T @ e + penalty * theta"),
    ("ridge", "the penalty on every entry", {"PENALTY"}, RESIDUAL + "return 2 * X.T @ e + 2 * penalty"),
    ("ridge", "the penalty subtracted", {"PENALTY"}, RESIDUAL + "return 2 * X.T @ e - 2 * penalty * theta"),
    ("ridge", "the penalty squared", {"PENALTY"}, RESIDUAL + "return 2 * X.T @ e + 2 * penalty**2 * theta"),
    ("ridge_hessian", "the penalty on every entry", {"PENALTY"}, "return 2 * X.T @ X + 2 * penalty"),
    ("ridge_hessian", "the penalty missing", {"PENALTY"}, "return 2 * X.T @ X"),
    (
        "free_bias",
        "the bias penalised",
        {"PENALTY"},
        LINE + "return np.array([2 * e.sum(), 2 * e @ x]) + 2 * penalty * theta",
    ),
    (
        "free_bias",
        "the penalty on every entry",
        {"PENALTY"},
        LINE + "return np.array([2 * e.sum(), 2 * e @ x]) + 2 * penalty",
    ),
    ("lasso", "|θ| for its sign", {"PENALTY"}, RESIDUAL + "return 2 * X.T @ e + penalty * np.abs(theta)"),
    ("lasso", "a constant for the sign", {"PENALTY"}, RESIDUAL + "return 2 * X.T @ e + penalty"),
    ("lasso", "θ for its sign", {"PENALTY"}, RESIDUAL + "return 2 * X.T @ e + penalty * theta"),
    ("noise", "the sign of a term", {"SIGN"}, "return np.sum(1 / sigma + residual**2 / sigma**3)"),
    ("noise", "m forgotten", {"FACTOR"}, "return 1 / sigma - np.sum(residual**2) / sigma**3"),
    ("coin", "the sign of a term", {"SIGN"}, "return -heads / p - (tosses - heads) / (1 - p)"),
    ("sigmoid", "e⁻ᶻ without the square", {"CHAIN_RULE"}, "return np.exp(-z) / (1 + np.exp(-z))"),
    ("sigmoid", "the function itself", {"CHAIN_RULE"}, "return 1 / (1 + np.exp(-z))"),
    ("logistic", "Xθ for σ", {"CHAIN_RULE"}, "return X.T @ (X @ theta - y) + 2 * penalty * theta"),
    ("logistic", "the penalty missing", {"PENALTY"}, SIGMA + "return X.T @ (s - y)"),
    ("logistic", "σ′ too much", {"CHAIN_RULE"}, SIGMA + "return X.T @ ((s - y) * s * (1 - s)) + 2 * penalty * theta"),
    (
        "logistic",
        "e⁻ᶻ with the wrong sign",
        {"CHAIN_RULE"},
        "s = 1 / (1 + np.exp(X @ theta))\nreturn X.T @ (s - y) + 2 * penalty * theta",
    ),
    ("logistic_hessian", "σ for σ′", {"CHAIN_RULE"}, SIGMA + "return (X.T * s) @ X + 2 * penalty * np.eye(3)"),
    (
        "logistic_hessian",
        "the penalty on every entry",
        {"PENALTY"},
        SIGMA + "return (X.T * (s * (1 - s))) @ X + 2 * penalty",
    ),
    (
        "logistic_product",
        "θ for v in the penalty",
        {"PENALTY"},
        SIGMA + "return X.T @ (s * (1 - s) * (X @ v)) + 2 * penalty * theta",
    ),
    (
        "logistic_product",
        "θ for v",
        {"INDEX"},
        SIGMA + "return X.T @ (s * (1 - s) * (X @ theta)) + 2 * penalty * theta",
    ),
    ("softmax", "over the wrong axis", {"TRANSPOSE"}, SOFTMAX + "return X.T @ (E / E.sum(axis=0) - Y)"),
    ("softmax", "without an axis", {"TRANSPOSE"}, SOFTMAX + "return X.T @ (E / E.sum() - Y)"),
    ("softmax", "transposed", {"TRANSPOSE"}, SOFTMAX + "return (X.T @ (E / E.sum(axis=1, keepdims=True) - Y)).T"),
    (
        "hidden_layer",
        "tanh′ forgotten",
        {"CHAIN_RULE"},
        HIDDEN + 'd = 2 * e[:, None] * theta["v"]\nreturn {"W": X.T @ d, "b": d.sum(0), "v": 2 * e @ h}',
    ),
    ("hidden_layer", "the 2 of v forgotten", {"FACTOR"}, HIDDEN + 'return {"W": X.T @ d, "b": d.sum(0), "v": e @ h}'),
    ("hidden_layer", "a tuple", {"SHAPE"}, HIDDEN + "return X.T @ d, d.sum(0), 2 * e @ h"),
    ("kernel_size", "the sign", {"SIGN"}, BUMPS + "return 2 * np.sum(e * ((P * D / scale**2) @ theta))"),
]

UNSEEN = [
    ("ridge", "no return", {"SHAPE"}, RESIDUAL + "2 * X.T @ e + 2 * penalty * theta"),
    ("squares", "the derivative by y", {"SHAPE"}, RESIDUAL + "return -2 * e"),
    ("squares", "summed once too often", {"SHAPE"}, RESIDUAL + "return 2 * np.sum(X.T @ e)"),
    ("squares", "the 2 forgotten", {"FACTOR"}, RESIDUAL + "return X.T @ e"),
    ("squares", "y forgotten", {"MISSING"}, "return 2 * X.T @ X @ theta"),
    ("squares", "the residual squared", {"CHAIN_RULE"}, RESIDUAL + "return 2 * X.T @ e**2"),
    ("squares_hessian", "the 2 forgotten", {"FACTOR"}, "return X.T @ X"),
    ("squares_hessian", "the diagonal", {"DIAGONAL"}, "return 2 * np.diag((X**2).sum(0))"),
    ("squares_hessian", "a list of rows, halved", {"FACTOR"}, "return [list(row) for row in X.T @ X]"),
    ("ridge", "the penalty missing", {"PENALTY"}, RESIDUAL + "return 2 * X.T @ e"),
    ("ridge", "θ² for θ", {"PENALTY"}, RESIDUAL + "return 2 * X.T @ e + penalty * theta**2"),
    ("ridge", "the penalty as one number", {"PENALTY"}, RESIDUAL + "return 2 * X.T @ e + penalty * theta @ theta"),
    ("ridge", "the penalty divided by m", {"PENALTY"}, RESIDUAL + "return 2 * X.T @ e + 2 * penalty * theta / len(y)"),
    ("ridge_hessian", "the penalty halved", {"PENALTY"}, "return 2 * X.T @ X + penalty * np.eye(3)"),
    (
        "free_bias",
        "the slope's penalty halved",
        {"PENALTY"},
        LINE + "return np.array([2 * e.sum(), 2 * e @ x + penalty * theta[1]])",
    ),
    (
        "free_bias",
        "the bias averaged",
        {"FACTOR", "BIAS", "ENTRY"},
        LINE + "return np.array([2 * e.mean(), 2 * e @ x + 2 * penalty * theta[1]])",
    ),
    ("free_bias", "exchanged", {"INDEX"}, LINE + "return np.array([2 * e @ x + 2 * penalty * theta[1], 2 * e.sum()])"),
    ("lasso", "2 times the penalty", {"PENALTY"}, RESIDUAL + "return 2 * X.T @ e + 2 * penalty * np.sign(theta)"),
    ("lasso", "the penalty forgotten", {"PENALTY"}, RESIDUAL + "return 2 * X.T @ e"),
    ("lasso", "2 θ, as of a square", {"PENALTY"}, RESIDUAL + "return 2 * X.T @ e + 2 * penalty * theta"),
    ("noise", "the other term's sign", {"SIGN"}, "return np.sum(-1 / sigma - residual**2 / sigma**3)"),
    ("noise", "half of a term", {"FACTOR"}, "return np.sum(1 / sigma - residual**2 / (2 * sigma**3))"),
    ("noise", "σ² for σ³", {"CHAIN_RULE"}, "return np.sum(1 / sigma - residual**2 / sigma**2)"),
    ("noise", "a term forgotten", {"MISSING"}, "return -np.sum(residual**2) / sigma**3"),
    ("coin", "the sign", {"SIGN"}, "return heads / p - (tosses - heads) / (1 - p)"),
    ("coin", "m for m − h", {"FACTOR", "MISSING"}, "return -heads / p + tosses / (1 - p)"),
    ("coin", "a term forgotten", {"MISSING"}, "return -heads / p"),
    ("sigmoid", "the sign", {"SIGN"}, "s = 1 / (1 + np.exp(-z))\nreturn -s * (1 - s)"),
    ("sigmoid", "σ²", {"CHAIN_RULE"}, "s = 1 / (1 + np.exp(-z))\nreturn s**2"),
    ("sigmoid", "e⁻ᶻ forgotten", {"CHAIN_RULE"}, "return 1 / (1 + np.exp(-z)) ** 2"),
    ("logistic", "the sign", {"SIGN"}, SIGMA + "return X.T @ (y - s) - 2 * penalty * theta"),
    ("logistic", "the data's sign", {"SIGN"}, SIGMA + "return X.T @ (y - s) + 2 * penalty * theta"),
    ("logistic", "a 2 from the square", {"FACTOR"}, SIGMA + "return 2 * X.T @ (s - y) + 2 * penalty * theta"),
    ("logistic_hessian", "σ² for σ′", {"CHAIN_RULE"}, SIGMA + "return (X.T * s**2) @ X + 2 * penalty * np.eye(3)"),
    ("logistic_hessian", "XᵀX", {"CHAIN_RULE"}, "return X.T @ X + 2 * penalty * np.eye(3)"),
    (
        "logistic_product",
        "θ for v in the data",
        {"INDEX"},
        SIGMA + "return X.T @ (s * (1 - s) * (X @ theta)) + 2 * penalty * v",
    ),
    (
        "logistic_product",
        "the penalty without v",
        {"PENALTY"},
        SIGMA + "return X.T @ (s * (1 - s) * (X @ v)) + 2 * penalty",
    ),
    ("softmax", "not normalised", {"CHAIN_RULE"}, SOFTMAX + "return X.T @ (E - Y)"),
    (
        "softmax",
        "the labels forgotten",
        {"MISSING", "CHAIN_RULE"},
        SOFTMAX + "return X.T @ (E / E.sum(axis=1, keepdims=True))",
    ),
    ("softmax", "the sign", {"SIGN"}, SOFTMAX + "return X.T @ (Y - E / E.sum(axis=1, keepdims=True))"),
    ("hidden_layer", "the bias forgotten", {"SHAPE"}, HIDDEN + 'return {"W": X.T @ d, "v": 2 * e @ h}'),
    (
        "hidden_layer",
        "v forgotten",
        {"CHAIN_RULE", "FACTOR"},
        HIDDEN + 'd = 2 * e[:, None] * (1 - h**2)\nreturn {"W": X.T @ d, "b": d.sum(0), "v": 2 * e @ h}',
    ),
    (
        "hidden_layer",
        "1 − h",
        {"CHAIN_RULE"},
        HIDDEN + 'd = 2 * e[:, None] * theta["v"] * (1 - h)\nreturn {"W": X.T @ d, "b": d.sum(0), "v": 2 * e @ h}',
    ),
    ("kernel_size", "1/λ for 1/λ²", {"CHAIN_RULE"}, BUMPS + "return -2 * np.sum(e * ((P * D / scale) @ theta))"),
    ("kernel_size", "the 2 forgotten", {"FACTOR"}, BUMPS + "return -np.sum(e * ((P * D / scale**2) @ theta))"),
]

# For the exercises that came last.
LATER = [
    ("mean_squares", "m forgotten", {"FACTOR"}, RESIDUAL + "return 2 * X.T @ e"),
    ("mean_squares", "the 2 forgotten", {"FACTOR"}, RESIDUAL + "return X.T @ e / len(y)"),
    ("mean_squares", "divided by d", {"FACTOR"}, RESIDUAL + "return 2 * X.T @ e / len(theta)"),
    ("mean_squares", "the mean over everything", {"SHAPE"}, RESIDUAL + "return 2 * np.mean(X.T * e)"),
    ("bell_curve", "the sign", {"SIGN"}, "return x * np.exp(-x**2 / 2) / np.sqrt(2 * np.pi)"),
    ("bell_curve", "the inner derivative forgotten", {"CHAIN_RULE"}, "return np.exp(-x**2 / 2) / np.sqrt(2 * np.pi)"),
    ("bell_curve", "√2π forgotten", {"FACTOR"}, "return -x * np.exp(-x**2 / 2)"),
    ("bell_curve", "summed", {"SHAPE"}, "return np.sum(-x * np.exp(-x**2 / 2)) / np.sqrt(2 * np.pi)"),
    ("gaussian_mean", "the sign", {"SIGN"}, "return precision @ np.sum(X - mean, axis=0)"),
    (
        "gaussian_mean",
        "the precision forgotten",
        {"MISSING", "FACTOR", "CHAIN_RULE"},
        "return -np.sum(X - mean, axis=0)",
    ),
    ("gaussian_mean", "averaged", {"FACTOR"}, "return -precision @ np.mean(X - mean, axis=0)"),
    ("gaussian_mean", "the mean not repeated m times", {"FACTOR"}, "return -precision @ (np.sum(X, axis=0) - mean)"),
    ("posterior", "σ for σ²", {"FACTOR"}, RESIDUAL + "return X.T @ e / np.sqrt(variance) + theta / prior_variance"),
    ("posterior", "the prior forgotten", {"PENALTY", "MISSING"}, RESIDUAL + "return X.T @ e / variance"),
    ("posterior", "times τ²", {"PENALTY", "FACTOR"}, RESIDUAL + "return X.T @ e / variance + theta * prior_variance"),
    ("posterior", "a 2 in both", {"FACTOR"}, RESIDUAL + "return 2 * X.T @ e / variance + 2 * theta / prior_variance"),
    ("entropy", "the product rule forgotten", {"MISSING"}, "return -np.log(p)"),
    ("entropy", "the sign", {"SIGN"}, "return np.log(p) + 1"),
    ("entropy", "1/p alone", {"CHAIN_RULE"}, "return -1 / p"),
    ("entropy", "the sign of 1", {"SIGN"}, "return -np.log(p) + 1"),
    ("chain", "the inner derivative forgotten", {"SHAPE"}, "t = np.tanh(A @ x)\nreturn 2 * t * (1 - t**2)"),
    ("chain", "tanh′ forgotten", {"CHAIN_RULE"}, "t = np.tanh(A @ x)\nreturn A.T @ (2 * t)"),
    ("chain", "the 2 forgotten", {"FACTOR"}, "t = np.tanh(A @ x)\nreturn A.T @ (t * (1 - t**2))"),
    ("quadratic", "A for its symmetric part", {"TRANSPOSE"}, "return A @ theta - b"),
    ("quadratic", "the sign of b", {"SIGN"}, "return (A + A.T) @ theta / 2 + b"),
    ("quadratic", "the half forgotten", {"FACTOR"}, "return (A + A.T) @ theta - b"),
    (
        "rosenbrock_hessian",
        "the off-diagonal forgotten",
        {"DIAGONAL"},
        "return np.array([[2 - 400 * x[1] + 1200 * x[0]**2, 0 * x[0]], [0 * x[0], 200.0]])",
    ),
    (
        "rosenbrock_hessian",
        "the 2 of the first term",
        {"ENTRY", "MISSING"},
        "return np.array([[-400 * x[1] + 1200 * x[0]**2, -400 * x[0]], [-400 * x[0], 200.0]])",
    ),
    ("batch", "m for n", {"FACTOR"}, RESIDUAL + "return 2 * X[chosen].T @ e[chosen] / len(y)"),
    ("batch", "all examples", {"INDEX"}, RESIDUAL + "return 2 * X.T @ e / len(y)"),
    ("batch", "n forgotten", {"FACTOR"}, RESIDUAL + "return 2 * X[chosen].T @ e[chosen]"),
    (
        "learning_rate",
        "the sign",
        {"SIGN"},
        "def g(t):\n    return 2 * X.T @ (X @ t - y)\nreturn g(theta - eta * g(theta)) @ g(theta)",
    ),
    ("learning_rate", "at the old θ", {"CHAIN_RULE", "MISSING"}, "g = 2 * X.T @ (X @ theta - y)\nreturn -g @ g"),
    ("residual_layer", "tanh′ forgotten", {"CHAIN_RULE"}, "t = np.tanh(X @ W)\nreturn 2 * X.T @ (X + t - Y)"),
    (
        "residual_layer",
        "the skip forgotten",
        {"MISSING", "CHAIN_RULE"},
        "t = np.tanh(X @ W)\nreturn 2 * X.T @ ((t - Y) * (1 - t**2))",
    ),
    (
        "affine_layer",
        "b averaged",
        {"BIAS"},
        'd = 2 * (X @ theta["W"] + theta["b"] - Y)\nreturn {"W": X.T @ d, "b": d.mean(axis=0)}',
    ),
    (
        "affine_layer",
        "b not summed",
        {"SHAPE"},
        'd = 2 * (X @ theta["W"] + theta["b"] - Y)\nreturn {"W": X.T @ d, "b": d}',
    ),
    ("relu_layer", "the mask forgotten", {"CHAIN_RULE"}, "return 2 * X.T @ (np.maximum(0, X @ W) - Y)"),
    (
        "relu_layer",
        "the mask the wrong way round",
        {"CHAIN_RULE"},
        "e = np.maximum(0, X @ W) - Y\nreturn 2 * X.T @ (e * (X @ W < 0))",
    ),
    ("relu_layer", "z for ReLU", {"CHAIN_RULE"}, "z = X @ W\nreturn 2 * X.T @ (z - Y)"),
]


def found(exercise: str, lines: str, folder: Path) -> tuple[str, set[str]]:
    """The outcome of the answer, and the kinds that the doctor names."""
    asked, cost = EXERCISES[exercise].asked, EXERCISES[exercise].cost
    names = [*inspect.signature(cost).parameters, *(["v"] if asked == "hessian_product" else [])]
    path = folder / "mine.py"
    body = textwrap.indent(lines, "    ")
    path.write_text(f'import numpy as np\nEXERCISE = "{exercise}"\ndef {asked}({", ".join(names)}):\n{body}\n')
    verdict = worker.verdict_on(str(path))
    return verdict["outcome"], {finding["kind"] for finding in (verdict["report"] or {"findings": []})["findings"]}


def main() -> None:
    """Print the slips that are not named, and how many are."""
    for name, rows in {"seen": SEEN, "unseen": UNSEEN, "later": LATER}.items():
        named = rejected = 0
        for exercise, slip, kinds, lines in rows:
            with tempfile.TemporaryDirectory() as folder:
                outcome, kinds_found = found(exercise, lines, Path(folder))
            named, rejected = named + bool(kinds & kinds_found), rejected + (outcome == "wrong")
            if not kinds & kinds_found:
                print(f"  {exercise}, {slip}: {', '.join(sorted(kinds_found))}")
        print(f"{name}: of {len(rows)} slips {rejected} rejected, {named} named")


if __name__ == "__main__":
    main()
