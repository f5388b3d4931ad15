"""A function of PyTorch with its inputs: its outputs, its backward, and PyTorch's own derivative of its forward."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

Arrays = Mapping[str, np.ndarray]


class Applied(NamedTuple):
    """A function of PyTorch with its inputs.

    torch: the module. inputs: all of them, in float64 where they are tensors of floating point; names: of each.
    differentiable: the positions of the outputs that it differentiates.
    """

    torch: Any
    function: Any
    inputs: tuple[Any, ...]
    names: tuple[str, ...]
    differentiable: tuple[int, ...]

    @property
    def has_context(self) -> bool:
        """Whether its forward takes ctx; it does not where setup_context is written."""
        return self.function.setup_context is self.torch.autograd.Function.setup_context

    def outputs(
        self, moving: Arrays, *, differentiate: bool = False, with_rule: bool = True
    ) -> tuple[list[Any], dict[str, Any]]:
        """All outputs at these arrays, and the tensors of the arrays by name; with_rule: the backward is theirs."""
        torch = self.torch
        tensors = {name: torch.tensor(_real(value), dtype=torch.float64) for name, value in moving.items()}
        with torch.set_grad_enabled(differentiate):
            for tensor in tensors.values():
                tensor.requires_grad_(differentiate)
            given = [tensors[name].clone() if name in tensors else _copy(torch, value)
                     for name, value in zip(self.names, self.inputs, strict=True)]  # fmt: skip
            ctx = (Context(len(given)),) if self.has_context else ()
            returned = self.function.apply(*given) if with_rule else self.function.forward(*ctx, *given)
        return list(returned) if isinstance(returned, (tuple, list)) else [returned], tensors

    def scalar(self, moving: Arrays, cotangent: list[np.ndarray]) -> np.ndarray:
        """⟨cotangent, outputs⟩."""
        outputs, _ = self.outputs(moving)
        pairs = zip(cotangent, self.differentiable, strict=True)
        return np.asarray(sum(np.vdot(c, outputs[i].detach().numpy()) for c, i in pairs), np.float64)

    def pullback(self, moving: Arrays, cotangent: list[np.ndarray], other: Arrays | None = None) -> dict[str, Any]:
        """The backward's gradients; other: arrays for another forward pass in between."""
        outputs, tensors = self.outputs(moving, differentiate=True)
        if other is not None:
            self.outputs(other, differentiate=True)
        return self._gradients(outputs, tensors, moving, cotangent)

    def autograd(self, moving: Arrays, cotangent: list[np.ndarray]) -> dict[str, Any]:
        """The gradients of the forward's own operations. Errors: PyTorch's, where it cannot differentiate them."""
        outputs, tensors = self.outputs(moving, differentiate=True, with_rule=False)
        return self._gradients(outputs, tensors, moving, cotangent)

    def _gradients(
        self, outputs: list[Any], tensors: dict[str, Any], moving: Arrays, cotangent: list[np.ndarray]
    ) -> dict[str, Any]:
        seen = [outputs[i] for i in self.differentiable]
        c = [self.torch.tensor(_real(one), dtype=out.dtype) for one, out in zip(cotangent, seen, strict=True)]
        found = self.torch.autograd.grad(seen, list(tensors.values()), c, allow_unused=True)
        zeros = [np.zeros(np.shape(value)) for value in moving.values()]
        return {name: zero if g is None else g.numpy() for name, g, zero in zip(tensors, found, zeros, strict=True)}


class Context:
    """A stand-in for ctx: its forward runs, its operations are differentiated, and its backward is not called."""

    def __init__(self, count: int):
        self.needs_input_grad = (True,) * count
        self.saved_tensors: tuple[Any, ...] = ()

    def save_for_backward(self, *tensors: Any) -> None:
        """Keep tensors for the backward."""
        self.saved_tensors = tensors

    def save_for_forward(self, *tensors: Any) -> None:
        """Keep tensors for forward mode: nothing to do."""

    def mark_non_differentiable(self, *tensors: Any) -> None:
        """Mark outputs: nothing to do."""

    def mark_dirty(self, *tensors: Any) -> None:
        """Mark inputs that are changed in place: nothing to do."""

    def set_materialize_grads(self, value: bool) -> None:
        """Whether missing cotangents are zeros: nothing to do."""


def _real(value: Any) -> np.ndarray:
    array = np.array(value)
    if array.dtype.kind == "c":
        raise TypeError("the function takes real numbers")
    return array


def _copy(torch: Any, value: Any) -> Any:
    return value.clone() if torch.is_tensor(value) else value
