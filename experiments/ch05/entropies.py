"""Entropy: of a coin, largest where it is fair, and of a Gaussian, affine in the log-determinant of Σ (course 5.5)."""

import itertools

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np

from experiments.lab.result import Check, Picture, Result, apart, in_float64
from experiments.lab.style import CLASSES, DATA, FIT, MUTED
from jax_course import bernoulli, gaussian

TITLE = "How uncertain? The entropy"
SECTION = "5.5"

P = np.linspace(0, 1, 201)  # an odd number of them, so that 1/2 is one
ZERO = 1 / np.sqrt(2 * np.pi * np.e)  # the σ of a bell curve of entropy 0
SIGMAS = np.array([1.0, ZERO, 0.1])
STEPS = 0.1 * np.arange(-120, 121)  # in standard deviations; what lies beyond 12 is less than the rounding of 1
DIMENSIONS = (1, 2, 3)


@in_float64
def run(quick: bool) -> Result:
    """Entropies and their derivatives by hand, against −Σ P log P, integrals, eigenvalues, autodiff and draws."""
    matrices, draws = (80, 20_000) if quick else (400, 500_000)
    H, slope, of_coin = _coin()
    bells, of_bells = _bells()
    clouds = {d: _gaussians(d, matrices, draws) for d in DIMENSIONS}
    lines = {d: np.polyfit(log_det, entropy, 1).tolist() for d, (log_det, entropy, _) in clouds.items()}
    return Result(
        {
            "coin": Picture(
                _draw_coin(H, slope),
                "Left: the entropy of a coin is 0 where the outcome is certain, and largest, log 2, where it is fair. "
                "Right: its derivative log((1 − p)/p), by hand (line) and as differences of H (dots). It is 0 at 1/2 "
                "and infinite at both ends.",
            ),
            "gaussian": Picture(
                _draw_gaussian(bells, clouds),
                "Left: bell curves and their entropies. A density may be larger than 1, and the entropy negative. "
                "Middle: the entropy of random Σ (dots) is not proportional to det Σ (slip E 6 of the printed "
                "course): it adds ½ log 2 whenever det Σ doubles. Right: it is affine in log det Σ, and 0 where "
                "det Σ = (2πe)^−d.",
            ),
        },
        {
            "largest entropy of a coin": float(H[len(P) // 2]),
            "entropies of the bell curves": bells[2].tolist(),
            "slope and intercept against log det Σ": {f"d = {d}": line for d, line in lines.items()},
        },
        (*of_coin, *of_bells, *(check for *_, checks in clouds.values() for check in checks), *_affine(clouds, lines)),
        (),
    )


def _coin():
    """H for each p and its derivative by hand; −Σ P log P and its derivative by autodiff, within the ends."""

    def surprise(p):
        return -sum(bernoulli.pmf(x, p) * bernoulli.log_pmf(x, p) for x in (0, 1))

    @jax.jit
    def at_all(p):
        within = jax.vmap(jax.value_and_grad(surprise))(p[1:-1])
        return bernoulli.entropy(p), bernoulli.entropy_derivative(p), *within

    H, slope, by_definition, by_autodiff = map(np.asarray, at_all(P))
    definition, derivative = apart(H[1:-1], by_definition), apart(slope[1:-1], by_autodiff)
    half = len(P) // 2
    ends, largest = float(max(abs(H[0]), abs(H[-1]))), apart(H[half], np.log(2))
    up = float(np.mean(np.diff(H, 2) >= 0))
    checks = (
        Check("coin: H = −Σ P log P", definition, definition < 1e-13),
        Check("coin: dH/dp by hand = autodiff", derivative, derivative < 1e-13),
        Check("coin: H is 0 at both ends", ends, ends == 0),
        Check("coin: it is largest at 1/2, log 2", largest, largest < 1e-15 and int(np.argmax(H)) == half),
        Check("coin: dH/dp is 0 there", float(abs(slope[half])), float(abs(slope[half])) < 1e-15),
        Check("coin: H bends down: share of second differences that do not", up, up == 0),
    )
    return H, slope, checks


def _bells():
    """Bell curves on their axes, and their entropies: −∫ p log p."""
    x = SIGMAS[:, None] * STEPS

    @jax.jit
    @jax.vmap
    def at_all(x, sigma):
        return gaussian.pdf(x, 0.0, sigma**2), gaussian.log_pdf(x, 0.0, sigma**2), gaussian.entropy(sigma**2)

    p, log_p, entropies = map(np.asarray, at_all(x, SIGMAS))
    error = apart(-np.trapezoid(p * log_p, x), entropies)
    ratio = apart(entropies, np.log(SIGMAS / ZERO))
    negative = bool(np.all(entropies[SIGMAS < 0.999 * ZERO] < 0))  # at ZERO itself the sign is that of rounding
    return (x, p, entropies), (
        Check("bell curves: H = −∫ p log p", error, error < 1e-13),
        Check("bell curves: H = log(σ/σ₀), σ₀² = 1/2πe: below, H < 0", ratio, ratio < 1e-13 and negative),
    )


def _gaussians(d, matrices, draws):
    """Random Σ whose log-determinants are spread evenly: those, the entropies, and where else they must come from."""
    rng = np.random.default_rng(d)
    factors = rng.standard_normal((matrices, d, d))
    shapes = factors @ np.swapaxes(factors, 1, 2) + np.eye(d)
    wanted = rng.uniform(-11, 3, matrices)
    sigmas = np.exp((wanted - np.linalg.slogdet(shapes)[1]) / d)[:, None, None] * shapes

    def of_symmetric(covariance):
        return gaussian.entropy((covariance + covariance.T) / 2)

    @jax.jit
    def at_all(sigmas, X):
        H, by_autodiff = jax.lax.map(jax.value_and_grad(of_symmetric), sigmas)
        by_hand = jax.vmap(lambda of: -gaussian.hessian_x(jnp.zeros(d), jnp.zeros(d), of) / 2)(sigmas)
        return H, by_autodiff, by_hand, -jnp.mean(gaussian.log_pdf(X, jnp.zeros(d), sigmas[0]))

    X = rng.standard_normal((draws, d)) @ np.linalg.cholesky(sigmas[0]).T
    H, by_autodiff, by_hand, of_draws = map(np.asarray, at_all(sigmas, X))
    eigenvalues = np.linalg.eigvalsh(sigmas)
    along_axes = apart(H, np.sum(np.log(2 * np.pi * np.e * eigenvalues), axis=1) / 2)
    away = float(abs(of_draws - H[0]) / np.sqrt(d / 2 / draws))  # −log p is H plus half of χ² less its mean d
    size = np.max(np.abs(by_autodiff), axis=(1, 2))
    derivative = float(np.max(np.max(np.abs(by_hand - by_autodiff), axis=(1, 2)) / size))
    return (
        np.sum(np.log(eigenvalues), axis=1),
        H,
        (
            Check(f"d = {d}: H is the sum of those along the axes of the ellipsoid", along_axes, along_axes < 1e-13),
            Check(f"d = {d}: H is the mean of −log p of the draws, standard errors off", away, away < 4.5),
            Check(f"d = {d}: ∂H/∂Σ = ½Σ⁻¹ by hand = autodiff", derivative, derivative < 1e-12),
        ),
    )


def _affine(clouds, lines):
    """Slope ½ and intercept ½ d log 2πe against log det Σ, and how far H is from the best multiple of det Σ."""
    off = max(apart(line, [0.5, d * np.log(2 * np.pi * np.e) / 2]) for d, line in lines.items())
    misfits = []
    for log_det, entropy, _ in clouds.values():
        det = np.exp(log_det)
        misfits.append(np.linalg.norm(entropy - det * (det @ entropy) / (det @ det)) / np.linalg.norm(entropy))
    misfit = float(min(misfits))
    return (
        Check("H is affine in log det Σ: slope ½, intercept ½ d log 2πe", off, off < 1e-12),
        Check("it is not proportional to det Σ: misfit of the best factor", misfit, misfit > 0.1),
    )


def _draw_coin(H, slope):
    figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4), layout="constrained")
    left.plot(P, H, color=DATA)
    three = [0, len(P) // 2, -1]
    left.plot(P[three], H[three], "o", color=FIT, clip_on=False)
    left.axhline(np.log(2), ls=":", color=MUTED)
    left.annotate("log 2", (0.02, np.log(2)), xytext=(0, -12), textcoords="offset points")
    left.set(xlabel="p", ylabel="H, nats", title="Entropy of a coin", xlim=(0, 1), ylim=(0, 0.75))
    middles = (P[:-1] + P[1:]) / 2
    right.plot(P[1:-1], slope[1:-1], color=DATA)
    right.plot(middles[2::15], (np.diff(H) / np.diff(P))[2::15], "o", color=FIT, ms=4)
    right.axhline(0, color=MUTED, lw=0.8)
    right.axvline(0.5, ls=":", color=MUTED)
    right.set(xlabel="p", ylabel="dH/dp", title="Its derivative", xlim=(0, 1))
    return figure


def _draw_gaussian(bells, clouds):
    figure, (left, middle, right) = plt.subplots(1, 3, figsize=(11, 4), layout="constrained")
    for x, p, H, color in zip(*bells, itertools.cycle(CLASSES[3:]), strict=False):
        label = f"σ = {x[-1] / STEPS[-1]:.2g}, H = {round(H, 2) + 0.0:.2f}".replace("-", "−")
        left.plot(x, p, color=color, label=label)
    left.axhline(1, color=MUTED, lw=0.8)
    left.set(xlabel="x", ylabel="p(x)", title="Bell curves", xlim=2.5 * np.max(SIGMAS) * np.array([-1, 1]),
             ylim=(0, 1.5 * np.max(bells[1])))  # fmt: skip
    left.legend(loc="upper left")
    at = np.linspace(-11, 3, 400)
    for (d, of), color in zip(clouds.items(), CLASSES, strict=False):
        log_det, entropy = (values[:80] for values in of[:2])
        line = d * np.log(2 * np.pi * np.e) / 2 + at / 2
        middle.plot(np.exp(at), line, color=color, lw=1)
        middle.plot(np.exp(log_det), entropy, "o", color=color, ms=3)
        right.plot(at, line, color=color, lw=1)
        right.plot(log_det, entropy, "o", color=color, ms=3, label=f"d = {d}")
        right.plot(-d * np.log(2 * np.pi * np.e), 0, "s", color=color, mfc="white")
    for axis in (middle, right):
        axis.axhline(0, color=MUTED, lw=0.8)
    middle.set(xlabel="det Σ", ylabel="H, nats", title="Against det Σ", xlim=(-0.1, 4))
    right.set(xlabel="log det Σ", title="Against log det Σ")
    right.legend()
    return figure
