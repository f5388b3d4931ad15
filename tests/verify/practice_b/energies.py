"""Energies of particles, springs, chains, spins and fields, mostly in NumPy."""

import jax.numpy as jnp
import numpy as np

from jax_course.verify import Kind
from tests.verify.practice import Practice

rng = np.random.default_rng(114)

# Lennard-Jones: all pairs of a small cluster
ATOMS = np.array([[0.0, 0, 0], [1.1, 0, 0], [0.5, 1.0, 0.1], [0.4, 0.3, 1.05], [1.5, 0.9, 0.8]])


def cluster_energy(x, epsilon=1.0, sigma=1.0):
    i, j = np.triu_indices(len(x), 1)
    s6 = (sigma**2 / ((x[i] - x[j]) ** 2).sum(1)) ** 3
    return 4 * epsilon * (s6**2 - s6).sum()


def cluster_gradient(x, epsilon=1.0, sigma=1.0):
    g = np.zeros_like(x)
    for i in range(len(x)):
        for j in range(i):
            r = x[i] - x[j]
            s6 = (sigma**2 / (r @ r)) ** 3
            f = -24 * epsilon * (2 * s6**2 - s6) / (r @ r) * r
            g[i] += f
            g[j] -= f
    return g


def cluster_forces(x, epsilon=1.0, sigma=1.0):
    return -cluster_gradient(x, epsilon, sigma)


def cluster_first(x, epsilon=1.0, sigma=1.0):
    """Only the first atom of each pair feels it."""
    g = np.zeros_like(x)
    for i in range(len(x)):
        for j in range(i):
            r = x[i] - x[j]
            s6 = (sigma**2 / (r @ r)) ** 3
            g[i] += -24 * epsilon * (2 * s6**2 - s6) / (r @ r) * r
    return g


def cluster_distance(x, epsilon=1.0, sigma=1.0):
    """Divided by r where r² is needed: the difference is not made a unit vector."""
    i, j = np.triu_indices(len(x), 1)
    d = x[i] - x[j]
    r2 = (d**2).sum(1)
    s6 = (sigma**2 / r2) ** 3
    f = (-24 * epsilon * (2 * s6**2 - s6) / np.sqrt(r2))[:, None] * d
    g = np.zeros_like(x)
    np.add.at(g, i, f)
    np.add.at(g, j, -f)
    return g


def cluster_centred(x, epsilon=1.0, sigma=1.0):
    """The cluster is moved to its centre, in place, before anything is computed."""
    x -= x.mean(axis=0)
    return cluster_gradient(x, epsilon, sigma)


def cluster_twice(x, epsilon=1.0, sigma=1.0):
    d = x[:, None] - x
    r2 = (d**2).sum(-1) + np.eye(len(x))
    s6 = (sigma**2 / r2) ** 3 * (1 - np.eye(len(x)))
    return -48 * epsilon * (((2 * s6**2 - s6) / r2)[..., None] * d).sum(1)


# springs between points, rest lengths; the last point is held
NODES = np.array([[0.0, 0.1], [1.0, -0.1], [2.1, 0.3], [0.9, 1.0]])
BONDS, REST = np.array([(0, 1), (1, 2), (1, 3), (0, 3)]), np.array([0.9, 1.2, 1.0, 1.1])
GRAVITY = 0.3


def spring_energy(x):
    r = np.linalg.norm(x[BONDS[:, 0]] - x[BONDS[:, 1]], axis=1)
    return 0.5 * 20 * np.sum((r - REST) ** 2) + GRAVITY * x[:, 1].sum()


def spring_gradient(x):
    d = x[BONDS[:, 0]] - x[BONDS[:, 1]]
    r = np.linalg.norm(d, axis=1)
    f = (20 * (r - REST) / r)[:, None] * d
    g = np.zeros_like(x)
    np.add.at(g, BONDS[:, 0], f)
    np.add.at(g, BONDS[:, 1], -f)
    g[:, 1] += GRAVITY
    return g


