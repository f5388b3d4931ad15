"""Verdicts that are easily wrong: NaN, custom rules, kinks, noise, values that change, functions of every sort.

Each case has a right derivative and, where it says so, a wrong one beside it.
"""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import sparse

from jax_course import verify
from jax_course.verify import Kind
from jax_course.verify.__main__ import main

rng = np.random.default_rng(0)
FOUR = np.arange(1.0, 5.0)
X = rng.standard_normal((30, 4))


def verdict(cost, params, *arguments, **keywords):
    return verify.derivatives(cost, params, *arguments, **keywords).ok


def kinds(report):
    return {finding.kind for finding in report.findings}


def root_where_positive(x):
    return jnp.sum(jnp.where(x > 0, jnp.sqrt(x), 0.0))


def test_nan_of_autodiff_is_no_agreement():
    """jnp.where lets NaN of the branch not taken through; differences see the 0."""
    point = np.array([1.0, -1.0])

    def gradient(at_negative):
        return lambda x: jnp.where(x > 0, 0.5 / jnp.sqrt(jnp.abs(x)), at_negative)

    right = verify.derivatives(root_where_positive, point, gradient=gradient(0.0))
    assert (right.ok, kinds(right)) == (True, {Kind.AUTODIFF})
    assert verdict(root_where_positive, point, gradient=gradient(7.0)) is False
    hessian = verify.derivatives(root_where_positive, point, hessian=lambda x: jnp.diag(jnp.array([-0.25, 7.0])))
    assert hessian.ok is not True


def test_differences_overrule_a_custom_rule():
    @jax.custom_vjp
    def square(t):
        return jnp.sum(t**2)

    square.defvjp(lambda t: (square(t), t), lambda t, d: (3 * t * d,))
    for cost in (lambda t: square(t), lambda t: jnp.sum(jax.lax.stop_gradient(t) * t)):
        assert verdict(cost, FOUR, gradient=jax.grad(cost)) is False
        right = verify.derivatives(cost, FOUR, gradient=lambda t: 2 * t)
        assert (right.ok, kinds(right)) == (True, {Kind.AUTODIFF})


def test_where_autodiff_is_off_the_readers_gradient_proves_the_hessian():
    def cost(t):
        return jnp.sum(jax.lax.stop_gradient(t) * t)

    def report(hessian):
        return verify.derivatives(cost, FOUR, gradient=lambda t: 2 * t, hessian=hessian)

    assert report(lambda t: 2 * jnp.eye(4)).ok is True
    assert report(lambda t: 3 * jnp.eye(4)).ok is False


SHIFT = 0.0


def test_a_value_that_changes_between_examinations_is_seen():
    settings = {"scale": 1.0}

    def cost(t):
        return settings["scale"] * jnp.sum(t**2) + SHIFT * jnp.sum(t)

    assert verdict(cost, FOUR, gradient=lambda t: 2 * t) is True
    globals()["SHIFT"] = 5.0
    assert verdict(cost, FOUR, gradient=lambda t: 2 * t) is False
    assert verdict(cost, FOUR, gradient=lambda t: 2 * t + 5) is True
    settings["scale"] = 2.0
    assert verdict(cost, FOUR, gradient=lambda t: 2 * t + 5) is False
    globals()["SHIFT"] = 0.0


def test_a_method_of_an_object_that_changes():
    class Model:
        scale = 1.0

        def __init__(self):
            self.shift = 0.0

        def cost(self, t):
            return jnp.sum(t**2) + self.shift * jnp.sum(t)

    model = Model()
    assert verdict(model.cost, FOUR, gradient=lambda t: 2 * t) is True
    model.shift = 1.0
    assert verdict(model.cost, FOUR, gradient=lambda t: 2 * t) is False


def test_a_few_wrong_entries_of_a_large_gradient_in_numpy():
    point = rng.standard_normal(3000)

    def wrong(t):
        gradient = np.array(t)
        gradient[100:110] *= -1
        return gradient

    def cost(t):
        return 0.5 * np.sum(np.asarray(t) ** 2)

    report = verify.derivatives(cost, point, gradient=wrong)
    assert report.ok is False
    assert 100 <= report.findings[0].index[0] < 110
    assert verdict(cost, point, gradient=np.asarray) is True


def test_what_noise_hides_is_undecided():
    def hidden(t):
        return 1e12 + 1e-3 * float(np.sum(np.asarray(t) ** 2))

    assert verdict(hidden, FOUR, gradient=lambda t: 4e-3 * np.asarray(t)) is None

    def noisy(t):
        return float(np.sum(np.real(t) ** 2) * (1 + 1e-9 * np.sin(1e13 * np.real(t).sum())))

    assert verdict(noisy, FOUR, gradient=lambda t: 2 * np.real(t)) is not False
    assert verdict(noisy, FOUR, gradient=lambda t: 3 * np.real(t)) is False

    def single(t):
        return float(np.sum(FOUR.astype(np.float32) * np.asarray(t, np.float32) ** 2))

    assert verdict(single, FOUR / 3, gradient=lambda t: 2 * FOUR * np.real(t)) is not False
    assert verdict(single, FOUR / 3, gradient=lambda t: 3 * FOUR * np.real(t)) is False


