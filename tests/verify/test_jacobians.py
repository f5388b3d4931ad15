"""Hand-written Jacobians: right ones are cleared, wrong ones rejected under the right name."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jax_course import verify
from jax_course.verify import Kind

_rng = np.random.default_rng(3)
x, W, A, S = (_rng.standard_normal(shape) for shape in (4, (3, 4), (3, 4), (4, 4)))
params = {"W": W, "b": _rng.standard_normal(3)}


def layer(x, A):
    return jnp.tanh(A @ x)


def rows(x, A):
    return (1 - layer(x, A) ** 2)[:, None] * A


def parts(params, x):
    return {"n": jnp.sum(params["b"] ** 2), "y": params["W"] @ x + params["b"]}


def parts_with(**changed):
    def blocks(params, x):
        by_W = jnp.einsum("ij,k->ijk", jnp.eye(3), x)
        right = {"nW": jnp.zeros((3, 4)), "nb": 2 * params["b"], "yW": by_W, "yb": jnp.eye(3)}
        found = right | {name: change(right[name]) for name, change in changed.items()}
        return {"n": {"W": found["nW"], "b": found["nb"]}, "y": {"W": found["yW"], "b": found["yb"]}}

    return blocks


def softmax(x):
    return jax.nn.softmax(x)


def softmax_with(off_diagonal):
    return lambda x: jnp.diag(softmax(x)) + off_diagonal * jnp.outer(softmax(x), softmax(x))


def diagonal(x):
    return jnp.diag(softmax(x) * (1 - softmax(x)))


def inverse_with(order):
    return lambda S: -jnp.einsum(order, jnp.linalg.inv(S), jnp.linalg.inv(S))


def wave(x):
    return np.sin(x) * x[0]


def wave_rows(x):
    return np.diag(np.cos(x)) * x[0] + np.outer(np.sin(x), [1, 0, 0, 0])


def falsely_doubled(x):
    function = jax.custom_jvp(lambda x: x**2)
    function.defjvps(lambda t, out, x: 4 * x * t)
    return function(x)


# two outputs, of size 1e12 and 1e-9
def of_very_different_size(x):
    return jnp.stack([1e12 * x[0] ** 2, 1e-9 * x[1] ** 2])


def of_very_different_size_with(factor):
    return lambda x: jnp.diag(2 * x[:2] * np.array([1e12, 1e-9 * factor]))


RIGHT = {
    "layer": (layer, x, rows, A),
    "entries": (jnp.sin, x, lambda x: jnp.diag(jnp.cos(x))),
    "one number": (lambda x: x @ x, x, lambda x: 2 * x),
    "pytrees": (parts, params, parts_with(), x),
    "softmax": (softmax, x, softmax_with(-1)),
    "inverse": (jnp.linalg.inv, S, inverse_with("ik,lj->ijkl")),
    "NumPy": (wave, x, wave_rows),
    "a kink": (jax.nn.relu, x * [1, 0, 1, 1], lambda x: jnp.diag(jnp.where(x >= 0, 1.0, 0.0))),
    "beside a wrong rule": (falsely_doubled, x, lambda x: jnp.diag(2 * x)),
    "of very different size": (of_very_different_size, x[:2], of_very_different_size_with(1.0)),
}
WRONG = {
    "sign": (Kind.SIGN, layer, x, lambda x, A: -rows(x, A), A),
    "sign of a row": (Kind.SIGN, layer, x, lambda x, A: rows(x, A) * np.array([[1], [-1], [1]]), A),
    "factor": (Kind.FACTOR, layer, x, lambda x, A: 2 * rows(x, A), A),
    "factor of one output": (Kind.FACTOR, parts, params, parts_with(nb=lambda block: block / 2), x),
    "factor of a small output": (Kind.FACTOR, of_very_different_size, x[:2], of_very_different_size_with(1.01)),
    "transposed": (Kind.TRANSPOSE, layer, x, lambda x, A: rows(x, A).T, A),
    "transposed, square": (Kind.TRANSPOSE, layer, x, lambda x, A: rows(x, A).T, S),
    "axes exchanged": (Kind.TRANSPOSE, jnp.linalg.inv, S, inverse_with("ij,kl->ijkl")),
    "parameter first": (Kind.TRANSPOSE, parts, params, parts_with(yW=lambda block: block.transpose(1, 2, 0)), x),
    "rows exchanged": (Kind.INDEX, layer, x, lambda x, A: rows(x, A)[np.array([1, 0, 2])], A),
    "columns reversed": (Kind.INDEX, layer, x, lambda x, A: rows(x, A)[:, ::-1], A),
    "outer derivative missing": (Kind.CHAIN_RULE, layer, x, lambda x, A: A, A),
    "an entry": (Kind.ENTRY, layer, x, lambda x, A: rows(x, A).at[1, 2].multiply(1.001), A),
    "a block left out": (Kind.MISSING, parts, params, parts_with(yW=jnp.zeros_like), x),
    "the diagonal only": (Kind.DIAGONAL, softmax, x, diagonal),
    "the diagonal only, of two": (Kind.DIAGONAL, softmax, x[:2], diagonal),
    "a vector for a diagonal": (Kind.DIAGONAL, jnp.sin, x, jnp.cos),
    "second term's sign": (Kind.SIGN, softmax, x, softmax_with(1)),
    "NaN": (Kind.NONFINITE, layer, x, lambda x, A: rows(x, A) * (x - x) / (x - x), A),
    "nothing": (Kind.SHAPE, layer, x, lambda x, A: None, A),
    "one block of four": (Kind.SHAPE, parts, params, lambda params, x: jnp.eye(3), x),
    "whole numbers": (Kind.DTYPE, layer, x, lambda x, A: jnp.zeros((3, 4), int), A),
    "raises": (Kind.UNKNOWN, layer, x, lambda x, A: A @ A, A),
    "NumPy": (Kind.SIGN, wave, x, lambda x: -wave_rows(x)),
    "as the wrong rule has it": (Kind.FACTOR, falsely_doubled, x, lambda x: jnp.diag(4 * x)),
}


@pytest.mark.parametrize("case", RIGHT.values(), ids=list(RIGHT))
def test_a_right_jacobian_is_cleared(case):
    f, at, hand, *arguments = case
    report = verify.jacobian(f, at, *arguments, jacobian=hand)
    assert report.ok is True, str(report)


@pytest.mark.parametrize("case", WRONG.values(), ids=list(WRONG))
def test_a_wrong_jacobian_is_rejected_and_named(case):
    kind, f, at, hand, *arguments = case
    report = verify.jacobian(f, at, *arguments, jacobian=hand)
    assert report.ok is False, str(report)
    assert {finding.kind for finding in report.findings} == {kind}, str(report)
    assert all(len(line) <= 80 for line in str(report).splitlines())


def test_a_finding_names_output_parameter_and_entry():
    report = verify.jacobian(parts, params, x, jacobian=parts_with(yb=lambda block: block.at[1, 1].set(3.0)))
    (finding,) = report.findings
    assert (finding.location, finding.hand, finding.reference) == ("∂y/∂b[1, 1]", 3.0, 1.0)
    record = json.loads(report.to_json())
    assert record["findings"][0]["derivative"] == "jacobian"
    assert "∂y/∂b[1, 1]" in report._repr_html_()


def test_what_is_no_function_of_floats_is_refused():
    with pytest.raises(TypeError, match="f must return floating-point arrays; f is int"):
        verify.jacobian(jnp.argmax, x, jacobian=jnp.cos)
    with pytest.raises(ValueError, match="f raised ValueError"):
        verify.jacobian(lambda x: x @ np.ones(7), x, jacobian=jnp.cos)
    with pytest.raises(TypeError, match="jacobian must be a function; got ndarray"):
        verify.jacobian(jnp.sin, x, jacobian=x)  # pyright: ignore[reportArgumentType]
