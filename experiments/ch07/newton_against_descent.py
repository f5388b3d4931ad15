"""Newton knows the curvature: one step on a bowl, where descent zigzags, and doubled digits in a valley (7.6).

    f(θ) ≈ q(θ) = f_k + g_kᵀ(θ − θ_k) + ½ (θ − θ_k)ᵀH_k(θ − θ_k),       θ_k+1 = θ_k − H_k⁻¹g_k, the minimum of q

For least squares f = q, and the step is θ_k − (XᵀX)⁻¹Xᵀ(Xθ_k − y) = (XᵀX)⁻¹Xᵀy, from everywhere. With κ = λ_max/λ_min,
d parameters, e = θ − θ* and T the third derivatives at θ*:

    descent, exact steps         f − f* × ((κ − 1)/(κ + 1))² or less, in every step (Kantorovich)
    conjugate gradients, BFGS    d exact steps on a quadratic
    Newton                       e_k+1 = ½ H⁻¹T[e_k, e_k] + O(‖e_k‖³)
"""

from functools import partial

import jax
import matplotlib.pyplot as plt
import numpy as np

from experiments.lab.result import Check, Picture, Result, fitted, in_float64
from experiments.lab.style import CLASSES, DATA, FIT, MUTED, TRUTH
from jax_course import data, features, linear
from jax_course.optimization import ExactStep, bfgs, gradient_descent, newton, nonlinear_cg, trace
from jax_course.optimization.test_functions import rosenbrock

TITLE = "Newton against descent"
SECTION = "7.6"
START, VALLEY_START, VALLEY_MINIMUM = 1.6, np.array([-1.2, 1.0]), np.ones(2)
WINDOWS = {"bowl": ((0.2, 2.4), (0.9, 2.5)), "valley": ((-1.6, 1.5), (-0.5, 1.7))}

# name: (solver, colour)
METHODS = {
    "descent, η = 1/λ_max": (gradient_descent, CLASSES[5]),
    "descent, exact steps": (gradient_descent, DATA),
    "descent, backtracking": (gradient_descent, CLASSES[4]),
    "conjugate gradients": (nonlinear_cg, CLASSES[3]),
    "BFGS": (bfgs, TRUTH),
    "Newton": (newton, FIT),
}
EXACT = {"line_search": ExactStep()}
IN_VALLEY = ("descent, backtracking", "BFGS", "Newton")


@in_float64
def run(quick: bool) -> Result:
    """All methods on one bowl, from the start that is worst for exact steps, and in Rosenbrock's valley."""
    steps = 400 if quick else 20_000
    problem = data.line()
    X, y = np.asarray(features.with_bias(problem.X)), np.asarray(problem.y)
    J, minimum = partial(linear.cost, X=X, y=y), np.linalg.solve(X.T @ X, X.T @ y)
    curvatures, axes = np.linalg.eigh(2 * X.T @ X)
    worst = minimum - START * axes @ (curvatures[0] / curvatures)
    chosen = {"descent, η = 1/λ_max": {"line_search": 1 / curvatures[-1]}, "descent, exact steps": EXACT}
    on_bowl = {name: _trace(name, J, worst, max_steps=80, **chosen.get(name, {})) for name in METHODS}
    in_valley = {name: _trace(name, rosenbrock, VALLEY_START, max_steps=steps) for name in IN_VALLEY}
    return Result(
        {
            "bowl": Picture(
                _paths(on_bowl, J, "bowl", minimum, np.geomspace(0.02, 60, 11) + np.sum((X @ minimum - y) ** 2)),
                "A line fitted by least squares: the first 80 steps on the level curves of J. Descent with exact steps "
                "starts where it is slowest and crosses the valley at every step. Newton needs one step.",
            ),
            "valley": Picture(
                _paths_in_valley(in_valley),
                f"Rosenbrock's valley, the first {steps} steps at most. In every step Newton goes to the minimum of a "
                "quadratic model, or part of the way. Dashed: the level curve of the first model through the start. It "
                "is straight where the valley bends.",
            ),
            "pace": Picture(
                _pace(on_bowl, in_valley),
                "Left: on the bowl; Newton's second step removes rounding. Middle: in the valley, where step 1 is the "
                "start. Right: every error in the valley against the one before. Along the upper line a step gains "
                "nothing, along the lower one it doubles the digits: parallel to this come Newton's last steps.",
            ),
        },
        {
            "condition number": float(curvatures[-1] / curvatures[0]),
            "bowl: steps": {name: int(of.solution.steps) for name, of in on_bowl.items()},
            "valley: gradients": {name: int(of.solution.evaluations.gradient) for name, of in in_valley.items()},
            "valley: distance to the minimum": {name: _errors(of)[-1] for name, of in in_valley.items()},
            "valley: Newton's errors": _errors(in_valley["Newton"]),
        },
        (
            *_on_least_squares(X, y, on_bowl["Newton"].theta[1], minimum),
            *_kantorovich(J, worst, minimum, curvatures, axes, 16 if quick else 512),
            _ends_in_d_steps(),
            _doubles_the_digits(in_valley["Newton"]),
        ),
        tuple(
            fitted(name, "Rosenbrock's valley", f"{of.solution.evaluations.gradient} gradients", of.solution)
            for name, of in in_valley.items()
        ),
    )


