"""PyTorch's autograd.Function: is its backward the derivative of its forward, and if not, what is wrong?

PyTorch is imported only here, when a function is examined. ⟨c, forward(inputs)⟩ for a seeded cotangent c is a cost in
NumPy, whose gradient the backward claims to give. PyTorch's autograd of the forward's own operations is the reference
where there is one, and differences of the forward in float64 decide.
"""

import importlib
import inspect
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from jax_course.compile_cache import Function
from jax_course.verify.context import Context, Derivative, first_line
from jax_course.verify.evaluation import evaluate
from jax_course.verify.examine import examine, run_checks, seeded_points
from jax_course.verify.findings import Finding, Kind, Witness
from jax_course.verify.parameters import Inputs, double_precision, flatten_inputs
from jax_course.verify.report import Report
from jax_course.verify.rule_checks import SAME, SCALES, departure, random_like
from jax_course.verify.rule_examination import OUTPUTS, by_outputs, in_words_of_rules
from jax_course.verify.rule_structure import RULE, STRUCTURE, failure, mismatch
from jax_course.verify.torch_calls import Applied, Arrays


def torch_function(function: Any, *inputs: Any) -> Report:
    """Examine the backward of a subclass of `torch.autograd.Function` at function.apply(*inputs).

    Tensors of floating point (and NumPy arrays, of which tensors are made) are differentiated by, in float64 on the
    CPU; all other inputs are handed on. Outputs may be several; those marked as non-differentiable are left out.
    Errors: ImportError without PyTorch (extra torch); TypeError for another function, or without a tensor of floating
    point; ValueError if the forward raises.
    """
    started = time.perf_counter()
    torch = _import_torch()
    if not (isinstance(function, type) and issubclass(function, torch.autograd.Function)):
        raise TypeError(f"expected a subclass of torch.autograd.Function; got {type(function).__name__}")
    applied, moving = _apply(torch, function, inputs)
    with double_precision():
        report = _examine(*_with_outputs(applied, moving), moving)
    return report._replace(seconds=time.perf_counter() - started)


def _import_torch() -> Any:
    try:
        return importlib.import_module("torch")
    except ModuleNotFoundError as error:
        raise ImportError("verify.torch_function needs PyTorch: pip install 'jax-course[torch]'") from error


def _apply(torch: Any, function: Any, inputs: tuple[Any, ...]) -> tuple[Applied, dict[str, np.ndarray]]:
    """The function with its inputs in float64, and those that it is differentiated by, as arrays by name."""
    parameters = list(inspect.signature(function.forward).parameters.values())
    parameters = parameters[Applied(torch, function, (), (), ()).has_context :]  # without ctx
    known = [p.name for p in parameters if p.kind <= p.POSITIONAL_OR_KEYWORD][: len(inputs)]
    names = (*known, *(f"input {i + 1}" for i in range(len(known), len(inputs))))
    tensors = [torch.as_tensor(value) if isinstance(value, np.ndarray) else value for value in inputs]
    moving = {
        name: np.asarray(value.detach().cpu().double().numpy())
        for name, value in zip(names, tensors, strict=True)
        if isinstance(value, torch.Tensor) and value.is_floating_point()
    }
    if not moving:
        raise TypeError("there is no tensor of floating point to differentiate by among the inputs")
    return Applied(torch, function, tuple(tensors), names, ()), moving


def _with_outputs(applied: Applied, moving: dict[str, np.ndarray]) -> tuple[Applied, dict[str, np.ndarray]]:
    """The function with the outputs that it differentiates, and an array of the shape of each, by name."""
    try:
        outputs, _ = applied.outputs(moving, differentiate=True)
    except Exception as error:
        raise ValueError(f"forward raised {type(error).__name__} in float64: {first_line(error)}") from error
    is_tensor = applied.torch.is_tensor
    chosen = tuple(i for i, out in enumerate(outputs) if is_tensor(out) and out.requires_grad)
    if not chosen:
        raise ValueError("forward must return a tensor that is differentiated; it returns none")
    names = ["output" if len(outputs) == 1 else f"output {i}" for i in chosen]
    shapes = [np.empty(tuple(outputs[i].shape)) for i in chosen]
    return applied._replace(differentiable=chosen), dict(zip(names, shapes, strict=True))


