"""Figures that answer to sliders: a frame for each position, in the order in which the page asks for them."""

import html
import json
import re
import shutil

import numpy as np
import pytest
from playwright.sync_api import sync_playwright
from plotly.offline import get_plotlyjs

from experiments.lab.frames import Slider, interactive, percent, short, start_of

SLIDERS = Slider("m", ("3", "5"), 1), Slider("σ", ("a", "b", "c"), 2)
FRAMES = [{0: {"y": [m, s]}} for m in (3, 5) for s in (1, 2, 3)]
LINE = {"x": [0, 1], "mode": "lines"}
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


def figure(frames=FRAMES, **settings):
    return interactive("A title", [LINE, LINE], {"height": 400}, frames, SLIDERS, "What to see", **settings)


def test_it_begins_where_its_sliders_stand_and_the_last_one_is_the_fastest():
    assert start_of(SLIDERS) == 1 * 3 + 2
    shown = figure()
    first, second = shown.figure.to_plotly_json()["data"]
    assert first["y"] == [5, 3] == FRAMES[start_of(SLIDERS)][0]["y"]
    assert "y" not in second


def test_the_page_gets_all_it_needs():
    told = json.loads(figure(narrow=300, plays=True).to_json())
    assert told["title"] == "A title"
    assert told["frames"] == [{"0": frame[0]} for frame in FRAMES]
    assert told["sliders"] == [slider._asdict() | {"values": [*slider.values]} for slider in SLIDERS]
    assert (told["narrow"], told["layout"]["height"], told["plays"]) == (300, 400, True)
    assert json.loads(figure().to_json())["narrow"] == 400


def test_a_position_without_a_frame_is_refused():
    with pytest.raises(ValueError, match="each of the 6 positions of the sliders; got 5"):
        figure(FRAMES[:5])


def test_a_notebook_shows_a_slider_over_all_positions_and_loads_no_script():
    shown = html.unescape(figure()._repr_html_())
    assert get_plotlyjs() in shown
    own = shown.replace(get_plotlyjs(), "")
    assert re.findall(r"<(?:script|link|img)[^>]* (?:src|href)=", own) == []
    assert "m = 3 σ = a" in own or r"m = 3 \u03c3 = a" in own
    assert own.count('"method":"animate"') == 6


@pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium")
def test_a_notebook_draws_the_figure_and_moves_its_slider_without_a_network(tmp_path):
    (tmp_path / "cell.html").write_text(f"<!doctype html><meta charset=utf-8>{figure()._repr_html_()}", "utf-8")
    asked = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 900, "height": 600}, offline=True)
        page.on("request", lambda request: asked.append(request.url))
        page.goto((tmp_path / "cell.html").as_uri())
        frame = page.frames[1]
        frame.wait_for_selector(".slider-group")
        ordinates = "document.querySelector('.plotly-graph-div').data[0].y"
        assert frame.evaluate(ordinates) == FRAMES[start_of(SLIDERS)][0]["y"]
        rail = frame.locator(".slider-rail-touch-rect")
        rail.click(position={"x": rail.evaluate("rail => rail.getBoundingClientRect().width") - 2, "y": 2})
        frame.wait_for_function(f"{ordinates}[1] === {FRAMES[-1][0]['y'][1]}")
        assert frame.evaluate(ordinates) == FRAMES[-1][0]["y"]
        browser.close()
    assert asked == [(tmp_path / "cell.html").as_uri()]


def test_numbers_are_short_and_what_is_none_is_null():
    assert short(np.array([[1.23456, np.nan], [-0.00098765, np.inf]]), 3) == [[1.23, None], [-0.000988, None]]
    assert percent([0.004, 0.996]) == [0, 100]