def test_a_derivative_that_is_zero_up_to_rounding():
    """A shift of all scores does not change a softmax; the data stands in a closure, so float32 never shows it."""
    Y, W = np.eye(3)[np.arange(30) % 3], rng.standard_normal((4, 3))

    def cost(p):
        Z = X @ p["W"] + p["shift"]
        return jnp.mean(jax.nn.logsumexp(Z, axis=1) - jnp.sum(Z * Y, axis=1))

    def gradient(p):
        return {"W": X.T @ (jax.nn.softmax(X @ p["W"], axis=1) - Y) / 30, "shift": 0.0 * p["shift"]}

    assert verdict(cost, {"W": W, "shift": np.array(0.3)}, gradient=gradient) is True


def test_an_ill_conditioned_cost_that_float32_cannot_compute():
    H = 1 / (np.arange(8)[:, None] + np.arange(8) + 1)

    def cost(t, H, y):
        L = jnp.linalg.cholesky(H + jnp.exp(t[0]) * jnp.eye(8))
        return 0.5 * y @ jax.scipy.linalg.cho_solve((L, True), y) + jnp.sum(jnp.log(jnp.diag(L)))

    def gradient(t, H, y):
        inverse = jnp.linalg.inv(H + jnp.exp(t[0]) * jnp.eye(8))
        a = inverse @ y
        return jnp.array([0.5 * jnp.exp(t[0]) * (jnp.trace(inverse) - a @ a)])

    for t in (-15.0, -20.0):
        assert verdict(cost, np.array([t]), H, np.ones(8), gradient=gradient) is True
        assert verdict(cost, np.array([t]), H, np.ones(8), gradient=lambda *a: 1.01 * gradient(*a)) is False


@pytest.mark.parametrize("away", [0.0, 0.001, 0.003, 0.01, 0.02, 0.04])
def test_kinks_in_numpy(away):
    point = np.array([1.0, away])

    def cost(t):
        return float(np.sum(np.abs(t) + np.real(t) ** 2))

    report = verify.derivatives(cost, point, gradient=lambda t: np.where(np.real(t) >= 0, 1, -1) + 2 * np.real(t))
    assert report.ok is True
    assert kinds(report) == ({Kind.KINK} if away == 0 else set())
    assert verdict(cost, point, gradient=lambda t: 1.01 * np.sign(np.real(t)) + 2 * np.real(t)) is False


def test_many_kinks_and_kinks_with_several_sides():
    many = verify.derivatives(lambda t: jnp.sum(jnp.abs(t)), np.zeros(200), gradient=jnp.sign)
    assert (many.ok, kinds(many)) == (True, {Kind.KINK})
    largest = verify.derivatives(jnp.max, np.array([1.0, 1.0, 0.0]), gradient=lambda t: jnp.eye(3)[jnp.argmax(t)])
    assert (largest.ok, kinds(largest)) == (True, {Kind.KINK})
    outside = verify.derivatives(
        lambda t: jnp.sum(jnp.abs(t)), np.zeros(3), gradient=lambda t: jnp.sign(t) + 5.0 * (t == 0)
    )
    assert outside.ok is False


def test_a_kink_of_the_gradient():
    def huber(t, y):
        r = jnp.abs(y - t)
        return jnp.sum(jnp.where(r < 1, 0.5 * r**2, r - 0.5))

    report = verify.derivatives(
        huber, 0.0, np.array([0.0, 1.0, 2.0]), hessian=lambda t, y: jnp.sum(jnp.abs(y - t) <= 1.0) * 1.0
    )
    assert (report.ok, kinds(report)) == (True, {Kind.KINK})


def test_sizes_that_differ_within_a_leaf_of_numpy():
    sizes = np.array([1e-3, 1.0, 1e3])
    Z = X[:, :3]

    def cost(t):
        return float(np.sum(np.logaddexp(0, Z @ (np.real(t) / sizes))))

    def gradient(t):
        return Z.T @ (1 / (1 + np.exp(-Z @ (t / sizes)))) / sizes

    point = np.array([0.3, -0.5, 0.7]) * sizes
    assert verdict(cost, point, gradient=gradient) is True
    assert verdict(cost, point, gradient=lambda t: gradient(t) * np.array([1, 1.001, 1])) is False


