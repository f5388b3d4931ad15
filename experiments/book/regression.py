"""Chapters 2 to 6: learning, probability, regression."""

from functools import partial

import jax
import numpy as np
from scipy import integrate, stats

from experiments.book.data import BINARY, CLASSES, SIGMA, THETA, A, X, Y
from experiments.book.row import Row, same, true
from experiments.lab.result import check_derivatives
from jax_course import bernoulli, features, gaussian, kernel, lasso, linear, logistic, ridge, softmax

PENALTY = 35.0  # of a lasso that keeps some columns and not all

pdf, log_pdf, log_likelihood = (jax.jit(of) for of in (gaussian.pdf, gaussian.log_pdf, gaussian.log_likelihood))
line_likelihood, noise_variance = jax.jit(linear.negative_log_likelihood), jax.jit(linear.noise_variance)
cost, polynomial = jax.jit(linear.cost), jax.jit(features.polynomial, static_argnames="degree")


def _learners():
    found = [
        ("ŷ is a number", jax.jit(linear.predict)(linear.fit(X, Y).theta, X), (24,), None),
        ("ŷ is 0 or 1", jax.jit(logistic.predict_class)(logistic.fit(X, BINARY).theta, X), (24,), {0, 1}),
        ("ŷ is one of K", jax.jit(softmax.predict_class)(softmax.fit(X, CLASSES).theta, X), (24,), {0, 1, 2}),
    ]
    return tuple(
        true(claim, predicted.shape == shape and (values is None or set(np.asarray(predicted).tolist()) <= values))
        for claim, predicted, shape, values in found
    )


def _line():
    by_hand = sum((y - (THETA[0] + x * THETA[1])) ** 2 for x, y in zip(X[:, 0], Y, strict=True))
    return (same("the sum over the points, one by one", cost(THETA[:2], features.with_bias(X[:, :1]), Y), by_hand),)


def _normal_equations():
    theta = linear.fit(X, Y).check().theta
    slope = 2 * (A + A.T) @ THETA / 2
    h = 1e-6
    steps = [
        ((THETA + h * e) @ A @ (THETA + h * e) - (THETA - h * e) @ A @ (THETA - h * e)) / (2 * h) for e in np.eye(3)
    ]
    return (
        same("θ solves XᵀXθ = Xᵀy", X.T @ X @ np.asarray(theta), X.T @ Y),
        same("θ is NumPy's", theta, np.linalg.lstsq(X, Y, rcond=None)[0]),
        same("∂(θᵀAθ)/∂θ = (A + Aᵀ)θ, by differences", slope, steps, 1e-8),
    )


def _bell():
    total = integrate.quad(lambda x: float(pdf(x, 1.0, 4.0)), -30, 30, epsabs=1e-12)[0]
    return (
        same("∫ p(x) dx = 1", total, 1.0, 1e-9),
        same("p(x) is SciPy's", pdf(X[:, 0], 1.0, 4.0), stats.norm.pdf(X[:, 0], 1.0, 2.0)),
    )


def _covariance():
    product_of_means = np.outer(X.mean(0), X.mean(0))
    return (
        same("Σ is NumPy's, by m", gaussian.covariance(X), np.cov(X.T, bias=True)),
        same("Σ = E[XXᵀ] − E[X]E[X]ᵀ", gaussian.covariance(X), X.T @ X / len(X) - product_of_means),
    )


def _density():
    ours = log_pdf(X, THETA, SIGMA)
    return (same("log N(x; μ, Σ) is SciPy's", ours, stats.multivariate_normal.logpdf(X, THETA, SIGMA)),)


def _independent():
    each = pdf(X[:, :2], THETA[:2], np.diag([0.8, 2.5]))
    product = stats.norm.pdf(X[:, 0], THETA[0], 0.8**0.5) * stats.norm.pdf(X[:, 1], THETA[1], 2.5**0.5)
    return (
        same("p(x₁, x₂) = p(x₁) p(x₂)", each, product),
        same("det(aΣ) = a^d det Σ", np.linalg.det(2.5 * SIGMA), 2.5**3 * np.linalg.det(SIGMA)),
    )


