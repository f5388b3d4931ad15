"""Refusals of shapes and dtypes: what was expected and what came, before any work.

Every public function is checked while it is traced, which costs nothing under jit. Values: `jax_course.inputs.values`.
"""

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from jax_course.inputs.arrays import as_array, converted, from_host, small_host_copy
from jax_course.inputs.types import ArrayLike

Like = Array | jax.ShapeDtypeStruct  # an array, or one without values: only its shape and dtype count


def design(X: ArrayLike) -> Array:
    """X as an array of floating-point numbers, shape (m, d), m and d at least 1."""
    X = as_array(X, "X")
    if not jnp.issubdtype(X.dtype, jnp.floating):
        hint = (
            "give its real and imaginary parts as columns" if X.dtype.kind == "c" else "convert it with X.astype(float)"
        )
        raise TypeError(f"X must hold floating-point numbers; got {X.dtype}: {hint}")
    if X.ndim != 2:
        raise ValueError(
            f"X must have shape (m, d), a row per example and a column per feature; got shape {X.shape}"
            + (": for a single feature write X[:, None]" if X.ndim == 1 else "")
        )
    if 0 in X.shape:
        raise ValueError(f"X must have at least one row and one column; got shape {X.shape}")
    return X


def linear(theta: ArrayLike, X: ArrayLike) -> tuple[Array, Array]:
    """theta (d,) and X (m, d), of one dtype."""
    X = design(X)
    return parameters(theta, X, (X.shape[1],), "one parameter per column of X"), X


def regression(theta: ArrayLike, X: ArrayLike, y: ArrayLike) -> tuple[Array, Array, Array]:
    """theta (d,), X (m, d) and y (m,), of one dtype; whole numbers and truth values in y become that dtype."""
    theta, X = linear(theta, X)
    return theta, X, targets(y, X)


def class_scores(theta: ArrayLike, X: ArrayLike) -> tuple[Array, Array]:
    """theta (d, K) with K ≥ 2 and X (m, d), of one dtype."""
    X = design(X)
    theta = as_array(theta, "theta", like=X)
    if theta.ndim != 2 or theta.shape[0] != X.shape[1] or theta.shape[1] < 2:
        raise ValueError(
            f"theta must have shape ({X.shape[1]}, K), a row per column of X and a column for each of K ≥ 2 classes; "
            f"got shape {theta.shape}"
        )
    return parameters(theta, X, theta.shape, "a row per column of X"), X


def classification(theta: ArrayLike, X: ArrayLike, y: ArrayLike) -> tuple[Array, Array, Array]:
    """theta (d, K), X (m, d) and the class numbers y (m,)."""
    theta, X = class_scores(theta, X)
    return theta, X, class_numbers(y, X)


def penalized_regression(
    theta: ArrayLike, X: ArrayLike, y: ArrayLike, penalty: ArrayLike, weights: ArrayLike
) -> tuple[Array, Array, Array, Array, Array]:
    """theta (d,), X (m, d), y (m,), a penalty for every parameter, and the weights of the examples."""
    theta, X, y = regression(theta, X, y)
    return theta, X, y, penalties(penalty, theta), example_weights(weights, X)


def penalized_classification(
    theta: ArrayLike, X: ArrayLike, y: ArrayLike, penalty: ArrayLike, weights: ArrayLike
) -> tuple[Array, Array, Array, Array, Array]:
    """theta (d, K), X (m, d), class numbers y (m,), a penalty for every parameter, and the weights of the examples."""
    theta, X, y = classification(theta, X, y)
    return theta, X, y, penalties(penalty, theta), example_weights(weights, X)


def targets(y: ArrayLike, X: Like) -> Array:
    """y as shape (m,) of the dtype of X (m, …)."""
    return real_numbers(one_per_row(y, X), X)


