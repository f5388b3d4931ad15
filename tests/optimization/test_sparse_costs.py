"""The remedy that the refusal of a sparse X names: a cost made of its products, for a solver."""

import jax.numpy as jnp
import numpy as np
import pytest
import scipy.sparse
from jax.experimental.sparse import BCOO
from sklearn.linear_model import Lasso, LogisticRegression

from jax_course import losses, optimization

RNG = np.random.default_rng(0)
ROWS = scipy.sparse.csr_matrix(np.where(RNG.uniform(size=(300, 20)) < 0.2, RNG.uniform(size=(300, 20)), 0))
Z = ROWS @ RNG.standard_normal((20, 3))
DELTA2 = 0.5


def ridge():
    A = (ROWS.T @ ROWS).toarray() + DELTA2 * np.eye(20)
    return np.linalg.solve(A, ROWS.T @ Z[:, 0])


def classifier(y):
    peer = LogisticRegression(C=1 / (2 * DELTA2), fit_intercept=False, solver="newton-cholesky", tol=1e-10)
    return peer.fit(ROWS.toarray(), y).coef_.T


MODELS = {
    "ridge": (losses.squared_error(), Z[:, 0], ridge),
    "logistic": (losses.binary_cross_entropy(), (Z[:, 0] > 0) * 1.0, lambda: classifier(Z[:, 0] > 0)[:, 0]),
    "softmax": (losses.cross_entropy(), np.argmax(Z, axis=1), lambda: classifier(np.argmax(Z, axis=1))),
}


@pytest.mark.parametrize(("loss", "y", "peer"), MODELS.values(), ids=MODELS)
def test_a_cost_of_sparse_products_has_the_minimum_of_scikit_learn(loss, y, peer):
    X, expected = BCOO.from_scipy_sparse(ROWS), peer()

    def cost(theta):
        return loss.value(X @ theta, y) + DELTA2 * jnp.sum(theta**2)

    theta = optimization.newton_cg(cost, np.zeros(expected.shape), tolerance=1e-9).check().theta
    np.testing.assert_allclose(theta, expected, rtol=0, atol=1e-8 * max(1, np.max(np.abs(expected))))


def test_a_lasso_of_sparse_products_is_that_of_scikit_learn():
    X, y, penalty = BCOO.from_scipy_sparse(ROWS), Z[:, 0], 2.0
    expected = Lasso(alpha=penalty / 600, fit_intercept=False, tol=1e-14, max_iter=10**5).fit(ROWS, y).coef_

    def cost(theta):
        return jnp.sum((X @ theta - y) ** 2)

    def prox(u, eta):
        return optimization.soft_threshold(u, penalty * eta)

    theta = optimization.accelerated_proximal_gradient(cost, np.zeros(20), proximal=prox, tolerance=1e-9).check().theta
    np.testing.assert_allclose(theta, expected, rtol=0, atol=1e-8)
