"""Chapters 8 and 9: logistic and softmax regression."""

import jax
import jax.numpy as jnp
import numpy as np
from scipy import special

from experiments.book.data import BINARY, CLASSES, OF_CLASSES, THETA, X
from experiments.book.row import Row, same, true
from experiments.lab.result import check_derivatives
from jax_course import logistic, softmax
from jax_course.networks import costs

predict, irls_step = jax.jit(logistic.predict), jax.jit(logistic.irls_step)
cost, gradient, hessian = (jax.jit(of) for of in (logistic.cost, logistic.gradient, logistic.hessian))
softmax_cost, softmax_gradient = jax.jit(softmax.cost), jax.jit(softmax.gradient)


def _neuron():
    pi = [1 / (1 + np.exp(-sum(a * b for a, b in zip(x, THETA, strict=True)))) for x in X]
    return (same("a sum, then a sigmoid, one by one", predict(THETA, X), pi),)


def _sigmoid():
    z = np.linspace(-6, 6, 25)
    by_autodiff = jax.jit(jax.vmap(jax.grad(lambda t: 1 / (1 + jnp.exp(-t)))))(z)
    return (
        same("σ is SciPy's", jax.jit(logistic.sigmoid)(z), special.expit(z)),
        same("σ′ = σ(1 − σ)", jax.jit(logistic.sigmoid_derivative)(z), by_autodiff),
    )


def _plane():
    on_it = np.array([[THETA[1], -THETA[0], 0.0], [0.0, THETA[2], -THETA[1]]])
    sides = jax.jit(logistic.predict_class)(THETA, np.array([THETA, -THETA]))
    return (
        same("π = ½ where xθ = 0", predict(THETA, on_it), [0.5, 0.5]),
        true("one class on either side", np.asarray(sides).tolist() == [1, 0]),
    )


def _cross_entropy():
    pi = special.expit(X @ THETA)
    expected = -np.sum(BINARY * np.log(pi) + (1 - BINARY) * np.log(1 - pi))
    huge = cost(np.array([1.0]), np.array([[1e4], [-1e4]]), np.array([0.0, 1.0]))
    return (
        same("the sum over the examples", cost(THETA, X, BINARY), expected),
        same("finite for |z| = 10⁴", huge, 2e4),
    )


def _by_pi():
    z, y = X @ THETA, BINARY
    pi = special.expit(z)
    by_pi = (pi - y) / (pi * (1 - pi))
    delta = jax.jit(costs.binary_cross_entropy().delta)(z[:, None], y)
    return (same("∂C/∂π · ∂π/∂z = π − y", by_pi * pi * (1 - pi), np.ravel(delta)),)


def _by_the_doctor():
    """Gradient, Hessian and product."""
    return check_derivatives("logistic", logistic, THETA, X, BINARY)


def _irls():
    step, g, H = (of(THETA, X, BINARY) for of in (irls_step, gradient, hessian))
    found = logistic.fit(X, BINARY).check().theta
    return (
        same("it is Newton's step", step, THETA - np.linalg.solve(H, g)),
        same("it stands still at the fit", irls_step(found, X, BINARY), found, 1e-9),
    )


def _softmax():
    pi = np.asarray(jax.jit(softmax.predict)(OF_CLASSES, X))
    return (
        same("π is SciPy's", pi, special.softmax(X @ OF_CLASSES, axis=1)),
        same("Σ π = 1", np.sum(pi, axis=1), np.ones(24)),
    )


def _log_loss():
    expected = -np.sum(np.log(special.softmax(X @ OF_CLASSES, axis=1)[np.arange(24), CLASSES]))
    return (same("−Σ log π_y", softmax_cost(OF_CLASSES, X, CLASSES), expected),)


def _as_a_layer():
    last, Z, y = costs.cross_entropy(), X @ OF_CLASSES, CLASSES
    return (
        same("its value", jax.jit(last.value)(Z, y), softmax_cost(OF_CLASSES, X, CLASSES)),
        same("its δ, by autodiff", jax.jit(last.delta)(Z, y), jax.jit(jax.grad(last.value))(Z, y)),
    )


