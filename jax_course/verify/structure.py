"""Structure, shapes and dtypes of a derivative, compared before any value is."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jax_course.verify.findings import Finding, Kind
from jax_course.verify.parameters import Layout


def structural_findings(layout: Layout, derivative: str, output: Any, value: Any, eps: float) -> list[Finding]:
    """Findings where the output has not the structure, shapes and dtypes of the derivative of a cost with that value.

    eps: the spacing of the reader's parameters: a derivative may be as coarse as they are.

    >>> layout = Layout(jax.tree.structure(0), ("w",), ((2,),))
    >>> structural_findings(layout, "gradient", np.ones(3), 1.0, 0.0)[0].sentence
    '`w`: yours has shape (3,) where (2,) is expected.'
    """
    expected = layout.tree(np.zeros(layout.size))
    if derivative == "hessian":
        outer = expected
        expected = jax.tree_util.tree_map(
            lambda row: jax.tree_util.tree_map(lambda col: np.zeros(row.shape + col.shape), outer), outer
        )
    if output is None:
        sentence = "yours returns nothing (None): is `return` missing in front of its last line?"
        return [Finding(Kind.SHAPE, derivative, derivative, (), None, None, sentence)]
    ours, theirs = (_described(tree) for tree in (expected, output))
    if isinstance(output, list) and list(ours) == [""]:
        sentence = f"yours is a list of {len(output)} where an array is expected: say np.array([...])."
        return [Finding(Kind.SHAPE, derivative, derivative, (), _listed(theirs), _listed(ours), sentence)]
    if list(ours) != list(theirs):
        sentence = f"yours is not structured as the parameters are: expected {_listed(ours)}; got {_listed(theirs)}."
        return [Finding(Kind.SHAPE, derivative, derivative, (), _listed(theirs), _listed(ours), sentence)]
    findings = []
    for (path, leaf), got in zip(ours.items(), theirs.values(), strict=True):
        name = path or layout.names[0]
        if leaf.shape != got.shape:
            transposed = leaf.shape == got.shape[::-1] and len(leaf.shape) > 1
            kind = Kind.TRANSPOSE if transposed else Kind.SHAPE
            hint = ": rows and columns are exchanged" if transposed else ""
            sentence = f"`{name}`: yours has shape {got.shape} where {leaf.shape} is expected{hint}."
            findings.append(Finding(kind, derivative, name, (), got.shape, leaf.shape, sentence))
        elif not jnp.issubdtype(got.dtype, jnp.floating) or (
            jnp.finfo(got.dtype).eps > max(jnp.finfo(np.asarray(value).dtype).eps, eps)
        ):
            sentence = f"`{name}`: yours is {got.dtype} though the cost is {np.asarray(value).dtype}: digits are lost."
            findings.append(Finding(Kind.DTYPE, derivative, name, (), str(got.dtype), str(leaf.dtype), sentence))
    return findings


def _described(tree: Any) -> dict[str, Any]:
    leaves = jax.tree_util.tree_flatten_with_path(tree)[0]
    arrays = [leaf if hasattr(leaf, "dtype") else np.asarray(leaf) for _, leaf in leaves]
    names = [jax.tree_util.keystr(path, simple=True, separator=".") for path, _ in leaves]
    return dict(zip(names, arrays, strict=True))


def _listed(leaves: dict[str, Any]) -> str:
    return "{" + ", ".join(f"{name or 'array'}: {tuple(leaf.shape)}" for name, leaf in leaves.items()) + "}"
