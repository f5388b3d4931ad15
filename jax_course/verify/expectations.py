"""Expected second derivatives, Fisher's information: the mean over targets as the model has them."""

import contextlib
from typing import Any

import numpy as np

from jax_course.compile_cache import Function
from jax_course.verify.context import Context, Derivative
from jax_course.verify.evaluation import evaluate, gradients, hessians
from jax_course.verify.parameters import Inputs, flatten_inputs
from jax_course.verify.probes import CURVATURES, averages

TARGETS = 60  # over which a second derivative is expected: two second derivatives for each


def expected_hessians(context: Context, derivative: Derivative, points: np.ndarray) -> list[tuple[str, np.ndarray]]:
    """The second derivative (E,) at the last point with the mean of each target in its place; and the targets' name.

    The mean gradient of an example is 0: that tells the mean of its target where the gradient is affine in it, and the
    weight of each of two values where there are two.
    """
    (examples, parameters), inputs, point = CURVATURES, context.inputs.without_penalty(), context.points[-1:]
    m, found = inputs.examples, []
    if not context.has_gradient or not (1 < m <= examples // 10 and point.size <= parameters):
        return []
    if derivative.estimate is None or averages(context) is None:  # no sum over the examples
        return []
    for name, array in inputs.named_arrays(context.cost):
        if array.ndim != 1 or array.dtype.kind not in "fiu" or len(values := np.unique(array)) < 2:
            continue
        ends = (values[0], values[-1]) if len(values) == 2 else (0.0, 1.0)
        try:
            low, high = (_single_gradients(context, inputs, array, np.full(m, value, array.dtype)) for value in ends)
            weights = _weights(low, high)
            if weights is None:
                continue
            if len(values) == 2:
                found.append((name, _mixed(context, derivative, points, array, ends, weights)))
            else:
                other = _with_targets(context.inputs, array, weights)
                found.append((name, derivative.estimate(other, points)[-1]))
        except Exception:  # a cost that does not take such data
            continue
    return found


def expected_hessians_of_normal_data(
    context: Context, derivative: Derivative, points: np.ndarray
) -> list[tuple[str, np.ndarray]]:
    """The second derivative (E,) at the last point, expected over targets of which the cost is a quadratic function.

    The targets then are normal, with the inverse of that function's matrix as covariance Σ. The second derivative is
    quadratic in them, too: its expectation is H(μ) + Σ_k (H(μ + s_k) + H(μ − s_k))/2 − H(μ), with Σ = Σ_k s_k s_kᵀ.
    """
    found, inputs, estimate = [], context.inputs, derivative.estimate
    if estimate is None or not context.has_gradient:
        return []
    last = points if derivative.name == "hessian_product" else points[-1:]
    for name, array in inputs.named_arrays(context.cost):
        if array.ndim != 1 or array.dtype.kind != "f" or not 1 < array.size <= TARGETS:
            continue

        def of_targets(targets: Any, array: np.ndarray = array) -> Any:
            return _with_targets(inputs, array, targets).call(context.cost, points[-1])

        def second(targets: np.ndarray, array: np.ndarray = array) -> np.ndarray:
            return estimate(_with_targets(inputs, array, targets), last)[-1]

        with contextlib.suppress(Exception):  # a cost that does not take such data
            if not _is_quadratic(context, array, points[-1:]):
                continue
            (alone, _), function = flatten_inputs(of_targets, array, (), {}), Function(of_targets)
            matrix, other = hessians(alone, function, np.stack([array, array + 1]))
            values, vectors = np.linalg.eigh(matrix)
            if values[0] <= 1e-12 * values[-1] or not np.allclose(matrix, other, rtol=1e-9, atol=1e-12 * values[-1]):
                continue
            mean = array - np.linalg.solve(matrix, gradients(alone, function, array[None])[0])
            center, moves = second(mean), (vectors / np.sqrt(values)).T
            found.append((name, center + sum((second(mean + s) + second(mean - s)) / 2 - center for s in moves)))
    return found


def _is_quadratic(context: Context, array: np.ndarray, points: np.ndarray) -> bool:
    """Whether the cost is a quadratic function of an array of data, and no linear one: along one direction."""
    d = np.cos(np.arange(array.size)) * max(np.std(array), 1e-3)
    values = [float(np.asarray(evaluate(_with_targets(context.inputs, array, array + k * d), context.cost, points))[0])
              for k in range(4)]  # fmt: skip
    second = np.diff(values, 2)
    return bool(
        np.isfinite(second).all() and abs(second[1] - second[0]) <= 1e-9 * np.abs(values).max() < abs(second[0])
    )


def _weights(low: np.ndarray, high: np.ndarray) -> np.ndarray | None:
    """The weights (m,) of the second of two gradients (m, n) with which their mean is 0; None if there are none."""
    change = high - low
    size = np.sum(change**2, axis=1)
    if not size.all():
        return None
    weights = -np.sum(low * change, axis=1) / size
    vanishes = np.allclose(low + weights[:, None] * change, 0, atol=1e-9 * np.abs(low).max())
    return weights if vanishes else None


def _mixed(context: Context, derivative: Derivative, points, array, ends, weights: np.ndarray) -> np.ndarray:
    """The second derivative with each example's two possible targets, weighted."""
    assert derivative.estimate is not None
    bare = context.inputs.without_penalty()
    total = derivative.estimate(context.inputs, points)[-1] - derivative.estimate(bare, points)[-1]
    scale = 1 / len(array) if averages(context) else 1.0
    for value, shares in ((ends[0], 1 - weights), (ends[1], weights)):
        changed = _with_targets(bare, array, np.full(len(array), value, array.dtype))
        for i, share in enumerate(shares):
            total = total + scale * share * derivative.estimate(changed.rows(slice(i, i + 1)), points)[-1]
    return total


def _with_targets(inputs: Inputs, array: np.ndarray, targets: np.ndarray) -> Inputs:
    return inputs.with_arrays(lambda a: targets if a is array else a)


def _single_gradients(context: Context, inputs: Inputs, array: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """The gradients (m, n) at the last point of the cost of each example, with these targets in the array's place."""
    changed = _with_targets(inputs, array, targets)
    singles = [changed.rows(slice(i, i + 1)) for i in range(inputs.examples)]
    return np.concatenate([gradients(single, context.cost, context.points[-1:]) for single in singles])
