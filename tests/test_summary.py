"""The coefficient table against statsmodels, in which an example of weight w is w rows, and by hand."""

import json
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import jax
import numpy as np
import pandas as pd
import pytest
import scipy.stats
import statsmodels.api as sm

import jax_course
from jax_course import Status, data, kernel, linear, logistic, ridge, softmax, summary
from jax_course.probability.tails import student_tail

M, K = 40, 3
RNG = np.random.default_rng(0)
RAW = RNG.standard_normal((M, 2))
X = np.column_stack([np.ones(M), RAW])
Y = X @ [3.0, 1.0, -0.5] + RNG.standard_normal(M)
CLASSES = np.argmax(X @ RNG.standard_normal((3, K)) / 2 + RNG.gumbel(size=(M, K)), axis=1)
LABELS = (CLASSES == 0).astype(int)
COUNTS = RNG.permutation(np.arange(M) % 4)
ONES = np.ones(M, int)
WEIGHTS = pytest.mark.parametrize("weights", [ONES, COUNTS], ids=["rows", "counts"])


def assert_coefficients(found, peer, shape=lambda values: values):
    """Estimates, errors, statistics, p-values and both ends, to 1e-8."""
    for name, expected in {
        "estimates": peer.params,
        "standard_errors": peer.bse,
        "statistics": peer.tvalues,
        "p_values": peer.pvalues,
    }.items():
        np.testing.assert_allclose(getattr(found, name), expected, rtol=1e-8, err_msg=name)
    np.testing.assert_allclose(np.stack(found.interval, axis=-1), shape(peer.conf_int(1 - found.confidence)), rtol=1e-8)


def assert_numbers(found, **expected):
    for name, value in expected.items():
        np.testing.assert_allclose(getattr(found, name), value, rtol=1e-8, err_msg=name)


@WEIGHTS
@pytest.mark.parametrize("columns", [[0, 1, 2], [1, 2]], ids=["constant", "no constant"])
def test_linear_regression_is_that_of_ols(weights, columns):
    design = X[:, columns]
    found = summary(linear, linear.fit(design, Y, weights=weights), design, Y, weights=weights, confidence=0.9)
    peer = sm.OLS(Y.repeat(weights), design.repeat(weights, axis=0)).fit()
    assert_coefficients(found, peer)
    assert_numbers(
        found,
        m=peer.nobs,
        residual_degrees_of_freedom=peer.df_resid,
        r_squared=peer.rsquared,
        adjusted_r_squared=peer.rsquared_adj,
        log_likelihood=peer.llf,
        aic=peer.aic,
        bic=peer.bic,
        condition=peer.condition_number,
    )
    assert found.has_constant == (len(columns) == 3)
    assert ("R², about mean" in str(found)) == found.has_constant
    assert ("X has no constant column" in str(found)) != found.has_constant
    assert ("m is the sum of the weights" in str(found)) == (weights is COUNTS)


def test_indicators_of_all_groups_are_a_constant_as_in_ols():
    groups = np.eye(3)[np.arange(M) % 3]
    found, peer = summary(linear, linear.fit(groups, Y), groups, Y), sm.OLS(Y, groups).fit()
    assert_numbers(found, r_squared=peer.rsquared, adjusted_r_squared=peer.rsquared_adj)


def test_a_covariance_that_is_given_takes_the_place_of_the_model_s():
    theta = linear.fit(X, Y).theta
    found = summary(linear, linear.fit(X, Y), X, Y, covariance=linear.covariance_hc1(theta, X, Y))
    assert_coefficients(found, sm.OLS(Y, X).fit(cov_type="HC1", use_t=True))
    assert "those of the covariance that was given" in str(found)


