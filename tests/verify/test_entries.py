"""Every entry is judged by itself, however small it is beside the others: over 30 decades of b in Σ b²θ², which are 60
of its second derivatives, one wrong entry is rejected wherever it stands, and the right ones are accepted.
"""

import jax.numpy as jnp
import numpy as np
import pytest

from jax_course import verify

FAULTS = {"sign": -1.0, "twice": 2.0, "1 % off": 1.01}
DECADES, SIZES = (9, 30), (3, 60, 400)


def problem(decades, dtype, d):
    """θ, b in random order over the decades, and the places of its smallest, its largest and some other."""
    rng = np.random.default_rng([decades, d])
    b = 10.0 ** rng.permutation(np.linspace(-decades / 2, decades / 2, d))
    return rng.standard_normal(d).astype(dtype), b.astype(dtype), (b.argmin(), b.argmax(), rng.integers(d))


def spoiled(values, place, factor):
    """The entry at that place times the factor."""
    return values.at[place].multiply(factor) if place is not None else values


def squares(t, b):
    return jnp.sum(b**2 * t**2)


def squares_and_a_constant(t, b):
    return jnp.sum(b**2 * t**2) + 1e6


def squares_of_leaves(p, b):
    """The second leaf's part is tiny beside the first one's."""
    return jnp.sum(b**2 * p["large"] ** 2) + 1e-12 * jnp.sum(b**2 * p["tiny"] ** 2)


def gradient(place=None, factor=1.0):
    return lambda t, b: spoiled(2 * b**2 * t, place, factor)


def gradient_of_leaves(place=None, factor=1.0):
    return lambda p, b: {"large": 2 * b**2 * p["large"], "tiny": spoiled(2e-12 * b**2 * p["tiny"], place, factor)}


@pytest.mark.parametrize("d", SIZES)
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("decades", DECADES)
def test_one_wrong_entry_of_a_gradient_is_rejected_at_any_place(decades, dtype, d):
    theta, b, places = problem(decades, dtype, d)
    leaves = {"large": theta, "tiny": theta / 2}
    costs = (
        (squares, theta, gradient),
        (squares_and_a_constant, theta, gradient),
        (squares_of_leaves, leaves, gradient_of_leaves),
    )
    for shift, (cost, params, derived) in enumerate(costs):  # so that each fault comes to each place
        assert verify.derivatives(cost, params, b, gradient=derived()).ok is True
        for place, (name, factor) in zip(np.roll(places, shift), FAULTS.items(), strict=True):
            report = verify.derivatives(cost, params, b, gradient=derived(place, factor))
            assert report.ok is False, (cost.__name__, name, place, str(report))


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("decades", DECADES)
def test_one_wrong_entry_of_a_hessian_is_rejected_in_blocks_of_very_different_units(decades, dtype):
    rng = np.random.default_rng(decades)
    params = {"a": rng.standard_normal(2).astype(dtype), "w": rng.standard_normal(3).astype(dtype)}
    u = (10 ** (decades / 2) * rng.uniform(1, 2, 2)).astype(dtype)
    v = (10 ** (-decades / 2) * rng.uniform(1, 2, 3)).astype(dtype)

    def cost(p, u, v):
        s, r = u @ p["a"], v @ p["w"]
        return s**2 + s * r + jnp.sum((v * p["w"]) ** 2)

    def hessian(row, col, place=None, factor=1.0):
        def blocks(p, u, v):
            aw = jnp.outer(u, v)
            H = {"a": {"a": 2 * jnp.outer(u, u), "w": aw}, "w": {"a": aw.T, "w": jnp.diag(2 * v**2)}}
            H[row][col] = spoiled(H[row][col], place, factor)
            return H

        return blocks

    assert verify.derivatives(cost, params, u, v, hessian=hessian("a", "a")).ok is True
    for row, col, place in (("w", "w", (1, 1)), ("a", "w", (0, 2)), ("w", "a", (2, 0)), ("a", "a", (1, 0))):
        for name, factor in FAULTS.items():
            report = verify.derivatives(cost, params, u, v, hessian=hessian(row, col, place, factor))
            assert report.ok is False, (name, row, col, str(report))


def test_where_float32_over_and_underflows_a_wrong_entry_is_never_cleared():
    theta, b, places = problem(60, np.float32, 20)
    assert verify.derivatives(squares, theta, b, gradient=gradient()).ok is not False
    for place in places:
        assert verify.derivatives(squares, theta, b, gradient=gradient(place, -1.0)).ok is not True
