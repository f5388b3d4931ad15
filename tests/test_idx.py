"""IDX files that the test writes: whole ones are read, others refused with what is wrong with them."""

import gzip
import struct

import jax
import numpy as np
import pytest

from jax_course.data import idx

RNG = np.random.default_rng(0)
IMAGES, LABELS = RNG.integers(0, 256, (7, 4, 3)).astype(np.uint8), np.arange(7, dtype=np.uint8) % 3
CODES = {"u1": 8, "i1": 9, "i2": 11, "i4": 12, "f4": 13, "f8": 14}


def content(array):
    head = struct.pack(f">BBBB{array.ndim}I", 0, 0, CODES[array.dtype.str[1:]], array.ndim, *array.shape)
    return head + array.astype(array.dtype.newbyteorder(">")).tobytes()


@pytest.fixture
def folder(tmp_path):
    for name, array in zip(idx.FILES, (IMAGES, LABELS, IMAGES[:2], LABELS[:2]), strict=True):
        (tmp_path / name).write_bytes(content(array))
    return tmp_path


@pytest.mark.parametrize("kind", CODES)
@pytest.mark.parametrize("compress", [bytes, gzip.compress])
def test_every_type_is_read(tmp_path, kind, compress):
    array = (10 * RNG.standard_normal((3, 2))).astype(kind)
    (tmp_path / "file").write_bytes(compress(content(array)))
    read = idx.read(tmp_path / "file")
    assert read.dtype == np.dtype(kind)
    np.testing.assert_array_equal(read, array)


def test_mnist_is_read(folder, width):
    (folder / idx.FILES[0]).rename(folder / "train-images.idx3-ubyte")
    (folder / f"{idx.FILES[1]}.gz").write_bytes(gzip.compress((folder / idx.FILES[1]).read_bytes()))
    (folder / idx.FILES[1]).unlink()
    training, test = idx.mnist(folder)
    assert training.X.dtype == width.dtype
    np.testing.assert_allclose(training.X, IMAGES.reshape(7, 12) / 255, rtol=1e-6)
    np.testing.assert_array_equal(training.y, LABELS)
    assert (test.X.shape, test.y.dtype) == ((2, 12), np.int32)
    assert float(jax.numpy.max(training.X)) <= 1


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda c: c[:-1], r"must have 100 bytes for shape \(7, 4, 3\); it has 99"),
        (lambda c: c + b"x", r"must have 100 bytes for shape \(7, 4, 3\); it has 101"),
        (lambda c: c[:9], "ends within its head: 9 bytes of 16"),
        (lambda c: b"", "is no IDX file: it begins with nothing"),
        (lambda c: b"\x89PNG" + c, "is no IDX file: it begins with 89 50 4e 47"),
        (lambda c: b"\0\0\x07" + c[3:], "is no IDX file: it begins with 00 00 07 03"),
        (lambda c: gzip.compress(c)[:-9], "is compressed and damaged"),
        (lambda c: gzip.compress(c)[:20] + b"\0" * 30, "is compressed and damaged"),
        (lambda c: gzip.compress(c)[:12] + b"\xff" * 90, "is compressed and damaged"),
    ],
)
def test_damaged_and_foreign_files_are_refused(folder, damage, message):
    path = folder / idx.FILES[0]
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(ValueError, match=message):
        idx.mnist(folder)


def test_what_is_missing_or_does_not_fit_is_named(folder):
    (folder / idx.FILES[3]).write_bytes(content(LABELS))
    with pytest.raises(ValueError, match="must hold as many examples, at least one; got 2 and 7"):
        idx.mnist(folder)
    (folder / idx.FILES[3]).write_bytes(content(IMAGES))
    with pytest.raises(ValueError, match=r"must hold unsigned bytes .* and uint8 of shape \(7, 4"):
        idx.mnist(folder)
    (folder / idx.FILES[2]).unlink()
    with pytest.raises(FileNotFoundError, match="must hold t10k-images-idx3-ubyte or"):
        idx.mnist(folder)
