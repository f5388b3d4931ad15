"""η = 0.1 is too slow, η = 0.6 too large: gradient descent on a bowl converges where η < 2/λ_max, only there (7.5).

    J = ½ θᵀHθ,      θ ← θ − ηHθ,      so that along the eigenvector of λ each step multiplies the error by 1 − ηλ

The slowest direction sets the pace, max |1 − ηλ|. It is smallest at η = 2/(λ_min + λ_max), where both ends of the
spectrum are equally slow: (κ − 1)/(κ + 1), κ = λ_max/λ_min. On the bowl drawn here, λ is ½ and 3½.
"""

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
from jax import lax

from experiments.interactive import step_size
from experiments.lab.result import Check, Picture, Result, apart, in_float64
from experiments.lab.style import CLASSES, DATA, FIT, MUTED, SECOND, TRUTH
from jax_course.optimization import optimizers

TITLE = "Three step sizes"
SECTION = "7.5"
H = np.array([[2.0, 1.5], [1.5, 2.0]])
START = np.array([1.6, 0.4])
LOOKS = {"too slow": DATA, "the best": TRUTH, "too large": FIT}
FRAMES = (1, 3, 8, 20)


@in_float64
def run(quick: bool) -> Result:
    """Three paths; the pace for every η; the border by bisection, on this bowl and on random ones in ten dimensions."""
    bowls, tried = (5, 121) if quick else (50, 601)
    smallest, largest = map(float, np.linalg.eigvalsh(H))
    expected, bound = 2 / (smallest + largest), 2 / largest
    rates = expected / 5, expected, 1.05 * bound
    of_slider = bound * np.linspace(0.035, 1.085, 31)
    every = np.asarray(jax.jit(jax.vmap(lambda eta: _descend(eta, H, START, 40)))(np.array([*rates, *of_slider])))
    paths = dict(zip(rates, every, strict=False))
    etas = bound * np.linspace(0.00175, 1.12, tried)
    paces = np.asarray(jax.jit(jax.vmap(_pace))(etas))
    border, best = float(jax.jit(_border)(H, START)), float(etas[np.argmin(paces)])
    numbers = {
        "border by bisection": border,
        "2 / largest eigenvalue": bound,
        "best step size measured": best,
        "2 / (smallest + largest eigenvalue)": expected,
        "pace at the best": float(paces.min()),
        "cost after 40 steps": {f"{eta:g}": float(_cost(path[-1])) for eta, path in paths.items()},
    }
    return Result(
        {
            "paths": Picture(
                _frames(paths),
                "Four frames of three descents from the same θ; grey are the level curves of J, the cross is its "
                f"minimum. {rates[0]:.2g} creeps along the valley's floor; {rates[1]:.2g} crosses the valley, nearer "
                f"each time; {rates[2]:.2g} crosses it, farther each time.",
            ),
            "pace": Picture(
                _costs(paths, etas, paces, border),
                "Left: late on the way, every step changes the cost by the same factor. Right: the measured factor by "
                "which a step changes the distance to the minimum (dots), on the larger of |1 − ηλ| (lines), one for "
                "each eigenvalue. The best η is where the two meet, the border where one reaches 1.",
            ),
        },
        numbers,
        _claims(smallest, largest, border, best, float(etas[1] - etas[0]), float(paces.min()), bowls),
        (),
        {"slider": _slider(of_slider, every[len(rates) :], border)},
    )


def _cost(theta):
    return theta @ H @ theta / 2


def _descend(eta, H, theta, steps):
    """θ₀, …, θ_steps."""
    init, update = optimizers.sgd(eta)

    def step(carry, _):
        theta, state = carry
        change, state = update(H @ theta, state)
        return (theta + change, state), theta

    _, path = lax.scan(step, (jnp.asarray(theta), init(theta)), length=steps + 1)
    return path


def _pace(eta):
    """The factor per step by which ‖θ‖ changes, late on the way: over the second half of 600 steps."""
    distance = jnp.linalg.norm(_descend(eta, H, START, 600), axis=1)
    return (distance[-1] / distance[300]) ** (1 / 300)


def _border(H, theta):
    """The η up to which J still falls late on the way, by bisection. 2d / trace H is never below 2/λ_max."""

    def halve(bounds, _):
        eta = jnp.mean(bounds)
        before, after = (jnp.linalg.norm(theta) for theta in _descend(eta, H, theta, 500)[-2:])
        falls = jnp.isfinite(after) & (after <= before)
        return bounds.at[jnp.where(falls, 0, 1)].set(eta), None

    bounds, _ = lax.scan(halve, jnp.stack([0.0, 2 * len(H) / jnp.trace(H)]), length=60)
    return jnp.mean(bounds)


