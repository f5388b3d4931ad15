"""Hypotheses on a wrong rule that the Jacobian decides: it is applied and not its transpose, or only its diagonal."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jax_course.compile_cache import Function
from jax_course.verify.evaluation import evaluate, gradients
from jax_course.verify.findings import Finding, Guess, Kind
from jax_course.verify.parts import FIT
from jax_course.verify.primals import Call, Outputs, scalar
from jax_course.verify.rule_checks import Examined

LARGEST_JACOBIAN = 300  # entries of a primal; with more, the diagonal of its Jacobian is not computed
OPEN = (Kind.UNKNOWN, Kind.CHAIN_RULE, Kind.INDEX, Kind.ENTRY)  # guesses that a hypothesis which holds replaces


def explained_by_the_jacobian(examined: Examined, points: np.ndarray, hand: np.ndarray, finding: Finding) -> Finding:
    """The finding, with another kind where the Jacobian J explains the rule; hand: the rule at the points, (p, n)."""
    if finding.kind not in OPEN or finding.leaf not in examined.primals.moving:
        return finding
    name = finding.leaf
    if finding.kind == Kind.UNKNOWN and finding.reference == 0 and finding.hand:
        words = "yours is not 0 where the derivative is: the function is constant there, as rounding is."
        return finding._replace(sentence=f"`{name}`: {words}")
    shape = np.shape(examined.primals.moving[name])
    entries = examined.inputs.layout.slices[examined.inputs.layout.names.index(name)]
    ours = hand[:, entries]
    if finding.kind == Kind.UNKNOWN and (guess := _other_primals(examined, points, ours, entries)):
        return finding._replace(kind=guess.kind, sentence=f"`{name}`: {guess.words}")
    if examined.shapes != (shape,):
        return finding
    product = _rows(examined, points, partial(jacobian_product, name))
    if _same(ours, product):
        words = "yours is J c where Jᵀ c is meant (c: the cotangent): the Jacobian J is not transposed."
        return finding._replace(kind=Kind.TRANSPOSE, sentence=f"`{name}`: {words}")
    if ours.shape[1] <= LARGEST_JACOBIAN and _same(ours, _rows(examined, points, partial(diagonal_product, name))):
        words = "yours is the diagonal of the Jacobian times the cotangent: what is off the diagonal is missing."
        return finding._replace(kind=Kind.DIAGONAL, sentence=f"`{name}`: {words}")
    return finding


def _other_primals(examined: Examined, points: np.ndarray, ours: np.ndarray, entries: slice) -> Guess | None:
    """h is the derivative at a primal that is reversed or transposed, as the kernel of a convolution may be."""
    layout, cost = examined.inputs.layout, examined.call(scalar, with_rule=False)
    for name, shape, place in zip(layout.names, layout.shapes, layout.slices, strict=True):
        arrays = points[:, place].reshape(-1, *shape)
        changes = {}
        if shape and shape[0] > 1:
            words = f"yours is computed with `{name}` in reversed order."
            changes[Guess(Kind.INDEX, words)] = arrays[:, ::-1]
        if len(shape) == 2 and shape[0] == shape[1] > 1:
            words = f"yours is computed with `{name}` transposed: {name} and {name}ᵀ are exchanged somewhere."
            changes[Guess(Kind.TRANSPOSE, words)] = np.swapaxes(arrays, 1, 2)
        for guess, changed in changes.items():
            other = points.copy()
            other[:, place] = changed.reshape(len(points), -1)
            try:
                prediction = gradients(examined.inputs, cost, other)[:, entries]
            except Exception:  # it has no derivative by autodiff
                return None
            if _same(ours, prediction):
                return guess
    return None


def jacobian_product(name: str, outputs: Outputs, moving: Mapping[str, Any], cotangent: Any) -> Any:
    """J c: the tangent of the only output for the cotangent in the place of one primal's tangent."""
    tangents = {other: jnp.zeros_like(leaf) for other, leaf in moving.items()}
    tangents[name] = jnp.asarray(cotangent[0], tangents[name].dtype)
    return jax.jvp(outputs, (moving,), (tangents,))[1][0]


def diagonal_product(name: str, outputs: Outputs, moving: Mapping[str, Any], cotangent: Any) -> Any:
    """diag(J) ∘ c for the Jacobian J of the only output by one primal of its shape."""
    size = np.size(moving[name])
    J = jax.jacobian(lambda one: outputs({**moving, name: one})[0])(moving[name])
    return jnp.diagonal(J.reshape(size, size)) * jnp.ravel(cotangent[0])


def _rows(examined: Examined, points: np.ndarray, quantity: Callable) -> np.ndarray | None:
    """A quantity of the function without its rule, (p, n); None where JAX cannot compute it."""
    call = Function(Call(quantity, examined.rule.plain, examined.primals, examined.shapes))
    try:
        return np.asarray(evaluate(examined.inputs, call, points)).reshape(len(points), -1)
    except Exception:  # no forward mode, say
        return None


def _same(ours: np.ndarray, prediction: np.ndarray | None) -> bool:
    return prediction is not None and bool((np.abs(ours - prediction) <= FIT * np.abs(ours).max()).all())