def _trace(name, cost, theta, **settings):
    """All points of a method's run, as NumPy arrays."""
    return jax.tree_util.tree_map(np.asarray, trace(METHODS[name][0], cost, theta, **settings))


def _model(theta_k, cost, gradient, hessian):
    """q around θ_k."""
    f, g, H = cost(theta_k), gradient(theta_k), hessian(theta_k)
    return lambda theta: f + g @ (theta - theta_k) + (theta - theta_k) @ H @ (theta - theta_k) / 2


def _errors(trajectory):
    steps = int(trajectory.solution.steps)
    return np.linalg.norm(trajectory.theta[: steps + 1] - VALLEY_MINIMUM, axis=1).tolist()


def _on_least_squares(X, y, step, minimum):
    """q, from the gradient and Hessian derived by hand, is f wherever it is taken; Newton's step is the closed form."""
    J, gradient, hessian = (partial(of, X=X, y=y) for of in (linear.cost, linear.gradient, linear.hessian))
    here, there = np.random.Generator(np.random.PCG64(2)).normal(scale=10, size=(2, 200, 2))
    both = jax.vmap(lambda theta_k, theta: (_model(theta_k, J, gradient, hessian)(theta), J(theta)))
    model, cost = jax.jit(both)(here, there)
    off = float(np.max(np.abs(model - cost) / np.max(cost)))
    apart = float(np.max(np.abs(step - minimum)) / np.max(np.abs(minimum)))
    return (
        Check("least squares: cost = its quadratic model", off, off < 1e-13),
        Check("least squares: one Newton step = (XᵀX)⁻¹Xᵀy", apart, apart < 1e-12),
    )


def _kantorovich(J, worst, minimum, curvatures, axes, starts):
    """The factor on f − f* = ½ λᵀ(Aᵀe)², A the eigenvectors: the bound is kept from all starts, reached from one."""
    kappa = curvatures[-1] / curvatures[0]
    bound = ((kappa - 1) / (kappa + 1)) ** 2
    angles = 2 * np.pi * np.arange(starts) / starts
    around = minimum + np.stack([np.cos(angles), np.sin(angles)], axis=1)
    paths = [_trace("descent, exact steps", J, theta, max_steps=80, **EXACT).theta for theta in (worst, *around)]
    excess = ((np.stack(paths) - minimum) @ axes) ** 2 @ curvatures
    falls = excess[:, :-1] > 1e-12  # of about 100 at the starts: behind it rounding shows
    factors = np.where(falls, excess[:, 1:] / np.where(falls, excess[:, :-1], 1), 0)
    above, off = float(np.max(factors) / bound - 1), float(np.max(np.abs(factors[0][falls[0]] / bound - 1)))
    return (
        Check(f"exact steps from {starts} starts: above the factor ((κ − 1)/(κ + 1))² by", above, above < 1e-6),
        Check("exact steps from the worst start: factor = ((κ − 1)/(κ + 1))²", off, off < 1e-6),
    )


def _ends_in_d_steps(d=10):
    """The gradient is rounding after d exact steps, and was not one step before."""
    rng = np.random.Generator(np.random.PCG64(4))
    J = partial(linear.cost, X=rng.standard_normal((40, d)), y=rng.standard_normal(40))
    norms = _trace("conjugate gradients", J, np.zeros(d), max_steps=d, **EXACT).gradient_norm
    before, last = (float(norm / norms[0]) for norm in norms[-2:])
    return Check(f"conjugate gradients end in {d} exact steps in {d} dimensions", last, last < 1e-13 < 1e-6 < before)


