"""All examples, twenty or one to a step, by one loop: small batches buy many steps with noise (7.8, slip E 11).

    θ ← θ + η Σ_B 2xᵀ(y − xθ) / |B|      B: all m examples (batch), some (mini-batch), one (online); each once an epoch

The course drops the 2 between two lines (E 11): the same path, where η is twice as large. It also sums over B; `train`
takes the mean, so that one η serves all three. With A_B = Σ_B 2xᵀx / |B|, H = E A_B, e = θ − θ* and σ² = J(θ*)/m:

    batch      ‖e‖ ≤ (1 − ηλ_min)ᵏ ‖e₀‖ after k epochs, by short steps and without noise
    smaller    E eeᵀ = S,   S = E (I − ηA_B) S (I − ηA_B) + η² C/|B|,   C the covariance of 2xᵀ(y − xθ*)

where batches are drawn at random. To first order S = ησ²/|B| · I: a round ball, in which the path stays. It is smaller
where each example comes once an epoch, and an epoch has few steps: then their noise cancels in part.
"""

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
import optax

from experiments.lab.result import Check, Picture, Result, apart, fitted, in_float64
from experiments.lab.style import CLASSES, DATA, FIT, MUTED, SECOND, TRUTH
from jax_course import linear
from jax_course.optimization import gradient_descent, optimizers, trace
from jax_course.train import train

TITLE = "Batch, online, mini-batch"
SECTION = "7.8"
M, ETA, NOISE = 200, 0.1, 0.5
DRAWN = 30
START = np.array([-1.0, 3.5])
MINI = 20
COLOR = {"batch": DATA, "online": FIT, "mini-batch": TRUTH}


@in_float64
def run(quick: bool) -> Result:
    """Three paths over the same examples for the same number of epochs; and batch descent without the factor 2."""
    epochs = 60 if quick else 600
    X, y = _problem()
    solution = linear.fit(X, y).check()
    theta, sigma2 = np.asarray(solution.theta), float(solution.cost) / M
    sizes = _sizes()
    paths = {name: _path(size, epochs, X, y) for name, size in sizes.items()}
    printed = {eta: _as_printed(eta, epochs, X, y) for eta in (ETA, 2 * ETA)}
    spread = {name: _spread(path, theta) for name, path in paths.items()}
    radius = {name: _radius(theta, size, X, y) for name, size in sizes.items()}
    return Result(
        {
            "paths": Picture(
                _paths(paths, theta, radius, X, y),
                f"The first {DRAWN} epochs of each from the same θ, on the level curves of J. Batch takes one step an "
                f"epoch, mini-batch {-(-M // MINI)}, online {M}. These two end in a ball of noise (dashed, at twice "
                f"its radius), which is √{MINI} times narrower where {MINI} examples go into a step.",
            ),
            "costs": Picture(
                _costs(paths, printed, theta, sigma2, X),
                "Left: J above its minimum against the examples seen, and what to expect of it in the ball (dashed). "
                "The smaller the batch, the sooner it gets down, and the sooner it stops. Right: batch descent as "
                "printed, without the 2. With the same η (dotted) it is slower; with 2η (dots) it is the very path.",
            ),
        },
        {
            "examples": M,
            "epochs": epochs,
            "learning rate": ETA,
            "steps": {name: len(path) - 1 for name, path in paths.items()},
            "distance to the minimum, root mean square of the second half": spread,
            "radius of the noise ball, batches drawn at random": {
                name: radius[name] for name in ("online", "mini-batch")
            },
        },
        (
            _is_derivative(paths["mini-batch"], X, y),
            _is_gradient_descent(paths["batch"], epochs, X, y),
            _absorbs_the_factor(paths["batch"], printed),
            _arrives(paths["batch"], theta, X),
            _stays("online", spread["online"], radius["online"], 0.9, 1.1),
            _stays("mini-batch", spread["mini-batch"], radius["mini-batch"], 0.4, 1),
        ),
        (fitted("linear", f"a line, {M} examples", f"σ = {sigma2**0.5:.3f}", solution),),
    )


def _sizes():
    """Of the batches."""
    return {"batch": M, "online": 1, "mini-batch": MINI}


def _problem():
    """y = 1 + 2x + noise, x uniform in [−1, 2]: 2XᵀX/m has eigenvalues near 1 and 3."""
    rng = np.random.Generator(np.random.PCG64(8))
    x = rng.uniform(-1, 2, M)
    return np.stack([np.ones(M), x], axis=1), 1 + 2 * x + NOISE * rng.standard_normal(M)


def _as_printed(eta, epochs, X, y):
    """Batch descent along Xᵀ(Xθ − y) / m, without the 2, as the course steps."""
    path = [START]
    for _ in range(epochs):
        path.append(path[-1] - eta * (X @ path[-1] - y) @ X / M)
    return np.array(path)


