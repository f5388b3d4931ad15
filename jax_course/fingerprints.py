"""Fingerprints: digests that are the same in every process for the same content, and else differ.

Of arrays: paths in the tree, dtypes, shapes and bytes. Of a function: the operations that JAX traces for arguments of
these shapes, with every constant among them, such as a learning rate, and every array that the function closes over.
The names of functions do not count. Releases of JAX may trace one function differently.

What a Python callback computes, or the derivative in a `jax.custom_vjp` that the function does not take, is not seen.
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

Memo = dict[int, str]  # digests of the programs within a program, which may stand there many times


def of_arrays(tree: Any) -> str:
    """The fingerprint of a pytree of arrays. Of an array that lies in other processes too: dtype and shape alone.

    >>> of_arrays({"w": np.ones(2)}) == of_arrays({"w": np.ones(2)}), of_arrays(np.ones(2)) == of_arrays(np.zeros(2))
    (True, False)
    """
    leaves = jax.tree_util.tree_leaves_with_path(tree)
    return _digest([(jax.tree_util.keystr(path), _of_array(leaf)) for path, leaf in leaves])


def of_function(function: Callable, *arguments: Any) -> str:
    """The fingerprint of a function of pytrees of arrays, or of `jax.ShapeDtypeStruct`.

    >>> half, twice = (of_function(lambda x, rate=rate: rate * x, np.ones(2)) for rate in (0.5, 2.0))
    >>> half == of_function(lambda theta: 0.5 * theta, np.zeros(2)), half == twice
    (True, False)
    """
    return _of_program(jax.make_jaxpr(function)(*arguments), {})


def as_numbers(fingerprint: str) -> np.ndarray:
    """The fingerprint as numbers of shape (32,), a leaf for a pytree of arrays."""
    return np.frombuffer(bytes.fromhex(fingerprint), np.uint8)


def _digest(content: Any) -> str:
    return hashlib.blake2b(repr(content).encode(), digest_size=32).hexdigest()


def _of_array(array: Any) -> tuple[str, tuple[int, ...], str]:
    """dtype, shape and a digest of the bytes."""
    array = array if hasattr(array, "shape") else np.asarray(array)
    dtype, shape, content = str(array.dtype), tuple(array.shape), b""
    if not isinstance(array, jax.Array) or array.is_fully_addressable:
        is_key = jnp.issubdtype(array.dtype, jax.dtypes.prng_key)
        plain = np.ascontiguousarray(jax.random.key_data(array) if is_key else array)
        content = plain.reshape(-1).view(np.uint8).data  # a dtype that NumPy lacks has no buffer of its own
    return dtype, shape, hashlib.blake2b(content, digest_size=32).hexdigest()


def _of_program(program: Any, memo: Memo) -> str:
    """Of a jaxpr: its variables count by the order in which they come, not by what they are called."""
    if id(program) in memo:
        return memo[id(program)]
    jaxpr, constants = (program.jaxpr, program.consts) if isinstance(program, core.ClosedJaxpr) else (program, ())
    numbers: dict[Any, int] = {}

    def of_atom(atom: Any) -> tuple:
        if isinstance(atom, core.Literal):
            return str(atom.aval), _of_array(atom.val)
        return str(atom.aval), numbers.setdefault(atom, len(numbers))

    content: list[Any] = [[of_atom(v) for v in (*jaxpr.constvars, *jaxpr.invars)], [_of_array(c) for c in constants]]
    for equation in jaxpr.eqns:
        settings = [
            (name, _of_setting(value, memo)) for name, value in sorted(equation.params.items()) if name != "name"
        ]
        ends = [[of_atom(atom) for atom in atoms] for atoms in (equation.invars, equation.outvars)]
        content.append((str(equation.primitive), settings, ends))
    content.append([of_atom(atom) for atom in jaxpr.outvars])
    memo[id(program)] = _digest(content)
    return memo[id(program)]


def _of_setting(value: Any, memo: Memo) -> Any:
    """Of what an operation of JAX is set to, without the addresses of objects, which every process has anew."""
    of = partial(_of_setting, memo=memo)
    if isinstance(value, core.Jaxpr | core.ClosedJaxpr):
        return _of_program(value, memo)
    if isinstance(value, np.ndarray | jax.Array):
        return _of_array(value)
    if isinstance(value, tuple | list):
        return [of(one) for one in value]
    if isinstance(value, dict):
        return sorted((repr(key), of(one)) for key, one in value.items())
    if isinstance(value, set | frozenset):
        return sorted(repr(of(one)) for one in value)
    if callable(value) and not isinstance(value, type):
        return type(value).__name__
    return re.sub(r" at 0x[0-9a-f]+", "", repr(value))
