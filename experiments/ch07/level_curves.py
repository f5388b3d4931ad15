"""The gradient is the limit of differences, stands upright on the level curve, and points up the steepest way (7.1).

    ∂f/∂θ_j = lim (f(θ + h e_j) − f(θ)) / h,      ∇f · tangent = 0,      ∇f · u is largest over unit u at ∇f / ‖∇f‖

Two costs: the course's θ₁² + θ₂², and Σ exp(Aθ) = exp(θ₁ + 2θ₂) + exp(θ₁ − 2θ₂) + exp(−θ₁), whose level curves are
eggs. Level curves, tangents and steepest directions are found from values of f alone.
"""

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
from jax import lax

from experiments.lab.result import Check, Picture, Result, in_float64
from experiments.lab.style import DATA, FIT, MUTED, SECOND, TRUTH

TITLE = "Level curves and the gradient"
SECTION = "7.1"
A = np.array([[1.0, 2.0], [1.0, -2.0], [-1.0, 0.0]])
EGGS = (lambda theta: jnp.sum(jnp.exp(A @ theta)), lambda theta: jnp.exp(A @ theta) @ A)
FARTHEST = 4.0  # from a minimum to the level curves around it
POINT, H = np.array([0.3, 0.2]), np.logspace(0, -14, 57)

# name: (f, its gradient by hand, levels to draw, above that of the minimum)
COSTS = {
    "θ₁² + θ₂²": (lambda theta: theta @ theta, lambda theta: 2 * theta, np.array([0.1, 0.4, 0.9, 1.6])),
    "Σ exp(Aθ)": (*EGGS, np.array([0.2, 0.6, 1.4, 2.8])),
}
# name: (slope of f at 0, the order of its error, the h between which rounding does not matter yet)
DIFFERENCES = {
    "one-sided": (lambda f, h: (f(h) - f(0.0)) / h, 1, 1e-7, 1e-2),
    "central": (lambda f, h: (f(h) - f(-h)) / (2 * h), 2, 1e-4, 1e-1),
}


@in_float64
def run(quick: bool) -> Result:
    """The level curves of both costs with their gradients; then one gradient from differences, for every h."""
    directions = 360 if quick else 3_600
    minima = {name: _minimum(f) for name, (f, *_) in COSTS.items()}
    curves = {name: _level_curves(f, minima[name], above) for name, (f, _, above) in COSTS.items()}
    checks = [check for name in COSTS for check in _claims(name, curves[name], directions)]
    numbers, errors = {}, {}
    for side, (slope, expected, low, high) in DIFFERENCES.items():
        error = errors[side] = _errors(slope)
        use = (low <= H) & (high >= H)
        order = float(np.polyfit(np.log(H[use]), np.log(error[use]), 1)[0])
        checks.append(
            Check(f"{side}: error ∝ h^{expected}, off by", abs(order - expected), abs(order - expected) < 0.02)
        )
        numbers[side] = {"order": order, "best h": float(H[error.argmin()]), "relative error": float(error.min())}
    return Result(
        {
            "level_curves": Picture(
                _arrows(curves, minima),
                "Level curves and gradients (orange, drawn at a fixed fraction of their length). Each stands upright "
                "on its curve, and is long where curves lie close together. On circles straight downhill leads to the "
                "minimum; on eggs it leads past it.",
            ),
            "limit": Picture(
                _limit(errors),
                f"Σ exp(Aθ) at θ = ({POINT[0]}, {POINT[1]}). Left: the slope in each direction, from two values of f, "
                "is ‖∇f‖ cos φ: largest along the gradient, 0 along the level curve. Right: differences tend to the "
                "gradient as h → 0, until the digits of f run out.",
            ),
        },
        numbers,
        tuple(checks),
        (),
    )


def _unit(angles):
    return np.stack([np.cos(angles), np.sin(angles)], axis=-1)


def _minimum(f):
    """By Newton's method from 0."""

    def step(theta, _):
        return theta - jnp.linalg.solve(jax.hessian(f)(theta), jax.grad(f)(theta)), None

    return np.asarray(jax.jit(lambda theta: lax.scan(step, theta, length=20)[0])(np.zeros(2)))


def _level_curves(f, minimum, above, points=512):
    """(level, point, 2): where f reaches the level on rays from the minimum, by bisection."""

    def on_ray(level, ray):
        def halve(bounds, _):
            middle = jnp.mean(bounds)
            return bounds.at[jnp.where(f(minimum + middle * ray) < level, 0, 1)].set(middle), None

        bounds, _ = lax.scan(halve, jnp.array([0.0, FARTHEST]), length=60)
        return minimum + jnp.mean(bounds) * ray

    on_rays = jax.vmap(jax.vmap(on_ray, (None, 0)), (0, None))
    at_levels = jax.jit(lambda above, rays: on_rays(f(minimum) + above, rays))
    return np.asarray(at_levels(above, _unit(2 * np.pi * np.arange(points) / points)))