def spring_weight(x):
    """Gravity along the first coordinate."""
    g = spring_gradient(x)
    g[:, 1] -= GRAVITY
    g[:, 0] += GRAVITY
    return g


def spring_unit(x):
    d = x[BONDS[:, 0]] - x[BONDS[:, 1]]
    r = np.linalg.norm(d, axis=1)
    f = (20 * (r - REST))[:, None] * d
    g = np.zeros_like(x)
    np.add.at(g, BONDS[:, 0], f)
    np.add.at(g, BONDS[:, 1], -f)
    g[:, 1] += GRAVITY
    return g


def spring_fixed(x):
    """It insists on the first node where it was."""
    assert np.allclose(x[0], NODES[0]), "the first node is held"
    return spring_gradient(x)


# charges in a trap; one of them is 1e-12 of the others
CHARGES = np.array([1.0, 1.0, -1.0, 1e-12])
PLACES = np.array([[1.0, 0.2], [-0.8, 0.5], [0.1, -1.0], [0.3, 0.9]])


def trap_energy(x, q):
    i, j = np.triu_indices(len(q), 1)
    r = jnp.sqrt(jnp.sum((x[i] - x[j]) ** 2, axis=1))
    return jnp.sum(q[i] * q[j] / r) + 0.5 * jnp.sum(jnp.abs(q) * jnp.sum(x**2, axis=1))


def trap_gradient(x, q):
    d = x[:, None, :] - x[None, :, :]
    r2 = jnp.sum(d**2, axis=-1) + jnp.eye(len(q))
    pull = q[:, None] * q[None, :] / r2**1.5
    return -jnp.sum(pull[..., None] * d, axis=1) + jnp.abs(q)[:, None] * x


def trap_sign(x, q):
    """For the last charge the force stands in the place of its negative."""
    return trap_gradient(x, q).at[3].multiply(-1.0)


def trap_small(x, q):
    """A factor 2 in the first coordinate of the last charge."""
    return trap_gradient(x, q).at[3, 0].multiply(2.0)


# a tip above a surface, in metres: everything happens within nanometres; NumPy, the point is 0
def tip_energy(z):
    u = z / 1e-9
    return np.sum(1e-18 * (0.5 * u**2 + 0.3 * np.arctan(u) + 0.1 * np.cos(3 * u)))


def tip_gradient(z):
    u = z / 1e-9
    return 1e-9 * (u + 0.3 / (1 + u**2) - 0.3 * np.sin(3 * u))


def tip_wave(z):
    u = z / 1e-9
    return 1e-9 * (u + 0.3 / (1 + u**2) - 0.1 * np.sin(3 * u))


# a spin glass in mean field: magnetisations, temperature
J = np.triu(rng.standard_normal((5, 5)), 1)
SPINS = np.tanh(0.5 * rng.standard_normal(5))


def spin_energy(m, temperature=0.7):
    entropy = (1 + m) / 2 * np.log((1 + m) / 2) + (1 - m) / 2 * np.log((1 - m) / 2)
    return -m @ J @ m + temperature * entropy.sum()


def spin_gradient(m, temperature=0.7):
    return -(J + J.T) @ m + temperature * np.arctanh(m)


def spin_hessian(m, temperature=0.7):
    return -(J + J.T) + np.diag(temperature / (1 - m**2))


def spin_upper(m, temperature=0.7):
    return -2 * J @ m + temperature * np.arctanh(m)


def spin_entropy(m, temperature=0.7):
    return -(J + J.T) @ m


def spin_hessian_upper(m, temperature=0.7):
    return -2 * J + np.diag(temperature / (1 - m**2))


# a field on a ring by its Fourier transform: stiff waves and a quartic
FIELD = rng.standard_normal(8)


def ring_energy(u):
    k = np.fft.fftfreq(len(u), 1 / len(u))
    return 0.5 * np.sum(k**2 * np.abs(np.fft.fft(u)) ** 2) / len(u) + 0.25 * np.sum(u**4)


