"""Figures: the numbers that are drawn, by hand or by an outside oracle, on the Axes that were given."""

import sys
from typing import Any

import jax
import matplotlib as mpl
import numpy as np
import pytest
from matplotlib import pyplot as plt
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from sklearn.calibration import calibration_curve
from sklearn.metrics import roc_auc_score, roc_curve
from statsmodels.stats.proportion import proportion_confint

import jax_course.plot
from jax_course.plot.style import CLASSES, DATA, STYLE, rgb

plot: Any = jax_course.plot  # the types of what Axes hold are too wide to be of use
RNG = np.random.default_rng(0)
Y = RNG.integers(0, 2, 60)
PI = np.clip(0.3 * Y + 0.7 * RNG.random(60), 0, 1).round(2)  # with ties
FIGURES = {
    "coefficients": lambda ax: plot.coefficients([1.0, 2.0], ([0.0, 1.0], [2.0, 3.0]), ax=ax),
    "residuals": lambda ax: plot.residuals([1.0, 2.0], [1.5, 1.5], ax=ax),
    "path": lambda ax: plot.path([1.0, 2.0], [[1.0], [0.5]], ax=ax),
    "bands": lambda ax: plot.bands([0.0, 1.0], [0.0, 1.0], {"95 %": ([-1.0, 0.0], [1.0, 2.0])}, ax=ax),
    "calibration": lambda ax: plot.calibration([0, 1], [0.2, 0.7], ax=ax),
    "roc": lambda ax: plot.roc([0, 1], [0.2, 0.7], ax=ax),
    "confusion": lambda ax: plot.confusion([[1, 0], [0, 1]], ax=ax),
    "boundary": lambda ax: plot.boundary(lambda points: 0.5 + 0 * points[:, 0], np.eye(2), [0, 1], ax=ax),
    "history": lambda ax: plot.history({"cost": [2.0, 1.0]}, ax=ax),
}


def drawn(ax, label):
    """The points of the line with this label."""
    return next(line for line in ax.lines if line.get_label() == label).get_xydata()


@pytest.mark.parametrize("name", plot.__all__)
def test_a_figure_is_drawn_on_the_axes_that_were_given_in_one_style_and_leaves_settings_alone(name):
    before = dict(mpl.rcParams)
    figure = Figure()
    ax: Any = figure.subplots()
    assert FIGURES[name](ax) is ax
    assert not plt.get_fignums()
    assert name == "confusion" or not ax.spines["top"].get_visible()
    assert ax.get_xlabel()
    assert name == "coefficients" or ax.get_ylabel()
    figure.draw_without_rendering()
    assert dict(mpl.rcParams) == before


def test_without_axes_there_is_a_new_figure_that_pyplot_shows():
    before = dict(mpl.rcParams)
    ax = plot.residuals([1.0], [1.0])
    assert dict(mpl.rcParams) == before
    assert plt.gcf() is ax.get_figure()
    assert ax.get_figure().get_dpi() == STYLE["figure.dpi"]