def real_numbers(y: Array, X: Like) -> Array:
    """Targets of any shape in the dtype of X."""
    if jnp.issubdtype(y.dtype, jnp.floating) and y.dtype != X.dtype:
        raise TypeError(f"y must have the dtype of X, {X.dtype}; got {y.dtype}: convert one of them")
    if y.dtype.kind == "c":
        raise TypeError(f"y must hold real numbers; got {y.dtype}")
    return converted(y, X.dtype)


def target_rows(y: ArrayLike, z: Array) -> Array:
    """y as an array of the shape and dtype of z."""
    y = as_array(y, "y", like=z)
    if y.shape != z.shape:
        raise ValueError(f"y must have shape {z.shape}, that of the predictions; got shape {y.shape}")
    if jnp.issubdtype(y.dtype, jnp.floating) and y.dtype != z.dtype:
        raise TypeError(f"y must have the dtype of X, {z.dtype}; got {y.dtype}: convert one of them")
    return y.astype(z.dtype)


def class_numbers(y: ArrayLike, X: Like) -> Array:
    """y as int32, shape (m,); what can be no class, negative or huge, becomes the largest number there is."""
    return as_int32(integer_per_row(y, X))


def integer_per_row(y: ArrayLike, X: Like) -> Array:
    """y as shape (m,), of whole numbers or truth values, as they come."""
    y = as_array(y, "y", like=X)
    if y.ndim == 2 and y.shape[0] == X.shape[0] and y.shape[1] > 1:
        raise ValueError(
            f"y must hold a class number per row of X, shape ({X.shape[0]},); got shape {y.shape}: of rows with a 1 in "
            "the column of their class, np.argmax(y, axis=1) is the class number"
        )
    y = one_per_row(y, X)
    if y.dtype.kind not in "iub":
        hint = ": number the classes by y, classes = data.encode(y)" if y.dtype.kind == "f" else ""
        raise TypeError(f"y must hold class numbers 0…K−1, integers; got {y.dtype}{hint}")
    return y


def as_int32(numbers: Array) -> Array:
    """The numbers as int32; the largest there is in the place of a negative or larger one."""
    largest = jnp.iinfo(jnp.int32).max
    if numbers.dtype.kind == "b":
        return numbers.astype(jnp.int32)
    known = small_host_copy(numbers)
    if known is not None:
        beyond = (known < 0) | (known > largest)
        return from_host(np.where(beyond, np.int32(largest), known.astype(np.int32)), jnp.int32)
    beyond = numbers < 0 if jnp.iinfo(numbers.dtype).max <= largest else (numbers < 0) | (numbers > largest)
    return jnp.where(beyond, largest, numbers.astype(jnp.int32))


def penalties(penalty: ArrayLike, theta: Like) -> Array:
    """The penalty of every parameter: the scalar or array given, in the shape and dtype of theta."""
    penalty = as_array(penalty, "penalty", like=theta)
    if penalty.dtype.kind in "bc":
        raise TypeError(f"penalty must hold real numbers; got {penalty.dtype}")
    if penalty.ndim == 1 and theta.ndim == 2 and theta.shape[0] == theta.shape[1]:
        raise ValueError(
            f"penalty for theta of shape {theta.shape} must be a scalar or have two axes; got shape {penalty.shape}: "
            "write penalty[:, None] for one per column of X, penalty[None, :] for one per class"
        )
    known = small_host_copy(penalty)
    try:
        if known is not None:
            return from_host(np.broadcast_to(known, theta.shape), theta.dtype)
        return jnp.broadcast_to(penalty.astype(theta.dtype), theta.shape)
    except ValueError:
        raise ValueError(
            f"penalty must be a scalar or broadcast against theta, shape {theta.shape}; got shape {penalty.shape}"
        ) from None


def per_center(theta: ArrayLike, centers: Array) -> Array:
    """theta (n,), one per row of centers (n, d), in their dtype."""
    theta = as_array(theta, "theta", like=centers)
    if theta.shape != (len(centers),):
        raise ValueError(f"theta must have shape ({len(centers)},), one per center; got shape {theta.shape}")
    if theta.dtype != centers.dtype:
        raise TypeError(f"theta must have the dtype of X, {centers.dtype}; got {theta.dtype}: convert one of them")
    return theta


