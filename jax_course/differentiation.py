"""Refusals of derivatives that autodiff would get wrong, or not at all, with a sentence that says what to do.

A result passes through an identity. It costs nothing, and it raises where autodiff asks for its derivative.
"""

from typing import Any, NoReturn

import jax
import jax.numpy as jnp
from jax import Array
from jax.extend.core import Primitive
from jax.interpreters import ad, batching, mlir


def forward_only(results: Any, name: str) -> Any:
    """The results of `name`, which jax.jvp and jax.jacfwd differentiate, and jax.grad and jax.vjp refuse.

    >>> float(jax.jvp(lambda t: forward_only(3 * t, "a fit"), (1.0,), (1.0,))[1])
    3.0
    """
    sentence = (
        f"{name} has no reverse mode: its loops end where the data let them. Use jax.jvp or jax.jacfwd, or "
        "differentiate the condition that the gradient vanishes: dθ/dp = −H⁻¹ ∂g/∂p"
    )
    return _through(_forward_only, results, sentence)


def not_differentiable(results: Any, name: str) -> Any:
    """The results of `name`, whose derivatives are refused in both modes."""
    sentence = (
        f"{name} cannot be differentiated: autodiff would follow its steps, whose lengths are chosen, and not the "
        "minimiser. Use newton with jax.jvp, or differentiate the condition that the gradient vanishes: "
        "dθ/dp = −H⁻¹ ∂g/∂p"
    )
    return _through(_not_differentiable, results, sentence)


def _through(primitive: Primitive, results: Any, sentence: str) -> Any:
    def one(leaf: Any) -> Any:
        is_float = isinstance(leaf, Array) and jnp.issubdtype(leaf.dtype, jnp.inexact)
        return primitive.bind(leaf, sentence=sentence) if is_float else leaf

    return jax.tree_util.tree_map(one, results)


def _identity(name: str) -> Primitive:
    primitive = Primitive(name)
    primitive.def_impl(lambda x, sentence: x)
    primitive.def_abstract_eval(lambda x, sentence: x)
    batching.primitive_batchers[primitive] = lambda x, axis, sentence: (
        primitive.bind(*x, sentence=sentence),
        axis[0],
    )
    mlir.register_lowering(primitive, lambda context, x, sentence: [x])
    return primitive


def _refuse(*_: Any, sentence: str) -> NoReturn:
    raise TypeError(sentence)


_forward_only, _not_differentiable = _identity("forward_only"), _identity("not_differentiable")
ad.deflinear2(_forward_only, _refuse)
ad.primitive_jvps[_not_differentiable] = _refuse