def _claims(smallest, largest, border, best, spacing, pace, bowls):
    rng = np.random.Generator(np.random.PCG64(5))
    A = rng.standard_normal((bowls, 40, 10))
    spectra = np.swapaxes(A, 1, 2) @ A
    expected = 2 / np.linalg.eigvalsh(spectra)[:, -1]
    borders = np.asarray(jax.jit(jax.vmap(_border))(spectra, rng.standard_normal((bowls, 10))))
    slope = apart(jax.jit(jax.grad(_cost))(START), H @ START)
    here, everywhere = abs(border * largest / 2 - 1), float(np.max(np.abs(borders / expected - 1)))
    off = abs(best - 2 / (smallest + largest))
    slower = abs(pace - (largest - smallest) / (largest + smallest))
    return (
        Check("∇J = Hθ", slope, slope < 1e-15),
        Check("border of convergence = 2/λ_max", here, here < 1e-13),
        Check(
            f"border of convergence = 2/λ_max, {bowls} random bowls in ten dimensions", everywhere, everywhere < 1e-13
        ),
        Check("best step = 2/(λ_min + λ_max), to the spacing of the η tried", off, off < spacing),
        Check("pace at the best step = (κ − 1)/(κ + 1)", slower, slower < largest * spacing),
    )


def _slider(etas, paths, border):
    side = np.linspace(-7, 7, 71)
    return step_size.draw(side, _over_plane(side), etas, paths, _costs_of(paths), border, start=4)


def _over_plane(side):
    return _costs_of(np.stack(np.meshgrid(side, side), axis=-1))


def _costs_of(thetas):
    """J at each θ of an array of them, (…, 2)."""
    return np.sum((thetas @ H) * thetas, axis=-1) / 2


def _frames(paths):
    figure, axes = plt.subplots(3, len(FRAMES), figsize=(10, 7.6), sharex=True, sharey=True)
    side = np.linspace(-3.6, 3.6, 80)
    J = _over_plane(side)
    for row, (eta, path), (name, color) in zip(axes, paths.items(), LOOKS.items(), strict=True):
        for axis, step in zip(row, FRAMES, strict=True):
            axis.contour(side, side, J, levels=np.geomspace(0.02, 20, 12), colors=MUTED, linewidths=0.6)
            axis.plot(*path[: step + 1].T, "o-", color=color, ms=3, lw=1.2)
            axis.plot(*path[step], "o", color=color, ms=7)
            axis.plot(0, 0, "+", color="black", ms=8)
            axis.set(aspect="equal", xlim=(-3.6, 3.6), ylim=(-3.6, 3.6))
        row[0].set_ylabel(f"η = {eta:.2g}, {name}\n\nθ₂")
    for upper, lower, step in zip(axes[0], axes[-1], FRAMES, strict=True):
        upper.set_title(f"after {step} {'steps' if step > 1 else 'step'}")
        lower.set_xlabel("θ₁")
    figure.tight_layout()
    return figure


def _costs(paths, etas, paces, border):
    figure, (left, right) = plt.subplots(1, 2, figsize=(10.5, 4))
    for (eta, path), (name, color) in zip(paths.items(), LOOKS.items(), strict=True):
        left.plot(_costs_of(path), "o-", color=color, ms=3, lw=1, label=f"η = {eta:.2g}, {name}")
    left.set(yscale="log", xlabel="steps", ylabel="J(θ)", title="Cost against steps")
    left.legend(loc="lower left")
    for eigenvalue, color in zip(np.linalg.eigvalsh(H), (CLASSES[5], SECOND), strict=True):
        right.plot(etas, np.abs(1 - eigenvalue * etas), color=color, lw=1, label=f"|1 − ηλ|, λ = {eigenvalue:.3g}")
    right.plot(etas[:: len(etas) // 40], paces[:: len(etas) // 40], "o", color="black", ms=3.5, label="measured")
    right.axvline(border, color=MUTED, ls="--", lw=1)
    right.text(border, 0.05, f"$2/\\lambda_{{\\max}}$ = {border:.4f} ", ha="right", color=MUTED, rotation=90)
    right.set(xlabel="η", ylabel="distance after a step / before", ylim=(0, 1.7), title="Pace against step size")
    right.legend(loc="upper left")
    return figure