@WEIGHTS
def test_logistic_regression_is_that_of_a_binomial_glm(weights):
    found = summary(logistic, logistic.fit(X, LABELS, weights=weights), X, LABELS, weights=weights)
    peer = sm.GLM(LABELS, X, sm.families.Binomial(), freq_weights=weights).fit(tol=1e-14, tol_criterion="params")
    assert_coefficients(found, peer)
    assert_numbers(
        found,
        m=weights.sum(),
        residual_degrees_of_freedom=peer.df_resid,
        deviance=peer.deviance,
        log_likelihood=peer.llf,
        aic=peer.aic,
        bic=peer.bic_llf,
    )
    logit = sm.Logit(LABELS.repeat(weights), X.repeat(weights, axis=0)).fit(disp=0)
    assert_numbers(found, null_deviance=-2 * logit.llnull, log_likelihood=logit.llf, bic=logit.bic)


@WEIGHTS
def test_softmax_regression_is_mnlogit(weights):
    solution = softmax.fit(X, CLASSES, weights=weights)
    found = summary(softmax, solution, X, CLASSES, weights=weights)
    rows, labels = X.repeat(weights, axis=0), CLASSES.repeat(weights)
    peer = sm.MNLogit(labels, rows).fit(disp=0, tol=1e-14, method="newton")
    assert_coefficients(found, peer, lambda ends: ends.transpose(1, 0, 2))
    assert_numbers(
        found,
        residual_degrees_of_freedom=peer.df_resid,
        log_likelihood=peer.llf,
        deviance=-2 * peer.llf,
        null_deviance=-2 * peer.llnull,
        aic=peer.aic,
        bic=peer.bic,
    )
    against_1 = summary(softmax, solution, X, CLASSES, weights=weights, reference=1)
    renumbered = sm.MNLogit(np.array([1, 0, 2])[labels], rows).fit(disp=0, tol=1e-14, method="newton")
    assert_coefficients(against_1, renumbered, lambda ends: ends.transpose(1, 0, 2))


def test_classes_have_their_names():
    solution = softmax.fit(X, CLASSES)
    text = str(summary(softmax, solution, X, CLASSES, reference=1, class_names=np.array(["cat", "dog", "owl"])))
    assert [line for line in text.splitlines() if " against " in line] == ["cat against dog", "owl against dog"]
    assert "class 2 against class 0" in str(summary(softmax, solution, X, CLASSES))


def test_a_table_by_hand():
    """Points at x = −1, 0, 1, y = 0, 3, 0: θ = (1, 0), residuals −1, 2, −1, RSS = TSS = 6, ν = 1, σ² = 6."""
    x, y = np.array([[1.0, -1], [1, 0], [1, 1]]), np.array([0.0, 3, 0])
    found = summary(linear, linear.fit(x, y), x, y, names=["bias", "x"], confidence=0.5)
    np.testing.assert_allclose(found.standard_errors, np.sqrt([2, 3]), rtol=1e-14)
    # Cauchy's distribution: P(|T| ≥ t) = 1 − (2/π) arctan t, and half of it lies within ±1
    np.testing.assert_allclose(found.p_values, [1 - 2 / np.pi * np.arctan(np.sqrt(0.5)), 1], rtol=1e-12)
    np.testing.assert_allclose(found.interval.upper, [1 + np.sqrt(2), np.sqrt(3)], rtol=1e-12)
    likelihood = -1.5 * (np.log(4 * np.pi) + 1)
    assert_numbers(found, log_likelihood=likelihood, aic=4 - 2 * likelihood, bic=2 * np.log(3) - 2 * likelihood)
    assert_numbers(found, condition=np.sqrt(1.5), residual_degrees_of_freedom=1)
    assert abs(found.r_squared) < 1e-14
    assert abs(found.adjusted_r_squared + 1) < 1e-13
    assert "0.6082" in next(line for line in str(found).splitlines() if line.startswith("bias"))


