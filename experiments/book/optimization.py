"""Chapter 7: gradients, Hessians, and the ways to a minimum."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import lax
from scipy import optimize

from experiments.book.data import BINARY, ONES, SPARES_THE_BIAS, THETA, X, Y
from experiments.book.row import Row, same, true
from experiments.lab.result import check_derivatives
from jax_course import linear, logistic, ridge, verify
from jax_course.networks import chain
from jax_course.optimization import Status, bfgs, gradient_descent, lbfgs, newton, newton_cg, optimizers
from jax_course.train import train


def _cost(theta):
    return linear.cost(theta, X, Y)


def _gradient(theta):
    return linear.gradient(theta, X, Y)


@jax.jit
def _by_newton(H, g):
    """Newton's method on θᵀHθ/2 + gᵀθ, from 0 on."""
    return newton(lambda theta: theta @ H @ theta / 2 + g @ theta, jnp.zeros(3))


def _limit():
    steps, cost = np.eye(3) * 1e-6, jax.jit(_cost)
    slopes = [(float(cost(THETA + e)) - float(cost(THETA - e))) / 2e-6 for e in steps]
    g = np.asarray(_gradient(THETA))
    level = np.array([g[1], -g[0], 0.0])
    return (
        same("g is the limit of differences", slopes, g, 1e-7),
        true("orthogonal to its level curve", abs(level @ g) <= 1e-12 * (g @ g)),
        true("and the steepest way up", g @ g / np.linalg.norm(g) >= max(np.abs(g))),
        true("the doctor's witnesses agree", verify.model(linear, THETA, X, Y).ok),
    )


def _curvature():
    by_pairs = sum(np.outer(x, x) for x in X) * 2
    H = np.asarray(linear.hessian(THETA, X, Y))
    saddle = _by_newton(np.diag([2.0, -2.0, 2.0]), np.zeros(3))
    return (
        same("H is a sum over the examples", H, by_pairs),
        same("H is symmetric", H, H.T),
        true("a saddle is called one", int(saddle.status) == Status.SADDLE),
    )


def _two_paths():
    z = chain.backpropagation([jnp.array([[2.0], [3.0]]), jnp.array([[5.0, 7.0]])])
    return (
        same("∂z/∂x ∂x/∂u + ∂z/∂y ∂y/∂u", np.ravel(z.gradient)[0], 5 * 2 + 7 * 3),
        same(
            "by every path alone, the same",
            chain.naive([jnp.array([[2.0], [3.0]]), jnp.array([[5.0, 7.0]])]).gradient,
            z.gradient,
        ),
    )


def _free_bias():
    theta = THETA
    residual = ONES @ theta - Y
    scalar = [2 * np.sum(residual * ONES[:, j]) + 2 * delta2 * theta[j] for j, delta2 in enumerate(SPARES_THE_BIAS)]
    return (
        same("each parameter's sum, one by one", ridge.gradient(theta, ONES, Y, penalty=SPARES_THE_BIAS), scalar),
        true(
            "the doctor's witnesses agree",
            verify.derivatives(ridge.cost, theta, ONES, Y, gradient=ridge.gradient, penalty=SPARES_THE_BIAS).ok,
        ),
    )


def _descent():
    eta, g = 1e-3, _gradient(THETA)
    updates, _ = optimizers.sgd(eta).update(g, optimizers.sgd(eta).init(g), g)
    return (same("one step, by hand", THETA + np.asarray(updates), THETA - eta * np.asarray(g)),)


def _largest_step():
    largest = float(np.linalg.eigvalsh(linear.hessian(THETA, X, Y))[-1])

    def end(eta):
        return gradient_descent(_cost, THETA, gradient=_gradient, line_search=eta, max_steps=3000)

    return (
        true("η just below 2/λ_max converges", int(end(1.9 / largest).status) == Status.CONVERGED),
        true("η just above does not", int(end(2.1 / largest).status) != Status.CONVERGED),
    )


