"""Smoothing on graphs, finite-difference energies on grids, graph networks, convolutions."""

import jax
import jax.numpy as jnp
import numpy as np
from jax.nn import relu

from jax_course.verify import Kind
from tests.verify.practice import Practice

rng = np.random.default_rng(110)

# a weighted graph by its edges, labels at some nodes
EDGES = np.array([(0, 1), (1, 2), (2, 3), (3, 0), (1, 4), (4, 5), (5, 6), (6, 1), (2, 6)])
WEIGHTS = rng.uniform(0.5, 2.0, len(EDGES))
KNOWN, F = np.array([1.0, 0, 0, 1, 0, 1, 0]), rng.standard_normal(7)
LABELS = KNOWN * rng.standard_normal(7)


def graph_cost(f, edges, w, lam=0.7):
    d = f[edges[:, 0]] - f[edges[:, 1]]
    return 0.5 * jnp.sum(w * d**2) + 0.5 * lam * jnp.sum(KNOWN * (f - LABELS) ** 2)


def graph_gradient(f, edges, w, lam=0.7):
    flow = w * (f[edges[:, 0]] - f[edges[:, 1]])
    g = jnp.asarray(lam * KNOWN * (f - LABELS))
    return g.at[edges[:, 0]].add(flow).at[edges[:, 1]].add(-flow)


def laplacian(edges, w):
    L = np.zeros((7, 7))
    for (a, b), weight in zip(edges, w, strict=True):
        L[[a, b], [a, b]] += weight
        L[[a, b], [b, a]] -= weight
    return L


def graph_hessian(f, edges, w, lam=0.7):
    return laplacian(edges, w) + lam * np.diag(KNOWN)


def graph_product(f, edges, w, v, lam=0.7):
    return laplacian(edges, w) @ v + lam * KNOWN * v


def graph_one_end(f, edges, w, lam=0.7):
    flow = w * (f[edges[:, 0]] - f[edges[:, 1]])
    return jnp.asarray(lam * KNOWN * (f - LABELS)).at[edges[:, 0]].add(flow)


def graph_set(f, edges, w, lam=0.7):
    f = np.asarray(f)
    flow, g = w * (f[edges[:, 0]] - f[edges[:, 1]]), lam * KNOWN * (f - LABELS)
    g[edges[:, 0]] += flow  # NumPy adds only the last flow of each node
    g[edges[:, 1]] -= flow
    return g


def graph_degrees(f, edges, w, lam=0.7):
    return np.diag(np.diag(laplacian(edges, w)) + lam * KNOWN)


def graph_upper(f, edges, w, lam=0.7):
    return np.triu(laplacian(edges, w)) + lam * np.diag(KNOWN)


def graph_at_f(f, edges, w, v, lam=0.7):
    return laplacian(edges, w) @ f + lam * KNOWN * f


def graph_unmasked(f, edges, w, lam=0.7):
    return laplacian(edges, w) @ f + lam * (f - LABELS)


# a bent beam: ∫ (u″)² on a grid with clamped ends, a load
H, LOAD = 0.1, rng.standard_normal(12)
BEAM = 0.05 * rng.standard_normal(12)


def beam_cost(u, load, stiffness=2.0):
    u = jnp.pad(u, 2)
    bend = (u[2:] - 2 * u[1:-1] + u[:-2]) / H**2
    return 0.5 * stiffness * H * jnp.sum(bend**2) - H * jnp.sum(load * u[2:-2])


def beam_gradient(u, load, stiffness=2.0):
    u = jnp.pad(u, 2)
    M = stiffness * (u[2:] - 2 * u[1:-1] + u[:-2]) / H**2
    return (M[2:] - 2 * M[1:-1] + M[:-2]) / H - H * load