def _likelier():
    x = np.array([1.0, 0.5, 1.5])
    one, other = (float(log_likelihood(x, mean, 1.0)) for mean in (1.0, 2.5))
    return (
        true("θ = 1 is likelier than θ = 2.5", one > other),
        same("by 3 · 1.5²/2 in the logarithm", one - other, 3 * 1.5**2 / 2),
    )


def _negative_log_likelihood():
    ours = line_likelihood(THETA, 0.7, X, Y)
    return (same("−Σ log N(y; xθ, σ²), by SciPy", ours, -np.sum(stats.norm.logpdf(Y, X @ THETA, 0.7))),)


def _maximum_likelihood():
    theta = np.asarray(linear.fit(X, Y).check().theta)
    sigma = float(noise_variance(theta, X, Y)) ** 0.5

    def nll(theta, sigma):
        return float(line_likelihood(theta, sigma, X, Y))

    nearby = [nll(theta + 1e-3 * e, sigma) for e in np.eye(3)] + [nll(theta, s * sigma) for s in (0.99, 1.01)]
    return (
        true("nothing beside (θ, σ) is likelier", min(nearby) > nll(theta, sigma)),
        same("σ² = the mean of the squared residuals", sigma**2, np.mean((Y - X @ theta) ** 2)),
    )


def _confidence():
    theta = linear.fit(X, Y).check().theta
    band = jax.jit(linear.predict_interval)(theta, X, Y, X[:5])
    rest = Y - X @ np.asarray(theta)
    s2 = rest @ rest / (len(Y) - 3)
    leverage = np.sum(X[:5] @ np.linalg.inv(X.T @ X) * X[:5], axis=1)
    half = stats.t.ppf(0.975, len(Y) - 3) * np.sqrt(s2 * (1 + leverage))
    return (same("ŷ ± t √(s²(1 + x(XᵀX)⁻¹xᵀ))", np.subtract(band.upper, band.lower) / 2, half, 1e-9),)


def _coin():
    x, log_likelihood = BINARY[:7], jax.jit(bernoulli.log_likelihood)
    p = float(bernoulli.fit(x))
    grid = np.linspace(0.01, 0.99, 197)
    likelihoods = [float(log_likelihood(x, q)) for q in grid]
    return (
        same("p = the share of heads", p, np.mean(x)),
        same("log p^x (1 − p)^(1 − x) is SciPy's", jax.jit(bernoulli.log_pmf)(x, 0.3), stats.bernoulli.logpmf(x, 0.3)),
        true("no other p is likelier", max(likelihoods) <= float(log_likelihood(x, p)) + 1e-12),
    )


def _entropy_of_a_coin():
    return (same("H(p) is SciPy's", jax.jit(bernoulli.entropy)(0.3), stats.bernoulli.entropy(0.3)),)


def _entropy_of_a_gaussian():
    expected = stats.multivariate_normal.entropy(np.zeros(3), SIGMA)
    return (same("H(N) is SciPy's", jax.jit(gaussian.entropy)(SIGMA), expected),)


def _ridge():
    theta = ridge.fit(X, Y, penalty=0.7).check().theta
    return (
        same("θ = (XᵀX + δ²I)⁻¹Xᵀy", theta, np.linalg.solve(X.T @ X + 0.7 * np.eye(3), X.T @ Y)),
        *check_derivatives("ridge", ridge, THETA, X, Y, penalty=0.7),
    )


def _constrained():
    theta = ridge.fit(X, Y, penalty=5.0).check().theta
    t = float(theta @ theta)
    return (same("the θ of least cost with θᵀθ ≤ t", ridge.constrained(X, Y, budget=t).theta, theta, 1e-7),)


def _lasso():
    found = lasso.fit(X, Y, penalty=PENALTY).check()
    theta = np.asarray(found.theta)
    slope = 2 * X.T @ (Y - X @ theta)
    return (
        true("some parameter is exactly 0", (theta == 0).any() and (theta != 0).any()),
        same(
            "2xⱼᵀ(y − Xθ) = penalty · sign θⱼ where θⱼ ≠ 0",
            slope[theta != 0],
            PENALTY * np.sign(theta[theta != 0]),
            1e-6,
        ),
        true("and within ± penalty elsewhere", np.abs(slope[theta == 0]) <= PENALTY),
    )


