"""A solution in a notebook: an HTML table."""

import re
import xml.etree.ElementTree as ElementTree
from typing import Any

import jax
import numpy as np

from jax_course import linear
from jax_course.optimization import Solution, Status

NUMBERS: Any = np.array(2.0), np.array(1e-9), np.array(3), np.array(Status.CONVERGED)  # cost to status


def cells(solution):
    """The cells of the table by the header of their row; the table must be well-formed, and every row have a header."""
    rows = ElementTree.fromstring(solution._repr_html_())
    assert all(row[0].tag == "th" and row[0].get("scope") == "row" for row in rows)
    return {row[0].text or "": row[1].text or "" for row in rows}


def test_the_status_in_words_the_figures_and_theta():
    shown = cells(linear.fit(np.array([[1.0, 0.0], [1.0, 1.0], [1.0, 2.0]]), np.array([1.0, 3.0, 5.0])))
    assert shown["status"].startswith("CONVERGED: Converged")
    assert re.fullmatch(r"cost .*, gradient norm .*, 1 step, by an orthogonal factorisation", shown["found"])
    assert shown["theta"] == "[1. 2.]"


def test_large_leaves_of_a_tree_by_name_and_shape():
    shown = cells(Solution({"a<b": np.zeros(3), "large": np.zeros((40, 2))}, *NUMBERS))
    assert shown["theta['large']"] == "float64 of shape (40, 2)"
    assert "theta['a<b']" in shown


def test_of_many_the_worst_decides():
    one = Solution(np.zeros(1), *NUMBERS)
    other = one._replace(status=np.array(Status.SEPARABLE))
    for several in ((one, other), (other, one), (one, other, one)):
        both = jax.tree.map(lambda *leaves: np.stack(leaves), *several)
        assert cells(both)["status"].startswith("SEPARABLE")