def _two_classes():
    both = OF_CLASSES[:, :2]
    labels = BINARY.astype(int)
    difference = both[:, 1] - both[:, 0]
    return (
        same("the costs", softmax_cost(both, X, labels), cost(difference, X, BINARY)),
        same("the gradients", np.asarray(softmax_gradient(both, X, labels))[:, 1], gradient(difference, X, BINARY)),
    )


ROWS = (
    Row(
        "8.1",
        "A neuron",
        (r"\pi = \sigma\left(\sum_j x_j \theta_j\right)",),
        ("logistic.predict",),
        _neuron,
        ("neuron/neuron",),
    ),
    Row(
        "8.2",
        "The sigmoid",
        (r"\sigma(z) = \frac{1}{1 + e^{-z}}, \qquad \sigma' = \sigma(1 - \sigma)",),
        ("logistic.sigmoid", "logistic.sigmoid_derivative"),
        _sigmoid,
        ("neuron/sigmoid",),
    ),
    Row(
        "8.3",
        "The separating plane",
        (r"x\theta = 0",),
        ("logistic.predict_class",),
        _plane,
        ("neuron/plane", "descent_against_irls/probabilities"),
    ),
    Row(
        "8.4a",
        "Cross-entropy",
        (r"C = -\sum \left[y \log\pi + (1 - y)\log(1 - \pi)\right]",),
        ("logistic.cost",),
        _cross_entropy,
        ("neuron/cost",),
        (14,),
    ),
    Row(
        "8.4b",
        "By π",
        (r"\frac{\partial C}{\partial \pi} = \frac{\pi - y}{\pi(1 - \pi)}",),
        ("networks.costs.binary_cross_entropy",),
        _by_pi,
        ("neuron/by_pi",),
    ),
    Row(
        "8.5",
        "The gradient",
        (r"g = X^\top(\pi - y)",),
        ("logistic.gradient",),
        lambda: _by_the_doctor()[:1],
        ("descent_against_irls/race",),
    ),
    Row(
        "8.6a",
        "The Hessian",
        (r"H = X^\top S X, \qquad S = \mathrm{diag}(\pi(1 - \pi))",),
        ("logistic.hessian", "logistic.hessian_product"),
        lambda: _by_the_doctor()[1:],
        ("descent_against_irls/weights",),
        (15,),
    ),
    Row(
        "8.6b",
        "Iteratively reweighted least squares",
        (r"\theta \leftarrow (X^\top S X)^{-1} X^\top\left[S X \theta + (y - \pi)\right]",),
        ("logistic.irls_step", "logistic.fit"),
        _irls,
        ("descent_against_irls/race",),
    ),
    Row(
        "9.1",
        "Softmax",
        (r"\pi_c = \frac{e^{z_c}}{\sum_{c'} e^{z_{c'}}}, \qquad \sum_c \pi_c = 1",),
        ("softmax.predict",),
        _softmax,
        ("simplex/map", "softmax_iris/slider", "softmax_iris/regions"),
        (16,),
    ),
    Row(
        "9.2",
        "Its cost",
        (r"C = -\sum_i \sum_c 1_c(y_i) \log \pi_{ic}",),
        ("softmax.cost",),
        _log_loss,
        ("simplex/cost",),
        (14,),
    ),
    Row(
        "9.2b",
        "The cost as one more layer",
        (r"\delta = \frac{\partial C}{\partial z} = \pi - 1_c(y)",),
        ("networks.costs.cross_entropy",),
        _as_a_layer,
        ("paths/graph",),
    ),
    Row(
        "9.3a",
        "Gradient and Hessian",
        (
            r"\frac{\partial C}{\partial \theta_c} = \sum_i x_i (\pi_{ic} - 1_c(y_i))",
            r"\frac{\partial^2 C}{\partial\theta_k\,\partial\theta_l}"
            r" = \sum_i \pi_{ik}(\delta_{kl} - \pi_{il})\,x_i x_i^\top",
        ),
        ("softmax.gradient", "softmax.hessian", "softmax.hessian_product"),
        lambda: check_derivatives("softmax", softmax, OF_CLASSES, X, CLASSES),
        ("softmax_digits/confusion", "softmax_digits/weights"),
    ),
    Row(
        "9.3b",
        "Two classes are logistic regression",
        (r"\theta = \theta_2 - \theta_1",),
        ("softmax.cost", "logistic.cost"),
        _two_classes,
        ("simplex/two_classes",),
    ),
)