def _one_step():
    found = _by_newton(np.asarray(linear.hessian(THETA, X, Y)), np.asarray(_gradient(np.zeros(3)))).check()
    return (
        true("least squares in one step", int(found.steps) <= 2),
        same("at the minimum", found.theta, linear.fit(X, Y).theta),
    )


def _without_the_hessian():
    def cost(theta):
        return logistic.cost(theta, X, BINARY, penalty=0.5)

    with_gradient = jax.jit(jax.value_and_grad(cost))
    expected = optimize.minimize(lambda t: [*map(np.asarray, with_gradient(t))], np.zeros(3), jac=True, method="BFGS",
                                 tol=1e-10).x  # fmt: skip
    return tuple(
        same(f"{solver.__name__} ends where SciPy's BFGS does", solver(cost, np.zeros(3)).check().theta, expected, 1e-6)
        for solver in (bfgs, lbfgs, newton_cg)
    )


def _noise():
    rng = np.random.default_rng(0)
    batches = rng.permuted(np.tile(np.arange(24), (4000, 1)), axis=1)[:, :4]
    by_batch = jax.jit(jax.vmap(lambda X, y: linear.gradient(THETA, X, y)))
    draws = 6 * np.asarray(by_batch(X[batches], Y[batches]))
    whole = np.asarray(_gradient(THETA))
    spread = np.std(draws, axis=0) / np.sqrt(4000)
    return (true("the mean of mini-batch gradients is the gradient, within 5 deviations",
                 np.abs(np.mean(draws, axis=0) - whole) < 5 * spread),)  # fmt: skip


def _batches():
    settings = {"key": None, "epochs": 1}
    eta = 0.1
    whole = train(linear.gradient, optax.sgd(eta), THETA, X, Y, batch_size=24, **settings).theta
    online = THETA
    for x, y in zip(X, Y, strict=True):
        online = online - eta * 2 * (x @ online - y) * x
    one = train(linear.gradient, optax.sgd(eta), THETA, X, Y, batch_size=1, **settings).theta
    return (
        same("a batch of all is descent on the mean", whole, THETA - eta * np.asarray(_gradient(THETA)) / 24),
        same("a batch of 1 is online learning", one, online),
    )


def _like_optax(ours, theirs):
    def steps(optimizer, gradients):
        start = optimizer.init(jnp.zeros(3))
        return lax.scan(lambda state, g: optimizer.update(g, state)[::-1], start, gradients)[1]

    with jax.numpy_dtype_promotion("standard"):  # optax mixes types
        both = jax.jit(lambda gradients: (steps(ours, gradients), steps(theirs, gradients)))
        return (same("step by step what optax does", *both(np.random.default_rng(1).standard_normal((6, 3)))),)