def test_ridge_has_effective_degrees_of_freedom_and_no_tests():
    penalty = np.array([0.0, 2.0, 5.0])
    solution = ridge.fit(X, Y, penalty=penalty, weights=COUNTS)
    found = summary(ridge, solution, X, Y, penalty=penalty, weights=COUNTS)
    rows, y = X.repeat(COUNTS, axis=0), Y.repeat(COUNTS)
    hat = rows @ np.linalg.solve(rows.T @ rows + np.diag(penalty), rows.T)
    p, m = np.trace(hat), len(y)
    unexplained, total = np.sum((y - hat @ y) ** 2), np.sum((y - y.mean()) ** 2)
    likelihood = scipy.stats.norm.logpdf(y - hat @ y, scale=np.sqrt(unexplained / m)).sum()
    assert_numbers(
        found,
        degrees_of_freedom=p,
        residual_degrees_of_freedom=m - p,
        r_squared=1 - unexplained / total,
        adjusted_r_squared=1 - (unexplained / (m - p)) / (total / (m - 1)),
        log_likelihood=likelihood,
        aic=2 * p - 2 * likelihood,
        bic=p * np.log(m) - 2 * likelihood,
    )
    for unknown in (found.standard_errors, found.statistics, found.p_values, *found.interval):
        assert np.isnan(unknown).all()
    assert "p-values and intervals would not hold" in str(found).replace("\n", " ")
    assert "std. error" not in str(found)


def test_ridge_without_a_penalty_is_linear_regression():
    found, expected = summary(ridge, ridge.fit(X, Y), X, Y), summary(linear, linear.fit(X, Y), X, Y)
    np.testing.assert_allclose(found.p_values, expected.p_values, rtol=1e-12)


def sum_of_slopes(penalty):
    """Σ ∂π_i/∂y_i of penalised logistic regression, by differences of Newton's method in NumPy."""

    def fitted(y):
        theta = np.zeros(3)
        for _ in range(20):
            pi = 1 / (1 + np.exp(-X @ theta))
            H = (X.T * (pi * (1 - pi))) @ X + 2 * np.diag(penalty)
            theta -= np.linalg.solve(H, X.T @ (pi - y) + 2 * penalty * theta)
        return 1 / (1 + np.exp(-X @ theta))

    steps = 1e-4 * np.eye(M)
    return sum((fitted(LABELS + step) - fitted(LABELS - step)) @ step / 2e-8 for step in steps)


def test_a_penalized_classifier_has_effective_degrees_of_freedom():
    penalty = np.array([0.0, 0.5, 2.0])
    found = summary(logistic, logistic.fit(X, LABELS, penalty=penalty), X, LABELS, penalty=penalty)
    expected = sum_of_slopes(penalty)
    np.testing.assert_allclose(found.degrees_of_freedom, expected, rtol=1e-6)
    assert np.isnan(found.standard_errors).all()
    # two classes of half the parameter each: p θ² = 2 · (2p) (θ/2)²
    given: Any = {"penalty": 2 * penalty[:, None]}
    of_softmax = summary(softmax, softmax.fit(X, LABELS, **given), X, LABELS, **given)
    np.testing.assert_allclose(of_softmax.degrees_of_freedom, found.degrees_of_freedom, rtol=1e-8)


def test_dependent_columns_have_no_errors_and_the_table_says_why():
    design = np.column_stack([X, X[:, 1] - X[:, 2]])
    found, peer = summary(linear, linear.fit(design, Y), design, Y), sm.OLS(Y, X).fit()  # of the independent ones
    assert found.status is Status.RANK_DEFICIENT
    assert np.isnan(found.standard_errors).all()
    assert np.isnan(found.p_values).all()
    assert_numbers(found, r_squared=peer.rsquared, adjusted_r_squared=peer.rsquared_adj, aic=peer.aic, bic=peer.bic)
    assert_numbers(found, residual_degrees_of_freedom=peer.df_resid, condition=np.inf)
    assert "some columns of X are combinations of others" in str(found).replace("\n", " ")
    found = summary(logistic, logistic.fit(design, LABELS), design, LABELS)
    assert found.degrees_of_freedom == 3
    assert np.isnan(found.standard_errors).all()


