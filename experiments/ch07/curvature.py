"""The eigenvalues of the Hessian are the curvatures of the cost, and their signs say bowl, saddle or ridge (7.2).

    H_jk = ∂²f / ∂θ_j ∂θ_k,      d²/dt² f(θ + t v) = vᵀHv at t = 0,      which is λ for a unit eigenvector v

Between its eigenvectors the curvature lies between its eigenvalues: vᵀHv = λ_min cos²φ + λ_max sin²φ, φ from v_min.
"""

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np

from experiments.lab.result import Check, Picture, Result, in_float64
from experiments.lab.style import CLASSES, FIT, MUTED, TRUTH

TITLE = "Bowl, saddle, ridge"
SECTION = "7.2"


def _bowl(theta):
    return jnp.cosh(theta[0]) + jnp.cosh(theta[0] + theta[1])


def _bowl_hessian(theta):
    first, both = jnp.cosh(theta[0]), jnp.cosh(theta[0] + theta[1])
    return jnp.array([[first + both, both], [both, both]])


def _saddle(theta):
    return jnp.sin(theta[0]) * jnp.sin(theta[1])


def _saddle_hessian(theta):
    sines, cosines = jnp.prod(jnp.sin(theta)), jnp.prod(jnp.cos(theta))
    return jnp.array([[-sines, cosines], [cosines, -sines]])


def _ridge(theta):
    return jnp.exp(-((theta[0] - 2 * theta[1]) ** 2) / 2)


def _ridge_hessian(theta):
    curvature = _ridge(theta) * ((theta[0] - 2 * theta[1]) ** 2 - 1)
    return curvature * jnp.array([[1.0, -2.0], [-2.0, 4.0]])


# name: (f, its Hessian by hand, the signs of its eigenvalues at 0, formula)
LANDSCAPES = {
    "bowl": (_bowl, _bowl_hessian, (1, 1), "cosh θ₁ + cosh(θ₁ + θ₂)"),
    "saddle": (_saddle, _saddle_hessian, (-1, 1), "sin θ₁ sin θ₂"),
    "ridge": (_ridge, _ridge_hessian, (-1, 0), "exp(−(θ₁ − 2θ₂)²/2)"),
}


@in_float64
def run(quick: bool) -> Result:
    """Hessians by hand against autodiff, and eigenvalues against second differences, at points drawn at random."""
    points, resolution = (50, 30) if quick else (2_000, 60)
    thetas = np.random.Generator(np.random.PCG64(7)).uniform(-1.2, 1.2, (points, 2))
    checks, numbers, axes_at_0 = [], {}, {}
    for name, (f, hessian, signs, formula) in LANDSCAPES.items():
        claims, at_0 = _claims(name, f, hessian, thetas)
        eigenvalues, vectors = axes_at_0[name] = np.linalg.eigh(at_0)
        checks += claims
        off = float(np.max(np.abs(np.sign(np.round(eigenvalues, 12)) - signs)))
        checks.append(Check(f"{name}: the eigenvalues at 0 have the signs {signs}", off, off == 0))
        numbers[name] = {"f": formula, "eigenvalues at 0": eigenvalues.tolist(), "eigenvectors": vectors.T.tolist()}
    return Result(
        {
            "landscapes": Picture(
                _landscapes(axes_at_0, resolution),
                "Above the surfaces, below their level curves with the eigenvectors of H at 0, where ∇f = 0: green "
                "where f curves up, orange where it curves down, grey where the eigenvalue is 0. Only two positive "
                "eigenvalues make a minimum. Along the grey one f stays as it is: the crest has no highest point.",
            ),
            "directions": Picture(
                _directions(axes_at_0),
                "The curvature at 0 in each direction, from five values of f (dots) and as vᵀHv (lines). Its extremes "
                "are the eigenvalues; the eigenvectors, where they lie, are 90° apart.",
            ),
        },
        numbers,
        tuple(checks),
        (),
    )


