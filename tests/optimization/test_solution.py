"""What a notebook shows of a solution."""

import re
import xml.etree.ElementTree as ElementTree

import jax
import jax.numpy as jnp
import numpy as np

from jax_course import linear, logistic
from jax_course.optimization import bfgs


def cells(solution):
    """Of the table, by row; it must be well-formed, and every row have its header."""
    rows = ElementTree.fromstring(solution._repr_html_())
    assert all(row[0].tag == "th" and row[0].get("scope") == "row" for row in rows)
    return {row[0].text or "": row[1].text or "" for row in rows}


def test_the_status_in_words_the_figures_and_theta():
    shown = cells(linear.fit(np.array([[1.0, 0.0], [1.0, 1.0], [1.0, 2.0]]), np.array([1.0, 3.0, 5.0])))
    assert shown["status"].startswith("CONVERGED: Converged")
    assert re.fullmatch(r"cost .*, gradient norm .*, 1 step, by an orthogonal factorisation", shown["found"])
    assert shown["theta"] == "[1. 2.]"


def test_large_leaves_of_a_tree_by_name_and_shape():
    start = {"a<b": jnp.ones(3), "large": jnp.ones((40, 2))}
    shown = cells(bfgs(lambda theta: sum(jnp.sum(leaf**2) for leaf in theta.values()), start))
    assert shown["theta['large']"] == "float64 of shape (40, 2)"
    assert "theta['a<b']" in shown


def test_of_many_the_worst_decides():
    X, y = jnp.array([[1.0], [-1.0], [1.0], [-1.0]]), jnp.array([[1.0, 0, 1, 0], [1.0, 0, 0, 1]])
    both = jax.vmap(lambda y: logistic.fit(X, y))(y)
    assert cells(both)["status"].startswith("SEPARABLE")
