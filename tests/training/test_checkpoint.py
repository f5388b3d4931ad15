"""A file holds a pytree bit for bit, or is refused; and it is never half written."""

import os

import jax
import jax.numpy as jnp
import ml_dtypes
import numpy as np
import optax
import pytest

from jax_course.training.checkpoint import (
    CheckpointError,
    load,
    load_with_fingerprints,
    refuse_other_fingerprints,
    save,
)

TREE = {
    "bfloat16": jnp.arange(3, dtype=jnp.bfloat16),
    "float8": jnp.asarray(2.5, jnp.float8_e4m3fn),
    "transposed": jnp.arange(6.0, dtype=jnp.float16).reshape(2, 3).T,
    "not finite": jnp.array([jnp.nan, -jnp.inf, -0.0]),
    "complex": np.array([1 + 2j]),
    "keys": jax.random.split(jax.random.key(3), 2),
    "numbers": (7, 1.5, True),
    "optax": optax.adam(0.1).init({"w": jnp.ones(2)}),
    "record": np.zeros((0, 2)),
}


def as_bytes(tree):
    """Every leaf with its kind, dtype and bits."""

    def content(leaf):
        is_key = isinstance(leaf, jax.Array) and jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key)
        array = np.asarray(jax.random.key_data(leaf) if is_key else leaf)
        return type(leaf), array.dtype, array.shape, array.tobytes()

    return jax.tree_util.tree_map(content, tree)


@pytest.fixture
def path(tmp_path):
    save(tmp_path / "run.npz", TREE)
    return tmp_path / "run.npz"


def test_every_kind_of_leaf_comes_back_bit_for_bit(path):
    assert as_bytes(load(path, TREE)) == as_bytes(TREE)


def test_numpy_reads_it_without_this_package_and_without_pickle(path):
    with np.load(path, allow_pickle=False) as file:
        np.testing.assert_array_equal(file["tree['transposed']"], TREE["transposed"])
        np.testing.assert_array_equal(file["tree['bfloat16']"].view(ml_dtypes.bfloat16), TREE["bfloat16"])
        assert '"version": 1' in str(file["about"])


def test_a_record_may_have_any_length(tmp_path):
    save(tmp_path / "run.npz", TREE | {"record": np.ones((5, 2))})
    np.testing.assert_array_equal(load(tmp_path / "run.npz", TREE)["record"], np.ones((5, 2)))
    with pytest.raises(CheckpointError, match=r"'record'\] must be float64 of shape \(0, 3\); it holds .*\(5, 2\)"):
        load(tmp_path / "run.npz", TREE | {"record": np.zeros((0, 3))})


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"float8": jnp.asarray(2.5)}, r"tree\['float8'\] must be float64 of shape \(\); it holds float8_e4m3fn"),
        (
            {"bfloat16": jnp.ones(2, jnp.bfloat16)},
            r"must be bfloat16 of shape \(2,\); it holds bfloat16 of shape \(3,\)",
        ),
        (
            {"bfloat16": jnp.ones((), jnp.bfloat16)},
            r"must be bfloat16 of shape \(\); it holds bfloat16 of shape \(3,\)",
        ),
        ({"keys": jax.random.split(jax.random.key(0, impl="rbg"), 2)}, r"must be key<rbg> .* it holds key<fry>"),
        ({"new": 1}, r"tree\['new'\] must be int64 of shape \(\); it holds nothing"),
        ({"numbers": (7, 1.5)}, r"tree\['numbers'\]\[2\] must be nothing; it holds bool"),
    ],
)
def test_a_checkpoint_of_something_else_is_refused(path, change, said):
    with pytest.raises(CheckpointError, match=said):
        load(path, TREE | change)


def test_no_flipped_bit_goes_unnoticed(path):
    """Not every bit of a zip archive means something; those that do are all watched."""
    content, expected = path.read_bytes(), as_bytes(TREE)
    refused = 0
    for place in range(0, len(content), 23):
        damaged = bytearray(content)
        damaged[place] ^= 1 << place % 8
        path.write_bytes(damaged)
        try:
            assert as_bytes(load(path, TREE)) == expected
        except CheckpointError:
            refused += 1
    assert refused > len(content) / 23 / 2


def test_a_change_that_the_archive_cannot_see_is_seen_by_the_digest(path):
    with np.load(path) as file:
        arrays = dict(file)
    arrays["tree['transposed']"][0, 0] += 1
    np.savez(path, **arrays)
    with pytest.raises(CheckpointError, match=r"damaged: .* digest"):
        load(path, TREE)


def test_fingerprints_are_kept_beside_the_tree_and_watched_by_the_digest(path):
    save(path, TREE, {"the data": "ab12"})
    tree, prints = load_with_fingerprints(path, TREE)
    assert (as_bytes(tree), prints) == (as_bytes(TREE), {"the data": "ab12"})
    refuse_other_fingerprints(path, prints, {"the data": "ab12"})
    with pytest.raises(
        CheckpointError, match=r"another run, which differs in the data \(ab12 in the file, ff in this call\)"
    ):
        refuse_other_fingerprints(path, prints, {"the data": "ff"})
    with np.load(path) as file:
        arrays = dict(file)
    arrays["about"] = np.array(str(arrays["about"]).replace("ab12", "ab13"))
    np.savez(path, **arrays)
    with pytest.raises(CheckpointError, match=r"damaged: .* digest"):
        load(path, TREE)


@pytest.mark.parametrize("share", [0.0, 0.3, 0.99])
def test_a_truncated_file_is_refused(path, share):
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    with pytest.raises(CheckpointError, match=r"run\.npz must be a checkpoint; it is damaged or something else"):
        load(path, TREE)


def test_other_files_are_refused(path):
    np.savez(path, a=1)
    with pytest.raises(CheckpointError, match="damaged or something else"):
        load(path, TREE)
    np.savez(path, about=np.array('{"format": "jax_course checkpoint", "version": 2}'))
    with pytest.raises(CheckpointError, match=r"must be a 'jax_course checkpoint', version 1; .* version 2"):
        load(path, TREE)
    path.write_text("theta")
    with pytest.raises(CheckpointError, match="damaged or something else"):
        load(path, TREE)
    with pytest.raises(FileNotFoundError):
        load(path.with_name("nothing"), TREE)


def test_what_is_no_number_is_not_saved(path):
    content = path.read_bytes()
    with pytest.raises(TypeError, match=r"numbers; tree\['name'\] is 'iris'"):
        save(path, {"name": "iris"})
    assert path.read_bytes() == content


@pytest.mark.parametrize("broken", ["fsync", "replace"])
def test_a_failure_while_writing_leaves_the_file_of_before(path, monkeypatch, broken):
    def fail(*arguments):
        raise OSError("no space left")

    content = path.read_bytes()
    monkeypatch.setattr(os, broken, fail)
    with pytest.raises(OSError, match="no space"):
        save(path, TREE | {"numbers": (8, 1.5, True)})
    assert path.read_bytes() == content
    monkeypatch.undo()
    save(path, TREE | {"numbers": (8, 1.5, True)})
    assert load(path, TREE)["numbers"] == (8, 1.5, True)
    assert os.listdir(path.parent) == ["run.npz"]
