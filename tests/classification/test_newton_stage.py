"""The first stage, Newton's method: that it is taken, that it ends where the complete one does, when it is refused."""

import numpy as np
import pytest
from scipy import optimize

from jax_course import Status, logistic, softmax
from jax_course.classification import newton_fit
from tests.classification import literal

M, D, K = 150, 3, 3


def examples(K, seed=0):
    rng = np.random.default_rng(seed)
    X = np.concatenate([np.ones((M, 1)), rng.standard_normal((M, D - 1))], axis=1)
    return X, np.argmax(X @ rng.standard_normal((D, K)) + rng.gumbel(size=(M, K)), axis=1)


@pytest.mark.parametrize("penalty", [0.0, 0.5, [[0.0], [1.0], [2.0]]])
@pytest.mark.parametrize(("model", "shape"), [(logistic, (D,)), (softmax, (D, K))])
def test_easy_data_end_where_the_complete_method_ends(model, shape, penalty, monkeypatch):
    X, y = examples(2 if model is logistic else K)
    w = np.linspace(0, 2, len(X))
    penalty = np.asarray(penalty)[:, 0] if model is logistic and np.ndim(penalty) else np.asarray(penalty)
    with monkeypatch.context() as without:
        without.setattr(newton_fit, "complete_fit", lambda *data: pytest.fail("the complete method was needed"))
        found = model.fit(X, y, penalty=penalty, weights=w).check()
    with monkeypatch.context() as without:
        without.setattr(newton_fit, "newton_stage", lambda *data: (None, np.False_))
        expected = model.fit(X, y, penalty=penalty, weights=w).check()
    np.testing.assert_allclose(found.theta, expected.theta, rtol=1e-11, atol=1e-12)
    np.testing.assert_allclose(found.cost, expected.cost, rtol=1e-13)
    at_start = np.linalg.norm(literal.gradient(np.zeros(shape), X, y, penalty, w))
    assert float(found.gradient_norm) <= 1e-10 * at_start
    assert 2 <= int(found.steps) <= int(found.evaluations.gradient) <= 12


def test_a_step_that_goes_too_far_is_shortened():
    """One wild example among many: from θ = 0 Newton's full step makes the slope turn and grow."""
    X = np.array([[1.0]] * 40 + [[400.0]] * 3 + [[-400.0]])
    y = np.array([1.0] * 20 + [0.0] * 20 + [1.0] * 4)
    found, trusted = newton_fit.newton_stage(logistic.LOSS, (X, y, np.ones(()), np.zeros(1)), 100)
    assert trusted
    assert int(found.evaluations.gradient) > int(found.steps) + 1
    minimum = optimize.root_scalar(lambda t: literal.gradient(np.array([t]), X, y)[0], bracket=(-1, 1), xtol=1e-15)
    np.testing.assert_allclose(found.theta[0], minimum.root)


@pytest.mark.parametrize("model", [logistic, softmax])
def test_too_few_steps_dependent_columns_and_separable_classes_are_left_to_the_complete_method(model):
    X, y = examples(2 if model is logistic else K)
    dtype, shape = (np.float64, (D,)) if model is logistic else (np.int32, (D, K))

    def trusted(X, y, max_steps=100):
        data = X, y.astype(dtype), np.ones(M), np.zeros(shape)
        return bool(newton_fit.newton_stage(model.LOSS, data, max_steps)[1])

    separable = np.digitize(X[:, 1], [0.0] if model is logistic else [-0.5, 0.5])
    assert trusted(X, y)
    assert not trusted(X, y, 2)
    assert not trusted(X[:, [0, 1, 1]], y)
    assert not trusted(X, separable)
    assert Status(int(model.fit(X, separable, weights=np.ones(M)).status)) is Status.SEPARABLE


def test_a_gradient_that_vanishes_at_the_start_needs_no_further_stage():
    X, y = np.array([[1.0, 1.0], [1.0, 1.0], [1.0, -1.0], [1.0, -1.0]]), np.array([0.0, 1.0, 0.0, 1.0])
    found, accepted = newton_fit.newton_stage(logistic.LOSS, (X, y, np.ones(()), np.zeros(2)), 100)
    assert accepted
    np.testing.assert_array_equal(found.theta, 0)