def keyword_branch(t, power=2):
    return jnp.sum(t**2) if power == 2 else jnp.sum(t**3)


def truth_branch(t, penalty=0.0):
    return jnp.sum(t**2) + (penalty * t @ t if penalty > 0 else 0.0)


def one_hot_in_numpy(W, X, c):
    Z = X @ W
    return jnp.mean(jax.nn.logsumexp(Z, axis=1) - jnp.sum(np.eye(3)[c] * Z, axis=1))


class Unhashable:
    """A function with a state that cannot be compared."""

    __hash__ = None  # pyright: ignore[reportAssignmentType]

    def __call__(self, t):
        return jnp.sum(t**3)


def in_place(t):
    t = np.asarray(t)
    t *= 2
    return t


STEPS = np.linspace(-1, 1, 5, dtype=np.float32)
CLASSES = np.arange(30) % 3
SORTS = {
    "a keyword that is branched on": (keyword_branch, FOUR, (), {"power": 3}, lambda t, power: 3 * t**2),
    "a penalty that is branched on": (truth_branch, FOUR, (), {"penalty": 0.5}, lambda t, penalty: 3 * t),
    "a size": (lambda t, k: jnp.sum(t**2) * jnp.sum(jnp.eye(k)), FOUR, (3,), {}, lambda t, k: 2 * k * t),
    "a string": (lambda t, how: jnp.sum(t**2), FOUR, ("sum",), {}, lambda t, how: 2 * t),
    "a function": (lambda t, f: jnp.sum(f(t)), FOUR, (jnp.sin,), {}, lambda t, f: jnp.cos(t)),
    "data into NumPy": (one_hot_in_numpy, rng.standard_normal((4, 3)), (X, CLASSES), {},
                        lambda W, X, c: X.T @ (jax.nn.softmax(X @ W, axis=1) - np.eye(3)[c]) / len(c)),
    "a mask": (lambda t, M: jnp.sum(jnp.where(M, t, 0.0) ** 2), FOUR, (X > 0,), {}, lambda t, M: 2 * t * M.sum(0)),
    "a key": (lambda t, k: jnp.sum(t**2 * jax.random.normal(k, t.shape)), FOUR, (jax.random.key(0),), {},
              lambda t, k: 2 * t * jax.random.normal(k, t.shape)),
    "a key and a mask as keywords": (
        lambda t, key, mask: jnp.sum(jnp.where(mask, t, 0.0) ** 2 * jax.random.normal(key, t.shape)), FOUR, (),
        {"key": jax.random.key(0), "mask": FOUR > 1.5},
        lambda t, key, mask: jnp.where(mask, 2 * t * jax.random.normal(key, t.shape), 0.0)),
    "a sparse matrix": (lambda t, S: np.sum((S @ np.real(t)) ** 2), FOUR, (sparse.csr_matrix(X),), {},
                        lambda t, S: 2 * S.T @ (S @ t)),
    "a loop without reverse mode": (
        lambda t: jax.lax.while_loop(lambda s: s[0] < 3, lambda s: (s[0] + 1, s[1] + jnp.sum(t**2)), (0, 0.0))[1],
        FOUR, (), {}, lambda t: 6 * t),
    "a domain": (lambda t: -sum(math.log(v) for v in t), np.array([1.0, 1e-3]), (), {}, lambda t: -1 / np.asarray(t)),
    "no hash": (Unhashable(), FOUR, (), {}, lambda t: 3 * t**2),
    "a linear cost": (lambda t: float(np.sum(X @ np.real(t))), FOUR, (), {}, lambda t: X.sum(0)),
}  # fmt: skip


def test_a_gradient_that_changes_its_argument_is_told_so():
    report = verify.derivatives(lambda t: float(np.sum(np.real(t) ** 2)), FOUR, gradient=in_place)
    assert report.ok is False
    assert "changes its parameters in place" in report.findings[0].sentence


MISTAKEN = ["a penalty that is branched on", "a key and a mask as keywords", "a string", "data into NumPy"]


@pytest.mark.parametrize("sort", SORTS)
@pytest.mark.filterwarnings("ignore:.*imaginary part")
def test_functions_of_every_sort(sort):
    cost, point, arguments, keywords, gradient = SORTS[sort]
    assert verdict(cost, point, *arguments, gradient=gradient, **keywords) is True
    if sort in MISTAKEN:
        wrong = verdict(cost, point, *arguments, gradient=lambda *a, **k: 1.1 * gradient(*a, **k), **keywords)
        assert wrong is False


