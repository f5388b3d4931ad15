"""What the public functions take for an array: JAX's and NumPy's arrays, numbers, nested lists, data frames."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import jax.typing
    import numpy.typing

    ArrayLike = jax.typing.ArrayLike | numpy.typing.ArrayLike
else:

    class ArrayLike:
        """An array, or what NumPy makes one of. A name in signatures; nothing is an instance of it."""
