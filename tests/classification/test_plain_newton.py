"""The plain way of Newton's method: that it is taken, that it ends where the complete one does, when it is refused."""

import jax.numpy as jnp
import numpy as np
import pytest

from jax_course import Status, logistic, softmax


def examples(seed=0, m=200, d=4, K=2):
    rng = np.random.default_rng(seed)
    X = np.concatenate([np.ones((m, 1)), rng.standard_normal((m, d - 1))], axis=1)
    return X, np.argmax(X @ rng.standard_normal((d, K)) + rng.gumbel(size=(m, K)), axis=1)


@pytest.mark.parametrize("penalty", [0.0, 0.5, [[0.0], [1.0], [2.0], [3.0]]])
@pytest.mark.parametrize(("model", "K"), [(logistic, 2), (softmax, 2), (softmax, 4)])
def test_easy_data_end_where_the_complete_method_ends(model, K, penalty, monkeypatch):
    X, y = examples(K=K)
    w = np.linspace(0, 2, len(X))
    penalty = np.asarray(penalty)[:, 0] if model is logistic and np.ndim(penalty) else penalty
    with monkeypatch.context() as without:
        without.setattr(model, "_by_newton", lambda *data: pytest.fail("the complete method was needed"))
        found = model.fit(X, y, penalty=penalty, weights=w).check()
    with monkeypatch.context() as without:
        without.setattr(model, "_by_plain_newton", lambda *data: (None, jnp.array(False)))
        expected = model.fit(X, y, penalty=penalty, weights=w).check()
    np.testing.assert_allclose(found.theta, expected.theta, rtol=1e-11, atol=1e-12)
    np.testing.assert_allclose(found.cost, expected.cost, rtol=1e-13)
    at_start = jnp.linalg.norm(model.gradient(jnp.zeros_like(found.theta), X, y, penalty=penalty, weights=w))
    assert found.gradient_norm <= 1e-10 * at_start
    assert 2 <= int(found.steps) <= int(found.evaluations.hessian) <= 12


def test_a_step_that_goes_too_far_is_halved():
    """One wild example among many: from θ = 0 Newton's full step makes the slope turn and grow."""
    X = np.array([[1.0]] * 40 + [[400.0]] * 3 + [[-400.0]])
    y = np.array([1] * 20 + [0] * 20 + [1] * 4)
    found, trusted = logistic._by_plain_newton(*map(jnp.asarray, (X, y * 1.0, np.zeros(1), 1.0)), 100)
    assert trusted
    assert int(found.evaluations.hessian) > int(found.steps) + 1
    np.testing.assert_allclose(
        found.theta, logistic._by_newton(*map(jnp.asarray, (X, y * 1.0, np.zeros(1), 1.0)), 100).theta
    )


@pytest.mark.parametrize("model", [logistic, softmax])
def test_too_few_steps_dependent_columns_and_separable_classes_are_left_to_the_complete_method(model):
    X, y = examples()
    labels = jnp.asarray(y * 1.0) if model is logistic else jnp.asarray(y, jnp.int32)
    shape = (X.shape[1],) if model is logistic else (X.shape[1], 2)

    def trusted(X, y, max_steps=100):
        shapes = jnp.zeros((X.shape[1], *shape[1:])), jnp.ones(())
        return bool(model._by_plain_newton(jnp.asarray(X), y, *shapes, max_steps)[1])

    assert trusted(X, labels)
    assert not trusted(X, labels, 2)
    assert not trusted(np.concatenate([X, X[:, 1:2]], axis=1), labels)
    assert not trusted(X, (X[:, 1] > 0).astype(labels.dtype))
    assert Status(int(model.fit(X, X[:, 1] > 0).status)) is Status.SEPARABLE
