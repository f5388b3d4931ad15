"""The small data that the proofs of the ledger are made on."""

from typing import Any

import numpy as np

RNG = np.random.Generator(np.random.PCG64(7))
X = RNG.standard_normal((24, 3))
ONES = np.concatenate([np.ones((24, 1)), X[:, :2]], axis=1)
THETA = RNG.standard_normal(3)
Y = X @ np.array([1.0, -2.0, 0.5]) + 0.3 * RNG.standard_normal(24)
BINARY = (RNG.permutation(24) % 2) * 1.0
CLASSES = RNG.permutation(24) % 3
OF_CLASSES = RNG.standard_normal((3, 3))
A = RNG.standard_normal((3, 3))
SIGMA: Any = A @ A.T + np.eye(3)  # SciPy says that its covariances are integers
SPARES_THE_BIAS = np.array([0.0, 0.7, 0.7])