def _examine(applied: Applied, outputs: dict[str, np.ndarray], moving: dict[str, np.ndarray]) -> Report:
    size = sum(value.size for value in moving.values())
    cotangents = random_like(outputs, 0)
    try:
        findings = _dtypes(applied, moving, cotangents) or _linearity(applied, moving, outputs)
        findings = findings or _residuals(applied, moving, list(cotangents.values()))
    except Exception as error:  # the backward may raise anything
        findings = [_raised(error)]
    if findings:
        return Report(tuple(findings), (STRUCTURE,), (), size, 1, 0.0)
    report = _doctor(applied, moving, list(cotangents.values()))
    found = report.findings
    if report.ok is False and 1 < len(outputs) <= OUTPUTS:
        found = by_outputs(cotangents, partial(_doctor, applied, moving)) or found
    checks = ("linear in the cotangent", "sums and multiples of two"), ("residuals of its own call", "")
    witnesses = [Witness(name, RULE, "agrees", float("nan"), remark) for name, remark in checks]
    return report._replace(findings=found, witnesses=(*witnesses, *report.witnesses))


def _doctor(applied: Applied, moving: dict[str, np.ndarray], cotangent: list[np.ndarray]) -> Report:
    cost, hand, autograd = map(Function, (applied.scalar, applied.pullback, applied.autograd))
    inputs, point = flatten_inputs(cost, moving, (cotangent,), {})
    try:
        reference = _rows(autograd, inputs, point[None])
    except Exception:  # the forward leaves PyTorch, or changes what autograd needs
        reference = None
    if reference is None or not np.isfinite(reference).all():
        return in_words_of_rules(examine(cost.function, moving, (cotangent,), {}, {"gradient": hand.function}))
    context = Context(inputs, cost, point[None], False, False)
    context = context._replace(points=seeded_points(context))
    rows = partial(_rows, autograd)
    derivative = Derivative("gradient", inputs.layout, partial(_rows, hand), rows, context.points, None, rows)
    checked = run_checks(context, derivative)
    names = {"reverse-mode autodiff": "PyTorch's autograd"}
    witnesses = [one._replace(name=names.get(one.name, one.name)) for one in checked.witnesses
                 if one.name not in ("precision scaling", "complex step")]  # fmt: skip
    report = Report(tuple(checked.findings), tuple(witnesses), (), point.size, len(context.points), 0.0)
    return in_words_of_rules(report)


def _rows(function: Callable, inputs: Inputs, points: np.ndarray) -> np.ndarray:
    return inputs.layout.vector(evaluate(inputs, function, points), (len(points),))


def _raised(error: Exception) -> Finding:
    """The finding on a backward that raised; PyTorch compares numbers and shapes of gradients itself."""
    words = first_line(error)
    if "number of gradients" in words or "invalid gradient" in words:
        return mismatch(Kind.SHAPE, RULE, f"PyTorch refuses what backward returns: {words}.")
    return failure(error)


def _dtypes(applied: Applied, moving: Arrays, cotangents: Arrays) -> list[Finding]:
    """Findings where the backward returns another precision than its input's, which PyTorch casts in silence."""
    torch, node = applied.torch, None
    outputs, _ = applied.outputs(moving, differentiate=True)
    given = iter(cotangents.values())
    gradients = [torch.zeros_like(out) if torch.is_tensor(out) else None for out in outputs]
    for i in applied.differentiable:
        gradients[i] = torch.tensor(next(given), dtype=outputs[i].dtype)
        node = outputs[i].grad_fn
    if type(node).__name__ != f"{applied.function.__name__}Backward":
        return []
    with torch.no_grad():
        returned = applied.function.backward(node, *gradients)
    returned = returned if isinstance(returned, (tuple, list)) else (returned,)
    return [
        mismatch(Kind.DTYPE, name, f"backward returns {g.dtype} for an input of float64: digits are lost.")
        for name, g in zip(applied.names, returned, strict=False)
        if name in moving and torch.is_tensor(g) and g.dtype != torch.float64
    ]


def _linearity(applied: Applied, moving: Arrays, outputs: Arrays) -> list[Finding]:
    first, second = (list(random_like(dict(outputs), seed).values()) for seed in (1, 2))
    run: Callable = partial(applied.pullback, moving)
    sums = [run(first), run(second), run([a + b for a, b in zip(first, second, strict=True)])]
    zero, scaled = run([0 * c for c in first]), [run([k * c for c in first]) for k in SCALES]
    found = []
    for name in moving:
        words, kind, _ = departure([r[name] for r in sums], zero[name], [r[name] for r in scaled], "cotangent")
        found += [mismatch(kind, name, words)] if words else []
    return found


def _residuals(applied: Applied, moving: dict[str, np.ndarray], cotangent: list[np.ndarray]) -> list[Finding]:
    other = {name: 1.01 * value + 0.001 for name, value in moving.items()}
    fresh, late = applied.pullback(moving, cotangent), applied.pullback(moving, cotangent, other)
    words = "the gradient changes when the function is called once more before the backward pass: it is not of its ctx."
    return [mismatch(Kind.STALE, name, words) for name, value in fresh.items()
            if np.max(np.abs(late[name] - value), initial=0) > SAME * np.max(np.abs(value), initial=0)]  # fmt: skip
