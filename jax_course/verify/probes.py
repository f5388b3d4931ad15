"""Probes: the reader's functions on fewer examples, on single ones, on doubled ones.

A factor that depends on the number m of examples, or changes from example to example, shows there. The keywords are at
0 meanwhile, so that the penalty takes no part.
"""

import numpy as np

from jax_course.verify.context import Context, Derivative
from jax_course.verify.evaluation import evaluate, gradients
from jax_course.verify.parameters import Inputs

SINGLE_EXAMPLES = 12  # examples on which both derivatives are computed, spread over all of them
CURVATURES = 2_000, 300  # examples, parameters; with more, Gauss–Newton's and Fisher's matrices take too long

Singles = tuple[np.ndarray, np.ndarray, dict[str, np.ndarray]]


def biases(context: Context, derivative: Derivative) -> np.ndarray:
    """Whether each entry (E,) is that of a bias: by the leaf's name, or by a column of ones in the data."""
    if derivative.name == "value":
        return np.zeros(derivative.layout.size, bool)
    layout, X, marks = context.layout, context.inputs.matrix, []
    ones = (X == X[:1]).all(axis=0) if X is not None and X.shape[0] > 1 else None
    for name, shape in zip(layout.names, layout.shapes, strict=True):
        named = name.split(".")[-1].strip("0123456789_") in ("b", "bias", "biases", "intercept")
        mark = np.full(shape, named)
        if ones is not None and shape[:1] == ones.shape and ones.any():
            mark |= ones.reshape((-1,) + (1,) * (len(shape) - 1))
        marks.append(mark.ravel())
    if derivative.name != "hessian":
        return np.concatenate(marks)
    return np.concatenate([(a[:, None] | b[None, :]).ravel() for a in marks for b in marks])


def lengths(inputs: Inputs) -> dict[str, float]:
    """The lengths that a factor may be, by what they are called in a sentence.

    >>> from jax_course.verify.parameters import flatten_inputs
    >>> lengths(flatten_inputs(sum, np.ones(2), (np.ones((5, 2)),), {})[0])
    {'the number of examples m': 5, 'the number of columns of the data': 2}
    """
    found: dict[str, float] = {}
    if inputs.examples:
        found["the number of examples m"] = inputs.examples
    for array in inputs.arrays:
        if array.ndim == 2 and len(array) == inputs.examples:
            found.setdefault("the number of columns of the data", array.shape[1])
    for name, shape in zip(inputs.layout.names, inputs.layout.shapes, strict=True):
        if len(shape) == 2:
            found.setdefault(f"the number of columns of `{name}` (outputs, classes)", shape[1])
    return found


def averages(context: Context) -> bool | None:
    """Whether the cost is a mean over the examples: the same when each is there twice. False for a sum, else None.

    >>> from jax_course.verify.parameters import flatten_inputs
    >>> inputs, point = flatten_inputs(sum, np.ones(1), (np.array([1.0, 3.0]),), {})
    >>> averages(Context(inputs, lambda t, y: np.mean((y - t) ** 2), point[None], False, False))
    True
    """
    inputs, m = context.inputs.without_penalty(), context.inputs.examples
    if m < 2:
        return None
    try:
        once, twice = (float(np.asarray(evaluate(data, context.cost, context.points[-1:]))[0])
                       for data in (inputs, inputs.rows(np.tile(np.arange(m), 2))))  # fmt: skip
    except Exception:  # a cost that depends on the number of examples in some other way tells nothing
        return None
    if np.isclose(twice, once, rtol=1e-9):
        return True
    return False if np.isclose(twice, 2 * once, rtol=1e-9) else None


