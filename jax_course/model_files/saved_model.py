"""A fitted model is written to a file, and read from one."""

import json
import os
from collections.abc import Iterable, Mapping
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np

import jax_course
from jax_course.archive import read, write
from jax_course.model_files.trees import KIND, described, rebuilt
from jax_course.networks import Network

CLASS_KINDS = (str, bool | np.bool_, int | float | np.integer | np.floating)  # a bool is an int, too
OF_COLUMNS = ("linear", "ridge", "lasso", "logistic", "softmax")  # models with a row of theta for each column of X


class SavedModel(NamedTuple):
    """A model as it was saved. What was not given to `save` is None, of the settings {}.

    model: its name. theta: the parameters, arrays of JAX. names (d,): of the columns of X. classes (K,): `classes[y]`
    are the labels of the class numbers y. settings: further arguments of `predict`, by name. transform: the JSON of the
    transform of tables. release: the jax_course that wrote the file.
    """

    model: str
    theta: Any
    names: tuple[str, ...] | None
    classes: np.ndarray | None
    settings: dict[str, Any]
    transform: str | None
    release: str


def save(
    path: str | os.PathLike,
    model: ModuleType | Network | str,
    theta: Any,
    *,
    names: Iterable[str] | None = None,
    classes: Any = None,
    settings: Mapping[str, Any] | None = None,
    transform: str | None = None,
) -> None:
    """Write a fitted model to a file, which is replaced at once: no half of it is ever there.

    model: a module such as `logistic`, a network, or a name that you choose. theta: numbers and arrays in dicts, lists,
    tuples and records of this library. names: of the columns of X. classes: strings, truth values or numbers.
    settings: by name, what `predict` needs beside theta and X, such as scale and centers of a kernel, or what
    `data.standardize` returned. transform: a text, the JSON of a transform of tables.

    Errors: TypeError or ValueError for what a file cannot hold, or does not fit theta. OSError: it cannot be written.

    >>> import tempfile
    >>> from jax import numpy as jnp
    >>> from jax_course import linear
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     save(f"{folder}/a.npz", linear, jnp.array([2.5]), names=["size"])
    ...     load(f"{folder}/a.npz", linear)[:3]
    ('linear', Array([2.5], dtype=float64), ('size',))
    """
    arrays: dict[str, np.ndarray] = {}
    facts = {
        "release": jax_course.__version__,
        "model": _name(model),
        "theta": described(theta, "theta", arrays),
        "settings": described(_checked_settings(settings), "settings", arrays),
        "names": None if names is None else _checked_names(names),
        "classes": None if classes is None else _checked_classes(classes),
        "transform": None if transform is None else _checked_transform(transform),
    }
    shape = arrays["theta"].shape if "theta" in arrays else ()
    _refuse_misfit(facts["model"], shape, facts["names"], facts["classes"])
    write(path, KIND, facts, arrays)


def load(path: str | os.PathLike, model: ModuleType | Network | str | None = None) -> SavedModel:
    """The model in a file. Where `model` is given, it has to be that one.

    Without jax_enable_x64 arrays of float64 become such of float32, and a warning says so.

    Errors: ValueError: the file is damaged, no model, one of another version, or another model. OSError: it cannot be
    read.
    """
    about, arrays = read(path, KIND)
    try:
        found = _restored(about, arrays)
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError) as error:
        raise ValueError(
            f"{path} must describe a model and its arrays; it does not ({error}): written by jax_course "
            f"{about.get('release')}, read by {jax_course.__version__}"
        ) from error
    if model is not None and _name(model) != found.model:
        raise ValueError(f"{path} must hold the model {_name(model)!r}; it holds {found.model!r}")
    return found


def _restored(about: dict[str, Any], arrays: dict[str, np.ndarray]) -> SavedModel:
    """The model of a description and its arrays, each of which has to occur in it."""
    theta, settings = (rebuilt(about[name], name, arrays) for name in ("theta", "settings"))
    if arrays:
        raise ValueError(f"it does not mention {', '.join(arrays)}")
    names, classes, transform = (about[name] for name in ("names", "classes", "transform"))
    return SavedModel(
        str(about["model"]),
        theta,
        None if names is None else tuple(_checked_names(names)),
        None if classes is None else np.array(_checked_classes(classes)),
        settings,
        None if transform is None else _checked_transform(transform),
        str(about["release"]),
    )


def _name(model: Any) -> str:
    """The name of a model: of a module of the library the last part, of a network its layers and its cost."""
    if isinstance(model, ModuleType):
        return model.__name__.rpartition(".")[2] if model.__name__.startswith("jax_course.") else model.__name__
    if isinstance(model, Network):
        return repr(model)
    if not isinstance(model, str):
        came = getattr(model, "__name__", type(model).__name__)
        raise TypeError(f"model must be a module such as logistic, a network, or the name of a model; got {came}")
    return model


def _checked_settings(settings: Any) -> dict[str, Any]:
    if not isinstance(settings, Mapping | None):
        raise TypeError(f"settings must be a dict of numbers and arrays by name; got {type(settings).__name__}")
    return dict(settings or {})


def _checked_names(names: Any) -> list[str]:
    listed = _listed(names)
    if not listed or not all(isinstance(name, str) for name in listed):
        raise TypeError(f"names must be strings, one for each column of X; got {names!r}")
    return list(map(str, listed))


def _checked_classes(classes: Any) -> list:
    listed = _listed(classes)
    kinds = {next((kind for kind in CLASS_KINDS if isinstance(value, kind)), None) for value in listed}
    if len(kinds) != 1 or None in kinds or np.array(listed).dtype.kind not in "biufU":
        raise TypeError(f"classes must be strings, truth values or numbers, all of one kind; got {classes!r}")
    if len(set(listed)) < len(listed):
        raise ValueError(f"classes must be different; got {classes!r}")
    return np.array(listed).tolist()


def _listed(values: Any) -> list:
    """The entries of an array of one axis or of another sequence; none of a text, or of what has no entries."""
    if isinstance(values, str | bytes) or not isinstance(values, Iterable) or getattr(values, "ndim", 1) != 1:
        return []
    return values.tolist() if hasattr(values, "tolist") else list(values)  # pyright: ignore[reportAttributeAccessIssue]


def _checked_transform(transform: Any) -> str:
    if not isinstance(transform, str):
        raise TypeError(f"transform must be a text; got {type(transform).__name__}: give transform.to_json()")
    try:
        json.loads(transform)
    except ValueError:
        raise ValueError(f"transform must be a text of JSON; got {transform[:60]!r}") from None
    return transform


def _refuse_misfit(model: str, shape: tuple[int, ...], names: list[str] | None, classes: list | None) -> None:
    """Refuse names or classes of another number than the parameters of a model with a row for each column of X."""
    if model not in OF_COLUMNS or not shape:
        return
    if names is not None and len(names) != shape[0]:
        raise ValueError(f"names must hold one for each of the {shape[0]} rows of theta; got {len(names)}")
    K = {"logistic": 2, "softmax": shape[-1]}.get(model)
    if classes is not None and len(classes) != K:
        expected = "none: the model is a regression" if K is None else f"{K}, as {model} has with this theta"
        raise ValueError(f"classes must be {expected}; got {len(classes)}")
