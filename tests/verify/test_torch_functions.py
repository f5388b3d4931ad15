"""PyTorch's autograd.Function: right backwards are cleared, wrong ones rejected under the right name."""

import numpy as np
import pytest

from jax_course import verify
from jax_course.verify import Kind

torch = pytest.importorskip("torch")

x = np.array([0.3, -1.2, 2.0, 0.7])
X, W = np.arange(20.0).reshape(5, 4) / 10 - 1, np.arange(12.0).reshape(4, 3) / 10
b = np.array([0.5, -0.2, 0.1])


def wave(backward, forward=lambda x: x * torch.sin(x)):
    """A function of one tensor; backward: of x and the cotangent."""

    class Wave(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return forward(x)

        @staticmethod
        def backward(ctx, g):
            return backward(*ctx.saved_tensors, g)

    return Wave


def slope(x):
    return torch.sin(x) + x * torch.cos(x)


def dense(backward):
    """Three tensors, in the style with setup_context."""

    class Dense(torch.autograd.Function):
        @staticmethod
        def forward(X, W, b):
            return X @ W + b

        @staticmethod
        def setup_context(ctx, inputs, output):
            ctx.save_for_backward(*inputs)

        @staticmethod
        def backward(ctx, g):
            return backward(*ctx.saved_tensors, g)

    return Dense


def pair(sign):
    """Two outputs, an index beside them, and a number that is no tensor."""

    class Pair(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x, power):
            ctx.save_for_backward(x)
            ctx.power = power
            top = torch.argmax(x)
            ctx.mark_non_differentiable(top)
            return torch.sin(x), top, torch.sum(x**power)

        @staticmethod
        def backward(ctx, by_sine, _, by_sum):
            (x,) = ctx.saved_tensors
            return by_sine * torch.cos(x) + sign * by_sum * ctx.power * x ** (ctx.power - 1), None

    return Pair


kept = {}


class LastCall(torch.autograd.Function):
    """What it needs for the backward pass is kept in a global, not in ctx."""

    @staticmethod
    def forward(ctx, x):
        kept["x"] = x
        return x * torch.sin(x)

    @staticmethod
    def backward(ctx, g):
        return g * slope(kept["x"])


def in_numpy(factor):
    """The forward leaves PyTorch, so that only differences are left."""
    return wave(lambda x, g: factor * g * slope(x), lambda x: torch.tensor(np.sin(x.detach().numpy())) * x.detach())


RIGHT = {
    "NumPy inside": (in_numpy(1), x),
    "wave": (wave(lambda x, g: g * slope(x)), x),
    "float32": (wave(lambda x, g: g * slope(x)), torch.tensor(x, dtype=torch.float32)),
    "dense": (dense(lambda X, W, b, g: (g @ W.T, X.T @ g, g.sum(0))), X, W, b),
    "bias summed by PyTorch": (dense(lambda X, W, b, g: (g @ W.T, X.T @ g, g)), X, W, b),
    "two outputs": (pair(1), x, 2),
}
WRONG = {
    "NumPy inside": (Kind.SIGN, in_numpy(-1), x),
    "sign": (Kind.SIGN, wave(lambda x, g: -g * slope(x)), x),
    "factor": (Kind.FACTOR, wave(lambda x, g: 2 * g * slope(x)), x),
    "nothing": (Kind.MISSING, wave(lambda x, g: None), x),
    "an entry": (Kind.ENTRY, wave(lambda x, g: g * slope(x) * torch.tensor([1, 1.01, 1, 1]).double()), x),
    "transposed": (Kind.TRANSPOSE, dense(lambda X, W, b, g: (g @ W.T, g.T @ X, g.sum(0))), X, np.eye(4) + W[:, :1], x),
    "mean over the batch": (Kind.FACTOR, dense(lambda X, W, b, g: (g @ W.T, X.T @ g / 5, g.mean(0))), X, W, b),
    "cotangent ignored": (Kind.COTANGENT, wave(lambda x, g: slope(x)), x),
    "clipped": (Kind.NONLINEAR, wave(lambda x, g: g.clamp(-1, 1) * slope(x)), x),
    "a gradient too few": (Kind.SHAPE, dense(lambda X, W, b, g: (g @ W.T, X.T @ g)), X, W, b),
    "another shape": (Kind.SHAPE, wave(lambda x, g: (g * slope(x))[:2]), x),
    "half precision": (Kind.DTYPE, wave(lambda x, g: (g * slope(x)).half()), x),
    "residual of the last call": (Kind.STALE, LastCall, x),
    "one output's sign": (Kind.SIGN, pair(-1), x, 2),
    "raises": (Kind.UNKNOWN, wave(lambda x, g: g @ g.new_ones(7)), x),
}


@pytest.mark.parametrize("case", RIGHT.values(), ids=list(RIGHT))
def test_a_right_backward_is_cleared(case):
    report = verify.torch_function(*case)
    assert report.ok is True, str(report)


@pytest.mark.parametrize("case", WRONG.values(), ids=list(WRONG))
def test_a_wrong_backward_is_rejected_and_named(case):
    kind, *given = case
    report = verify.torch_function(*given)
    assert report.ok is False, str(report)
    assert {finding.kind for finding in report.findings} == {kind}, str(report)
    assert all(len(line) <= 80 for line in str(report).splitlines())


def test_pytorch_s_own_derivative_is_a_witness():
    report = verify.torch_function(wave(lambda x, g: g * slope(x)), np.linspace(0.1, 3, 1000))
    assert report.ok is True
    assert report.parameters == 1000
    assert [one.verdict for one in report.witnesses if one.name == "PyTorch's autograd"] == ["agrees"]


def test_the_output_is_named_and_what_is_no_function_is_refused():
    (finding,) = verify.torch_function(pair(-1), x, 2).findings
    assert finding.sentence.startswith("for the cotangent of output 2, `x`")
    with pytest.raises(TypeError, match=r"expected a subclass of torch.autograd.Function; got builtin_function"):
        verify.torch_function(torch.sin, x)
    with pytest.raises(TypeError, match="no tensor of floating point"):
        verify.torch_function(LastCall, torch.arange(3))
    with pytest.raises(ValueError, match="forward raised RuntimeError in float64"):
        verify.torch_function(wave(lambda x, g: g, lambda x: x @ torch.ones(7, dtype=x.dtype)), x)