def ring_gradient(u):
    k = np.fft.fftfreq(len(u), 1 / len(u))
    return np.fft.ifft(k**2 * np.fft.fft(u)).real + u**3


def ring_complex(u):
    k = np.fft.fftfreq(len(u), 1 / len(u))
    return np.fft.ifft(k**2 * np.fft.fft(u)) + u**3


def ring_forward(u):
    """Forward for backward transform: space is turned round."""
    k = np.fft.fftfreq(len(u), 1 / len(u))
    return np.fft.fft(k**2 * np.fft.fft(u)).real / len(u) + u**3


# distances with zeros on the diagonal: autodiff of the root is NaN there, the formula is not
SKETCH = rng.standard_normal((5, 2))
WANTED = np.abs(rng.standard_normal((5, 5)))
WANTED = (WANTED + WANTED.T) * (1 - np.eye(5))


def stress_energy(x):
    r2 = jnp.sum((x[:, None] - x) ** 2, axis=-1)
    return 0.25 * jnp.sum(jnp.where(r2 > 0, jnp.sqrt(r2) - WANTED, 0.0) ** 2)


def stress_gradient(x):
    d = x[:, None] - x
    r = jnp.sqrt(jnp.sum(d**2, axis=-1)) + jnp.eye(5)
    return jnp.sum(((r - WANTED) / r * (1 - jnp.eye(5)))[..., None] * d, axis=1)


def stress_half(x):
    d = x[:, None] - x
    r = jnp.sqrt(jnp.sum(d**2, axis=-1)) + jnp.eye(5)
    return 0.5 * jnp.sum(((r - WANTED) / r * (1 - jnp.eye(5)))[..., None] * d, axis=1)


# a chain of pendulums by their angles
ANGLES = np.array([0.3, -0.5, 0.8, 0.2])


def chain_energy(a, length=0.5):
    heights = -length * np.cumsum(np.cos(a))
    ends = length * np.sum(np.sin(a))
    return 9.81 * heights.sum() + 2.0 * (ends - 1.0) ** 2


def chain_gradient(a, length=0.5):
    below = len(a) - np.arange(len(a))
    ends = length * np.sum(np.sin(a))
    return 9.81 * length * below * np.sin(a) + 4.0 * (ends - 1.0) * length * np.cos(a)


def chain_above(a, length=0.5):
    """Those above each joint are counted for those below."""
    ends = length * np.sum(np.sin(a))
    return 9.81 * length * np.arange(1, len(a) + 1) * np.sin(a) + 4.0 * (ends - 1.0) * length * np.cos(a)


def chain_two(a, length=0.5):
    below = len(a) - np.arange(len(a))
    ends = length * np.sum(np.sin(a))
    return 9.81 * length * below * np.sin(a) + 2.0 * (ends - 1.0) * length * np.cos(a)


