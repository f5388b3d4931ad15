r"""The lines of a derivation, and the quantities that they claim.

A line holds a formula and a function that computes it. The function's parameters are names of arguments. An argument
may be a value, or a definition: a function of other arguments, as π = σ(Xθ). A quantity is a function of the values of
all arguments, given by name; where a defined argument is given too, the value counts and not its definition: so a line
can be differentiated by π itself.
"""

import inspect
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jax_course.verify.findings import Finding

Quantity = Callable[[Mapping[str, Any]], Any]  # of the values of the arguments, by name


class Line(NamedTuple):
    """A line of a derivation; made by `line`.

    formula: LaTeX. value: the function that computes it. by: the names of the arguments that the line before is
    differentiated by; () if the line claims to equal it. where: the condition under which the claim holds.
    """

    formula: str
    value: Callable
    by: tuple[str, ...]
    where: Callable | None


def line(formula: str, value: Callable, *, by: str | tuple[str, ...] = (), where: Callable | None = None) -> Line:
    r"""A line of a derivation: it claims to equal the line before, or to be its derivative by some arguments.

    formula: LaTeX, shown beside the verdict. value: a function of arguments of the derivation, by name, that returns an
    array or a pytree of arrays. by: the name of an argument, or several; the value is then the derivative of the line
    before, for an output of shape s and an argument of shape a of shape (*s, *a), as of `jax.jacobian`, and a tuple of
    such for several names. where: a function of arguments that returns truth values; the claim is compared where they
    are true. Errors: TypeError for a formula that is no text or a value that is no function.

    >>> line(r"\partial C/\partial\theta = 2\theta", lambda theta: 2 * theta, by="theta").by
    ('theta',)
    """
    if not isinstance(formula, str):
        raise TypeError(f"a line's formula is a text in LaTeX; got {type(formula).__name__}")
    for name, function in (("value", value), ("where", where)):
        if not callable(function) and (name == "value" or function is not None):
            raise TypeError(f"a line's {name} is a function of named arguments; got {type(function).__name__}")
    return Line(formula, value, (by,) if isinstance(by, str) else tuple(by), where)