def factor_on_half(context: Context, derivative: Derivative, chosen: np.ndarray) -> tuple[float, float] | None:
    """The share of the examples in their first half, and the factor that the chosen entries (k,) have on that half."""
    m = context.inputs.examples
    if m < 4 or derivative.estimate is None:
        return None
    half, points = context.inputs.without_penalty().rows(slice(0, m // 2)), _points(context, derivative)
    try:
        hand, reference = (f(half, points)[:, chosen] for f in (derivative.hand, derivative.estimate))
    except Exception:  # a function that depends on the number of examples in some other way tells nothing
        return None
    square = np.sum(reference**2)
    return (m // 2 / m, float(np.sum(hand * reference) / square)) if square > 0 and np.isfinite(square) else None


def single_examples(context: Context, derivative: Derivative) -> Singles | None:
    """The reader's derivative and the reference on single examples, (k, E) each, and the factors that may be between.

    The factors are arrays with a first axis of length k, by what they are called in a sentence.
    """
    m = context.inputs.examples
    if m < 2 or derivative.estimate is None:
        return None
    inputs, points = context.inputs.without_penalty(), _points(context, derivative)
    chosen = np.unique(np.linspace(0, m - 1, SINGLE_EXAMPLES).astype(int))
    functions = derivative.hand, derivative.estimate
    try:
        pairs = [[f(inputs.rows(slice(i, i + 1)), points)[-1] for f in functions] for i in chosen]
    except Exception:
        return None
    hand, reference = (np.stack(rows) for rows in zip(*pairs, strict=True))
    if hand.shape != reference.shape or hand.shape[1] != derivative.layout.size:
        return None
    return hand, reference, _known_factors(context, points[-1], chosen)


def _points(context: Context, derivative: Derivative) -> np.ndarray:
    """The last point; all of them for a product, which has a direction at each."""
    return context.points if derivative.name == "hessian_product" else context.points[-1:]


def _known_factors(context: Context, point: np.ndarray, chosen: np.ndarray) -> dict[str, np.ndarray]:
    """Functions of z = XW + b at the chosen examples, and data with a number for each example."""
    inputs, X = context.inputs, context.inputs.matrix
    factors = {f"`{name}`": array[chosen] for name, array in inputs.named_arrays(context.cost) if array.ndim == 1}
    leaves = dict(zip(inputs.layout.shapes, inputs.layout.leaves(point), strict=True))
    weights = [shape for shape in leaves if X is not None and shape[:1] == X.shape[1:]]
    if X is None or len(weights) != 1 or not set(leaves) <= {weights[0], weights[0][1:]}:
        return factors
    z = X[chosen] @ leaves[weights[0]] + leaves.get(weights[0][1:], 0.0)
    sigma = 1 / (1 + np.exp(-z))
    factors |= {
        "σ′(z) = σ(1 − σ)": sigma * (1 - sigma), "σ(z)": sigma, "1 − σ(z)": 1 - sigma, "eᶻ": np.exp(z),
        "e⁻ᶻ": np.exp(-z), "tanh′(z)": 1 - np.tanh(z) ** 2, "z": z,
    }  # fmt: skip
    if z.ndim == 2:
        pi = np.exp(z - z.max(axis=1, keepdims=True))
        pi = pi / pi.sum(axis=1, keepdims=True)
        factors |= {"π(1 − π)": pi * (1 - pi), "π": pi, "1 − π": 1 - pi}
    return factors


def approximate_hessians(context: Context, derivative: Derivative) -> list[tuple[str, np.ndarray]]:
    """Gauss–Newton's and Fisher's matrices (n, n) at the last point, from costs c_i and gradients g_i of the examples.

    Without the penalty; for a cost of examples that are summed. Gauss–Newton's only if all costs are positive.
    """
    (examples, parameters), inputs, point = CURVATURES, context.inputs.without_penalty(), context.points[-1:]
    m = inputs.examples
    if derivative.reference is None or not (1 < m <= examples and point.size <= parameters):
        return []
    try:
        singles = [inputs.rows(slice(i, i + 1)) for i in range(m)]
        g = np.concatenate([gradients(single, context.cost, point) for single in singles])
        c = np.concatenate([np.asarray(evaluate(single, context.cost, point)) for single in singles])
    except Exception:
        return []
    gauss_newton = [("Gauss–Newton's Σ JᵀJ", g.T @ (g / (2 * c[:, None])))] if (c > 0).all() else []
    return [*gauss_newton, ("Fisher's Σ g gᵀ", g.T @ g)]


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