def _doubles_the_digits(newton):
    """The late e_k+1 are ½ H⁻¹T[e_k, e_k] but for a rest that falls with ‖e_k‖, relative to them."""
    hessian = jax.hessian(rosenbrock)
    H, T = jax.jit(lambda theta: (hessian(theta), jax.jacfwd(hessian)(theta)))(VALLEY_MINIMUM)
    e = newton.theta - VALLEY_MINIMUM
    sizes = np.linalg.norm(e, axis=1)
    late = np.flatnonzero((sizes[:-1] < 0.05) & (sizes[1:] > 1e-13))  # beyond, e_k+1 is the rounding of θ
    expected = np.linalg.solve(H, np.einsum("ijk,nj,nk->in", T, e[late], e[late])).T / 2
    rest = np.linalg.norm(e[late + 1] - expected, axis=1) / np.linalg.norm(e[late + 1], axis=1)
    third_order = np.all(rest < 25 * np.linalg.norm(e[late], axis=1))
    return Check("Newton's last step: e_k+1 = ½ H⁻¹T[e_k, e_k]", float(rest[-1]), len(late) >= 3 and bool(third_order))


def _paths(trajectories, f, window, minimum, levels):
    rows = len(trajectories) // 3
    figure, axes = plt.subplots(
        rows, 3, figsize=(10.5, 0.3 + 2.8 * rows), sharex=True, sharey=True, squeeze=False, layout="constrained"
    )
    landscape = _on_grid(f, window)
    for axis, (name, of) in zip(axes.flat, trajectories.items(), strict=True):
        axis.contour(*landscape, levels=levels, colors=MUTED, linewidths=0.6)
        axis.plot(*of.theta[:401].T, "o-", color=METHODS[name][-1], ms=3, lw=1)
        axis.plot(*minimum, "+", color="black", ms=10)
        axis.set(aspect="equal", xlim=WINDOWS[window][0], ylim=WINDOWS[window][1], title=name)
    figure.supxlabel("θ₁")
    figure.supylabel("θ₂")
    return figure


def _paths_in_valley(trajectories):
    figure = _paths(trajectories, rosenbrock, "valley", VALLEY_MINIMUM, np.geomspace(0.1, 1_000, 12))
    level = float(rosenbrock(VALLEY_START))
    figure.axes[-1].contour(*_on_grid(_first_model, "valley"), levels=[level], colors=FIT, linestyles="--")
    return figure


def _first_model(theta):
    """q around the start in the valley."""
    return _model(VALLEY_START, rosenbrock, jax.grad(rosenbrock), jax.hessian(rosenbrock))(theta)


def _on_grid(f, window):
    """Both sides of the window, and f between them."""
    sides = [np.linspace(limits[0], limits[1], 100) for limits in WINDOWS[window]]
    return *sides, jax.jit(jax.vmap(jax.vmap(f)))(np.stack(np.meshgrid(*sides), axis=-1))


def _pace(on_bowl, in_valley):
    figure, (bowl, valley, digits) = plt.subplots(1, 3, figsize=(12, 4), layout="constrained")
    for axis, trajectories, first in ((bowl, on_bowl, 0), (valley, in_valley, 1)):
        for name, of in trajectories.items():
            norms = of.gradient_norm[: int(of.solution.steps) + 1]
            style = "o-" if len(norms) < 100 else "-"
            axis.plot(first + np.arange(len(norms)), norms, style, color=METHODS[name][-1], ms=2.5, lw=1, label=name)
    for name, of in in_valley.items():
        every = 1 + len(_errors(of)) // 100
        digits.plot(_errors(of)[:-1:every], _errors(of)[1::every], "o", color=METHODS[name][-1], ms=3)
    side = np.geomspace(1e-8, 3, 50)
    digits.plot(side, side, color=MUTED, lw=1)
    digits.plot(side, side**2, color=MUTED, lw=1)
    bowl.set(yscale="log", xlabel="steps", ylabel="‖∇J‖", title="Bowl")
    valley.set(xscale="log", yscale="log", xlabel="steps, from 1", ylabel="‖∇f‖", title="Rosenbrock's valley")
    digits.set(xscale="log", yscale="log", xlim=(1e-8, 3), ylim=(1e-16, 3), xlabel="‖θ − θ*‖ before a step",
               ylabel="after it", title="Digits in the valley")  # fmt: skip
    figure.legend(*bowl.get_legend_handles_labels(), loc="outside lower center", ncols=6)
    return figure
