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
