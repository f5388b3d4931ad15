"""Fingerprints: digests that are equal in every process for equal content, and different for other content.

A fingerprint of arrays covers the paths in the tree, dtypes, shapes and bytes. A fingerprint of a function covers the
operations that JAX traces for arguments of these shapes, with every constant among them, such as a learning rate, and
every array that the function closes over. The names of functions do not count. Another release of JAX may trace a
function differently.

Not covered: the result of a Python callback, and a derivative in a `jax.custom_vjp` that the function does not take.
"""

import hashlib
import re
from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend import core

Memo = dict[int, str]  # digests of the programs within a program, each of which may occur many times


def fingerprint_arrays(tree: Any) -> str:
    """The fingerprint of a pytree of arrays. An array with parts in other processes counts by dtype and shape alone.

    >>> ones, zeros = fingerprint_arrays(np.ones(2)), fingerprint_arrays(np.zeros(2))
    >>> fingerprint_arrays(jnp.ones(2)) == ones, ones == zeros
    (True, False)
    """
    leaves = jax.tree.leaves_with_path(tree)
    return _digest([(jax.tree_util.keystr(path), _array_content(leaf)) for path, leaf in leaves])


def fingerprint_function(function: Callable, *arguments: Any) -> str:
    """The fingerprint of a function of pytrees of arrays, or of `jax.ShapeDtypeStruct`.

    >>> half, twice = (fingerprint_function(lambda x, rate=rate: rate * x, np.ones(2)) for rate in (0.5, 2.0))
    >>> half == fingerprint_function(lambda theta: 0.5 * theta, np.zeros(2)), half == twice
    (True, False)
    """
    return _program_digest(jax.make_jaxpr(function)(*arguments), {})


def as_numbers(fingerprint: str) -> np.ndarray:
    """The fingerprint as numbers, uint8 (32,): a leaf for a pytree of arrays."""
    return np.frombuffer(bytes.fromhex(fingerprint), np.uint8)


def _digest(content: Any) -> str:
    return hashlib.blake2b(repr(content).encode(), digest_size=32).hexdigest()


def _array_content(array: Any) -> tuple[str, tuple[int, ...], str]:
    """dtype, shape and a digest of the bytes."""
    array = array if hasattr(array, "shape") else np.asarray(array)
    dtype, shape, content = str(array.dtype), tuple(array.shape), b""
    if not isinstance(array, jax.Array) or array.is_fully_addressable:
        is_key = jnp.issubdtype(array.dtype, jax.dtypes.prng_key)
        plain = np.ascontiguousarray(jax.random.key_data(array) if is_key else array)
        content = plain.reshape(-1).view(np.uint8).data  # a dtype that NumPy lacks has no buffer of its own
    return dtype, shape, hashlib.blake2b(content, digest_size=32).hexdigest()


def _program_digest(program: Any, memo: Memo) -> str:
    """The digest of a jaxpr: its variables count by the order in which they occur, not by their names."""
    if id(program) in memo:
        return memo[id(program)]
    jaxpr, constants = (program.jaxpr, program.consts) if isinstance(program, core.ClosedJaxpr) else (program, ())
    numbers: dict[Any, int] = {}

    def atom_content(atom: Any) -> tuple:
        if isinstance(atom, core.Literal):
            return str(atom.aval), _array_content(atom.val)
        return str(atom.aval), numbers.setdefault(atom, len(numbers))

    content: list[Any] = [
        [atom_content(v) for v in (*jaxpr.constvars, *jaxpr.invars)],
        [_array_content(c) for c in constants],
    ]
    for equation in jaxpr.eqns:
        settings = [
            (name, _setting_content(value, memo)) for name, value in sorted(equation.params.items()) if name != "name"
        ]
        ends = [[atom_content(atom) for atom in atoms] for atoms in (equation.invars, equation.outvars)]
        content.append((str(equation.primitive), settings, ends))
    content.append([atom_content(atom) for atom in jaxpr.outvars])
    memo[id(program)] = _digest(content)
    return memo[id(program)]


def _setting_content(value: Any, memo: Memo) -> Any:
    """A setting of an operation of JAX, without the addresses of objects, which differ between processes."""
    content = partial(_setting_content, memo=memo)
    if isinstance(value, core.Jaxpr | core.ClosedJaxpr):
        return _program_digest(value, memo)
    if isinstance(value, np.ndarray | jax.Array):
        return _array_content(value)
    if isinstance(value, tuple | list):
        return [content(one) for one in value]
    if isinstance(value, dict):
        return sorted((repr(key), content(one)) for key, one in value.items())
    if isinstance(value, set | frozenset):
        return sorted(repr(content(one)) for one in value)
    if callable(value) and not isinstance(value, type):
        return type(value).__name__
    return re.sub(r" at 0x[0-9a-f]+", "", repr(value))
