"""Arrays and a JSON text in one file: written whole or not at all, read back bit for bit or refused.

The file is NumPy's `.npz`, without pickle: each array by its name, and `about`, a JSON text with the kind of the file,
its version, the facts of the caller, and a digest of all. A dtype that NumPy lacks (bfloat16, float8) is stored as its
bits, a random key as its data. The digest finds damage; whoever can write the file can write a digest, too.
"""

import hashlib
import io
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np


class Kind(NamedTuple):
    """A kind of file by its name in messages, such as "model"; the version of its facts; the error that refuses."""

    name: str
    version: int
    error: type[ValueError]

    @property
    def format(self) -> str:
        """The kind by the name that is in the file."""
        return f"jax_course {self.name}"


def write(path: str | os.PathLike, kind: Kind, facts: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> None:
    """Write arrays by name, each of a built-in dtype of NumPy, and facts that are JSON.

    A process killed meanwhile leaves the previous file unchanged. OSError: the file cannot be written.

    >>> import tempfile
    >>> kind = Kind("example", 1, ValueError)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write(f"{folder}/a", kind, {"unit": "m"}, {"x": np.arange(3)})
    ...     read(f"{folder}/a", kind)
    ({'format': 'jax_course example', 'version': 1, 'unit': 'm'}, {'x': array([0, 1, 2])})
    """
    about: dict[str, Any] = {"format": kind.format, "version": kind.version, **facts}
    about["digest"] = _digest(about, arrays)
    part = f"{os.fspath(path)}.part"  # in the same folder: only within a file system is a file replaced at once
    try:
        with open(part, "wb") as file:
            np.savez(file, about=np.array(json.dumps(about)), **arrays)  # pyright: ignore[reportArgumentType]
            file.flush()
            os.fsync(file.fileno())
    except OSError:
        Path(part).unlink(missing_ok=True)  # on a full disk it would take the room of the next attempt
        raise
    os.replace(part, path)


def read(path: str | os.PathLike, kind: Kind) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """The format, version and facts in a file, and its arrays by name. Nothing is unpickled.

    The error of the kind: the file is damaged, something else, of another kind or of another version. OSError: it
    cannot be read.
    """
    content = Path(path).read_bytes()
    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
        if "about" not in arrays:
            raise LookupError("it has no entry 'about'")
        about = dict(json.loads(str(arrays.pop("about"))))
    except Exception as error:  # a damaged file makes the readers of zip, npy and json raise many kinds
        said = str(error) if type(error) is LookupError else f"{type(error).__name__}: {error}"
        raise kind.error(f"{path} must be a {kind.name}; it is damaged or something else ({said})") from error
    digest = about.pop("digest", None)
    if (about.get("format"), about.get("version")) != (kind.format, kind.version):
        came = f"{about.get('format')!r}, version {about.get('version')!r}"
        came += f", of jax_course {about['release']}" if "release" in about else ""
        raise kind.error(f"{path} must be a {kind.format!r}, version {kind.version}; it says that it is {came}")
    if digest != _digest(about, arrays):
        raise kind.error(f"{path} is damaged: its content is not what was written, by the digest")
    return about, arrays


def _digest(about: dict[str, Any], arrays: Mapping[str, np.ndarray]) -> str:
    digest = hashlib.blake2b(json.dumps(about, sort_keys=True).encode(), digest_size=32)
    for name in sorted(arrays):
        digest.update(np.ascontiguousarray(arrays[name]).data)
    return digest.hexdigest()


def dtype(leaf: Any) -> Any:
    """The dtype of a number or an array, also one that NumPy lacks.

    >>> dtype(jnp.zeros(2, jnp.bfloat16)), dtype(True)
    (dtype(bfloat16), dtype('bool'))
    """
    return leaf.dtype if isinstance(leaf, jax.Array) else np.asarray(leaf).dtype


def is_key(leaf: Any) -> bool:
    """Whether a leaf is a random key, or an array of them.

    >>> is_key(jax.random.key(0)), is_key(0.5)
    (True, False)
    """
    return jnp.issubdtype(dtype(leaf), jax.dtypes.prng_key)


def plain(leaf: Any, name: str, kind: Kind) -> np.ndarray:
    """The leaf as an array of a built-in dtype of NumPy. TypeError: it is no number and no array of numbers.

    >>> plain("two", "theta", Kind("model", 1, ValueError))
    Traceback (most recent call last):
    TypeError: a model holds numbers and arrays of numbers; theta is 'two'
    """
    array = np.asarray(jax.random.key_data(leaf) if is_key(leaf) else leaf)
    if not (jnp.issubdtype(array.dtype, jnp.number) or array.dtype == bool):
        raise TypeError(f"a {kind.name} holds numbers and arrays of numbers; {name} is {leaf!r}")
    return array if array.dtype.isbuiltin == 1 else array.view(f"u{array.dtype.itemsize}")
