"""Checks of what figures are given: numbers on the host, as NumPy's arrays, or a refusal by name."""

from collections.abc import Iterable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jax_course import inputs
from jax_course.inputs.types import ArrayLike


def numbers(values: ArrayLike, name: str, shape: tuple[int | str, ...]) -> np.ndarray:
    """Real numbers of this shape, a letter where any length from 1 on will do. TypeError, ValueError: there are none.

    >>> numbers([1, 2], "y", ("m",))
    array([1., 2.])
    """
    if not inputs.is_concrete(values):
        raise TypeError(f"a figure is drawn on the host: {name} must hold numbers; got what jit or vmap traces")
    like = jax.ShapeDtypeStruct((), jnp.result_type(float))  # so that a figure in float32 does not warn
    array = np.asarray(inputs.as_array(values, name, like=like))
    if array.dtype.kind == "c":
        raise TypeError(f"{name} must hold real numbers; got {array.dtype}")
    fits = array.size and array.ndim == len(shape)
    if not fits or any(isinstance(n, int) and n != got for n, got in zip(shape, array.shape, strict=True)):
        expected = f"({shape[0]},)" if len(shape) == 1 else f"({', '.join(map(str, shape))})"
        raise ValueError(f"{name} must have shape {expected}; got shape {array.shape}")
    return array.astype(float)


def finite(values: ArrayLike, name: str, shape: tuple[int | str, ...]) -> np.ndarray:
    """`numbers` that are all finite. ValueError: one is not, and which."""
    array = numbers(values, name, shape)
    wrong = np.argwhere(~np.isfinite(array))
    if len(wrong):
        place = ", ".join(map(str, wrong[0]))
        raise ValueError(f"{name} must be finite; {name}[{place}] is {array[tuple(wrong[0])]}")
    return array


def interval_ends(interval: Any, name: str, n: int) -> tuple[np.ndarray, np.ndarray]:
    """The lower and upper ends (n,) of n intervals; what is not finite is NaN, which is not drawn."""
    try:
        lower, upper = interval
    except (TypeError, ValueError):
        raise TypeError(
            f"{name} must be a pair (lower, upper), as confidence_interval returns; got {type(interval).__name__}"
        ) from None
    lower, upper = numbers(lower, f"the lower end of {name}", (n,)), numbers(upper, f"the upper end of {name}", (n,))
    wrong = np.flatnonzero(lower > upper)
    if wrong.size:
        i = wrong[0]
        raise ValueError(f"{name} must have lower ≤ upper; at {i} they are {lower[i]:g} and {upper[i]:g}")
    known = np.isfinite(lower) & np.isfinite(upper)
    return np.where(known, lower, np.nan), np.where(known, upper, np.nan)


def texts(names: Iterable[Any] | None, n: int, meaning: str, prefix: str, name: str = "names") -> list[str]:
    """n names; those that were not given are the prefix and a number. TypeError, ValueError: other than n.

    >>> texts(None, 2, "column of X", "x")
    ['x0', 'x1']
    """
    if names is None:
        return [f"{prefix}{i}" for i in range(n)]
    if isinstance(names, str):
        raise TypeError(f"{name} must be {n} strings, one for each {meaning}; got one string: write [{names!r}, …]")
    found = [str(each) for each in names]
    if len(found) != n:
        raise ValueError(f"{name} must be {n} strings, one for each {meaning}; got {len(found)}")
    return found
