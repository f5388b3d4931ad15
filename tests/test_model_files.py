"""A fitted model comes back from its file bit for bit, and what is no such file is refused in words."""

import json
from collections import OrderedDict
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jax_course import archive, kernel, linear, load, logistic, networks, save, softmax
from jax_course.data import Standardization
from jax_course.kernel import WithBias
from jax_course.model_files.trees import KIND
from jax_course.networks import costs
from jax_course.networks.layers import LinearParams
from jax_course.solution import Solution
from jax_course.training import checkpoint


def numbers(*values) -> Any:
    return np.array(values, np.float32)


THETA: dict[str, Any] = {
    "layers": (LinearParams(jnp.zeros(2, jnp.bfloat16), jnp.asarray(np.arange(6.0).reshape(3, 2).T)), (), None),
    "kernel": WithBias(numbers(1, np.nan), numbers(-0.0)),
    "numbers": [2, 0.1, True],
}
NET = networks.mlp([2, 1], "tanh", costs.squared_error())
ANY: Any = object()
SOLUTION = Solution(np.ones(2), *[ANY] * 4)


@pytest.fixture
def path(tmp_path):
    save(tmp_path / "model.npz", "mine", THETA)
    return tmp_path / "model.npz"


def bits(tree):
    content = jax.tree.map(
        lambda leaf: (str(jnp.asarray(leaf).dtype), np.shape(leaf), np.asarray(leaf).tobytes()), tree
    )
    return jax.tree.structure(tree), jax.tree.leaves(content)


def test_every_structure_comes_back_bit_for_bit(path):
    theta = load(path).theta
    assert bits(theta) == bits(THETA)
    assert [type(number) for number in theta["numbers"]] == [int, float, bool]
    assert isinstance(theta["kernel"].bias, jax.Array)


def test_arrays_that_jax_narrows_are_announced(path):
    with jax.enable_x64(False), pytest.warns(UserWarning, match="float64 data is computed in float32"):
        assert load(path).theta["layers"][0].weights.dtype == np.float32


@pytest.mark.parametrize("classes", [["no", "yes", "maybe"], [-1, 2, 7], [0.5, 1.0, 2.0], np.array(["a", "b", "c"])])
def test_names_classes_and_settings_come_back(tmp_path, classes):
    settings = {"standardization": Standardization(numbers(1, 1), numbers(1, 1)), "scale": 0.3}
    given = {"names": np.array(["a", "b"]), "classes": classes, "settings": settings, "transform": '{"terms": []}'}
    save(tmp_path / "a", softmax, np.zeros((2, 3)), **given)
    found = load(tmp_path / "a", softmax)
    assert (found.model, found.names, found.transform) == ("softmax", ("a", "b"), '{"terms": []}')
    assert found.classes is not None
    assert (found.classes.tolist(), found.classes.dtype) == (list(classes), np.array(classes).dtype)
    assert found.settings["scale"] == 0.3
    np.testing.assert_array_equal(found.settings["standardization"](np.ones((1, 2), np.float32)), [[0, 0]])


def test_truth_values_are_classes(tmp_path):
    save(tmp_path / "a", logistic, np.zeros(1), classes=np.array([False, True]))
    assert str(load(tmp_path / "a").classes) == "[False  True]"


def test_numpy_reads_it_without_this_package_and_without_pickle(path):
    with np.load(path, allow_pickle=False) as file:
        np.testing.assert_array_equal(file["theta['layers'][0].weights"], np.arange(6.0).reshape(3, 2).T)
        assert json.loads(str(file["about"]))["model"] == "mine"


def test_another_model_is_refused_by_name(tmp_path):
    save(tmp_path / "a", NET, NET.init(jax.random.key(0), 3))
    with pytest.raises(ValueError, match=r"must hold the model 'logistic'; it holds 'Network\(linear\(2\) → tanh → "):
        load(tmp_path / "a", logistic)
    with pytest.raises(ValueError, match=r"must hold the model 'Network\(linear\(5\) → sq.*; it holds 'Network\(lin"):
        load(tmp_path / "a", networks.mlp([5], "tanh", costs.squared_error()))
    assert load(tmp_path / "a", NET).model == repr(NET)


def rewritten(path, change, kind=KIND):
    """The file with what `change(facts, arrays)` makes of it, and a digest that fits."""
    facts, arrays = archive.read(path, KIND)
    change(facts, arrays)
    archive.write(path, kind, facts, arrays)


def test_files_of_another_version_and_of_another_kind_are_refused(path):
    rewritten(path, lambda facts, arrays: facts.update(version=2, release="0.9"), KIND._replace(version=2))
    with pytest.raises(ValueError, match=r"'jax_course model', version 1; .* version 2, of jax_course 0\.9"):
        load(path)
    checkpoint.save(path, THETA["numbers"])
    with pytest.raises(ValueError, match=r"must be a 'jax_course model', version 1; .* 'jax_course checkpoint', ver"):
        load(path)
    np.savez(path, a=1)
    with pytest.raises(ValueError, match=r"damaged or something else \(it has no entry 'about'\)"):
        load(path)
    with pytest.raises(FileNotFoundError):
        load(path.with_name("nothing"))


@pytest.mark.parametrize("share", [0.0, 0.3, 0.99])
def test_a_truncated_file_is_refused(path, share):
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    with pytest.raises(ValueError, match=r"model\.npz must be a model; it is damaged or something else"):
        load(path)


def test_a_full_disk_leaves_the_file_before(path, monkeypatch):
    def full(file, **_):
        file.write(b"half")
        raise OSError("No space left on device")

    monkeypatch.setattr(np, "savez", full)
    with pytest.raises(OSError, match="No space left"):
        save(path, "mine", 2.0)
    assert list(path.parent.iterdir()) == [path]
    assert bits(load(path).theta) == bits(THETA)


