"""Test functions with known minima for solvers: those of Moré, Garbow and Hillstrom (1981) and others in common use.

The costs at the starts are published values with 110 digits.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np


class Problem(NamedTuple):
    """A cost of theta (d,), a start, its minima, and the published cost at the start, or None."""

    cost: Callable[[Any], Any]
    start: tuple[float, ...]
    minima: tuple[tuple[float, ...], ...]
    start_cost: float | None = None

    def distance(self, theta: np.ndarray) -> float:
        """The distance of theta (d,) from the nearest minimum, relative to its norm if that is above 1."""
        return min(float(np.linalg.norm(theta - best)) / max(1.0, float(np.linalg.norm(best))) for best in self.minima)


def rosenbrock(t):
    """d / 2 independent curved valleys (Moré et al. 21)."""
    return jnp.sum(100 * (t[1::2] - t[::2] ** 2) ** 2 + (1 - t[::2]) ** 2)


def chained_rosenbrock(t):
    """One curved valley through all dimensions."""
    return jnp.sum(100 * (t[1:] - t[:-1] ** 2) ** 2 + (1 - t[:-1]) ** 2)


def beale(t):
    """Three terms in two parameters, flat far from the minimum (Moré et al. 5)."""
    return sum((c - t[0] * (1 - t[1] ** k)) ** 2 for k, c in ((1, 1.5), (2, 2.25), (3, 2.625)))


def booth(t):
    """A quadratic with its minimum at (1, 3)."""
    return (t[0] + 2 * t[1] - 7) ** 2 + (2 * t[0] + t[1] - 5) ** 2


def himmelblau(t):
    """A polynomial of degree 4 with four minima."""
    return (t[0] ** 2 + t[1] - 11) ** 2 + (t[0] + t[1] ** 2 - 7) ** 2


def powell_singular(t):
    """The Hessian is singular at the minimum (Moré et al. 13)."""
    return (t[0] + 10 * t[1]) ** 2 + 5 * (t[2] - t[3]) ** 2 + (t[1] - 2 * t[2]) ** 4 + 10 * (t[0] - t[3]) ** 4


def wood(t):
    """Two coupled curved valleys with a saddle (Moré et al. 14)."""
    valleys = 100 * (t[1] - t[0] ** 2) ** 2 + (1 - t[0]) ** 2 + 90 * (t[3] - t[2] ** 2) ** 2 + (1 - t[2]) ** 2
    return valleys + 10 * (t[1] + t[3] - 2) ** 2 + 0.1 * (t[1] - t[3]) ** 2


def helical_valley(t):
    """A valley that winds around an axis (Moré et al. 7)."""
    turns = jnp.arctan2(t[1], t[0]) / (2 * jnp.pi)
    return 100 * (t[2] - 10 * turns) ** 2 + 100 * (jnp.sqrt(t[0] ** 2 + t[1] ** 2) - 1) ** 2 + t[2] ** 2


def brown_badly_scaled(t):
    """Curvatures of 2 and 2·10¹² (Moré et al. 4)."""
    return (t[0] - 1e6) ** 2 + (t[1] - 2e-6) ** 2 + (t[0] * t[1] - 2) ** 2


def styblinski_tang(t):
    """A polynomial of degree 4 with 2ᵈ minima."""
    return 0.5 * jnp.sum(t**4 - 16 * t**2 + 5 * t)


# The roots of 4t³ − 32t + 5 with positive curvature.
ROOTS = (-2.903534027771177, 2.746802770902713)
PAIRS = tuple((a, b) for a in ROOTS for b in ROOTS)
HIMMELBLAU = (
    (3.0, 2.0),
    (-2.805118086952745, 3.131312518250573),
    (-3.779310253377747, -3.283185991286170),
    (3.584428340330492, -1.848126526964404),
)
FIFTY = (-1.2, 1.0) * 50
ONES = (1.0,) * 100
LOCAL_MINIMUM = (-0.99329, 0.99665, 0.99833, 0.99917, 0.99959, 0.99979, 0.9999, *[1.0] * 93)  # its cost is 3.98662

PROBLEMS = {
    "rosenbrock": Problem(rosenbrock, (-1.2, 1.0), ((1.0, 1.0),), 24.2),
    "rosenbrock from 0": Problem(rosenbrock, (0.0, 0.0), ((1.0, 1.0),)),
    "beale": Problem(beale, (1.0, 1.0), ((3.0, 0.5),), 14.203125),
    "booth": Problem(booth, (-5.0, 8.0), ((1.0, 3.0),), 65.0),
    "himmelblau": Problem(himmelblau, (2.0, 2.0), HIMMELBLAU, 26.0),
    "himmelblau from 0": Problem(himmelblau, (0.0, 0.0), HIMMELBLAU),
    "brown badly scaled": Problem(brown_badly_scaled, (1.0, 1.0), ((1e6, 2e-6),), 999998000002.999996),
    "styblinski-tang": Problem(styblinski_tang, (-1.0, -1.0), PAIRS),
    "styblinski-tang from 1": Problem(styblinski_tang, (1.0, 1.0), PAIRS),
    "helical valley": Problem(helical_valley, (-1.0, 0.0, 0.0), ((1.0, 0.0, 0.0),), 2500.0),
    "powell singular": Problem(powell_singular, (3.0, -1.0, 0.0, 1.0), ((0.0,) * 4,), 215.0),
    "wood": Problem(wood, (-3.0, -1.0, -3.0, -1.0), ((1.0,) * 4,), 19192.0),
    "rosenbrock 100": Problem(rosenbrock, FIFTY, (ONES,)),
    "rosenbrock 100 from 0": Problem(rosenbrock, (0.0,) * 100, (ONES,)),
    "chained rosenbrock 100": Problem(chained_rosenbrock, FIFTY, (ONES, LOCAL_MINIMUM)),
    "chained rosenbrock 100 from 0": Problem(chained_rosenbrock, (0.0,) * 100, (ONES, LOCAL_MINIMUM)),
}