def test_a_fit_that_has_not_ended_has_no_errors_and_the_table_says_why():
    separated, few = (X[:, 1] > 0).astype(int), 1
    for solution, y, words in (
        (logistic.fit(X, separated), separated, "completely or quasi-completely separable"),
        (logistic.fit(X, LABELS, max_steps=few), LABELS, "Out of steps"),
    ):
        found = summary(logistic, solution, X, y)
        assert np.isnan([found.aic, found.bic, *found.standard_errors, *found.interval.lower]).all()
        assert words in str(found).replace("\n", " ")
        assert "Standard errors are not known then" in str(found).replace("\n", " ")


def test_as_many_examples_as_columns_leave_no_errors():
    found = summary(linear, linear.fit(X[:3], Y[:3]), X[:3], Y[:3])
    assert np.isnan([*found.standard_errors, *found.p_values, found.adjusted_r_squared]).all()
    assert "needs more rows than columns in X" in str(found).replace("\n", " ")


def long_names():
    return ["bias", *(f"the_same_long_beginning_of_every_name={end}" for end in ("first", "second"))]


def test_the_text_has_80_columns_and_the_html_the_same_cells():
    scaled = Y * -1.2345e-30
    for found in (
        summary(linear, linear.fit(X, scaled), X, scaled, names=long_names(), confidence=0.99999),
        summary(softmax, softmax.fit(X, CLASSES), X, CLASSES, names=long_names(), class_names=["<a>", "b & c", "d"]),
    ):
        text = str(found)
        assert max(map(len, text.splitlines())) <= 80
        assert sum("…" in line for line in text.splitlines()) == 2 * found.estimates[0].size
        table = ElementTree.fromstring(found._repr_html_())
        cells = {"".join(cell.itertext()) for cell in table.iter("td")}
        heads = {"".join(cell.itertext()) for cell in table.iter("th")}
        assert set(long_names()) < heads
        lines = [line.split() for line in text.splitlines() if line.startswith(("bias", "the_same"))]
        assert {cell for line in lines for cell in line[1:]} < cells
        assert found.model != "softmax" or "b & c against <a>" in heads


def test_the_table_of_the_docs_is_the_one_that_is_printed():
    table = data.table("diabetes")
    design = np.insert(np.asarray(table.X), 0, 1, axis=1)
    found = summary(linear, linear.fit(design, table.y), design, table.y, names=["bias", *table.features])
    page = (Path(jax_course.__file__).parent.parent / "docs/regression.md").read_text(encoding="utf-8")
    assert f"```text\n{found}\n```" in page


def test_the_json_has_every_field_and_null_for_what_is_not_known():
    found = summary(ridge, ridge.fit(X, Y, penalty=1.0), X, Y, penalty=1.0)
    told = json.loads(found.to_json())
    assert list(told) == list(found._fields)
    assert told["status"] == "CONVERGED"
    assert told["p_values"] == told["interval"]["lower"] == [None] * 3
    assert told["deviance"] is None
    np.testing.assert_array_equal(told["estimates"], found.estimates)
    second: Any = np.int64(1)
    of_classes = json.loads(summary(softmax, softmax.fit(X, CLASSES), X, CLASSES, reference=second).to_json())
    assert of_classes["reference"] == 1
    assert np.shape(of_classes["p_values"]) == (3, K - 1)


def test_names_are_those_of_a_frame():
    frame = pd.DataFrame(X, columns=["bias", "a", "b"])
    assert summary(linear, linear.fit(frame, Y), frame, Y).names == ("bias", "a", "b")
    assert summary(linear, linear.fit(X, Y), pd.DataFrame(X), Y).names == ("0", "1", "2")
    assert summary(linear, linear.fit(X, Y), X, Y).names == ("x0", "x1", "x2")