def test_a_changed_header_is_seen_by_the_digest(path):
    with np.load(path) as file:
        arrays = dict(file)
    arrays["about"] = np.array(str(arrays["about"]).replace('"mine"', '"yours"'))
    np.savez(path, **arrays)
    with pytest.raises(ValueError, match=r"damaged: .* digest"):
        load(path)


NODE = {"kind": "array", "dtype": "float64", "shape": [2]}


@pytest.mark.parametrize(
    ("facts", "said"),
    [
        (
            {"theta": {"kind": "os.system", "parts": ["true"]}},
            "theta is a 'os.system', which is not known",
        ),
        ({"theta": {"kind": "dict", "parts": {"w": NODE}}}, r"there is no theta\['w'\]"),
        ({"theta": {"kind": "none"}}, "it does not mention theta"),
        ({"theta": NODE | {"shape": [3]}}, r"theta must be float64 of shape \(3,\); it is float64 of \(2,\)"),
        ({"theta": NODE | {"dtype": "object"}}, "theta must be"),
        ({"theta": NODE | {"kind": "float"}}, ""),
        ({"theta": {"kind": "kernel.WithBias", "parts": {"w": {"kind": "none"}}}}, "unexpected keyword argument 'w'"),
        ({"theta": 3}, ""),
        ({"theta": {"kind": []}}, ""),
        ({"classes": [[1], [2, 3]]}, ""),
        ({"names": 3}, "names must be strings"),
        ({"transform": "{"}, "transform must be a text of JSON"),
    ],
)
def test_a_description_that_does_not_fit_is_refused_with_a_digest_that_does(tmp_path, facts, said):
    save(tmp_path / "a", "mine", np.ones(2))
    rewritten(tmp_path / "a", lambda found, arrays: found.update(facts))
    with pytest.raises(ValueError, match=rf"a must describe a model and its arrays; it does not \(.*{said}"):
        load(tmp_path / "a")


def test_nothing_is_unpickled(path):
    class Harmful:
        def __reduce__(self):
            return (pytest.fail, ("unpickled",))

    np.savez(path, about=np.array([Harmful()], object))
    with pytest.raises(ValueError, match=r"it is damaged or something else .*allow_pickle=False"):
        load(path)


@pytest.mark.parametrize(
    ("call", "error", "said"),
    [
        (
            lambda save: save(logistic.fit, np.ones(2)),
            TypeError,
            "model must be a module such as log.*; got fit",
        ),
        (
            lambda save: save(logistic, SOLUTION),
            TypeError,
            "theta must be the parameters; got a Solution: give its",
        ),
        (lambda save: save(logistic, "two"), TypeError, "a model holds numbers and arrays of numbers; theta is 'two'"),
        (lambda save: save("m", {1: np.ones(2)}), TypeError, "the keys of theta must be strings; got 1"),
        (lambda save: save("m", {"a": OrderedDict()}), TypeError, r"theta\['a'\] is a OrderedDict: put its arrays int"),
        (lambda save: save("m", jax.random.key(0)), TypeError, "theta is of key<fry>"),
        (lambda save: save(logistic, np.ones(2), names="ab"), TypeError, "names must be strings, one for each column"),
        (lambda save: save(logistic, np.ones(2), names=["a"]), ValueError, "each of the 2 rows of theta; got 1"),
        (lambda save: save(logistic, np.ones(2), classes=[1, 2, 3]), ValueError, "2, as logistic has .*; got 3"),
        (lambda save: save(softmax, np.ones((2, 3)), classes=[1, 2]), ValueError, "3, as softmax has .*; got 2"),
        (lambda save: save(linear, np.ones(2), classes=[1, 2]), ValueError, "none: the model is a regression; got 2"),
        (lambda save: save(logistic, np.ones(2), classes=["a", 1]), TypeError, "all of one kind; got"),
        (lambda save: save(logistic, np.ones(2), classes=[True, 1]), TypeError, "all of one kind; got"),
        (lambda save: save(logistic, np.ones(2), classes=["a", "a"]), ValueError, "classes must be different; got"),
        (lambda save: save("m", 1.0, classes=[b"a"]), TypeError, "classes must be strings, truth values or numbers"),
        (lambda save: save("m", 1.0, names=[]), TypeError, "names must be strings, one for each column"),
        (lambda save: save("m", 1.0, settings=[1]), TypeError, "settings must be a dict of numbers .*; got list"),
        (lambda save: save("m", 1.0, settings={"k": "rbf"}), TypeError, r"settings\['k'\] is 'rbf'"),
        (lambda save: save("m", 1.0, transform=ANY), TypeError, r"transform must be a text; .* transform.to_json\(\)"),
        (lambda save: save("m", 1.0, transform="x"), ValueError, "transform must be a text of JSON; got 'x'"),
    ],
)
def test_what_a_file_cannot_hold_is_refused_and_none_is_written(tmp_path, call, error, said):
    with pytest.raises(error, match=said):
        call(partial(save, tmp_path / "a"))
    assert list(tmp_path.iterdir()) == []


def test_a_kernel_predicts_from_its_file(tmp_path):
    X, settings = np.arange(3.0)[:, None], {"scale": 0.5}
    theta = np.array([1.0, -2.0, 0.5])
    save(tmp_path / "a", kernel, theta, settings={"centers": X, **settings})
    found = load(tmp_path / "a", kernel)
    expected = np.exp(-((X - X.T) ** 2) / 0.5) @ theta
    np.testing.assert_allclose(kernel.predict(found.theta, X, **found.settings), expected, rtol=1e-12)