def _polynomials():
    x1, x2 = X[:, 0], X[:, 1]
    ours = polynomial(X[:, :2], degree=2)
    rows = {tuple(np.round(column, 12)) for column in np.asarray(ours).T}
    expected = {tuple(np.round(column, 12)) for column in (np.ones(24), x1, x2, x1**2, x2**2, x1 * x2)}
    return (true("the columns are 1, x₁, x₂, x₁², x₂², x₁x₂", rows == expected),)


def _complexity():
    """Of a cubic, from 20 noisy points and from 400: the error on new points by a line, a cubic, and degree 9."""
    rng = np.random.default_rng(0)

    def error(degree, m):
        x, new = rng.uniform(-1, 1, (m, 1)), np.linspace(-1, 1, 200)[:, None]
        Phi, Phi_new = (np.asarray(polynomial(of, degree=9))[:, : degree + 1] for of in (x, new))
        theta = np.linalg.lstsq(Phi, _cubic(x) + 0.3 * rng.standard_normal(m))[0]
        return np.mean((Phi_new @ theta - _cubic(new)) ** 2)

    few, many = (np.array([np.mean([error(degree, m) for _ in range(20)]) for degree in (1, 3, 9)]) for m in (20, 400))
    return (
        true("from few examples the right degree is the best, too simple and too complex are worse", few.argmin() == 1),
        true("from many, too complex is nearly as good, too simple is not", 2 * many[2] < many[0]),
    )


def _cubic(x):
    return 4 * x[:, 0] ** 3 - 2 * x[:, 0]


def _held_by_a_penalty():
    Phi = polynomial(np.linspace(-1, 1, 40)[:, None], degree=25)
    y = _cubic(np.linspace(-1, 1, 40)[:, None]) + 0.3 * np.random.default_rng(1).standard_normal(40)
    sizes = [float(np.linalg.norm(ridge.fit(Phi, y, penalty=delta2).check().theta)) for delta2 in (1e-8, 1e-4, 1.0)]
    return (true("the larger δ², the smaller θ", sizes == sorted(sizes, reverse=True) and sizes[0] > 10 * sizes[2]),)


def _mixed():
    both = partial(features.polynomial, degree=2), partial(features.rbf, centers=X[:2], scale=1.5)
    Phi = jax.jit(features.concatenate(*both))(X)
    return (true("a column for each function of both bases", Phi.shape[0] == 24 and Phi.shape[1] == 12),)


def _kernels():
    centers = X[:4]
    squares = ((X[:, None, :] - centers[None, :, :]) ** 2).sum(-1)
    return (same("exp(−‖x − μ‖²/λ), one by one", features.rbf(X, centers=centers, scale=1.5), np.exp(-squares / 1.5)),)


def _on_each_point():
    found = kernel.fit(X, Y, scale=2.0, penalty=0.5).check()
    K = np.exp(-((X[:, None, :] - X[None, :, :]) ** 2).sum(-1) / 2.0)
    return (
        same("θ = (K + δ²I)⁻¹y", found.theta, np.linalg.solve(K + 0.5 * np.eye(24), Y), 1e-9),
        *check_derivatives("kernel", kernel, np.asarray(found.theta), X, Y, scale=2.0, penalty=0.5),
    )


def _leave_one_out():
    ours = kernel.leave_one_out(X, Y, scales=[2.0], penalties=[0.5])
    K, errors = np.exp(-((X[:, None, :] - X[None, :, :]) ** 2).sum(-1) / 2.0), []
    for i in range(24):
        rest = np.arange(24) != i
        theta = np.linalg.solve(K[np.ix_(rest, rest)] + 0.5 * np.eye(23), Y[rest])
        errors.append(Y[i] - K[i, rest] @ theta)
    return (same("as 24 fits without one point each", np.ravel(ours)[0], np.mean(np.square(errors)), 1e-9),)