def _claims(name, f, hessian, thetas):
    """By hand = autodiff, and eigenvalue = second derivative along the eigenvector, at all thetas; and H at 0."""
    both = jax.jit(jax.vmap(lambda theta: (hessian(theta), jax.hessian(f)(theta))))
    (at_0, *by_hand), (_, *by_autodiff) = map(np.asarray, both(np.insert(thetas, 0, 0.0, axis=0)))
    by_hand, by_autodiff = np.array(by_hand), np.array(by_autodiff)
    eigenvalues, vectors = np.linalg.eigh(by_hand)
    along = _second_derivative(f, thetas[:, None, :], np.swapaxes(vectors, 1, 2))
    largest = np.max(np.abs(by_hand))
    error = float(np.max(np.abs(by_hand - by_autodiff)) / largest)
    difference = float(np.max(np.abs(along - eigenvalues)) / largest)
    return (
        Check(f"{name}: H by hand = autodiff", error, error < 1e-14),
        Check(f"{name}: eigenvalue = second difference along its eigenvector", difference, difference < 1e-8),
    ), at_0


def _second_derivative(f, thetas, directions, h=3e-3):
    """d²/dt² f(θ + tu) at t = 0, from five values of f; the error is of order h⁴. thetas broadcast with directions."""
    weights = np.array([-1, 16, -30, 16, -1]) / (12 * h**2)
    steps = h * np.arange(-2, 3)
    points = thetas[..., None, :] + steps[:, None] * directions[..., None, :]
    values = jax.jit(jax.vmap(f))(points.reshape(-1, 2))
    return np.asarray(values).reshape(points.shape[:-1]) @ weights


def _landscapes(axes_at_0, resolution):
    figure = plt.figure(figsize=(11, 7))
    side = np.linspace(-1.2, 1.2, resolution)
    grid = np.stack(np.meshgrid(side, side), axis=-1)
    for place, (name, (f, *_, formula)) in enumerate(LANDSCAPES.items(), start=1):
        values = np.asarray(jax.jit(jax.vmap(jax.vmap(f)))(grid))
        above = figure.add_subplot(2, 3, place, projection="3d")
        above.plot_surface(grid[..., 0], grid[..., 1], values, cmap="viridis", rcount=30, ccount=30, linewidth=0)
        above.set(xlabel="θ₁", ylabel="θ₂", title=f"{name}: {formula}", xticks=(-1, 0, 1), yticks=(-1, 0, 1))
        above.view_init(elev=32, azim=-70)
        above.set_box_aspect((4, 4, 3))
        below = figure.add_subplot(2, 3, 3 + place)
        below.contour(
            side, side, values, levels=np.quantile(values, np.linspace(0.02, 0.95, 13)), cmap="viridis", linewidths=1
        )
        _eigenvectors(below, *axes_at_0[name])
        below.set(xlabel="θ₁", ylabel="θ₂", aspect="equal", xticks=(-1, 0, 1), yticks=(-1, 0, 1))
    figure.tight_layout()
    return figure


def _eigenvectors(axis, eigenvalues, vectors):
    for value, vector in zip(np.round(eigenvalues, 12) + 0.0, vectors.T, strict=True):
        color = {1: TRUTH, -1: FIT, 0: MUTED}[int(np.sign(value))]
        for end in (vector, -vector):
            axis.annotate("", 0.8 * end, (0, 0), arrowprops={"arrowstyle": "->", "color": color, "lw": 2})
        upper = vector * np.sign(vector[1])
        box = {"facecolor": "white", "edgecolor": "none", "alpha": 0.85, "pad": 1}
        axis.text(
            *(0.98 * upper), f"λ = {value:.3g}".replace("-", "−"), color=color, ha="center", va="center", bbox=box
        )


def _directions(axes_at_0):
    figure, axes = plt.subplots(figsize=(6.5, 4))
    phi = np.linspace(0, np.pi, 61)
    directions = np.stack([np.cos(phi), np.sin(phi)], axis=-1)
    for (name, (f, *_)), color in zip(LANDSCAPES.items(), CLASSES, strict=False):
        eigenvalues, vectors = axes_at_0[name]
        axes.plot(np.degrees(phi), (directions @ vectors) ** 2 @ eigenvalues, color=color, lw=1)
        measured = _second_derivative(f, np.zeros((1, 2)), directions)
        axes.plot(np.degrees(phi), measured, "o", color=color, ms=3, label=name)
    axes.axhline(0, color=MUTED, lw=0.8)
    axes.set(xlabel="direction, degrees from the θ₁ axis", ylabel="curvature, d²f/dt²", xticks=range(0, 181, 45),
             title="Curvature in every direction")  # fmt: skip
    axes.legend(loc="lower left")
    return figure