def test_the_hessian_of_a_linear_cost_and_of_a_custom_rule():
    square = jax.custom_vjp(lambda t: jnp.sum(t**2))
    square.defvjp(lambda t: (jnp.sum(t**2), t), lambda t, d: (2 * t * d,))
    assert verdict(lambda t: square(t), FOUR, hessian=lambda t: 2 * jnp.eye(4)) is True
    assert verdict(lambda t: square(t), FOUR, hessian=lambda t: 3 * jnp.eye(4)) is False
    numpy = {"gradient": lambda t: X.sum(0), "hessian": lambda t: np.zeros((4, 4))}
    assert verdict(lambda t: float(np.sum(X @ np.real(t))), FOUR, **numpy) is True


@pytest.mark.parametrize(
    ("cost", "params", "gradient", "message"),
    [
        (jnp.sum, np.zeros(0), jnp.ones_like, "no parameters to differentiate by"),
        (lambda t: {"loss": jnp.sum(t)}, FOUR, jnp.ones_like, "must return one number; it returned a dict"),
        (jnp.sum, np.array([1.0, None], dtype=object), jnp.ones_like, "floating-point arrays; a is object"),
        (jnp.sum, FOUR, 3, "gradient must be a function; got int"),
        ("cost", FOUR, jnp.ones_like, "cost must be a function; got str"),
    ],
)
def test_refusals_name_what_came(cost, params, gradient, message):
    with pytest.raises((TypeError, ValueError), match=message):
        verify.derivatives(cost, params, gradient=gradient)


def raising_case():
    raise KeyError("data")


def test_a_case_that_raises_is_no_verdict(capsys):
    assert main([f"{__name__}:raising_case"]) == 2
    assert "KeyError: 'data'" in capsys.readouterr().err


def test_an_entry_off_in_the_seventh_digit_is_no_factor():
    report = verify.derivatives(
        lambda t: jnp.sum(t**2), np.ones(4), gradient=lambda t: (2 * t).at[2].multiply(1 + 1e-7)
    )
    assert (kinds(report), report.findings[0].location) == ({Kind.ENTRY}, "t[2]")


def test_a_cost_that_asks_for_float32_is_examined_in_it():
    def cost(w):
        start = jnp.zeros(3, jnp.float32)
        return jnp.sum(jax.lax.scan(lambda h, x: (jnp.tanh(h * w + x), None), start, STEPS)[0] ** 2)

    def gradient(w):
        states = [jnp.zeros(3, jnp.float32)]
        for x in STEPS:
            states.append(jnp.tanh(states[-1] * w + x))
        delta, g = 2 * states[-1], jnp.zeros_like(w)
        for h, after in zip(states[-2::-1], states[:0:-1], strict=True):
            delta = delta * (1 - after**2)
            g, delta = g + delta * h, delta * w
        return g

    w = np.array([0.3, -0.5, 0.8], np.float32)
    report = verify.derivatives(cost, w, gradient=gradient)
    assert report.ok is True
    assert report.witnesses[0].verdict == "agrees"  # JAX traces it; point by point it would take minutes
    assert verdict(cost, w, gradient=lambda w: gradient(w) * jnp.array([1, 1.01, 1], jnp.float32)) is False


def test_a_gradient_may_be_as_coarse_as_the_parameters():
    def gradient(t):
        return (3 * jnp.asarray(t) ** 2).astype(jnp.float32)

    def cost(t):
        return jnp.sum(t**3)

    assert verdict(cost, np.array([0.1, 0.7], np.float32), gradient=gradient) is True
    assert verdict(cost, np.array([0.1, 0.7], np.float32), gradient=lambda t: 1.001 * gradient(t)) is False
    assert verdict(cost, np.array([0.1, 0.7]), gradient=gradient) is False


def written(params):
    params["w"] = 2 * params["w"]
    return params


def written_under_a_trace_not_at_all(params):
    w = params["w"]
    w *= 2
    return {"w": w}


@pytest.mark.parametrize("gradient", [written, written_under_a_trace_not_at_all])
def test_a_gradient_that_is_written_into_the_parameters_is_told_so(gradient):
    report = verify.derivatives(lambda params: jnp.sum(params["w"] ** 2), {"w": FOUR}, gradient=gradient)
    assert report.ok is False
    assert "changes its parameters in place" in report.findings[0].sentence


def test_a_difference_as_of_an_iteration_that_ends_early_is_undecided():
    def root(w):  # of w, by a fixed number of Heron's steps
        s = w
        for _ in range(5):
            s = 0.5 * (s + w / s)
        return s

    def cost(w):
        return jnp.sum(jnp.sin(root(w)))

    w = np.array([9.0, 11.0, 12.0])
    assert verdict(cost, w, gradient=lambda w: jnp.cos(jnp.sqrt(w)) / (2 * jnp.sqrt(w))) is None
    assert verdict(cost, w, gradient=lambda w: jnp.cos(jnp.sqrt(w)) / (2.002 * jnp.sqrt(w))) is False