def _path(size, epochs, X, y):
    """θ before the first step and after each."""
    optimizer = _recording(optimizers.sgd(ETA), epochs * -(-M // size))
    training = train(
        linear.gradient, optimizer, START, X, y, key=jax.random.key(0), epochs=epochs, batch_size=size
    ).check()
    return np.concatenate([START[None, :], training.state[1]])


def _recording(optimizer, steps):
    """The optimizer with every θ that it leads to kept in its state."""

    def init(params):
        return optimizer.init(params), jnp.zeros((steps, *params.shape)), jnp.array(0)

    def update(updates, state, params=None):
        inner, path, k = state
        step, inner = optimizer.update(updates, inner, params)
        return step, (inner, path.at[k].set(params + step), k + 1)

    return optax.GradientTransformation(init, update)


def _is_derivative(path, X, y):
    """At every θ of a path, over all examples."""
    both = jax.jit(jax.vmap(lambda theta: (linear.gradient(theta, X, y), jax.grad(linear.cost)(theta, X, y))))
    error = apart(*both(path))
    return Check("linear.gradient along a path = autodiff", error, error < 1e-13)


def _spread(path, theta):
    return float(np.sqrt(np.mean(np.sum((path[len(path) // 2 :] - theta) ** 2, axis=1))))


def _is_gradient_descent(path, epochs, X, y):
    def mean(theta):
        return linear.cost(theta, X, y) / M

    descent = trace(gradient_descent, mean, START, line_search=ETA, tolerance=0.0, max_steps=epochs)
    gap = float(np.max(np.abs(np.asarray(descent.theta) - path)))
    return Check("batch_size = m is gradient descent on J/m, at every step", gap, gap < 1e-12)


def _absorbs_the_factor(path, printed):
    same, slower = (apart(printed[eta], path) for eta in (2 * ETA, ETA))
    return Check("E 11: without the 2, and 2η, the same path; with η another", same, same < 1e-14 < 0.1 < slower)


def _arrives(path, theta, X):
    slowest = 1 - ETA * np.linalg.eigvalsh(2 * X.T @ X / M)[0]
    distance = np.linalg.norm(path - theta, axis=1)
    left = float(np.max(distance[1:61] / distance[0] / slowest ** np.arange(1, 61)))
    return Check("batch: ‖e‖ / (1 − ηλ_min)ᵏ‖e₀‖, at most 1", left, left <= 1)


def _radius(theta, size, X, y):
    """√E‖e‖², the trace of S: its equation is linear, and Σ over pairs in A_B⊗A_B is one of A⊗A and of H⊗H."""
    A, noise = 2 * X[:, :, None] * X[:, None, :], 2 * X * (X @ theta - y)[:, None]
    H, C = A.mean(axis=0), noise.T @ noise / M
    squares = np.mean([np.kron(a, a) for a in A], axis=0) / size + (1 - 1 / size) * np.kron(H, H)
    pull = np.kron(np.eye(2), H) + np.kron(H, np.eye(2)) - ETA * squares
    return float(np.sqrt(np.trace(np.linalg.solve(pull, ETA * C.reshape(4) / size).reshape(2, 2))))


def _stays(name, spread, radius, low, high):
    ratio = spread / radius
    return Check(f"{name}: distance to θ* / radius of the noise ball, in {low} … {high}", ratio, low < ratio < high)


def _paths(paths, theta, radius, X, y):
    figure, axes = plt.subplots(1, 3, figsize=(11, 4.2), sharex=True, sharey=True, layout="constrained")
    both = np.stack([START, theta])
    ends = zip(both.min(axis=0) - np.array([0.6, 1.4]), both.max(axis=0) + np.array([1.4, 0.5]), strict=True)
    across, up = (np.linspace(low, high, 100) for low, high in ends)
    J = np.sum((np.stack(np.meshgrid(across, up), axis=-1) @ X.T - y) ** 2, axis=-1)
    circle = np.linspace(0, 2 * np.pi, 100)
    for axis, (name, path) in zip(axes, paths.items(), strict=True):
        size, color = _sizes()[name], COLOR[name]
        axis.contour(across, up, J, levels=np.quantile(J, np.linspace(0.01, 0.95, 12)), colors=MUTED, linewidths=0.6)
        axis.plot(*path[: DRAWN * -(-M // size) + 1].T, "o-", color=color, ms=1.5, lw=0.5)
        if size < M:
            axis.plot(*(theta[:, None] + 2 * radius[name] * np.stack([np.cos(circle), np.sin(circle)])), "k--", lw=1)
        axis.plot(*theta, "+", color="black", ms=10)
        axis.set(aspect="equal", xlabel="θ₀", title=f"{name}, {size} example{'s' * (size > 1)} to a step")
    axes[0].set_ylabel("θ₁")
    return figure


def _costs(paths, printed, theta, sigma2, X):
    figure, (left, right) = plt.subplots(1, 2, figsize=(10.5, 4), layout="constrained")
    H = X.T @ X / M

    def above(path):
        return np.sum((path - theta) @ H * (path - theta), axis=-1)

    for name, path in paths.items():
        size, color = _sizes()[name], COLOR[name]
        k = np.unique(np.geomspace(1, len(path) - 1, 300).astype(int))
        left.plot(size * k, above(path[k]), color=color, lw=1, label=name)
        if size < M:
            left.axhline(ETA * sigma2 / size * np.trace(H), color=color, ls="--", lw=1)
    left.set(xscale="log", yscale="log", xlabel="examples seen", ylabel="(J − J(θ*)) / m",
             ylim=(1e-7, 3 * above(START)),
             title="Cost against examples")  # fmt: skip
    right.plot(above(paths["batch"])[:61], color=DATA, label="2xᵀ(y − xθ), η")
    right.plot(above(printed[ETA])[:61], ":", color=SECOND, lw=2, label="as printed, η")
    right.plot(np.arange(0, 61, 3), above(printed[2 * ETA])[:61:3], "o", color=CLASSES[4], ms=4, label="as printed, 2η")
    right.set(yscale="log", xlabel="steps", ylabel="(J − J(θ*)) / m", title="The factor 2 is absorbed by η")
    for axis in (left, right):
        axis.legend()
    return figure
