r"""RBF units as a layer (course 11.2, 11.3).

    k_n = e^{−D_n/λ_n},  D_n = ‖z − μ_n‖²                           forward
    with w = δ k/λ:  δ₋ = −2 Σ_n w_n (z − μ_n)                      backward
    ∂C/∂μ_n = 2 w_n (z − μ_n),  ∂C/∂λ_n = w_n D_n/λ_n               summed over the rows
    R{D_n} = 2⟨z − μ_n, R{z} − R{μ_n}⟩                              tangent
    R{k_n} = k_n (D_n R{λ_n}/λ_n − R{D_n})/λ_n
    R{w} = (R{δ} k + δ R{k} − w R{λ})/λ                             tangent_backward, by the product rule on the above

Shapes: z (m, d_in), k and δ (m, n), a row per example.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from jax_course.linalg import product, squared_distances, transpose_product
from jax_course.networks.layer import Layer, fits, positive_width


class RBFParams(NamedTuple):
    """μ (n, d_in) and λ > 0 (n,), in squared units of z. Course 11.3."""

    centers: Array
    scales: Array


def rbf(units: int) -> Layer:
    """k_n = e^{−‖z − μ_n‖²/λ_n}; centres begin as standard normal, λ as d_in. Course 11.2, 11.3.

    A step of training can take a λ to 0 or below, where a unit is no bump any more: `optax.keep_params_nonnegative`
    under `optax.masked`, or a smaller learning rate.

    >>> params = RBFParams(centers=jnp.array([[3.0]]), scales=jnp.array([4.0]))
    >>> k, cache = rbf(1).forward(params, jnp.array([[3.0], [1.0]]))
    >>> jnp.log(k)
    Array([[ 0.],
           [-1.]], dtype=float64)
    """
    positive_width(units, "units")

    def init(key: Array, d_in: int) -> tuple[RBFParams, int]:
        centers = jax.random.normal(key, (units, d_in))
        return RBFParams(centers, jnp.full(units, float(d_in), centers.dtype)), units

    def forward(params: RBFParams, z: Array) -> tuple[Array, tuple[Array, Array, Array]]:
        fits(z, params.centers.shape[1])
        D, k = _bumps(params, z)
        return k, (z, D, k)

    def backward(params: RBFParams, cache: tuple, delta: Array) -> tuple[RBFParams, Array]:
        z, D, k = cache
        w = delta * k / params.scales[None, :]
        delta_in = 2 * (product(w, params.centers) - jnp.sum(w, axis=1)[:, None] * z)
        dcenters = 2 * (transpose_product(w, z) - jnp.sum(w, axis=0)[:, None] * params.centers)
        return RBFParams(dcenters, jnp.sum(w * D, axis=0) / params.scales), delta_in

    def tangent(params: RBFParams, z: Array, v: RBFParams, Rz: Array) -> Array:
        return _tangents(params, z, v, Rz)[-1]

    def tangent_backward(params, z, delta, v, Rz, Rdelta) -> tuple[RBFParams, Array]:
        mu, scales = params.centers, params.scales[None, :]
        D, RD, k, Rk = _tangents(params, z, v, Rz)
        w = delta * k / scales
        Rw = (Rdelta * k + delta * Rk - w * v.scales[None, :]) / scales
        # the columns' and the rows' sums of w and R{w}
        unit_sums, Runit_sums = (jnp.sum(a, axis=0)[:, None] for a in (w, Rw))
        row_sums, Rrow_sums = (jnp.sum(a, axis=1)[:, None] for a in (w, Rw))
        Rdelta_in = 2 * (product(Rw, mu) + product(w, v.centers) - Rrow_sums * z - row_sums * Rz)
        dcenters = transpose_product(Rw, z) + transpose_product(w, Rz) - Runit_sums * mu - unit_sums * v.centers
        dscales = jnp.sum(Rw * D + w * RD - w * D * v.scales[None, :] / scales, axis=0) / params.scales
        return RBFParams(2 * dcenters, dscales), Rdelta_in

    return Layer(init, forward, backward, tangent, tangent_backward, f"rbf({units})")


def _bumps(params: RBFParams, z: Array) -> tuple[Array, Array]:
    """D and k."""
    D = squared_distances(z, params.centers)
    return D, jnp.exp(-D / params.scales[None, :])


def _tangents(params: RBFParams, z: Array, v: RBFParams, Rz: Array) -> tuple[Array, Array, Array, Array]:
    """D, R{D}, k and R{k}."""
    D, k = _bumps(params, z)
    R_norms = jnp.sum(z * Rz, axis=1)[:, None] + jnp.sum(params.centers * v.centers, axis=1)[None, :]
    RD = 2 * (R_norms - product(z, v.centers.T) - product(Rz, params.centers.T))
    return D, RD, k, k * (D * v.scales[None, :] / params.scales[None, :] - RD) / params.scales[None, :]
