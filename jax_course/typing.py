"""What the public functions take for an array: JAX's and NumPy's arrays, numbers, nested lists, data frames."""

import jax.typing
import numpy.typing

ArrayLike = jax.typing.ArrayLike | numpy.typing.ArrayLike