def beam_neighbour(u, load, stiffness=2.0):
    """The neighbour on the right is forgotten in the second difference of the moments."""
    u = jnp.pad(u, 2)
    M = stiffness * (u[2:] - 2 * u[1:-1] + u[:-2]) / H**2
    return (-2 * M[1:-1] + M[:-2]) / H - H * load


def beam_power(u, load, stiffness=2.0):
    """h⁻⁴ of the equation for h⁻³ of the energy."""
    u = jnp.pad(u, 2)
    M = stiffness * (u[2:] - 2 * u[1:-1] + u[:-2]) / H**2
    return (M[2:] - 2 * M[1:-1] + M[:-2]) / H**2 - H * load


def beam_free(u, load, stiffness=2.0):
    """Free ends: no moment outside."""
    M = stiffness * jnp.diff(u, 2) / H**2
    return jnp.convolve(M, jnp.array([1.0, -2.0, 1.0])) / H - H * load


# a nonlinear membrane on a rectangle with two spacings, in NumPy
DX, DY, MEMBRANE = 0.5, 0.2, 0.3 * rng.standard_normal((5, 6))


def membrane_cost(u):
    ux, uy = np.diff(u, axis=0) / DX, np.diff(u, axis=1) / DY
    return DX * DY * (np.sum(ux**2) / 2 + np.sum(uy**2) / 2 + np.sum(u**4 / 4 - u**2 / 2))


def membrane_gradient(u):
    ux, uy = np.diff(u, axis=0) / DX, np.diff(u, axis=1) / DY
    g = DX * DY * (u**3 - u)
    g[1:] += DY * ux
    g[:-1] -= DY * ux
    g[:, 1:] += DX * uy
    g[:, :-1] -= DX * uy
    return g


def membrane_spacings(u):
    ux, uy = np.diff(u, axis=0) / DX, np.diff(u, axis=1) / DY
    g = DX * DY * (u**3 - u)
    g[1:] += DX * ux
    g[:-1] -= DX * ux
    g[:, 1:] += DY * uy
    g[:, :-1] -= DY * uy
    return g


def membrane_in_place(u):
    ux, uy = np.diff(u, axis=0) / DX, np.diff(u, axis=1) / DY
    u *= DX * DY * (u**2 - 1)
    u[1:] += DY * ux
    u[:-1] -= DY * ux
    u[:, 1:] += DX * uy
    u[:, :-1] -= DX * uy
    return u


# a graph network on a directed graph
ADJ = (rng.random((6, 6)) < 0.4) / 3.0
FEATURES, TARGETS = rng.standard_normal((6, 3)), rng.standard_normal((6, 2))
GRAPH_NET = {"first": rng.standard_normal((3, 4)), "second": rng.standard_normal((4, 2))}


def network_cost(p):
    return jnp.sum((ADJ @ relu(ADJ @ FEATURES @ p["first"]) @ p["second"] - TARGETS) ** 2) / 6


def network_gradient(p):
    h = relu(ADJ @ FEATURES @ p["first"])
    E = ADJ.T @ (2 / 6 * (ADJ @ h @ p["second"] - TARGETS))
    return {"first": (ADJ @ FEATURES).T @ (E @ p["second"].T * (h > 0)), "second": h.T @ E}


def network_directed(p):
    h = relu(ADJ @ FEATURES @ p["first"])
    E = ADJ @ (2 / 6 * (ADJ @ h @ p["second"] - TARGETS))
    return {"first": (ADJ @ FEATURES).T @ (E @ p["second"].T * (h > 0)), "second": h.T @ E}


def network_relu(p):
    h = relu(ADJ @ FEATURES @ p["first"])
    E = ADJ.T @ (2 / 6 * (ADJ @ h @ p["second"] - TARGETS))
    return {"first": (ADJ @ FEATURES).T @ (E @ p["second"].T), "second": h.T @ E}


def network_directed_relu(p):
    h = relu(ADJ @ FEATURES @ p["first"])
    E = ADJ @ (2 / 6 * (ADJ @ h @ p["second"] - TARGETS))
    return {"first": (ADJ @ FEATURES).T @ (E @ p["second"].T), "second": h.T @ E}