ROWS = (
    Row(
        "2.1",
        "Learning and predicting",
        (r"(X, y) \to \theta, \qquad (x, \theta) \to \hat y",),
        ("linear.fit", "logistic.predict_class", "softmax.predict_class"),
        _learners,
        ("line_and_plane/line",),
    ),
    Row(
        "3.1",
        "A line",
        (r"\hat y = \theta_0 + x\,\theta_1, \qquad J = \sum (y - \hat y)^2",),
        ("linear.predict", "linear.cost", "features.with_bias"),
        _line,
        ("line_and_plane/line",),
    ),
    Row(
        "3.2",
        "A plane",
        (r"\hat y = X\theta, \quad x_0 = 1, \qquad J = (y - X\theta)^\top (y - X\theta)",),
        ("linear.cost",),
        lambda: (same("the square of a length", cost(THETA, X, Y), np.sum((Y - X @ THETA) ** 2)),),
        ("line_and_plane/plane",),
    ),
    Row(
        "3.3",
        "The minimum",
        (r"\theta = (X^\top X)^{-1} X^\top y",),
        ("linear.fit",),
        _normal_equations,
        ("cost_bowl/bowl",),
        (2,),
    ),
    Row(
        "4.1",
        "The bell curve",
        (r"p(x) = \frac{1}{\sqrt{2\pi\sigma^2}} \exp\left(-\frac{(x-\mu)^2}{2\sigma^2}\right), \qquad \int p\,dx = 1",),
        ("gaussian.pdf", "gaussian.log_pdf"),
        _bell,
        ("gaussians/bells",),
    ),
    Row(
        "4.2",
        "The mean",
        (r"E(X) \approx \frac{1}{m} \sum_i x^{(i)}",),
        ("gaussian.mean",),
        lambda: (same("the mean, one by one", gaussian.mean(X), sum(X) / 24),),
        ("sample_mean/means",),
        (3,),
    ),
    Row(
        "4.3",
        "The covariance",
        (r"\Sigma = E[(X - EX)(X - EX)^\top], \quad \mathrm{cov}(X, Y) = E[XY] - E[X]E[Y]",),
        ("gaussian.covariance",),
        _covariance,
        ("gaussians/clouds",),
    ),
    Row(
        "4.4",
        "In several dimensions",
        (
            r"N(x; \mu, \Sigma) = \frac{1}{(2\pi)^{d/2}\sqrt{\det\Sigma}}"
            r" \exp\left(-\tfrac12 (x-\mu)^\top \Sigma^{-1} (x-\mu)\right)",
        ),
        ("gaussian.pdf", "gaussian.log_pdf"),
        _density,
        ("gaussians/density",),
        (4,),
    ),
    Row(
        "4.5",
        "Independent coordinates",
        (r"p(x_1, x_2) = p(x_1)\,p(x_2) = N(\cdot\,; \mu, \sigma^2 I)",),
        ("gaussian.pdf",),
        _independent,
        ("gaussians/marginals",),
        (5,),
    ),
    Row(
        "5.1",
        "Which parameter is likelier?",
        (r"L(\theta) = \prod_i N(x^{(i)}; \theta, 1), \qquad x = 1,\ 0.5,\ 1.5",),
        ("gaussian.log_likelihood",),
        _likelier,
        ("likelihoods/points",),
    ),
    Row(
        "5.2a",
        "The likelihood of a line",
        (
            r"p(y \mid X, \theta, \sigma) = \prod N(y; x\theta, \sigma^2)",
            r"\mathrm{NLL} = \frac{m}{2} \log(2\pi\sigma^2) + \frac{\|y - X\theta\|^2}{2\sigma^2}",
        ),
        ("linear.negative_log_likelihood",),
        _negative_log_likelihood,
        ("likelihoods/line",),
        (1,),
    ),
    Row(
        "5.2b",
        "Maximum likelihood is least squares",
        (r"\sigma^2_{ML} = \frac{1}{m} \sum (y - x\theta_{ML})^2",),
        ("linear.fit", "linear.noise_variance"),
        _maximum_likelihood,
        ("likelihoods/line",),
    ),
    Row(
        "5.3",
        "Predictions with a confidence",
        (r"\hat y \pm t\,\sqrt{s^2\,(1 + x (X^\top X)^{-1} x^\top)}",),
        ("linear.predict_interval", "linear.confidence_interval"),
        _confidence,
        (
            "predictive_bands/slider",
            "predictive_bands/bands",
        ),
    ),
    Row(
        "5.4",
        "A coin",
        (r"p(x) = p^x (1-p)^{1-x}, \qquad p_{ML} = \frac{1}{m}\sum x",),
        ("bernoulli.pmf", "bernoulli.log_pmf", "bernoulli.fit"),
        _coin,
        ("likelihoods/coin",),
    ),
    Row(
        "5.5a",
        "The entropy of a coin",
        (r"H = -\left[(1-p)\log(1-p) + p \log p\right]",),
        ("bernoulli.entropy",),
        _entropy_of_a_coin,
        ("entropies/coin",),
    ),
    Row(
        "5.5b",
        "The entropy of a Gaussian",
        (r"H = \tfrac12 \log\left((2\pi e)^d \det\Sigma\right)",),
        ("gaussian.entropy",),
        _entropy_of_a_gaussian,
        ("entropies/gaussian",),
        (6,),
    ),
    Row(
        "6.1a",
        "Ridge regression",
        (
            r"J = \|y - X\theta\|^2 + \delta^2 \theta^\top\theta",
            r"\theta = (X^\top X + \delta^2 I)^{-1} X^\top y",
            r"\nabla J = 2X^\top(X\theta - y) + 2\delta^2\theta, \qquad \nabla^2 J = 2(X^\top X + \delta^2 I)",
        ),
        ("ridge.cost", "ridge.gradient", "ridge.hessian", "ridge.fit"),
        _ridge,
        ("ridge_trace/trace", "chosen_penalties/choice"),
    ),
    Row(
        "6.1b",
        "A penalty is a budget",
        (r"\min \|y - X\theta\|^2 \quad \text{subject to} \quad \theta^\top\theta \le t",),
        ("ridge.constrained", "ridge.path"),
        _constrained,
        ("circle_and_diamond/touching", "circle_and_diamond/budget"),
        (7,),
    ),
    Row(
        "6.2",
        "The lasso",
        (r"J = \|y - X\theta\|^2 + \lambda \|\theta\|_1",),
        ("lasso.cost", "lasso.subgradient", "lasso.fit"),
        _lasso,
        ("circle_and_diamond/touching", "lasso_path/path", "lasso_path/recovery"),
        (8,),
    ),
    Row(
        "6.3a",
        "Basis functions",
        (r"\hat y = \varphi(x)\,\theta, \qquad \varphi(x_1, x_2) = [1, x_1, x_2, x_1^2, x_2^2, x_1 x_2]",),
        ("features.polynomial",),
        _polynomials,
        ("bases/polynomials",),
    ),
    Row(
        "6.3b",
        "The right complexity",
        (r"\text{error on new examples} \quad \text{against} \quad m",),
        ("features.polynomial",),
        _complexity,
        ("complexity/curves",),
    ),
    Row(
        "6.3c",
        "Regularised complexity",
        (r"\text{degree 25}, \quad \delta^2 \text{ growing}",),
        ("ridge.fit",),
        _held_by_a_penalty,
        (
            "complexity/slider",
            "complexity/controlled",
        ),
    ),
    Row(
        "6.3d",
        "Mixed bases",
        (r"\varphi = [1, x, x^2, k(x, \mu_1), k(x, \mu_2), \dots]",),
        ("features.concatenate",),
        _mixed,
        ("bases/mixed",),
    ),
    Row(
        "6.4a",
        "Radial basis functions",
        (r"k(x, \mu, \lambda) = \exp\left(-\frac{\|x - \mu\|^2}{\lambda}\right)",),
        ("features.rbf",),
        _kernels,
        ("bases/three",),
    ),
    Row(
        "6.4b",
        "One kernel on each example",
        (r"\theta = (K + \delta^2 I)^{-1} y",),
        ("kernel.fit", "kernel.gradient", "kernel.hessian"),
        _on_each_point,
        ("kernel_scale/scale",),
    ),
    Row(
        "6.5",
        "The size of the kernels",
        (r"e_{-i} = \frac{\left[(K + \delta^2 I)^{-1} y\right]_i}{\left[(K + \delta^2 I)^{-1}\right]_{ii}}",),
        ("kernel.leave_one_out",),
        _leave_one_out,
        (
            "kernel_scale/slider",
            "kernel_scale/scale",
            "chosen_penalties/choice",
        ),
    ),
)