def parameter_names(function: Callable, label: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The names of the parameters that a function needs, and of those that have a default.

    label: what the function is, for the error. TypeError for a function whose parameters have no names.

    >>> parameter_names(lambda theta, X, penalty=0.0: 0, "line 1")
    (('theta', 'X'), ('penalty',))
    """
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        parameters = None
    if parameters is None or any(p.kind == p.VAR_POSITIONAL for p in parameters):
        raise TypeError(f"{label}: write a function whose parameters are names of arguments, as lambda theta, X: …")
    named = [p for p in parameters if p.kind != p.VAR_KEYWORD]
    needed = tuple(p.name for p in named if p.default is p.empty)
    return needed, tuple(p.name for p in named if p.default is not p.empty)


class Arguments(NamedTuple):
    """The arguments of a derivation: values and definitions, by name.

    >>> import jax.numpy as jnp
    >>> arguments = Arguments({"theta": 3.0}, {"z": lambda theta: 2 * theta})
    >>> arguments.quantity(lambda z: z + 1)({"theta": 3.0}), arguments.quantity(lambda z: z + 1)({"z": 0.0})
    (7.0, 1.0)
    """

    values: dict[str, Any]
    definitions: dict[str, Callable]

    def quantity(self, function: Callable) -> Quantity:
        """The function of named arguments as a function of their values."""
        return lambda given: self._call(function, given)

    def _call(self, function: Callable, given: Mapping[str, Any]) -> Any:
        needed, optional = parameter_names(function, getattr(function, "__name__", "a function"))
        names = (*needed, *(name for name in optional if name in given or name in self.definitions))
        found = {name: self.look_up(name, given) for name in names}
        positional = [p for p in inspect.signature(function).parameters.values() if p.kind == p.POSITIONAL_ONLY]
        return function(*(found.pop(p.name) for p in positional if p.name in found), **found)

    def look_up(self, name: str, given: Mapping[str, Any]) -> Any:
        """The value of an argument: as given, or else by its definition."""
        return given[name] if name in given else self._call(self.definitions[name], given)

    def sources(self, name: str) -> set[str]:
        """The names of the values that an argument is computed from; its own name if it is a value.

        >>> sorted(Arguments({"theta": 1.0, "X": 2.0}, {"z": lambda X, theta: X * theta}).sources("z"))
        ['X', 'theta']
        """
        if name in self.values:
            return {name}
        needed, optional = parameter_names(self.definitions[name], name)
        known = [other for other in (*needed, *optional) if other in self.values or other in self.definitions]
        return set().union(*(self.sources(other) for other in known))


def read_arguments(lines: tuple[Line, ...], given: dict[str, Any]) -> Arguments:
    """The arguments of a derivation, after every name that a line or a definition needs was looked for.

    Errors: TypeError for a name that is no argument; ValueError for definitions that need each other.

    >>> read_arguments((line("x", lambda x: x),), {"y": 1.0})
    Traceback (most recent call last):
    TypeError: line 1 needs the argument x; the derivation has y
    """
    definitions = {name: value for name, value in given.items() if callable(value)}
    arguments = Arguments({name: value for name, value in given.items() if name not in definitions}, definitions)
    users = [(f"line {k}", function) for k, one in enumerate(lines, 1) for function in (one.value, one.where)]
    for label, function in [*users, *((f"the definition of {name}", f) for name, f in definitions.items())]:
        needed = () if function is None else parameter_names(function, label)[0]
        _refuse_unknown(label, needed, given)
    for k, one in enumerate(lines, 1):
        _refuse_unknown(f"line {k}", one.by, given)
    for name in definitions:
        try:
            arguments.sources(name)
        except RecursionError:
            raise ValueError(f"the definition of {name} needs itself") from None
    return arguments


def _refuse_unknown(label: str, names: tuple[str, ...], given: dict[str, Any]) -> None:
    unknown = [name for name in names if name not in given]
    if unknown:
        has = ", ".join(given) or "none"
        raise TypeError(f"{label} needs the argument {', '.join(unknown)}; the derivation has {has}")


class Jacobian(NamedTuple):
    """The derivative of a quantity by arguments, given by name: for one as `jax.jacobian`, else a tuple of such.

    It is a quantity itself. quantity: what is differentiated, by which differences can be taken where JAX cannot trace.

    >>> arguments = Arguments({"theta": 3.0}, {})
    >>> float(Jacobian(arguments, arguments.quantity(lambda theta: theta**2), ("theta",))({"theta": 3.0}))
    6.0
    """

    arguments: Arguments
    quantity: Quantity
    names: tuple[str, ...]

    def __call__(self, given: Mapping[str, Any]) -> Any:
        at = [jax.tree_util.tree_map(_floating, self.arguments.look_up(name, given)) for name in self.names]

        def moved(*values: Any) -> Any:
            return self.quantity({**given, **dict(zip(self.names, values, strict=True))})

        return jax.jacobian(moved, argnums=tuple(range(len(at))) if len(at) > 1 else 0)(*at)


def _floating(leaf: Any) -> Any:
    return leaf if jnp.issubdtype(np.result_type(leaf), jnp.floating) else jnp.asarray(leaf, float)


class Claim(NamedTuple):
    """The claim of a line about one before it.

    hand: the line. reference: what it should be. cost: the line that was differentiated, the reference itself if none
    was. name: "gradient" or "hessian" of a cost, or "value". moved: the names of the arguments that are moved from
    point to point. where: the condition, or None.
    """

    hand: Quantity
    reference: Quantity
    cost: Quantity
    name: str
    moved: tuple[str, ...]
    where: Quantity | None


class Judgement(NamedTuple):
    """holds: True, False, or None where nothing can be said. error: in units of the largest entry."""

    holds: bool | None
    error: float
    findings: tuple[Finding, ...]
    remark: str