def one_penalty(penalty: ArrayLike, X: Array) -> Array:
    """A penalty that is the same for all parameters, a scalar in the dtype of X."""
    penalty = as_array(penalty, "penalty", like=X)
    if penalty.ndim:
        raise ValueError(f"penalty must be a scalar, the same for all kernels; got shape {penalty.shape}")
    return penalties(penalty, jax.ShapeDtypeStruct((), X.dtype))


def example_weights(weights: ArrayLike, X: Like) -> Array:
    """The weights of the examples in the dtype of X (m, …): shape (m,), or () where all count alike."""
    return _scalar_or_per_row(weights, "weights", X)


def score_offset(offset: ArrayLike, X: Like) -> Array:
    """The offset of the scores Xθ in the dtype of X (m, …): shape (m,), or () where it is the same for all."""
    return _scalar_or_per_row(offset, "offset", X)


def _scalar_or_per_row(values: ArrayLike, name: str, X: Like) -> Array:
    values = as_array(values, name, like=X)
    if values.dtype.kind == "c":
        raise TypeError(f"{name} must hold real numbers; got {values.dtype}")
    if values.shape not in ((), (X.shape[0],)):
        raise ValueError(
            f"{name} must be a scalar or have shape ({X.shape[0]},), a value per row of X; got shape {values.shape}"
        )
    return converted(values, X.dtype)


def more_rows(X_new: ArrayLike, X: Array, name: str = "X_new") -> Array:
    """More rows, at least one, with the columns and the dtype of X."""
    X_new = as_array(X_new, name, like=X)
    if X_new.ndim != 2 or X_new.shape[1] != X.shape[1] or not len(X_new):
        raise ValueError(f"{name} must have shape (n, {X.shape[1]}), the columns of X; got shape {X_new.shape}")
    if X_new.dtype != X.dtype:
        raise TypeError(f"{name} must have the dtype of X, {X.dtype}; got {X_new.dtype}: convert one of them")
    return X_new


def direction(v: ArrayLike, theta: Array) -> Array:
    """v as an array of the shape and dtype of theta."""
    v = as_array(v, "v", like=theta)
    if v.shape != theta.shape or v.dtype != theta.dtype:
        raise ValueError(
            f"v must be like theta, {theta.dtype} of shape {theta.shape}; got {v.dtype} of shape {v.shape}"
        )
    return v


def whole(value: int | Array, name: str) -> int | Array:
    """The value; refused where it is no whole number."""
    array = value if isinstance(value, Array) else np.asarray(value)
    if array.ndim != 0 or array.dtype.kind not in "iu":
        raise TypeError(f"{name} must be a whole number; got {value!r}")
    return value


def parameters(theta: ArrayLike, X: Array, shape: tuple[int, ...], meaning: str) -> Array:
    """theta of this shape, in the dtype of X."""
    theta = as_array(theta, "theta", like=X)
    if theta.shape != shape:
        raise ValueError(f"theta must have shape {shape}, {meaning}; got shape {theta.shape}")
    if theta.dtype != X.dtype:
        raise TypeError(f"theta must have the dtype of X, {X.dtype}; got {theta.dtype}: convert one of them")
    return theta


def one_per_row(y: ArrayLike, X: Like) -> Array:
    """y as shape (m,), of any numbers."""
    y = as_array(y, "y", like=X)
    if y.shape != (X.shape[0],):
        raise ValueError(
            f"y must have shape ({X.shape[0]},), a value per row of X; got shape {y.shape}" + _hint_for_one_column(y, X)
        )
    return y


def _hint_for_one_column(y: Array, X: Like) -> str:
    if y.ndim != 2 or y.shape[0] != X.shape[0]:
        return ""
    return ": write np.ravel(y)" if y.shape[1] == 1 else ": give one target at a time, y[:, 0] and so on"
