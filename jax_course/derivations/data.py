"""Small data on which the lines of the derivations are compared."""

from typing import Any

import numpy as np

from jax_course import scores

EXAMPLES, FEATURES, CLASSES = 8, 3, 3


def regression() -> dict[str, Any]:
    """theta (3,), X (8, 3), y (8,)."""
    rng = np.random.default_rng(3)
    X = rng.standard_normal((EXAMPLES, FEATURES))
    return {
        "theta": rng.standard_normal(FEATURES),
        "X": X,
        "y": X @ rng.standard_normal(FEATURES) + rng.normal(size=EXAMPLES),
    }


def two_classes() -> dict[str, Any]:
    """theta (3,), X (8, 3), y (8,) of 0 and 1, and π = σ(Xθ)."""
    rng = np.random.default_rng(8)
    X = rng.standard_normal((EXAMPLES, FEATURES))
    y = np.array([0.0, 1, 1, 0, 1, 0, 0, 1])
    return {"theta": rng.standard_normal(FEATURES), "X": X, "y": y, "pi": lambda theta, X: scores.sigmoid(X @ theta)}


def classes() -> dict[str, Any]:
    """theta (3, 3), X (8, 3), y (8,) of class numbers."""
    rng = np.random.default_rng(9)
    X = rng.standard_normal((EXAMPLES, FEATURES))
    return {"theta": rng.standard_normal((FEATURES, CLASSES)), "X": X, "y": np.array([0, 2, 1, 0, 1, 2, 2, 1])}