def _claims(name, curves, directions):
    """By hand = autodiff; upright on the tangent; steepest of all directions, as near as their spacing allows."""
    f, gradient = COSTS[name][:2]
    g, by_autodiff = (np.asarray(jax.jit(jax.vmap(jax.vmap(of)))(curves)) for of in (gradient, jax.grad(f)))
    k = 1j * np.fft.fftfreq(curves.shape[1], 1 / curves.shape[1])[None, :, None]
    tangent = np.fft.ifft(k * np.fft.fft(curves, axis=1), axis=1).real  # of a smooth closed curve, exact to rounding
    length = np.linalg.norm(g, axis=-1)
    error = float(np.max(np.abs(g - by_autodiff)) / np.max(length))
    cosine = float(np.max(np.abs(np.sum(g * tangent, axis=-1) / length / np.linalg.norm(tangent, axis=-1))))
    some, uphill = (part[:, ::16].reshape(-1, 2) for part in (curves, g))
    spacing = 2 * np.pi / directions
    steepest = spacing * np.argmax(_slopes(f, some, _unit(spacing * np.arange(directions))), axis=1)
    turn = float(np.max(np.abs(np.angle(np.exp(1j * steepest) / (uphill @ np.array([1, 1j]))))))
    return (
        Check(f"∇({name}) by hand = autodiff", error, error < 1e-14),
        Check(f"∇({name}) ⊥ level curve: cosine", cosine, cosine < 1e-10),
        Check(f"∇({name}) is the steepest of {directions} directions: radians", turn, turn < 0.51 * spacing),
    )


def _slopes(f, thetas, directions):
    """(theta, direction), from two values of f each."""
    slope, *_ = DIFFERENCES["central"]
    along = jax.vmap(lambda theta, u: slope(lambda h: f(theta + h * u), 1e-5), (None, 0))
    return np.asarray(jax.jit(jax.vmap(along, (0, None)))(thetas, directions))


def _errors(slope):
    """The relative error of ∇ Σ exp(Aθ) at POINT from differences, for every h."""
    f, _ = EGGS
    along = jax.vmap(lambda e, h: slope(lambda h: f(POINT + h * e), h), (0, None))
    g, by_differences = _at_point(), np.asarray(jax.jit(jax.vmap(along, (None, 0)))(np.eye(2), H))
    return np.linalg.norm(by_differences - g[None, :], axis=1) / np.linalg.norm(g)


def _at_point():
    """The gradient of Σ exp(Aθ) at POINT."""
    return np.exp(A @ POINT) @ A


def _arrows(curves, minima):
    figure, axes = plt.subplots(1, 2, figsize=(10.5, 5))
    reach = 0.5 + max(float(np.max(np.abs(curve))) for curve in curves.values())
    for axis, (name, (_, gradient, _)) in zip(axes, COSTS.items(), strict=True):
        for curve in curves[name]:
            axis.plot(*np.append(curve, curve[:1], axis=0).T, color=DATA, lw=1.2)
        foot = curves[name][:, :: curves[name].shape[1] // 16].reshape(-1, 2)
        arrow = np.asarray(jax.jit(jax.vmap(gradient))(foot))
        scale = np.max(np.linalg.norm(arrow, axis=1)) / 0.5
        axis.quiver(*foot.T, *arrow.T, color=FIT, angles="xy", scale_units="xy", scale=scale, width=0.004)
        axis.plot(*minima[name], "o", color=TRUTH, label="minimum")
        axis.set(
            xlabel="θ₁", ylabel="θ₂", aspect="equal", xlim=(-reach, reach), ylim=(-reach, reach), title=f"f = {name}"
        )
        axis.legend(loc="upper right")
    return figure


def _limit(errors):
    figure, (left, right) = plt.subplots(1, 2, figsize=(10.5, 4))
    f, _ = EGGS
    g, phi = _at_point(), np.linspace(-np.pi, np.pi, 73)
    slopes = _slopes(f, POINT[None, :], _unit(phi + np.arctan2(g[1], g[0])))[0]
    left.plot(np.degrees(phi), np.linalg.norm(g) * np.cos(phi), color=TRUTH, label="‖∇f‖ cos φ")
    left.plot(np.degrees(phi), slopes, "o", color=DATA, ms=3, label="from two values of f")
    left.set(xlabel="φ, angle to the gradient, degrees", ylabel="slope of f", xticks=range(-180, 181, 90),
             title="No direction is steeper than the gradient's")  # fmt: skip
    for (side, error), color in zip(errors.items(), (DATA, SECOND), strict=True):
        right.plot(H, error, "o-", color=color, ms=3, lw=1, label=f"{side}, ∝ h{'²' if side == 'central' else ''}")
    right.plot(H, np.finfo(float).eps / H, color=MUTED, ls=":", label="machine epsilon / h")
    right.set(xscale="log", yscale="log", xlabel="h", ylabel="relative error of ∇f", ylim=(1e-14, 10),
              title="The gradient is the limit of differences")  # fmt: skip
    for axis, place in ((left, "lower center"), (right, "upper center")):
        axis.legend(loc=place)
    return figure
