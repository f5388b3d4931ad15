"""Moves of last digits: what shows of the rounding of a function when every number is moved a little.

An entry that was summed of large terms that cancel carries their rounding, however small it is; one that is small
because its terms are small does not. To see which, a program is run with every input and every result multiplied by
1 + ε u, another u between −1 and 1 for each number: how far an entry moves is the rounding of the terms that it was
computed from.

Source: D. S. Parker, Monte Carlo arithmetic, UCLA report CSD-970002 (1997).
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np


class Moves(NamedTuple):
    """Moves of last digits: numbers are multiplied by 1 + size ε u, with u between −1 and 1 drawn with the seed."""

    seed: int
    size: float = 8.0  # with 1, half of the numbers would be rounded back to where they were

    def mover(self) -> Callable[[np.ndarray], np.ndarray]:
        """A function that moves the numbers of an array, and leaves whole ones as they are.

        >>> bool(0 < abs(Moves(3).mover()(np.array(1.0)) - 1) < 2e-15), Moves(3).mover()(np.array(1)).item()
        (True, 1)
        """
        rng = np.random.default_rng(self.seed)

        def move(value: np.ndarray) -> np.ndarray:
            if value.dtype.kind not in "fc":
                return value
            u = rng.uniform(-1, 1, value.shape)
            return (value * (1 + self.size * np.finfo(value.dtype).eps * u)).astype(value.dtype, copy=False)

        return move