CASES = [
    Practice(
        "cluster of atoms, a loop in NumPy", cluster_energy, ATOMS, (), {"sigma": 0.95}, gradient=cluster_gradient
    ),
    Practice(
        "cluster of atoms, forces for the gradient",
        cluster_energy,
        ATOMS,
        gradient=cluster_forces,
        kinds=frozenset({Kind.SIGN}),
    ),
    Practice(
        "cluster of atoms, the second atom of each pair forgotten",
        cluster_energy,
        ATOMS,
        gradient=cluster_first,
        kinds=frozenset({Kind.MISSING}),
    ),
    Practice(
        "cluster of atoms, r for r²",
        cluster_energy,
        ATOMS,
        gradient=cluster_distance,
        kinds=frozenset({Kind.CHAIN_RULE}),
    ),
    Practice(
        "cluster of atoms, each pair counted twice",
        cluster_energy,
        ATOMS,
        (),
        {"epsilon": 0.5},
        gradient=cluster_twice,
        kinds=frozenset({Kind.FACTOR}),
    ),
    # no kind names it: the report says it in words
    Practice(
        "cluster of atoms, moved in place to its centre",
        cluster_energy,
        ATOMS,
        gradient=cluster_centred,
        kinds=frozenset({Kind.UNKNOWN}),
    ),
    Practice("springs under gravity, NumPy", spring_energy, NODES, gradient=spring_gradient),
    Practice(
        "springs, gravity along the other axis",
        spring_energy,
        NODES,
        gradient=spring_weight,
        kinds=frozenset({Kind.INDEX, Kind.TRANSPOSE}),
    ),
    Practice(
        "springs, the directions have no unit length",
        spring_energy,
        NODES,
        gradient=spring_unit,
        kinds=frozenset({Kind.CHAIN_RULE}),
    ),
    # no kind names it: the report says it in words
    Practice(
        "springs, an assertion fails beside the point",
        spring_energy,
        NODES,
        gradient=spring_fixed,
        kinds=frozenset({Kind.UNKNOWN}),
    ),
    Practice("charges in a trap, one of them tiny", trap_energy, PLACES, (CHARGES,), gradient=trap_gradient),
    Practice(
        "charges in a trap, the sign of the tiny one",
        trap_energy,
        PLACES,
        (CHARGES,),
        gradient=trap_sign,
        kinds=frozenset({Kind.SIGN, Kind.ENTRY}),
    ),
    Practice(
        "charges in a trap, one coordinate of the tiny one doubled",
        trap_energy,
        PLACES,
        (CHARGES,),
        gradient=trap_small,
        kinds=frozenset({Kind.ENTRY, Kind.FACTOR}),
    ),
    Practice("tip above a surface at 0 metres, NumPy", tip_energy, np.zeros(3), gradient=tip_gradient),
    Practice(
        "tip above a surface, the wave number's factor forgotten",
        tip_energy,
        np.array([1e-9, -4e-10, 2e-9]),
        gradient=tip_wave,
        kinds=frozenset({Kind.FACTOR, Kind.CHAIN_RULE}),
    ),
    Practice("spin glass in NumPy, with Hessian", spin_energy, SPINS, gradient=spin_gradient, hessian=spin_hessian),
    Practice(
        "spin glass, 2 J m where J is not symmetric",
        spin_energy,
        SPINS,
        gradient=spin_upper,
        kinds=frozenset({Kind.TRANSPOSE}),
    ),
    Practice(
        "spin glass, the entropy left out",
        spin_energy,
        SPINS,
        gradient=spin_entropy,
        kinds=frozenset({Kind.MISSING}),
    ),
    Practice(
        "spin glass, a Hessian that is not symmetric",
        spin_energy,
        SPINS,
        gradient=spin_gradient,
        hessian=spin_hessian_upper,
        kinds=frozenset({Kind.ASYMMETRIC}),
    ),
    Practice("field on a ring by FFT", ring_energy, FIELD, gradient=ring_gradient),
    Practice(
        "field on a ring, the real part not taken",
        ring_energy,
        FIELD,
        gradient=ring_complex,
        kinds=frozenset({Kind.DTYPE}),
    ),
    Practice(
        "field on a ring, forward for backward transform",
        ring_energy,
        FIELD,
        gradient=ring_forward,
        kinds=frozenset({Kind.INDEX}),
    ),
    Practice("stress of a map, zeros on the diagonal", stress_energy, SKETCH, gradient=stress_gradient),
    Practice(
        "stress of a map, half of it",
        stress_energy,
        SKETCH,
        gradient=stress_half,
        kinds=frozenset({Kind.FACTOR}),
    ),
    Practice("chain of pendulums, NumPy", chain_energy, ANGLES, gradient=chain_gradient),
    Practice(
        "chain of pendulums, those above for those below",
        chain_energy,
        ANGLES,
        gradient=chain_above,
        kinds=frozenset({Kind.INDEX}),
    ),
    Practice(
        "chain of pendulums, the square's 2 forgotten beside gravity",
        chain_energy,
        ANGLES,
        gradient=chain_two,
        kinds=frozenset({Kind.FACTOR}),
    ),
]