ROWS = (
    Row(
        "7.1",
        "The gradient",
        (r"\frac{\partial f}{\partial \theta_j} = \lim_{h \to 0} \frac{f(\theta + h e_j) - f(\theta)}{h}",),
        ("verify.derivatives",),
        _limit,
        ("level_curves/level_curves", "level_curves/limit"),
    ),
    Row(
        "7.2",
        "Hessian and curvature",
        (r"H = \left[\frac{\partial^2 f}{\partial\theta_i\,\partial\theta_j}\right] \in \mathbb{R}^{d \times d}",),
        ("linear.hessian", "logistic.hessian"),
        _curvature,
        ("curvature/landscapes", "curvature/directions"),
        (9,),
    ),
    Row(
        "7.3",
        "The chain rule",
        (
            r"\frac{\partial z}{\partial u} = \frac{\partial z}{\partial x}\frac{\partial x}{\partial u}"
            r" + \frac{\partial z}{\partial y}\frac{\partial y}{\partial u}",
        ),
        ("networks.chain.naive", "networks.chain.backpropagation"),
        _two_paths,
        ("paths/two_paths",),
    ),
    Row(
        "7.4a",
        "By each parameter, the bias free",
        (
            r"\frac{\partial J}{\partial \theta_0} = 2\sum (\theta_0 + x\theta_1 - y), \quad"
            r" \frac{\partial J}{\partial \theta_1} = 2\sum (\theta_0 + x\theta_1 - y)\,x + 2\delta^2\theta_1",
        ),
        ("ridge.gradient",),
        _free_bias,
        ("ridge_trace/free_bias",),
        (10,),
    ),
    Row(
        "7.4b",
        "By all parameters at once",
        (r"\nabla J = 2X^\top(X\theta - y), \qquad \nabla^2 J = 2X^\top X",),
        ("linear.gradient", "linear.hessian", "linear.hessian_product"),
        lambda: check_derivatives("linear", linear, THETA, X, Y),
        ("cost_bowl/bowl",),
        (9,),
    ),
    Row(
        "7.5a",
        "Gradient descent",
        (r"\theta \leftarrow \theta - \eta\,g",),
        ("optimization.optimizers.sgd", "optimization.gradient_descent"),
        _descent,
        ("cost_bowl/bowl",),
    ),
    Row(
        "7.5b",
        "How large a step",
        (r"\text{stable} \quad\iff\quad \eta < \frac{2}{\lambda_{\max}(H)}",),
        ("optimization.gradient_descent",),
        _largest_step,
        ("step_sizes/slider", "step_sizes/paths", "step_sizes/pace"),
    ),
    Row(
        "7.6a",
        "Newton's step",
        (r"\theta \leftarrow \theta - H^{-1} g",),
        ("optimization.newton",),
        _one_step,
        ("newton_against_descent/bowl", "newton_against_descent/pace"),
    ),
    Row(
        "7.6b",
        "Without storing the Hessian",
        (r"H \in \mathbb{R}^{1\,000\,000 \times 1\,000\,000}",),
        ("optimization.bfgs", "optimization.lbfgs", "optimization.newton_cg"),
        _without_the_hessian,
        ("storing_the_hessian/costs",),
    ),
    Row(
        "7.7",
        "A gradient from samples",
        (r"E[\nabla f_i] = \frac{1}{m}\sum_i \nabla f_i, \qquad \text{update} = \text{what we want} + \text{noise}",),
        ("train.train",),
        _noise,
        ("gradient_noise/clouds", "gradient_noise/variance"),
    ),
    Row(
        "7.8a",
        "Batch, online, mini-batch",
        (r"\theta \leftarrow \theta - \frac{\eta}{|B|}\sum_{i \in B} \nabla f_i",),
        ("train.train",),
        _batches,
        ("batch_sizes/paths", "batch_sizes/costs"),
        (11,),
    ),
    Row(
        "7.8b",
        "Momentum",
        (r"\Delta \leftarrow \alpha\Delta - (1 - \alpha)\,\eta\,\nabla J, \qquad \theta \leftarrow \theta + \Delta",),
        ("optimization.optimizers.momentum",),
        lambda: _like_optax(optimizers.momentum(0.1, 0.8), optax.sgd(0.2 * 0.1, momentum=0.8)),
        ("momentum_ravine/ravine", "momentum_ravine/steps"),
    ),
    Row(
        "7.8c",
        "Adagrad",
        (r"\theta \leftarrow \theta - \frac{\eta}{\sqrt{\sum g^2 + \varepsilon}}\,g",),
        ("optimization.optimizers.adagrad",),
        lambda: _like_optax(optimizers.adagrad(0.1), optax.adagrad(0.1)),
        ("rare_features/epochs", "rare_features/rates"),
        (12,),
    ),
    Row(
        "7.8d",
        "Adam",
        (
            r"\theta \leftarrow \theta - \eta\,\frac{\hat m}{\sqrt{\hat v} + \varepsilon}",
            r"\hat m = \frac{m}{1 - \beta_1^t}, \qquad \hat v = \frac{v}{1 - \beta_2^t}",
        ),
        ("optimization.optimizers.adam",),
        lambda: _like_optax(optimizers.adam(0.1), optax.adam(0.1)),
        ("optimizer_race/slider", "optimizer_race/paths", "optimizer_race/costs"),
        (13,),
    ),
)
