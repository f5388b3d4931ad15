"""A pytree in a file: written whole or not at all, read back bit for bit or refused.

The file is NumPy's `.npz`, without pickle: an array per leaf, named by its path in the tree, and `about`, a JSON text
with the kind of the file, the layout of the tree, the fingerprints of its run, if any were given, and a digest of all.
So `numpy.load(path)["tree.theta['w']"]` reads a leaf without this module. A dtype that NumPy lacks (bfloat16, float8)
is stored as its bits, a random key as its data.
"""

import hashlib
import io
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

__all__ = ["CheckpointError", "load", "save"]


def __dir__() -> list[str]:
    return __all__


FORMAT, VERSION = "jax_course checkpoint", 1
Layout = dict[str, list]  # for the path of each leaf: [dtype, *shape]


class CheckpointError(ValueError):
    """The file is damaged, no checkpoint, or one of another run or tree. It is left as it is."""


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
    leaves = {name: _plain(leaf, name) for name, leaf in _leaves(tree).items()}
    about: dict[str, Any] = {"format": FORMAT, "version": VERSION, "layout": _layout(tree)}
    if fingerprints:
        about["fingerprints"] = dict(fingerprints)
    about["digest"] = _digest(about, leaves)
    part = f"{os.fspath(path)}.part"  # in the same folder: only within a file system is a file replaced at once
    try:
        with open(part, "wb") as file:
            np.savez(file, about=np.array(json.dumps(about)), **leaves)  # pyright: ignore[reportArgumentType]
            file.flush()
            os.fsync(file.fileno())
    except OSError:
        Path(part).unlink(missing_ok=True)  # on a full disk it would take the room of the next attempt
        raise
    os.replace(part, path)


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
    about, leaves = _read(path)
    digest = about.pop("digest", None)
    if (about.get("format"), about.get("version")) != (FORMAT, VERSION):
        came = f"{about.get('format')!r}, version {about.get('version')!r}"
        raise CheckpointError(f"{path} must be a {FORMAT!r}, version {VERSION}; it says that it is {came}")
    if digest != _digest(about, leaves):
        raise CheckpointError(f"{path} is damaged: its content is not what was written, by the digest")
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


def _read(path: str | os.PathLike) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    content = Path(path).read_bytes()
    try:
        with np.load(io.BytesIO(content)) as file:
            leaves = {name: file[name] for name in file.files}
        about = dict(json.loads(str(leaves.pop("about"))))
    except Exception as error:  # a damaged file makes the readers of zip, npy and json raise many kinds
        said = f"{type(error).__name__}: {error}"
        raise CheckpointError(f"{path} must be a checkpoint; it is damaged or something else ({said})") from error
    return about, leaves


def _leaves(tree: Any) -> dict[str, Any]:
    paths = jax.tree.leaves_with_path(tree)
    return {f"tree{jax.tree_util.keystr(path)}": leaf for path, leaf in paths}


def _layout(tree: Any) -> Layout:
    return {name: [str(_dtype(leaf)), *np.shape(leaf)] for name, leaf in _leaves(tree).items()}


def _digest(about: dict[str, Any], leaves: dict[str, np.ndarray]) -> str:
    digest = hashlib.blake2b(json.dumps(about, sort_keys=True).encode(), digest_size=32)
    for name in sorted(leaves):
        digest.update(np.ascontiguousarray(leaves[name]).data)
    return digest.hexdigest()


def _check_layout(path: str | os.PathLike, came: Layout, expected: Layout) -> None:
    for name in [*expected, *came]:
        wanted, got = expected.get(name, ["nothing"]), came.get(name, ["nothing"])
        if len(wanted) != len(got) or any(a not in (0, b) for a, b in zip(wanted, got, strict=True)):
            raise CheckpointError(
                f"{path} is a checkpoint of something else: {name} must be {_said(wanted)}; it holds {_said(got)}"
            )


def _said(layout: list) -> str:
    dtype, *shape = layout
    return dtype if dtype == "nothing" else f"{dtype} of shape {tuple(shape)}"


# Leaves.


def _dtype(leaf: Any) -> Any:
    return leaf.dtype if isinstance(leaf, jax.Array) else np.asarray(leaf).dtype


def _is_key(leaf: Any) -> bool:
    return jnp.issubdtype(_dtype(leaf), jax.dtypes.prng_key)


def _plain(leaf: Any, name: str) -> np.ndarray:
    """The leaf as an array of a built-in dtype of NumPy; TypeError if it is none of numbers."""
    array = np.asarray(jax.random.key_data(leaf) if _is_key(leaf) else leaf)
    if not (jnp.issubdtype(array.dtype, jnp.number) or array.dtype == bool):
        raise TypeError(f"a checkpoint holds numbers and arrays of numbers; {name} is {leaf!r}")
    return array if array.dtype.isbuiltin == 1 else array.view(f"u{array.dtype.itemsize}")


def _restored(array: np.ndarray, like: Any) -> Any:
    """The saved array as the kind of leaf that `like` is."""
    if _is_key(like):
        return jax.random.wrap_key_data(jnp.asarray(array), impl=jax.random.key_impl(like))
    array = array.view(_dtype(like))
    if isinstance(like, jax.Array):
        return jnp.asarray(array)
    return array if isinstance(like, np.ndarray) else type(like)(array.item())
