"""The structure of a tree of numbers and arrays as JSON, and the tree of a structure. No class is looked up by a path.

    {"kind": "dict", "parts": {"w": {"kind": "array", "dtype": "float64", "shape": [3]}}}

A kind is "none", "dict", "list", "tuple", one of `RECORDS`, or that of a leaf: "array", "bool", "int" or "float".
"""

from typing import Any

import jax.numpy as jnp
import numpy as np

from jax_course import inputs
from jax_course.archive import Kind, dtype, is_key, plain
from jax_course.data import Standardization
from jax_course.networks.layers import LinearParams, RBFParams
from jax_course.probability.gaussian import Gaussian
from jax_course.regression.kernel import WithBias

KIND = Kind("model", 1, ValueError)
RECORDS: dict[str, Any] = {
    "data.Standardization": Standardization,
    "gaussian.Gaussian": Gaussian,
    "kernel.WithBias": WithBias,
    "networks.layers.LinearParams": LinearParams,
    "networks.layers.RBFParams": RBFParams,
}
NUMBERS = {"bool": bool, "int": int, "float": float}


def described(tree: Any, name: str, arrays: dict[str, np.ndarray]) -> dict[str, Any]:
    """The structure of a tree; its arrays go to `arrays`, each by its place in the tree.

    TypeError: the tree holds another class, or what is no number.

    >>> arrays = {}
    >>> described({"w": np.ones(3)}, "theta", arrays)
    {'kind': 'dict', 'parts': {'w': {'kind': 'array', 'dtype': 'float64', 'shape': [3]}}}
    >>> arrays
    {"theta['w']": array([1., 1., 1.])}
    """
    if tree is None:
        return {"kind": "none"}
    record = next((known for known, kind in RECORDS.items() if type(tree) is kind), None)
    if record is not None:
        parts = {field: described(part, f"{name}.{field}", arrays) for field, part in tree._asdict().items()}
        return {"kind": record, "parts": parts}
    if type(tree) is dict:
        if others := [key for key in tree if type(key) is not str]:
            raise TypeError(f"the keys of {name} must be strings; got {others[0]!r}")
        return {
            "kind": "dict",
            "parts": {key: described(part, f"{name}[{key!r}]", arrays) for key, part in tree.items()},
        }
    if type(tree) in (list, tuple):
        parts = [described(part, f"{name}[{i}]", arrays) for i, part in enumerate(tree)]
        return {"kind": type(tree).__name__, "parts": parts}
    _refuse_other_classes(tree, name)
    if isinstance(tree, np.ndarray) and not tree.dtype.isnative:
        tree = tree.astype(tree.dtype.type)
    arrays[name] = plain(tree, name, KIND)
    kind = type(tree).__name__ if type(tree) in NUMBERS.values() else "array"
    return {"kind": kind, "dtype": str(dtype(tree)), "shape": list(arrays[name].shape)}


def _refuse_other_classes(leaf: Any, name: str) -> None:
    """Refuse what holds parameters and is no array: a solution, an object of a class that a file cannot name."""
    came = type(leaf).__name__
    if hasattr(leaf, "theta"):
        raise TypeError(f"{name} must be the parameters; got a {came}: give its .theta")
    if isinstance(leaf, dict | list | tuple):
        raise TypeError(
            f"a model file holds arrays in dicts, lists, tuples and {', '.join(RECORDS)}; {name} is a {came}: put its "
            "arrays into a dict"
        )
    if is_key(leaf) or dtype(leaf) in (np.longdouble, np.clongdouble):
        raise TypeError(f"a model holds numbers that every machine knows; {name} is of {dtype(leaf)}")


def rebuilt(node: dict[str, Any], name: str, arrays: dict[str, np.ndarray]) -> Any:
    """The tree of a structure. Its arrays are taken out of `arrays`. The structure is from a file: it may be anything.

    Errors: KeyError, TypeError, ValueError or AttributeError: it is no structure, or not that of the arrays.

    >>> rebuilt({"kind": "tuple", "parts": [{"kind": "none"}]}, "theta", {})
    (None,)
    """
    kind, parts = node["kind"], node.get("parts", {})
    if kind == "none":
        return None
    if kind == "dict":
        return {key: rebuilt(part, f"{name}[{key!r}]", arrays) for key, part in parts.items()}
    if kind in RECORDS:
        return RECORDS[kind](**{key: rebuilt(part, f"{name}.{key}", arrays) for key, part in parts.items()})
    if kind in ("list", "tuple"):
        listed = [rebuilt(part, f"{name}[{i}]", arrays) for i, part in enumerate(parts)]
        return listed if kind == "list" else tuple(listed)
    if kind != "array" and kind not in NUMBERS:
        raise ValueError(f"{name} is a {kind!r}, which is not known")
    if name not in arrays:
        raise ValueError(f"there is no {name}")
    array = arrays.pop(name)
    of_file, of_description = jnp.dtype(node["dtype"]), tuple(node["shape"])
    in_numpy = of_file.isbuiltin == 1
    stored = of_file if in_numpy else np.dtype(f"u{of_file.itemsize}")
    if (array.dtype, array.shape) != (stored, of_description):
        raise ValueError(f"{name} must be {stored} of shape {of_description}; it is {array.dtype} of {array.shape}")
    if kind in NUMBERS:
        return NUMBERS[kind](array.item())
    return inputs.as_array(array, name) if in_numpy else jnp.asarray(array.view(of_file))
