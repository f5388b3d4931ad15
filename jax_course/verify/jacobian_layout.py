"""The layout of a Jacobian: a block for each output and each parameter array, and the structure it must have."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jax_course.verify.findings import Finding, Kind
from jax_course.verify.parameters import Layout

JACOBIAN = "jacobian"  # the name of the derivative in findings and witnesses


class Blocks(NamedTuple):
    """The outputs of a function, q numbers, its parameters, n numbers, and the blocks of its Jacobian, q n entries.

    A block has shape (*output, *parameter). Blocks follow each other as the leaves of `jax.jacobian` do.

    >>> blocks = build_blocks({"a": np.zeros(2), "b": 0.0}, Layout(None, ("w",), ((3,),)))
    >>> blocks.layout.names, blocks.layout.shapes
    (('∂a/∂w', '∂b/∂w'), ((2, 3), (3,)))
    """

    outputs: Layout
    parameters: Layout
    layout: Layout

    def matrices(self, entries: np.ndarray) -> np.ndarray:
        """Rows of entries (p, q n) as matrices (p, q, n)."""
        matrices = np.empty((len(entries), self.outputs.size, self.parameters.size), entries.dtype)
        slices = iter(self.layout.slices)
        for a in self.outputs.slices:
            for b in self.parameters.slices:
                block = entries[:, next(slices)]
                matrices[:, a, b] = block.reshape(len(entries), a.stop - a.start, b.stop - b.start)
        return matrices

    def entries(self, matrices: np.ndarray) -> np.ndarray:
        """Matrices (p, q, n) as rows of entries (p, q n)."""
        blocks = [matrices[:, a, b] for a in self.outputs.slices for b in self.parameters.slices]
        return np.concatenate([block.reshape(len(matrices), -1) for block in blocks], axis=1)


def build_blocks(output: Any, parameters: Layout) -> Blocks:
    """The blocks of the Jacobian of an output, any pytree of floating-point arrays. TypeError: another output."""
    paths, treedef = jax.tree_util.tree_flatten_with_path(output)
    names = tuple(jax.tree_util.keystr(path, simple=True, separator=".") or "f" for path, _ in paths)
    for name, (_, leaf) in zip(names, paths, strict=True):
        dtype = getattr(leaf, "dtype", None) or np.result_type(leaf)
        if not jnp.issubdtype(dtype, jnp.floating):
            raise TypeError(f"f must return floating-point arrays; {name} is {dtype}")
    if not paths:
        raise TypeError("f must return floating-point arrays; it returns none")
    outputs = Layout(treedef, names, tuple(tuple(np.shape(leaf)) for _, leaf in paths))
    blocks = [
        (f"∂{a}/∂{b}", shape + other)
        for a, shape in zip(outputs.names, outputs.shapes, strict=True)
        for b, other in zip(parameters.names, parameters.shapes, strict=True)
    ]
    return Blocks(outputs, parameters, Layout(None, tuple(name for name, _ in blocks), tuple(s for _, s in blocks)))


def structural_findings(blocks: Blocks, output: Any) -> list[Finding]:
    """Findings where a hand-written Jacobian has not the structure, shapes and dtypes of `jax.jacobian`."""
    leaves = [leaf if hasattr(leaf, "dtype") else np.asarray(leaf) for leaf in jax.tree_util.tree_leaves(output)]
    if not leaves:
        return [_finding(Kind.SHAPE, JACOBIAN, "yours returns nothing (None): is `return` missing?", None, None)]
    shapes = blocks.layout.shapes
    if len(leaves) != len(shapes):
        listed = ", ".join(f"{name}: {shape}" for name, shape in zip(blocks.layout.names, shapes, strict=True))
        words = f"yours has {len(leaves)} arrays where {len(shapes)} are expected, {listed}."
        return [_finding(Kind.SHAPE, JACOBIAN, words, len(leaves), len(shapes))]
    findings = []
    for k, (name, shape, leaf) in enumerate(zip(blocks.layout.names, shapes, leaves, strict=True)):
        got, first = tuple(leaf.shape), len(blocks.outputs.shapes[k // len(blocks.parameters.shapes)])
        if got != shape:
            kind, hint = _hint(got, shape[:first], shape[first:])
            words = f"`{name}`: yours has shape {got} where {shape} is expected{hint}."
            findings.append(_finding(kind, name, words, str(got), str(shape)))
        elif not jnp.issubdtype(leaf.dtype, jnp.floating):
            words = f"`{name}`: yours is {leaf.dtype} where a floating-point array is expected."
            findings.append(_finding(Kind.DTYPE, name, words, str(leaf.dtype), "float64"))
    return findings


def _hint(got: tuple[int, ...], output: tuple[int, ...], parameter: tuple[int, ...]) -> tuple[Kind, str]:
    if got == parameter + output:
        words = ": a row for each output, a column for each parameter, and not the reverse"
        return Kind.TRANSPOSE, words
    if got == output == parameter:
        return Kind.DIAGONAL, ": the derivatives of a function of each entry are the diagonal, np.diag(…)"
    if np.prod(got, dtype=int) == np.prod(output + parameter, dtype=int):
        return Kind.SHAPE, ": the axes of the output come first, then those of the parameter"
    return Kind.SHAPE, ""


def _finding(kind: Kind, leaf: str, words: str, got: Any, expected: Any) -> Finding:
    return Finding(kind, JACOBIAN, leaf, (), got, expected, words)