# blind deconvolution of a signal: the signal and the kernel
TRACE = rng.standard_normal(13)
BLIND = {"signal": rng.standard_normal(11), "kernel": np.array([0.3, 1.0, -0.4])}


def blind_cost(p, trace):
    return 0.5 * jnp.sum((jnp.convolve(p["signal"], p["kernel"]) - trace) ** 2)


def blind_gradient(p, trace):
    e = jnp.convolve(p["signal"], p["kernel"]) - trace
    return {"signal": jnp.correlate(e, p["kernel"]), "kernel": jnp.correlate(e, p["signal"])}


def blind_rotated(p, trace):
    e = jnp.convolve(p["signal"], p["kernel"]) - trace
    return {"signal": jnp.convolve(e, p["kernel"], "valid"), "kernel": jnp.correlate(e, p["signal"])}


def blind_reversed(p, trace):
    e = jnp.convolve(p["signal"], p["kernel"]) - trace
    return {"signal": jnp.correlate(e, p["kernel"]), "kernel": jnp.correlate(e, p["signal"])[::-1]}


# images through a bank of kernels in float32, the images in the closure; kernels are (out, in, height, width)
IMAGES = rng.standard_normal((2, 2, 5, 5)).astype(np.float32)
KERNELS = rng.standard_normal((2, 2, 3, 3)).astype(np.float32)
MAPS = rng.standard_normal((2, 2, 3, 3)).astype(np.float32)


def bank_cost(kernels):
    return jnp.mean((jax.lax.conv(jnp.asarray(IMAGES), kernels, (1, 1), "VALID") - MAPS) ** 2)


def bank_gradient(kernels):
    e = 2 * (jax.lax.conv(jnp.asarray(IMAGES), kernels, (1, 1), "VALID") - MAPS) / MAPS.size
    shifts = [[IMAGES[:, :, i : i + 3, j : j + 3] for j in range(3)] for i in range(3)]
    return jnp.einsum("boyx,uvbiyx->oiuv", e, np.array(shifts))


def bank_rotated(kernels):
    return bank_gradient(kernels)[:, :, ::-1, ::-1]


def bank_exchanged(kernels):
    e = 2 * (jax.lax.conv(jnp.asarray(IMAGES), kernels, (1, 1), "VALID") - MAPS) / MAPS.size
    shifts = [[IMAGES[:, :, i : i + 3, j : j + 3] for j in range(3)] for i in range(3)]
    return jnp.einsum("boyx,uvbiyx->iouv", e, np.array(shifts))


GRAPH = (EDGES, WEIGHTS)

