"""Correct digits on the certified regressions of NIST StRD, beside those of other solvers."""

from fractions import Fraction
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from sklearn.linear_model import LinearRegression

from jax_course import linear
from tests import references as of

POWERS = of.WAMPLER_X[:, None] ** np.arange(6.0)
ERRORS = of.WAMPLER3_Y - of.WAMPLER1_Y
SETS = {
    "Norris": (np.stack([np.ones_like(of.NORRIS_X), of.NORRIS_X], axis=1), of.NORRIS_Y, of.NORRIS_THETA),
    "NoInt1": (of.NOINT1_X[:, None], of.NOINT1_Y, of.NOINT1_THETA),
    "NoInt2": (of.NOINT2_X[:, None], of.NOINT2_Y, of.NOINT2_THETA),
    "Longley": (np.concatenate([np.ones((16, 1)), of.LONGLEY_X], axis=1), of.LONGLEY_Y, of.LONGLEY_THETA),
    "Wampler1": (POWERS, of.WAMPLER1_Y, of.WAMPLER1_THETA),
    "Wampler3": (POWERS, of.WAMPLER3_Y, of.WAMPLER1_THETA),
    "Wampler4": (POWERS, of.WAMPLER1_Y + 100 * ERRORS, of.WAMPLER1_THETA),
    "Wampler5": (POWERS, of.WAMPLER1_Y + 10_000 * ERRORS, of.WAMPLER1_THETA),
}


def digits(theta, certified) -> float:
    """Of the least accurate coefficient, at most 15."""
    theta = np.asarray(theta, float)
    return float(np.min(-np.log10(np.maximum(np.abs(theta - certified) / np.abs(certified), 1e-15))))


def exactly(X, y) -> np.ndarray:
    """The minimiser for the numbers as they are stored, in fractions."""
    rows = [[Fraction(float(v)) for v in row] for row in X]
    targets = [Fraction(float(v)) for v in y]
    d = len(rows[0])
    A: list[list[Any]] = [
        [sum(row[i] * row[j] for row in rows) for j in range(d)]
        + [sum(row[i] * t for row, t in zip(rows, targets, strict=True))]
        for i in range(d)
    ]
    for i in range(d):
        A[i] = [a / A[i][i] for a in A[i]]
        for k in range(d):
            if k != i:
                A[k] = [a - A[k][i] * b for a, b in zip(A[k], A[i], strict=True)]
    return np.array([float(row[-1]) for row in A])


@pytest.mark.parametrize("name", SETS)
def test_in_float64_there_are_as_many_digits_as_others_have(name):
    X, y, certified = SETS[name]
    ours = digits(linear.fit(X, y).check().theta, certified)
    others = [np.linalg.lstsq(X, y)[0], LinearRegression(fit_intercept=False).fit(X, y).coef_]
    if X.shape[1] > 1:
        with_intercept = LinearRegression().fit(X[:, 1:], y)
        others.append(np.append(with_intercept.intercept_, with_intercept.coef_))
    assert ours > 13.9
    assert all(ours >= digits(theta, certified) - 0.01 for theta in others)


@pytest.mark.parametrize("name", SETS)
def test_in_float32_the_digits_are_those_that_the_rounded_data_have(name):
    """The columns of Longley's data depend so much on each other that a solver in float32 has none at all."""
    X, y, certified = SETS[name]
    X, y = X.astype(np.float32), y.astype(np.float32)
    with jax.enable_x64(False):
        theta = linear.fit(X, y).check().theta
        theirs = jax.jit(jnp.linalg.lstsq)(X, y)[0]
    assert theta.dtype == np.float32
    exact = exactly(X, y)
    assert digits(theta, exact) > (4 if name == "Wampler5" else 6.9)  # its residual is 10⁴ times the others'
    assert digits(theta, exact) >= min(7, digits(theirs, exact))
    if name not in ("Wampler4", "Wampler5"):  # of whose targets float32 loses too much
        assert digits(theta, certified) > 4
