r"""MNIST and its kin from the IDX files on the user's disk (course 11.4). Nothing is fetched.

    bytes 0, 1    0                         byte 2   the type, 8 for unsigned bytes
    byte 3        the number of axes n      then     n sizes, 4 bytes each, big-endian; then the numbers

Files may be compressed by gzip. A file of another format, too short or too long, is refused.
"""

import gzip
import math
import os
import struct
import zlib
from pathlib import Path
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jax import Array

TYPES = {8: "u1", 9: "i1", 11: ">i2", 12: ">i4", 13: ">f4", 14: ">f8"}
FILES = "train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"


class Images(NamedTuple):
    """X (m, rows · columns), between 0 and 1; y (m,), class numbers."""

    X: Array
    y: Array


def read(path: str | os.PathLike) -> np.ndarray:
    """The array in an IDX file, compressed or not.

    Errors: FileNotFoundError; ValueError where it is no IDX file or not whole, and what is wrong with it.
    """
    content = Path(path).read_bytes()
    if content[:2] == b"\x1f\x8b":
        try:
            content = gzip.decompress(content)
        except (EOFError, OSError, zlib.error) as error:
            raise ValueError(f"{path} is compressed and damaged: {error}") from None
    if len(content) < 4 or content[:2] != b"\0\0" or content[2] not in TYPES:
        raise ValueError(f"{path} is no IDX file: it begins with {content[:4].hex(' ') or 'nothing'}")
    kind, axes = np.dtype(TYPES[content[2]]), content[3]
    head = 4 + 4 * axes
    if len(content) < head:
        raise ValueError(f"{path} ends within its head: {len(content)} bytes of {head}")
    shape = struct.unpack(f">{axes}I", content[4:head])
    expected = head + kind.itemsize * math.prod(shape)
    if len(content) != expected:
        raise ValueError(f"{path} must have {expected} bytes for shape {shape}; it has {len(content)}")
    return np.frombuffer(content, kind, offset=head).reshape(shape).astype(kind.newbyteorder("="))


def mnist(folder: str | os.PathLike) -> tuple[Images, Images]:
    """(training, test) from the four files of MNIST, or Fashion-MNIST, in a folder; `.gz` or not.

    Errors: FileNotFoundError naming the file that is missing; ValueError where images and labels do not fit.
    """
    images, labels, test_images, test_labels = (_find(Path(folder), name) for name in FILES)
    return _images_and_labels(images, labels), _images_and_labels(test_images, test_labels)


def _find(folder: Path, name: str) -> Path:
    for candidate in (name, f"{name}.gz", name.replace("-idx", ".idx"), name.replace("-idx", ".idx") + ".gz"):
        if (folder / candidate).exists():
            return folder / candidate
    raise FileNotFoundError(f"{folder} must hold {name} or {name}.gz; it does not")


def _images_and_labels(images: Path, labels: Path) -> Images:
    X, y = read(images), read(labels)
    if X.dtype != np.uint8 or X.ndim != 3 or y.dtype != np.uint8 or y.ndim != 1:
        raise ValueError(
            f"{images} must hold unsigned bytes of shape (m, rows, columns) and {labels} of shape (m,); "
            f"got {X.dtype} of shape {X.shape} and {y.dtype} of shape {y.shape}"
        )
    if len(X) != len(y) or not len(X):
        raise ValueError(f"{images} and {labels} must hold as many examples, at least one; got {len(X)} and {len(y)}")
    floats = np.asarray(X.reshape(len(X), -1) / 255, jnp.result_type(float))
    return Images(jnp.asarray(floats), jnp.asarray(y, jnp.int32))