CASES = [
    Practice(
        "smoothing on a graph, with Hessian and products",
        graph_cost,
        F,
        GRAPH,
        gradient=graph_gradient,
        hessian=graph_hessian,
        hessian_product=graph_product,
    ),
    Practice(
        "smoothing on a graph, one end of each edge forgotten",
        graph_cost,
        F,
        GRAPH,
        gradient=graph_one_end,
        kinds=frozenset({Kind.MISSING}),
    ),
    Practice(
        "smoothing on a graph, += with repeated nodes in NumPy",
        graph_cost,
        F,
        GRAPH,
        gradient=graph_set,
        kinds=frozenset({Kind.INDEX, Kind.MISSING}),
    ),
    Practice(
        "smoothing on a graph, unknown labels counted",
        graph_cost,
        F,
        GRAPH,
        gradient=graph_unmasked,
        kinds=frozenset({Kind.CHAIN_RULE, Kind.ENTRY}),
    ),
    Practice(
        "smoothing on a graph, a Hessian of degrees only",
        graph_cost,
        F,
        GRAPH,
        gradient=graph_gradient,
        hessian=graph_degrees,
        kinds=frozenset({Kind.DIAGONAL}),
    ),
    Practice(
        "smoothing on a graph, each edge once in the Hessian",
        graph_cost,
        F,
        GRAPH,
        gradient=graph_gradient,
        hessian=graph_upper,
        kinds=frozenset({Kind.ASYMMETRIC}),
    ),
    Practice(
        "smoothing on a graph, the product with f and not with v",
        graph_cost,
        F,
        GRAPH,
        gradient=graph_gradient,
        hessian_product=graph_at_f,
        kinds=frozenset({Kind.INDEX}),
    ),
    Practice("bent beam", beam_cost, BEAM, (LOAD,), gradient=beam_gradient),
    Practice(
        "bent beam, the neighbour on the right forgotten",
        beam_cost,
        BEAM,
        (LOAD,),
        gradient=beam_neighbour,
        kinds=frozenset({Kind.MISSING}),
    ),
    Practice(
        "bent beam, a power of h too many beside a load",
        beam_cost,
        BEAM,
        (LOAD,),
        gradient=beam_power,
        kinds=frozenset({Kind.FACTOR}),
    ),
    Practice(
        "bent beam, free ends for clamped ones",
        beam_cost,
        BEAM,
        (LOAD,),
        gradient=beam_free,
        kinds=frozenset({Kind.ENTRY}),
    ),
    Practice("membrane in a double well, NumPy", membrane_cost, MEMBRANE, gradient=membrane_gradient),
    Practice(
        "membrane, the two spacings exchanged",
        membrane_cost,
        MEMBRANE,
        gradient=membrane_spacings,
        kinds=frozenset({Kind.FACTOR, Kind.TRANSPOSE}),
    ),
    # no kind names it: the report says it in words
    Practice(
        "membrane, the gradient is computed into u",
        membrane_cost,
        MEMBRANE,
        gradient=membrane_in_place,
        kinds=frozenset({Kind.UNKNOWN}),
    ),
    Practice("graph network on a directed graph", network_cost, GRAPH_NET, gradient=network_gradient),
    Practice(
        "graph network, the directions of the edges not reversed",
        network_cost,
        GRAPH_NET,
        gradient=network_directed,
        kinds=frozenset({Kind.TRANSPOSE}),
    ),
    Practice(
        "graph network, the ReLU's slope forgotten",
        network_cost,
        GRAPH_NET,
        gradient=network_relu,
        kinds=frozenset({Kind.CHAIN_RULE}),
    ),
    Practice(
        "graph network, directions not reversed and the ReLU's slope forgotten",
        network_cost,
        GRAPH_NET,
        gradient=network_directed_relu,
        kinds=frozenset({Kind.TRANSPOSE, Kind.CHAIN_RULE}),
        all_needed=True,
    ),
    Practice("bank of kernels in float32, images in the closure", bank_cost, KERNELS, gradient=bank_gradient),
    Practice(
        "bank of kernels, each rotated",
        bank_cost,
        KERNELS,
        gradient=bank_rotated,
        kinds=frozenset({Kind.INDEX}),
    ),
    Practice(
        "bank of kernels, in and out exchanged",
        bank_cost,
        KERNELS,
        gradient=bank_exchanged,
        kinds=frozenset({Kind.TRANSPOSE, Kind.INDEX}),
    ),
    Practice("blind deconvolution", blind_cost, BLIND, (TRACE,), gradient=blind_gradient),
    Practice(
        "blind deconvolution, convolved with the kernel where it is correlated",
        blind_cost,
        BLIND,
        (TRACE,),
        gradient=blind_rotated,
        kinds=frozenset({Kind.INDEX, Kind.TRANSPOSE}),
    ),
    Practice(
        "blind deconvolution, the kernel's derivative reversed",
        blind_cost,
        BLIND,
        (TRACE,),
        gradient=blind_reversed,
        kinds=frozenset({Kind.INDEX}),
    ),
]
