"""Derivations with a slip planted in one line: the mistakes that people make from one line to the next."""

from collections.abc import Callable, Iterator
from functools import partial, wraps
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jax_course.derivations.record import Derivation
from jax_course.verify import Kind
from jax_course.verify.lines import Arguments, read_arguments
from jax_course.verify.parameters import double_precision


class Planted(NamedTuple):
    """A kind of slip. kinds: what a fair reader may call it.

    change: (line, **arguments) → the wrong value, from the line's own function and the arguments of the call.
    """

    name: str
    kinds: tuple[Kind, ...]
    change: Callable


class Mutant(NamedTuple):
    """A derivation with a slip in the line of that number."""

    derivation: Derivation
    number: int
    planted: Planted


def _of_value(change: Callable) -> Callable:
    """A slip that changes the value of the line, one array."""
    return lambda line, **given: change(line(**given))


def _with(**changes: Callable) -> Callable:
    """A slip that calls the line with other values of some arguments."""

    def change(line: Callable, **given: Any) -> Any:
        return line(**given | {name: f(given[name]) for name, f in changes.items() if name in given})

    return change


def _without_the_last_example(line: Callable, **given: Any) -> Any:
    m = max((np.shape(given[name])[0] for name in ("X", "x") if np.ndim(given.get(name, 0))), default=0)
    return line(**{name: a[:-1] if np.shape(a)[:1] == (m,) and np.ndim(a) else a for name, a in given.items()})


def _averaged(line: Callable, **given: Any) -> Any:
    return line(**given) / len(given.get("X", given.get("x", np.ones(1))))


def _times_a_parameter(line: Callable, **given: Any) -> Any:
    """The line times a number that lines differentiate by, or the first entry of an array of such."""
    known = [jnp.ravel(given[name])[0] for name in ("sigma", "t", "z", "p", "a", "theta") if name in given]
    return line(**given) * (known[0] if known else 1)


def _with_other_sign(array: Any) -> Any:
    return -array if jnp.issubdtype(jnp.result_type(array), jnp.floating) else array  # class numbers have no sign


def _diagonal(value: Any) -> Any:
    return value * jnp.eye(len(value)) if value.ndim == 2 and value.shape[0] == value.shape[1] else value


def _transposed(value: Any) -> Any:
    return value.T if value.ndim == 2 else value


def slips(seed: int) -> tuple[Planted, ...]:
    """The slips; the seed chooses the entry that some of them change."""
    rng = np.random.default_rng(seed)
    place, stays = rng.uniform(), rng.integers(3)
    order = [stays if k == stays else 3 - stays - k for k in range(3)]  # the other two of the first three change places

    def entry(change: Callable) -> Callable:
        def changed(value: Any) -> Any:
            flat = jnp.ravel(value)
            k = int(place * flat.size)
            return flat.at[k].set(change(flat[k])).reshape(value.shape) if flat.size > 2 else value

        return _of_value(changed)

    def exchanged(value: Any) -> Any:
        return value[jnp.array([*order, *range(3, len(value))])] if value.ndim and len(value) > 2 else value

    return (
        Planted("the sign", (Kind.SIGN,), _of_value(lambda value: -value)),
        Planted("a factor 2 too much", (Kind.FACTOR,), _of_value(lambda value: 2 * value)),
        Planted("a factor 2 too little", (Kind.FACTOR,), _of_value(lambda value: value / 2)),
        Planted("averaged, not summed", (Kind.FACTOR,), _averaged),
        Planted("transposed", (Kind.TRANSPOSE,), _of_value(_transposed)),
        Planted("the sign of an entry", (Kind.ENTRY, Kind.SIGN), entry(lambda number: -number)),
        Planted("an entry left at 0", (Kind.MISSING, Kind.ENTRY), entry(lambda number: 0 * number)),
        Planted("entries exchanged", (Kind.INDEX,), _of_value(exchanged)),
        Planted("only the diagonal", (Kind.DIAGONAL, Kind.MISSING), _of_value(_diagonal)),
        Planted("the penalty forgotten", (Kind.PENALTY, Kind.MISSING), _with(penalty=lambda penalty: 0 * penalty)),
        Planted("the targets' sign", (Kind.SIGN,), _with(y=_with_other_sign)),
        # a line with a row for each example has one row too few
        Planted("an example left out", (Kind.MISSING, Kind.INDEX, Kind.SHAPE), _without_the_last_example),
        # a constant factor, where the parameter is not the one that the line differentiates by
        Planted("a factor that is a parameter", (Kind.CHAIN_RULE, Kind.FACTOR), _times_a_parameter),
    )


def mutants(derivation: Derivation, seed: int = 0) -> Iterator[Mutant]:
    """Every slip in every line after the first where it changes the value.

    >>> from jax_course.derivations import find
    >>> [(mutant.number, mutant.planted.name) for mutant in mutants(find("noise_variance"))][:2]
    [(2, 'the sign'), (2, 'a factor 2 too much')]
    """
    with double_precision():
        arguments = read_arguments(derivation.lines, derivation.arguments())
        for number, one in enumerate(derivation.lines[1:], 2):
            right = _value(arguments, one.value)
            for planted in slips(seed):
                wrong = _planted(one.value, planted)
                try:
                    changed = _differs(_value(arguments, wrong), right)
                except Exception:  # a slip that this line cannot have
                    continue
                if changed:
                    k = number - 1
                    lines = (*derivation.lines[:k], one._replace(value=wrong), *derivation.lines[number:])
                    yield Mutant(derivation._replace(lines=lines, slips=()), number, planted)


def redrawn(derivation: Derivation, seed: int) -> Derivation:
    """The derivation at other values of its arguments; labels and other whole numbers stay.

    >>> from jax_course.derivations import find
    >>> redrawn(find("bernoulli_entropy"), 1).arguments()["p"].round(3).item()
    0.302
    """
    rng = np.random.default_rng(seed)
    values = {name: value if callable(value) else jax.tree_util.tree_map(partial(_redrawn, rng), value)
              for name, value in derivation.arguments().items()}  # fmt: skip
    return derivation._replace(arguments=lambda: values)


def _redrawn(rng: np.random.Generator, leaf: Any) -> np.ndarray:
    """A positive number times one near 1; an array and normal numbers of its size."""
    array = np.asarray(leaf)
    if array.dtype.kind != "f" or (array == np.round(array)).all():
        return array
    if not array.ndim:
        return array * np.exp(rng.uniform(-0.3, 0.3))
    return array + np.sqrt(np.mean(array**2)) * rng.standard_normal(array.shape)


def _planted(function: Callable, planted: Planted) -> Callable:
    @wraps(function)
    def wrong(**given: Any) -> Any:
        return planted.change(function, **given)

    return wrong


def _value(arguments: Arguments, function: Callable) -> Any:
    return arguments.quantity(function)(arguments.values)


def _differs(value: Any, right: Any) -> bool:
    pairs = zip(jax.tree_util.tree_leaves(value), jax.tree_util.tree_leaves(right), strict=True)
    return any(np.shape(a) != np.shape(b) or not np.allclose(a, b, rtol=1e-9, atol=1e-12) for a, b in pairs)