def test_float32_has_the_numbers_to_its_precision():
    with jax.enable_x64(False):
        x, y = X.astype(np.float32), Y.astype(np.float32)
        found = summary(linear, linear.fit(x, y), x, y)
        classes = summary(softmax, softmax.fit(x, CLASSES), x, CLASSES)
    assert found.standard_errors.dtype == np.float32
    peer = sm.OLS(Y, X).fit()
    np.testing.assert_allclose(found.p_values, peer.pvalues, rtol=1e-3)
    numbers = [found.log_likelihood, found.r_squared, found.aic]
    np.testing.assert_allclose(numbers, [peer.llf, peer.rsquared, peer.aic], rtol=1e-5)
    np.testing.assert_allclose(classes.standard_errors, sm.MNLogit(CLASSES, X).fit(disp=0).bse, rtol=1e-3)


@pytest.mark.parametrize("nu", [1.0, 5.0, 400.0, 1e5, 1e8])
def test_the_tail_of_student_is_scipy_s(nu):
    t = np.array([0.0, 1e-3, 0.5, -2, 4, 10, 20])
    np.testing.assert_allclose(student_tail(t, np.array(nu)), 2 * scipy.stats.t.sf(np.abs(t), nu), rtol=1e-10)


FIT = linear.fit(X, Y)
NOT_A_MODULE: Any = "linear"
THETA: Any = FIT.theta
NUMBER: Any = 3


@pytest.mark.parametrize(
    ("given", "error", "message"),
    [
        ({"model": kernel}, TypeError, r"modules linear, ridge, logistic and softmax; got kernel: .*bootstrap"),
        ({"model": NOT_A_MODULE}, TypeError, "got str"),
        ({"solution": THETA}, TypeError, r"what linear.fit returns, a Solution; got "),
        ({"solution": jax.tree.map(lambda a: np.stack([a, a]), FIT)}, ValueError, r"got a batch of shape \(2,\)"),
        ({"weights": COUNTS}, ValueError, r"with them its theta has a cost of .*: give those of the fit"),
        ({"y": Y + 1e-3}, ValueError, "give those of the fit"),
        ({"model": ridge, "penalty": 1e-3}, ValueError, "give those of the fit"),
        ({"penalty": 1.0}, ValueError, r"of ridge.fit give summary\(ridge, …\)"),
        ({"X": X[:, 1:]}, ValueError, r"theta must have shape \(2,\)"),
        ({"names": ["a", "b"]}, ValueError, r"names must be 3 strings, .*; got 2: .* names=\['bias', \*names\]"),
        ({"names": "abc"}, TypeError, "names must be strings, one for each column of X; got str"),
        ({"names": [1, 2, 3]}, TypeError, "names must be strings; one of them is 1"),
        ({"class_names": ["no", "yes"]}, ValueError, "linear regression has none"),
        ({"reference": 1}, ValueError, "reference is a class of softmax regression"),
        ({"confidence": 95}, ValueError, "confidence must lie between 0 and 1; got 95: write 0.95"),
        ({"covariance": np.ones(3)}, ValueError, r"covariance must have shape \(3, 3\), .*; got \(3,\)"),
        ({"covariance": -np.eye(3)}, ValueError, "variances ≥ 0 on its diagonal"),
    ],
)
def test_what_gives_no_table_is_refused(given, error, message):
    arguments = {"model": linear, "solution": FIT, "X": X, "y": Y} | given
    with pytest.raises(error, match=message):
        summary(**arguments)


def test_further_refusals():
    solution = softmax.fit(X, CLASSES)
    with pytest.raises(ValueError, match="class_names must be 3, one for each class 0…2; got 2"):
        summary(softmax, solution, X, CLASSES, class_names=["a", "b"])
    with pytest.raises(ValueError, match="reference must be a class 0…2; got 3"):
        summary(softmax, solution, X, CLASSES, reference=NUMBER)
    with pytest.raises(ValueError, match="covariance is for a fit without a penalty"):
        summary(ridge, ridge.fit(X, Y, penalty=1.0), X, Y, penalty=1.0, covariance=np.eye(3))
    with pytest.raises(TypeError, match="call it outside of jit"):
        jax.jit(lambda y: summary(linear, linear.fit(X, y), X, y).estimates)(Y)
