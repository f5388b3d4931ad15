"""A pytree in a file: written whole or not at all, read back bit for bit or refused.

The file is an `archive`, NumPy's `.npz` without pickle: an array per leaf, named by its path in the tree, and `about`,
a JSON text with the layout of the tree and the fingerprints of its run, if any were given. So
`numpy.load(path)["tree.theta['w']"]` reads a leaf without this module.
"""

import os
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jax_course.archive import Kind, dtype, is_key, plain, read, write

__all__ = ["CheckpointError", "load", "save"]


def __dir__() -> list[str]:
    return __all__


Layout = dict[str, list]  # for the path of each leaf: [dtype, *shape]


class CheckpointError(ValueError):
    """The file is damaged, no checkpoint, or one of another run or tree. It is left as it is."""


KIND = Kind("checkpoint", 1, CheckpointError)


def save(path: str | os.PathLike, tree: Any, fingerprints: Mapping[str, str] | None = None) -> None:
    """Write a pytree of arrays and numbers. A process killed meanwhile leaves the previous file unchanged.

    fingerprints: those of all that decides the run, by name; a run that continues from the file compares them.
    TypeError: a leaf is no number and no array of numbers. OSError: the file cannot be written.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     save(f"{folder}/a", {"w": 2.5})
    ...     load(f"{folder}/a", {"w": 0.0})
    {'w': 2.5}
    """
    leaves = {name: plain(leaf, name, KIND) for name, leaf in _leaves(tree).items()}
    facts: dict[str, Any] = {"layout": _layout(tree)}
    if fingerprints:
        facts["fingerprints"] = dict(fingerprints)
    write(path, KIND, facts, leaves)


def load(path: str | os.PathLike, like: Any) -> Any:
    """The pytree in the file, which must have the paths, dtypes and shapes of `like`.

    An axis of length 0 in `like` fits any length, for a record that grows. CheckpointError: the file is damaged, no
    checkpoint, or one of another tree.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     save(f"{folder}/a", jnp.arange(3))
    ...     load(f"{folder}/a", jnp.zeros(3, int))
    Array([0, 1, 2], dtype=int64)
    """
    return load_with_fingerprints(path, like)[0]


def load_with_fingerprints(path: str | os.PathLike, like: Any) -> tuple[Any, dict[str, str]]:
    """The pytree in the file, as `load` gives it, and the fingerprints that were saved with it."""
    about, leaves = read(path, KIND)
    _check_layout(path, about["layout"], _layout(like))
    values = [_restored(leaves[name], leaf) for name, leaf in _leaves(like).items()]
    return jax.tree.structure(like).unflatten(values), dict(about.get("fingerprints", {}))


def refuse_other_fingerprints(path: str | os.PathLike, came: Mapping[str, str], expected: Mapping[str, str]) -> None:
    """Raise CheckpointError with the names of those that differ, if the file has other fingerprints than `expected`."""
    hint = "to go on from it all the same, load it and give what it holds as theta"
    if not came:
        raise CheckpointError(
            f"{path} holds no fingerprints of its run, so that it may be another one: it was written by save or by an "
            f"earlier release; {hint}"
        )
    if others := [name for name in {**expected, **came} if came.get(name) != expected.get(name)]:
        said = ", ".join(_compared(name, came.get(name, ""), expected.get(name, "")) for name in others)
        raise CheckpointError(f"{path} is a checkpoint of another run, which differs in {said}; {hint}")


def _compared(name: str, came: str, expected: str) -> str:
    """The name, and both values if they are short: a number or a release tells a reader something, a digest nothing."""
    is_short = came and expected and max(len(came), len(expected)) < 32
    return f"{name} ({came} in the file, {expected} in this call)" if is_short else name


def _leaves(tree: Any) -> dict[str, Any]:
    paths = jax.tree.leaves_with_path(tree)
    return {f"tree{jax.tree_util.keystr(path)}": leaf for path, leaf in paths}


def _layout(tree: Any) -> Layout:
    return {name: [str(dtype(leaf)), *np.shape(leaf)] for name, leaf in _leaves(tree).items()}


def _check_layout(path: str | os.PathLike, came: Layout, expected: Layout) -> None:
    for name in [*expected, *came]:
        wanted, got = expected.get(name, ["nothing"]), came.get(name, ["nothing"])
        if len(wanted) != len(got) or any(a not in (0, b) for a, b in zip(wanted, got, strict=True)):
            raise CheckpointError(
                f"{path} is a checkpoint of something else: {name} must be {_said(wanted)}; it holds {_said(got)}"
            )


def _said(layout: list) -> str:
    name, *shape = layout
    return name if name == "nothing" else f"{name} of shape {tuple(shape)}"


def _restored(array: np.ndarray, like: Any) -> Any:
    """The saved array as the kind of leaf that `like` is."""
    if is_key(like):
        return jax.random.wrap_key_data(jnp.asarray(array), impl=jax.random.key_impl(like))
    array = array.view(dtype(like))
    if isinstance(like, jax.Array):
        return jnp.asarray(array)
    return array if isinstance(like, np.ndarray) else type(like)(array.item())
