"""The solutions of a batch, from vmap: text, errors, members, trees."""

import pickle

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jax_course import Status, logistic
from jax_course.solution import NotSolved, Solution

X = jnp.asarray(np.random.default_rng(0).standard_normal((30, 3)))
OVERLAPPING = (np.arange(30) % 3 > 0) * 1.0
Y = jnp.asarray(np.stack([OVERLAPPING, np.asarray(X[:, 0]) > 0, OVERLAPPING, np.asarray(X[:, 1]) > 0]) * 1.0)


@pytest.fixture(scope="module")
def batch():
    return jax.vmap(lambda y: logistic.fit(X, y))(Y)


def test_a_batch_says_how_many_are_solved_and_which_are_not(batch):
    assert str(batch).startswith("Solved: 2 of 4 problems, not those at 1, 3. Problem 1, SEPARABLE: The ")
    assert "2 of 4 problems, not those at 1, 3" in batch._repr_html_()
    assert str(batch[::2]).startswith("Solved: all of 2 problems. Problem 0, CONVERGED: Converged")


def test_the_error_of_a_batch_names_those_that_are_not_solved(batch):
    with pytest.raises(NotSolved, match=r"^Solved: 2 of 4 problems, not those at 1, 3\. Problem 1, SEPARABLE") as error:
        batch.check()
    assert error.value.status == Status.SEPARABLE
    assert batch[::2].check().cost.shape == (2,)


def test_a_member_is_the_solution_of_its_problem(batch):
    alone = logistic.fit(X, Y[2])
    np.testing.assert_allclose(batch[2].theta, alone.theta, rtol=1e-12)
    assert str(batch[2].check()) == str(alone)[: str(alone).index("(")] + str(batch[2])[str(batch[2]).index("(") :]
    np.testing.assert_array_equal(batch[1:3].status, [Status.SEPARABLE, Status.CONVERGED])
    with pytest.raises(TypeError, match=r"one solution, not a batch of them: .* solution\.theta"):
        alone[0]


def test_of_several_axes_an_index_has_as_many_numbers():
    one = Solution(0.0, jnp.array(1.0), jnp.array(0.0), jnp.array(2), jnp.array(0))
    grid = jax.tree.map(lambda leaf: jnp.broadcast_to(leaf, (2, 3)), one)
    status = grid.status.at[1, 2].set(int(Status.OUT_OF_STEPS))
    assert str(grid._replace(status=status)).startswith(
        "Solved: 5 of 6 problems, not those at (1, 2). Problem (1, 2), OUT_OF_STEPS: "
    )


def test_a_solution_is_a_tree_and_can_be_pickled(batch):
    again = pickle.loads(pickle.dumps(batch))
    assert jax.tree.structure(again) == jax.tree.structure(batch)
    assert all(map(np.array_equal, jax.tree.leaves(again), jax.tree.leaves(batch)))
    theta, cost, *_ = batch
    assert theta is batch.theta
    assert cost is batch.cost
    assert jax.tree.map(lambda leaf: 2 * leaf, batch).cost[0] == 2 * batch.cost[0]
    assert jax.eval_shape(lambda y: logistic.fit(X, y), Y[0]).theta.shape == (3,)
