"""What is wrong with the input is said in a sentence that says what to write instead."""

import re
from typing import Any

import jax
import numpy as np
import pandas as pd
import pytest
import scipy.sparse

from experiments.lab import refusals
from jax_course import data, linear, logistic, scale, softmax
from jax_course.networks import costs, mlp
from jax_course.optimization import optimizers
from jax_course.train import train

# what a type checker would refuse, too
CSR: Any = scipy.sparse.csr_matrix(np.ones((12, 2)))
NOT_MADE: Any = costs.binary_cross_entropy
NO_COST: Any = sum
NO_PAIRS: Any = [np.ones((12, 2))]
TRIPLES: Any = [(np.ones((12, 2)), np.ones(12), np.ones(12))]
X = np.random.default_rng(0).standard_normal((12, 2))
TEXT = np.where(X[:, 0] > 0, "yes", "no")
ONE_HOT = np.eye(3)[np.arange(12) % 3]
CATEGORIES = r"number its categories by y, classes = data.encode\(y\)"
MIXED = pd.DataFrame({"size": [1.0] * 12, "city": ["Rome"] * 12})
NET = mlp([3, 3], "tanh", costs.cross_entropy())


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: logistic.fit(X, TEXT), TypeError, CATEGORIES),
        (lambda: logistic.fit(X, pd.DataFrame({"bought": TEXT}).bought), TypeError, CATEGORIES),
        (lambda: data.split(X, TEXT.tolist()), TypeError, CATEGORIES),
        (lambda: linear.fit(MIXED, X[:, 0]), TypeError, r"of object: make X and y .* data.frame\(df, target="),
        (lambda: linear.fit(CSR, X[:, 0]), TypeError, r"csr_matrix: .* with X.toarray\(\)"),
        (lambda: mlp([1], "tanh", NOT_MADE), TypeError, r"write cost=costs.binary_cross_entropy\(\)"),
        (
            lambda: mlp([1], "tanh", NO_COST),
            TypeError,
            r"one of networks.costs, .*; got sum: a function alone has no δ",
        ),
        (lambda: scale.fit_linear(TRIPLES), TypeError, r"row 0 on: .* pair \(X, y\); got 3 arrays"),
        (lambda: scale.fit_linear(NO_PAIRS), TypeError, r"a batch must be a pair \(X, y\); got ndarray$"),
        (lambda: softmax.fit(X, ONE_HOT), ValueError, r"np.argmax\(y, axis=1\) is the class number"),
        (lambda: NET.cost(NET.init(jax.random.key(0), 2), X, ONE_HOT), ValueError, r"np.argmax\(y, axis=1\)"),
    ],
)
def test_it_says_what_to_write(call, error, message):
    with pytest.raises(error, match=message):
        call()


def test_what_is_looked_at_in_a_shell_is_short():
    assert repr(NET) == "Network(linear(3) → tanh → linear(3) → cross_entropy)"
    settings = {"key": None, "epochs": 2, "batch_size": 4}
    run = train(lambda theta, X, y: theta - y[0], optimizers.sgd(0.5), np.zeros(()), X, X[:, 0] * 0 + 2, **settings)
    assert repr(run) == "Training(2 epochs of 12 examples by 4)"
    assert repr(run._replace(history={"cost": np.array([3.0, 1.5]), "rows": np.ones((2, 3))})).endswith("4, cost 1.5)")


def test_the_page_of_messages_is_what_the_code_says():
    text = refusals.page()
    assert refusals.PAGE.read_text() == text, "write it anew by python -m experiments.lab.refusals"
    above = vars(test_it_says_what_to_write)["pytestmark"][0].args[1]
    assert [message for _, _, message in above if not re.search(message, text, re.MULTILINE)] == []