@pytest.mark.parametrize("name", plot.__all__)
def test_without_matplotlib_the_error_names_the_extra(name, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(ModuleNotFoundError, match=r"pip install 'jax-course\[plot\]'"):
        FIGURES[name](None)


def test_a_residual_is_what_was_observed_less_what_was_predicted():
    ax = plot.residuals([1.0, 3.0], [2.0, 2.5])
    assert ax.lines[-1].get_xydata().tolist() == [[2, -1], [2.5, 0.5]]


def test_coefficients_have_their_intervals_from_the_top_down():
    ax = plot.coefficients([1.0, -2.0, 0.5], ([0.5, -3.0, np.nan], [1.5, -1.5, np.nan]), names=["a", "b", "c"])
    assert ax.lines[-1].get_xydata().tolist() == [[1, 0], [-2, 1], [0.5, 2]]
    segments = np.array(ax.collections[0].get_segments()[:2])
    assert segments.tolist() == [[[0.5, 0], [1.5, 0]], [[-3, 1], [-1.5, 1]]]
    assert ax.yaxis_inverted()


def test_a_path_is_drawn_in_the_order_of_penalties_and_named_in_that_of_its_ends():
    ax = plot.path([10.0, 1.0], [[0.5, -0.5], [2.0, 3.0]], names=["low", "high"])
    assert drawn(ax, "low").tolist() == [[1, 2], [10, 0.5]]
    assert drawn(ax, "high").tolist() == [[1, 3], [10, -0.5]]
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["high", "low"]
    assert ax.get_xscale() == "log"


def test_a_path_of_more_lines_than_can_be_told_apart_has_no_legend():
    assert plot.path([1.0, 2.0], np.ones((2, 24))).get_legend() is not None
    assert plot.path([1.0, 2.0], np.ones((2, 25))).get_legend() is None


def test_bands_are_drawn_in_the_order_of_x_the_widest_behind():
    narrow, wide = ([1.5, 0.5], [2.5, 1.5]), ([0.0, -1.0], [4.0, 3.0])
    ax = plot.bands([1.0, 0.0], [2.0, 1.0], {"mean": narrow, "new": wide}, observed=([5.0], [6.0]))
    assert drawn(ax, "prediction").tolist() == [[0, 1], [1, 2]]
    assert drawn(ax, "data").tolist() == [[5, 6]]
    assert [band.get_label() for band in ax.collections] == ["new", "mean"]
    for band, (lower, upper) in zip(ax.collections, (wide, narrow), strict=True):
        corners = {tuple(corner) for corner in band.get_paths()[0].vertices}
        assert corners == {(1.0, lower[0]), (0.0, lower[1]), (1.0, upper[0]), (0.0, upper[1])}


def test_calibration_is_that_of_scikit_learn_with_the_interval_of_statsmodels():
    pi = 0.99 * PI + 0.001  # no probability lies between two bins, where the two differ
    ax = plot.calibration(Y, pi, bins=5, label="model")
    share, mean = calibration_curve(Y, pi, n_bins=5)
    np.testing.assert_allclose(drawn(ax, "model"), np.stack([mean, share], axis=1), rtol=1e-12)
    ones, n = (np.histogram(pi, 5, (0, 1), weights=weights)[0] for weights in (Y, None))
    expected = np.stack(proportion_confint(ones[n > 0], n[n > 0], method="wilson"), axis=1)
    found = np.array(ax.collections[0].get_segments())[:, :, 1]
    np.testing.assert_allclose(found, expected, rtol=1e-8, atol=1e-12)


def test_a_probability_of_1_is_in_the_last_bin():
    ax = plot.calibration([1, 0, 0], [1.0, 0.75, 0.0], bins=4, label="model")
    assert drawn(ax, "model").tolist() == [[0, 0], [0.875, 0.5]]


def test_roc_is_that_of_scikit_learn_with_ties():
    ax = plot.roc(Y, PI, label="model")
    label = f"model, area {roc_auc_score(Y, PI):.3f}"
    false, true, _ = roc_curve(Y, PI, drop_intermediate=False)
    np.testing.assert_allclose(drawn(ax, label), np.stack([false, true], axis=1), rtol=1e-12)


def test_confusion_is_coloured_by_the_share_of_each_row():
    ax = plot.confusion([[3, 1], [0, 0]])
    picture = ax.images[0].get_array()
    np.testing.assert_allclose(picture[0, 0], 1 - 0.75 * (1 - np.array(to_rgb(DATA))))
    np.testing.assert_allclose(picture[1], 1)
    assert [text.get_text() for text in ax.texts] == ["3", "1", "0", "0"]
    assert [text.get_text() for text in plot.confusion([[0.25, 2], [0, 1]]).texts] == ["0.25", "2", "0", "1"]


def test_a_boundary_lies_where_the_leading_class_changes():
    def predict(points):
        pi = 1 / (1 + np.exp(-5 * (points[:, 0] - 1)))
        return np.stack([1 - pi, pi], axis=1)

    X = np.array([[0.0, 0.0], [3.0, 1.0], [2.0, 0.5]])
    for function in (predict, lambda points: predict(points)[:, 1]):
        ax = plot.boundary(function, X, [0, 1, 1], class_names=["no", "yes"])
        np.testing.assert_allclose(ax.collections[0].get_paths()[0].vertices[:, 0], 1, atol=1e-3)
        assert drawn(ax, "yes").tolist() == [[3, 1], [2, 0.5]]
        left, right = (ax.images[0].get_array()[0, i] for i in (0, -1))
        np.testing.assert_allclose([left, right], 0.45 * np.array([to_rgb(c) for c in CLASSES[:2]]) + 0.55, atol=0.01)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_boundary_evaluates_the_model_in_the_dtype_of_the_data(dtype):
    seen = []

    def predict(points):
        seen.append(points.dtype)
        return np.zeros(len(points), points.dtype)

    plot.boundary(predict, np.eye(2, dtype=dtype), [0, 1])
    assert seen == [dtype]


def test_figures_of_float64_data_do_not_warn_where_jax_computes_in_float32():
    with jax.enable_x64(False):
        for figure in FIGURES.values():
            figure(None)
        plot.roc(1.0 * Y, PI)


def test_a_history_is_logarithmic_where_it_falls_by_a_factor_of_ten():
    falls = plot.history({"cost": [100.0, 1.0, np.nan], "rate": [1.0, 2.0, 3.0]})
    assert drawn(falls, "cost").tolist()[:2] == [[1, 100], [2, 1]]
    assert falls.get_yscale() == "log"
    assert plot.history({"cost": [2.0, 1.0]}).get_yscale() == "linear"
    assert plot.history({"cost": [2.0, -100.0]}).get_yscale() == "linear"


def test_colours_are_those_of_matplotlib():
    assert [tuple(rgb(color)) for color in CLASSES] == [to_rgb(color) for color in CLASSES]


ANY: Any = None
TWO: Any = np.array([1.0, 2.0])


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: plot.residuals(TWO, [1.0]), ValueError, r"y must have shape \(1,\); got shape \(2,\)"),
        (lambda: plot.residuals([np.nan, 1.0], TWO), ValueError, r"y must be finite; y\[0\] is nan"),
        (lambda: plot.residuals(TWO, TWO, ax=plt.subplots(1, 2)[1]), TypeError, r"got ndarray: .* axes\[0\]"),
        (lambda: plot.coefficients(TWO, TWO[0]), TypeError, r"a pair \(lower, upper\).*got float64"),
        (lambda: plot.coefficients(TWO, (TWO, TWO - 1)), ValueError, "lower ≤ upper; at 0 they are 1 and 0"),
        (lambda: plot.coefficients(TWO, (TWO, TWO), names=["a"]), ValueError, "2 strings, .* the bias too; got 1"),
        (lambda: plot.coefficients(TWO, (TWO, TWO), names="ab"), TypeError, "one string: write .'ab', …"),
        (lambda: plot.path([0.0, 1.0], np.ones((2, 3))), ValueError, "must be > 0 .*; got 0: leave it and its row"),
        (lambda: plot.path(TWO, np.ones((3, 2))), ValueError, r"thetas must have shape \(2, d\); got shape \(3, 2\)"),
        (lambda: plot.bands(TWO, TWO, ANY), TypeError, "intervals must name each"),
        (lambda: plot.calibration([0, 2], TWO / 2), ValueError, "labels 0 and 1; got 2"),
        (lambda: plot.calibration([0, 1], TWO), ValueError, "probabilities, between 0 and 1; got 2"),
        (lambda: plot.calibration([0, 1], TWO / 2, bins=0), ValueError, "bins must be at least 1; got 0"),
        (lambda: plot.roc([1, 1], TWO), ValueError, "both classes"),
        (lambda: plot.confusion(np.ones((2, 3))), ValueError, r"shape \(K, K\).*got shape \(2, 3\)"),
        (lambda: plot.confusion([[1, -1], [0, 1]]), ValueError, "counts, at least 0; got -1"),
        (lambda: plot.boundary(lambda p: p @ TWO, np.eye(2), [0, 1]), ValueError, "probabilities, .*; got -"),
        (lambda: plot.boundary(lambda p: 0 * p[:, 0], np.eye(2), [0, 2]), ValueError, "class numbers 0…1.*got 2"),
        (lambda: plot.boundary(lambda p: p[:, :1], np.eye(2), [0, 1]), ValueError, r"2 to 6 classes.*\(40000, 1\)"),
        (lambda: plot.history(ANY), TypeError, "run.history"),
        (lambda: plot.history({}), ValueError, "it is empty: train"),
        (
            lambda: plot.history({"theta": np.ones((2, 3))}),
            ValueError,
            r"values\['theta'\] must have shape \(epochs,\)",
        ),
    ],
)
def test_what_cannot_be_drawn_is_refused_by_name(call, error, message):
    with pytest.raises(error, match=message):
        call()
